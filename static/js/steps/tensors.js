// @ts-check
/** Where the numbers of a storyboard come from: addresses in a trace, and what the server answered. */

/** @typedef {Record<string, number | string | undefined>} Pick places along named axes; the other axes are whole */
/** @typedef {{path: string, pick: Pick, trace?: import("../trace.js").TraceBody, body?: object, json?: boolean}} Need a part of a trace, such as tensors/encoder.5.self.q with head 11; trace: another than the one at hand; of a model where the path begins with models; body: the trace of another text instead; json: what is there is no tensor */
/** @typedef {{shape: number[], data: Float32Array, body?: any}} Got body: of what is no tensor */
/** @typedef {Record<string, Got>} All what was needed, by the names that a step gives */
/** @typedef {{values: Float32Array, source: string}} Numbers with the address that they can be read at again */

/** @param {string} address @param {Pick} [pick] @returns {Need} */
export const tensor = (address, pick = {}) => ({ path: `tensors/${address}`, pick });

/** How much the loss would change with a tensor. @param {string} address @returns {Need} */
export const gradient = (address) => ({ path: `gradients/${address}`, pick: {} });

/** The address of a part, below /traces/{id}. @param {Need} need */
export function href({ path, pick }) {
  const given = Object.entries(pick).filter(([, value]) => value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given.map(([axis, at]) => [axis, String(at)]))}` : path;
}

/** All of what came. @param {Need} need @param {Got} got @returns {Numbers} */
export const whole = (need, got) => ({ values: got.data, source: href(need) });

/** One place along an axis that is the last but one. @param {Need} need @param {Got} got @param {string} axis @param {number} index @param {number} [first] where the answer's axis begins @returns {Numbers} */
export function at(need, got, axis, index, first = 0) {
  const width = /** @type {number} */ (got.shape.at(-1));
  const from = (index - first) * width;
  return { values: got.data.subarray(from, from + width), source: href({ ...need, pick: { ...need.pick, [axis]: index } }) };
}

/** One number along the last axis. @param {Need} need @param {Got} got @param {string} axis @param {number} index @returns {{value: number, source: string}} */
export const one = (need, got, axis, index) => ({ value: got.data[index], source: href({ ...need, pick: { ...need.pick, [axis]: index } }) });

/** The Euclidean norm. @param {ArrayLike<number>} values */
export function norm(values) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return Math.sqrt(sum);
}

/** @param {ArrayLike<number>} a @param {ArrayLike<number>} b @returns {Float32Array} */
export const added = (a, b) => Float32Array.from(a, (x, i) => x + b[i]);

/** @param {ArrayLike<number>} vector @param {number} by @returns {Float32Array} */
export const times = (vector, by) => Float32Array.from(vector, (x) => x * by);

// @ts-check
/** Numbers that the page holds, as files: CSV for sheets, JSON for programs, safetensors for Python. */

/** @typedef {{name: string, source?: string, axes?: string[], shape: number[], data: Float32Array | Int32Array}} Tensor source: its address below the trace */
/** @typedef {Record<string, string | number | boolean | null>} Row */
/** @typedef {{about: Record<string, unknown>, rows?: Row[], tensors: Tensor[]}} Numbers rows: the same as a table, where it reads better than one number a line */

const DTYPES = /** @type {const} */ ({ Float32Array: "F32", Int32Array: "I32" });

/** A field of a line; quotes where a comma or a quote would split it. @param {unknown} value */
function field(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** One number a line, with its place along every axis. @param {Tensor} tensor @param {number} axes of the tensor that has most @returns {Row[]} */
function listed({ name, shape, data }, axes) {
  return Array.from(data, (value, at) => {
    /** @type {Row} */
    const row = { tensor: name };
    let rest = at;
    const places = [...shape].reverse().map((size) => {
      const place = rest % size;
      rest = Math.floor(rest / size);
      return place;
    });
    places.reverse();
    for (let axis = 0; axis < axes; axis++) row[`axis_${axis}`] = places[axis] ?? null;
    return { ...row, value };
  });
}

/** @param {Numbers} numbers */
export function csvOf({ rows, tensors }) {
  const axes = Math.max(0, ...tensors.map(({ shape }) => shape.length));
  const lines = rows ?? tensors.flatMap((tensor) => listed(tensor, axes));
  const columns = Object.keys(lines[0] ?? {});
  return [columns, ...lines.map((row) => columns.map((column) => row[column]))].map((line) => `${line.map(field).join(",")}\r\n`).join("");
}

/** @param {ArrayLike<number>} data @param {number[]} shape @returns {unknown} lists in lists, as deep as there are axes */
function nested(data, shape) {
  const [first, ...rest] = shape;
  if (first === undefined) return data[0];
  const size = rest.reduce((product, length) => product * length, 1);
  return Array.from({ length: first }, (_, i) => nested(Array.prototype.slice.call(data, i * size, (i + 1) * size), rest));
}

/** @param {Numbers} numbers */
export function jsonOf({ about, rows, tensors }) {
  const values = Object.fromEntries(tensors.map(({ name, source, axes, shape, data }) => [name, { source, axes, shape, values: nested(data, shape) }]));
  return JSON.stringify({ ...about, rows, tensors: values });
}

/** @param {Numbers} numbers @returns {Uint8Array<ArrayBuffer>} */
export function safetensorsOf({ about, tensors }) {
  let end = 0;
  const entries = tensors.map(({ name, shape, data }) => [name, { dtype: DTYPES[/** @type {keyof typeof DTYPES} */ (data.constructor.name)], shape, data_offsets: [end, (end += data.byteLength)] }]);
  const metadata = Object.fromEntries(Object.entries(about).map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]));
  const header = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) }));
  const room = Math.ceil(header.length / 8) * 8; // tensors begin where every type of number may
  const file = new Uint8Array(8 + room + end).fill(0x20);
  new DataView(file.buffer).setBigUint64(0, BigInt(room), true);
  file.set(header, 8);
  let at = 8 + room;
  for (const { data } of tensors) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/** What was said, step by step, and what could have come at each. @param {import("../scene.js").Scene} scene @returns {Numbers | null} null before anything was said */
export function saidNumbers({ generation, trace }) {
  const steps = generation?.steps.filter(({ top }) => top) ?? [];
  if (!generation || !steps.length) return null;
  const rows = steps.flatMap(({ index, position, token, top, forced, ends }) =>
    (top ?? []).map((one, rank) => ({
      step: index + 1,
      position,
      rank: rank + 1,
      token: one.token.text,
      token_id: one.token.id,
      probability: one.probability,
      chance: one.chance,
      came: one.token.id === token?.id,
      forced: forced && one.token.id === token?.id,
      ends: ends && one.token.id === token?.id,
    })),
  );
  const width = Math.min(...steps.map(({ top }) => top?.length ?? 0));
  const shape = [steps.length, width];
  const taken = steps.flatMap(({ top }) => (top ?? []).slice(0, width));
  const axes = ["step", "rank"];
  return {
    about: { model: trace.model, text: trace.text, settings: generation.settings },
    rows,
    tensors: [
      { name: "probability", axes, shape, data: Float32Array.from(taken, ({ probability }) => probability) },
      { name: "chance", axes, shape, data: Float32Array.from(taken, ({ chance }) => chance) },
      { name: "token_id", axes, shape, data: Int32Array.from(taken, ({ token }) => token.id) },
      { name: "said", axes: ["step"], shape: [steps.length], data: Int32Array.from(steps, ({ token }) => token?.id ?? -1) },
    ],
  };
}

/** The numbers of two panes together, each under the name of its side. @param {Numbers | null} left @param {Numbers | null} right @returns {Numbers | null} the left one's where there is only one */
export function besideOne(left, right) {
  if (!left || !right) return left;
  const sides = /** @type {const} */ ([["left", left], ["right", right]]);
  const rows = left.rows && right.rows ? sides.flatMap(([side, { rows: all }]) => (all ?? []).map((row) => ({ side, ...row }))) : undefined;
  const tensors = sides.flatMap(([side, { tensors: all }]) => all.map((tensor) => ({ ...tensor, name: `${side} ${tensor.name}` })));
  return { about: { left: left.about, right: right.about }, rows, tensors };
}

/** A head, a row of heads or all of them, as a file names it in every language. @param {import("../state.js").HeadRef} ref */
export const written = ({ layer, head }) => `${layer === "all" ? "all layers" : `layer ${layer}`} ${typeof head === "number" ? `head ${head}` : head}`;

/** Whether a view shows every chosen head, and not only the focused one. @param {import("../state.js").State} state */
export const several = ({ view, also }) => also.length > 0 && (view === "lines" || view === "bars");

/** Several heads of one text, as the server gave each. @param {import("../state.js").HeadRef[]} refs @param {any[]} bodies @returns {Numbers} */
export function headsNumbers(refs, bodies) {
  const [{ trace, model, stack, block, stage, queries, keys, tokens }] = bodies;
  const values = bodies.map((body) => Float32Array.from(body.values.flat(Infinity)));
  const rows = refs.flatMap((ref, nth) =>
    Array.from(values[nth], (value, at) => {
      const [i, j] = [Math.floor(at / keys.length), at % keys.length];
      return { ...ref, query: queries[i], key: keys[j], query_token: tokens.query[i], key_token: tokens.key[j], value };
    }),
  );
  return {
    about: { trace, model, stack, block, stage, heads: refs, queries, keys, tokens },
    rows,
    tensors: refs.map((ref, nth) => ({ name: written(ref), axes: ["query", "key"], shape: [queries.length, keys.length], data: values[nth] })),
  };
}

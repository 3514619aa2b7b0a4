// @ts-check
/** The matrices that a network has learned, found by the letters that the server gives them. */
import { weights } from "./parts.js";
import { has } from "./subject.js";
import { tensor } from "./tensors.js";

/** @typedef {{name: string, axes: string[], shape: number[], stack: string | null, layer: number | null, block: string | null, letter: string | null, gates: string[]}} Parameter of GET /models/{id}/weights */
/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./tensors.js").Need} Need */
/** @typedef {import("./tensors.js").Got} Got */

/** A larger matrix is named with its size, and not drawn: its cells would be far smaller than a pixel. */
const DRAWN = 2 ** 20;

/** @param {Subject} subject @param {[string, number | null, string]} place @param {string} letter */
export function parameter({ model }, [stack, layer, block], letter) {
  return model.learned.find((one) => one.stack === stack && one.layer === layer && one.block === block && one.letter === letter) ?? null;
}

/** So many numbers are in the part that is picked, one place along each picked axis. @param {Parameter} one @param {import("./tensors.js").Pick} pick */
const count = ({ axes, shape }, pick) => axes.reduce((product, axis, i) => (pick[axis] === undefined ? product * shape[i] : product), 1);

/** The request for a parameter, or for one head's or gate's part of it; null where there is none, or it is too large to be drawn. @param {Subject} subject @param {Parameter | null} one @param {import("./tensors.js").Pick} [pick] @returns {Need | null} */
export const learned = ({ model }, one, pick = {}) => (one && count(one, pick) <= DRAWN ? { path: `models/${encodeURIComponent(model.id)}/weights/${one.name}`, pick } : null);

/**
 * A matrix as a picture: what it reads runs across, what it makes runs down.
 * @param {string} name @param {Parameter} one @param {import("./tensors.js").Pick} pick @param {Need | null} need @param {Got | undefined} got
 * @param {string[]} reads the axes that run across
 */
export function sheet(name, one, pick, need, got, reads) {
  const across = one.axes.reduce((product, axis, i) => (reads.includes(axis) && pick[axis] === undefined ? product * one.shape[i] : product), 1);
  const rows = count(one, pick) / across;
  return weights({ name, rows, cols: across, key: name, ...(need && got ? { values: got.data, source: sourceOf(need) } : {}) });
}

/** @param {Need} need */
function sourceOf({ path, pick }) {
  const given = Object.entries(pick).map(([axis, at]) => [axis, String(at)]);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** What a norm makes of a stream, and the requests for it; null where nothing is normalised. @param {Subject} subject @param {[string, number | null, string]} place @param {number} position @param {string} name before the names of these needs */
export function normalisation(subject, place, position, name) {
  const [stack, layer, block] = place;
  const site = [stack, layer, block].filter((part) => part !== null).join(".");
  const gain = learned(subject, parameter(subject, place, "gain"));
  if (!gain || !has(subject, `${site}.norm.scale`)) return null;
  const bias = learned(subject, parameter(subject, place, "bias"));
  /** @type {Record<string, Need>} */
  const needs = { [`${name} gain`]: gain, [`${name} scale`]: tensor(`${site}.norm.scale`, { position }) };
  if (bias) needs[`${name} bias`] = bias;
  if (has(subject, `${site}.norm.mean`)) needs[`${name} mean`] = tensor(`${site}.norm.mean`, { position });
  return {
    needs,
    /** (x − mean) · scale · gain + bias. @param {import("./tensors.js").All} got @param {Float32Array} x */
    of(got, x) {
      const [mean, scale] = [got[`${name} mean`]?.data[0] ?? 0, got[`${name} scale`].data[0]];
      const [gains, biases] = [got[`${name} gain`].data, got[`${name} bias`]?.data];
      return Float32Array.from(x, (value, i) => (value - mean) * scale * gains[i] + (biases ? biases[i] : 0));
    },
  };
}

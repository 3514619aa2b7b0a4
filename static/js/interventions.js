// @ts-check
/** Interventions: the engine's patches as data, as part of an address, and in words. */
import { shortName } from "./format.js";
import { attentions, forbidden, label } from "./trace.js";
import { t } from "./words.js";

/** @typedef {{operation: string, address: string, where: Record<string, number[]>, factor?: number | null}} Patch */

/** One patch in an address: `knockout encoder.5.self.scores head.11 key.2 query.10`. @param {Patch} patch */
export function writePatch({ operation, address, where, factor }) {
  const places = Object.keys(where).sort().map((axis) => `${axis}.${where[axis].join("-")}`);
  return [operation, address, ...places, ...(factor == null ? [] : [`factor.${factor}`])].join(" ");
}

/** @param {Patch[]} patches */
export const writePatches = (patches) => patches.map(writePatch).join("*");

/** @param {string} written @returns {Patch | undefined} */
function readPatch(written) {
  const [operation, address, ...rest] = written.split(" ");
  if (!/^(zero|mean|knockout|scale)$/.test(operation) || !/^[\w.]{1,200}$/.test(address ?? "")) return undefined;
  /** @type {Patch} */
  const patch = { operation, address, where: {} };
  for (const part of rest) {
    const [, axis, value] = /^([a-z_]+)\.(.+)$/.exec(part) ?? [];
    if (axis === "factor" && Number.isFinite(Number(value))) patch.factor = Number(value);
    else if (axis && axis !== "factor" && /^\d{1,6}(-\d{1,6})*$/.test(value)) patch.where[axis] = [...new Set(value.split("-").map(Number))].sort((a, b) => a - b); // as the server repeats them
    else return undefined;
  }
  return patch;
}

/** The most that the server takes at once. */
const MOST = 64;

/** @param {string} written @returns {Patch[] | undefined} undefined where it says something else */
export function readPatches(written) {
  if (!written) return [];
  const patches = written.split("*").map(readPatch);
  const read = patches.filter((patch) => patch !== undefined);
  return read.length === patches.length && read.length <= MOST ? read : undefined;
}

/**
 * The patches of a text as patches of its beginning, so many tokens of the stack that is said: what is later is not there yet.
 * @param {Patch[]} patches @param {string} stack @param {number} length @returns {Patch[]}
 */
export const patchesUpTo = (patches, stack, length) =>
  patches.flatMap((patch) => {
    if (!patch.address.startsWith(`${stack}.`)) return [patch];
    const said = patch.address.includes(".cross.") ? ["query", "position"] : ["query", "key", "position"];
    const where = Object.entries(patch.where).map(([axis, at]) => [axis, said.includes(axis) ? at.filter((index) => index < length) : at]);
    return where.every(([, at]) => at.length) ? [{ ...patch, where: Object.fromEntries(where) }] : [];
  });

/**
 * What a patch does to a network, as a label.
 * @param {Patch} patch @param {import("./trace.js").TraceBody | null} trace whose tokens it names
 */
export function patchName(patch, trace) {
  const [, stack, layer, block, site] = /^(\w+)\.(\d+)\.(\w+)\.(.+)$/.exec(patch.address) ?? [];
  const attention = trace && attentions(trace).find((one) => one.stack === stack && one.block.name === block);
  const { head: [head] = [], query: [query] = [], key: [key] = [] } = patch.where;
  const here = { head: head === undefined ? t("compare.layer-n", { n: layer }) : shortName({ layer: Number(layer), head }) };
  const [from, to] = [attention?.queries[query], attention?.keys[key]];
  const pair = from && to ? { query: label(from), key: label(to), ...here } : null;
  if (pair && patch.operation === "knockout") return t("compare.without", pair);
  if (pair && patch.operation === "zero" && site === "pattern") return t("compare.cut-in", pair);
  if (patch.operation === "zero" && site === "z") return t("compare.silenced", here);
  return writePatch(patch);
}

/**
 * What can be done to the head, and to the pair of tokens, that a scene has in focus.
 * @param {import("./scene.js").Scene} scene @returns {{name: string, note: string, patch: Patch}[]}
 */
export function interventions({ attention, state, chosen }) {
  if (!attention || typeof state.layer !== "number" || typeof state.head !== "number") return [];
  const address = (/** @type {string} */ site) => `${attention.stack}.${state.layer}.${attention.block.name}.${site}`;
  const head = [state.head];
  const whole = [
    { name: t("compare.silence-head", { n: state.head }), note: t("compare.silence-head-note"), patch: { operation: "zero", address: address("z"), where: { head } } },
    ...(attention.heads > 1 ? [{ name: t("compare.silence-layer", { n: state.layer }), note: t("compare.silence-layer-note"), patch: { operation: "zero", address: address("z"), where: {} } }] : []),
  ];
  if (chosen?.key == null || forbidden(attention, chosen.query, chosen.key)) return whole;
  const where = { head, key: [chosen.key], query: [chosen.query] };
  const pair = { query: label(attention.queries[chosen.query]), key: label(attention.keys[chosen.key]) };
  return [
    { name: t("compare.knock-out", pair), note: t("compare.knock-out-note"), patch: { operation: "knockout", address: address("scores"), where } },
    { name: t("compare.cut", pair), note: t("compare.cut-note"), patch: { operation: "zero", address: address("pattern"), where } },
    ...whole,
  ];
}

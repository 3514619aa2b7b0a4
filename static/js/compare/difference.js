// @ts-check
/** What differs between two panes: right minus left, for the tokens that both texts have. */
import { brightest, diverging } from "../colors.js";
import { pick } from "../matrix.js";
import { weightOf } from "../scene.js";
import { crosses, isLong, LONG, visible } from "../trace.js";
import { t } from "../words.js";
import { aligned } from "./alignment.js";

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("../scene.js").Place} Place */
/** @typedef {import("../matrix.js").Matrix} Matrix */
/** @typedef {import("./alignment.js").Alignment} Alignment */
/** @typedef {{queries: number[], keys: number[], left: Matrix, right: Matrix, change: Matrix, top: number}} Difference queries, keys: of the left text; left, right: the two weights, row by row of these */
/** @typedef {{scene: Scene, queries: Alignment, keys: Alignment, difference: Difference | null, why: string}} Beside why: what keeps the two from being subtracted */

/** The tokens of two scenes that stand for one another, for queries and for keys. @param {Scene} left @param {{attention: import("../trace.js").Attention | null}} right */
export function alignments(left, right) {
  const none = { right: [], left: [], pairs: [] };
  if (!left.attention || !right.attention) return { queries: none, keys: none };
  return { queries: aligned(left.attention.queries, right.attention.queries), keys: aligned(left.attention.keys, right.attention.keys) };
}

/** A place in the other text; a token that is not there leaves the row, or nothing. @param {Place | null} place @param {{queries: Alignment, keys: Alignment}} by @param {"left" | "right"} to @returns {Place | null} */
export function across(place, { queries, keys }, to) {
  const query = place && queries[to][place.query];
  if (query == null) return null;
  return { query, key: place?.key == null ? null : (keys[to][place.key] ?? null) };
}

/** Why two scenes cannot be subtracted; "" where they can. @param {Scene} left @param {Scene} right */
export function obstacle(left, right) {
  if (!left.attention || !right.attention) return t("compare.no-attention");
  if (isLong(left.attention) || isLong(right.attention)) return t("compare.long", { most: LONG });
  if (crosses(left.attention) !== crosses(right.attention)) return t("compare.blocks");
  const { queries, keys } = alignments(left, right);
  return queries.pairs.length && keys.pairs.length ? "" : t("compare.disjoint");
}

/** The pairs that both scenes show. @param {[number, number][]} pairs @param {number[]} left visible tokens @param {number[]} right */
function both(pairs, left, right) {
  const [here, there] = [new Set(left), new Set(right)];
  return pairs.filter(([i, j]) => here.has(i) && there.has(j));
}

/** The visible tokens that both texts have, in pairs. @param {Scene} left @param {Scene} right */
export function sharedOf(left, right) {
  const by = alignments(left, right);
  return { rows: both(by.queries.pairs, left.queries, right.queries), cols: both(by.keys.pairs, left.keys, right.keys) };
}

/** A head's weights between these tokens. @param {Scene} scene @param {Matrix} shown @param {{rows: [number, number][], cols: [number, number][]}} shared @param {0 | 1} side */
export const sharedPart = (scene, shown, { rows, cols }, side) =>
  pick(shown, rows.map((pair) => scene.queries.indexOf(pair[side])), cols.map((pair) => scene.keys.indexOf(pair[side])));

/** @type {{name: unknown[], made: Difference} | null} */
let last = null;

/**
 * Right minus left of the focused heads: as they are shown, so that renormalised rows are subtracted as such.
 * @param {Scene} left @param {Scene} right @returns {Difference | null} null while a map is missing
 */
export function differenceOf(left, right) {
  const [a, b] = [left.heads[0], right.heads[0]];
  if (!a?.whole || !b?.whole || obstacle(left, right)) return null;
  const name = [a.whole, b.whole, left.state.special];
  if (last && name.every((part, i) => part === last?.name[i])) return last.made;
  const shared = sharedOf(left, right);
  const [l, r] = [sharedPart(left, a.shown, shared, 0), sharedPart(right, b.shown, shared, 1)];
  const values = r.values.map((weight, i) => weight - l.values[i]);
  const made = { queries: shared.rows.map(([i]) => i), keys: shared.cols.map(([i]) => i), left: l, right: r, change: { ...l, values }, top: brightest(values.map(Math.abs)) };
  last = { name, made };
  return made;
}

/** The left scene with the difference in place of its weights. @param {Scene} scene @param {Difference} difference @returns {Scene} */
export function differenceScene(scene, { queries, keys, change, top }) {
  return { ...scene, queries, keys, heads: [{ ...scene.heads[0], shown: change }], ramp: diverging(scene.theme), top, signed: true };
}

/**
 * Both weights of a pair and what differs, as they are shown; null where one of the texts has no such pair.
 * @param {Scene} scene of the left pane @param {Place | null} at in the left text
 */
export function bothAt({ beside }, at) {
  if (!beside?.difference || at?.key == null) return null;
  const { queries, keys, left, right, change } = beside.difference;
  const [row, col] = [queries.indexOf(at.query), keys.indexOf(at.key)];
  if (row < 0 || col < 0) return null;
  const i = row * left.cols + col;
  return { left: left.values[i], right: right.values[i], change: change.values[i] };
}

/** Both weights as the networks have them, whatever is hidden; null where the right text has no such pair. @param {Scene} scene @param {Place | null} at in the left text */
export function bothWeights(scene, at) {
  const { beside, heads } = scene;
  const there = beside && across(at, beside, "right");
  if (!at || at.key === null || there?.key == null || !heads[0] || !beside?.scene.heads[0]) return null;
  const [left, right] = [weightOf(heads[0], at), weightOf(beside.scene.heads[0], there)];
  return left === undefined || right === undefined ? null : { left, right, change: right - left };
}

/** What both panes have in focus, in words. @param {import("../scene.js").Head[]} heads of the left pane @param {Beside} beside */
export function headsOf([left], { scene: { heads: [right] } }) {
  return !right || left.name === right.name ? left.name : t("compare.heads", { left: left.name, right: right.name });
}

/** Visible tokens that have no partner in the other text, so that nothing is subtracted there. @param {Scene} scene of the left pane */
export function unmatched({ beside, attention, state }) {
  if (!beside) return { left: [], right: [] };
  const lone = (/** @type {import("../trace.js").Token[]} */ tokens, /** @type {(number | null)[]} */ to) => visible(tokens, state.special).filter((at) => to[at] === null).map((at) => tokens[at]);
  const { attention: other } = beside.scene;
  const { queries, keys } = beside;
  return {
    left: [...new Set([...lone(attention.queries, queries.right), ...lone(attention.keys, keys.right)])],
    right: [...new Set([...lone(other.queries, queries.left), ...lone(other.keys, keys.left)])],
  };
}

/** The weights of all heads of a block as they came: (layer, head, query, key). @typedef {{values: Float32Array | Uint8Array, unit: number, layers: number, heads: number, rows: number, cols: number}} Every unit: what a value is divided by */

/** @type {{name: unknown[], made: number[][]} | null} */
let lastChanges = null;

/**
 * How much every head differs: the share of a row's attention that goes elsewhere (total variation), its mean over the rows.
 * @param {Scene} left @param {Scene} right @param {Every} a @param {Every} b @returns {number[][] | null} (layer, head); null where the networks have other heads
 */
export function changesOf(left, right, a, b) {
  if (a.layers !== b.layers || a.heads !== b.heads || obstacle(left, right)) return null;
  const name = [a.values, b.values, left.state.special];
  if (lastChanges && name.every((part, i) => part === lastChanges?.name[i])) return lastChanges.made;
  const by = alignments(left, right);
  const rows = both(by.queries.pairs, left.queries, right.queries);
  const cols = both(by.keys.pairs, left.keys, right.keys);
  const head = (/** @type {Every} */ { values, unit, rows: height, cols: width }, /** @type {number} */ at, /** @type {Scene} */ { queries, keys, state }) => {
    const whole = Float32Array.from(values.subarray(at * height * width, (at + 1) * height * width), (value) => value / unit);
    return pick({ values: whole, rows: height, cols: width }, queries, keys, state.special === "renormalise");
  };
  const at = (/** @type {number[]} */ shown) => new Map(shown.map((token, i) => [token, i]));
  const [rowL, rowR, colL, colR] = [at(left.queries), at(right.queries), at(left.keys), at(right.keys)];
  const made = Array.from({ length: a.layers }, (_, layer) =>
    Array.from({ length: a.heads }, (_, i) => {
      const [l, r] = [head(a, layer * a.heads + i, left), head(b, layer * a.heads + i, right)];
      let sum = 0;
      for (const [ql, qr] of rows) {
        for (const [kl, kr] of cols) sum += Math.abs(r.values[Number(rowR.get(qr)) * r.cols + Number(colR.get(kr))] - l.values[Number(rowL.get(ql)) * l.cols + Number(colL.get(kl))]);
      }
      return rows.length ? sum / (2 * rows.length) : 0;
    }),
  );
  lastChanges = { name, made };
  return made;
}

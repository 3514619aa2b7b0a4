// @ts-check
/** Numbers of two panes for a file: each side's, and right minus left where there is a difference. */
import { aligned } from "../compare/alignment.js";
import { sharedOf, sharedPart } from "../compare/difference.js";
import { several, written } from "./numbers.js";

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("./numbers.js").Numbers} Numbers */
/** @typedef {import("./numbers.js").Tensor} Tensor */
/** @typedef {import("../matrix.js").Matrix} Matrix */

/** The numbers of both panes; null where nothing is compared, or where a side is not here. @param {Scene} scene @returns {Numbers | null} */
export function comparedNumbers(scene) {
  if (!scene.beside) return null;
  if (scene.state.view === "states") return statesNumbers(scene, scene.beside.scene);
  return scene.beside.difference ? mapsNumbers(scene, scene.beside.scene) : apartNumbers(scene, scene.beside.scene);
}

/** What a side shows. @param {Scene} scene */
const heads = ({ state, heads: all }) => (several(state) ? all : all.slice(0, 1));

/** @param {Scene} scene */
function side(scene) {
  const { trace, state, attention } = scene;
  const place = { layer: state.layer, head: state.head, ...(several(state) ? { heads: heads(scene).map(({ ref }) => ref) } : {}) };
  return { id: trace.id, model: trace.model, text: trace.text, stack: attention.stack, block: attention.block.name, ...place };
}

/** @param {Matrix} right @param {Matrix} left */
const minus = (right, left) => right.values.map((value, i) => value - left.values[i]);

/** Heads beside one another, and right minus left, for the tokens that both texts have. @param {Scene} left @param {Scene} right @returns {Numbers} */
function mapsNumbers(left, right) {
  const shared = sharedOf(left, right);
  const [queries, keys] = [shared.rows.map(([at]) => at), shared.cols.map(([at]) => at)];
  const [axes, shape] = [["query", "key"], [queries.length, keys.length]];
  const text = (/** @type {import("../trace.js").Token[]} */ tokens, /** @type {number} */ at) => tokens[at].text;
  const [a, b] = [heads(left), heads(right)];
  const many = Math.max(a.length, b.length) > 1;
  const pairs = Array.from({ length: Math.max(a.length, b.length) }, (_, nth) => {
    const [l, r] = [a[nth] && sharedPart(left, a[nth].shown, shared, 0), b[nth] && sharedPart(right, b[nth].shown, shared, 1)];
    const named = many ? { left_head: a[nth] ? written(a[nth].ref) : null, right_head: b[nth] ? written(b[nth].ref) : null } : {};
    return { l, r, change: l && r ? minus(r, l) : null, named };
  });
  const rows = pairs.flatMap(({ l, r, change, named }) =>
    queries.flatMap((query, i) =>
      keys.map((key, j) => {
        const at = i * keys.length + j;
        const place = { query, query_text: text(left.attention.queries, query), key, key_text: text(left.attention.keys, key) };
        return { ...named, ...place, left: l?.values[at] ?? null, right: r?.values[at] ?? null, difference: change?.[at] ?? null };
      }),
    ),
  );
  const tensors = pairs.flatMap(({ l, r, change }, nth) => {
    const name = (/** @type {string} */ which, /** @type {Scene["heads"][number] | undefined} */ head) => (many && head ? `${which} ${written(head.ref)}` : which);
    /** @type {[string, Float32Array | undefined | null][]} */
    const parts = [[name("left", a[nth]), l?.values], [name("right", b[nth]), r?.values], [name("difference", a[nth]), change]];
    return parts.flatMap(([of, data]) => (data ? [{ name: of, axes, shape, data }] : []));
  });
  return {
    about: { left: side(left), right: side(right), queries: queries.map((at) => text(left.attention.queries, at)), keys: keys.map((at) => text(left.attention.keys, at)) },
    rows,
    tensors,
  };
}

/** Two maps that cannot be subtracted, each whole; null where one is not here. @param {Scene} left @param {Scene} right @returns {Numbers | null} */
function apartNumbers(left, right) {
  const sides = /** @type {const} */ ([["left", left], ["right", right]]);
  if (sides.some(([, scene]) => !scene.attention || !scene.heads.length || scene.heads.some(({ whole }) => !whole))) return null;
  const all = sides.flatMap(([name, scene]) => heads(scene).map((head) => ({ name, scene, head, whole: /** @type {Matrix} */ (head.whole) })));
  const texts = (/** @type {import("../trace.js").Token[]} */ tokens) => tokens.map(({ text }) => text);
  const about = (/** @type {Scene} */ scene) => ({ ...side(scene), queries: texts(scene.attention.queries), keys: texts(scene.attention.keys) });
  return {
    about: { left: about(left), right: about(right) },
    rows: all.flatMap(({ name, scene: { attention }, head, whole: { values, cols } }) =>
      Array.from(values, (value, at) => {
        const [query, key] = [Math.floor(at / cols), at % cols];
        return { side: name, ...head.ref, query, query_text: attention.queries[query].text, key, key_text: attention.keys[key].text, value };
      }),
    ),
    tensors: all.map(({ name, scene, head, whole }) => ({ name: several(scene.state) ? `${name} ${written(head.ref)}` : name, axes: ["query", "key"], shape: [whole.rows, whole.cols], data: whole.values })),
  };
}

/** A recurrent state on either side, each whole; and right minus left for the tokens that both texts have, where both have as many units. @param {Scene} left @param {Scene} right @returns {Numbers | null} */
function statesNumbers(left, right) {
  const [a, b] = [stateOf(left), stateOf(right)];
  if (!a || !b) return null;
  const alike = a.site.part === b.site.part && a.numbers.cols === b.numbers.cols;
  const to = aligned(a.tokens, b.tokens);
  const pairs = alike ? to.pairs : [];
  const units = Array.from({ length: Math.max(a.numbers.cols, b.numbers.cols) }, (_, unit) => unit);
  const at = (/** @type {Matrix} */ { values, cols }, /** @type {number | null} */ time, /** @type {number} */ unit) => (time === null || unit >= cols ? null : values[time * cols + unit]);
  /** @type {[number | null, number | null][]} a line for every token, once where both have it */
  const lines = [...a.tokens.map((_, i) => /** @type {[number, number | null]} */ ([i, to.right[i]])), ...to.left.flatMap((i, j) => (i === null ? [/** @type {[null, number]} */ ([null, j])] : []))];
  const rows = lines.flatMap(([i, j]) =>
    units.map((unit) => {
      const [l, r] = [at(a.numbers, i, unit), at(b.numbers, j, unit)];
      const token = i === null ? b.tokens[/** @type {number} */ (j)] : a.tokens[i];
      return { left_position: i, right_position: j, token: token.text, unit, left: l, right: r, difference: alike && l !== null && r !== null ? Math.fround(r - l) : null };
    }),
  );
  const change = Float32Array.from(pairs.flatMap(([i, j]) => units.map((unit) => Number(at(b.numbers, j, unit)) - Number(at(a.numbers, i, unit)))));
  const axes = ["position", "unit"];
  /** @type {Tensor[]} */
  const tensors = [
    { name: "left", axes, shape: [a.numbers.rows, a.numbers.cols], data: a.numbers.values },
    { name: "right", axes, shape: [b.numbers.rows, b.numbers.cols], data: b.numbers.values },
  ];
  if (pairs.length) tensors.push({ name: "difference", axes, shape: [pairs.length, units.length], data: change });
  const about = (/** @type {Scene} */ { trace }, /** @type {NonNullable<ReturnType<typeof stateOf>>} */ { site, tokens }) => ({ id: trace.id, model: trace.model, text: trace.text, address: site.address, tokens: tokens.map(({ text }) => text) });
  return { about: { left: about(left, a), right: about(right, b), ...(pairs.length ? { shared: pairs } : {}) }, rows, tensors };
}

/** The state in focus of a side, and its tokens; null while it is not here. @param {Scene} scene */
function stateOf({ site, states, trace }) {
  const numbers = site && states.get(site.address);
  return numbers ? { site, numbers, tokens: trace.tokens[site.stack].slice(0, numbers.rows) } : null;
}

// @ts-check
/** Everything the views draw from, in one frozen value per moment: views are functions of a scene. */
import { brightest, byteColors, ramp, series } from "./colors.js";
import { headName } from "./format.js";
import { columnOf, peak, pick, rowOf, strongest, withoutDiagonal } from "./matrix.js";
import { attentionOf, visible } from "./trace.js";

/** @typedef {import("./matrix.js").Matrix} Matrix */
/** @typedef {{query: number, key: number | null}} Place a row, or a cell of it */

/**
 * @typedef {object} Head
 * @property {import("./state.js").HeadRef} ref
 * @property {string} name
 * @property {string} color
 * @property {Matrix} whole every token
 * @property {Matrix} shown the visible tokens, renormalised if that is asked for
 */

/**
 * @typedef {object} Scene
 * @property {import("./state.js").State} state
 * @property {import("./trace.js").TraceBody} trace
 * @property {import("./trace.js").Attention} attention
 * @property {"light" | "dark"} theme
 * @property {import("./colors.js").Ramp} ramp
 * @property {Uint32Array} bytes colours of byte weights
 * @property {number} top the weight that a linear scale draws brightest
 * @property {number[]} queries visible query tokens
 * @property {number[]} keys visible key tokens
 * @property {Head[]} heads the focused one first; only those whose map is here
 * @property {import("./session.js").Overview | null} overview
 * @property {import("./session.js").Stats | null} stats
 * @property {any} arithmetic how the chosen weight came about; null until it is here
 * @property {Place | null} held what the reader has locked
 * @property {Place | null} cursor what is under the pointer
 * @property {Place | null} chosen what the inspector explains
 */

/** @param {"system" | "light" | "dark"} theme @returns {"light" | "dark"} */
export const resolved = (theme) =>
  theme === "system" ? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light") : theme;

/**
 * @param {import("./state.js").State} state
 * @param {import("./session.js").Session} session
 * @param {Place | null} cursor
 * @returns {Scene | null} null before there is a trace
 */
export function sceneOf(state, session, cursor) {
  const { trace } = session;
  if (!trace) return null;
  const attention = attentionOf(trace, state.stack, state.block);
  const theme = resolved(state.theme);
  const colors = ramp(state.palette, theme);
  const queries = visible(attention.queries, state.special);
  const keys = visible(attention.keys, state.special);
  const palette = series(theme);
  const heads = [{ layer: state.layer, head: state.head }, ...state.also].flatMap((ref, i) => {
    const whole = session.map(ref);
    if (!whole) return [];
    const shown = pick(whole, queries, keys, state.special === "renormalise");
    return [{ ref, name: headName(ref), color: palette[i % palette.length], whole, shown }];
  });
  const held = state.query === null ? null : { query: state.query, key: state.key };
  const scene = {
    state,
    trace,
    attention,
    theme,
    ramp: colors,
    bytes: byteColors(colors, state.scale),
    top: 1,
    queries,
    keys,
    heads,
    overview: session.overview,
    stats: session.stats,
    arithmetic: session.arithmetic,
    held,
    cursor,
    chosen: choose(held ?? cursor, heads[0], queries, keys, attention),
  };
  const [head] = heads;
  if (head) scene.top = brightest(state.view === "text" ? seenFrom(scene, head).weights : head.shown.values);
  return scene;
}

/** Words that look at one another less than this are not what a head is about: it looks at special tokens or at itself. */
const TELLING = 0.05;

/**
 * The cell to explain: the one asked for, the strongest of the row asked for, else the strongest from one word to another.
 * @param {Place | null} asked @param {Head | undefined} head @param {number[]} queries @param {number[]} keys
 * @param {import("./trace.js").Attention} attention
 * @returns {Place | null}
 */
function choose(asked, head, queries, keys, attention) {
  if (!head) return asked;
  if (!asked) {
    const rows = visible(attention.queries, "hide");
    const cols = visible(attention.keys, "hide");
    const words = pick(head.whole, rows, cols);
    const itself = attention.queries === attention.keys && rows.length > 1;
    const { row, col } = peak(itself ? withoutDiagonal(words) : words);
    if (words.values[row * cols.length + col] >= TELLING) return { query: rows[row], key: cols[col] };
    const any = peak(pick(head.whole, rows, keys));
    return { query: rows[any.row], key: keys[any.col] };
  }
  if (asked.key !== null) return asked;
  const row = queries.indexOf(asked.query);
  if (row < 0) return { query: asked.query, key: strongest(rowOf(head.whole, asked.query), 1)[0] };
  return { query: asked.query, key: keys[strongest(rowOf(head.shown, row), 1)[0]] };
}

/** The row that a view shows: the one under the pointer, else the locked one, else the chosen one. @param {Scene} scene */
export const liveQuery = ({ cursor, held, chosen }) => (cursor ?? held ?? chosen)?.query ?? 0;

/** Weights of every visible token as seen from the chosen one. @param {Scene} scene @param {Head} head */
export function seenFrom(scene, head) {
  const { state, queries, keys } = scene;
  const token = liveQuery(scene);
  if (state.direction === "to") {
    const row = queries.indexOf(token);
    return { token, tokens: keys, weights: row < 0 ? rowOf(head.whole, token) : rowOf(head.shown, row) };
  }
  const col = keys.indexOf(token);
  return { token, tokens: queries, weights: columnOf(head.shown, Math.max(0, col)) };
}

// @ts-check
/** Everything the views draw from, in one frozen value per moment: views are functions of a scene. */
import { brightest, byteColors, diverging, ramp, series } from "./colors.js";
import { headName } from "./format.js";
import { columnOf, peak, pick, rowOf, strongest, withoutDiagonal } from "./matrix.js";
import { isShare, reach } from "./recurrent.js";
import { coarsest, topOf } from "./tiles.js";
import { attentionId, attentionOf, attentions, crosses, focusName, isLong, lastTokens, visible } from "./trace.js";

/** @typedef {import("./matrix.js").Matrix} Matrix */
/** @typedef {{query: number, key: number | null, seen?: Seen}} Place a row, or a cell of it */
/** @typedef {{value: number, queries: [number, number], keys: [number, number]}} Seen what a heat map's cell holds: a weight, or the strongest of several, with its first and last tokens */
/** @typedef {{queries: [number, number], keys: [number, number]}} Near the part of a long map that a view shows: first token, and the one after the last */

/**
 * @typedef {object} Head
 * @property {import("./state.js").HeadRef} ref
 * @property {string} name
 * @property {string} color
 * @property {Matrix | null} whole every token; null where the text is too long for that
 * @property {{query: number, values: Float32Array} | null} row of a long text, one query's weights over all keys
 * @property {Matrix} shown the visible tokens, renormalised if that is asked for
 */

/**
 * @typedef {object} Scene
 * @property {import("./state.js").State} state
 * @property {import("./trace.js").TraceBody} trace
 * @property {import("./trace.js").Attention} attention null only in a network without any, which is seen in the states view
 * @property {import("./trace.js").Attention[]} blocks every attention block there is
 * @property {Map<string, import("./session.js").Overview>} overviews
 * @property {Map<string, import("./session.js").Stats>} allStats
 * @property {import("./recurrent.js").RecurrentSite[] | null} recurrent
 * @property {Map<string, Matrix>} states
 * @property {import("./recurrent.js").RecurrentSite | null} site the recurrent state in focus
 * @property {import("./colors.js").Ramp} siteRamp
 * @property {[number, number]} siteRange what the ends of its ramp stand for
 * @property {{time: number, unit: number} | null} step the unit that is explained
 * @property {"heads" | "states"} sidebar
 * @property {boolean} inStates what is explained is a recurrent state and no weight
 * @property {"light" | "dark"} theme
 * @property {import("./colors.js").Ramp} ramp
 * @property {Uint32Array} bytes colours of byte weights
 * @property {number} top the weight that a linear scale draws brightest
 * @property {number[]} queries visible query tokens
 * @property {number[]} keys visible key tokens
 * @property {Head[]} heads the focused one first; only those whose map is here
 * @property {Near | null} near the part of a long text that `queries` and `keys` are; null where all of it is there
 * @property {import("./tiles.js").Tiles} tiles
 * @property {import("./session.js").Overview | null} overview
 * @property {import("./session.js").Stats | null} stats
 * @property {import("./generation.js").Shown | null} generation what the model says after the text; null where it says nothing
 * @property {any} arithmetic how the chosen weight came about; null until it is here
 * @property {Place | null} held what the reader has locked
 * @property {Place | null} cursor what is under the pointer
 * @property {Place | null} chosen what the inspector explains
 * @property {boolean} signed the weights are differences, with a sign
 * @property {number[][] | null} changes how much each head of the focused block differs from the right pane's: (layer, head)
 * @property {import("./compare/difference.js").Beside | null} beside what the right pane shows
 */

/** @param {"system" | "light" | "dark"} theme @returns {"light" | "dark"} */
export const resolved = (theme) =>
  theme === "system" ? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light") : theme;

/**
 * @param {import("./state.js").State} state
 * @param {import("./session.js").Session} session
 * @param {Place | null} cursor
 * @param {{time: number, unit: number} | null} over the unit of a recurrent state under the pointer
 * @param {import("./generation.js").Player} player
 * @param {Place | null} [suggested] what is explained where the reader asks for nothing else
 * @returns {Scene | null} null before there is a trace
 */
export function sceneOf(state, session, cursor, over, player, suggested = null) {
  const { trace } = session;
  if (!trace) return null;
  const attention = attentionOf(trace, state.stack, state.block);
  // What was pointed at in another picture is not there in this one.
  if (cursor && attention && (cursor.query >= attention.queries.length || (cursor.key ?? 0) >= attention.keys.length)) cursor = null;
  const theme = resolved(state.theme);
  const colors = ramp(state.palette, theme);
  const near = attention && isLong(attention) ? nearby(attention, state) : null;
  const within = (/** @type {number[]} */ all, /** @type {[number, number] | undefined} */ part) => (part ? all.filter((i) => i >= part[0] && i < part[1]) : all);
  const queries = attention ? within(visible(attention.queries, state.special), near?.queries) : [];
  const keys = attention ? within(visible(attention.keys, state.special), near?.keys) : [];
  const palette = series(theme);
  const found = [{ layer: state.layer, head: state.head }, ...state.also].flatMap((ref, i) => {
    const named = { ref, name: attention ? focusName(attention, headName(ref)) : headName(ref), color: palette[i % palette.length] };
    const renormalised = state.special === "renormalise";
    if (attention && near) {
      const row = session.row(attention, ref);
      const part = state.view === "heatmap" ? NOTHING : session.near(attention, ref, near);
      if (!row || !part) return [];
      const from = (/** @type {number[]} */ tokens, /** @type {[number, number]} */ [first]) => tokens.map((at) => at - first);
      const shown = part === NOTHING ? NOTHING : pick(part, from(queries, near.queries), from(keys, near.keys), renormalised);
      return [{ ...named, whole: null, row, shown }];
    }
    const whole = attention && session.map(attention, ref);
    return whole ? [{ ...named, whole, row: null, shown: pick(whole, queries, keys, renormalised) }] : [];
  });
  // Another head's map is no picture of the one in focus: none is drawn until it is here.
  const heads = found[0] && found[0].ref.layer === state.layer && found[0].ref.head === state.head ? found : [];
  const held = state.query === null ? null : { query: state.query, key: state.key };
  const blocks = attentions(trace);
  const { recurrent } = session;
  const site = recurrent?.find(({ address }) => address === state.site) ?? recurrent?.[0] ?? null;
  const numbers = site && session.states.get(site.address);
  const top = site && isShare(site) ? 1 : reach(numbers?.values ?? []);
  const keptStep = state.time !== null && state.unit !== null && numbers && state.unit < numbers.cols ? { time: state.time, unit: state.unit } : null;
  const only = blocks.reduce((sum, { layers, heads: each }) => sum + layers * each, 0) < 2;
  const id = attention && attentionId(attention);
  /** @type {Scene} */
  const scene = {
    state,
    trace,
    attention: /** @type {import("./trace.js").Attention} */ (attention),
    blocks,
    overviews: session.overviews,
    allStats: session.stats,
    recurrent,
    states: session.states,
    site,
    siteRamp: site && isShare(site) ? colors : diverging(theme),
    siteRange: site && isShare(site) ? [0, 1] : [-top, top],
    step: over ?? keptStep ?? (numbers ? strongestStep(numbers) : null),
    // A grid of one head would say nothing that the heat map does not.
    sidebar: only && recurrent?.length ? "states" : "heads",
    inStates: state.view === "states" || !attention,
    theme,
    ramp: colors,
    bytes: byteColors(colors, state.scale),
    top: 1,
    queries,
    keys,
    heads,
    near,
    tiles: session.tiles,
    overview: (id && session.overviews.get(id)) || null,
    stats: (id && session.stats.get(id)) || null,
    generation: session.generates === false ? null : player.shown(state.step),
    arithmetic: session.arithmetic,
    held,
    cursor,
    chosen: attention ? (near ? chooseLong(held ?? (exactly(cursor) ? cursor : null) ?? suggested, heads[0], attention) : choose(held ?? cursor ?? suggested, heads[0], queries, keys, attention)) : null,
    signed: false,
    changes: null,
    beside: null,
  };
  const [head] = heads;
  if (attention && near && state.view === "heatmap") scene.top = topOf(session.tiles.get(attention, { layer: state.layer, head: state.head }, { cell: coarsest(attention), query: 0, key: 0 }));
  else if (head && state.view !== "states") scene.top = brightest(weightsOf(scene, head));
  return scene;
}

/** Whether everything is here that this scene shows. @param {Scene} scene */
export function complete({ attention, heads, overview, inStates, site, states, recurrent }) {
  if (!recurrent) return false;
  if (inStates) return site === null || states.has(site.address);
  return !attention || (heads.length > 0 && overview !== null);
}

/** What a view draws of a head: one token's row, or the whole map. @param {Scene} scene @param {Head} head */
function weightsOf(scene, head) {
  if (scene.state.view === "text") return seenFrom(scene, head).weights;
  const row = rowOfStep(scene);
  return (scene.state.view === "generate" && row !== null && rowOfQuery(head, row)) || head.shown.values;
}

/** The row of the token that was read last before the shown step's came; null where the focused block has no such row. @param {Scene} scene */
export function rowOfStep({ generation, attention, trace, heads }) {
  const row = (generation?.steps[generation.shown]?.position ?? 0) - 1;
  const there = attention?.queries === lastTokens(trace) && heads[0] && row >= 0 && row < attention.queries.length;
  return there && rowOfQuery(heads[0], row) ? row : null;
}

/** @param {Matrix} numbers the unit that is furthest from nothing */
function strongestStep({ values, cols }) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (Math.abs(values[i]) > Math.abs(values[best])) best = i;
  return { time: Math.floor(best / cols), unit: best % cols };
}

/** @type {Matrix} where tiles are drawn instead */
const NOTHING = { values: new Float32Array(0), rows: 0, cols: 0 };

/** Tokens of a long text that are listed, tinted or joined by lines at once. */
const LISTED = 64;

/**
 * Where a long text is looked at: around the held row, else at its end; keys around the held one, else beside the query.
 * @param {import("./trace.js").Attention} attention @param {import("./state.js").State} state @returns {Near}
 */
function nearby({ queries, keys, block }, { query, key }) {
  const around = (/** @type {number} */ at, /** @type {number} */ length) => {
    const first = Math.max(0, Math.min(at - LISTED / 2, length - LISTED));
    return /** @type {[number, number]} */ ([first, Math.min(length, first + LISTED)]);
  };
  const at = query ?? queries.length - 1;
  return { queries: around(at, queries.length), keys: around(key ?? (block.query_stack === block.key_stack ? at : 0), keys.length) };
}

/** Whether the pointer is at one pair, and not at a cell that stands for several. @param {Place | null} place */
export const exactly = (place) => place !== null && (!place.seen || (place.seen.queries[0] === place.seen.queries[1] && place.seen.keys[0] === place.seen.keys[1]));

/** The cell to explain in a long text: the one asked for, else the strongest of the row. @param {Place | null} asked @param {Head | undefined} head @param {import("./trace.js").Attention} attention @returns {Place} */
function chooseLong(asked, head, attention) {
  const query = asked?.query ?? attention.queries.length - 1;
  if (asked?.key != null) return { query, key: asked.key };
  const row = head && rowOfQuery(head, query);
  return { query, key: row ? strongest(row, 1)[0] : null };
}

/** One query's weights over all keys; null while they are not here. @param {Head} head @param {number} query */
export const rowOfQuery = ({ whole, row }, query) => (whole ? rowOf(whole, query) : row?.query === query ? row.values : null);

/** One weight as the network has it; undefined while it is not here. @param {Head} head @param {Place} place @returns {number | undefined} */
export const weightOf = (head, { query, key, seen }) => (seen && head.whole === null ? seen.value : rowOfQuery(head, query)?.[key ?? 0]);

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
    const words = pick(/** @type {Matrix} */ (head.whole), rows, cols);
    const itself = attention.queries === attention.keys && rows.length > 1;
    const { row, col } = peak(itself ? withoutDiagonal(words) : words);
    if (words.values[row * cols.length + col] >= TELLING) return { query: rows[row], key: cols[col] };
    const any = peak(pick(/** @type {Matrix} */ (head.whole), rows, keys));
    return { query: rows[any.row], key: keys[any.col] };
  }
  if (asked.key !== null) return asked;
  const row = queries.indexOf(asked.query);
  if (row < 0) return { query: asked.query, key: strongest(rowOf(/** @type {Matrix} */ (head.whole), asked.query), 1)[0] };
  return { query: asked.query, key: keys[strongest(rowOf(head.shown, row), 1)[0]] };
}

/** The row that a view shows: the one under the pointer, else the locked one, else the chosen one. @param {Scene} scene */
export const liveQuery = ({ cursor, held, chosen }) => (cursor ?? held ?? chosen)?.query ?? 0;

/** What a token attends to, or what attends to it; the whole is never attended to. @param {Scene} scene */
export const direction = ({ state, attention }) => (attention.pools ? "to" : state.direction);

/**
 * Weights of every visible token as seen from the chosen one: `name` is the chosen token, `side` holds the others.
 * @param {Scene} scene @param {Head} head
 */
export function seenFrom(scene, head) {
  const { queries, keys, attention } = scene;
  if (direction(scene) === "to") {
    const token = liveQuery(scene);
    const row = queries.indexOf(token);
    return { token, name: attention.queries[token], side: attention.keys, tokens: keys, weights: row < 0 ? keys.map((key) => rowOfQuery(head, token)?.[key] ?? 0) : rowOf(head.shown, row) };
  }
  const token = crosses(attention) ? liveKey(scene) : liveQuery(scene);
  const col = Math.max(0, keys.indexOf(token));
  return { token: keys[col], name: attention.keys[keys[col]], side: attention.queries, tokens: queries, weights: columnOf(head.shown, col) };
}

/** The key that a view shows what looks at it. @param {Scene} scene */
const liveKey = ({ cursor, held, chosen, keys }) => cursor?.key ?? held?.key ?? chosen?.key ?? keys[0];

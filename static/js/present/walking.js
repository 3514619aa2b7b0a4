// @ts-check
/** Where one key leads in a picture: to the next row that looks, or to the next step in time. */
import { visible } from "../trace.js";

/** @typedef {"forward" | "back" | "first" | "last"} Way */

/**
 * From the whole picture to its first row, row by row, and back.
 * @param {import("../scene.js").Scene} scene @param {Way} by
 * @returns {Partial<import("../state.js").State> | null} null where there is nothing further
 */
export function onwards({ state, trace, attention, site, step, inStates }, by) {
  if (!inStates) {
    const rows = visible(attention.queries, state.special);
    const seen = state.window && state.view === "heatmap" ? state.window : null;
    const from = state.query === null && by === "forward" && seen ? rows.findIndex((row) => row >= seen.query) - 1 : rows.indexOf(state.query ?? -1);
    const to = place(from, rows.length, by);
    return to === null ? null : { query: rows[to] ?? null, key: null, ...(seen && to >= 0 ? { window: around(seen, rows[to]) } : {}) };
  }
  if (!site) return null;
  const to = place(state.time ?? -1, trace.tokens[site.stack].length, by);
  if (to === null) return null;
  return to < 0 ? { time: null, unit: null } : { time: to, unit: state.unit ?? step?.unit ?? 0 };
}

/** The next of so many places, of which -1 is the whole. @param {number} now @param {number} length @param {Way} by */
function place(now, length, by) {
  const to = { forward: now + 1, back: now - 1, first: -1, last: length - 1 }[by];
  return to < -1 || to >= length || to === now ? null : to;
}

/** The part of a long map that is looked at, moved as little as shows a row. @param {NonNullable<import("../state.js").State["window"]>} window @param {number} row */
function around(window, row) {
  const { query, span } = window;
  return { ...window, query: row < query ? row : Math.max(query, row + 1 - span) };
}

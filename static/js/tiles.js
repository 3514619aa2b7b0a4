// @ts-check
/** A long map in pieces: squares of cells at every zoom, asked for when they are looked at and dropped when they are not. */
import { Problem } from "./api.js";
import { brightest } from "./colors.js";
import { refName } from "./state.js";
import { attentionId, crosses } from "./trace.js";

/** @typedef {import("./trace.js").Attention} Attention */
/** @typedef {import("./state.js").HeadRef} HeadRef */
/** @typedef {{values: Float32Array, rows: number, cols: number, queries: number[], keys: number[]}} Tile edges: where each row and each column begins, with the end */
/** @typedef {{cell: number, query: number, key: number}} Where a cell stands for cell × cell tokens; the first token of each axis */

/** Cells along a side of a tile. */
export const SIDE = 256;
const KEPT = 96;
/** Browsers open six connections to a server; one is left for what the reader asks for next. */
const AT_ONCE = 5;

/** Tokens per cell at which the whole map is one tile. @param {Attention} attention */
export const coarsest = ({ queries, keys }) => 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(queries.length, keys.length) / SIDE)));

/**
 * The tiles that cover a window, without those that a causal mask leaves empty.
 * @param {Attention} attention @param {{query: number, key: number, rows: number, cols: number}} window @param {number} cell
 * @returns {Where[]}
 */
export function covering(attention, { query, key, rows, cols }, cell) {
  const step = SIDE * cell;
  const from = (/** @type {number} */ at) => Math.floor(at / step) * step;
  /** @type {Where[]} */
  const found = [];
  for (let q = from(query); q < Math.min(query + rows, attention.queries.length); q += step) {
    for (let k = from(key); k < Math.min(key + cols, attention.keys.length); k += step) {
      const empty = attention.block.causal && !crosses(attention) && k > q + step - 1;
      if (!empty) found.push({ cell, query: q, key: k });
    }
  }
  return found;
}

export class Tiles {
  /** @type {Map<string, Tile>} the least recently used first */
  #tiles = new Map();
  /** @type {Map<string, object>} */
  #flying = new Map();
  /** @type {Set<string>} what could not be had is not asked for again by itself */
  #failed = new Set();

  /** @param {import("./api.js").Api} api @param {(problem?: Problem) => void} changed called when something arrived */
  constructor(api, changed) {
    this.api = api;
    this.changed = changed;
  }

  get busy() {
    return this.#flying.size > 0;
  }

  /** @param {Attention} attention @param {HeadRef} ref @param {Where} where */
  #name(attention, ref, { cell, query, key }) {
    return `tile ${attentionId(attention)} ${refName(ref)} ${cell} ${query} ${key}`;
  }

  /** @param {Attention} attention @param {HeadRef} ref @param {Where} where @returns {Tile | undefined} */
  get(attention, ref, where) {
    const name = this.#name(attention, ref, where);
    const tile = this.#tiles.get(name);
    if (tile) {
      this.#tiles.delete(name);
      this.#tiles.set(name, tile);
    }
    return tile;
  }

  /** Forgets everything: another text has come. */
  clear() {
    for (const name of this.#flying.keys()) this.api.cancel(name);
    this.#flying.clear();
    this.#tiles.clear();
    this.#failed.clear();
  }

  /** Lets what failed be asked for again. */
  retry() {
    this.#failed.clear();
  }

  /**
   * What is looked at now, most wanted first; whatever else is on its way is dropped.
   * @param {string} trace @param {Attention} attention @param {HeadRef} ref @param {import("./api.js").Query} selection @param {Where[]} wanted
   */
  want(trace, attention, ref, selection, wanted) {
    const named = new Map(wanted.map((where) => [this.#name(attention, ref, where), where]));
    for (const name of this.#flying.keys()) {
      if (named.has(name)) continue;
      this.api.cancel(name);
      this.#flying.delete(name);
    }
    for (const [name, where] of named) {
      if (this.#flying.size >= AT_ONCE) return;
      if (this.#tiles.has(name) || this.#flying.has(name) || this.#failed.has(name)) continue;
      this.#fetch(name, trace, attention, selection, where);
    }
  }

  /** @param {string} name @param {string} trace @param {Attention} attention @param {import("./api.js").Query} selection @param {Where} where */
  async #fetch(name, trace, attention, selection, { cell, query, key }) {
    const ends = { query: Math.min(query + SIDE * cell, attention.queries.length), key: Math.min(key + SIDE * cell, attention.keys.length) };
    const cells = Math.ceil(Math.max(ends.query - query, ends.key - key) / cell);
    const asked = {
      stack: attention.stack,
      block: attention.block.name,
      ...selection,
      queries: `${query}-${ends.query - 1}`,
      keys: `${key}-${ends.key - 1}`,
      size: cell > 1 ? cells : undefined,
    };
    const flight = {};
    const still = () => this.#flying.get(name) === flight;
    this.#flying.set(name, flight);
    try {
      const { data, shape, metadata } = await this.api.tensor(`traces/${trace}/attention`, asked, name);
      if (!still()) return;
      const edges = (/** @type {string} */ of, /** @type {number} */ start, /** @type {number} */ end) =>
        /** @type {number[]} */ (JSON.parse(metadata[of] ?? "null") ?? Array.from({ length: end - start + 1 }, (_, i) => i)).map((at) => start + at);
      this.#tiles.set(name, {
        values: /** @type {Float32Array} */ (data),
        rows: shape[2],
        cols: shape[3],
        queries: edges("query_edges", query, ends.query),
        keys: edges("key_edges", key, ends.key),
      });
      if (this.#tiles.size > KEPT) this.#tiles.delete([...this.#tiles.keys()][0]);
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      if (!(error instanceof Problem)) throw error;
      if (!still()) return;
      this.#failed.add(name);
      this.#flying.delete(name);
      return this.changed(error);
    }
    this.#flying.delete(name);
    this.changed();
  }
}

/** @type {WeakMap<Tile, number>} */
const tops = new WeakMap();

/** The weight that a long map draws brightest: that of the tile that is all of it. @param {Tile | undefined} tile */
export function topOf(tile) {
  if (!tile) return 1;
  let top = tops.get(tile);
  if (top === undefined) tops.set(tile, (top = brightest(tile.values)));
  return top;
}

/** The cell of a tile that a pair falls into. @param {Tile} tile @param {number} query @param {number} key */
export function cellAt({ values, cols, queries, keys }, query, key) {
  const place = (/** @type {number[]} */ edges, /** @type {number} */ at) => {
    let [low, high] = [0, edges.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (edges[middle] <= at) low = middle;
      else high = middle;
    }
    return low;
  };
  const [row, col] = [place(queries, query), place(keys, key)];
  return {
    value: values[row * cols + col],
    queries: /** @type {[number, number]} */ ([queries[row], queries[row + 1] - 1]),
    keys: /** @type {[number, number]} */ ([keys[col], keys[col + 1] - 1]),
  };
}

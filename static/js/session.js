// @ts-check
/** Brings what the state asks for: the trace, the overview of all heads, the focused maps, one weight's arithmetic. */
import { Problem } from "./api.js";
import { refName } from "./state.js";
import { attentionOf } from "./trace.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").HeadRef} HeadRef */
/** @typedef {import("./matrix.js").Matrix} Matrix */

/**
 * Thumbnails of all heads, as bytes, and the same of several heads taken together.
 * @typedef {object} Overview
 * @property {string} name
 * @property {number} layers
 * @property {number} heads
 * @property {number} rows
 * @property {number} cols
 * @property {Uint8Array} each (layer, head, row, col)
 * @property {Uint8Array} layer (layer, row, col): a layer's heads together
 * @property {Uint8Array} all (row, col): all heads together
 */

/** @typedef {Record<"sharpness" | "entropy" | "peak" | "previous" | "first" | "own", number[][]>} Stats each (layer, head) */

/** Thumbnails are about this many pixels wide. */
const THUMBNAIL = 48;

/** So many cells per side that every one stands for as many tokens as the next. @param {number} tokens */
export const thumbnailSize = (tokens) => Math.ceil(tokens / Math.ceil(tokens / THUMBNAIL));

export class Session {
  /** @type {import("./trace.js").TraceBody | null} */
  trace = null;
  /** @type {Overview | null} */
  overview = null;
  /** @type {Stats | null} */
  stats = null;
  /** @type {any} */
  arithmetic = null;
  /** @type {Problem | null} */
  problem = null;
  /** @type {Map<string, Matrix>} */
  #maps = new Map();
  /** @type {Map<string, string>} what each channel was last asked for */
  #asked = new Map();
  /** @type {Set<string>} what failed is not asked again until the reader does something */
  #failed = new Set();
  /** @type {Set<string>} */
  #renewed = new Set();
  #running = 0;
  #reading = 0;

  /**
   * @param {import("./api.js").Api} api
   * @param {() => void} changed called when something arrived
   */
  constructor(api, changed) {
    this.api = api;
    this.changed = changed;
  }

  /** Whether something is on its way. */
  get busy() {
    return this.#running > 0;
  }

  /** Whether another sentence is on its way, so that what is on screen belongs to the one before. */
  get reading() {
    return this.#reading > 0;
  }

  /** @param {HeadRef} ref @returns {Matrix | undefined} */
  map(ref) {
    return this.#maps.get(refName(ref));
  }

  /** Whether the trace in hand is the one that is named. @param {Pick<State, "model" | "text" | "pair">} named */
  shows({ model, text, pair }) {
    const { trace } = this;
    return trace !== null && trace.model === model && trace.text === text && (trace.pair ?? null) === pair;
  }

  /** @param {import("./trace.js").TraceBody} trace */
  adopt(trace) {
    if (this.trace?.id !== trace.id) {
      this.#maps.clear();
      this.overview = this.stats = this.arithmetic = null;
      this.#asked.clear();
    }
    this.trace = trace;
    this.problem = null;
  }

  /**
   * Runs one request per channel; the same request twice is asked once, a new one cancels the old one.
   * @param {string} channel @param {string} name @param {() => Promise<void>} ask
   */
  async #ask(channel, name, ask) {
    if (this.#asked.get(channel) === name) return;
    this.#asked.set(channel, name);
    this.#running++;
    try {
      await ask();
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      if (!(error instanceof Problem)) throw error;
      if (this.#asked.get(channel) !== name) return;
      if (channel === "trace") this.#asked.delete(channel);
      else this.#failed.add(channel);
      if (error.status === 404 && channel !== "trace" && (await this.#renew())) return;
      this.problem = error;
    } finally {
      this.#running--;
      this.changed();
    }
  }

  /** Lets what failed be asked again. */
  retry() {
    if (this.#failed.size) this.problem = null;
    for (const channel of this.#failed) this.#asked.delete(channel);
    this.#failed.clear();
  }

  /** A server that was restarted has forgotten the trace: it is made again, once, and everything is asked for again. */
  async #renew() {
    const { trace } = this;
    if (!trace || this.#renewed.has(trace.id)) return false;
    this.#renewed.add(trace.id);
    try {
      const { model, text, pair } = trace;
      await this.api.trace({ model, text, pair: pair ?? null }, { fresh: true });
    } catch {
      return false;
    }
    this.#asked.clear();
    return true;
  }

  /** Reads a text; the old picture stays until the new one is here, and if it never comes. @param {Pick<State, "model" | "text" | "pair">} what @returns {Promise<boolean>} */
  async read(what) {
    const name = JSON.stringify([what.model, what.text, what.pair]);
    let arrived = false;
    await this.#ask("trace", name, async () => {
      this.#reading++;
      const trace = await this.api.trace(what).finally(() => this.#reading--);
      if (this.#asked.get("trace") !== name) return;
      this.adopt(trace);
      arrived = true;
    });
    return arrived;
  }

  /** Asks for what this state shows and is not here yet. @param {State} state @param {import("./scene.js").Place | null} chosen */
  follow(state, chosen) {
    const { trace } = this;
    if (!trace) return;
    const attention = attentionOf(trace, state.stack, state.block);
    const block = { stack: attention.stack, block: attention.block.name };
    const here = `${trace.id} ${block.stack}.${block.block}`;
    const path = `traces/${trace.id}`;
    const still = () => this.trace === trace;

    this.#ask("overview", `${here} ${state.aggregate}`, () => this.#overview(path, block, attention, state.aggregate, here, still));
    this.#ask("stats", here, async () => {
      const stats = await this.api.json(`${path}/heads`, block, "stats");
      if (still()) this.stats = stats;
    });

    for (const [i, ref] of [{ layer: state.layer, head: state.head }, ...state.also].entries()) {
      if (this.#maps.has(refName(ref))) continue;
      this.#ask(`map ${i}`, `${here} ${refName(ref)}`, async () => {
        const query = { ...block, ...selection(ref) };
        const { data, shape } = await this.api.attention(`${path}/attention`, query, `map ${i}`);
        if (still()) this.#maps.set(refName(ref), { values: /** @type {Float32Array} */ (data), rows: shape[2], cols: shape[3] });
      });
    }

    if (chosen?.key != null && typeof state.head === "number") {
      const query = { ...block, layer: Number(state.layer), head: state.head, query: chosen.query, key: chosen.key };
      this.#ask("arithmetic", `${here} ${JSON.stringify(query)}`, async () => {
        const arithmetic = await this.api.json(`${path}/arithmetic`, query, "arithmetic");
        if (still()) this.arithmetic = arithmetic;
      });
    }
  }

  /**
   * @param {string} path @param {{stack: string, block: string}} block @param {import("./trace.js").Attention} attention
   * @param {"mean" | "max"} aggregate @param {string} name @param {() => boolean} still
   */
  async #overview(path, block, attention, aggregate, name, still) {
    const longest = Math.max(attention.queries.length, attention.keys.length);
    const small = { ...block, size: thumbnailSize(longest), dtype: "u8" };
    const [each, layer, all] = await Promise.all([
      this.api.attention(`${path}/attention`, small, "overview each"),
      this.api.attention(`${path}/attention`, { ...small, reduce: aggregate, over: "heads" }, "overview layer"),
      this.api.attention(`${path}/attention`, { ...small, reduce: aggregate, over: "all" }, "overview all"),
    ]);
    if (!still()) return;
    const [layers, heads, rows, cols] = each.shape;
    const bytes = (/** @type {import("./api.js").Tensor} */ t) => /** @type {Uint8Array} */ (t.data);
    this.overview = { name: `${name} ${aggregate}`, layers, heads, rows, cols, each: bytes(each), layer: bytes(layer), all: bytes(all) };
  }
}

/** The query that selects a head, or several heads together. @param {HeadRef} ref */
export function selection({ layer, head }) {
  const layers = layer === "all" ? undefined : layer;
  return typeof head === "number" ? { layers, heads: head } : { layers, reduce: head, over: layer === "all" ? "all" : "heads" };
}

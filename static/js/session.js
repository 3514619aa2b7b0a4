// @ts-check
/** Brings what the state asks for: the trace, the overviews of all heads, the focused maps, one weight's arithmetic, recurrent states. */
import { Problem } from "./api.js";
import { writePatches } from "./interventions.js";
import { equation, recurrentSites } from "./recurrent.js";
import { Tiles } from "./tiles.js";
import { refName } from "./state.js";
import { attentionId, attentionOf, attentions } from "./trace.js";

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

/** @typedef {Record<"sharpness" | "entropy" | "peak" | "first", number[][]> & Record<"previous" | "own", number[][] | null>} Stats each (layer, head) */

/** @typedef {Pick<State, "model" | "text" | "pair" | "target" | "said" | "patches">} Named what a trace is of */

/** @param {Named | import("./trace.js").TraceBody} what */
const nameOf = ({ model, text, pair, target, said, patches }) => JSON.stringify([model, text, pair ?? null, target ?? null, said ?? null, writePatches(patches)]);

/** Thumbnails are about this many pixels wide. */
const THUMBNAIL = 48;

/** Texts of so many tokens have the maps of all their heads sent as they are; longer ones as bytes, up to a limit. */
const AS_FLOATS = 64;
const AS_BYTES = 256;

/** So many cells per side that every one stands for as many tokens as the next. @param {number} tokens */
export const thumbnailSize = (tokens) => Math.ceil(tokens / Math.ceil(tokens / THUMBNAIL));

export class Session {
  /** @type {import("./trace.js").TraceBody | null} */
  trace = null;
  /** @type {Map<string, Overview>} by attention block */
  overviews = new Map();
  /** @type {Map<string, Stats>} by attention block */
  stats = new Map();
  /** @type {Map<string, import("./compare/difference.js").Every>} all maps of a block, by attention block */
  every = new Map();
  /** @type {Map<string, Matrix>} recurrent states by address: (time, unit) */
  states = new Map();
  /** @type {any} */
  arithmetic = null;
  /** @type {Problem | null} */
  problem = null;
  /** @type {Map<string, Matrix>} */
  #maps = new Map();
  /** @type {Map<string, {query: number, values: Float32Array}>} by block and head, the row of a long map that was asked for last */
  #rows = new Map();
  /** What there is of long maps. @type {Tiles} */
  tiles;
  /** @type {Map<string, import("./recurrent.js").RecurrentSite[]>} by model */
  #recurrent = new Map();
  /** @type {Map<string, any>} what the server says of a model */
  #details = new Map();
  /** @type {Map<string, boolean | null>} by model */
  #generates = new Map();
  /** @type {Map<string, string>} what each channel was last asked for */
  #asked = new Map();
  /** @type {Set<string>} what failed is not asked again until the reader does something */
  #failed = new Set();
  /** @type {Map<string, {since: number, done: Promise<boolean>}>} by trace */
  #renewed = new Map();
  #running = 0;
  /** What is being drawn in the background: the block of a long text whose heads come layer by layer. */
  #overviewing = "";
  #reading = 0;

  /**
   * @param {import("./api.js").Api} api
   * @param {() => void} changed called when something arrived
   */
  constructor(api, changed) {
    this.api = api;
    this.changed = changed;
    this.tiles = new Tiles(api, (problem) => {
      if (problem) this.problem = problem;
      changed();
    });
  }

  /** Whether something is on its way. */
  get busy() {
    return this.#running > 0 || this.tiles.busy;
  }

  /** Whether another sentence is on its way, so that what is on screen belongs to the one before. */
  get reading() {
    return this.#reading > 0;
  }

  /** @param {import("./trace.js").Attention} attention @param {HeadRef} ref @returns {Matrix | undefined} */
  map(attention, ref) {
    return this.#maps.get(`${attentionId(attention)} ${refName(ref)}`);
  }

  /** One row over all keys, of a text that is too long for whole maps. @param {import("./trace.js").Attention} attention @param {HeadRef} ref */
  row(attention, ref) {
    return this.#rows.get(`${attentionId(attention)} ${refName(ref)}`);
  }

  /** A part of such a map. @param {import("./trace.js").Attention} attention @param {HeadRef} ref @param {import("./scene.js").Near} near @returns {Matrix | undefined} */
  near(attention, ref, near) {
    return this.#maps.get(`${attentionId(attention)} ${refName(ref)} ${near.queries} ${near.keys}`);
  }

  /** Recurrent states that the model has; null until the server has said. */
  get recurrent() {
    return (this.trace && this.#recurrent.get(this.trace.model)) ?? null;
  }

  /** Whether the model continues texts; null until the server has said. */
  get generates() {
    return (this.trace && this.#generates.get(this.trace.model)) ?? null;
  }

  /** The model as the server describes it; null until it has. */
  get detail() {
    return (this.trace && this.#details.get(this.trace.model)) ?? null;
  }

  /** What a model is made of, as the server describes it. @param {{id: string, sites: any[] | null, generates: boolean | null}} detail */
  describe(detail) {
    const { id, sites, generates } = detail;
    if (!sites) return;
    this.#details.set(id, detail);
    this.#recurrent.set(id, recurrentSites(sites));
    this.#generates.set(id, generates);
  }

  /** Whether the trace in hand is the one that is named. @param {Named} named */
  shows(named) {
    return this.trace !== null && nameOf(this.trace) === nameOf(named);
  }

  /** @param {import("./trace.js").TraceBody} trace */
  adopt(trace) {
    if (this.trace?.id !== trace.id) {
      this.api.cancel("background");
      this.#overviewing = "";
      this.tiles.clear();
      for (const kept of [this.#maps, this.#rows, this.overviews, this.stats, this.every, this.states]) kept.clear();
      this.arithmetic = null;
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
    const since = performance.now();
    try {
      await ask();
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      if (!(error instanceof Problem)) throw error;
      if (this.#asked.get(channel) !== name) return;
      if (channel === "trace") this.#asked.delete(channel);
      else this.#failed.add(channel);
      if (error.status === 404 && channel !== "trace" && this.trace && (await this.renew(this.trace, since))) return;
      this.problem = error;
    } finally {
      this.#running--;
      this.changed();
    }
  }

  /** Lets what failed be asked again. */
  retry() {
    this.tiles.retry();
    if (this.#failed.size) this.problem = null;
    for (const channel of this.#failed) this.#asked.delete(channel);
    this.#failed.clear();
  }

  /**
   * A server that was restarted has forgotten a trace: it is made again, once, and everything is asked for again.
   * @param {import("./trace.js").TraceBody} trace @param {number} since when the caller asked what was refused: a trace that was made again after that is there
   */
  async renew(trace, since) {
    const { id, model, text, pair, target, said, patches } = trace;
    const before = this.#renewed.get(id);
    if (before) return before.since >= since && before.done;
    const made = this.api.trace({ model, text, pair: pair ?? null, target: target ?? null, said: said ?? null, patches }, { fresh: true });
    const done = made.then(
      () => true,
      () => false,
    );
    this.#renewed.set(id, { since: performance.now(), done });
    if (!(await done)) return false;
    this.#asked.clear();
    return true;
  }

  /** Stays with the text that is shown: another one on its way is no longer wanted. */
  stay() {
    this.api.cancel("trace");
    this.#asked.delete("trace");
    this.problem = null;
  }

  /** Reads a text; the old picture stays until the new one is here, and if it never comes. @param {Named} what @returns {Promise<boolean>} */
  async read(what) {
    const name = nameOf(what);
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

  /** Asks for what this state shows and is not here yet. @param {State} state @param {import("./scene.js").Scene} scene */
  follow(state, { attention, chosen, site, sidebar, near, inStates }) {
    const { trace } = this;
    if (!trace) return;
    const still = () => this.trace === trace;
    if (!this.recurrent) {
      this.#ask("model", trace.model, async () => this.describe(await this.api.json(`models/${encodeURIComponent(trace.model)}`, {}, "model")));
    }
    if (attention && near) this.#followLong(trace, state, attention, chosen, near, still);
    else if (attention) this.#followAttention(trace, state, attention, still);
    if (attention) this.#followArithmetic(trace, state, attention, chosen, still);
    const wanted = inStates && site ? [site, ...this.#neighbours(site)] : [];
    for (const { address } of sidebar === "states" ? [...wanted, ...(this.recurrent ?? [])] : wanted) {
      if (this.states.has(address)) continue;
      this.#ask(`state ${address}`, `${trace.id} ${address}`, async () => {
        const { data, shape } = await this.api.tensor(`traces/${trace.id}/tensors/${address}`, {}, `state ${address}`);
        if (still()) this.states.set(address, { values: /** @type {Float32Array} */ (data), rows: shape[0], cols: shape[1] });
      });
    }
  }

  /** Asks for every map of a block; of many tokens as bytes, of very many not at all. @param {import("./trace.js").Attention} attention */
  followEvery(attention) {
    const { trace } = this;
    const tokens = Math.max(attention.queries.length, attention.keys.length);
    if (!trace || tokens > AS_BYTES) return;
    const id = attentionId(attention);
    this.#ask("every", `${trace.id} ${id}`, async () => {
      const query = { stack: attention.stack, block: attention.block.name, dtype: tokens > AS_FLOATS ? "u8" : "f32" };
      const { data, shape: [layers, heads, rows, cols] } = await this.api.tensor(`traces/${trace.id}/attention`, query, "every");
      if (this.trace === trace) this.every.set(id, { values: data, unit: data instanceof Uint8Array ? 255 : 1, layers, heads, rows, cols });
    });
  }

  /** What the equation of a state is made of. @param {import("./recurrent.js").RecurrentSite} site */
  #neighbours(site) {
    const all = this.recurrent ?? [];
    return equation(site, all) ? all.filter(({ where, part }) => where === site.where && part !== site.part && part !== "input") : [];
  }

  /**
   * @param {import("./trace.js").TraceBody} trace @param {State} state @param {import("./trace.js").Attention} attention @param {() => boolean} still
   */
  #followAttention(trace, state, attention, still) {
    const block = { stack: attention.stack, block: attention.block.name };
    const path = `traces/${trace.id}`;

    // The block in focus first; the others are small beside it.
    for (const other of [attention, ...attentions(trace).filter((one) => attentionId(one) !== attentionId(attention))]) {
      const id = attentionId(other);
      const named = { stack: other.stack, block: other.block.name };
      this.#ask(`overview ${id}`, `${trace.id} ${id} ${state.aggregate}`, () => this.#overview(path, named, other, state.aggregate, `${trace.id} ${id}`, still));
      this.#ask(`stats ${id}`, `${trace.id} ${id}`, async () => {
        const stats = await this.api.json(`${path}/heads`, named, `stats ${id}`);
        if (still()) this.stats.set(id, stats);
      });
    }

    for (const [i, ref] of [{ layer: state.layer, head: state.head }, ...state.also].entries()) {
      if (this.map(attention, ref)) continue;
      const name = `${attentionId(attention)} ${refName(ref)}`;
      this.#ask(`map ${i}`, `${trace.id} ${name}`, async () => {
        const query = { ...block, ...selection(ref) };
        const { data, shape } = await this.api.tensor(`${path}/attention`, query, `map ${i}`);
        if (still()) this.#maps.set(name, { values: /** @type {Float32Array} */ (data), rows: shape[2], cols: shape[3] });
      });
    }

  }

  /**
   * @param {import("./trace.js").TraceBody} trace @param {State} state @param {import("./trace.js").Attention} attention
   * @param {import("./scene.js").Place | null} chosen @param {() => boolean} still
   */
  #followArithmetic(trace, state, attention, chosen, still) {
    const path = `traces/${trace.id}`;
    const here = `${trace.id} ${attentionId(attention)}`;
    if (chosen?.key != null && typeof state.head === "number") {
      const query = { stack: attention.stack, block: attention.block.name, layer: Number(state.layer), head: state.head, query: chosen.query, key: chosen.key };
      this.#ask("arithmetic", `${here} ${JSON.stringify(query)}`, async () => {
        const arithmetic = await this.api.json(`${path}/arithmetic`, query, "arithmetic");
        if (still()) this.arithmetic = arithmetic;
      });
    }
  }

  /**
   * Of a long text: the chosen row, a part of the map where a view needs it, and the heads layer by layer. Never a whole map.
   * @param {import("./trace.js").TraceBody} trace @param {State} state @param {import("./trace.js").Attention} attention
   * @param {import("./scene.js").Place | null} chosen @param {import("./scene.js").Near} near @param {() => boolean} still
   */
  #followLong(trace, state, attention, chosen, near, still) {
    const path = `traces/${trace.id}`;
    const block = { stack: attention.stack, block: attention.block.name };
    const id = attentionId(attention);
    for (const [i, ref] of [{ layer: state.layer, head: state.head }, ...state.also].entries()) {
      const name = `${id} ${refName(ref)}`;
      if (chosen && this.#rows.get(name)?.query !== chosen.query) {
        const { query } = chosen;
        this.#ask(`row ${i}`, `${trace.id} ${name} ${query}`, async () => {
          const { data } = await this.api.tensor(`${path}/attention`, { ...block, ...selection(ref), queries: query }, `row ${i}`);
          if (still()) this.#rows.set(name, { query, values: /** @type {Float32Array} */ (data) });
        });
      }
      if (state.view === "heatmap" || state.view === "states" || this.near(attention, ref, near)) continue;
      this.#ask(`map ${i}`, `${trace.id} ${name} ${near.queries} ${near.keys}`, async () => {
        const query = { ...block, ...selection(ref), queries: range(near.queries), keys: range(near.keys) };
        const { data, shape } = await this.api.tensor(`${path}/attention`, query, `map ${i}`);
        if (still()) this.#maps.set(`${name} ${near.queries} ${near.keys}`, { values: /** @type {Float32Array} */ (data), rows: shape[2], cols: shape[3] });
      });
    }
    const background = `${trace.id} ${id}`;
    if (this.#overviewing === background) return;
    this.#overviewing = background;
    this.#overviewByLayer(trace, attention, Number(state.layer) || 0, () => still() && this.#overviewing === background);
  }

  /**
   * The thumbnails and the statistics of a long text's heads: one layer after the other, so that the server has a thread
   * for what the reader does meanwhile. Heads taken together are the strongest of these: their mean would need every map anew.
   * @param {import("./trace.js").TraceBody} trace @param {import("./trace.js").Attention} attention @param {number} first @param {() => boolean} still
   */
  async #overviewByLayer(trace, attention, first, still) {
    const { layers, heads } = attention;
    const id = attentionId(attention);
    const size = thumbnailSize(Math.max(attention.queries.length, attention.keys.length));
    const block = { stack: attention.stack, block: attention.block.name };
    const order = Array.from({ length: layers }, (_, i) => (first + i) % layers);
    const stats = /** @type {Stats} */ (Object.fromEntries(COLUMNS.map((column) => [column, Array.from({ length: layers }, () => [])])));
    /** @type {Overview | null} */
    let overview = null;
    try {
      for (const [done, at] of order.entries()) {
        const { data, shape } = await this.api.tensor(`traces/${trace.id}/attention`, { ...block, layers: at, size, dtype: "u8" }, "background");
        if (!still()) return;
        const [, , rows, cols] = shape;
        const area = rows * cols;
        const before = overview ?? { each: new Uint8Array(layers * heads * area), layer: new Uint8Array(layers * area), all: new Uint8Array(area) };
        const each = /** @type {Uint8Array} */ (data);
        before.each.set(each, at * heads * area);
        for (let i = 0; i < each.length; i++) {
          const place = i % area;
          before.layer[at * area + place] = Math.max(before.layer[at * area + place], each[i]);
          before.all[place] = Math.max(before.all[place], each[i]);
        }
        overview = { ...before, name: `${trace.id} ${id} ${done}`, layers, heads, rows, cols };
        this.overviews.set(id, overview);
        this.changed();
        const described = await this.api.json(`traces/${trace.id}/heads`, { ...block, layers: at }, "background");
        if (!still()) return;
        for (const column of COLUMNS) {
          if (described[column]) /** @type {number[][]} */ (stats[column])[at] = described[column][0];
          else stats[column] = /** @type {any} */ (null);
        }
        this.stats.set(id, { ...stats });
        this.changed();
      }
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
      this.changed();
    }
  }

  /**
   * @param {string} path @param {{stack: string, block: string}} block @param {import("./trace.js").Attention} attention
   * @param {"mean" | "max"} aggregate @param {string} name @param {() => boolean} still
   */
  async #overview(path, block, attention, aggregate, name, still) {
    const longest = Math.max(attention.queries.length, attention.keys.length);
    const id = attentionId(attention);
    const small = { ...block, size: thumbnailSize(longest), dtype: "u8" };
    const [each, layer, all] = await Promise.all([
      this.api.tensor(`${path}/attention`, small, `overview each ${id}`),
      this.api.tensor(`${path}/attention`, { ...small, reduce: aggregate, over: "heads" }, `overview layer ${id}`),
      this.api.tensor(`${path}/attention`, { ...small, reduce: aggregate, over: "all" }, `overview all ${id}`),
    ]);
    if (!still()) return;
    const [layers, heads, rows, cols] = each.shape;
    const bytes = (/** @type {import("./api.js").Tensor} */ t) => /** @type {Uint8Array} */ (t.data);
    this.overviews.set(id, { name: `${name} ${aggregate}`, layers, heads, rows, cols, each: bytes(each), layer: bytes(layer), all: bytes(all) });
  }
}

const COLUMNS = /** @type {const} */ (["sharpness", "entropy", "peak", "first", "previous", "own"]);

/** @param {[number, number]} ends the first, and the one after the last */
const range = ([first, end]) => `${first}-${end - 1}`;

/** The query that selects a head, or several heads together. @param {HeadRef} ref */
export function selection({ layer, head }) {
  const layers = layer === "all" ? undefined : layer;
  return typeof head === "number" ? { layers, heads: head } : { layers, reduce: head, over: layer === "all" ? "all" : "heads" };
}

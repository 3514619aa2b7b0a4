// @ts-check
/**
 * The whole state of the page as one typed table, and that table is the URL's hash.
 * Copying the address to another browser shows the same picture; back and forward walk through it.
 */
import { readPatches, writePatches } from "./interventions.js";

/** @typedef {{layer: number | "all", head: number | "mean" | "max"}} HeadRef one head, or several heads taken together */

/**
 * @typedef {object} State
 * @property {string} model
 * @property {string} text
 * @property {string | null} pair the second sentence, where there is one
 * @property {string | null} target what an encoder-decoder says; null where it is left to say it by itself
 * @property {string} stack
 * @property {string} block
 * @property {number | "all"} layer the focused head's layer; "all" where heads of every layer are taken together
 * @property {number | "mean" | "max"} head
 * @property {HeadRef[]} also heads compared with the focused one
 * @property {"heatmap" | "lines" | "text" | "bars" | "table" | "states" | "generate" | "steps"} view
 * @property {number | null} query the locked row
 * @property {number | null} key the locked column; with a query, a locked cell
 * @property {{query: number, key: number, span: number} | null} window the part of a long map that is looked at: its first query and key, and tokens along a side
 * @property {string} site the recurrent state that is looked at: its address, such as encoder.0.cell.hidden
 * @property {number | null} time the held step of it
 * @property {number | null} unit the held unit of it
 * @property {"picture" | "table"} form how states, or what could come next, are shown
 * @property {number[] | null} said ids of the tokens that continue the text; null where it was not continued
 * @property {number[]} forced which of them the reader forced
 * @property {number | null} step the one whose distribution is shown; null: the latest
 * @property {number} most how many tokens are said at most
 * @property {number} temperature 0: the likeliest token each time
 * @property {number | null} top_k
 * @property {number | null} top_p
 * @property {number} penalty for what stands there already
 * @property {number} seed
 * @property {number} beams
 * @property {string} story the storyboard that is played; "" for the first there is
 * @property {string} at its step
 * @property {"off" | "on"} predict whether a step hides its result at first
 * @property {import("./interventions.js").Patch[]} patches what is changed inside the network
 * @property {"off" | "panes" | "difference"} compare two panes side by side, or the map of what differs
 * @property {string | null} vs_model the right pane's model; null, as everywhere below: the left pane's
 * @property {string | null} vs_text its text; with it come its own pair and target
 * @property {string | null} vs_pair
 * @property {string | null} vs_target
 * @property {string} vs_stack
 * @property {string} vs_block "" where it is the left pane's
 * @property {number | "all" | null} vs_layer
 * @property {number | "mean" | "max" | null} vs_head
 * @property {import("./interventions.js").Patch[]} vs_patches what is changed inside its network, whatever is changed on the left
 * @property {"to" | "by"} direction what a token attends to, or what attends to it
 * @property {"light" | "viridis" | "cividis"} palette
 * @property {"linear" | "log"} scale
 * @property {"show" | "hide" | "renormalise"} special
 * @property {number} threshold weights below it are not drawn
 * @property {"index" | "sharp"} sort
 * @property {"all" | "previous" | "first" | "own"} kind which sort of heads is lit up in the grid
 * @property {"mean" | "max"} aggregate
 * @property {"system" | "light" | "dark"} theme
 * @property {"off" | "on" | "heads" | "why"} present whether the picture is projected: alone, with the grid of heads, or with the numbers behind it
 */

/**
 * @template T
 * @typedef {object} Field
 * @property {T} fallback
 * @property {(written: string) => T | undefined} read undefined where the URL says something else
 * @property {(value: T) => string} write
 * @property {boolean} [moves] a change is a step that Back should undo
 * @property {boolean} [always] written even when it equals the fallback
 */

/** @param {string} fallback @returns {Field<string>} */
const words = (fallback) => ({ fallback, read: (w) => w, write: (v) => v });

/** @template {string} T @param {readonly T[]} choices @returns {Field<T>} */
const choice = (...choices) => ({
  fallback: choices[0],
  read: (w) => choices.find((c) => c === w),
  write: (v) => v,
});

/** @param {string} w */
const index = (w) => (/^\d{1,6}$/.test(w) ? Number(w) : undefined);

/** @type {Field<number | null>} */
const position = { fallback: null, read: index, write: String };

/** A whole number within bounds. @param {number} fallback @param {number} low @param {number} high @returns {Field<number>} */
const whole = (fallback, low, high) => ({
  fallback,
  read: (w) => (/^\d{1,15}$/.test(w) && Number(w) >= low && Number(w) <= high ? Number(w) : undefined),
  write: String,
});

/** @param {string} w @param {number} high @param {(x: number) => boolean} [fits] */
const decimal = (w, high, fits = () => true) => (/^\d[\d.e-]*$/.test(w) && Number(w) <= high && fits(Number(w)) ? Number(w) : undefined);
const above = (/** @type {number} */ x) => x > 0;

/** @type {Field<number[]>} */
const indices = { fallback: [], read: (w) => (/^\d{1,7}(-\d{1,7})*$/.test(w) ? w.split("-").map(Number) : undefined), write: (v) => v.join("-") };

/** @type {Field<import("./interventions.js").Patch[]>} */
const patches = { fallback: [], read: readPatches, write: writePatches, moves: true };

/** @type {Field<string | null>} null where it is as on the left */
const asLeft = { fallback: null, read: (w) => w || null, write: String, moves: true };

/** @param {string} w */
const readLayer = (w) => (w === "all" ? "all" : index(w));
/** @param {string} w */
const readHead = (w) => (w === "mean" || w === "max" ? w : index(w));

/** @param {HeadRef} ref */
export const refName = ({ layer, head }) => `${layer}.${head}`;

/** @param {string} w @returns {HeadRef | undefined} */
function readRef(w) {
  const [layer, head] = w.split(".");
  const l = FIELDS.layer.read(layer ?? "");
  const h = FIELDS.head.read(head ?? "");
  return l === undefined || h === undefined || (l === "all" && typeof h === "number") ? undefined : { layer: l, head: h };
}

/** @type {{[K in keyof State]: Field<State[K]>}} */
export const FIELDS = {
  model: { ...words(""), moves: true, always: true },
  text: { ...words(""), moves: true, always: true },
  pair: { fallback: null, read: (w) => w, write: String, moves: true },
  target: { fallback: null, read: (w) => w || null, write: String, moves: true },
  stack: { ...words(""), moves: true },
  block: { ...words(""), moves: true },
  layer: { fallback: 0, read: readLayer, write: String, moves: true, always: true },
  head: { fallback: 0, read: readHead, write: String, moves: true, always: true },
  also: {
    fallback: [],
    read: (w) => w.split(",").map(readRef).filter((ref) => ref !== undefined).slice(0, 7),
    write: (refs) => refs.map(refName).join(","),
    moves: true,
  },
  view: { ...choice("heatmap", "lines", "text", "bars", "table", "states", "generate", "steps"), moves: true },
  query: { ...position, moves: true },
  key: { ...position, moves: true },
  window: {
    fallback: null,
    read: (w) => {
      const [query, key, span] = /^\d{1,6}\.\d{1,6}\.\d{1,6}$/.test(w) ? w.split(".").map(Number) : [];
      return span ? { query, key, span } : undefined;
    },
    write: (window) => (window ? `${window.query}.${window.key}.${window.span}` : ""),
  },
  site: { ...words(""), moves: true },
  time: { ...position, moves: true },
  unit: { ...position, moves: true },
  form: { ...choice("picture", "table"), moves: true },
  // A text that ends at once was continued by nothing, which is not the same as not continued.
  said: { fallback: null, read: (w) => (w === "-" ? [] : indices.read(w)), write: (v) => (v?.length ? indices.write(v) : "-"), moves: true },
  forced: indices,
  step: position,
  most: whole(20, 1, 4096),
  temperature: { fallback: 0, read: (w) => decimal(w, 100), write: String },
  top_k: { fallback: null, read: (w) => whole(0, 1, 1_000_000).read(w), write: String },
  top_p: { fallback: null, read: (w) => decimal(w, 1, above), write: String },
  penalty: { fallback: 1, read: (w) => decimal(w, 100, above), write: String },
  seed: whole(0, 0, 999_999_999_999_999),
  beams: whole(1, 1, 16),
  story: { ...words(""), moves: true },
  at: words(""),
  predict: choice("off", "on"),
  patches,
  compare: { ...choice("off", "panes", "difference"), moves: true },
  vs_model: asLeft,
  vs_text: asLeft,
  vs_pair: asLeft,
  vs_target: asLeft,
  vs_stack: { ...words(""), moves: true },
  vs_block: { ...words(""), moves: true },
  vs_layer: { fallback: null, read: readLayer, write: String, moves: true },
  vs_head: { fallback: null, read: readHead, write: String, moves: true },
  vs_patches: patches,
  direction: { ...choice("to", "by"), moves: true },
  palette: choice("light", "viridis", "cividis"),
  scale: choice("linear", "log"),
  special: choice("show", "hide", "renormalise"),
  threshold: {
    fallback: 0,
    read: (w) => (/^0?\.?\d{1,4}$/.test(w) && Number(w) <= 1 ? Number(w) : undefined),
    write: String,
  },
  sort: choice("index", "sharp"),
  kind: choice("all", "previous", "first", "own"),
  aggregate: choice("mean", "max"),
  theme: choice("system", "light", "dark"),
  present: { ...choice("off", "on", "heads", "why"), moves: true },
};

/** Where each field starts. @returns {State} */
export function blank() {
  return /** @type {State} */ (Object.fromEntries(Object.entries(FIELDS).map(([name, f]) => [name, f.fallback])));
}

/** @param {State} state @returns {string} the hash, without its # */
export function encode(state) {
  const hash = new URLSearchParams();
  for (const [name, field] of Object.entries(FIELDS)) {
    const value = /** @type {any} */ (state)[name];
    const written = value === null ? "" : field.write(/** @type {never} */ (value));
    const fallback = field.fallback === null ? "" : field.write(/** @type {never} */ (field.fallback));
    if (field.always || written !== fallback) hash.set(name, written);
  }
  return hash.toString();
}

/**
 * @param {string} hash with or without its #
 * @param {State} home what the page shows when the address says nothing
 * @returns {State}
 */
export function decode(hash, home) {
  const written = new URLSearchParams(hash.replace(/^#/, ""));
  if (![...written.keys()].some((name) => name in FIELDS)) return home;
  const { model, text, layer, head } = home;
  const other = written.has("model") && written.get("model") !== model;
  const state = { ...blank(), model, text: other ? "" : text, layer, head, theme: home.theme }; // a text of one model says little in another
  for (const [name, field] of Object.entries(FIELDS)) {
    const value = written.has(name) ? field.read(written.get(name) ?? "") : undefined;
    if (value !== undefined) /** @type {any} */ (state)[name] = value;
  }
  return state;
}

/** @param {Partial<State>} patch */
const moves = (patch) => Object.keys(patch).some((name) => FIELDS[/** @type {keyof State} */ (name)].moves);

/** The state, who listens to it, and its place in the browser's history. */
export class Store {
  /** @type {((state: State) => void)[]} */
  #listeners = [];
  #leave = () => {};
  /** In a frame, going back is the other page's: the address is only ever mended. */
  steady = false;

  /** @param {State} home @param {Window} [page] */
  constructor(home, page = window) {
    this.home = home;
    this.page = page;
    /** @type {State} */
    this.state = decode(page.location.hash, home);
    page.addEventListener("popstate", () => this.#arrive());
    page.addEventListener("hashchange", () => this.#arrive());
  }

  #arrive() {
    const state = decode(this.page.location.hash, this.home);
    if (encode(state) === encode(this.state)) return;
    this.#leave();
    this.state = state;
    this.#tell();
  }

  /** Asks to be told before the history, or another hand, puts another picture there. @param {() => void} leave */
  arriving(leave) {
    this.#leave = leave;
  }

  #tell() {
    for (const listener of this.#listeners) listener(this.state);
  }

  /** @param {(state: State) => void} listener */
  subscribe(listener) {
    this.#listeners.push(listener);
  }

  /**
   * Changes some fields. Steps that a person would want to undo become history; shades of the same picture do not.
   * @param {Partial<State>} patch
   * @param {{silent?: boolean}} [how] silent: mend the address in place, whatever changed
   */
  set(patch, { silent = false } = {}) {
    const changed = /** @type {Partial<State>} */ (
      Object.fromEntries(
        Object.entries(patch).filter(([name, value]) => {
          const field = FIELDS[/** @type {keyof State} */ (name)];
          const now = this.state[/** @type {keyof State} */ (name)];
          const written = (/** @type {any} */ v) => (v === null ? "" : field.write(/** @type {never} */ (v)));
          return written(value) !== written(now);
        }),
      )
    );
    if (!Object.keys(changed).length) return;
    this.state = { ...this.state, ...changed };
    if (changed.theme) this.home = { ...this.home, theme: changed.theme }; // an address that names none goes on with it
    const address = `#${encode(this.state)}`;
    if (!silent && !this.steady && moves(changed)) this.page.history.pushState(null, "", address);
    else this.page.history.replaceState(null, "", address);
    this.#tell();
  }

  /** The address of exactly this picture. */
  get link() {
    return new URL(`#${encode(this.state)}`, this.page.location.href).href;
  }
}

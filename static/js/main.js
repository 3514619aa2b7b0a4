// @ts-check
/** Puts the page together: state → session → scene → views, in one direction. */
import "./elements/register.js";
import { Api } from "./api.js";
import { measured, onResize } from "./canvas.js";
import { byId, h, icon } from "./dom.js";
import { startingPoint } from "./examples.js";
import { exact, headName, number, percent, shortName } from "./format.js";
import { mountHeader } from "./header.js";
import { mountKeyboard } from "./keyboard.js";
import { sceneOf } from "./scene.js";
import { Session } from "./session.js";
import { mountShare } from "./share.js";
import { blank, refName, Store } from "./state.js";
import { attentionName, attentionOf, attentions, label, mend } from "./trace.js";
import { mountBars } from "./views/bars.js";
import { mountHeadGrid } from "./views/headgrid.js";
import { mountHeatmap } from "./views/heatmap.js";
import { mountInspector } from "./views/inspector.js";
import { mountLines } from "./views/lines.js";
import { mountTable } from "./views/table.js";
import { mountText } from "./views/text.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").HeadRef} HeadRef */
/** @typedef {import("./scene.js").Scene} Scene */

const bootstrap = JSON.parse(byId("bootstrap").textContent);

/** What the page shows when the address says nothing: the default model's first example. @returns {State} */
function home() {
  const state = blank();
  const { trace, model } = bootstrap;
  const kept = document.documentElement.dataset.theme;
  const theme = kept === "light" || kept === "dark" ? kept : "system";
  if (!trace) return { ...state, model: model.id, theme };
  return { ...state, model: trace.model, text: trace.text, pair: trace.pair ?? null, theme, ...startingPoint(trace) };
}

const store = new Store(home());
const session = new Session(new Api(), refresh);
if (bootstrap.trace) session.adopt(bootstrap.trace);

/** @type {import("./scene.js").Place | null} what is under the pointer; no part of the address */
let cursor = null;
/** @type {Scene | null} */
let scene = null;
let waiting = false;

/** Draws once per frame, however much arrived. */
function refresh() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    render();
  });
}

// ---------------------------------------------------------------- what a reader can do

const actions = {
  /** @param {HeadRef} ref @param {boolean} add compare instead of moving there */
  focus(ref, add) {
    const { state } = store;
    const here = refName(ref);
    if (!add) return store.set({ ...ref, also: state.also.filter((r) => refName(r) !== here) });
    if (here === refName(state)) {
      const [next, ...rest] = state.also;
      if (next) store.set({ ...next, also: rest });
    } else if (state.also.some((r) => refName(r) === here)) store.set({ also: state.also.filter((r) => refName(r) !== here) });
    else if (state.also.length < 7) store.set({ also: [...state.also, ref] });
    else toast("Eight heads at once are enough to tell apart. Let one go first.");
  },
  /** @param {number | null} query @param {number | null} [key] */
  point(query, key = null) {
    const next = query === null ? null : { query, key };
    if (next?.query === cursor?.query && next?.key === cursor?.key) return;
    cursor = next;
    hover();
  },
  /** Locks a row or a cell; the same again lets go. @param {number} query @param {number | null} key */
  lock(query, key) {
    const same = store.state.query === query && store.state.key === key;
    cursor = null;
    store.set(same ? { query: null, key: null } : { query, key });
  },
  release() {
    cursor = null;
    store.set({ query: null, key: null });
    refresh();
  },
  say,
};

/** @param {number} by */
function stepHead(by) {
  const { heads } = attentionOf(/** @type {any} */ (session.trace), store.state.stack, store.state.block);
  const { head, layer } = store.state;
  store.set({ layer: layer === "all" ? 0 : layer, head: ((typeof head === "number" ? head + by : 0) + heads) % heads });
}

/** @param {number} by */
function stepLayer(by) {
  const { layers } = attentionOf(/** @type {any} */ (session.trace), store.state.stack, store.state.block);
  const { layer } = store.state;
  store.set({ layer: ((layer === "all" ? 0 : layer + by) + layers) % layers, head: layer === "all" ? 0 : store.state.head });
}

/** Reads another sentence; only when its trace is here does the state move there. @param {{model: string, text: string, pair: string | null}} what @param {boolean} [example] */
async function run(what, example = false) {
  if (session.shows(what)) {
    session.problem = null;
    const patch = example && session.trace ? startingPoint(session.trace) : {};
    store.set({ ...what, ...patch });
    refresh();
    return;
  }
  const arriving = session.read(what);
  refresh();
  if (!(await arriving) || !session.trace) return;
  cursor = null;
  const fresh = { ...what, query: null, key: null };
  const at = example ? startingPoint(session.trace) : {};
  store.set({ ...fresh, ...mend({ ...store.state, ...fresh, ...at }, session.trace), ...at });
}

// ---------------------------------------------------------------- speaking

/** @type {number | undefined} */
let speaking;
/** @param {string} sentence */
function say(sentence) {
  clearTimeout(speaking);
  speaking = window.setTimeout(() => {
    byId("live").textContent = sentence;
  }, 150);
}

/** @type {number | undefined} */
let fading;
/** @param {string} sentence */
function toast(sentence) {
  const box = byId("toast");
  box.textContent = sentence;
  box.hidden = false;
  clearTimeout(fading);
  fading = window.setTimeout(() => {
    box.hidden = true;
  }, 4000);
}

/** What is seen, as a sentence. @param {Scene} now */
function sentence({ heads, chosen, attention, state }) {
  if (!heads[0] || !chosen || chosen.key === null) return "";
  const weight = heads[0].whole.values[chosen.query * heads[0].whole.cols + chosen.key];
  return `${headName(state)}: ${label(attention.queries[chosen.query])} attends to ${label(attention.keys[chosen.key])}, ${percent(weight)}.`;
}

// ---------------------------------------------------------------- views

const VIEWS = {
  heatmap: (/** @type {HTMLElement} */ host) => mountHeatmap(host, actions),
  lines: (/** @type {HTMLElement} */ host) => mountLines(host, actions),
  text: (/** @type {HTMLElement} */ host) => mountText(host, actions),
  bars: (/** @type {HTMLElement} */ host) => mountBars(host, { url: bootstrap.plotly, fail: toast }),
  table: (/** @type {HTMLElement} */ host) => mountTable(host),
};

/** @typedef {{update: (scene: Scene) => void, unmount?: () => void, image?: () => HTMLCanvasElement, picture?: () => Promise<string>}} View */
/** @type {{name: keyof typeof VIEWS, view: View} | null} */
let mounted = null;

/** @param {keyof typeof VIEWS} name @returns {View} */
function viewOf(name) {
  if (mounted?.name === name) return mounted.view;
  mounted?.view.unmount?.();
  const host = byId("view");
  host.replaceChildren();
  host.dataset.view = name;
  mounted = { name, view: VIEWS[name](host) };
  return mounted.view;
}

const header = mountHeader({
  models: bootstrap.models,
  run,
  forget: () => {
    session.problem = null;
    refresh();
  },
});
const grid = mountHeadGrid(byId("grids"), actions);
const inspector = mountInspector(byId("inspector"), actions);
mountShare({
  api: session.api,
  scene: () => scene,
  link: () => store.link,
  toast,
  picture: async () => mounted?.view.image?.().toDataURL("image/png") ?? (await mounted?.view.picture?.()) ?? null,
});

// ---------------------------------------------------------------- controls that are the state

const controls = /** @type {(HTMLElement & {value: string})[]} */ ([...document.querySelectorAll("[data-state]")]);
/** Parts that only some views need. */
const only = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-only]")]);
for (const control of controls) {
  const name = /** @type {keyof State} */ (control.dataset.state);
  control.addEventListener(control.matches("[type=range]") ? "input" : "change", () => {
    /** @type {Partial<State>} */
    const patch = { [name]: typeof store.state[name] === "number" ? Number(control.value) : control.value };
    // Where several heads are in focus together, they stay in focus, taken together the other way.
    if (patch.aggregate && typeof store.state.head !== "number") patch.head = patch.aggregate;
    store.set(patch);
  });
}

const tabs = /** @type {HTMLElement[]} */ ([...byId("tabs").children]);
const show = (/** @type {number} */ i) => store.set({ view: /** @type {State["view"]} */ (tabs[i].dataset.view) });
tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => show(i));
  tab.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    const next = (to + tabs.length) % tabs.length;
    show(next);
    tabs[next].focus();
    event.preventDefault();
  });
});

/** @param {State} state */
function updateControls(state) {
  for (const control of controls) {
    control.value = String(state[/** @type {keyof State} */ (control.dataset.state)]);
  }
  for (const part of only) part.hidden = !part.dataset.only?.split(" ").includes(state.view);
  byId("threshold-value").textContent = state.threshold ? state.threshold.toFixed(2) : "0";
  for (const tab of tabs) {
    const chosen = tab.dataset.view === state.view;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    if (chosen) byId("view").setAttribute("aria-labelledby", tab.id);
  }
  byId("theme-name").textContent = `Theme: ${state.theme}`;
  byId("theme").title = `Theme: ${state.theme}`;
  if (document.documentElement.dataset.theme !== state.theme) document.documentElement.dataset.theme = state.theme;
}

// ---------------------------------------------------------------- drawing

let legendOf = "";
/** @param {Scene} now */
function updateLegend({ ramp, state, theme, top }) {
  const name = `${state.palette} ${theme} ${state.scale} ${top}`;
  if (name === legendOf) return;
  legendOf = name;
  const legend = byId("legend");
  const context = legend.querySelector("canvas").getContext("2d");
  const image = new ImageData(256, 1);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < 256; i++) pixels[i] = ramp.pixels[i];
  context.putImageData(image, 0, 0);
  legend.firstElementChild.textContent = state.scale === "log" ? "≤ .001" : "0";
  legend.lastElementChild.textContent = state.scale === "log" ? "1" : String(top);
}

/** @param {Scene} now */
function updateReadout(now) {
  const { heads, attention, state, queries, keys, cursor: under, chosen } = now;
  const at = under?.key != null ? under : under ? { query: under.query, key: null } : chosen;
  const readout = byId("readout");
  if (!at || !heads[0]) return readout.replaceChildren();
  const query = h("span.token", { dir: "auto" }, label(attention.queries[at.query]));
  if (at.key === null) return readout.replaceChildren("row of ", query);
  const key = h("span.token", { dir: "auto" }, label(attention.keys[at.key]));
  const [row, col] = [queries.indexOf(at.query), keys.indexOf(at.key)];
  const weight = (/** @type {import("./scene.js").Head} */ head) =>
    row >= 0 && col >= 0 ? head.shown.values[row * head.shown.cols + col] : head.whole.values[at.query * head.whole.cols + Number(at.key)];
  const several = heads.length > 1;
  readout.replaceChildren(
    query,
    " → ",
    key,
    ...heads.map((head) => h("b", { title: exact(weight(head)), style: several ? { color: head.color } : {} }, number(weight(head)))),
    state.special === "renormalise" ? h("span.aside", {}, "of what is shown") : "",
  );
}

let chipsOf = "";
/** @param {Scene} now */
function updateTitle({ state, heads }) {
  byId("focus-title").textContent = headName(state);
  const name = heads.map(({ ref, color }) => refName(ref) + color).join();
  if (name === chipsOf) return;
  chipsOf = name;
  byId("chips").replaceChildren(
    ...(heads.length < 2 ? [] : heads).map(({ ref, color }) =>
      h(
        "button.head",
        { type: "button", title: `Let ${headName(ref)} go`, onclick: () => actions.focus(ref, true) },
        h("i", { style: { background: color } }),
        shortName(ref),
        icon("close", "small"),
      ),
    ),
  );
}

let blocksOf = "";
/** Where a model has several attention blocks, they are chosen above the grid. @param {Scene} now */
function updateBlocks({ trace, attention }) {
  const all = attentions(trace);
  const name = `${trace.model} ${attentionName(attention)}`;
  if (name === blocksOf) return;
  blocksOf = name;
  document.querySelector(".blocks")?.remove();
  if (all.length < 2) return;
  byId("grids").before(
    h(
      "div.blocks",
      { role: "group", "aria-label": "Attention block" },
      ...all.map((a) =>
        h(
          "button.quiet",
          { type: "button", "aria-pressed": String(a.stack === attention.stack && a.block.name === attention.block.name), onclick: () => store.set({ stack: a.stack, block: a.block.name, query: null, key: null }) },
          attentionName(a),
        ),
      ),
    ),
  );
}

/** What is there before any sentence is. */
function invite() {
  byId("focus-title").textContent = "What does it look at?";
  byId("view").replaceChildren(h("p.empty", {}, "Type a sentence above and press Enter: every head of every layer lights up."));
}

let spoken = "";
/** The state that is on screen: the store's, but for a moment before a new trace arrives. */
let drawn = store.state;

function render() {
  const { state } = store;
  updateControls(state);
  header.update(state);
  header.complain(session.problem, session.trace !== null);
  byId("progress").hidden = !session.busy;
  if (state.text && !session.shows(state) && !session.problem) session.read(state);
  if (!session.trace) return invite();
  const arrived = session.shows(state);
  if (!arrived && session.busy && !session.problem) return; // the old picture stays until the new trace is here
  const patch = mend(state, session.trace);
  if (arrived && Object.keys(patch).length) return store.set(patch, { silent: true });
  // A text that cannot be read leaves the picture before it, without places that only the other text has.
  drawn = arrived ? state : { ...state, query: null, key: null, ...patch };
  scene = sceneOf(drawn, session, cursor);
  if (!scene) return;
  session.follow(drawn, scene.chosen);
  updateLegend(scene);
  updateTitle(scene);
  updateBlocks(scene);
  updateReadout(scene);
  grid.update(scene);
  viewOf(state.view).update(scene);
  inspector.update(scene);
  const words = sentence(scene);
  if (words && words !== spoken) say((spoken = words));
  document.documentElement.dataset.ready = String(!session.busy && scene.heads.length > 0 && scene.overview !== null);
}

/** @type {number | undefined} */
let resting;
/** What changes under a moving pointer, and nothing else; the arithmetic follows when the pointer rests. */
function hover() {
  measured("hover", () => {
    scene = sceneOf(drawn, session, cursor);
    if (!scene) return;
    viewOf(drawn.view).update(scene);
    updateLegend(scene);
    updateReadout(scene);
  });
  clearTimeout(resting);
  resting = window.setTimeout(refresh, 90);
}

mountKeyboard({
  "/": header.write,
  "?": () => byId("help").showModal(),
  Escape: () => {
    if (document.activeElement?.matches("input")) /** @type {HTMLElement} */ (document.activeElement).blur();
    else actions.release();
  },
  "[": () => stepHead(-1),
  "]": () => stepHead(1),
  "{": () => stepLayer(-1),
  "}": () => stepLayer(1),
  ...Object.fromEntries(tabs.map((_, i) => [String(i + 1), () => show(i)])),
});
byId("help-button").addEventListener("click", () => byId("help").showModal());
byId("theme").addEventListener("click", () => {
  const themes = /** @type {const} */ (["system", "light", "dark"]);
  const theme = themes[(themes.indexOf(store.state.theme) + 1) % themes.length];
  store.set({ theme });
  try {
    localStorage.setItem("headlight-theme", theme);
  } catch {
    // Storage may be forbidden; the address still carries the theme.
  }
});

store.subscribe(() => {
  if (session.problem && !session.shows(store.state)) session.problem = null;
  refresh();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
onResize(byId("view"), refresh);
render();

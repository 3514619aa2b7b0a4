// @ts-check
/** Puts the page together: state → session → scene → views, in one direction. */
import "./elements/register.js";
import { Api } from "./api.js";
import { measured, onResize } from "./canvas.js";
import { mountCaptions } from "./captions.js";
import { mountControls } from "./controls.js";
import { mountDecoding } from "./decoding.js";
import { byId, h } from "./dom.js";
import { startingPoint } from "./examples.js";
import { Player } from "./generation.js";
import { mountHeader } from "./header.js";
import { mountKeyboard } from "./keyboard.js";
import { liveQuery, sceneOf } from "./scene.js";
import { Session } from "./session.js";
import { partName, whereName } from "./recurrent.js";
import { mountShare } from "./share.js";
import { say, sentence, toast } from "./speech.js";
import { blank, refName, Store } from "./state.js";
import { attentionId, attentionOf, attentions, lastTokens, mend } from "./trace.js";
import { mountBars } from "./views/bars.js";
import { mountGenerate } from "./views/generate.js";
import { mountGrids } from "./views/grids.js";
import { mountHeatmap } from "./views/heatmap.js";
import { mountInspector } from "./views/inspector.js";
import { mountLines } from "./views/lines.js";
import { mountLongmap } from "./views/longmap.js";
import { mountNext } from "./views/next.js";
import { mountStateGrid } from "./views/stategrid.js";
import { mountSteps } from "./views/steps.js";
import { mountStates } from "./views/states.js";
import { mountTable } from "./views/table.js";
import { mountText } from "./views/text.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").HeadRef} HeadRef */
/** @typedef {import("./scene.js").Scene} Scene */

const bootstrap = JSON.parse(byId("bootstrap").textContent);

/** @param {string} id @returns {import("./examples.js").Example[]} */
const examplesOf = (id) => bootstrap.models.find((/** @type {import("./header.js").Model} */ m) => m.id === id)?.examples ?? [];

/** What the page shows when the address says nothing: the default model's first example. @returns {State} */
function home() {
  const state = blank();
  const { trace, model } = bootstrap;
  const kept = document.documentElement.dataset.theme;
  const theme = kept === "light" || kept === "dark" ? kept : "system";
  if (!trace) return { ...state, model: model.id, theme };
  return { ...state, model: trace.model, text: trace.text, pair: trace.pair ?? null, target: trace.target ?? null, theme, ...startingPoint(trace, examplesOf(trace.model)) };
}

const store = new Store(home());
const session = new Session(new Api(), refresh);
const player = new Player(session.api, refresh);
session.describe(bootstrap.model);
if (bootstrap.trace) session.adopt(bootstrap.trace);

/** @type {import("./scene.js").Place | null} what is under the pointer; no part of the address */
let cursor = null;
/** @type {{time: number, unit: number} | null} the same for recurrent states */
let over = null;
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
  /** @param {HeadRef} ref @param {boolean} add compare instead of moving there @param {import("./trace.js").Attention} [block] another block than the one in focus */
  focus(ref, add, block) {
    const { state } = store;
    const view = state.view === "states" ? /** @type {const} */ ("heatmap") : state.view;
    const now = session.trace && attentionOf(session.trace, state.stack, state.block);
    if (block && now && attentionId(block) !== attentionId(now)) {
      return store.set({ stack: block.stack, block: block.block.name, ...ref, also: [], query: null, key: null, view });
    }
    if (view !== state.view) return store.set({ ...ref, view });
    const here = refName(ref);
    if (!add) return store.set({ ...ref, also: state.also.filter((r) => refName(r) !== here) });
    if (here === refName(state)) {
      const [next, ...rest] = state.also;
      if (next) store.set({ ...next, also: rest });
    } else if (state.also.some((r) => refName(r) === here)) store.set({ also: state.also.filter((r) => refName(r) !== here) });
    else if (state.also.length < 7) store.set({ also: [...state.also, ref] });
    else toast("Eight heads at once are enough to tell apart. Let one go first.");
  },
  /** @param {number | null} query @param {number | null} [key] @param {import("./scene.js").Seen} [seen] */
  point(query, key = null, seen) {
    const next = query === null ? null : { query, key, seen };
    if (next?.query === cursor?.query && next?.key === cursor?.key && next?.seen?.value === cursor?.seen?.value) return;
    cursor = next;
    hover();
  },
  /** Locks a row or a cell; the same again lets go. @param {number} query @param {number | null} key */
  lock(query, key) {
    const same = store.state.query === query && store.state.key === key;
    cursor = null;
    store.set(same ? { query: null, key: null } : { query, key });
  },
  /** @param {number | null} time @param {number} [unit] */
  visit(time, unit = 0) {
    const next = time === null ? null : { time, unit };
    if (next?.time === over?.time && next?.unit === over?.unit) return;
    over = next;
    hover();
  },
  /** @param {number} time @param {number} unit */
  keep(time, unit) {
    const same = store.state.time === time && store.state.unit === unit;
    over = null;
    store.set(same ? { time: null, unit: null } : { time, unit });
  },
  free() {
    over = null;
    store.set({ time: null, unit: null });
    refresh();
  },
  release() {
    cursor = over = null;
    store.set({ query: null, key: null, time: null, unit: null });
    refresh();
  },
  /** Points at a token wherever the picture shows it, or holds it. @param {string} stack @param {number | null} index @param {boolean} [hold] */
  lookAt(stack, index, hold = false) {
    const tokens = session.trace?.tokens[stack];
    if (!scene || !tokens) return;
    if (store.state.view === "states") {
      if (scene.site && scene.trace.tokens[scene.site.stack] === tokens) (hold ? actions.keep : actions.visit)(/** @type {number} */ (index), scene.step?.unit ?? 0);
      return;
    }
    const act = hold ? actions.lock : actions.point;
    if (index === null) actions.point(null);
    else if (scene.attention.queries === tokens) act(index, null);
    else if (scene.attention.keys === tokens) act(liveQuery(scene), index);
  },
  /** Runs the same text with something else in place of the token in question. @param {string} mask */
  putInPlace(mask) {
    if (!scene) return;
    const { trace, attention, chosen } = scene;
    const plain = attention.queries.filter(({ start }) => start !== null);
    const token = plain.find(({ index }) => index === chosen?.query) ?? plain.at(-1);
    if (!token) return;
    const texts = [trace.text, trace.pair ?? null];
    const letters = [...String(texts[token.segment])]; // places are counted in code points
    texts[token.segment] = `${letters.slice(0, Number(token.start)).join("")}${mask}${letters.slice(Number(token.end)).join("")}`;
    run({ model: trace.model, text: String(texts[0]), pair: texts[1], target: null });
  },
  /** Looks at a part of a long map, or at all of it. @param {State["window"]} window */
  look(window) {
    store.set({ window });
  },
  say,
};

/** @param {number} by */
function stepHead(by) {
  const attention = session.trace && attentionOf(session.trace, store.state.stack, store.state.block);
  if (!attention) return;
  const { heads } = attention;
  const { head, layer } = store.state;
  store.set({ layer: layer === "all" ? 0 : layer, head: ((typeof head === "number" ? head + by : 0) + heads) % heads });
}

/** @param {number} by */
function stepLayer(by) {
  const attention = session.trace && attentionOf(session.trace, store.state.stack, store.state.block);
  if (!attention) return;
  const { layers } = attention;
  const { layer } = store.state;
  store.set({ layer: ((layer === "all" ? 0 : layer + by) + layers) % layers, head: layer === "all" ? 0 : store.state.head });
}

/** Reads another sentence; only when its trace is here does the state move there. @param {import("./header.js").Asked} what @param {boolean} [example] */
async function run(what, example = false) {
  const plain = { ...what, said: null, forced: [], step: null };
  if (session.shows(plain)) {
    session.problem = null;
    const patch = example && session.trace ? startingPoint(session.trace, examplesOf(session.trace.model)) : {};
    store.set({ ...plain, ...patch });
    refresh();
    return;
  }
  const arriving = session.read(plain);
  refresh();
  if (!(await arriving) || !session.trace) return;
  cursor = over = null;
  const fresh = { ...plain, query: null, key: null, window: null, time: null, unit: null };
  const at = example ? startingPoint(session.trace, examplesOf(session.trace.model)) : {};
  store.set({ ...fresh, ...mend({ ...store.state, ...fresh, ...at }, session.trace, session.recurrent, session.generates), ...at });
}

// ---------------------------------------------------------------- what the network says

/** Goes on from the text that is written, and from tokens after it. @param {number[]} [given] @param {number[]} [forced] which of them the reader forced */
async function generate(given = [], forced = []) {
  if (session.generates === false) return toast("This model continues no text. Choose one that says a next word.");
  const what = header.asked();
  const same = (/** @type {import("./header.js").Asked} */ a) => a.model === what.model && a.text === what.text && a.pair === what.pair && a.target === what.target;
  if (!same(store.state)) await header.submit(true);
  if (!same(store.state) || session.generates === false) return;
  store.set({ view: "generate", step: null });
  const { model, text, target } = what;
  const now = await player.say({ model, text, target }, decoding.value(), given, forced);
  if (!now) return refresh();
  store.set({ ...now.settings, said: now.ids, forced: now.forced, step: null, ...rowOf(player.steps.at(-1) ?? null) });
}

/** The row that was read last before a step's token came; in the block that reads what is said, the source's where there is one. @param {import("./generation.js").Step | null} step @returns {Partial<State>} */
function rowOf(step) {
  const { trace } = session;
  if (!trace || !step || step.position === null || step.position < 1) return {};
  const row = step.position - 1;
  const { state } = store;
  const now = attentionOf(trace, state.stack, state.block);
  if (!now) return { time: row, unit: scene?.step?.unit ?? 0 };
  const own = lastTokens(trace);
  const block = now.queries === own ? now : attentions(trace).findLast(({ queries }) => queries === own);
  return block ? { stack: block.stack, block: block.block.name, query: row, key: null } : {};
}

const playing = {
  /** Looks at a step, and from the row that it came from. @param {number} index */
  step(index) {
    const { steps } = player;
    if (!steps.length) return;
    const at = Math.min(steps.length - 1, Math.max(0, index));
    cursor = null;
    // Until the whole is read anew, the rows of what is said are not there to be looked at.
    store.set({ step: at, ...(player.running ? {} : rowOf(steps[at])) }, { silent: true });
  },
  /** Goes on from another token, or lets the network choose again. @param {number} index @param {number | null} id */
  force(index, id) {
    const { now } = player;
    if (!now) return;
    const before = now.forced.filter((at) => at < index);
    const given = now.ids.slice(0, index);
    if (id === null) generate(given, before);
    else generate([...given, id], [...before, index]);
  },
};

/** @param {number | "play" | "first" | "last"} by */
function walk(by) {
  const generation = scene?.generation;
  if (store.state.view !== "generate" || !generation?.steps.length) return false;
  const { shown, steps } = generation;
  if (by === "play") mounted?.view.play?.();
  else playing.step(by === "first" ? 0 : by === "last" ? steps.length - 1 : shown + by);
  return true;
}
/** Space presses a button that has the focus. @param {KeyboardEvent} event */
const onButton = ({ target }) => /** @type {Element} */ (target).closest("button, a, summary, [role=button]") !== null;

// ---------------------------------------------------------------- views

const VIEWS = {
  heatmap: (/** @type {HTMLElement} */ host) => mountHeatmap(host, actions),
  longmap: (/** @type {HTMLElement} */ host) => mountLongmap(host, actions),
  lines: (/** @type {HTMLElement} */ host) => mountLines(host, actions),
  text: (/** @type {HTMLElement} */ host) => mountText(host, actions),
  bars: (/** @type {HTMLElement} */ host) => mountBars(host, { url: bootstrap.plotly, fail: toast }),
  table: (/** @type {HTMLElement} */ host) => mountTable(host),
  states: (/** @type {HTMLElement} */ host) => mountStates(host, actions),
  generate: (/** @type {HTMLElement} */ host) => mountGenerate(host, playing),
  steps: (/** @type {HTMLElement} */ host) => mountSteps(host, { api: session.api, set: (patch) => store.set(patch), lock: (query) => store.set({ query, key: null }), refresh, detail: () => session.detail }),
};

/** @typedef {{update: (scene: Scene) => void, unmount?: () => void, image?: () => HTMLCanvasElement, picture?: () => Promise<string>, sentence?: (scene: Scene) => string, play?: () => void, ready?: () => boolean}} View */
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
  api: session.api,
  models: bootstrap.models,
  run,
  forget: () => {
    dismissed = session.problem;
    refresh();
  },
});
const controls = mountControls(store);
const decoding = mountDecoding({ start: () => generate(), stop: () => player.stop() });
const captions = mountCaptions({
  letGo: (ref) => actions.focus(ref, true),
});
const choose = (/** @type {import("./trace.js").Attention} */ { stack, block }) =>
  store.set({ stack, block: block.name, also: [], query: null, key: null, ...(store.state.view === "states" ? { view: "heatmap" } : {}) });
const SIDEBARS = {
  heads: () => mountGrids(byId("grids"), { ...actions, choose }),
  states: () => mountStateGrid(byId("grids"), { look: (address) => store.set({ view: "states", site: address }) }),
};
/** @type {{name: Scene["sidebar"], view: {update: (scene: Scene) => void, unmount: () => void}} | null} */
let sidebar = null;
const next = mountNext(byId("next"), actions);
const inspector = mountInspector(byId("inspector"), actions);
mountShare({
  api: session.api,
  scene: () => scene,
  link: () => store.link,
  toast,
  picture: async () => mounted?.view.image?.().toDataURL("image/png") ?? (await mounted?.view.picture?.()) ?? null,
});

// ---------------------------------------------------------------- drawing

/** What is beside the picture: heads, or the states of a network that has no heads to choose from. @param {Scene["sidebar"]} name */
function sidebarOf(name) {
  if (sidebar?.name === name) return sidebar.view;
  sidebar?.view.unmount();
  byId("heads-title").textContent = name === "heads" ? "Layers × heads" : "States";
  for (const part of document.querySelectorAll("[data-sidebar]")) /** @type {HTMLElement} */ (part).hidden = name !== "heads";
  sidebar = { name, view: SIDEBARS[name]() };
  return sidebar.view;
}

/** The two choices that lead to a recurrent state: which layer, and what of it. @param {Scene} scene */
function offerSites({ recurrent, site }) {
  const [where, part] = [byId("state-where"), byId("state-part")];
  if (!recurrent || !site) return;
  const option = (/** @type {string} */ value, /** @type {string} */ name) => h("option", { value }, name);
  const firsts = recurrent.filter((one, i) => recurrent.findIndex(({ where: w }) => w === one.where) === i);
  const own = recurrent.filter((one) => one.where === site.where);
  const name = [...firsts, ...own].map(({ address }) => address).join();
  if (where.dataset.offers !== name) {
    where.dataset.offers = name;
    where.replaceChildren(...firsts.map((one) => option(one.where, whereName(one, recurrent))));
    part.replaceChildren(...own.map((one) => option(one.part, partName(one))));
  }
  where.value = site.where;
  part.value = site.part;
}
for (const id of ["state-where", "state-part"]) {
  byId(id).addEventListener("change", () => {
    const wanted = `${byId("state-where").value}.${byId("state-part").value}`;
    const there = session.recurrent?.some(({ address }) => address === wanted);
    store.set({ site: there ? wanted : `${byId("state-where").value}.hidden`, time: null, unit: null });
  });
}

/** What is there before any sentence is. */
function invite() {
  byId("focus-title").textContent = "What does it look at?";
  byId("view").replaceChildren(h("p.empty", {}, "Type a sentence above and press Enter: every head of every layer lights up."));
}

let spoken = "";
/** @type {import("./api.js").Problem | null} what the reader has seen and is writing an answer to */
let dismissed = null;
/** The state that is on screen: the store's, but for a moment before a new trace arrives. */
let drawn = store.state;

function render() {
  const { state } = store;
  controls.update(state);
  header.update(state, session.shows(state) ? session.trace : null);
  header.complain(session.problem === dismissed ? null : session.problem, session.trace !== null);
  decoding.update(state, player.running);
  byId("progress").hidden = !session.busy && !player.busy;
  byId("stage").classList.toggle("stale", session.reading);
  if (state.text && !session.shows(state) && !session.problem && !header.lacks(state.model)) session.read(state);
  if (!session.trace) return invite();
  const arrived = session.shows(state);
  if (!arrived && session.busy && !session.problem) return; // the old picture stays until the new trace is here
  const patch = mend(state, session.trace, session.recurrent, session.generates);
  if (arrived && Object.keys(patch).length) return store.set(patch, { silent: true });
  // A text that cannot be read leaves the picture before it, without places that only the other text has.
  drawn = arrived ? state : { ...state, query: null, key: null, time: null, unit: null, ...patch };
  if (arrived && !player.running) player.show(state, session.trace);
  if (state.view === "generate") player.fill();
  scene = sceneOf(drawn, session, cursor, over, player);
  if (!scene) return;
  session.follow(drawn, scene);
  controls.offer({ heads: scene.blocks.length > 0, directions: scene.attention?.pools === false, states: Boolean(scene.recurrent?.length), generate: session.generates === true, steps: true });
  offerSites(scene);
  captions.update(scene);
  sidebarOf(scene.sidebar).update(scene);
  for (const id of ["together", "aggregate"]) byId(id).hidden = scene.near !== null || scene.sidebar !== "heads";
  next.update(scene);
  viewOf(shownView()).update(scene);
  inspector.update(scene);
  const words = mounted?.view.sentence?.(scene) ?? sentence(scene);
  if (words && words !== spoken) say((spoken = words));
  document.documentElement.dataset.ready = String(!session.busy && !player.busy && complete(scene) && (mounted?.view.ready?.() ?? true));
}

/** A long text has a heat map of its own. @returns {keyof typeof VIEWS} */
const shownView = () => (drawn.view === "heatmap" && scene?.near ? "longmap" : drawn.view);

/** Whether everything is here that this scene shows. @param {Scene} scene */
function complete({ attention, heads, overview, inStates, site, states, recurrent }) {
  if (!recurrent) return false;
  if (inStates) return site === null || states.has(site.address);
  return !attention || (heads.length > 0 && overview !== null);
}

/** @type {number | undefined} */
let resting;
/** What changes under a moving pointer, and nothing else; the arithmetic follows when the pointer rests. */
function hover() {
  measured("hover", () => {
    scene = sceneOf(drawn, session, cursor, over, player);
    if (!scene) return;
    viewOf(shownView()).update(scene);
    captions.hover(scene);
  });
  clearTimeout(resting);
  resting = window.setTimeout(refresh, 90);
}

mountKeyboard({
  "/": header.write,
  "?": () => byId("help").showModal(),
  Escape: () => {
    if (player.running) player.stop();
    else if (document.activeElement?.matches("input")) /** @type {HTMLElement} */ (document.activeElement).blur();
    else actions.release();
  },
  "[": () => stepHead(-1),
  "]": () => stepHead(1),
  "{": () => stepLayer(-1),
  "}": () => stepLayer(1),
  g: () => (player.running ? player.stop() : generate()),
  ArrowLeft: () => walk(-1),
  ArrowRight: () => walk(1),
  Home: () => walk("first"),
  End: () => walk("last"),
  " ": (event) => !onButton(event) && walk("play"),
  ...Object.fromEntries(Array.from({ length: controls.views }, (_, i) => [String(i + 1), () => controls.show(i)])),
});

store.subscribe(() => {
  session.retry();
  if (player.running && !player.continues(store.state)) player.drop();
  if (session.problem && !session.shows(store.state)) session.problem = null;
  refresh();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
onResize(byId("view"), refresh);
render();

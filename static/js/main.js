// @ts-check
/** Puts the page together: state → session → scene → views, in one direction. */
import "./elements/register.js";
import { Api } from "./api.js";
import { measured, onFaces, onResize } from "./canvas.js";
import { mountCaptions } from "./captions.js";
import { ALIKE } from "./compare/beside.js";
import { mountComparison } from "./compare/comparison.js";
import { comparisons } from "./compare/examples.js";
import { Pane } from "./compare/pane.js";
import { mountComparedTable } from "./compare/table.js";
import { mountControls } from "./controls.js";
import { mountDecoding } from "./decoding.js";
import { byId, h } from "./dom.js";
import { startingPoint } from "./examples.js";
import { Player } from "./generation.js";
import { mountHeader } from "./header.js";
import { mountKeyboard } from "./keyboard.js";
import { mountLanguages } from "./languages.js";
import { mountLesson, windowOf } from "./present/lesson.js";
import { mountProjection } from "./present/projection.js";
import { onwards } from "./present/walking.js";
import { complete, liveQuery, sceneOf } from "./scene.js";
import { Session } from "./session.js";
import { partName, whereName } from "./recurrent.js";
import { mountShare } from "./share.js";
import { besideOne } from "./share/numbers.js";
import { alone, filed, mountCredit } from "./share/alone.js";
import { answering, noting } from "./share/archive.js";
import { hush, say, sentence, toast } from "./speech.js";
import { blank, decode, encode, refName, Store } from "./state.js";
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
import { t } from "./words.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").HeadRef} HeadRef */
/** @typedef {import("./scene.js").Scene} Scene */

const bootstrap = JSON.parse(byId("bootstrap").textContent);

/** The front page: a lesson stands below it. */
const front = new URL(bootstrap.lesson ? "../" : "./", location.href).href;

/** @param {string} id @returns {import("./examples.js").Example[]} */
const examplesOf = (id) => bootstrap.models.find((/** @type {import("./header.js").Model} */ m) => m.id === id)?.examples ?? [];

/** What the page shows when the address says nothing: the default model's first example. @returns {State} */
function home() {
  if (filed) return decode(bootstrap.state, blank());
  const state = blank();
  const { trace, model } = bootstrap;
  const kept = document.documentElement.dataset.theme;
  const theme = kept === "light" || kept === "dark" ? kept : "system";
  if (!trace) return { ...state, model: model.id, theme };
  return { ...state, model: trace.model, text: trace.text, pair: trace.pair ?? null, target: trace.target ?? null, theme, ...startingPoint(trace, examplesOf(trace.model)) };
}

const store = new Store(home(), bootstrap.lesson ? windowOf(bootstrap.lesson) : window);
const asked = new URLSearchParams(location.search);
if (asked.has("present")) {
  asked.delete("present");
  history.replaceState(null, "", location.pathname + (asked.size ? `?${asked}` : "") + location.hash);
  if (store.state.present === "off") store.set({ present: "on" }, { silent: true });
}
store.steady = alone;
/** @type {Map<string, import("./share/archive.js").Asked>} what the server was asked for */
const notes = new Map();
const session = new Session(new Api(`${bootstrap.lesson ? "../" : ""}api/v1`, filed ? answering(bootstrap.archive) : noting(notes)), refresh);
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

/** Another picture is coming: what was pointed at in this one is no place in that. */
function unpoint() {
  cursor = over = null;
  comparison.forget();
}
store.arriving(unpoint);

// ---------------------------------------------------------------- what a reader can do

const actions = {
  /** @param {HeadRef} ref @param {boolean} add compare instead of moving there @param {import("./trace.js").Attention} [block] another block than the one in focus */
  focus(ref, add, block) {
    const { state } = store;
    const view = state.view === "states" ? /** @type {const} */ ("heatmap") : state.view;
    const now = session.trace && attentionOf(session.trace, state.stack, state.block);
    if (block && now && attentionId(block) !== attentionId(now)) {
      unpoint();
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
    else toast(t("toast.eight"));
  },
  /** @param {number | null} query @param {number | null} [key] @param {import("./scene.js").Seen} [seen] */
  point(query, key = null, seen) {
    const next = query === null ? null : { query, key, seen };
    if (next?.query === cursor?.query && next?.key === cursor?.key && next?.seen?.value === cursor?.seen?.value) return;
    cursor = next;
    comparison.forget();
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

/** Where the address names a model and no text: that model's first example. @param {string} model */
function begin(model) {
  const { text, pair = null } = examplesOf(model)[0] ?? store.home;
  run({ model, text, pair, target: null }, true);
}

/** Reads another sentence; only when its trace is here does the state move there. @param {import("./header.js").Asked} what @param {boolean} [example] */
async function run(what, example = false) {
  const silent = !store.state.text; // an address without a text is completed, not left
  // An intervention names places of one text in one network; the same text again keeps it.
  const again = session.shows({ ...what, said: store.state.said, patches: store.state.patches });
  const plain = { ...what, said: null, forced: [], step: null, patches: again ? store.state.patches : [], ...(again ? {} : { vs_patches: [] }) };
  if (session.shows(plain)) {
    session.stay();
    const patch = example && session.trace ? startingPoint(session.trace, examplesOf(session.trace.model)) : {};
    store.set({ ...plain, ...patch }, { silent });
    refresh();
    return;
  }
  const arriving = session.read(plain);
  refresh();
  if (!(await arriving) || !session.trace) return;
  cursor = over = null;
  const fresh = { ...plain, query: null, key: null, window: null, time: null, unit: null };
  const at = example ? startingPoint(session.trace, examplesOf(session.trace.model)) : {};
  store.set({ ...fresh, ...mend({ ...store.state, ...fresh, ...at }, session.trace, session.recurrent, session.generates), ...at }, { silent });
}

// ---------------------------------------------------------------- what the network says

/** Goes on from the text that is written, and from tokens after it. @param {number[]} [given] @param {number[]} [forced] which of them the reader forced */
async function generate(given = [], forced = []) {
  if (session.generates === false) return toast(t("toast.no-next"));
  const what = { ...header.asked(), patches: store.state.patches };
  const same = (/** @type {import("./header.js").Asked} */ a) => a.model === what.model && a.text === what.text && a.pair === what.pair && a.target === what.target;
  if (!same(store.state)) await header.submit(true);
  if (!same(store.state) || session.generates === false) return;
  store.set({ view: "generate", step: null });
  const { model, text, target, patches } = what;
  const now = await player.say({ model, text, target, patches }, decoding.value(), given, forced);
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
  if (by === "play") pane.view?.play?.();
  else playing.step(by === "first" ? 0 : by === "last" ? steps.length - 1 : shown + by);
  return true;
}

/** Where one key of a clicker leads; false where there is nothing further. @param {import("./present/walking.js").Way} by */
function onward(by) {
  cursor = over = null;
  comparison.forget();
  if (!scene) return false;
  if (pane.view?.walk) return pane.view.walk(by);
  if (store.state.view === "generate") {
    const { shown = 0, steps = [] } = scene.generation ?? {};
    const to = { forward: shown + 1, back: shown - 1, first: 0, last: steps.length - 1 }[by];
    if (!steps[to] || to === shown) return false;
    playing.step(to);
    return true;
  }
  const patch = onwards(scene, by);
  if (patch) store.set(patch, { silent: true });
  return patch !== null;
}
/** Another text starts without places, tokens or interventions of the one before. @type {Partial<State>} */
const APART = { pair: null, target: null, said: null, forced: [], step: null, patches: [], stack: "", block: "", also: [], query: null, key: null, window: null, time: null, unit: null, at: "" };

/** Space presses a button that has the focus. @param {KeyboardEvent} event */
const onButton = ({ target }) => /** @type {Element} */ (target).closest("button, a, summary, [role=button]") !== null;

// ---------------------------------------------------------------- views

/**
 * How every view is mounted, for either pane.
 * @param {typeof actions} acts @param {Session} of @param {Partial<Parameters<typeof mountSteps>[1]>} [follows] the right pane's player follows the left one's
 */
const viewsOf = (acts, of, follows = {}) => ({
  heatmap: (/** @type {HTMLElement} */ host) => mountHeatmap(host, acts),
  longmap: (/** @type {HTMLElement} */ host) => mountLongmap(host, acts),
  lines: (/** @type {HTMLElement} */ host) => mountLines(host, acts),
  text: (/** @type {HTMLElement} */ host) => mountText(host, acts),
  bars: (/** @type {HTMLElement} */ host) => mountBars(host, { url: bootstrap.plotly, fail: toast }),
  table: (/** @type {HTMLElement} */ host) => mountTable(host),
  compared: (/** @type {HTMLElement} */ host) => mountComparedTable(host),
  states: (/** @type {HTMLElement} */ host) => mountStates(host, acts),
  generate: (/** @type {HTMLElement} */ host) => mountGenerate(host, playing),
  steps: (/** @type {HTMLElement} */ host) =>
    mountSteps(host, { api: of.api, set: (patch) => store.set(patch), lock: (query) => store.set({ query, key: null }), refresh, detail: () => of.detail, renew: (trace, since) => of.renew(trace, since), ...follows }),
});
const pane = new Pane(byId("view"), viewsOf(actions, session));

const header = mountHeader({
  api: session.api,
  models: bootstrap.models,
  families: bootstrap.families,
  comparisons: comparisons(bootstrap.models),
  compare: (patch) => {
    unpoint();
    store.set({ ...APART, ...ALIKE, ...patch });
  },
  run,
  forget: () => {
    dismissed = session.problem;
    refresh();
  },
});
const controls = mountControls(store);
mountLanguages();
const projection = mountProjection({
  store,
  walk: (by) => (lesson ? lesson.walk(by) : onward(by)),
  busy: () => player.running,
  ...(bootstrap.lesson ? { speaker: () => lesson?.speaker(), darkened: (/** @type {boolean} */ dark) => lesson?.darkened(dark) } : {}),
  say,
  toast,
  hush,
});
const lesson = bootstrap.lesson
  ? mountLesson(bootstrap.lesson, {
      store,
      decode: (hash) => decode(hash, store.home),
      leave: unpoint,
      unveil: () => pane.view?.unveil?.() ?? false,
      darken: projection.darken,
      api: new Api("../api/v1"),
      refresh,
    })
  : null;
const decoding = mountDecoding({ start: () => generate(), stop: () => player.stop() });
const captions = mountCaptions({
  letGo: (ref) => actions.focus(ref, true),
});
const choose = (/** @type {import("./trace.js").Attention} */ { stack, block }) => {
  unpoint();
  store.set({ stack, block: block.name, also: [], query: null, key: null, ...(store.state.view === "states" ? { view: "heatmap" } : {}) });
};
const SIDEBARS = {
  heads: () => mountGrids(byId("grids"), { ...actions, choose }),
  states: () => mountStateGrid(byId("grids"), { look: (address) => store.set({ view: "states", site: address }) }),
};
/** @type {{name: Scene["sidebar"], view: {update: (scene: Scene) => void, unmount: () => void}} | null} */
let sidebar = null;
const next = mountNext(byId("next"), actions);
const inspector = mountInspector(byId("inspector"), actions);
const comparison = mountComparison({
  store,
  session,
  models: bootstrap.models,
  changed: refresh,
  hover,
  actions,
  views: (acts, of) => viewsOf(acts, of, { set: () => {}, lock: (query) => acts.lock(query, null), story: h("select"), titled: "step-title-beside", leader: () => pane.view?.clock?.() ?? null }),
  lead: () => pane.view,
});
mountShare({
  api: session.api,
  scene: () => scene,
  sentence: () => spoken,
  numbers: () => besideOne(pane.view?.numbers?.() ?? null, comparison.view?.numbers?.() ?? null),
  file: asFile,
  link: () => store.link,
  embed: bootstrap.embed,
  toast,
});
const credit = alone ? mountCredit((id) => bootstrap.models.find((/** @type {import("./header.js").Model} */ m) => m.id === id)?.name ?? id, bootstrap.from) : null;

/** What is on screen as a file of its own. */
async function asFile() {
  const { standalone } = await import("./share/standalone.js");
  const { trace, detail } = session;
  if (!trace) return null;
  await Promise.all([pane, comparison].map(({ view }) => view?.gather?.()));
  const beside = scene?.beside?.scene.trace;
  const traces = beside ? [trace, beside] : [trace];
  const { models, families } = bootstrap;
  const own = { models: models.filter((/** @type {import("./header.js").Model} */ m) => traces.some(({ model }) => model === m.id)), families, model: detail, trace, embed: [], state: encode(store.state), from: front };
  return standalone({ bootstrap: own, front, notes: notes.values(), traces, plotly: drawn.view === "bars" ? bootstrap.plotly : null, title: `Headlight: ${trace.text}` });
}

// ---------------------------------------------------------------- drawing

/** What is beside the picture: heads, or the states of a network that has no heads to choose from. @param {Scene["sidebar"]} name */
function sidebarOf(name) {
  if (sidebar?.name === name) return sidebar.view;
  sidebar?.view.unmount();
  byId("heads-title").textContent = t(name === "heads" ? "heads.title" : "view.states");
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
  byId("focus-title").textContent = t("focus.invite");
  pane.clear();
  byId("view").replaceChildren(h("p.empty", {}, t("focus.invite-line")));
}

let spoken = "";
/** @type {import("./api.js").Problem | null} what the reader has seen and is writing an answer to */
let dismissed = null;
/** The state that is on screen: the store's, but for a moment before a new trace arrives. */
let drawn = store.state;

function render() {
  const { state } = store;
  controls.update(state);
  projection.update(state);
  header.update(state, session.shows(state) ? session.trace : null);
  if (alone && session.problem && session.problem !== dismissed) {
    dismissed = session.problem;
    toast(`${dismissed.title}. ${dismissed.detail}`);
  }
  header.complain(session.problem === dismissed ? null : session.problem, session.trace !== null);
  decoding.update(state, player.running);
  byId("progress").hidden = !session.busy && !player.busy;
  byId("stage").classList.toggle("stale", session.reading);
  const arrived = session.shows(state);
  const lacks = !arrived && header.lacks(state.model);
  if (state.text && !arrived && !session.problem && !lacks) session.read(state);
  if (!state.text && !lacks && !session.busy && !session.problem) begin(state.model);
  if (!arrived) lesson?.update(null, lacks ? t("lesson.absent", { model: state.model }) : (session.problem?.message ?? ""));
  if (!session.trace) return lesson ? undefined : invite();
  if (!arrived && session.busy && !session.problem) return; // the old picture stays until the new trace is here
  const patch = mend(state, session.trace, session.recurrent, session.generates);
  if (arrived && Object.keys(patch).length) return store.set(patch, { silent: true });
  // A text that cannot be read leaves the picture before it, without places that only the other text has.
  drawn = arrived ? state : { ...state, query: null, key: null, time: null, unit: null, ...patch };
  if (arrived && !player.running) player.show(state, session.trace);
  if (state.view === "generate") player.fill();
  scene = sceneNow();
  if (!scene) return;
  session.follow(drawn, scene);
  comparison.ask(scene);
  controls.offer({ heads: scene.blocks.length > 0, directions: scene.attention?.pools === false, states: Boolean(scene.recurrent?.length), generate: session.generates === true, steps: true });
  offerSites(scene);
  captions.update(scene);
  sidebarOf(scene.sidebar).update(scene);
  for (const id of ["together", "aggregate"]) byId(id).hidden = scene.near !== null || scene.sidebar !== "heads";
  next.update(scene);
  picture(scene);
  comparison.draw(scene);
  inspector.update(scene);
  credit?.(scene, store.link);
  if (arrived) lesson?.update(scene, "");
  const own = lesson?.words() ?? "";
  const words = pane.view?.sentence?.(scene) ?? sentence(scene);
  if (own + words !== spoken) say(spoken.startsWith(own) ? words : `${own} ${words}`);
  spoken = own + words;
  document.documentElement.dataset.ready = String(document.fonts.status === "loaded" && !session.busy && !player.busy && complete(scene) && comparison.ready() && (pane.view?.ready?.() ?? true));
}

/** What is on the left, and what is beside it. */
function sceneNow() {
  const { place, step, any } = comparison.pointed;
  const [under, visited] = any ? [place, step] : [cursor, over];
  const left = sceneOf(drawn, session, under, visited, player);
  return left && comparison.beside(left, under, visited);
}

/** Draws the left pane; a long text has a heat map of its own, and two tables are one. @param {Scene} now */
function picture(now) {
  const { view } = drawn;
  const name = view === "heatmap" && now.near ? "longmap" : view === "table" && now.beside?.difference ? "compared" : view;
  pane.show(name, comparison.shown(now));
}

/** @type {number | undefined} */
let resting;
/** What changes under a moving pointer, and nothing else; the arithmetic follows when the pointer rests. */
function hover() {
  measured("hover", () => {
    scene = sceneNow();
    if (!scene) return;
    picture(scene);
    comparison.draw(scene, true);
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
  c: comparison.toggle,
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
  comparison.retry();
  if (player.running && !player.continues(store.state)) player.drop();
  if (session.problem && !session.shows(store.state)) session.problem = null;
  refresh();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
for (const id of ["view", "beside"]) onResize(byId(id), refresh);
onFaces(refresh);
render();

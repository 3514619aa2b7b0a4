// @ts-check
/** Compare: a second scene beside the first. Both follow one state, one pointer and one clock; only what was chosen differs. */
import { byId } from "../dom.js";
import { Player } from "../generation.js";
import { complete, exactly, sceneOf } from "../scene.js";
import { Session } from "../session.js";
import { toast } from "../speech.js";
import { attentionId, attentionOf, isLong, mend } from "../trace.js";
import { mountNext } from "../views/next.js";
import { t } from "../words.js";
import { aligned } from "./alignment.js";
import { besideOf } from "./beside.js";
import { across, alignments, changesOf, differenceOf, differenceScene, obstacle } from "./difference.js";
import { Pane } from "./pane.js";
import { mountSides } from "./sides.js";

/** @typedef {import("../state.js").State} State */
/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("../scene.js").Place} Place */
/** @typedef {{time: number, unit: number}} Step */

/**
 * @param {{
 *   store: import("../state.js").Store,
 *   session: Session,
 *   models: import("../header.js").Model[],
 *   changed: () => void,
 *   hover: () => void,
 *   actions: import("../views/next.js").Actions & import("../views/heatmap.js").Actions & Record<string, any>,
 *   views: (actions: any, session: Session) => Record<string, (host: HTMLElement) => import("./pane.js").View>,
 *   lead: () => import("./pane.js").View | null,
 * }} given session, actions: of the left pane; lead: what it draws with
 */
export function mountComparison({ store, session: left, models, changed, hover, actions, views, lead }) {
  const session = new Session(left.api.beside(), changed);
  const player = new Player(session.api, changed);
  /** @type {Place | null} what is under the pointer in the right pane */
  let pointed = null;
  /** @type {Step | null} the same for recurrent states */
  let over = null;
  /** @type {Scene | null} of the right pane */
  let scene = null;
  /** @type {Scene | null} of the left pane */
  let first = null;
  /** @type {State | null} what the right pane shows of its trace */
  let drawn = null;

  /** A place in the left text, for one of the right text. @param {Place | null} place */
  const home = (place) => (first && scene ? across(place, alignments(first, scene), "left") : null);
  /** A step of the left text. @param {Step | null} step */
  const homeStep = (step) => acrossStep(step, "left");

  /** @param {Step | null} step @param {"left" | "right"} to @returns {Step | null} */
  function acrossStep(step, to) {
    const right = session.recurrent?.find(({ address }) => address === drawn?.site) ?? session.recurrent?.[0];
    const [a, b] = [first?.site && first.trace.tokens[first.site.stack], right && session.trace?.tokens[right.stack]];
    const time = step && a && b ? aligned(a, b)[to][step.time] : null;
    return step && time != null ? { time, unit: step.unit } : null;
  }

  const own = {
    ...actions,
    /** @param {number | null} query @param {number | null} [key] @param {import("../scene.js").Seen} [seen] */
    point(query, key = null, seen) {
      const next = query === null ? null : { query, key, seen };
      if (next?.query === pointed?.query && next?.key === pointed?.key && next?.seen?.value === pointed?.seen?.value) return;
      pointed = next;
      hover();
    },
    /** @param {number} query @param {number | null} key */
    lock(query, key) {
      const there = home({ query, key });
      pointed = null;
      if (!there) return toast(t("compare.nowhere"));
      if (key !== null && there.key === null) toast(t("compare.nowhere"));
      actions.lock(there.query, there.key);
    },
    /** @param {number | null} time @param {number} [unit] */
    visit(time, unit = 0) {
      over = time === null ? null : { time, unit };
      hover();
    },
    /** @param {number} time @param {number} unit */
    keep(time, unit) {
      const there = homeStep({ time, unit });
      over = null;
      if (there) actions.keep(there.time, there.unit);
      else toast(t("compare.nowhere"));
    },
    /** @param {string} stack @param {number | null} index @param {boolean} [hold] */
    lookAt(stack, index, hold = false) {
      const tokens = scene?.trace.tokens[stack];
      if (!scene || !tokens) return;
      if (scene.inStates) return index === null ? own.visit(null) : (hold ? own.keep : own.visit)(index, scene.step?.unit ?? 0);
      const act = hold ? own.lock : own.point;
      if (index === null) own.point(null);
      else if (scene.attention.queries === tokens) act(index, null);
      else if (scene.attention.keys === tokens) act((scene.cursor ?? scene.held ?? scene.chosen)?.query ?? 0, index);
    },
    putInPlace: () => toast(t("compare.own-field")),
  };
  const pane = new Pane(byId("beside"), views(own, session));
  const next = mountNext(byId("next-beside"), own);
  const sides = mountSides({ store, models, scene: () => scene });

  byId("compare").addEventListener("click", toggle);

  function toggle() {
    const on = store.state.compare === "off";
    store.set({ compare: on ? "panes" : "off" });
    actions.say(t(on ? "compare.opened" : "compare.closed"));
  }

  /** Whether both panes are replaced by one picture of what differs. @param {Scene} of */
  const asOne = ({ state, beside }) =>
    state.compare !== "off" && !session.problem && !beside?.why && (state.view === "table" || (state.compare === "difference" && state.view === "heatmap"));

  /** Whether both storyboards say the same of their step. @param {Scene} of */
  const alike = (of) => scene !== null && of.state.view === "steps" && !byId("beside").hidden && pane.view?.sentence?.(scene) === lead()?.sentence?.(of);

  /** Makes the right scene for a left one, once its trace is here. @param {Scene} of @param {Place | null} cursor @param {Step | null} visited */
  function follow(of, cursor, visited) {
    first = of;
    const state = besideOf(of.state);
    if (!session.shows(state)) {
      scene = null;
      return;
    }
    const trace = /** @type {import("../trace.js").TraceBody} */ (session.trace);
    if (!session.detail && left.detail?.id === trace.model) session.describe(left.detail);
    const block = !state.vs_block && of.attention ? { stack: of.attention.stack, block: of.attention.block.name } : {};
    const plain = { ...state, ...block, query: null, key: null, time: null, unit: null, window: null };
    drawn = { ...plain, window: state.window, ...mend(plain, trace, session.recurrent, session.generates) };
    if (!player.running) player.show(drawn, trace);
    if (drawn.view === "generate") player.fill();
    const by = alignments(of, { attention: attentionOf(trace, drawn.stack, drawn.block) });
    const held = across(of.held, by, "right");
    const step = state.time === null || state.unit === null ? null : acrossStep({ time: state.time, unit: state.unit }, "right");
    drawn = { ...drawn, query: held?.query ?? null, key: held?.key ?? null, time: step?.time ?? null, unit: step?.unit ?? null };
    const under = pointed ?? across(cursor && exactly(cursor) ? { query: cursor.query, key: cursor.key } : null, by, "right");
    scene = sceneOf(drawn, session, under, over ?? acrossStep(visited, "right"), player, across(of.chosen, by, "right"));
  }

  /** The left scene with what it is compared with. @param {Scene} of @returns {Scene} */
  function linked(of) {
    if (!scene) return of;
    const top = Math.max(of.top, scene.top);
    scene = { ...scene, top };
    const by = alignments(of, scene);
    const why = obstacle(of, scene);
    const [here, there] = why ? [] : [left.every.get(attentionId(of.attention)), session.every.get(attentionId(scene.attention))];
    const changes = of.state.compare === "difference" && here && there ? changesOf(of, scene, here, there) : null;
    return { ...of, top, changes, beside: { scene, ...by, difference: differenceOf(of, scene), why } };
  }

  return {
    session,
    toggle,
    /** What the right pane draws with; null where nothing is beside the left one. */
    get view() {
      return pane.view;
    },
    /** What is under the pointer in the right pane, as places of the left one. */
    get pointed() {
      return { place: pointed && home(pointed), step: over && homeStep(over), any: pointed !== null || over !== null };
    },
    forget() {
      pointed = over = null;
    },
    /** The scene beside this one, and both as one. @param {Scene} of @param {Place | null} cursor @param {Step | null} visited @returns {Scene} */
    beside(of, cursor, visited) {
      if (of.state.compare === "off") {
        first = scene = null;
        return of;
      }
      follow(of, cursor, visited);
      return linked(of);
    },
    /** Asks for what the right pane shows and is not here yet. @param {Scene} of */
    ask(of) {
      if (of.state.compare === "off") return;
      const state = besideOf(of.state);
      if (!session.shows(state) && !session.problem) session.read(state);
      if (!scene || !drawn) return;
      session.follow(drawn, scene);
      if (of.state.compare !== "difference" || obstacle(of, scene) || isLong(of.attention)) return;
      left.followEvery(of.attention);
      session.followEvery(scene.attention);
    },
    /** @param {Scene} of with what is beside it @param {boolean} [hovering] only what changes under a moving pointer */
    draw(of, hovering = false) {
      const on = of.state.compare !== "off";
      const one = asOne(of);
      if (!hovering) sides.update(of, { on, one, session });
      const host = byId("beside");
      const problem = on && session.problem ? session.problem.detail || session.problem.title : "";
      host.hidden = !on || one || problem !== "";
      const box = byId("beside-problem");
      box.hidden = problem === "";
      if (box.textContent !== problem) box.textContent = problem;
      byId("next-beside").classList.toggle("away", !on || one);
      if (host.hidden) pane.clear(); // or what nobody sees goes on listening
      host.classList.toggle("stale", on && !scene);
      if (scene && !host.hidden) pane.show(scene.state.view === "heatmap" && scene.near ? "longmap" : scene.state.view, scene);
      if (scene && !hovering && !one) next.update(scene);
      byId("panes").toggleAttribute("data-alike", alike(of));
    },
    /** What the left pane draws. @param {Scene} of @returns {Scene} */
    shown: (of) => (of.state.compare === "difference" && of.state.view === "heatmap" && of.beside?.difference ? differenceScene(of, of.beside.difference) : of),
    /** Whether everything is drawn, or will not be. */
    ready() {
      if (first === null || session.problem) return true;
      return !session.busy && !player.busy && scene !== null && complete(scene) && (byId("beside").hidden || (pane.view?.ready?.() ?? true));
    },
    retry() {
      session.retry();
      if (session.problem && !session.shows(besideOf(store.state))) session.problem = null;
    },
  };
}

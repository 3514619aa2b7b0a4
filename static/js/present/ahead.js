// @ts-check
/** What the next press of a clicker will show, read before it is shown: for whoever speaks, and so that it is there at once. */
import { headName } from "../format.js";
import { Player } from "../generation.js";
import { partName, whereName } from "../recurrent.js";
import { complete, sceneOf } from "../scene.js";
import { Session } from "../session.js";
import { sentence } from "../speech.js";
import { storyboards } from "../steps/storyboards.js";
import { subjectIn } from "../steps/subject.js";
import { focusName, mend } from "../trace.js";
import { t } from "../words.js";

/** @typedef {import("../state.js").State} State */
/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {{title: string, sentence: string}} Told what a picture shows, and what is to be seen in it */

/** @param {import("../api.js").Api} api @param {() => void} changed called when something arrived */
export function mountAhead(api, changed) {
  const session = new Session(api, changed);
  const player = new Player(api, changed);
  /** @type {Map<string, import("../steps/learned.js").Parameter[] | null>} by model, what it has learned; null while it is on its way */
  const learned = new Map();

  let asked = "";

  /** @param {string} model */
  function learn(model) {
    if (learned.has(model)) return;
    learned.set(model, null);
    api.json(`models/${encodeURIComponent(model)}/weights`, {}, `weights ${model}`).then(
      (found) => {
        learned.set(model, found);
        changed();
      },
      () => null, // a storyboard then says itself that it cannot be made
    );
  }

  /** The storyboard's own title and sentence; null while they are not known. @param {Scene} scene @returns {Told | null} */
  function stepOf(scene) {
    const { state, trace } = scene;
    learn(trace.model);
    const parameters = learned.get(trace.model);
    const subject = session.detail && parameters ? subjectIn(scene, { ...session.detail, learned: parameters }) : null;
    if (!subject || (scene.attention && !scene.chosen)) return null;
    const boards = storyboards(subject);
    const board = boards.find(({ id }) => id === state.story) ?? boards[0];
    const step = board?.steps.find(({ id }) => id === state.at) ?? board?.steps[0];
    return step ? { title: step.title, sentence: step.sentence } : { title: board?.name ?? t("view.steps"), sentence: "" };
  }

  /** @param {Scene} scene @returns {Told | null} */
  function told(scene) {
    const { state, attention, inStates, site, recurrent } = scene;
    if (state.view === "steps") return stepOf(scene);
    const of = inStates ? (site ? [partName(site), whereName(site, recurrent ?? [])] : []) : [focusName(attention, headName(state))];
    const view = state.compare === "off" ? t(`view.${state.view}`) : t("compare.name");
    return { title: [view, ...of].join(" · "), sentence: sentence(scene) };
  }

  /**
   * @param {State} state of the next press
   * @returns {{scene: Scene, told: Told} | null} null while it is on its way, or cannot be had
   */
  return function look(state) {
    if (!session.shows(state)) {
      const name = JSON.stringify([state.model, state.text, state.pair, state.target, state.said, state.patches]);
      if (name !== asked) session.read(state); // what fails is asked again when it is shown
      asked = name;
      return null;
    }
    asked = "";
    const mended = { ...state, ...mend(state, /** @type {import("../trace.js").TraceBody} */ (session.trace), session.recurrent, session.generates) };
    const scene = sceneOf(mended, session, null, null, player);
    if (!scene) return null;
    session.follow(mended, scene);
    const words = complete(scene) ? told(scene) : null;
    return words && { scene, told: words };
  };
}

// @ts-check
/** Plays a lesson: its slides are states of the page, and the address holds the place among them. */
import { byId, h } from "../dom.js";
import { number, percent } from "../format.js";
import { weightOf } from "../scene.js";
import { FIELDS } from "../state.js";
import { label } from "../trace.js";
import { t } from "../words.js";
import { mountAhead } from "./ahead.js";
import { fill, hashOf, lineOf, placeBeside, placeIn, write } from "./places.js";

/** @typedef {import("./places.js").Lesson} Lesson */
/** @typedef {import("./places.js").Place} Place */
/** @typedef {import("./places.js").Message} Message */
/** @typedef {import("./walking.js").Way} Way */

/** Stands in for the window where the address holds a place and no state: links still lead to the picture alone. @param {Lesson} lesson @returns {any} */
export function windowOf({ slides }) {
  const { slide, step } = placeIn(location.hash, slides);
  const still = () => undefined;
  return {
    location: { hash: `#${projected(slides[slide].states[step])}`, href: new URL("../", location.href).href.replace(/[?#].*/, "") },
    history: { pushState: still, replaceState: still },
    addEventListener: still,
  };
}

/** A slide is projected, whether it says so or not. @param {string} state */
const projected = (state) => (new URLSearchParams(state).has("present") ? state : `${state}&present=on`);

/** Names and values in a slide's state that the page would pass over. @param {string} state */
function unread(state) {
  return [...new URLSearchParams(state)].flatMap(([name, value]) => {
    const field = FIELDS[/** @type {keyof typeof FIELDS} */ (name)];
    return field && (value === "" || field.read(value) !== undefined) ? [] : [`${name}=${value}`];
  });
}

/**
 * @param {Lesson} lesson
 * @param {{
 *   store: import("../state.js").Store,
 *   decode: (hash: string) => import("../state.js").State,
 *   leave: () => void,
 *   unveil: () => boolean,
 *   darken: (dark: boolean) => void,
 *   api: import("../api.js").Api,
 *   refresh: () => void,
 * }} given leave: before another picture. unveil: shows what a step hides; false where it hides nothing. api: of its own, for what comes next
 */
export function mountLesson(lesson, { store, decode, leave, unveil, darken, api, refresh }) {
  const { slides } = lesson;
  const words = h("div.slide", { lang: lesson.language, dir: "auto" });
  const problem = h("p.broke", { role: "alert", hidden: true });
  byId("view").parentElement.before(h("div.slide-room", {}, words, problem));
  document.documentElement.dataset.lesson = lesson.name;
  const line = lineOf(lesson);
  const send = (/** @type {Message} */ message) => line.postMessage(message);

  let place = placeIn(location.hash, slides);
  let written = -1;
  let dark = false;
  /** @type {Record<string, string>} */
  let values = {};
  let told = "";
  /** @type {Place | null} whose picture is here */
  let arrived = null;

  const look = mountAhead(api, foresee);
  /** @type {import("./places.js").Ahead | null} what the next press shows; null while it is not known */
  let ahead = null;
  let foreseen = "";

  const tell = () => send({ at: place, dark, values, ahead });

  /** Reads what comes next, once the picture before it is here, and tells of it. */
  function foresee() {
    const after = placeBeside(slides, place, "forward");
    if (!after || place !== arrived) return;
    const found = look(decode(projected(slides[after.slide].states[after.step])));
    if (!found) return;
    const next = { ...found.told, values: valuesOf(found.scene) };
    const name = JSON.stringify([after, next]);
    if (name === foreseen) return;
    foreseen = name;
    ahead = next;
    tell();
  }

  /** @param {Place} to @param {boolean} [led] whether another window has said so */
  function show(to, led = false) {
    if (hashOf(to) === hashOf(place)) return;
    place = to;
    if (!led) send({ show: place });
    history.replaceState(null, "", hashOf(place));
    const next = decode(projected(slides[place.slide].states[place.step]));
    const { present, theme } = store.state;
    values = {};
    ahead = null;
    foreseen = "";
    document.documentElement.dataset.ready = "false"; // what is on screen is still the slide before
    leave();
    store.set({ ...next, theme, present: present === "off" ? "off" : next.present });
    refresh(); // two slides may differ in their words alone
    tell();
  }

  /** @param {Way} by */
  function walk(by) {
    if (by === "forward" && unveil()) return tell(); // or the speaker takes it that nobody leads
    const to = placeBeside(slides, place, by);
    if (to) show(to);
  }

  line.addEventListener("message", ({ data }) => {
    const message = /** @type {any} */ (data);
    if (message.ask) tell();
    else if (message.go) walk(message.go);
    else if (message.show) show(placeIn(hashOf(message.show), slides), true);
    else if (message.at === undefined && message.dark !== dark) darken(message.dark);
  });
  addEventListener("hashchange", () => show(placeIn(location.hash, slides)));
  if (location.hash) tell();
  else send({ ask: true });

  /** Numbers of the picture that texts may name. @param {import("../scene.js").Scene} scene @returns {Record<string, string>} */
  function valuesOf({ heads, chosen, attention, trace }) {
    const { prediction } = trace;
    const best = prediction?.labels?.toSorted((a, b) => b.probability - a.probability)[0];
    const weight = heads[0] && chosen && chosen.key !== null ? weightOf(heads[0], chosen) : undefined;
    return Object.fromEntries(
      Object.entries({
        weight: weight === undefined ? undefined : number(weight),
        percent: weight === undefined ? undefined : percent(weight),
        query: attention && chosen ? label(attention.queries[chosen.query]) : undefined,
        key: attention && chosen?.key != null ? label(attention.keys[chosen.key]) : undefined,
        number: prediction?.number === undefined ? undefined : number(prediction.number),
        class: best?.label,
        certainty: best && percent(best.probability),
      }).filter(([, value]) => value !== undefined),
    );
  }

  return {
    walk,
    /** The window for the speaker, which the class does not see. */
    speaker: () => window.open(`${encodeURIComponent(lesson.name)}/speaker${hashOf(place)}`, "headlight-speaker", "popup,width=960,height=720"),
    /** @param {boolean} now */
    darkened(now) {
      dark = now;
      tell();
    },
    /** What stands beside the picture. @param {import("../scene.js").Scene | null} scene of this slide; null until it is here @param {string} wrong why it does not come */
    update(scene, wrong) {
      if (written !== place.slide) {
        written = place.slide;
        write(words, slides[place.slide].text_html);
      }
      const passed = unread(slides[place.slide].states[place.step]);
      const said = wrong || (passed.length ? t("lesson.unread", { slide: place.slide + 1, what: passed.join(", ") }) : "");
      problem.hidden = !said;
      problem.textContent = said;
      byId("view").classList.toggle("missing", Boolean(wrong));
      values = scene ? valuesOf(scene) : {};
      fill(words, values);
      if (!scene) return;
      arrived = place;
      const name = JSON.stringify([place, values]);
      if (name !== told) {
        told = name;
        tell();
      }
      foresee();
    },
    /** The slide's own words, for those who listen. */
    words: () => words.textContent ?? "",
  };
}

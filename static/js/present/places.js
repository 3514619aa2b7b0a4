// @ts-check
/** Where one is in a lesson, and what is next: a slide, and how often it was gone on within it. */

/** @typedef {{title: string, title_html: string, text: string, text_html: string, notes: string, notes_html: string, states: string[]}} Slide see GET /lessons/{name} */
/** @typedef {{name: string, title: string, language: string, summary: string, slides: Slide[]}} Lesson */
/** @typedef {{slide: number, step: number}} Place both from 0 */

/** The place that an address names, such as #3 or #3.2, or the nearest there is. @param {string} hash @param {Slide[]} slides @returns {Place} */
export function placeIn(hash, slides) {
  const [slide, step = 1] = /^#?\d{1,4}(\.\d{1,4})?$/.test(hash) ? hash.replace("#", "").split(".").map(Number) : [1];
  const within = (/** @type {number} */ at, /** @type {number} */ length) => Math.max(0, Math.min(length - 1, at - 1));
  const at = within(slide, slides.length);
  return { slide: at, step: within(step, slides[at].states.length) };
}

/** @param {Place} place */
export const hashOf = ({ slide, step }) => `#${slide + 1}${step ? `.${step + 1}` : ""}`;

/** One press further, or back; null where the lesson ends. @param {Slide[]} slides @param {Place} place @param {import("./walking.js").Way} by @returns {Place | null} */
export function placeBeside(slides, { slide, step }, by) {
  const end = (/** @type {number} */ at) => ({ slide: at, step: slides[at].states.length - 1 });
  if (by === "first") return slide || step ? { slide: 0, step: 0 } : null;
  if (by === "last") return end(slides.length - 1);
  if (by === "back") return step ? { slide, step: step - 1 } : slide ? end(slide - 1) : null;
  if (step + 1 < slides[slide].states.length) return { slide, step: step + 1 };
  return slide + 1 < slides.length ? { slide: slide + 1, step: 0 } : null;
}

/** Numbers of the picture that a text may name: {weight}, {percent}, … */
const NAMED = /\{(weight|percent|query|key|number|class|certainty)\}/g;

/** Puts a text into an element, with a place for every number in it; the server has made sure that it holds no other HTML than Markdown's. @param {HTMLElement} host @param {string} html */
export function write(host, html) {
  host.innerHTML = html.replace(NAMED, '<span data-value="$1">…</span>');
}

/** @param {HTMLElement} host @param {Record<string, string>} values */
export function fill(host, values) {
  for (const one of /** @type {NodeListOf<HTMLElement>} */ (host.querySelectorAll("[data-value]"))) one.textContent = values[one.dataset.value ?? ""] ?? "…";
}

/** The line between the windows that play a lesson. @param {Lesson} lesson */
export const lineOf = ({ name }) => new BroadcastChannel(`headlight-lesson-${name}`);

/** @typedef {{title: string, sentence: string, values: Record<string, string>}} Ahead what the next press shows, in the words of the picture, and its numbers */

/**
 * What goes over it. A window that plays says where it is; one that speaks asks for that, or says where to go.
 * @typedef {{at: Place, dark: boolean, values: Record<string, string>, ahead: Ahead | null} | {ask: true} | {go: import("./walking.js").Way} | {show: Place} | {dark: boolean}} Message
 */

// @ts-check
/** The speaker's window: notes, what comes next, the time; it leads the window that the class sees, and follows it. */
import { byId } from "../dom.js";
import { subscripted } from "../steps/draw.js";
import { t } from "../words.js";
import { fill, hashOf, lineOf, placeBeside, placeIn, write } from "./places.js";

/** @typedef {import("./places.js").Message} Message */
/** @typedef {import("./walking.js").Way} Way */

/** Milliseconds after which nobody else is taken to lead. */
const PATIENCE = 400;

const lesson = /** @type {import("./places.js").Lesson} */ (JSON.parse(byId("lesson").textContent));
const { slides } = lesson;
const line = lineOf(lesson);
const send = (/** @type {Message} */ message) => line.postMessage(message);

let place = placeIn(location.hash, slides);
let dark = false;
/** @type {Record<string, string>} */
let values = {};
/** @type {import("./places.js").Ahead | null} */
let ahead = null;
/** @type {number | undefined} */
let alone;

function draw() {
  const { slide, step } = place;
  const now = slides[slide];
  history.replaceState(null, "", hashOf(place));
  byId("count").textContent = t(now.states.length > 1 ? "lesson.place-step" : "lesson.place", { slide: slide + 1, slides: slides.length, step: step + 1, steps: now.states.length });
  write(byId("now"), now.text_html);
  write(byId("notes"), now.notes_html || `<p>${t("lesson.no-notes")}</p>`);
  for (const part of ["now", "notes"]) fill(byId(part), values);
  const after = placeBeside(slides, place, "forward");
  drawNext(after);
  byId("back").disabled = !placeBeside(slides, place, "back");
  byId("forward").disabled = !after;
  byId("black").setAttribute("aria-pressed", String(dark));
}

/** What comes next: where that is, its title, its words for the class, and what is to be seen. @param {import("./places.js").Place | null} after null at the end */
function drawNext(after) {
  const same = after?.slide === place.slide;
  const coming = after && slides[after.slide];
  const steps = coming?.states.length ?? 0;
  byId("next-place").textContent = !after ? t("lesson.end") : same ? t("lesson.same", { step: after.step + 1, steps }) : t("lesson.place", { slide: after.slide + 1, slides: slides.length });
  const titled = coming && !same && !coming.text_html.includes(coming.title_html);
  byId("next-title").hidden = !titled;
  write(byId("next-title"), titled ? coming.title_html : "");
  write(byId("next"), coming?.text_html ?? "");
  fill(byId("next"), ahead?.values ?? {});
  byId("next-picture").replaceChildren(...subscripted(ahead?.title ?? ""));
  byId("next-sentence").textContent = ahead?.sentence ?? "";
  byId("next-read").textContent = coming && after ? (new URLSearchParams(coming.states[after.step]).get("text") ?? "") : "";
}

/** Asks the other window to go; where there is none, goes alone. @param {Way} by */
function go(by) {
  send({ go: by });
  clearTimeout(alone);
  alone = window.setTimeout(() => {
    const to = placeBeside(slides, place, by);
    if (!to) return;
    place = to;
    values = {};
    ahead = null;
    draw();
  }, PATIENCE);
}

line.addEventListener("message", ({ data }) => {
  const message = /** @type {any} */ (data);
  if (message.ask) return send({ show: place });
  if (!message.at) return;
  clearTimeout(alone);
  place = placeIn(hashOf(message.at), slides);
  ({ dark, values, ahead } = message);
  byId("link").hidden = true;
  draw();
});

byId("back").addEventListener("click", () => go("back"));
byId("forward").addEventListener("click", () => go("forward"));
byId("black").addEventListener("click", () => send({ dark: !dark }));

/** @type {Record<string, () => void>} */
const KEYS = {
  ArrowRight: () => go("forward"),
  PageDown: () => go("forward"),
  " ": () => go("forward"),
  ArrowLeft: () => go("back"),
  PageUp: () => go("back"),
  Home: () => go("first"),
  End: () => go("last"),
  b: () => send({ dark: !dark }),
  ".": () => send({ dark: !dark }),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || (event.key === " " && /** @type {Element} */ (event.target).closest("button, a"))) return;
  event.preventDefault();
  act();
});
addEventListener("hashchange", () => {
  const to = placeIn(location.hash, slides);
  if (hashOf(to) === hashOf(place)) return;
  place = to;
  ahead = null;
  send({ show: place });
  draw();
});

// ---------------------------------------------------------------- the time

const KEPT = `headlight-lesson-${lesson.name}`;

/** When the lesson began: a reload does not start it again. */
function begun() {
  try {
    return Number(sessionStorage.getItem(KEPT)) || begin();
  } catch {
    return start; // Storage may be forbidden: the time then counts from this page's own start.
  }
}
let start = Date.now();
function begin() {
  start = Date.now();
  try {
    sessionStorage.setItem(KEPT, String(start));
  } catch {
    // As above.
  }
  return start;
}
byId("reset").addEventListener("click", () => {
  begin();
  tick();
});

function tick() {
  const seconds = Math.max(0, Math.floor((Date.now() - begun()) / 1000));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  byId("elapsed").textContent = `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`;
  const now = new Date();
  byId("clock").textContent = `${two(now.getHours())}:${two(now.getMinutes())}`;
}
setInterval(tick, 500);
tick();
draw();
send({ ask: true });

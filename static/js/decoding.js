// @ts-check
/** How a text is continued: the settings, what each of them does, and the button that starts and stops. */
import { byId } from "./dom.js";
import { FIELDS } from "./state.js";
import { t } from "./words.js";

/** @typedef {import("./generation.js").Settings} Settings */

const NAMES = /** @type {const} */ (["most", "temperature", "top_k", "top_p", "penalty", "seed", "beams"]);
/** Seeds that can be read out to a class. */
const SEEDS = 1000;

/** The settings as a sentence. @param {Settings} settings */
export function inWords({ most, temperature, top_k, top_p, penalty, seed, beams }) {
  const less = penalty === 1 ? "" : t(penalty > 1 ? "decoding.less-likely" : "decoding.likelier");
  const tokens = t("count.token", { count: most });
  if (beams > 1) return t("decoding.beam-search", { beams, tokens, less });
  if (temperature === 0) return t("decoding.greedy", { tokens, less });
  if (top_k === null && top_p === null) return t("decoding.draws", { temperature, tokens, seed, less });
  const among = top_p === null ? t("decoding.among-k", { top_k: Number(top_k) }) : top_k === null ? t("decoding.among-p", { top_p }) : t("decoding.among-both", { top_k, top_p });
  return t("decoding.draws-among", { temperature, among, tokens, seed, less });
}

/** @param {{start: () => void, stop: () => void}} actions */
export function mountDecoding({ start, stop }) {
  const form = byId("decoding");
  const button = byId("generate");
  const field = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
  let shown = "";
  let running = false;
  /** What is under the pointer or has the focus is explained; else the settings are said. @type {string | null} */
  let explained = null;

  /** @returns {Settings} what is written; what cannot be read is as it would be by itself */
  function value() {
    return /** @type {Settings} */ (Object.fromEntries(NAMES.map((name) => {
      const { read, fallback } = FIELDS[name];
      return [name, read(field(name).value.trim()) ?? fallback];
    })));
  }

  /** @param {boolean} [correct] write what was understood */
  function settle(correct = false) {
    const settings = value();
    if (correct) for (const name of NAMES) field(name).value = String(settings[name] ?? "");
    // A beam search draws nothing.
    for (const name of ["temperature", "top_k", "top_p", "seed"]) field(name).disabled = settings.beams > 1;
    byId("new-seed").disabled = settings.beams > 1;
    byId("decoding-line").textContent = explained ?? inWords(settings);
  }

  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    settle(true);
    if (running) stop();
    else start();
  });
  // After a click of the mouse, Space and the arrows go through the steps instead of pressing it again.
  button.addEventListener("click", (/** @type {MouseEvent} */ event) => event.detail > 0 && button.blur());
  form.addEventListener("input", () => settle());
  form.addEventListener("change", () => settle(true));
  byId("new-seed").addEventListener("click", () => {
    field("seed").value = String(Math.floor(Math.random() * SEEDS));
    settle();
  });
  for (const [begin, end] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
    form.addEventListener(begin, (/** @type {Event} */ event) => {
      const label = /** @type {Element} */ (event.target).closest("label");
      explained = label?.title || null;
      settle();
    });
    form.addEventListener(end, () => {
      explained = /** @type {HTMLElement | null} */ (form.querySelector("label:focus-within"))?.title ?? null;
      settle();
    });
  }

  return {
    value,
    /** Fields show what is on screen, until somebody writes into them. @param {import("./state.js").State} state @param {boolean} now whether something is said right now */
    update(state, now) {
      const name = NAMES.map((one) => state[one]).join();
      if (shown !== name) {
        shown = name;
        for (const one of NAMES) field(one).value = String(state[one] ?? "");
        settle();
      }
      if (running === now) return;
      running = now;
      button.textContent = t(now ? "decoding.stop" : "decoding.start");
      button.title = t(now ? "decoding.stop-title" : "decoding.start-title");
    },
  };
}

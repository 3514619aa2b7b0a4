// @ts-check
/** What the page says in words. */
import { bothWeights, headsOf } from "./compare/difference.js";
import { byId } from "./dom.js";
import { percent, signed } from "./format.js";
import { weightOf } from "./scene.js";
import { classOf, label } from "./trace.js";
import { t } from "./words.js";

/** @type {number | undefined} */
let speaking;
/** @type {number | undefined} */
let telling;
let pending = "";
/** For those who listen: only the last of several sentences in quick succession. @param {string} sentence */
export function say(sentence) {
  clearTimeout(speaking);
  clearTimeout(telling);
  [pending, telling] = ["", undefined];
  speaking = window.setTimeout(() => {
    byId("live").textContent = sentence;
  }, 150);
}

/** For those who listen to a text that grows: what came since the last time, every other second. @param {string} words */
export function speakOn(words) {
  pending += words;
  telling ??= window.setTimeout(() => {
    byId("live").textContent = pending.trim();
    [pending, telling] = ["", undefined];
  }, 2000);
}

/** @type {number | undefined} */
let fading;
/** For everybody, for a moment. @param {string} sentence */
export function toast(sentence) {
  const box = byId("toast");
  box.textContent = sentence;
  box.hidden = false;
  clearTimeout(fading);
  fading = window.setTimeout(() => {
    box.hidden = true;
  }, 4000);
}

/** What was said for everybody has been read. */
export function hush() {
  byId("toast").hidden = true;
}

/** What is seen, as a sentence. @param {import("./scene.js").Scene} scene */
export function sentence(scene) {
  const { heads, chosen, attention, trace, inStates, beside } = scene;
  if (inStates || !heads[0] || !chosen || chosen.key === null) return "";
  const weight = weightOf(heads[0], chosen);
  if (weight === undefined) return "";
  if (beside) {
    const both = bothWeights(scene, chosen);
    const pair = { head: headsOf(heads, beside), query: label(attention.queries[chosen.query]), key: label(attention.keys[chosen.key]), left: percent(weight) };
    return both ? t("compare.sentence", { ...pair, right: percent(both.right), change: signed(both.change) }) : t("compare.sentence-left", pair);
  }
  const own = classOf(trace, attention.queries, chosen.query);
  const said = own ? ` ${t("speech.class", { label: own.label, share: percent(own.probability) })}` : "";
  const seen = { head: heads[0].name, query: label(attention.queries[chosen.query]), key: label(attention.keys[chosen.key]), share: percent(weight) };
  return `${t("speech.attends", seen)}${said}`;
}

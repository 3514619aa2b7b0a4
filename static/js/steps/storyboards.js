// @ts-check
/** Which storyboards a model has, by what it is made of. */
import { Problem } from "../api.js";
import { attentionSteps } from "./attention.js";
import { backwardsSteps, besideSteps } from "./backwards.js";
import { continuation, generatingSteps } from "./generating.js";
import { networkSteps } from "./network.js";
import { translationSteps } from "./translation.js";
import { unrolledSteps } from "./unrolled.js";
import { t } from "../words.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Storyboard} Storyboard */

/** Where other networks cannot be asked for, as in a file that works alone, a storyboard goes without them. @param {unknown} error @returns {import("./parts.js").Step[]} */
function withoutThem(error) {
  if (error instanceof Problem) return [];
  throw error;
}

/** @param {Subject} subject @returns {Storyboard[]} */
export function storyboards(subject) {
  const { attention, model, trace } = subject;
  /** @type {Storyboard[]} */
  const all = [
    { id: "attention", name: t("story.attention"), steps: attention ? attentionSteps({ ...subject, attention }) : [] },
    { id: "network", name: t("story.network"), steps: networkSteps(subject) },
    { id: "translation", name: t("story.translation"), steps: translationSteps(subject) },
    { id: "time", name: t("story.time"), steps: unrolledSteps(subject) },
  ];
  const there = all.filter(({ steps }) => steps.length);
  const back = backwardsSteps(subject);
  if (back.length) there.push({ id: "backwards", name: t("story.backwards"), steps: [], gather: async (api) => [...back, ...(await besideSteps(subject, api).catch(withoutThem))] });
  const alone = Object.keys(trace.tokens).length === 1;
  if (model.generates && alone) there.push({ id: "generation", name: t("story.generation"), steps: [], gather: async (api) => generatingSteps(subject, await api.post("traces", continuation(subject), "steps continued")) });
  return there;
}

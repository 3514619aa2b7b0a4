// @ts-check
/** Which storyboards a model has, by what it is made of. */
import { attentionSteps } from "./attention.js";
import { backwardsSteps } from "./backwards.js";
import { continuation, generatingSteps } from "./generating.js";
import { networkSteps } from "./network.js";
import { translationSteps } from "./translation.js";
import { unrolledSteps } from "./unrolled.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Storyboard} Storyboard */

/** @param {Subject} subject @returns {Storyboard[]} */
export function storyboards(subject) {
  const { attention, model, trace } = subject;
  /** @type {Storyboard[]} */
  const all = [
    { id: "attention", name: "Attention, step by step", steps: attention ? attentionSteps({ ...subject, attention }) : [] },
    { id: "network", name: "The whole network", steps: networkSteps(subject) },
    { id: "translation", name: "Word after word, looking back", steps: translationSteps(subject) },
    { id: "time", name: "Time step after time step", steps: unrolledSteps(subject) },
    { id: "backwards", name: "Backpropagation through time", steps: backwardsSteps(subject) },
  ];
  const there = all.filter(({ steps }) => steps.length);
  const alone = Object.keys(trace.tokens).length === 1;
  if (model.generates && alone) there.push({ id: "generation", name: "Generation", steps: [], first: continuation(subject), grow: (continued) => generatingSteps(subject, continued) });
  return there;
}

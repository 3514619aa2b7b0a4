// @ts-check
/** Backpropagation through time: how far learning reaches back. */
import { label } from "../trace.js";
import { frac, math, row, sub } from "./math.js";
import { chart, line, span, strip } from "./parts.js";
import { around, chip, quoted } from "./subject.js";
import { at, gradient, norm, tensor } from "./tensors.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Step} Step */

/** What can be differentiated in this trace: the loss of its own words, or the logit of the class that it says. @param {Subject} subject */
function objective({ trace }) {
  const { prediction } = trace;
  if (prediction?.labels) {
    const best = prediction.labels.reduce((top, one, i, all) => (one.probability > all[top].probability ? i : top), 0);
    return { name: `logit of “${prediction.labels[best].label}”`, pick: { of: "logit", of_token: best } };
  }
  if (!prediction?.positions || trace.tokens[prediction.stack].length < 2) return null;
  const decodes = Object.keys(trace.tokens).length > 1;
  return decodes && !trace.target ? null : { name: "loss", pick: {} };
}

/** @param {Subject} subject @returns {Step[]} */
export function backwardsSteps(subject) {
  const { site, trace, recurrent } = subject;
  const of = objective(subject);
  const hidden = site && recurrent.find(({ where, part }) => where === site.where && part === "hidden");
  if (!hidden || !of) return [];
  const tokens = trace.tokens[hidden.stack];
  const { first, last } = around(tokens.length, tokens.length - 1);
  const some = `${first}-${last}`;
  const shown = tokens.slice(first, last + 1);
  const states = tensor(hidden.address, { position: some });
  const slope = { ...gradient(hidden.address), pick: { position: some, ...of.pick } };
  const [end, begin] = [quoted(shown[hidden.reverse ? 0 : shown.length - 1]), quoted(shown[hidden.reverse ? shown.length - 1 : 0])];
  return [
    {
      id: "forward",
      title: "Forward: one state after another",
      sentence: `Every state is made from the one before; ${end} is the last. In the end there is one number to make better: the ${of.name}.`,
      formula: () => math(sub("h", "t"), "=", "f", "(", sub("x", "t"), ",", sub("h", row("t", "−", "1")), ")"),
      needs: { states },
      scene: (got) => ({ columns: ["token", "wide"], lines: shown.map((one, i) => line([chip(one, { key: `token ${i}` }), strip({ name: `state after ${label(one)}`, ...at(states, got.states, "position", first + i, first), top: 1, key: `h ${i}` })])) }),
    },
    {
      id: "backward",
      title: "Backward: who is to blame?",
      sentence: `For every number of every state: how much would the ${of.name} change with it? The answer is carried back step by step, by the same weights each time.`,
      formula: () => math(frac(row("∂", "L"), row("∂", sub("h", "t"))), "=", frac(row("∂", sub("h", row("t", "+", "1"))), row("∂", sub("h", "t"))), frac(row("∂", "L"), row("∂", sub("h", row("t", "+", "1")))), "+", "…"),
      needs: { slope },
      scene(got) {
        const top = span(got.slope.data);
        return { columns: ["token", "wide"], lines: shown.map((one, i) => line([chip(one, { key: `token ${i}` }), strip({ name: `gradient at ${label(one)}`, ...at(slope, got.slope, "position", first + i, first), top, key: `g ${i}`, from: `h ${i}`, result: true })])) };
      },
    },
    {
      id: "reach",
      title: "How far does it reach?",
      sentence: `The length of the gradient at every step. Where it is near zero, ${begin} cannot learn from the end: the gradient has vanished on the way.`,
      formula: () => math("‖", frac(row("∂", "L"), row("∂", sub("h", "t"))), "‖"),
      needs: { slope },
      scene(got) {
        const values = shown.map((_, i) => norm(at(slope, got.slope, "position", first + i, first).values));
        const [early, late] = hidden.reverse ? [values.at(-1), values[0]] : [values[0], values.at(-1)];
        return {
          columns: ["wide"],
          lines: [line([chart({ name: "norm of the gradient", values, labels: shown.map(label), result: true })])],
          note: late ? `First over last: ${(Number(early) / late).toPrecision(3)}.` : "The last state itself does not count here.",
        };
      },
    },
  ];
}

// @ts-check
/** Recurrent networks: one time step after another, with gates, cell and hidden state; and what is looked back at. */
import { isShare, partName, whereName } from "../recurrent.js";
import { label } from "../trace.js";
import { lines as below, math, row, sub } from "./math.js";
import { line, matrix, strip, words } from "./parts.js";
import { sayingSteps } from "./saying.js";
import { chip, has, quoted } from "./subject.js";
import { at, tensor, whole } from "./tensors.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Step} Step */
/** @typedef {import("../recurrent.js").RecurrentSite} RecurrentSite */

/** So many time steps are walked one by one. */
const WALKED = 24;

/** A letter for each part of a cell, as in the papers. @type {Record<string, string>} */
const LETTERS = { hidden: "h", cell: "c", "gate.forget": "f", "gate.input": "i", "gate.output": "o", "gate.candidate": "g", "gate.reset": "r", "gate.update": "z", input: "x" };

/** @param {Subject} subject @returns {Step[]} */
export function unrolledSteps(subject) {
  const { recurrent, site, trace } = subject;
  if (!site) return [];
  const own = recurrent.filter(({ where }) => where === site.where);
  const tokens = trace.tokens[site.stack];
  const times = tokens.map((_, i) => (site.reverse ? tokens.length - 1 - i : i));
  const walked = times.slice(0, WALKED);
  return [...inside(subject, own, times[Math.min(1, times.length - 1)], times), ...walked.map((time, i) => moment(subject, own, time, times, i)), ...overTime(subject, own), ...across(subject), ...sayingSteps(subject)];
}

/** @param {RecurrentSite[]} own @param {string} part */
const find = (own, part) => own.find((site) => site.part === part);

/** The state before a step: of the step before, or where the cell began. @param {RecurrentSite} site @param {number} time @param {number[]} times */
function before(site, time, times) {
  const i = times.indexOf(time);
  return i > 0 ? tensor(site.address, { position: times[i - 1] }) : tensor(`${site.where}.start.${site.part}`);
}

/** The laws of a cell. @param {RecurrentSite[]} own */
function laws(own) {
  const h = () => sub("h", row("t", "−", "1")); // a node stands in one place only
  const from = (/** @type {string} */ name, /** @type {string} */ of) => [name, "=", of, "(", row("W", sub("x", "t"), "+", ...(name === "n" ? ["r", "∘", "(", "U", h(), ")"] : ["U", h()])), ")"];
  if (find(own, "gate.output")) return [["f", ",", "i", ",", "o", "=", "σ", "(", row("W", sub("x", "t"), "+", "U", h()), ")"], from("g", "tanh"), [sub("c", "t"), "=", row("f", "∘", sub("c", row("t", "−", "1")), "+", "i", "∘", "g")], [sub("h", "t"), "=", row("o", "∘", "tanh", sub("c", "t"))]];
  if (find(own, "gate.update")) return [["r", ",", "z", "=", "σ", "(", row("W", sub("x", "t"), "+", "U", h()), ")"], from("n", "tanh"), [sub("h", "t"), "=", row("(", "1", "−", "z", ")", "∘", "n", "+", "z", "∘", h())]];
  return [[sub("h", "t"), "=", "tanh", "(", row("W", sub("x", "t"), "+", "U", h()), ")"]];
}

/** One step in slow motion. @param {Subject} subject @param {RecurrentSite[]} own @param {number} time @param {number[]} times @returns {Step[]} */
function inside({ trace, recurrent }, own, time, times) {
  const [hidden, cell, input] = ["hidden", "cell", "input"].map((part) => find(own, part));
  if (!hidden || !input) return [];
  const one = trace.tokens[hidden.stack][time];
  const gru = Boolean(find(own, "gate.update"));
  const gates = own.filter(({ part }) => part.startsWith("gate."));
  const letter = (/** @type {RecurrentSite} */ site) => (gru && site.part === "gate.candidate" ? "n" : LETTERS[site.part]);
  const here = (/** @type {RecurrentSite} */ site) => tensor(site.address, { position: time });
  const base = { x: here(input), h: before(hidden, time, times) };
  const place = whereName(hidden, recurrent);
  const top = (/** @type {import("./tensors.js").All} */ got) => [
    line([words("x"), strip({ name: `what ${label(one)} brings`, ...whole(base.x, got.x), key: "x" })]),
    line([words("h before"), strip({ name: "state before", ...whole(base.h, got.h), top: 1, key: "h before" })]),
  ];
  const rows = () => laws(own);
  /** @type {Step[]} */
  const steps = [
    {
      id: "read",
      title: "Read a word, remember the state",
      sentence: `At every step the cell has two things: the word ${quoted(one)}, and the state that it carried along (${place}).`,
      formula: () => math(sub("x", "t"), ",", sub("h", row("t", "−", "1"))),
      needs: base,
      scene: (got) => ({ columns: ["label", "wide"], lines: top(got) }),
    },
  ];
  if (gates.length) {
    const needs = { ...base, ...Object.fromEntries(gates.map((gate) => [gate.part, here(gate)])) };
    steps.push({
      id: "gates",
      title: "Ask the gates",
      sentence: gru ? "Reset says how much of the old state the candidate may see, update how much of it stays: from 0, closed, to 1, open." : "Forget says how much of the memory stays, input how much is let in, output how much is shown: from 0, closed, to 1, open.",
      formula: () => below(...rows().slice(0, 2)),
      needs,
      scene: (got) => ({
        columns: ["label", "wide"],
        lines: [...top(got), ...gates.map((gate) => line([words(`${letter(gate)}  ${partName(gate)}`), strip({ name: partName(gate), ...whole(needs[gate.part], got[gate.part]), top: 1, share: isShare(gate), key: gate.part, from: "h before", result: true })]))],
      }),
    });
  }
  if (cell) {
    const [forget, input_, candidate] = ["gate.forget", "gate.input", "gate.candidate"].map((part) => /** @type {RecurrentSite} */ (find(own, part)));
    const needs = { before: before(cell, time, times), forget: here(forget), input: here(input_), candidate: here(candidate), cell: here(cell) };
    steps.push({
      id: "cell",
      title: "Forget, and write: the cell",
      sentence: "Unit by unit, what the forget gate keeps of the old memory, and what the input gate lets in of the candidate.",
      formula: () => below(rows()[2]),
      needs,
      scene: (got) => ({
        columns: ["label", "wide"],
        lines: [
          line([words("c before"), strip({ name: "cell before", ...whole(needs.before, got.before), top: 1, key: "c before" })]),
          line([words("∘ f"), strip({ name: "forget gate", ...whole(needs.forget, got.forget), share: true, key: "gate.forget" })]),
          line([words("+ i"), strip({ name: "input gate", ...whole(needs.input, got.input), share: true, key: "gate.input" })]),
          line([words("∘ g"), strip({ name: "candidate", ...whole(needs.candidate, got.candidate), top: 1, key: "gate.candidate" })]),
          line([words("= c"), strip({ name: "cell", ...whole(needs.cell, got.cell), top: 1, key: "cell", from: "c before", result: true })]),
        ],
      }),
    });
  }
  const last = cell ? { gate: here(/** @type {RecurrentSite} */ (find(own, "gate.output"))), from: here(cell) } : gru ? { gate: here(/** @type {RecurrentSite} */ (find(own, "gate.update"))), from: here(/** @type {RecurrentSite} */ (find(own, "gate.candidate"))) } : null;
  /** @type {Record<string, import("./tensors.js").Need>} */
  const needs = { ...base, hidden: here(hidden), ...(last ?? {}) };
  steps.push({
    id: "hidden",
    title: "The new state",
    sentence: cell ? "The output gate decides how much of the memory is shown: this is the state that goes on, and all that others see." : gru ? "The update gate mixes the candidate with the state before: this is the state that goes on." : "A sum of both, squeezed by tanh: this is the state that goes on.",
    formula: () => below(/** @type {any} */ (rows().at(-1))),
    needs,
    scene: (got) => ({
      columns: ["label", "wide"],
      lines: [
        ...(got.from ? [line([words(cell ? "c" : "n"), strip({ name: cell ? "cell" : "candidate", ...whole(needs.from, got.from), top: 1, key: cell ? "cell" : "gate.candidate" })]), line([words(cell ? "o" : "z"), strip({ name: cell ? "output gate" : "update gate", ...whole(needs.gate, got.gate), share: true, key: cell ? "gate.output" : "gate.update" })])] : top(got)),
        ...(gru ? [line([words("h before"), strip({ name: "state before", ...whole(needs.h, got.h), top: 1, key: "h before" })])] : []),
        line([words("= h"), strip({ name: "hidden state", ...whole(needs.hidden, got.hidden), top: 1, key: "h", from: cell ? "cell" : "h before", result: true })]),
      ],
    }),
  });
  return steps;
}

/** One time step, and what there is so far. @param {Subject} subject @param {RecurrentSite[]} own @param {number} time @param {number[]} times @param {number} order @returns {Step} */
function moment({ trace, recurrent }, own, time, times, order) {
  const hidden = /** @type {RecurrentSite} */ (find(own, "hidden"));
  const cell = find(own, "cell");
  const tokens = trace.tokens[hidden.stack];
  const shown = times.slice(Math.max(0, order - 11), order + 1);
  const [first, final] = [Math.min(...shown), Math.max(...shown)];
  const states = tensor(hidden.address, { position: `${first}-${final}` });
  const needs = { states, input: tensor(`${hidden.where}.input`, { position: time }), before: before(hidden, time, times), ...(cell ? { cell: tensor(cell.address, { position: time }) } : {}) };
  return {
    id: `time-${order}`,
    title: `Step ${order + 1} of ${times.length}: ${label(tokens[time])}`,
    sentence: order ? `The state now holds ${order + 1} words in one vector: what came first must survive every step.` : `The first word, with the state that the cell begins with (${whereName(hidden, recurrent)}).`,
    formula: () => math(sub("h", String(order + 1)), "=", "f", "(", sub("x", String(order + 1)), ",", sub("h", String(order)), ")"),
    needs,
    scene: (got) => ({
      columns: ["token", "label", "wide"],
      lines: [
        ...shown.map((t) => line([chip(tokens[t], { key: `token ${t}` }), words("h"), strip({ name: `state after ${label(tokens[t])}`, ...at(states, got.states, "position", t, first), top: 1, key: `h ${t}`, from: t === time ? `h ${times[order - 1]}` : undefined, result: t === time })], { lit: t === time })),
        ...(cell ? [line([words(""), words("c"), strip({ name: "cell", ...whole(/** @type {any} */ (needs).cell, got.cell), top: 1, key: "cell now", result: true })])] : []),
      ],
      note: shown.length <= order ? `The last ${shown.length} steps.` : "",
    }),
  };
}

/** Everything over time at once. @param {Subject} subject @param {RecurrentSite[]} own @returns {Step[]} */
function overTime({ trace, recurrent }, own) {
  const hidden = find(own, "hidden");
  if (!hidden) return [];
  const tokens = trace.tokens[hidden.stack];
  const until = Math.min(tokens.length, 40) - 1;
  const states = tensor(hidden.address, { position: `0-${until}` });
  return [
    {
      id: "states",
      title: "All states over time",
      sentence: `Time runs down, units run across: some units hold on to something for long, others change with every word (${whereName(hidden, recurrent)}).`,
      formula: () => math("H", "=", "(", sub("h", "1"), ",", "…", ",", sub("h", String(until + 1)), ")"),
      needs: { states },
      scene: (got) => ({
        columns: ["matrix-large"],
        lines: [line([matrix({ name: "hidden states", ...whole(states, got.states), rows: got.states.shape[0], cols: got.states.shape[1], labels: tokens.slice(0, until + 1).map(label), large: true, key: "H" })])],
      }),
    },
  ];
}

/** From an encoder to a decoder: one vector, and nothing else, unless the decoder may look back. @param {Subject} subject @returns {Step[]} */
function across(subject) {
  const { trace, recurrent, attention } = subject;
  const stacks = Object.keys(trace.tokens);
  const [encoder, decoder] = stacks;
  const start = "decoder.0.cell.start.hidden";
  if (stacks.length !== 2 || !has(subject, start) || !has(subject, `${encoder}.0.cell.hidden`)) return [];
  const both = recurrent.some(({ stack, reverse }) => stack === encoder && reverse);
  const source = trace.tokens[encoder];
  const cell = has(subject, "decoder.0.cell.start.cell");
  const needs = { last: tensor(`${encoder}.0.cell.hidden`, { position: source.length - 1 }), start: tensor(start), ...(cell ? { cell: tensor("decoder.0.cell.start.cell") } : {}), ...(both ? { first: tensor(`${encoder}.0.reverse.hidden`, { position: 0 }) } : {}) };
  return [
    {
      id: "bridge",
      title: attention ? "Where the decoder begins" : cell ? "Everything through one state" : "Everything through one vector",
      sentence: attention
        ? `The ${decoder} begins with the last state of the ${encoder}; for everything else it may look back at every state.`
        : `All that the ${decoder} ever learns of the ${source.length} source words is ${cell ? "this state and its cell" : "this one vector"}, however long the sentence is.`,
      formula: () => math(sub("s", "0"), "=", "tanh", "(", "W", ...(both ? ["(", sub("h", "n"), ",", sub("h", "1"), ")"] : [sub("h", "n")]), ")"),
      needs,
      scene: (got) => ({
        columns: ["token", "label", "wide"],
        lines: [
          line([chip(source[source.length - 1]), words("last h →"), strip({ name: "last state", ...whole(needs.last, got.last), top: 1, key: `h ${source.length - 1}` })]),
          ...(both ? [line([chip(source[0]), words("last h ←"), strip({ name: "last state of the other direction", ...whole(/** @type {any} */ (needs).first, got.first), top: 1 })])] : []),
          line([words(decoder), words("s"), strip({ name: `state that the ${decoder} begins with`, ...whole(needs.start, got.start), top: 1, key: "s", from: `h ${source.length - 1}`, result: true })], { lit: true }),
          ...(cell ? [line([words(""), words("c"), strip({ name: `cell that the ${decoder} begins with`, ...whole(/** @type {any} */ (needs).cell, got.cell), top: 1, result: true })], { lit: true })] : []),
        ],
      }),
    },
  ];
}

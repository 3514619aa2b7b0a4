// @ts-check
/** Recurrent networks: one time step after another, with gates, cell and hidden state; and what is looked back at. */
import { isShare, partName, whereName } from "../recurrent.js";
import { label } from "../trace.js";
import { t } from "../words.js";
import { lines as below, math, row, sub, sum } from "./math.js";
import { learned, parameter, sheet } from "./learned.js";
import { line, matrix, strip, words } from "./parts.js";
import { sayingSteps } from "./saying.js";
import { chip, has, quoted } from "./subject.js";
import { at, tensor, whole } from "./tensors.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Step} Step */
/** @typedef {import("../recurrent.js").RecurrentSite} RecurrentSite */

/** So many time steps are walked one by one. */
const WALKED = 24;

/** So many of them are seen together. */
const TOGETHER = 12;

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
  const from = (/** @type {string} */ name, /** @type {string} */ of) => [name, "=", of, "(", row("W", sub("x", "t"), "+", ...(name === "n" ? ["b", "+", "r", "∘", "(", row("U", h(), "+", "c"), ")"] : ["U", h(), "+", "b"])), ")"];
  if (find(own, "gate.output")) return [["f", ",", "i", ",", "o", "=", "σ", "(", row("W", sub("x", "t"), "+", "U", h(), "+", "b"), ")"], from("g", "tanh"), [sub("c", "t"), "=", row("f", "∘", sub("c", row("t", "−", "1")), "+", "i", "∘", "g")], [sub("h", "t"), "=", row("o", "∘", "tanh", sub("c", "t"))]];
  if (find(own, "gate.update")) return [["r", ",", "z", "=", "σ", "(", row("W", sub("x", "t"), "+", "U", h(), "+", "b"), ")"], from("n", "tanh"), [sub("h", "t"), "=", row("(", "1", "−", "z", ")", "∘", "n", "+", "z", "∘", h())]];
  return [[sub("h", "t"), "=", "tanh", "(", row("W", sub("x", "t"), "+", "U", h(), "+", "b"), ")"]];
}

/** Whether numbers are read, and not words. @param {Subject} subject @param {RecurrentSite} site */
const numeric = (subject, { stack }) => !has(subject, `${stack}.embed.token`);

/** One step in slow motion. @param {Subject} subject @param {RecurrentSite[]} own @param {number} time @param {number[]} times @returns {Step[]} */
function inside(subject, own, time, times) {
  const { trace, recurrent } = subject;
  const [hidden, cell, input] = ["hidden", "cell", "input"].map((part) => find(own, part));
  if (!hidden || !input) return [];
  const one = trace.tokens[hidden.stack][time];
  const gru = Boolean(find(own, "gate.update"));
  const gates = own.filter(({ part }) => part.startsWith("gate."));
  const letter = (/** @type {RecurrentSite} */ site) => (gru && site.part === "gate.candidate" ? "n" : LETTERS[site.part]);
  const here = (/** @type {RecurrentSite} */ site) => tensor(site.address, { position: time });
  const base = { x: here(input), h: before(hidden, time, times) };
  const place = whereName(hidden, recurrent);
  const numbers = numeric(subject, hidden);
  const top = (/** @type {import("./tensors.js").All} */ got) => [
    line([words("x"), strip({ name: t("time.brings", { token: label(one) }), ...whole(base.x, got.x), key: "x" })]),
    line([words(t("parts.before", { name: "h" })), strip({ name: t("parts.state-before"), ...whole(base.h, got.h), top: 1, key: "h before" })]),
  ];
  const rows = () => laws(own);
  /** @type {Step[]} */
  const steps = [
    {
      id: "read",
      title: t(numbers ? "time.read-number" : "time.read"),
      sentence: t(numbers ? "time.read-number-line" : "time.read-line", { token: quoted(one), place }),
      formula: () => math(sub("x", "t"), ",", sub("h", row("t", "−", "1"))),
      needs: base,
      scene: (got) => ({ columns: ["label", "wide"], lines: top(got) }),
    },
  ];
  steps.push(...matrices(subject, base, { hidden, gates, time, letter, name: label(one) }));
  if (gates.length) {
    const needs = { ...base, ...Object.fromEntries(gates.map((gate) => [gate.part, here(gate)])) };
    steps.push({
      id: "gates",
      title: t("time.gates"),
      sentence: t(gru ? "time.gates-gru" : "time.gates-lstm"),
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
      title: t("time.cell"),
      sentence: t("time.cell-line"),
      formula: () => below(rows()[2]),
      needs,
      scene: (got) => ({
        columns: ["label", "wide"],
        lines: [
          line([words(t("parts.before", { name: "c" })), strip({ name: t("time.cell-before"), ...whole(needs.before, got.before), top: 1, key: "c before" })]),
          line([words("∘ f"), strip({ name: t("state.gate-forget"), ...whole(needs.forget, got.forget), share: true, key: "gate.forget" })]),
          line([words("+ i"), strip({ name: t("state.gate-input"), ...whole(needs.input, got.input), share: true, key: "gate.input" })]),
          line([words("∘ g"), strip({ name: t("state.gate-candidate"), ...whole(needs.candidate, got.candidate), top: 1, key: "gate.candidate" })]),
          line([words("= c"), strip({ name: t("time.cell-name"), ...whole(needs.cell, got.cell), top: 1, key: "cell", from: "c before", result: true })]),
        ],
      }),
    });
  }
  const last = cell ? { gate: here(/** @type {RecurrentSite} */ (find(own, "gate.output"))), from: here(cell) } : gru ? { gate: here(/** @type {RecurrentSite} */ (find(own, "gate.update"))), from: here(/** @type {RecurrentSite} */ (find(own, "gate.candidate"))) } : null;
  /** @type {Record<string, import("./tensors.js").Need>} */
  const needs = { ...base, hidden: here(hidden), ...(last ?? {}) };
  steps.push({
    id: "hidden",
    title: t("time.new-state"),
    sentence: t(cell ? "time.new-lstm" : gru ? "time.new-gru" : "time.new-rnn"),
    formula: () => below(/** @type {any} */ (rows().at(-1))),
    needs,
    scene: (got) => ({
      columns: ["label", "wide"],
      lines: [
        ...(got.from ? [line([words(cell ? "c" : "n"), strip({ name: t(cell ? "time.cell-name" : "state.gate-candidate"), ...whole(needs.from, got.from), top: 1, key: cell ? "cell" : "gate.candidate" })]), line([words(cell ? "o" : "z"), strip({ name: t(cell ? "state.gate-output" : "state.gate-update"), ...whole(needs.gate, got.gate), share: true, key: cell ? "gate.output" : "gate.update" })])] : top(got)),
        ...(gru ? [line([words(t("parts.before", { name: "h" })), strip({ name: t("parts.state-before"), ...whole(needs.h, got.h), top: 1, key: "h before" })])] : []),
        line([words("= h"), strip({ name: t("state.hidden"), ...whole(needs.hidden, got.hidden), top: 1, key: "h", from: cell ? "cell" : "h before", result: true })]),
      ],
    }),
  });
  return steps;
}

/**
 * The two matrices of a cell, or of one of its gates: one for the word, one for the state.
 * @param {Subject} subject @param {{x: import("./tensors.js").Need, h: import("./tensors.js").Need}} base
 * @param {{hidden: RecurrentSite, gates: RecurrentSite[], time: number, letter: (site: RecurrentSite) => string, name: string}} given @returns {Step[]}
 */
function matrices(subject, base, { hidden, gates, time, letter, name }) {
  const [stack, layer, block] = hidden.where.split(".");
  const [W, U] = ["W", "U"].map((one) => parameter(subject, [stack, Number(layer), block], one));
  const made = gates.find(({ part }) => part === "gate.forget" || part === "gate.update") ?? hidden;
  const pick = gates.length ? { gate: W?.gates.indexOf(made.part) } : {};
  const [drawnW, drawnU] = [learned(subject, W, pick), learned(subject, U, pick)];
  if (!W || !U || !drawnW || !drawnU) return [];
  const sign = letter(made);
  const needs = { ...base, W: drawnW, U: drawnU, made: tensor(made.address, { position: time }) };
  return [
    {
      id: "matrices",
      title: t("att.two-matrices"),
      sentence: gates.length ? t("time.matrices-gate", { gate: partName(made) }) : t("time.matrices-cell"),
      formula: () => math(sign === "h" ? sub("h", "t") : sign, "=", gates.length ? "σ" : "tanh", "(", row(gates.length ? sub("W", sign) : "W", sub("x", "t"), "+", gates.length ? sub("U", sign) : "U", sub("h", row("t", "−", "1")), "+", "b"), ")"),
      needs,
      scene: (got) => ({
        columns: ["label", "field"],
        lines: [
          line([words("x"), strip({ name: t("time.brings", { token: name }), ...whole(base.x, got.x), key: "x" })]),
          line([words("W"), sheet("W", W, pick, drawnW, got.W, ["input"])]),
          line([words(t("parts.before", { name: "h" })), strip({ name: t("parts.state-before"), ...whole(base.h, got.h), top: 1, key: "h before" })]),
          line([words("U"), sheet("U", U, pick, drawnU, got.U, ["state"])]),
          line([words(`= ${sign}`), strip({ name: partName(made), ...whole(needs.made, got.made), top: 1, share: isShare(made), key: made === hidden ? "h" : made.part, from: "x", result: true })], { lit: true }),
        ],
      }),
    },
  ];
}

/** One time step, and what there is so far. @param {Subject} subject @param {RecurrentSite[]} own @param {number} time @param {number[]} times @param {number} order @returns {Step} */
function moment(subject, own, time, times, order) {
  const { trace, recurrent, most } = subject;
  const hidden = /** @type {RecurrentSite} */ (find(own, "hidden"));
  const cell = find(own, "cell");
  const tokens = trace.tokens[hidden.stack];
  const numbers = numeric(subject, hidden);
  const room = Math.min(TOGETHER, most) - (cell ? 1 : 0);
  const begin = Math.max(0, order + 1 - room);
  const shown = times.slice(begin, order + 1);
  const later = times.slice(order + 1, begin + room); // their places are kept, so that nothing jumps
  const [first, final] = [Math.min(...shown), Math.max(...shown)];
  const states = tensor(hidden.address, { position: `${first}-${final}` });
  const needs = { states, input: tensor(`${hidden.where}.input`, { position: time }), before: before(hidden, time, times), ...(cell ? { cell: tensor(cell.address, { position: time }) } : {}) };
  return {
    id: `time-${order}`,
    title: t("time.step", { step: order + 1, all: times.length, token: label(tokens[time]) }),
    sentence: order ? t(numbers ? "time.holds-numbers" : "time.holds", { count: order + 1 }) : t(numbers ? "time.first-number" : "time.first", { place: whereName(hidden, recurrent) }),
    formula: () => math(sub("h", String(order + 1)), "=", "f", "(", sub("x", String(order + 1)), ",", sub("h", String(order)), ")"),
    needs,
    scene: (got) => ({
      columns: ["token", "label", "wide"],
      lines: [
        ...shown.map((when) => line([chip(tokens[when], { key: `token ${when}` }), words("h"), strip({ name: t("parts.state-after", { token: label(tokens[when]) }), ...at(states, got.states, "position", when, first), top: 1, key: `h ${when}`, from: when === time ? `h ${times[order - 1]}` : undefined, result: when === time })], { lit: when === time })),
        ...later.map((when) => line([chip(tokens[when], { key: `token ${when}` }), words(""), words("")], { never: true })),
        ...(cell ? [line([words(""), words("c"), strip({ name: t("time.cell-name"), ...whole(/** @type {any} */ (needs).cell, got.cell), top: 1, key: "cell now", result: true })])] : []),
      ],
      note: begin ? t("time.last-steps", { count: shown.length }) : "",
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
      title: t("time.all"),
      sentence: t("time.all-line", { place: whereName(hidden, recurrent) }),
      formula: () => math("H", "=", "(", sub("h", "1"), ",", "…", ",", sub("h", String(until + 1)), ")"),
      needs: { states },
      scene: (got) => ({
        columns: ["matrix-large"],
        lines: [line([matrix({ name: t("time.hidden-states"), ...whole(states, got.states), rows: got.states.shape[0], cols: got.states.shape[1], labels: tokens.slice(0, until + 1).map(label), large: true, key: "H" })])],
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
      title: t(attention ? "time.bridge" : cell ? "time.bridge-state" : "time.bridge-vector"),
      sentence: attention
        ? t("time.bridge-line")
        : t(cell ? "time.bridge-state-line" : "time.bridge-vector-line", { count: source.length }),
      formula: () => math(sub("s", "0"), "=", "tanh", "(", row("W", ...(both ? ["(", sub("h", "n"), ",", sub("h", "1"), ")"] : [sub("h", "n")]), "+", "b"), ")"),
      needs,
      scene: (got) => ({
        columns: ["token", "label", "wide"],
        lines: [
          line([chip(source[source.length - 1]), words(`${t("time.last-h")} →`), strip({ name: t("time.last-state"), ...whole(needs.last, got.last), top: 1, key: `h ${source.length - 1}` })]),
          ...(both ? [line([chip(source[0]), words(`${t("time.last-h")} ←`), strip({ name: t("time.last-state-back"), ...whole(/** @type {any} */ (needs).first, got.first), top: 1 })])] : []),
          line([words(t(`stack.${decoder}`)), words("s"), strip({ name: t("time.state-begins"), ...whole(needs.start, got.start), top: 1, key: "s", from: `h ${source.length - 1}`, result: true })], { lit: true }),
          ...(cell ? [line([words(""), words("c"), strip({ name: t("time.cell-begins"), ...whole(/** @type {any} */ (needs).cell, got.cell), top: 1, result: true })], { lit: true })] : []),
        ],
      }),
    },
    ...(attention ? [lookBack(subject, attention)] : [throughOne(subject, start, cell)]),
  ];
}

/** Without attention: one vector, drawn once, and every word that is said of it. @param {Subject} subject @param {string} start @param {boolean} cell @returns {Step} */
function throughOne({ trace }, start, cell) {
  const [encoder, decoder] = Object.keys(trace.tokens);
  const [source, target] = [trace.tokens[encoder], trace.tokens[decoder]];
  const shown = target.slice(0, WALKED);
  const needs = { start: tensor(start), states: tensor(`${decoder}.0.cell.hidden`, { position: `0-${shown.length - 1}` }) };
  return {
    id: "through",
    title: t("time.through"),
    sentence: t(cell ? "time.through-cell" : "time.through-line", { source: source.length, target: target.length }),
    formula: () => math(sub("s", "i"), "=", "f", "(", sub("y", row("i", "−", "1")), ",", sub("s", row("i", "−", "1")), ")"),
    needs,
    scene: (got) => ({
      columns: ["token", "label", "wide"],
      lines: [
        line([words(t("time.the-source")), words("s 0"), strip({ name: t("time.state-begins"), ...whole(needs.start, got.start), top: 1, key: "s" })], { lit: true }),
        ...shown.map((one, i) => line([chip(one, { key: `target ${i}` }), words(`s ${i + 1}`), strip({ name: t("parts.state-after", { token: label(one) }), ...at(needs.states, got.states, "position", i), top: 1, key: `s ${i}`, from: i ? `s ${i - 1}` : "s", result: true })])),
      ],
      note: shown.length < target.length ? t("time.first-steps", { shown: shown.length, all: target.length }) : "",
    }),
  };
}

/** With attention: where each step looks in the source. @param {Subject} subject @param {import("../trace.js").Attention} attention @returns {Step} */
function lookBack({ trace }, { block, stack }) {
  const [source, target] = [trace.tokens[block.key_stack].slice(0, WALKED), trace.tokens[block.query_stack].slice(0, WALKED)];
  const weights = tensor(`${stack}.0.${block.name}.pattern`, { head: 0, query: `0-${target.length - 1}`, key: `0-${source.length - 1}` });
  return {
    id: "alpha",
    title: t("time.look-back"),
    sentence: t("time.look-back-line"),
    formula: () => math(sub("c", "i"), "=", sum("j"), row(sub("α", row("i", "j")), sub("h", "j"))),
    needs: { weights },
    scene: (got) => ({
      columns: ["matrix-large"],
      titles: ["α"],
      lines: [line([matrix({ name: t("time.alpha-rows"), ...whole(weights, got.weights), rows: target.length, cols: source.length, labels: target.map(label), across: source.map(label), weights: true, large: true, key: "A", result: true })])],
      note: t("time.rows-columns"),
    }),
  };
}

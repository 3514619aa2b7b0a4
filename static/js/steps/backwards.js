// @ts-check
/** Backpropagation through time: how far learning reaches back. */
import { Problem } from "../api.js";
import { label } from "../trace.js";
import { t } from "../words.js";
import { frac, math, row, sub } from "./math.js";
import { chart, curves, line, span, strip } from "./parts.js";
import { around, chip, quoted } from "./subject.js";
import { at, gradient, norm, tensor } from "./tensors.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Step} Step */

/** @typedef {{name: string, kind: string, pick: import("./tensors.js").Pick, said?: {stack: string, index: number}}} Objective said: the word whose loss it is */

/** What is asked of the end of a trace: the loss of its last word, the number that it says, or the logit of the class that it gives the text or its last token. @param {import("../trace.js").TraceBody} trace @returns {Objective | null} */
function objective(trace) {
  const { prediction } = trace;
  if (prediction?.number !== undefined) return { name: t("back.number"), kind: "number", pick: { of: "number" } };
  if (prediction?.labels) {
    const best = prediction.labels.reduce((top, one, i, all) => (one.probability > all[top].probability ? i : top), 0);
    return { name: t("back.logit", { label: prediction.labels[best].label }), kind: "class", pick: { of: "logit", of_token: best } };
  }
  if (prediction?.token_labels) {
    const last = prediction.token_labels.length - 1;
    const best = prediction.token_labels[last];
    return { name: t("back.logit-last", { label: best.label }), kind: "token class", pick: { of: "logit", of_token: best.class, of_position: last } };
  }
  if (!prediction?.positions) return null;
  const { stack } = prediction;
  const index = trace.tokens[stack].findLastIndex(({ special }) => !special);
  const decodes = Object.keys(trace.tokens).length > 1;
  if (index < 1 || (decodes && !trace.target)) return null;
  return { name: t("back.loss-of", { token: quoted(trace.tokens[stack][index]) }), kind: "loss", pick: { of_position: index - 1 }, said: { stack, index } };
}

/** The tokens whose states the question can reach: those before the word that is asked for. @param {import("../trace.js").TraceBody} trace @param {string} stack @param {Objective} of */
const before = (trace, stack, { said }) => (said?.stack === stack ? trace.tokens[stack].slice(0, said.index) : trace.tokens[stack]);

/** What a cell is called. @param {import("./subject.js").SiteRow[]} sites @param {string} stack */
const kindOf = (sites, stack) => (sites.some(({ address }) => address === `${stack}.{layer}.cell.gate.output`) ? "LSTM" : sites.some(({ address }) => address === `${stack}.{layer}.cell.gate.update`) ? "GRU" : "RNN");

/** @param {Subject} subject @returns {Step[]} */
export function backwardsSteps(subject) {
  const { site, trace, recurrent, most } = subject;
  const of = objective(trace);
  const hidden = site && recurrent.find(({ where, part }) => where === site.where && part === "hidden");
  if (!hidden || !of) return [];
  const cell = recurrent.find(({ where, part }) => where === hidden.where && part === "cell");
  const tokens = before(trace, hidden.stack, of);
  const { first, last } = around(tokens.length, tokens.length - 1, most);
  const some = `${first}-${last}`;
  const shown = tokens.slice(first, last + 1);
  const states = tensor(hidden.address, { position: some });
  const slope = { ...gradient(hidden.address), pick: { position: some, ...of.pick } };
  /** How long the gradient is at every step, as bars. @param {import("./tensors.js").Need} need @param {import("./tensors.js").Got} got @returns {import("./parts.js").Scene} */
  const lengths = (need, got) => {
    const values = shown.map((_, i) => norm(at(need, got, "position", first + i, first).values));
    const [early, late] = hidden.reverse ? [values.at(-1), values[0]] : [values[0], values.at(-1)];
    return {
      columns: ["wide"],
      titles: [t("back.norm")],
      lines: [line([chart({ name: t("back.norm"), values, labels: shown.map(label), result: true })])],
      note: [late ? t("back.first-over-last", { share: (Number(early) / late).toPrecision(3) }) : "", first ? t("net.tokens-cut", { first, last, all: tokens.length }) : ""].filter(Boolean).join(" "),
    };
  };
  const [end, begin] = [quoted(shown[hidden.reverse ? 0 : shown.length - 1]), quoted(shown[hidden.reverse ? shown.length - 1 : 0])];
  return [
    {
      id: "forward",
      title: t("back.forward"),
      sentence: t("back.forward-line", { token: end, what: of.name }),
      formula: () => math(sub("h", "t"), "=", "f", "(", sub("x", "t"), ",", sub("h", row("t", "−", "1")), ")"),
      needs: { states },
      scene: (got) => ({ columns: ["token", "wide"], lines: shown.map((one, i) => line([chip(one, { key: `token ${i}` }), strip({ name: t("parts.state-after", { token: label(one) }), ...at(states, got.states, "position", first + i, first), top: 1, key: `h ${i}` })])) }),
    },
    {
      id: "backward",
      title: t("back.backward"),
      sentence: t("back.backward-line", { what: of.name }),
      formula: () => math(frac(row("∂", "L"), row("∂", sub("h", "t"))), "=", frac(row("∂", sub("h", row("t", "+", "1"))), row("∂", sub("h", "t"))), frac(row("∂", "L"), row("∂", sub("h", row("t", "+", "1")))), "+", "…"),
      needs: { slope },
      scene(got) {
        const top = span(got.slope.data);
        return { columns: ["token", "wide"], lines: shown.map((one, i) => line([chip(one, { key: `token ${i}` }), strip({ name: t("back.gradient-at", { token: label(one) }), ...at(slope, got.slope, "position", first + i, first), top, key: `g ${i}`, from: `h ${i}`, result: true })])) };
      },
    },
    {
      id: "reach",
      title: t("back.reach"),
      sentence: t("back.reach-line", { token: begin }),
      formula: () => math("‖", frac(row("∂", "L"), row("∂", sub("h", "t"))), "‖"),
      needs: { slope },
      scene: (got) => lengths(slope, got.slope),
    },
    ...(cell ? [carried({ ...gradient(cell.address), pick: slope.pick }, lengths)] : []),
  ];
}

/** @param {import("./tensors.js").Need} slope @param {(need: import("./tensors.js").Need, got: import("./tensors.js").Got) => import("./parts.js").Scene} lengths @returns {Step} */
const carried = (slope, lengths) => ({
  id: "cell",
  title: t("back.cell"),
  sentence: t("back.cell-line"),
  formula: () => math(frac(row("∂", sub("c", row("t", "+", "1"))), row("∂", sub("c", "t"))), "=", sub("f", row("t", "+", "1")), "+", "…"),
  needs: { slope },
  scene: (got) => lengths(slope, got.slope),
});

/** So many lines are told apart in one picture. */
const BESIDE = 6;

/**
 * The same for other recurrent networks that say the same kind of thing and read the sentence as the same tokens.
 * @param {Subject} subject @param {import("../api.js").Api} api @returns {Promise<Step[]>}
 */
export async function besideSteps(subject, api) {
  const { model, site, trace } = subject;
  const of = objective(trace);
  if (!site || !of) return [];
  const tokens = before(trace, site.stack, of);
  const { first, last } = around(tokens.length, tokens.length - 1, subject.most);
  const reads = (/** @type {import("./subject.js").SiteRow[]} */ sites) => sites.some(({ address }) => address === `${site.stack}.embed.token`); // words, and not numbers
  const read = (/** @type {import("../trace.js").TraceBody} */ one) => one.tokens[site.stack]?.map(({ text }) => text).join("\n");
  const all = /** @type {{id: string, family: string, status: string}[]} */ (await api.json("models", {}, "steps models"));
  const others = all.filter(({ id, family, status }) => id !== model.id && family === model.family && ["loaded", "ready"].includes(status));
  const found = [{ id: model.id, sites: model.sites, trace, of }];
  for (const { id } of others) {
    if (found.length === BESIDE) break;
    const { text, target } = trace;
    const detail = await api.json(`models/${encodeURIComponent(id)}`, {}, `steps model ${id}`);
    const alike = detail.generates === model.generates && reads(detail.sites) === reads(model.sites);
    const other = alike && (await api.post("traces", { model: id, text, ...(target ? { target } : {}) }, `steps beside ${id}`).catch(refused));
    const also = other && objective(other);
    if (!also || also.kind !== of.kind || read(other) !== read(trace)) continue;
    found.push({ id, sites: detail.sites, trace: other, of: also });
  }
  if (found.length < 2) return [];
  const kinds = found.map(({ sites }) => kindOf(sites, site.stack));
  const lines = found
    .flatMap(({ id, ...one }, i) => {
      const parts = kinds[i] === "LSTM" ? [["LSTM h", "hidden"], ["LSTM c", "cell"]] : [[kinds[i], "hidden"]];
      const only = kinds.filter((kind) => kind === kinds[i]).length === 1;
      return parts.map(([name, part]) => ({ ...one, id: `${id} ${part}`, name: only ? name : `${name} · ${id}`, address: `${site.stack}.0.cell.${part}` }));
    })
    .slice(0, BESIDE);
  const needs = Object.fromEntries(lines.map((one) => [one.id, { ...gradient(one.address), pick: { position: `${first}-${last}`, ...one.of.pick }, trace: one.trace }]));
  const shown = tokens.slice(first, last + 1);
  return [
    {
      id: "beside",
      title: t("back.beside", { count: found.length }),
      sentence: [t("back.beside-line"), lines.length > found.length ? t("back.beside-cell") : ""].filter(Boolean).join(" "),
      formula: () => math("‖", frac(row("∂", "L"), row("∂", sub("h", "t"))), "‖"),
      needs,
      scene(got) {
        const drawn = lines.map(({ id, name }) => ({ name, values: shown.map((_, i) => norm(at(needs[id], got[id], "position", first + i, first).values)) }));
        return { columns: ["wide"], titles: [t("back.share")], lines: [line([curves({ name: t("back.norm"), labels: shown.map(label), curves: drawn, result: true })])], note: t("back.beside-note", { models: found.map(({ id }) => id).join(", ") }) };
      },
    },
  ];
}

/** A text that another network cannot read is no comparison. @param {unknown} error */
function refused(error) {
  if (error instanceof Problem && error.status >= 400 && error.status < 500) return null;
  throw error;
}

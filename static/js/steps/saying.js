// @ts-check
/** What a network says in the end: the next word, a masked word, a class, or a number. */
import { label, textOf } from "../trace.js";
import { t } from "../words.js";
import { frac, math, row, sub, sum, sup } from "./math.js";
import { bar, line, number, op, token } from "./parts.js";
import { has, MOST, quoted } from "./subject.js";
import { one, tensor } from "./tensors.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Step} Step */
/** @typedef {{id: number, text: string, piece: string, probability: number}} Candidate */

const SHOWN = 8;

/** @param {Subject} subject @param {number} [asked] the position that is in focus @returns {Step[]} */
export function sayingSteps({ model, trace }, asked) {
  const { prediction } = trace;
  if (!prediction) return [];
  const tokens = trace.tokens[prediction.stack];
  const at = prediction.positions?.find(({ position }) => position === asked) ?? prediction.positions?.at(-1);
  const logits = `${prediction.stack}.logits`;
  if (at) return [wordStep("say", tokens, at, has(/** @type {Subject} */ ({ model, trace }), logits) ? tensor(logits, { position: at.position }) : null)];
  if (prediction.labels) return [shares("say", t("say.class"), t("say.class-line"), prediction.labels.map(({ label: name, probability }) => ({ name, probability })))];
  if (prediction.token_labels) return [shares("say", t("say.class-each"), t("say.class-each-line"), prediction.token_labels.slice(0, MOST).map(({ label: name, probability }, i) => ({ name: `${label(tokens[i])}: ${name}`, probability })))];
  if (prediction.number !== undefined) {
    const value = prediction.number;
    return [{ id: "say", title: t("say.number"), sentence: t("say.number-line"), needs: {}, scene: () => ({ columns: ["token", "number"], lines: [line([token({ text: t("say.next") }), number({ name: t("say.network"), value, strong: true, result: true })], { lit: true })] }) }];
  }
  return [];
}

/** @param {string} id @param {string} title @param {string} sentence @param {{name: string, probability: number}[]} all @returns {Step} */
function shares(id, title, sentence, all) {
  return {
    id,
    title,
    sentence,
    needs: {},
    scene: () => ({
      columns: ["token", "number", "bar"],
      titles: ["", t("parts.probability"), ""],
      lines: all.map(({ name, probability }, i) => line([token({ text: name }), number({ name: t("parts.probability"), value: probability, strong: true, key: `p ${i}`, result: true }), bar({ name: t("parts.probability"), value: probability, top: 1, result: true })])),
    }),
  };
}

/**
 * From logits to the likeliest words.
 * @param {string} id @param {import("../trace.js").Token[]} tokens @param {{position: number, top: Candidate[]}} at
 * @param {import("./tensors.js").Need | null} logits @returns {Step}
 */
export function wordStep(id, tokens, { position, top }, logits) {
  const read = tokens[position];
  const masked = read?.special && position < tokens.length - 1;
  return {
    id,
    title: t(masked ? "say.masked" : "say.word"),
    sentence: t("say.word-line", { token: read ? quoted(read) : t("say.text") }),
    formula: () => math("p", "=", frac(sup("e", "ℓ"), row(sum("j"), sup("e", sub("ℓ", "j"))))),
    needs: logits ? { logits } : {},
    scene: (got) => ({
      columns: ["token", ...(logits ? ["number", "op"] : []), "number", "bar"],
      titles: ["", ...(logits ? [t("parts.logit"), ""] : []), t("parts.probability"), ""],
      lines: top.slice(0, SHOWN).map((candidate, i) =>
        line(
          [
            token({ text: textOf(/** @type {any} */ (candidate)), key: `word ${candidate.id}` }),
            ...(logits ? [number({ name: t("parts.logit"), ...one(logits, got.logits, "vocab", candidate.id), key: `logit ${candidate.id}` }), op("→")] : []),
            number({ name: t("parts.probability"), value: candidate.probability, strong: true, key: `p ${candidate.id}`, from: `logit ${candidate.id}`, result: true }),
            bar({ name: t("parts.probability"), value: candidate.probability, top: 1, result: true }),
          ],
          { lit: i === 0 },
        ),
      ),
      note: logits ? t("say.likeliest", { shown: Math.min(SHOWN, top.length), all: got.logits.data.length }) : "",
    }),
  };
}

/** The share of one entry among logits. @param {Float32Array} logits @param {number} id */
export function probability(logits, id) {
  let top = -Infinity;
  for (const x of logits) top = Math.max(top, x);
  let total = 0;
  for (const x of logits) total += Math.exp(x - top);
  return Math.exp(logits[id] - top) / total;
}

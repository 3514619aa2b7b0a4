// @ts-check
/** What a network says in the end: the next word, a masked word, a class, or a number. */
import { label, textOf } from "../trace.js";
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
  if (prediction.labels) return [shares("say", "Say the class of the text", "One number for each class; the softmax turns them into shares that add up to 1.", prediction.labels.map(({ label: name, probability }) => ({ name, probability })))];
  if (prediction.token_labels) return [shares("say", "Say a class for each token", "Every token's last vector becomes one number for each class; the likeliest class of each is shown.", prediction.token_labels.slice(0, MOST).map(({ label: name, probability }, i) => ({ name: `${label(tokens[i])}: ${name}`, probability })))];
  if (prediction.number !== undefined) {
    const value = prediction.number;
    return [{ id: "say", title: "Say the number", sentence: "One linear layer turns the last vector into the number that comes next.", needs: {}, scene: () => ({ columns: ["token", "number"], lines: [line([token({ text: "next" }), number({ name: "what the network says", value, strong: true, result: true })], { lit: true })] }) }];
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
      titles: ["", "probability", ""],
      lines: all.map(({ name, probability }, i) => line([token({ text: name }), number({ name: "probability", value: probability, strong: true, key: `p ${i}`, result: true }), bar({ name: "probability", value: probability, top: 1, result: true })])),
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
    title: masked ? "Fill the masked word" : "Say the next word",
    sentence: `The last vector of ${read ? quoted(read) : "the text"} is compared with every entry of the vocabulary; the softmax turns these logits into probabilities.`,
    formula: () => math("p", "=", frac(sup("e", "ℓ"), row(sum("j"), sup("e", sub("ℓ", "j"))))),
    needs: logits ? { logits } : {},
    scene: (got) => ({
      columns: ["token", ...(logits ? ["number", "op"] : []), "number", "bar"],
      titles: ["", ...(logits ? ["logit", ""] : []), "probability", ""],
      lines: top.slice(0, SHOWN).map((candidate, i) =>
        line(
          [
            token({ text: textOf(/** @type {any} */ (candidate)), key: `word ${candidate.id}` }),
            ...(logits ? [number({ name: "logit", ...one(logits, got.logits, "vocab", candidate.id), key: `logit ${candidate.id}` }), op("→")] : []),
            number({ name: "probability", value: candidate.probability, strong: true, key: `p ${candidate.id}`, from: `logit ${candidate.id}`, result: true }),
            bar({ name: "probability", value: candidate.probability, top: 1, result: true }),
          ],
          { lit: i === 0 },
        ),
      ),
      note: logits ? `The ${Math.min(SHOWN, top.length)} likeliest of ${got.logits.data.length} entries.` : "",
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

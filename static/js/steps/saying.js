// @ts-check
/** What a network says in the end: the next word, a masked word, a class, or a number. */
import { label, textOf } from "../trace.js";
import { t } from "../words.js";
import { number as written } from "../format.js";
import { learned, parameter } from "./learned.js";
import { frac, lines as below, math, row, sub, sum, sup, words as plain } from "./math.js";
import { bar, line, number, op, token, words } from "./parts.js";
import { comesTo, productLines } from "./product.js";
import { has, memoryOf, MOST, quoted } from "./subject.js";
import { one, tensor, whole } from "./tensors.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Step} Step */
/** @typedef {{id: number, text: string, piece: string, probability: number}} Candidate */

/** @typedef {{position: number, top?: Candidate[], next?: import("../trace.js").Token}} At top: the likeliest, where the trace says so; next: what stands there in the text */

const SHOWN = 8;

/** @param {Subject} subject @param {number} [asked] the position that is in focus @returns {Step[]} */
export function sayingSteps(subject, asked) {
  const { prediction } = subject.trace;
  if (!prediction) return [];
  const tokens = subject.trace.tokens[prediction.stack];
  const at = prediction.positions?.find(({ position }) => position === asked) ?? within(subject, prediction.stack, asked) ?? prediction.positions?.at(-1);
  const logits = `${prediction.stack}.logits`;
  if (at) return [...lensStep(subject, prediction.stack, at), ...logitStep(subject, prediction.stack, at), wordStep("say", tokens, at, has(subject, logits) ? tensor(logits, { position: at.position }) : null)];
  if (prediction.labels) return [shares("say", t("say.class"), t("say.class-line"), prediction.labels.map(({ label: name, probability }) => ({ name, probability })))];
  if (prediction.token_labels) return [shares("say", t("say.class-each"), t("say.class-each-line"), prediction.token_labels.slice(0, MOST).map(({ label: name, probability }, i) => ({ name: `${label(tokens[i])}: ${name}`, probability })))];
  if (prediction.number !== undefined) {
    const value = prediction.number;
    return [{ id: "say", title: t("say.number"), sentence: t("say.number-line"), needs: {}, scene: () => ({ columns: ["token", "number"], lines: [line([token({ text: t("say.next") }), number({ name: t("say.network"), value, strong: true, result: true })], { lit: true })] }) }];
  }
  return [];
}

/**
 * A place within the target of a decoder that reads a source: in the end it says no more than that it is done.
 * @param {Subject} subject @param {string} stack @param {number} [asked] @returns {At | null}
 */
function within({ model, trace }, stack, asked = 0) {
  const tokens = trace.tokens[stack];
  if (Object.keys(trace.tokens)[0] === stack || tokens.length < 2 || !memoryOf(/** @type {Subject} */ ({ model, trace }), stack)) return null;
  const position = Math.min(asked, tokens.length - 2);
  return { position, next: tokens[position + 1] };
}

/** The request for what would be said at a position. @param {number} position @returns {import("./tensors.js").Need} */
const lensAt = (position) => ({ path: "lens", pick: { position, top: SHOWN }, json: true });

/** What would be said after fewer layers: the logit lens. @param {Subject} subject @param {string} stack @param {At} at @returns {Step[]} */
function lensStep(subject, stack, { position }) {
  if (!memoryOf(subject, stack)) return [];
  const read = quoted(subject.trace.tokens[stack][position]);
  return [
    {
      id: "lens",
      title: t("say.lens"),
      sentence: t("say.lens-line", { token: read }),
      formula: () => math("p", "=", plain("softmax"), "(", plain("head"), "(", sub("x", "l"), ")", ")"),
      needs: { lens: lensAt(position) },
      scene(got) {
        const { said, guesses } = got.lens.body;
        const word = textOf(said);
        return {
          columns: ["label", "token", "number", "bar"],
          titles: ["", t("say.lens-guess"), `p(${word})`, ""],
          lines: guesses.map((/** @type {any} */ { layers, top: [first], of_said }, /** @type {number} */ i) =>
            line(
              [
                words(layers ? t("say.after-layer", { layer: layers - 1 }) : t("say.before-layers")),
                token({ text: textOf(first.token), quiet: first.token.id !== said.id, key: `guess ${i}`, result: true }),
                number({ name: t("say.share-of", { word }), value: of_said, strong: first.token.id === said.id, result: true }),
                bar({ name: t("say.share-of", { word }), value: of_said, top: 1, result: true }),
              ],
              { lit: i === guesses.length - 1 },
            ),
          ),
        };
      },
    },
  ];
}

/** One word's logit, the likeliest or the next: what the head reads, times the word's row of W_U. @param {Subject} subject @param {string} stack @param {At} at @returns {Step[]} */
function logitStep(subject, stack, { position, top, next }) {
  const shown = /** @type {{id: number}} */ (next ?? top?.[0]);
  const place = /** @type {[string, null, string]} */ ([stack, null, "head"]);
  const pick = { vocab: shown.id };
  const [weight, bias] = ["W_U", "b_U"].map((letter) => learned(subject, parameter(subject, place, letter), pick));
  if (!weight || !has(subject, `${stack}.head.input`)) return [];
  /** @type {Record<string, import("./tensors.js").Need>} */
  const needs = { read: tensor(`${stack}.head.input`, { position }), row: weight, logit: tensor(`${stack}.logits`, { position, vocab: shown.id }) };
  if (bias) needs.bias = bias;
  const [word, who] = [textOf(/** @type {any} */ (shown)), subject.trace.tokens[stack][position]];
  const read = quoted(who);
  /** @param {import("./tensors.js").All} got */
  const of = (got) => ({ read: got.read.data, row: got.row.data, bias: got.bias?.data[0] });
  return [
    {
      id: "logit",
      title: t("say.logit"),
      sentence: t("say.logit-line", { token: read, word: `“${word}”` }),
      formula(got) {
        const said = plain(word);
        return below([sub("ℓ", said), "=", sum("j"), row(sub("W", row(plain(word), ",", "j")), sub("h", "j")), ...(bias ? ["+", sub("b", plain(word))] : [])], comesTo(of(got), got.logit.data[0], written));
      },
      needs,
      scene(got) {
        const names = {
          read: { label: "h", name: t("say.read", { token: read }), key: "after", source: whole(needs.read, got.read).source },
          row: { label: "W_U", name: t("say.row-of", { word }), key: "W_U", source: whole(needs.row, got.row).source },
        };
        const made = { label: "= ℓ", says: t("say.logit-of", { word }), name: t("parts.logit"), value: got.logit.data[0], source: whole(needs.logit, got.logit).source, key: `logit ${shown.id}` };
        return { columns: ["label", "wide", "number"], lines: productLines(of(got), names, made) };
      },
    },
  ];
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
 * @param {string} id @param {import("../trace.js").Token[]} tokens @param {At} at
 * @param {import("./tensors.js").Need | null} logits @returns {Step}
 */
export function wordStep(id, tokens, { position, top }, logits) {
  const read = tokens[position];
  const masked = Boolean(top) && read?.special && position < tokens.length - 1; // a translator's start token is no mask
  return {
    id,
    title: t(masked ? "say.masked" : "say.word"),
    sentence: t("say.word-line", { token: read ? quoted(read) : t("say.text") }),
    formula: () => math("p", "=", frac(sup("e", "ℓ"), row(sum("j"), sup("e", sub("ℓ", "j"))))),
    needs: { ...(logits ? { logits } : {}), ...(top ? {} : { lens: lensAt(position) }) },
    scene: (got) => wordScene(got, top ?? candidates(got.lens.body), logits),
  };
}

/** The likeliest in the end. @param {any} lens @returns {Candidate[]} */
const candidates = ({ guesses }) => guesses.at(-1).top.map((/** @type {any} */ { token: one, probability: share }) => ({ ...one, probability: share }));

/** @param {import("./tensors.js").All} got @param {Candidate[]} top @param {import("./tensors.js").Need | null} logits @returns {import("./parts.js").Scene} */
const wordScene = (got, top, logits) => ({
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
});

/** The share of one entry among logits. @param {Float32Array} logits @param {number} id */
export function probability(logits, id) {
  let top = -Infinity;
  for (const x of logits) top = Math.max(top, x);
  let total = 0;
  for (const x of logits) total += Math.exp(x - top);
  return Math.exp(logits[id] - top) / total;
}

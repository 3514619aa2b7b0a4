// @ts-check
/** Saying more: distribution, choice, append, again; and what is kept so that nothing is computed twice. */
import { patchesUpTo } from "../interventions.js";
import { label } from "../trace.js";
import { t } from "../words.js";
import { lines as below, math, row as together, sub, words as plain } from "./math.js";
import { bar, line, number, op, tally, token, words } from "./parts.js";
import { probability, wordStep } from "./saying.js";
import { chip, has, quoted } from "./subject.js";
import { one, tensor } from "./tensors.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Step} Step */
/** @typedef {import("../trace.js").TraceBody} TraceBody */

/** So many tokens are said where the reader has not had any said. */
const SAID = 6;

/** @param {import("../interventions.js").Patch[]} patches */
const changed = (patches) => (patches.length ? { patches } : {});

/** The request for the same text continued. @param {Subject} subject */
export const continuation = ({ trace: { model, text, pair, target, said, patches } }) => ({ ...changed(patches), model, text, ...(pair ? { pair } : {}), ...(target ? { target } : {}), ...(said?.length ? { said } : { generate: { max_new_tokens: SAID } }) });

/** @param {Subject} subject @param {TraceBody} continued @returns {Step[]} */
export function generatingSteps(subject, continued) {
  const stack = Object.keys(continued.tokens).at(-1) ?? "";
  const tokens = continued.tokens[stack];
  const said = (continued.said ?? []).slice(0, 2 * SAID);
  const start = tokens.length - (continued.said?.length ?? 0);
  const { model, text, pair, target, patches } = continued;
  const asked = (/** @type {number} */ count) => ({ ...changed(patchesUpTo(patches, stack, start + count)), model, text, ...(pair ? { pair } : {}), ...(target ? { target } : {}), said: said.slice(0, count) });
  const steps = said.flatMap((id, i) => [distribution(subject, stack, tokens, start, i, asked(i), continued), append(tokens, start, i, subject.most)]);
  return [...steps, ...kept(subject, stack, tokens, start, said.length)];
}

/** @param {Subject} subject @param {string} stack @param {import("../trace.js").Token[]} tokens @param {number} start @param {number} i @param {object} body @param {TraceBody} continued @returns {Step} */
function distribution(subject, stack, tokens, start, i, body, continued) {
  const position = start + i - 1;
  const chosen = tokens[start + i];
  const logits = has(subject, `${stack}.logits`) ? { ...tensor(`${stack}.logits`, { position }), trace: continued } : null;
  return {
    id: `choose-${i}`,
    title: t("gen.could-come", { token: label(tokens[position]) }),
    sentence: t("gen.could-come-line", { token: quoted(chosen) }),
    formula: () => math("p", "(", sub("y", String(start + i)), "|", sub("y", together("<", String(start + i))), ")"),
    needs: { ...(logits ? { logits } : {}), text: { path: "traces", pick: {}, body } },
    scene(got) {
      const top = got.text.body?.prediction?.positions?.at(-1)?.top ?? [];
      const picture = wordStep("", tokens, { position, top }, logits).scene(got);
      const lines = picture.lines.map((line, n) => ({ ...line, lit: top[n].id === chosen.id }));
      if (logits && !lines.some(({ lit }) => lit)) {
        const value = probability(got.logits.data, chosen.id);
        const parts = { name: t("parts.probability"), value, result: true };
        lines.push(line([token({ text: label(chosen), key: `word ${chosen.id}` }), number({ name: t("parts.logit"), ...one(logits, got.logits, "vocab", chosen.id) }), op("→"), number({ ...parts, strong: true }), bar({ ...parts, top: 1 })], { lit: true }));
      }
      return { ...picture, lines, note: [picture.note, t(top[0]?.id === chosen.id ? "gen.likeliest" : "gen.not-likeliest")].filter(Boolean).join(" ") };
    },
  };
}

/** @param {import("../trace.js").Token[]} tokens @param {number} start @param {number} i @param {number} most @returns {Step} */
function append(tokens, start, i, most) {
  const first = Math.max(0, start + i + 1 - most);
  const shown = tokens.slice(first, start + i + 1);
  return {
    id: `append-${i}`,
    title: t("gen.append", { token: label(tokens[start + i]) }),
    sentence: t("gen.append-line"),
    needs: {},
    scene: () => ({
      columns: ["token", "number"],
      titles: [t("gen.text"), t("gen.position")],
      lines: shown.map((one, row) => {
        const at = first + row;
        const last = at === start + i;
        return line([chip(one, { key: last ? `word ${one.id}` : `said ${at}`, result: last }), number({ name: t("gen.position"), count: true, value: at })], { lit: at >= start });
      }),
      note: first ? t("gen.last", { count: shown.length }) : "",
    }),
  };
}

/** What a cache of keys and values saves: counted from this network's sizes. @param {Subject} subject @param {string} stack @param {import("../trace.js").Token[]} tokens @param {number} start @param {number} count @returns {Step[]} */
function kept(subject, stack, tokens, start, count) {
  const block = subject.trace.stacks.find(({ name }) => name === stack)?.blocks.find(({ key_stack: from }) => from === stack);
  const layers = subject.trace.stacks.find(({ name }) => name === stack)?.layers;
  if (!block || !layers || !count) return [];
  const width = subject.model.width;
  const each = 2 * layers * width * block.kv_heads * block.head_dim;
  const without = Array.from({ length: count }, (_, i) => start + i).reduce((sum, x) => sum + x, 0);
  const cached = start + count - 1;
  const numbers = (/** @type {string} */ name, /** @type {number} */ tokens, /** @type {boolean} */ lit) =>
    line([words(name), number({ name: t("gen.keys-made"), count: true, value: tokens, key: `count ${name}`, result: lit }), number({ name: t("gen.multiplications"), count: true, value: tokens * each, strong: true, result: lit }), bar({ name: t("gen.multiplications"), value: tokens, top: without, result: lit })], { lit });
  const read = tokens.slice(0, cached);
  const first = Math.max(0, read.length - subject.most);
  const across = read.slice(first).map(label);
  /** A picture of what is made and what is kept for each word. @param {string} id @param {string} title @param {string} sentence @param {(i: number) => {made: number, kept: number}} each @returns {Step} */
  const picture = (id, title, sentence, each) => ({
    id,
    title,
    sentence,
    needs: {},
    scene: () => ({
      columns: ["wide"],
      titles: [t("gen.keys-and-values")],
      lines: [line([tally({ name: title, first, across, rows: Array.from({ length: count }, (_, i) => ({ text: label(tokens[start + i]), ...each(i) })), key: "tally", result: true })])],
      note: first ? t("net.tokens-cut", { first, last: cached - 1, all: cached }) : "",
    }),
  });
  return [
    picture("again", t("gen.again"), t("gen.again-line"), (i) => ({ made: start + i, kept: 0 })),
    picture("keep", t("gen.keep"), t("gen.keep-line"), (i) => (i ? { made: 1, kept: start + i - 1 } : { made: start, kept: 0 })),
    {
      id: "cache",
      title: t("gen.cache"),
      sentence: t("gen.cache-line"),
      formula: () =>
        below(
          [plain(`${t("gen.per-token")}\u00a0`), "2", "·", "L", "·", sub("d", plain("model")), "·", "h", "·", sub("d", "k")],
          ["=", "2", "·", String(layers), "·", String(width), "·", String(block.kv_heads), "·", String(block.head_dim), "=", each.toLocaleString("en")],
        ),
      needs: {},
      scene: () => ({
        columns: ["label", "number", "number", "bar"],
        titles: ["", t("gen.tokens"), t("gen.multiplications"), ""],
        lines: [numbers(t("gen.each-time"), without, false), numbers(t("gen.in-cache"), cached, true), line([words(t("gen.saved")), number({ name: t("gen.tokens-saved"), count: true, value: without - cached, result: true }), number({ name: t("gen.multiplications-saved"), count: true, value: (without - cached) * each, strong: true, result: true }), bar({ name: t("gen.saved"), value: without - cached, top: without, result: true })])],
        note: t("gen.cache-note", { prompt: start, said: count, numbers: (2 * layers * block.kv_heads * block.head_dim * cached).toLocaleString("en") }),
      }),
    },
  ];
}

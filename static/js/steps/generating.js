// @ts-check
/** Saying more: distribution, choice, append, again; and what is kept so that nothing is computed twice. */
import { number as written } from "../format.js";
import { label } from "../trace.js";
import { math, row as together, sub, words as plain } from "./math.js";
import { bar, line, number, words } from "./parts.js";
import { wordStep } from "./saying.js";
import { chip, has, MOST, quoted } from "./subject.js";
import { tensor } from "./tensors.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Step} Step */
/** @typedef {import("../trace.js").TraceBody} TraceBody */

/** So many tokens are said where the reader has not had any said. */
const SAID = 6;

/** The request for the same text continued. @param {Subject} subject */
export const continuation = ({ trace: { model, text, pair, target, said } }) => ({ model, text, ...(pair ? { pair } : {}), ...(target ? { target } : {}), ...(said?.length ? { said } : { generate: { max_new_tokens: SAID } }) });

/** @param {Subject} subject @param {TraceBody} continued @returns {Step[]} */
export function generatingSteps(subject, continued) {
  const stack = Object.keys(continued.tokens).at(-1) ?? "";
  const tokens = continued.tokens[stack];
  const said = (continued.said ?? []).slice(0, 2 * SAID);
  const start = tokens.length - (continued.said?.length ?? 0);
  const { model, text, pair, target } = continued;
  const asked = (/** @type {number} */ count) => ({ model, text, ...(pair ? { pair } : {}), ...(target ? { target } : {}), said: said.slice(0, count) });
  const steps = said.flatMap((id, i) => [distribution(subject, stack, tokens, start, i, asked(i), continued), append(tokens, start, i)]);
  return [...steps, ...kept(subject, stack, start, said.length)];
}

/** @param {Subject} subject @param {string} stack @param {import("../trace.js").Token[]} tokens @param {number} start @param {number} i @param {object} body @param {TraceBody} continued @returns {Step} */
function distribution(subject, stack, tokens, start, i, body, continued) {
  const position = start + i - 1;
  const chosen = tokens[start + i];
  const logits = has(subject, `${stack}.logits`) ? { ...tensor(`${stack}.logits`, { position }), trace: continued.id } : null;
  return {
    id: `choose-${i}`,
    title: `What could come after “${label(tokens[position])}”?`,
    sentence: `The whole text so far has been read. Of all words, ${quoted(chosen)} is said next.`,
    formula: () => math("p", "(", sub("y", String(start + i)), "|", sub("y", together("<", String(start + i))), ")"),
    needs: { ...(logits ? { logits } : {}), text: { path: "traces", pick: {}, body } },
    scene(got) {
      const top = got.text.body?.prediction?.positions?.at(-1)?.top ?? [];
      const picture = wordStep("", tokens, { position, top }, logits).scene(got);
      return { ...picture, lines: picture.lines.map((one, n) => ({ ...one, lit: top[n].id === chosen.id })) };
    },
  };
}

/** @param {import("../trace.js").Token[]} tokens @param {number} start @param {number} i @returns {Step} */
function append(tokens, start, i) {
  const first = Math.max(0, start + i + 1 - MOST);
  const shown = tokens.slice(first, start + i + 1);
  return {
    id: `append-${i}`,
    title: `Append “${label(tokens[start + i])}”, and again`,
    sentence: "The chosen word is put at the end, and the longer text is read: this loop is all that generation is.",
    needs: {},
    scene: () => ({
      columns: ["token", "number"],
      titles: ["text", "position"],
      lines: shown.map((one, row) => {
        const at = first + row;
        const last = at === start + i;
        return line([chip(one, { key: last ? `word ${one.id}` : `said ${at}`, result: last }), number({ name: "position", count: true, value: at })], { lit: at >= start });
      }),
      note: first ? `The last ${shown.length} tokens.` : "",
    }),
  };
}

/** What a cache of keys and values saves: counted from this network's sizes. @param {Subject} subject @param {string} stack @param {number} start @param {number} count @returns {Step[]} */
function kept(subject, stack, start, count) {
  const block = subject.trace.stacks.find(({ name }) => name === stack)?.blocks.find(({ key_stack: from }) => from === stack);
  const layers = subject.trace.stacks.find(({ name }) => name === stack)?.layers;
  if (!block || !layers || !count) return [];
  const width = subject.model.width;
  const each = 2 * layers * width * block.kv_heads * block.head_dim;
  const without = Array.from({ length: count }, (_, i) => start + i).reduce((sum, x) => sum + x, 0);
  const cached = start + count - 1;
  const numbers = (/** @type {string} */ name, /** @type {number} */ tokens, /** @type {boolean} */ lit) =>
    line([words(name), number({ name: "keys and values made, in tokens", count: true, value: tokens, key: `count ${name}`, result: lit }), number({ name: "multiplications", count: true, value: tokens * each, strong: true, result: lit }), bar({ name: "multiplications", value: tokens, top: without, result: lit })], { lit });
  return [
    {
      id: "cache",
      title: "Keep keys and values",
      sentence: "Old words get the same keys and values every time, since they never see the new ones. Kept in a cache, each is made only once.",
      formula: () => math(plain("per token: "), "2", "·", String(layers), "·", String(width), "·", String(block.kv_heads * block.head_dim), "=", written(each)),
      needs: {},
      scene: () => ({
        columns: ["label", "number", "number", "bar"],
        titles: ["", "tokens", "multiplications", ""],
        lines: [numbers("again each time", without, false), numbers("kept in a cache", cached, true), line([words("saved"), number({ name: "tokens saved", count: true, value: without - cached, result: true }), number({ name: "multiplications saved", count: true, value: (without - cached) * each, strong: true, result: true }), bar({ name: "saved", value: without - cached, top: without, result: true })])],
        note: `For ${start} tokens of prompt and ${count} said: what W_K and W_V cost. The cache holds ${2 * layers * block.kv_heads * block.head_dim * cached} numbers.`,
      }),
    },
  ];
}

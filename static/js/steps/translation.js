// @ts-check
/** From a source to a target: read once, then one word after another, looking back each time. */
import { attentions, crosses, label } from "../trace.js";
import { math, row, sub } from "./math.js";
import { line, matrix, number, span, strip, words } from "./parts.js";
import { probability } from "./saying.js";
import { around, chip, has, memoryOf, quoted } from "./subject.js";
import { at, tensor, whole } from "./tensors.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Step} Step */

/** @param {Subject} subject @returns {Step[]} nothing where no stack looks at another */
export function translationSteps(subject) {
  const { trace } = subject;
  const cross = subject.attention && crosses(subject.attention) && !subject.attention.pools ? subject.attention : attentions(trace).find((one) => crosses(one) && !one.pools);
  if (!cross) return [];
  const own = cross === subject.attention;
  const [layer, head] = own ? [subject.layer, subject.head] : [cross.layers - 1, 0];
  const { key_stack: from, query_stack: to } = cross.block;
  const [source, target] = [trace.tokens[from], trace.tokens[to]];
  const memory = memoryOf(subject, from) ?? `${from}.0.cell.hidden`;
  const rows = around(target.length, 0);
  const cols = around(source.length, 0);
  const weights = tensor(`${to}.${layer}.${cross.block.name}.pattern`, { head, query: `${rows.first}-${rows.last}`, key: `${cols.first}-${cols.last}` });
  const states = tensor(memory, { position: `${cols.first}-${cols.last}` });
  const logits = `${to}.logits`;
  const where = cross.layers * cross.heads > 1 ? `layer ${layer}, head ${head}` : "its one head";
  const across = source.slice(cols.first, cols.last + 1).map(label);
  const names = target.slice(rows.first, rows.last + 1).map(label);
  /** @type {Step[]} */
  const steps = [
    {
      id: "encode",
      title: "Read the source, once",
      sentence: `All ${source.length} tokens of the source become vectors, before a single word is said. They stay as they are.`,
      formula: () => math("M", "=", "encode", "(", "x", ")"),
      needs: { states },
      scene: (got) => ({
        columns: ["token", "wide"],
        lines: source.slice(cols.first, cols.last + 1).map((one, i) => line([chip(one, { key: `source ${i}` }), strip({ name: `state of ${label(one)}`, ...at(states, got.states, "position", i), top: span(got.states.data), key: `m ${i}`, result: true })])),
      }),
    },
  ];
  for (let t = rows.first; t <= rows.last; t++) {
    const read = target[t];
    const next = target[t + 1] ?? null;
    /** @type {Record<string, import("./tensors.js").Need>} */
    const needs = { weights };
    if (next && has(subject, logits)) needs.logits = tensor(logits, { position: t });
    steps.push({
      id: `word-${t}`,
      title: next ? `Say “${label(next)}”` : "The whole alignment",
      sentence: next ? `Having said ${quoted(read)}, the decoder looks back at the source, a new row, and says ${quoted(next)}.` : "Row by row, this is where each target word looked in the source.",
      formula: () => math(sub("y", String(t + 1)), "=", "decode", "(", sub("y", row("≤", String(t))), ",", "M", ")"),
      needs,
      scene(got) {
        const chance = next && got.logits ? probability(got.logits.data, next.id) : null;
        return {
          columns: ["matrix-large", "label", "number"],
          titles: ["α", next ? "says" : "", chance === null ? "" : "p"],
          lines: [
            line([
              matrix({ name: `cross-attention, ${where}`, ...whole(weights, got.weights), rows: names.length, cols: across.length, labels: names, across, weights: true, large: true, mark: [t - rows.first, -1], fades: next ? t - rows.first + 1 : undefined, key: "A" }),
              next ? chip(next, { key: `said ${t + 1}`, lit: true, result: true }) : words(""),
              chance === null ? words("") : number({ name: `probability of ${label(next)}`, value: chance, strong: true, result: true }),
            ]),
          ],
          note: `Rows: target; columns: source; ${where}.`,
        };
      },
    });
  }
  return steps;
}

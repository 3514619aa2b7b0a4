// @ts-check
/** From a source to a target: read once, then one word after another, looking back each time. */
import { patchesUpTo } from "../interventions.js";
import { attentions, crosses, label, textOf } from "../trace.js";
import { t } from "../words.js";
import { math, row, sub } from "./math.js";
import { line, matrix, ranked, span, strip } from "./parts.js";
import { probability } from "./saying.js";
import { around, chip, has, memoryOf, quoted } from "./subject.js";
import { at, tensor, whole } from "./tensors.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Step} Step */

/** So many words that could be said are named. */
const NAMED = 5;

/** The likeliest next words, and the one that is said. @param {import("./tensors.js").All} got @param {import("../trace.js").Token} next */
function alternatives(got, next) {
  const top = (got.text.body?.prediction?.positions?.at(-1)?.top ?? []).slice(0, NAMED);
  const rows = top.map((one) => ({ text: textOf(/** @type {any} */ (one)), value: one.probability, lit: one.id === next.id }));
  if (!rows.some(({ lit }) => lit) && got.logits) rows.push({ text: label(next), value: probability(got.logits.data, next.id), lit: true });
  return rows;
}

/** @param {Subject} subject @returns {Step[]} nothing where no stack looks at another */
export function translationSteps(subject) {
  const { trace } = subject;
  const cross = subject.attention && crosses(subject.attention) && !subject.attention.pools ? subject.attention : attentions(trace).find((one) => crosses(one) && !one.pools);
  if (!cross) return [];
  const own = cross === subject.attention;
  const [layer, head] = own ? [subject.layer, subject.head] : [cross.layers - 1, 0];
  const { key_stack: from, query_stack: to } = cross.block;
  const [source, target] = [trace.tokens[from], trace.tokens[to]];
  const stream = memoryOf(subject, from);
  const rows = around(target.length, 0);
  const cols = around(source.length, 0);
  const weights = tensor(`${to}.${layer}.${cross.block.name}.pattern`, { head, query: `${rows.first}-${rows.last}`, key: `${cols.first}-${cols.last}` });
  // A recurrent decoder looks back at the states themselves: both directions of the last layer are its values.
  const axis = stream ? "position" : "key";
  const states = tensor(stream ?? `${to}.0.${cross.block.name}.v`, { ...(stream ? {} : { kv_head: 0 }), [axis]: `${cols.first}-${cols.last}` });
  const logits = `${to}.logits`;
  const where = cross.layers * cross.heads > 1 ? t("trans.where", { layer, head }) : t("trans.one-head");
  const across = source.slice(cols.first, cols.last + 1).map(label);
  const names = target.slice(rows.first, rows.last + 1).map(label);
  /** @type {Step[]} */
  const steps = [
    {
      id: "encode",
      title: t("trans.read"),
      sentence: t("trans.read-line", { count: source.length }),
      formula: () => math("M", "=", "encode", "(", "x", ")"),
      needs: { states },
      scene: (got) => ({
        columns: ["token", "wide"],
        lines: source.slice(cols.first, cols.last + 1).map((one, i) => line([chip(one, { key: `source ${i}` }), strip({ name: t("parts.state-of", { token: label(one) }), ...at(states, got.states, axis, i), top: span(got.states.data), key: `m ${i}`, result: true })])),
      }),
    },
  ];
  for (let now = rows.first; now <= rows.last; now++) {
    const read = target[now];
    const next = target[now + 1] ?? null;
    /** @type {Record<string, import("./tensors.js").Need>} */
    const needs = { weights };
    if (next) {
      const patches = patchesUpTo(trace.patches, to, now + 1);
      needs.text = { path: "traces", pick: {}, body: { model: trace.model, text: trace.text, said: target.slice(1, now + 1).map(({ id }) => id), ...(patches.length ? { patches } : {}) } };
    }
    if (next && has(subject, logits)) needs.logits = tensor(logits, { position: now });
    steps.push({
      id: `word-${now}`,
      title: next ? t("trans.say", { token: label(next) }) : t("trans.alignment"),
      sentence: next ? t("trans.say-line", { before: quoted(read), token: quoted(next) }) : t("trans.alignment-line"),
      formula: next ? () => math(sub("y", String(now + 1)), "=", "decode", "(", sub("y", row("≤", String(now))), ",", "M", ")") : undefined,
      needs,
      scene(got) {
        const top = next ? alternatives(got, next) : null;
        return {
          columns: ["matrix-large", ...(top ? ["choices"] : [])],
          titles: ["α", ...(top ? [t("trans.could-be-said")] : [])],
          lines: [
            line([
              matrix({ name: t("trans.weights", { where }), ...whole(weights, got.weights), rows: names.length, cols: across.length, labels: names, across, weights: true, large: true, mark: next ? [now - rows.first, -1] : undefined, fades: next ? now - rows.first + 1 : undefined, key: "A" }),
              ...(top ? [ranked({ name: t("parts.probability"), rows: top, key: `said ${now + 1}`, result: true })] : []),
            ]),
          ],
          note: t("trans.note", { where }),
        };
      },
    });
  }
  return steps;
}

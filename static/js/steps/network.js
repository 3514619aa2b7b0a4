// @ts-check
/** The whole network: tokens, embeddings, positions, block after block, and what is said in the end. */
import { attentions, crosses, label } from "../trace.js";
import { t } from "../words.js";
import { clocksOf } from "./attention.js";
import { lines as below, math, primed, row, sqrt, sub, sup } from "./math.js";
import { chart, line, number, op, span, strip, words } from "./parts.js";
import { sayingSteps } from "./saying.js";
import { normalisation } from "./learned.js";
import { around, chip, has, memoryOf, normOf, quoted, streamsOf } from "./subject.js";
import { added, at, norm, tensor, whole } from "./tensors.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Step} Step */
/** @typedef {import("./parts.js").Line} Line */
/** @typedef {{stack: string, layers: number, tokens: import("../trace.js").Token[], token: number, first: number, last: number, asks: boolean}} Place asks: whether a token of it can be gone through the steps for */

const DIALS = 12;
const FURTHEST = 12;

/** @param {Subject} subject @returns {Step[]} nothing where there is no residual stream */
export function networkSteps(subject) {
  const { attention, trace, query, key, most } = subject;
  if (!attention) return [];
  const { query_stack: asks, key_stack: offers } = attention.block;
  const stacks = Object.keys(trace.tokens);
  const steps = stacks.flatMap((stack, i) => {
    const layers = subject.model.sites.find(({ address }) => address === `${stack}.{layer}.resid.pre`)?.layers;
    if (!layers || !memoryOf(subject, stack)) return [];
    const tokens = trace.tokens[stack];
    const token = stack === asks ? query : stack === offers ? key : 0;
    /** @type {Place} */
    const place = { stack, layers, tokens, token, asks: stack === asks, ...around(tokens.length, token, most) };
    const all = [cut(place), embed(subject, place), ...positions(subject, place), ...entrance(subject, place), ...blocks(subject, place, 0), ...Array.from({ length: layers - 1 }, (_, i) => layer(subject, place, i + 1)), growth(subject, place)];
    return stacks.length < 2 ? all : all.map((one) => ({ ...one, id: i < stacks.length - 1 ? `${stack}-${one.id}` : one.id, title: t("net.in-stack", { stack: t(`stack.${stack}`), title: one.title }) }));
  });
  return steps.length ? [...steps, ...sayingSteps(subject, stacks.at(-1) === asks ? query : undefined)] : [];
}

/** A line for each token. @param {Place} place @param {(index: number) => import("./parts.js").Part[]} parts @returns {Line[]} */
const eachToken = ({ tokens, token, first, last, asks }, parts) =>
  tokens.slice(first, last + 1).map((one, i) => line([chip(one, { key: `token ${first + i}`, ...(asks ? { query: first + i } : {}) }), ...parts(first + i)], { lit: first + i === token }));

/** @param {Place} place */
const cutNote = ({ tokens, first, last }) => (last - first + 1 < tokens.length ? t("net.tokens-cut", { first, last, all: tokens.length }) : "");

/** @param {Place} place @returns {Step} */
function cut(place) {
  const { tokens } = place;
  return {
    id: "tokens",
    title: t("net.cut"),
    sentence: t("net.cut-line", { count: tokens.length }),
    needs: {},
    scene: () => ({ columns: ["token", "op", "number"], titles: [t("parts.token"), "", t("net.number")], lines: eachToken(place, (i) => [op("→"), number({ name: t("net.vocabulary"), count: true, value: tokens[i].id, key: `id ${i}`, result: true })]), note: cutNote(place) }),
  };
}

/** @param {Subject} subject @param {Place} place @returns {Step} */
function embed({ model }, place) {
  const { stack, tokens, first, last } = place;
  const scaled = model.embedding_scale !== 1;
  const need = tensor(`${stack}.embed.token`, { position: `${first}-${last}` });
  return {
    id: "embed",
    title: t("net.embed"),
    sentence: scaled ? `${t("net.embed-line")} ${t("net.embed-scaled", { width: model.width })}` : t("net.embed-line"),
    formula: () => math(sub("e", "i"), "=", ...(scaled ? [sqrt(String(model.width))] : []), row("E", "[", sub("t", "i"), "]")),
    needs: { need },
    scene(got) {
      const top = span(got.need.data);
      return { columns: ["token", "wide"], lines: eachToken(place, (i) => [strip({ name: t("net.embedding-of", { token: label(tokens[i]) }), ...at(need, got.need, "position", i, first), top, key: `e ${i}`, from: `id ${i}`, result: true })]), note: cutNote(place) };
    },
  };
}

/** @param {Subject} subject @param {Place} place @returns {Step[]} */
function positions(subject, place) {
  const { stack, tokens, first, last } = place;
  const { attention, head } = subject;
  const address = `${stack}.embed.position`;
  if (has(subject, address)) {
    const need = tensor(address, { position: `${first}-${last}` });
    return [
      {
        id: "positions",
        title: t("net.positions"),
        sentence: t("net.positions-line"),
        formula: () => math("x", "=", "e", "+", "p"),
        needs: { need },
        scene(got) {
          const width = got.need.shape.at(-1) ?? 1;
          const row0 = at(need, got.need, "position", first, first).values;
          // Sines and cosines of the same angle: their squares add up to 1, pair by pair.
          const waves = Math.abs(norm(row0) ** 2 - width / 2) < 1e-3 * width;
          return {
            columns: ["token", "op", "wide"],
            lines: eachToken(place, (i) => [op(String(i)), strip({ name: t("net.position-of", { index: i }), ...at(need, got.need, "position", i, first), top: span(got.need.data), key: `p ${i}`, result: true })]),
            note: t(waves ? "net.waves" : "net.learned"),
          };
        },
      },
    ];
  }
  const own = attention?.stack === stack && !crosses(attention) ? attention : attentions(subject.trace).find((one) => one.stack === stack && !crosses(one));
  if (!own) return [];
  const index = own === attention ? subject.layer : 0;
  const site = (/** @type {string} */ name) => `${stack}.${index}.${own.block.name}.${name}`;
  if (has(subject, site("q.raw"))) {
    const until = Math.min(tokens.length, DIALS) - 1;
    const needs = { before: tensor(site("q.raw"), { head, query: `0-${until}` }), after: tensor(site("q"), { head, query: `0-${until}` }) };
    return [
      {
        id: "positions",
        title: t("net.turn"),
        sentence: t("net.turn-line"),
        formula: () => math("q", "=", sub("R", "i"), sub("q", "raw")),
        needs,
        scene: (got) => ({
          columns: ["token", "op", "wide"],
          lines: tokens.slice(0, until + 1).map((one, i) => line([chip(one, { key: `token ${i}` }), op(String(i)), { ...clocksOf(label(one), at(needs.before, got.before, "query", i).values, at(needs.after, got.after, "query", i).values), source: at(needs.after, got.after, "query", i).source }])),
          note: t("net.turn-note", { count: until + 1, layer: index, head }),
        }),
      },
    ];
  }
  const bias = `${stack}.${own.block.name}.bias.by_distance`;
  if (!has(subject, bias)) return [];
  const need = tensor(bias, { head });
  return [
    {
      id: "positions",
      title: t("net.distance"),
      sentence: t("net.distance-line"),
      formula: () => math("s", "=", row("q", "·", "k"), "+", sub("b", row("j", "−", "i"))),
      needs: { need },
      scene(got) {
        const zero = (got.need.data.length - 1) / 2;
        const far = Math.min(FURTHEST, zero);
        const from = zero - far;
        const width = 2 * far + 1;
        return {
          columns: ["token", "number", "bar"],
          titles: [t("net.key-query"), t("parts.bias"), ""],
          lines: Array.from({ length: width }, (_, i) => {
            const distance = i - far;
            const value = got.need.data[from + i];
            const most = span(got.need.data);
            return line([words(distance > 0 ? `+${distance}` : String(distance).replace("-", "−")), number({ name: t("parts.bias"), value, source: `tensors/${bias}?head=${head}&distance=${from + i}`, result: true }), { kind: "bar", name: t("parts.bias"), value, top: most, signed: true, result: true }], { lit: distance === 0 });
          }),
          note: t("net.distance-note", { head }),
        };
      },
    },
  ];
}

/** @param {Subject} subject @param {Place} place @returns {Step[]} */
function entrance(subject, { stack, tokens, token }) {
  const named = (/** @type {string} */ part) => tensor(`${stack}.embed.${part}`, { position: token });
  /** @type {Record<string, import("./tensors.js").Need>} */
  const needs = { word: named("token"), stream: tensor(`${stack}.0.resid.pre`, { position: token }) };
  if (has(subject, `${stack}.embed.position`)) needs.position = named("position");
  if (has(subject, `${stack}.embed.segment`)) needs.segment = named("segment");
  const normed = has(subject, `${stack}.embed.norm.scale`);
  if (!needs.position) return [];
  const who = quoted(tokens[token]);
  return [
    {
      id: "enter",
      title: t(normed ? "net.enter-norm" : "net.enter"),
      sentence: t("net.enter-line", { token: who }),
      formula() {
        const sum = ["e", "+", "p", ...(needs.segment ? ["+", "s"] : [])];
        return math("x", "=", ...(normed ? ["norm", "(", row(...sum), ")"] : sum));
      },
      needs,
      scene(got) {
        const lines = [line([words(`${t("net.word")} e`), strip({ name: t("net.embedding-of", { token: label(tokens[token]) }), ...whole(needs.word, got.word), top: span(got.word.data), key: `e ${token}` })])];
        lines.push(line([words(`+ ${t("net.position")} p`), strip({ name: t("net.position-of", { index: token }), ...whole(needs.position, got.position), top: span(got.word.data), key: `p ${token}` })]));
        if (needs.segment) lines.push(line([words(`+ ${t("net.sentence")} s`), strip({ name: t("net.which-sentence"), ...whole(needs.segment, got.segment), top: span(got.word.data) })]));
        const parts = [got.word, got.position, ...(got.segment ? [got.segment] : [])].map(({ data }) => data);
        if (normed) lines.push(line([words(`= ${t("parts.sum")}`), strip({ name: t("parts.their-sum"), values: parts.reduce(added), top: span(got.word.data), key: "added", from: `e ${token}` })]));
        lines.push(line([words(normed ? `${t("parts.norm")} = x` : "= x"), strip({ name: t("parts.stream"), ...whole(needs.stream, got.stream), key: "x", from: `e ${token}`, result: true })]));
        return { columns: ["label", "wide"], lines };
      },
    },
  ];
}

/** @param {string} block */
const nameOf = (block) => t(`net.block-${block}`);

/** The blocks of a layer, in their order. @param {Subject} subject @param {string} stack */
const blocksOf = (subject, stack) => ["self", "cross", "mlp"].filter((block) => has(subject, `${stack}.0.${block}.out`) && streamsOf(subject, stack, 0, block));

/** One layer in detail. @param {Subject} subject @param {Place} place @param {number} index @returns {Step[]} */
function blocks(subject, { stack, tokens, token }, index) {
  const who = quoted(tokens[token]);
  return blocksOf(subject, stack).map((block) => {
    const streams = /** @type {{before: string, after: string}} */ (streamsOf(subject, stack, index, block));
    const normed = normOf(subject, stack, index, block);
    const pick = { position: token };
    /** @type {Record<string, import("./tensors.js").Need>} */
    const needs = { before: tensor(streams.before, pick), out: tensor(`${stack}.${index}.${block}.out`, pick), after: tensor(streams.after, pick) };
    if (block === "mlp") needs.inner = tensor(`${stack}.${index}.mlp.post`, pick);
    const copy = normed?.when === "before" ? normalisation(subject, [stack, index, block], token, "x") : null;
    Object.assign(needs, copy?.needs);
    const says = t(`net.says-${block}`, { token: who });
    const later = normed ? ` ${t(normed.when === "after" ? "net.then-normalised" : "net.reads-normalised")}` : "";
    return {
      id: `layer-${index}-${block}`,
      title: t(normed?.when === "after" ? "net.layer-block-norm" : "net.layer-block", { layer: index, block: nameOf(block) }),
      sentence: `${says}${later}`,
      formula: () => math(primed("x"), "=", ...update("x", block, normed?.when)),
      needs,
      scene(got) {
        const top = span(got.before.data, got.after.data);
        const lines = [line([words("x"), strip({ name: t("parts.stream-before"), ...whole(needs.before, got.before), top, key: "x" })])];
        if (copy) lines.push(line([words(t("parts.norm")), strip({ name: t("att.normed", { name: t("parts.stream-before") }), values: copy.of(got, got.before.data), key: "x normalised", from: "x" })]));
        if (got.inner) lines.push(line([words(t("net.hidden")), strip({ name: t("net.hidden-units"), ...whole(needs.inner, got.inner), key: "inner", from: copy ? "x normalised" : "x" })]));
        lines.push(line([words(`+ ${block === "mlp" ? "FFN" : t("net.attention")}`), strip({ name: t("parts.writes"), ...whole(needs.out, got.out), top, key: "out", from: got.inner ? "inner" : "x", result: true })]));
        if (normed?.when === "after") lines.push(line([words(`= ${t("parts.sum")}`), strip({ name: t("parts.their-sum"), values: added(got.before.data, got.out.data), top, from: "out" })]));
        lines.push(line([words(normed?.when === "after" ? `${t("parts.norm")} = x′` : "= x′"), strip({ name: t("parts.stream-after"), ...whole(needs.after, got.after), top, key: "after", from: "out", result: true })]));
        return { columns: ["label", "wide"], lines };
      },
    };
  });
}

/** What a block makes of a vector. @param {string} x @param {string} block @param {"before" | "after" | undefined} when it is normalised @returns {import("./math.js").Term[]} */
function update(x, block, when) {
  const of = [block === "mlp" ? "FFN" : "Attn", "(", ...(when === "before" ? ["norm", "(", x, ")"] : [x]), ")"];
  return when === "after" ? ["norm", "(", row(x, "+", ...of), ")"] : [x, "+", ...of];
}

/** Another layer at once. @param {Subject} subject @param {Place} place @param {number} index @returns {Step} */
function layer(subject, { stack, tokens, token, layers }, index) {
  const own = blocksOf(subject, stack);
  const pick = { position: token };
  /** @type {Record<string, import("./tensors.js").Need>} */
  const needs = { before: tensor(`${stack}.${index}.resid.pre`, pick), after: tensor(`${stack}.${index}.resid.post`, pick), ...Object.fromEntries(own.map((block) => [block, tensor(`${stack}.${index}.${block}.out`, pick)])) };
  return {
    id: `layer-${index}`,
    title: t(index === layers - 1 ? "net.layer-last" : "net.layer", { layer: index }),
    sentence: t("net.layer-line", { token: quoted(tokens[token]) }),
    // Each block goes on with what the one before it made: a, then b, and in the end x′.
    formula: () => below(...own.map((block, i) => [own[i + 1] ? "ab"[i] : primed("x"), "=", ...update(i ? "ab"[i - 1] : "x", block, normOf(subject, stack, index, block)?.when)])),
    needs,
    scene(got) {
      const top = span(got.before.data, got.after.data);
      return {
        columns: ["label", "wide"],
        lines: [
          line([words("x"), strip({ name: t("parts.stream-before"), ...whole(needs.before, got.before), top, key: "x", from: "after" })]),
          ...own.map((block) => line([words(`+ ${block === "mlp" ? "FFN" : t(block === "cross" ? "net.from-source" : "net.attention")}`), strip({ name: t("net.what-writes", { block: nameOf(block) }), ...whole(needs[block], got[block]), top, key: block, from: "x" })])),
          line([words(normOf(subject, stack, index, "mlp")?.when === "after" ? "→ x′" : "= x′"), strip({ name: t("parts.stream-after"), ...whole(needs.after, got.after), top, key: "after", from: "mlp", result: true })]),
        ],
      };
    },
  };
}

/** @param {Subject} subject @param {Place} place @returns {Step} */
function growth(subject, { stack, tokens, token, layers }) {
  const all = [...Array.from({ length: layers }, (_, i) => tensor(`${stack}.${i}.resid.pre`, { position: token })), tensor(`${stack}.${layers - 1}.resid.post`, { position: token })];
  const needs = Object.fromEntries(all.map((need, i) => [`x${i}`, need]));
  const after = normOf(subject, stack, 0, "mlp")?.when === "after";
  return {
    id: "growth",
    title: t("net.growth"),
    sentence: after
      ? t("net.growth-norm", { token: quoted(tokens[token]) })
      : t("net.growth-line", { token: quoted(tokens[token]) }),
    formula: () => math("‖", "x", "‖", "=", sqrt("∑", sup("x", "2"))),
    needs,
    scene(got) {
      const values = all.map((_, i) => norm(got[`x${i}`].data));
      return { columns: ["wide"], titles: [t("net.growth-name")], lines: [line([chart({ name: t("net.growth-name"), values, labels: values.map((_, i) => (i < layers ? t("state.where", { layer: i }) : t("net.end"))), marked: layers, result: true })])] };
    },
  };
}

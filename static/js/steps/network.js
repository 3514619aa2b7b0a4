// @ts-check
/** The whole network: tokens, embeddings, positions, block after block, and what is said in the end. */
import { crosses, label } from "../trace.js";
import { clocksOf } from "./attention.js";
import { lines as below, math, row, sub, sup } from "./math.js";
import { chart, line, number, op, span, strip, words } from "./parts.js";
import { sayingSteps } from "./saying.js";
import { around, chip, has, memoryOf, normOf, quoted, streamsOf } from "./subject.js";
import { added, at, norm, tensor, whole } from "./tensors.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Step} Step */
/** @typedef {import("./parts.js").Line} Line */
/** @typedef {{stack: string, layers: number, tokens: import("../trace.js").Token[], token: number, first: number, last: number}} Place */

const DIALS = 12;
const FURTHEST = 12;

/** @param {Subject} subject @returns {Step[]} nothing where there is no residual stream */
export function networkSteps(subject) {
  const { attention, trace, query } = subject;
  const stack = attention?.block.query_stack ?? Object.keys(trace.tokens).at(-1) ?? "";
  const layers = subject.model.sites.find(({ address }) => address === `${stack}.{layer}.resid.pre`)?.layers;
  if (!attention || !layers || !memoryOf(subject, stack)) return [];
  const tokens = trace.tokens[stack];
  /** @type {Place} */
  const place = { stack, layers, tokens, token: query, ...around(tokens.length, query) };
  return [
    cut(place),
    embed(place),
    ...positions(subject, place),
    ...entrance(subject, place),
    ...blocks(subject, place, 0),
    ...Array.from({ length: layers - 1 }, (_, i) => layer(subject, place, i + 1)),
    growth(subject, place),
    ...sayingSteps(subject, query),
  ];
}

/** A line for each token. @param {Place} place @param {(index: number) => import("./parts.js").Part[]} parts @returns {Line[]} */
const eachToken = ({ tokens, token, first, last }, parts) =>
  tokens.slice(first, last + 1).map((one, i) => line([chip(one, { key: `token ${first + i}`, query: first + i }), ...parts(first + i)], { lit: first + i === token }));

/** @param {Place} place */
const cutNote = ({ tokens, first, last }) => (last - first + 1 < tokens.length ? `Tokens ${first} to ${last} of ${tokens.length}.` : "");

/** @param {Place} place @returns {Step} */
function cut(place) {
  const { tokens } = place;
  return {
    id: "tokens",
    title: "Cut the text into tokens",
    sentence: `${tokens.length} tokens; each is nothing but its number in the vocabulary.`,
    needs: {},
    scene: () => ({ columns: ["token", "op", "number"], titles: ["token", "", "number"], lines: eachToken(place, (i) => [op("→"), number({ name: "number in the vocabulary", count: true, value: tokens[i].id, key: `id ${i}`, result: true })]), note: cutNote(place) }),
  };
}

/** @param {Place} place @returns {Step} */
function embed(place) {
  const { stack, tokens, first, last } = place;
  const need = tensor(`${stack}.embed.token`, { position: `${first}-${last}` });
  return {
    id: "embed",
    title: "Look each one up: embeddings",
    sentence: "The number names a row of a learned table. The same word always gets the same vector, wherever it stands.",
    formula: () => math(sub("e", "i"), "=", row("E", "[", sub("t", "i"), "]")),
    needs: { need },
    scene(got) {
      const top = span(got.need.data);
      return { columns: ["token", "wide"], lines: eachToken(place, (i) => [strip({ name: `embedding of ${label(tokens[i])}`, ...at(need, got.need, "position", i, first), top, key: `e ${i}`, from: `id ${i}`, result: true })]), note: cutNote(place) };
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
        title: "Add where it stands",
        sentence: "Attention alone does not know the order of words: “dog bites man” and “man bites dog” would be the same. So every position has a vector of its own, which is added.",
        formula: () => math("x", "=", "e", "+", "p"),
        needs: { need },
        scene(got) {
          const width = got.need.shape.at(-1) ?? 1;
          const row0 = at(need, got.need, "position", first, first).values;
          // Sines and cosines of the same angle: their squares add up to 1, pair by pair.
          const waves = Math.abs(norm(row0) ** 2 - width / 2) < 1e-3 * width;
          return {
            columns: ["token", "wide"],
            lines: eachToken(place, (i) => [strip({ name: `position ${i}`, ...at(need, got.need, "position", i, first), top: span(got.need.data), key: `p ${i}`, result: true })]),
            note: waves ? "These are sines and cosines of the position, each pair slower than the one before." : "These vectors were learned, one for each position.",
          };
        },
      },
    ];
  }
  if (!attention || attention.stack !== stack || crosses(attention)) return [];
  const site = (/** @type {string} */ name) => `${stack}.${subject.layer}.${attention.block.name}.${name}`;
  if (has(subject, site("q.raw"))) {
    const until = Math.min(tokens.length, DIALS) - 1;
    const needs = { before: tensor(site("q.raw"), { head, query: `0-${until}` }), after: tensor(site("q"), { head, query: `0-${until}` }) };
    return [
      {
        id: "positions",
        title: "Turn by the position",
        sentence: "Nothing is added to the embedding: each query and key is turned, pair by pair, by an angle that grows with its position. Grey is before, bright is after.",
        formula: () => math("q", "=", sub("R", "i"), sub("q", "raw")),
        needs,
        scene: (got) => ({
          columns: ["token", "wide"],
          lines: tokens.slice(0, until + 1).map((one, i) => line([chip(one, { key: `token ${i}` }), { ...clocksOf(label(one), at(needs.before, got.before, "query", i).values, at(needs.after, got.after, "query", i).values), source: at(needs.after, got.after, "query", i).source }])),
          note: `The first ${until + 1} queries of layer ${subject.layer}, head ${head}.`,
        }),
      },
    ];
  }
  const bias = `${stack}.${attention.block.name}.bias.by_distance`;
  if (!has(subject, bias)) return [];
  const need = tensor(bias, { head });
  return [
    {
      id: "positions",
      title: "Learn what a distance is worth",
      sentence: "Nothing is added to the embedding: every score gains a learned number that depends only on how far apart the two words are.",
      formula: () => math("s", "=", row("q", "·", "k"), "+", sub("b", row("j", "−", "i"))),
      needs: { need },
      scene(got) {
        const zero = (got.need.data.length - 1) / 2;
        const far = Math.min(FURTHEST, zero);
        const from = zero - far;
        const width = 2 * far + 1;
        return {
          columns: ["token", "number", "bar"],
          titles: ["key − query", "bias", ""],
          lines: Array.from({ length: width }, (_, i) => {
            const distance = i - far;
            const value = got.need.data[from + i];
            const most = span(got.need.data);
            return line([words(distance > 0 ? `+${distance}` : String(distance).replace("-", "−")), number({ name: "bias", value, source: `tensors/${bias}?head=${head}&distance=${from + i}`, result: true }), { kind: "bar", name: "bias", value, top: most, signed: true, result: true }], { lit: distance === 0 });
          }),
          note: `Head ${head}; the same in every layer.`,
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
      title: normed ? "Add, normalise: the residual stream begins" : "Add: the residual stream begins",
      sentence: `This one vector of ${who} now runs through all layers; every block reads it and adds to it.`,
      formula: () => math("x", "=", normed ? row("norm", "(", "e", "+", "p", needs.segment ? row("+", "s") : row(), ")") : row("e", "+", "p")),
      needs,
      scene(got) {
        const lines = [line([words("word"), strip({ name: `embedding of ${label(tokens[token])}`, ...whole(needs.word, got.word), top: span(got.word.data), key: `e ${token}` })])];
        lines.push(line([words("+ position"), strip({ name: `position ${token}`, ...whole(needs.position, got.position), top: span(got.word.data), key: `p ${token}` })]));
        if (needs.segment) lines.push(line([words("+ sentence"), strip({ name: "which of two sentences", ...whole(needs.segment, got.segment), top: span(got.word.data) })]));
        lines.push(line([words("= x"), strip({ name: "residual stream", ...whole(needs.stream, got.stream), key: "x", from: `e ${token}`, result: true })]));
        return { columns: ["label", "wide"], lines };
      },
    },
  ];
}

/** @type {Record<string, string>} */
const NAMES = { self: "self-attention", cross: "attention to the source", mlp: "the feed-forward layer" };

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
    const says = {
      self: `${who} looks at the other words and takes what the heads bring.`,
      cross: `${who} looks at the source and takes what the heads bring.`,
      mlp: `Without looking at other words, ${who} goes through many hidden units and back.`,
    }[block];
    const later = normed?.when === "after" ? " Then the sum is normalised." : normed ? " It reads a normalised copy." : "";
    return {
      id: `layer-${index}-${block}`,
      title: `Layer ${index}: ${NAMES[block]}${normed?.when === "after" ? ", add & norm" : ", add"}`,
      sentence: `${says}${later}`,
      formula: () => math(sup("x", "′"), "=", normed?.when === "after" ? row("norm", "(", "x", "+", block === "mlp" ? "FFN" : "Attn", "(", "x", ")", ")") : row("x", "+", block === "mlp" ? "FFN" : "Attn", "(", normed ? "norm" : "", "(", "x", ")", ")")),
      needs,
      scene(got) {
        const top = span(got.before.data, got.after.data);
        const lines = [line([words("x"), strip({ name: "residual stream before", ...whole(needs.before, got.before), top, key: "x" })])];
        if (got.inner) lines.push(line([words("hidden"), strip({ name: "hidden units after the activation", ...whole(needs.inner, got.inner), key: "inner", from: "x" })]));
        lines.push(line([words(`+ ${block === "mlp" ? "FFN" : "attention"}`), strip({ name: "what the block writes", ...whole(needs.out, got.out), top, key: "out", from: got.inner ? "inner" : "x", result: true })]));
        if (normed?.when === "after") lines.push(line([words("= sum"), strip({ name: "their sum", values: added(got.before.data, got.out.data), top, from: "out" })]));
        lines.push(line([words(normed?.when === "after" ? "norm" : "= x′"), strip({ name: "residual stream after", ...whole(needs.after, got.after), top, key: "after", from: "out", result: true })]));
        return { columns: ["label", "wide"], lines };
      },
    };
  });
}

/** Another layer at once. @param {Subject} subject @param {Place} place @param {number} index @returns {Step} */
function layer(subject, { stack, tokens, token, layers }, index) {
  const own = blocksOf(subject, stack);
  const pick = { position: token };
  /** @type {Record<string, import("./tensors.js").Need>} */
  const needs = { before: tensor(`${stack}.${index}.resid.pre`, pick), after: tensor(`${stack}.${index}.resid.post`, pick), ...Object.fromEntries(own.map((block) => [block, tensor(`${stack}.${index}.${block}.out`, pick)])) };
  return {
    id: `layer-${index}`,
    title: `Layer ${index}${index === layers - 1 ? ", the last" : ""}`,
    sentence: `The same again with other weights: ${quoted(tokens[token])} takes from other words, thinks, and goes on.`,
    needs,
    scene(got) {
      const top = span(got.before.data, got.after.data);
      return {
        columns: ["label", "wide"],
        lines: [
          line([words("x"), strip({ name: "residual stream before", ...whole(needs.before, got.before), top, key: "x", from: "after" })]),
          ...own.map((block) => line([words(`+ ${block === "mlp" ? "FFN" : block}`), strip({ name: `what ${NAMES[block]} writes`, ...whole(needs[block], got[block]), top, key: block, from: "x" })])),
          line([words("→ x′"), strip({ name: "residual stream after", ...whole(needs.after, got.after), top, key: "after", from: "mlp", result: true })]),
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
    title: "How long the vector is, layer by layer",
    sentence: after
      ? `The sum is normalised after every block, so the vector of ${quoted(tokens[token])} keeps about its length.`
      : `Blocks only add: the residual stream of ${quoted(tokens[token])} grows on its way, and is normalised once at the end.`,
    formula: () => below(["‖", "x", "‖", "=", row("√", row("∑", sup("x", "2")))]),
    needs,
    scene(got) {
      const values = all.map((_, i) => norm(got[`x${i}`].data));
      return { columns: ["wide"], lines: [line([chart({ name: "norm of the residual stream", values, labels: values.map((_, i) => (i < layers ? `layer ${i}` : "the end")), marked: layers, result: true })])] };
    },
  };
}

// @ts-check
/** Attention in six steps for one token, layer and head; then the same as whole matrices, and all heads together. */
import { number as written } from "../format.js";
import { crosses, label } from "../trace.js";
import { frac, lines as below, math, row, sqrt, sub, sum as over, sup, words as plain } from "./math.js";
import { bar, line, matrix, number, op, span, strip, weights, words } from "./parts.js";
import { around, chip, has, hidden, memoryOf, normOf, quoted, streamsOf } from "./subject.js";
import { added, at, one, tensor, times, whole } from "./tensors.js";

/** @typedef {import("./subject.js").Subject} Subject */
/** @typedef {import("./parts.js").Step} Step */
/** @typedef {import("./parts.js").Part} Part */
/** @typedef {import("./parts.js").Line} Line */
/** @typedef {import("../trace.js").Attention} Attention */
/** @typedef {Subject & {attention: Attention}} Focused */

/** @param {Focused} subject */
export function attentionSteps(subject) {
  const additive = subject.attention.block.kind === "additive";
  const steps = additive ? [...additiveMatch(subject)] : [...project(subject), ...turn(subject), match(subject), ...scale(subject), ...mask(subject)];
  return [...steps, softmax(subject), weigh(subject), total(subject), ...matrices(subject), ...together(subject)];
}

// ---------------------------------------------------------------- places

/** @param {Focused} subject */
function places({ attention, layer, head, query }) {
  const { block, stack } = attention;
  const shared = Math.floor(head / (block.heads / block.kv_heads));
  const site = (/** @type {string} */ name) => `${stack}.${layer}.${block.name}.${name}`;
  return {
    site,
    shared,
    q: tensor(site("q"), { head, query }),
    k: tensor(site("k"), { kv_head: shared }),
    v: tensor(site("v"), { kv_head: shared }),
    scores: (/** @type {string} */ stage) => tensor(site(stage), { head, query }),
    weight: tensor(site("pattern"), { head, query }),
    z: tensor(site("z"), { head, query }),
  };
}

/** A line for each key: the token, and what else there is to say of it. @param {Focused} subject @param {(key: number) => Part[]} parts @returns {Line[]} */
const eachKey = ({ attention, query, key, keys }, parts) =>
  keys.map((index) =>
    line([chip(attention.keys[index], { key: `key ${index}`, query: crosses(attention) ? undefined : index }), ...parts(index)], {
      lit: index === key,
      never: hidden(attention, query, index),
    }),
  );

/** @param {Focused} subject */
const left = ({ attention, keys }) => (keys.length < attention.keys.length ? `The ${keys.length} strongest of ${attention.keys.length} keys are shown; all of them count.` : "");

/** @param {Focused} subject */
const asker = ({ attention, query }) => chip(attention.queries[query], { key: "query", lit: true });

/** How a head's size is written: √32. @param {Attention} attention */
const scaled = ({ block }) => Math.abs(block.scale - 1) > 1e-9;

/** A sum in words where a network has one head. @param {Focused} subject */
const headOf = ({ attention, layer, head }) => (attention.layers * attention.heads > 1 ? `Head ${head} of layer ${layer}` : "The network");

// ---------------------------------------------------------------- 1: q, k, v

/** @param {Focused} subject @returns {Step[]} */
function project(subject) {
  const { attention, layer, query, key } = subject;
  const { block, stack } = attention;
  const { site, k, v, q, shared } = places(subject);
  const streams = streamsOf(subject, stack, layer, block.name);
  const cross = crosses(attention);
  const memory = cross ? memoryOf(subject, block.key_stack) : null;
  const raw = has(subject, site("q.raw"));
  const own = raw ? tensor(site("q.raw"), { head: subject.head, query }) : q;
  const ownKey = raw ? tensor(site("k.raw"), { kv_head: shared }) : k;
  const offered = cross ? key : query; // within one text a word has a query and a key of its own
  const norm = streams && normOf(subject, stack, layer, block.name);
  const before = norm?.when === "before";
  /** @type {Record<string, import("./tensors.js").Need>} */
  const needs = { q: own, k: tensor(ownKey.path.slice(8), { ...ownKey.pick, key: offered }), v: tensor(v.path.slice(8), { ...v.pick, key: offered }) };
  if (streams) needs.x = tensor(streams.before, { position: query });
  if (memory) needs.memory = tensor(memory, { position: offered });
  const who = quoted(attention.queries[query]);
  const group = block.heads / block.kv_heads;
  const shares = group > 1 ? ` ${group} heads share one key and one value.` : "";
  return [
    {
      id: "project",
      title: "Make q, k and v",
      sentence: cross
        ? `${who} makes a query, what it looks for; every source word makes a key, what it is found by, and a value, what it hands over.`
        : `${who} makes three short vectors: a query, what it looks for; a key, what it is found by; a value, what it hands over.${shares}`,
      formula: () => below(["q", "=", sub("W", "Q"), "x"], ["k", "=", sub("W", "K"), cross ? "m" : "x"], ["v", "=", sub("W", "V"), cross ? "m" : "x"]),
      needs,
      scene(got) {
        const width = got.q.data.length;
        const box = (/** @type {string} */ name, /** @type {string} */ of) => (got[of] ? weights({ name, rows: width, cols: got[of].data.length, key: name }) : op("→"));
        const made = (/** @type {string} */ name, /** @type {string} */ of, /** @type {string} */ from, /** @type {string} */ letter) =>
          line([words(letter), box(name, from), op("→"), strip({ name: `${letter} of ${label(letter === "q" ? attention.queries[query] : attention.keys[offered])}`, ...whole(needs[of], got[of]), top: span(got.q.data, got.k.data, got.v.data), key: letter === "q" ? "q" : `${letter} ${offered}`, from, result: true })]);
        /** @type {Line[]} */
        const lines = [];
        if (got.x) lines.push(line([asker(subject), op("x"), op(""), strip({ name: `residual stream of ${label(attention.queries[query])}`, ...whole(needs.x, got.x), key: "x" })]));
        lines.push(made("W_Q", "q", "x", "q"));
        if (got.memory) lines.push(line([chip(attention.keys[offered], { key: `key ${offered}`, lit: true }), op("m"), op(""), strip({ name: `last state of ${label(attention.keys[offered])} in the ${block.key_stack}`, ...whole(needs.memory, got.memory), key: "memory" })]));
        const source = cross ? "memory" : "x";
        lines.push(made("W_K", "k", source, "k"), made("W_V", "v", source, "v"));
        const normed = before ? `x is normalised first (${norm?.mean ? "LayerNorm" : "RMSNorm"}).` : "";
        return { columns: ["token", "box", "op", "wide"], lines, note: streams ? normed : "q, k and v are made from the states of the recurrent cells." };
      },
    },
  ];
}

// ---------------------------------------------------------------- rotary positions

/** @param {Focused} subject @returns {Step[]} */
function turn(subject) {
  const { attention, head, query, key } = subject;
  const { site, q, k, shared } = places(subject);
  if (!has(subject, site("q.raw"))) return [];
  const needs = { before: tensor(site("q.raw"), { head, query }), after: q, keyBefore: tensor(site("k.raw"), { kv_head: shared, key }), keyAfter: tensor(k.path.slice(8), { kv_head: shared, key }) };
  const [asks, offers] = [attention.queries[query], attention.keys[key]];
  return [
    {
      id: "turn",
      title: "Turn q and k by their positions",
      sentence: `Each pair of numbers is turned by an angle that grows with the position: ${quoted(asks)} stands at ${query}, ${quoted(offers)} at ${key}; their match depends on the distance.`,
      formula: () => below(["q", "=", sub("R", String(query)), sub("q", "raw")], ["k", "=", sub("R", String(key)), sub("k", "raw")]),
      needs,
      scene(got) {
        const top = span(got.before.data, got.keyBefore.data);
        const show = (/** @type {import("../trace.js").Token} */ who, /** @type {string} */ from, /** @type {string} */ to, /** @type {string} */ letter, /** @type {string} */ name) => [
          line([chip(who, { key: name, lit: true }), op(`${letter} raw`), strip({ name: `${letter} before it is turned`, ...whole(needs[/** @type {"before"} */ (from)], got[from]), top })]),
          line([words(""), op("turned"), clocksOf(letter, got[from].data, got[to].data)]),
          line([words(""), op(letter), strip({ name: `${letter} turned`, ...whole(needs[/** @type {"after"} */ (to)], got[to]), top, key: letter === "q" ? "q" : `k ${key}`, result: true })]),
        ];
        return { columns: ["token", "label", "wide"], lines: [...show(asks, "before", "after", "q", "query"), ...show(offers, "keyBefore", "keyAfter", "k", `key ${key}`)] };
      },
    },
  ];
}

/** @param {string} name @param {Float32Array} before @param {Float32Array} after @returns {Part} */
export const clocksOf = (name, before, after) => ({ kind: "clocks", name: `pairs of ${name} before and after`, before, after, result: true });

// ---------------------------------------------------------------- 2 to 4: the score

/** @param {Focused} subject @returns {Step} */
function match(subject) {
  const { attention, query, key } = subject;
  const { q, k, scores } = places(subject);
  const needs = { q, k, raw: scores("scores.raw") };
  const asks = quoted(attention.queries[query]);
  const still = scaled(attention) ? "" : " Nothing is divided here.";
  return {
    id: "match",
    title: "Compare q with every key",
    sentence: `The query of ${asks} is multiplied with each key, number by number, and summed: the larger, the better they match.${still}`,
    formula: (got) => math(row("q", "·", sub("k", plain(label(attention.keys[key])))), "=", over("i"), row(sub("q", "i"), sub("k", "i")), "=", written(got.raw.data[key])),
    needs,
    scene(got) {
      const top = span(got.k.data);
      const most = Math.max(...subject.keys.map((index) => Math.abs(got.raw.data[index])));
      return {
        columns: ["token", "strip", "number", "bar"],
        titles: ["", "k", "q·k", ""],
        head: line([asker(subject), strip({ name: `q of ${label(attention.queries[query])}`, ...whole(needs.q, got.q), top: span(got.q.data), key: "q" }), words("q"), words("")]),
        lines: eachKey(subject, (index) => [
          strip({ name: `k of ${label(attention.keys[index])}`, ...at(needs.k, got.k, "key", index), top, key: `k ${index}` }),
          number({ name: "q·k", ...one(needs.raw, got.raw, "key", index), key: `raw ${index}`, from: `k ${index}`, result: true }),
          bar({ name: "q·k", value: got.raw.data[index], top: most, signed: true, key: `bar ${index}`, result: true }),
        ]),
        note: left(subject),
      };
    },
  };
}

/** @param {Focused} subject @returns {Step[]} */
function scale(subject) {
  const { attention, key } = subject;
  if (!scaled(attention)) return [];
  const { scores } = places(subject);
  const needs = { raw: scores("scores.raw"), scaled: scores("scores.scaled") };
  const { scale: by, head_dim: size } = attention.block;
  const root = Math.abs(by * Math.sqrt(size) - 1) < 1e-6;
  const factor = root ? `÷ ${written(Math.sqrt(size))}` : `× ${written(by)}`;
  return [
    {
      id: "scale",
      title: root ? "Divide by √d_k" : "Multiply by the scale",
      sentence: root
        ? `Sums of ${size} products grow with ${size}; divided by √${size} = ${written(Math.sqrt(size))} they keep the size that the softmax likes.`
        : `Each score is multiplied by ${written(by)}, which keeps it at the size that the softmax likes.`,
      formula: (got) => math(root ? frac(row("q", "·", "k"), sqrt(sub("d", "k"))) : row("q", "·", "k", "×", written(by)), "=", root ? frac(written(got.raw.data[key]), sqrt(String(size))) : row(written(got.raw.data[key]), "×", written(by)), "=", written(got.scaled.data[key])),
      needs,
      scene(got) {
        const most = Math.max(...subject.keys.map((index) => Math.abs(got.raw.data[index])));
        return {
          columns: ["token", "number", "op", "number", "bar"],
          titles: ["", "q·k", "", "scaled", ""],
          head: line([asker(subject), words(""), words(""), words(""), words("")]),
          lines: eachKey(subject, (index) => [
            number({ name: "q·k", ...one(needs.raw, got.raw, "key", index), key: `raw ${index}` }),
            op(`${factor} =`),
            number({ name: "scaled score", ...one(needs.scaled, got.scaled, "key", index), key: `scaled ${index}`, from: `raw ${index}`, result: true }),
            bar({ name: "scaled score", value: got.scaled.data[index], top: most, signed: true, key: `bar ${index}`, result: true }),
          ]),
          note: left(subject),
        };
      },
    },
  ];
}

/** @param {Focused} subject @returns {Step[]} */
function mask(subject) {
  const { attention, query, key, head } = subject;
  const { block, stack } = attention;
  const { scores } = places(subject);
  const shared = `${stack}.${block.name}.bias`;
  const biased = has(subject, shared);
  const causal = block.causal && !crosses(attention);
  if (!biased && !causal) return [];
  /** @type {Record<string, import("./tensors.js").Need>} */
  const needs = { scaled: scores("scores.scaled"), score: scores("scores") };
  if (biased) needs.bias = tensor(shared, { head, query });
  const hides = causal ? `Words after ${quoted(attention.queries[query])} are not there yet: their score becomes −∞.` : "";
  const adds = biased ? "A learned number for the distance between the two words is added." : "";
  return [
    {
      id: "mask",
      title: [biased ? "Add the bias for the distance" : "", causal ? "hide what comes later" : ""].filter(Boolean).join(", ").replace(/^./, (letter) => letter.toUpperCase()),
      sentence: [adds, hides].filter(Boolean).join(" "),
      formula(got) {
      const own = scaled(attention) ? frac(row("q", "·", "k"), sqrt(sub("d", "k"))) : row("q", "·", "k");
      return math("s", "=", own, ...(biased ? ["+", "b"] : []), "=", written(got.score.data[key]));
    },
      needs,
      scene: (got) => ({
        columns: ["token", "number", ...(biased ? ["op", "number"] : []), "op", "number"],
        titles: ["", "score", ...(biased ? ["", "bias"] : []), "", "masked"],
        head: line([asker(subject), ...Array.from({ length: biased ? 5 : 3 }, () => words(""))]),
        lines: eachKey(subject, (index) => [
          number({ name: "scaled score", ...one(needs.scaled, got.scaled, "key", index), key: `scaled ${index}` }),
          ...(biased ? [op("+"), number({ name: "bias", ...one(needs.bias, got.bias, "key", index), key: `bias ${index}` })] : []),
          op(hidden(attention, query, index) ? "later" : "="),
          number({ name: "score", ...one(needs.score, got.score, "key", index), key: `score ${index}`, from: `scaled ${index}`, result: true }),
        ]),
        note: left(subject),
      }),
    },
  ];
}

// ---------------------------------------------------------------- additive attention

/** @param {Focused} subject @returns {Step[]} */
function additiveMatch(subject) {
  const { attention, query, key } = subject;
  const { q, k, site, scores } = places(subject);
  const asks = quoted(attention.queries[query]);
  const learned = attention.pools;
  const who = learned ? "the whole" : asks;
  const energy = tensor(site("energy"), { query });
  const vector = tensor(site("score.weight"));
  const raw = scores("scores.raw");
  /** @param {import("./tensors.js").All} got @param {boolean} fresh */
  const summands = (got, fresh) => ({
    head: line([asker(subject), strip({ name: `W s of ${who}`, ...whole(q, got.q), top: span(got.q.data, got.k.data), key: "q", result: fresh }), words(""), words("")]),
  });
  return [
    {
      id: "project",
      title: "Bring both sides to one size",
      sentence: learned
        ? "No word looks here: every state is turned into a vector, and what is looked for is learned."
        : `The decoder's state at ${asks} is turned into one vector, and every state of the source into another of the same size.`,
      formula: () => below(["W", "s"], ["U", sub("h", "j")]),
      needs: { q, k },
      scene: (got) => ({
        columns: ["token", "strip", "number", "bar"],
        titles: ["", "U h", "", ""],
        ...summands(got, true),
        lines: eachKey(subject, (index) => [strip({ name: `U h of ${label(attention.keys[index])}`, ...at(k, got.k, "key", index), top: span(got.q.data, got.k.data), key: `k ${index}`, result: true }), words(""), words("")]),
        note: left(subject),
      }),
    },
    {
      id: "add",
      title: "Add them, and squeeze the sum",
      sentence: `What ${who} looks for is added to each key; tanh squeezes every number into the range from −1 to 1.`,
      formula: () => math(sub("e", "j"), "=", "tanh", "(", row("W", "s", "+", "U", sub("h", "j")), ")"),
      needs: { q, k, energy },
      scene: (got) => ({
        columns: ["token", "strip", "number", "bar"],
        titles: ["", "tanh(W s + U h)", "", ""],
        ...summands(got, false),
        lines: eachKey(subject, (index) => [strip({ name: `energy of ${label(attention.keys[index])}`, ...at(energy, got.energy, "key", index), top: 1, key: `e ${index}`, from: `k ${index}`, result: true }), words(""), words("")]),
        note: left(subject),
      }),
    },
    {
      id: "match",
      title: "Weigh it by a learned vector",
      sentence: "The vector v says which of these numbers tell a match: multiplied and summed, they are the score.",
      formula: (got) => math(sub("s", plain(label(attention.keys[key]))), "=", "v", "·", sub("e", plain(label(attention.keys[key]))), "=", written(got.raw.data[key])),
      needs: { energy, raw, vector },
      scene(got) {
        const most = Math.max(...subject.keys.map((index) => Math.abs(got.raw.data[index])));
        return {
          columns: ["token", "strip", "number", "bar"],
          titles: ["", "tanh(W s + U h)", "score", ""],
          head: line([words("v"), strip({ name: "v", ...whole(vector, got.vector), key: "v" }), words(""), words("")]),
          lines: eachKey(subject, (index) => [
            strip({ name: `energy of ${label(attention.keys[index])}`, ...at(energy, got.energy, "key", index), top: 1, key: `e ${index}` }),
            number({ name: "score", ...one(raw, got.raw, "key", index), key: `score ${index}`, from: `e ${index}`, result: true }),
            bar({ name: "score", value: got.raw.data[index], top: most, signed: true, key: `bar ${index}`, result: true }),
          ]),
          note: left(subject),
        };
      },
    },
  ];
}

// ---------------------------------------------------------------- 4 to 6: softmax, values, sum

/** @param {Focused} subject @returns {Step} */
function softmax(subject) {
  const { attention, query, key } = subject;
  const { scores, weight } = places(subject);
  const needs = { score: scores("scores"), weight };
  const asks = quoted(attention.queries[query]);
  return {
    id: "softmax",
    title: "Share out: softmax",
    sentence: `Take e to the power of each score and divide by their sum: the shares of ${attention.pools ? "the whole" : asks} add up to 1, and large scores take most.`,
    formula(got) {
      const { numerators, sum } = shares(got.score.data);
      const e = (/** @type {import("./math.js").Term} */ score) => sup("e", score);
      return math("α", "=", frac(e(row("s", "−", "max")), row(over("j"), e(row(sub("s", "j"), "−", "max")))), "=", frac(written(numerators[key]), written(sum)), "=", written(got.weight.data[key]));
    },
    needs,
    scene(got) {
      const { numerators, sum, top } = shares(got.score.data);
      return {
        columns: ["token", "number", "op", "number", "number", "bar"],
        titles: ["", "s", "", "e^(s−max)", "weight α", ""],
        head: line([asker(subject), number({ name: "largest score", value: top }), words("max"), number({ name: "sum of all", value: sum, key: "sum" }), words("sum"), words("")]),
        lines: eachKey(subject, (index) => [
          number({ name: "score", ...one(needs.score, got.score, "key", index), key: `score ${index}`, from: `scaled ${index}` }),
          op("→"),
          number({ name: "e to the score less the largest", value: numerators[index], key: `e ${index}`, from: `score ${index}` }),
          number({ name: "weight", ...one(needs.weight, got.weight, "key", index), key: `weight ${index}`, from: `e ${index}`, strong: true, result: true }),
          bar({ name: "weight", value: got.weight.data[index], top: 1, key: `bar ${index}`, result: true }),
        ]),
        note: left(subject),
      };
    },
  };
}

/** @param {ArrayLike<number>} scores */
function shares(scores) {
  const top = Math.max(...Array.from(scores));
  const numerators = Array.from(scores, (score) => Math.exp(score - top));
  return { top, numerators, sum: numerators.reduce((sum, x) => sum + x, 0) };
}

/** @param {Focused} subject @returns {Step} */
function weigh(subject) {
  const { attention, key } = subject;
  const { weight, v } = places(subject);
  const needs = { weight, v };
  return {
    id: "weigh",
    title: "Multiply every value by its weight",
    sentence: `Each word hands over its value, as loudly as its weight says: ${quoted(attention.keys[key])} is heard best.`,
    formula: (got) => math(sub("α", plain(label(attention.keys[key]))), sub("v", plain(label(attention.keys[key]))), "=", written(got.weight.data[key]), sub("v", plain(label(attention.keys[key])))),
    needs,
    scene(got) {
      const top = span(got.v.data);
      return {
        columns: ["token", "number", "strip", "op", "strip"],
        titles: ["", "α", "v", "", "α v"],
        head: line([asker(subject), words(""), words(""), words(""), words("")]),
        lines: eachKey(subject, (index) => {
          const value = at(needs.v, got.v, "key", index);
          return [
            number({ name: "weight", ...one(needs.weight, got.weight, "key", index), key: `weight ${index}`, strong: true }),
            strip({ name: `v of ${label(attention.keys[index])}`, ...value, top, key: `v ${index}` }),
            op("→"),
            strip({ name: `α v of ${label(attention.keys[index])}`, values: times(value.values, got.weight.data[index]), top, key: `αv ${index}`, from: `v ${index}`, result: true }),
          ];
        }),
        note: left(subject),
      };
    },
  };
}

/** @param {Focused} subject @returns {Step} */
function total(subject) {
  const { attention, query } = subject;
  const { weight, v, z } = places(subject);
  const needs = { weight, v, z };
  const asks = attention.pools ? "the whole" : quoted(attention.queries[query]);
  return {
    id: "sum",
    title: "Add them up",
    sentence: attention.block.kind === "additive" ? `The sum is the context: what ${asks} takes from all states together.` : `The sum is what this head brings to ${asks}: a mixture of the values, by their weights.`,
    formula: () => math("z", "=", over("j"), sub("α", "j"), sub("v", "j")),
    needs,
    scene(got) {
      const top = span(got.v.data);
      const own = span(got.z.data);
      return {
        columns: ["token", "number", "wide"],
        titles: ["", "α", "α v"],
        head: line([asker(subject), words(""), words("")]),
        lines: eachKey(subject, (index) => [
          number({ name: "weight", ...one(needs.weight, got.weight, "key", index), key: `weight ${index}` }),
          strip({ name: `α v of ${label(attention.keys[index])}`, values: times(at(needs.v, got.v, "key", index).values, got.weight.data[index]), top, key: `αv ${index}` }),
        ]),
        foot: line([words("∑"), words("z ="), strip({ name: `z of ${label(attention.queries[query])}`, ...whole(needs.z, got.z), top: own, key: "z", from: `αv ${subject.key}`, result: true })]),
        note: left(subject),
      };
    },
  };
}

// ---------------------------------------------------------------- whole matrices

/** @param {Focused} subject @returns {Step[]} */
function matrices(subject) {
  const { attention, head, query, key } = subject;
  const { site, shared, q, v, k } = places(subject);
  const [rows, cols] = [around(attention.queries.length, query), around(attention.keys.length, key)];
  const names = attention.queries.slice(rows.first, rows.last + 1).map(label);
  const across = attention.keys.slice(cols.first, cols.last + 1).map(label);
  const queries = `${rows.first}-${rows.last}`;
  const keys = `${cols.first}-${cols.last}`;
  const map = (/** @type {string} */ name) => tensor(site(name), { head, query: queries, key: keys });
  const mark = /** @type {[number, number]} */ ([query - rows.first, key - cols.first]);
  const cut = names.length < attention.queries.length || across.length < attention.keys.length;
  const note = cut ? `${names.length} × ${across.length} of ${attention.queries.length} × ${attention.keys.length} words.` : "";
  const all = { q: tensor(q.path.slice(8), { head, query: queries }), k: tensor(k.path.slice(8), { kv_head: shared, key: keys }), v: tensor(v.path.slice(8), { kv_head: shared, key: keys }), z: tensor(site("z"), { head, query: queries }), scores: map("scores"), weights: map("pattern") };
  /** @param {import("./tensors.js").Need} need @param {import("./tensors.js").Got} got */
  const sized = (need, got) => ({ ...whole(need, got), rows: got.shape.at(-2) ?? 1, cols: got.shape.at(-1) ?? 1 });
  const additive = attention.block.kind === "additive";
  const few = attention.queries.length < 2;
  /** @type {Step[]} */
  const steps = [];
  if (few) return steps;
  if (!additive) {
    steps.push({
      id: "scores",
      title: "The same for all words at once",
      sentence: `Queries as rows, keys as columns: one product of two matrices is every score${crosses(attention) ? " of every target word with every source word" : ""}.`,
      formula: () => math("S", "=", scaled(attention) ? frac(row("Q", sup("K", "⊤")), sqrt(sub("d", "k"))) : row("Q", sup("K", "⊤")), ...(has(subject, `${attention.stack}.${attention.block.name}.bias`) ? ["+", "B"] : []), ...(attention.block.causal && !crosses(attention) ? ["+", "mask"] : [])),
      needs: { q: all.q, k: all.k, scores: all.scores },
      scene: (got) => ({
        columns: ["matrix", "op", "matrix", "op", "matrix-large"],
        titles: ["Q", "", "K", "", "S"],
        lines: [
          line([
            matrix({ name: "Q, a row for each query", ...sized(all.q, got.q), labels: names, key: "Q", mark: [mark[0], -1] }),
            op("·"),
            matrix({ name: "K, a row for each key", ...sized(all.k, got.k), labels: crosses(attention) ? across : undefined, key: "K", mark: [mark[1], -1] }),
            op("→"),
            matrix({ name: "scores", ...sized(all.scores, got.scores), labels: undefined, across, key: "S", large: true, mark, result: true }),
          ]),
        ],
        note,
      }),
    });
  }
  steps.push(
    {
      id: "pattern",
      title: "Softmax, row by row",
      sentence: `Every row is shared out by itself and adds up to 1: this is the heat map of ${headOf(subject).replace(/^./, (letter) => letter.toLowerCase())}.`,
      formula: () => math("A", "=", "softmax", "(", "S", ")"),
      needs: { scores: all.scores, weights: all.weights },
      scene: (got) => ({
        columns: ["matrix-large", "op", "matrix-large"],
        titles: ["S", "", "A"],
        lines: [line([matrix({ name: "scores", ...sized(all.scores, got.scores), labels: names, key: "S", large: true, mark }), op("→"), matrix({ name: "weights", ...sized(all.weights, got.weights), across, key: "A", from: "S", weights: true, large: true, mark, result: true })])],
        note,
      }),
    },
    {
      id: "mix",
      title: "Weights times values",
      sentence: "Each row of A mixes the rows of V: one product of two matrices is the new vector of every word.",
      formula: () => math("Z", "=", "A", "V"),
      needs: { weights: all.weights, v: all.v, z: all.z },
      scene: (got) => ({
        columns: ["matrix-large", "op", "matrix", "op", "matrix"],
        titles: ["A", "", "V", "", "Z"],
        lines: [
          line([
            matrix({ name: "weights", ...sized(all.weights, got.weights), labels: names, key: "A", weights: true, large: true, mark: [mark[0], -1] }),
            op("·"),
            matrix({ name: "V, a row for each key", ...sized(all.v, got.v), key: "V" }),
            op("="),
            matrix({ name: "Z, a row for each query", ...sized(all.z, got.z), key: "Z", from: "A", mark: [mark[0], -1], result: true }),
          ]),
        ],
        note,
      }),
    },
  );
  return steps;
}

// ---------------------------------------------------------------- all heads

/** @param {Focused} subject @returns {Step[]} */
function together(subject) {
  const { attention, layer, head, query } = subject;
  const { block, stack } = attention;
  const { site } = places(subject);
  const streams = streamsOf(subject, stack, layer, block.name);
  if (!streams || block.heads < 2 || !has(subject, site("out"))) return [];
  const z = tensor(site("z"), { query });
  const out = tensor(site("out"), { position: query });
  const before = tensor(streams.before, { position: query });
  const after = tensor(streams.after, { position: query });
  const who = quoted(attention.queries[query]);
  const norm = normOf(subject, stack, layer, block.name);
  const lasting = norm?.when === "after";
  return [
    {
      id: "heads",
      title: `${block.heads} heads, side by side`,
      sentence: `All heads of layer ${layer} do this at the same time with matrices of their own: each brings ${who} something else.`,
      formula: () => math(sub("z", "1"), ",", "…", ",", sub("z", String(block.heads))),
      needs: { z },
      scene: (got) => ({
        columns: ["label", "wide"],
        titles: ["", "z"],
        lines: Array.from({ length: block.heads }, (_, index) =>
          line([words(`head ${index}`, { lit: index === head }), strip({ name: `z of head ${index}`, ...at({ ...z, pick: { ...z.pick, head: index } }, got.z, "head", index), top: span(got.z.data), key: index === head ? "z" : `z ${index}`, result: true })], { lit: index === head }),
        ),
      }),
    },
    {
      id: "concat",
      title: "Concatenate, multiply by W_O",
      sentence: `The ${block.heads} vectors are laid end to end; one learned matrix mixes them into what the block writes for ${who}.`,
      formula: () => math(row("concat", "(", sub("z", "1"), ",", "…", ",", sub("z", String(block.heads)), ")"), sub("W", "O")),
      needs: { z, out },
      scene: (got) => ({
        columns: ["label", "wide"],
        lines: [
          line([words("all z"), strip({ name: "all heads, end to end", ...whole(z, got.z), key: "heads", from: "z", mark: [head * block.head_dim, (head + 1) * block.head_dim] })]),
          line([words("× W_O"), weights({ name: "W_O", rows: got.out.data.length, cols: got.z.data.length, key: "W_O" })]),
          line([words("="), strip({ name: "what the block writes", ...whole(out, got.out), key: "out", from: "heads", result: true })]),
        ],
      }),
    },
    {
      id: "residual",
      title: lasting ? "Add to the residual stream, normalise" : "Add to the residual stream",
      sentence: lasting
        ? `What the block writes is added to what ${who} was, and the sum is normalised: the word now knows a little of its sentence.`
        : `What the block writes is added to what ${who} was, nothing is overwritten: the word now knows a little of its sentence.`,
      formula: () => (lasting ? math(row(sup("x", "′"), "=", "norm", "(", "x", "+", "out", ")")) : math(sup("x", "′"), "=", "x", "+", "out")),
      needs: { before, out, after },
      scene(got) {
        const top = span(got.before.data, got.after.data);
        const lines = [
          line([words("x"), strip({ name: "residual stream before", ...whole(before, got.before), top, key: "x" })]),
          line([words("+ out"), strip({ name: "what the block writes", ...whole(out, got.out), top, key: "out" })]),
        ];
        if (lasting) lines.push(line([words("= sum"), strip({ name: "their sum", values: added(got.before.data, got.out.data), top, key: "added", from: "out" })]));
        lines.push(line([words(lasting ? "norm" : "= x′"), strip({ name: "residual stream after", ...whole(after, got.after), top, key: "after", from: "out", result: true })]));
        return { columns: ["label", "wide"], lines };
      },
    },
  ];
}

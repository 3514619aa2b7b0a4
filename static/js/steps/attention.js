// @ts-check
/** Attention in six steps for one token, layer and head; then the same as whole matrices, and all heads together. */
import { number as written } from "../format.js";
import { crosses, label } from "../trace.js";
import { t } from "../words.js";
import { frac, lines as below, math, primed, row, sqrt, sub, sum as over, sup, words as plain } from "./math.js";
import { bar, line, matrix, number, op, span, strip, words } from "./parts.js";
import { around, askingState, chip, has, hidden, memoryOf, named, normOf, quoted, streamsOf } from "./subject.js";
import { learned, normalisation, parameter, sheet } from "./learned.js";
import { comesTo, productLines } from "./product.js";
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
const left = ({ attention, keys }) => (keys.length < attention.keys.length ? t("att.strongest", { shown: keys.length, all: attention.keys.length }) : "");

/** That the numbers of this block are not what follows from what stands before. @param {Focused} subject */
const changed = ({ trace, attention, layer }) => (trace.patches.some(({ address }) => address.startsWith(`${attention.stack}.${layer}.${attention.block.name}.`)) ? t("att.patched") : "");

/** @param {Focused} subject */
const noted = (subject) => [left(subject), changed(subject)].filter(Boolean).join(" ");

/** @param {Focused} subject */
const asker = ({ attention, query }) => chip(attention.queries[query], { key: "query", lit: true });

/** How a head's size is written: √32. @param {Attention} attention */
const scaled = ({ block }) => Math.abs(block.scale - 1) > 1e-9;

/** A sum in words where a network has one head. @param {Focused} subject */
const headOf = ({ attention, layer, head }) => (attention.layers * attention.heads > 1 ? t("att.head-of", { head, layer }) : t("att.network"));

// ---------------------------------------------------------------- 1: q, k, v

/** @param {Focused} subject @returns {Step[]} */
function project(subject) {
  const { attention, layer, head, query, key } = subject;
  const { block, stack } = attention;
  const { site, k, v, q, shared } = places(subject);
  const streams = streamsOf(subject, stack, layer, block.name);
  const cross = crosses(attention);
  const memory = cross ? memoryOf(subject, block.key_stack) : null;
  const raw = has(subject, site("q.raw"));
  const own = raw ? tensor(site("q.raw"), { head, query }) : q;
  const ownKey = raw ? tensor(site("k.raw"), { kv_head: shared }) : k;
  const offered = cross ? key : query; // within one text a word has a query and a key of its own
  /** @type {[string, number, string]} */
  const place = [stack, layer, block.name];
  const before = streams && normOf(subject, stack, layer, block.name)?.when === "before" ? normalisation(subject, place, query, "x") : null;
  const after = memory ? normalisation(subject, [block.key_stack, null, "final"], offered, "m") : null;
  /** @type {Record<string, import("./tensors.js").Need>} */
  const needs = { q: own, k: tensor(ownKey.path.slice(8), { ...ownKey.pick, key: offered }), v: tensor(v.path.slice(8), { ...v.pick, key: offered }), ...before?.needs, ...after?.needs };
  if (streams) needs.x = tensor(streams.before, { position: query });
  if (memory) needs.memory = tensor(memory, { position: offered });
  const general = streams ? null : parameter(subject, place, "W"); // of multiplicative attention to recurrent states
  const turned = learned(subject, general);
  if (turned) needs.W = turned;
  const made = ["Q", "K", "V"].map((letter) => {
    const name = letter.toLowerCase();
    const pick = letter === "Q" ? { head } : { kv_head: shared };
    const [weight, bias] = ["W", "b"].map((kind) => parameter(subject, place, `${kind}_${letter}`));
    const [drawn, added] = [learned(subject, weight, pick), learned(subject, bias, pick)];
    if (drawn) needs[`W_${letter}`] = drawn;
    if (added) needs[`b_${letter}`] = added;
    return { letter, name, pick, weight, bias, reads: letter === "Q" || !memory ? "x" : "m" };
  });
  const biased = made.some(({ bias }) => bias);
  const who = quoted(attention.queries[query]);
  const group = block.heads / block.kv_heads;
  const shares = group > 1 ? ` ${t("att.share-group", { heads: group })}` : "";
  /** A vector that is read, and what the norm makes of it. @param {import("./tensors.js").All} got @param {"x" | "m"} letter @returns {Line[]} */
  function source(got, letter) {
    const [need, norm, one, key] = letter === "x" ? [needs.x, before, attention.queries[query], "query"] : [needs.memory, after, attention.keys[offered], `key ${offered}`];
    const name = letter === "x" ? t("parts.stream-of", { token: label(one) }) : t("att.memory", { token: label(one), stack: t(`stack.${block.key_stack}`) });
    const values = letter === "x" ? got.x : got.memory;
    const lines = [line([chip(one, { key, lit: true }), strip({ name, ...whole(need, values), key: letter }), words(norm ? "" : letter), words("")])];
    if (norm) lines.push(line([words(t("parts.norm")), strip({ name: t("att.normed", { name }), values: norm.of(got, values.data), key: `${letter} normalised`, from: letter }), words(letter), words("")]));
    return lines;
  }
  /** @type {Step[]} */
  const steps = [
    {
      id: "project",
      title: t("att.project"),
      sentence: cross
        ? t("att.project-cross", { token: who })
        : `${t("att.project-self", { token: who })}${shares}`,
      formula: () => (streams ? below(...made.map(({ letter, name, bias, reads }) => [name, "=", row(sub("W", letter), reads), ...(bias ? ["+", sub("b", letter)] : [])])) : below(["q", "=", "s"], ["k", "=", general ? row("W", "h") : "h"], ["v", "=", "h"])),
      needs,
      scene(got) {
        const top = span(got.q.data, got.k.data, got.v.data);
        /** @type {Line[]} */
        const lines = got.x ? source(got, "x") : [];
        for (const { letter, name, pick, weight, reads } of made) {
          if (letter === "K" && got.memory) lines.push(...source(got, "m"));
          const who = label(name === "q" ? attention.queries[query] : attention.keys[offered]);
          const out = strip({ name: t("parts.of", { what: name, token: who }), ...whole(needs[name], got[name]), top, key: name === "q" ? "q" : `${name} ${offered}`, from: reads, result: true });
          const picture = weight ? sheet(`W_${letter}`, weight, pick, needs[`W_${letter}`] ?? null, got[`W_${letter}`], ["model"]) : words("");
          if (streams) lines.push(line([words(`W_${letter}`), picture, words(`${name} =`), out]));
          else if (letter === "K" && general) lines.push(line([words("h"), strip({ name: t("parts.state-of", { token: who }), ...whole(needs.v, got.v), top, key: "h" }), words(""), words("")]), line([words("W"), sheet("W", general, {}, turned, got.W, ["memory"]), words("k ="), out]));
          else lines.push(line([words(""), words(t(name === "q" ? "att.decoders-state" : "att.encoders-state")), words(`${name} =`), out]));
        }
        const note = streams ? t(biased ? "att.rows-biased" : "att.rows", { x: t(memory ? "att.x-or-m" : "att.x") }) : "";
        return { columns: ["label", "field", "op", "short"], lines, note };
      },
    },
  ];
  if (streams && needs.W_Q) steps.push(product(subject, needs, (got) => (before ? before.of(got, got.x.data) : got.x.data)));
  return steps;
}

/** One number of q: a row of W_Q with what it reads. @param {Focused} subject @param {Record<string, import("./tensors.js").Need>} needs @param {(got: import("./tensors.js").All) => Float32Array} read @returns {Step} */
function product({ attention, query }, needs, read) {
  const who = quoted(attention.queries[query]);
  /** @param {import("./tensors.js").All} got */
  function largest(got) {
    const index = got.q.data.reduce((top, x, i, all) => (Math.abs(x) > Math.abs(all[top]) ? i : top), 0);
    const x = read(got);
    return { index, of: { read: x, row: got.W_Q.data.subarray(index * x.length, (index + 1) * x.length), bias: got.b_Q?.data[index] } };
  }
  return {
    id: "product",
    title: t("att.product"),
    sentence: t("att.product-line", { token: who }),
    formula(got) {
      const { index, of } = largest(got);
      const added = of.bias === undefined ? [] : ["+", sub("b", String(index))];
      return below([sub("q", String(index)), "=", over("j"), row(sub("W", row(String(index), ",", "j")), sub("x", "j")), ...added], comesTo(of, got.q.data[index], written));
    },
    needs,
    scene(got) {
      const { index, of } = largest(got);
      const names = {
        read: { label: "x", name: t("att.what-is-read", { token: label(attention.queries[query]) }), key: "x normalised" },
        row: { label: t("att.row-label", { index }), name: t("att.row-of", { index }), key: "W_Q" },
      };
      const made = { label: `= q ${index}`, says: t("att.such-numbers", { count: got.q.data.length }), name: t("att.number-of-q", { index }), ...one(needs.q, got.q, "head_dim", index), key: "q" };
      return { columns: ["label", "wide", "number"], lines: productLines(of, names, made) };
    },
  };
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
      title: t("att.turn"),
      sentence: t("att.turn-line", { query: quoted(asks), at: query, key: quoted(offers), other: key }),
      formula: () => below(["q", "=", sub("R", String(query)), sub("q", "raw")], ["k", "=", sub("R", String(key)), sub("k", "raw")]),
      needs,
      scene(got) {
        const top = span(got.before.data, got.keyBefore.data);
        const show = (/** @type {import("../trace.js").Token} */ who, /** @type {string} */ from, /** @type {string} */ to, /** @type {string} */ letter, /** @type {string} */ name) => [
          line([chip(who, { key: name, lit: true }), op(t("att.raw", { letter })), strip({ name: t("att.before-turn", { letter }), ...whole(needs[/** @type {"before"} */ (from)], got[from]), top })]),
          line([words(""), op(t("att.turned")), clocksOf(letter, got[from].data, got[to].data)]),
          line([words(""), op(letter), strip({ name: t("att.turned-of", { letter }), ...whole(needs[/** @type {"after"} */ (to)], got[to]), top, key: letter === "q" ? "q" : `k ${key}`, result: true })]),
        ];
        return { columns: ["token", "label", "wide"], lines: [...show(asks, "before", "after", "q", "query"), ...show(offers, "keyBefore", "keyAfter", "k", `key ${key}`)] };
      },
    },
  ];
}

/** @param {string} name @param {Float32Array} before @param {Float32Array} after @returns {Part} */
export const clocksOf = (name, before, after) => ({ kind: "clocks", name: t("att.pairs", { name }), before, after, result: true });

// ---------------------------------------------------------------- 2 to 4: the score

/** @param {Focused} subject @returns {Step} */
function match(subject) {
  const { attention, query, key } = subject;
  const { q, k, scores } = places(subject);
  const needs = { q, k, raw: scores("scores.raw") };
  const asks = quoted(attention.queries[query]);
  const still = scaled(attention) ? "" : ` ${t("att.undivided")}`;
  return {
    id: "match",
    title: t("att.match"),
    sentence: `${t("att.match-line", { token: asks })}${still}`,
    formula: (got) => math(row("q", "·", sub("k", plain(label(attention.keys[key])))), "=", over("i"), row(sub("q", "i"), sub("k", "i")), "=", written(got.raw.data[key])),
    needs,
    scene(got) {
      const top = span(got.k.data);
      const most = Math.max(...subject.keys.map((index) => Math.abs(got.raw.data[index])));
      return {
        columns: ["token", "op", "strip", "number", "bar"],
        titles: ["", "", "", "q·k", ""],
        head: line([asker(subject), op("q"), strip({ name: named("q", attention.queries[query]), ...whole(needs.q, got.q), top: span(got.q.data), key: "q" }), words(""), words("")]),
        lines: eachKey(subject, (index) => [
          op("k"),
          strip({ name: named("k", attention.keys[index]), ...at(needs.k, got.k, "key", index), top, key: `k ${index}` }),
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
      title: t(root ? "att.scale-root" : "att.scale"),
      sentence: root
        ? t("att.scale-root-line", { size, root: written(Math.sqrt(size)) })
        : t("att.scale-line", { by: written(by) }),
      formula: (got) => math(root ? frac(row("q", "·", "k"), sqrt(sub("d", "k"))) : row("q", "·", "k", "×", written(by)), "=", root ? frac(written(got.raw.data[key]), sqrt(String(size))) : row(written(got.raw.data[key]), "×", written(by)), "=", written(got.scaled.data[key])),
      needs,
      scene(got) {
        const most = Math.max(...subject.keys.map((index) => Math.abs(got.raw.data[index])));
        return {
          columns: ["token", "number", "op", "number", "bar"],
          titles: ["", "q·k", "", t("parts.scaled"), ""],
          head: line([asker(subject), words(""), words(""), words(""), words("")]),
          lines: eachKey(subject, (index) => [
            number({ name: "q·k", ...one(needs.raw, got.raw, "key", index), key: `raw ${index}` }),
            op(`${factor} =`),
            number({ name: t("parts.scaled-score"), ...one(needs.scaled, got.scaled, "key", index), key: `scaled ${index}`, from: `raw ${index}`, result: true }),
            bar({ name: t("parts.scaled-score"), value: got.scaled.data[index], top: most, signed: true, key: `bar ${index}`, result: true }),
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
  const hides = causal ? t("att.mask-hides", { token: quoted(attention.queries[query]) }) : "";
  const adds = biased ? t("att.bias-adds") : "";
  return [
    {
      id: "mask",
      title: t(biased && causal ? "att.mask-both" : biased ? "att.mask-bias" : "att.mask-later"),
      sentence: [adds, hides].filter(Boolean).join(" "),
      formula(got) {
        const own = scaled(attention) ? frac(row("q", "·", "k"), sqrt(sub("d", "k"))) : row("q", "·", "k");
        return math("s", "=", own, ...(biased ? ["+", "b"] : []), ...(causal ? ["+", "mask"] : []), "=", written(got.score.data[key]));
      },
      needs,
      scene(got) {
        const most = Math.max(...subject.keys.map((index) => Math.abs(got.scaled.data[index])), ...subject.keys.map((index) => Math.abs(got.score.data[index])).filter(Number.isFinite));
        return {
          columns: ["token", "number", ...(biased ? ["op", "number"] : []), "op", "number", "bar"],
          titles: ["", t("parts.score"), ...(biased ? ["", t("parts.bias")] : []), "", causal ? t("parts.masked") : t("parts.sum"), ""],
          head: line([asker(subject), ...Array.from({ length: biased ? 6 : 4 }, () => words(""))]),
          lines: eachKey(subject, (index) => [
            number({ name: t("parts.scaled-score"), ...one(needs.scaled, got.scaled, "key", index), key: `scaled ${index}` }),
            ...(biased ? [op("+"), number({ name: t("parts.bias"), ...one(needs.bias, got.bias, "key", index), key: `bias ${index}` })] : []),
            op(hidden(attention, query, index) ? t("parts.later") : "="),
            number({ name: t("parts.score"), ...one(needs.score, got.score, "key", index), key: `score ${index}`, from: `scaled ${index}`, result: true }),
            bar({ name: t("parts.score"), value: got.score.data[index], top: most, signed: true, key: `bar ${index}`, result: true }),
          ]),
          note: left(subject),
        };
      },
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
  const who = learned ? t("parts.whole") : asks;
  const energy = tensor(site("energy"), { query });
  const vector = tensor(site("score.weight"));
  const weighs = parameter(subject, [attention.stack, subject.layer, attention.block.name], "v"); // one number needs no vector
  const raw = scores("scores.raw");
  // Where nobody asks, what is looked for lies in what is learned: nothing is added to a key.
  const biased = parameter(subject, [attention.stack, subject.layer, attention.block.name], "b") ? ["+", "b"] : [];
  const total = (/** @type {string} */ index) => row(...(learned ? [] : ["W", "s", "+"]), "U", sub("h", index), ...biased);
  const squeezed = ["tanh(", learned ? "" : "W s + ", "U h", biased.length ? " + b" : "", ")"].join("");
  /** @param {import("./tensors.js").All} got @param {boolean} fresh */
  const summands = (got, fresh) => (learned ? {} : { head: line([asker(subject), op("W s"), strip({ name: t("parts.of", { what: "W s", token: who }), ...whole(q, got.q), top: span(got.q.data, got.k.data), key: "q", result: fresh })]) });
  return [
    ...matricesOf(subject),
    {
      id: "project",
      title: t(learned ? "att.one-size-title-pools" : "att.one-size"),
      sentence: learned
        ? t("att.one-size-pools")
        : t("att.one-size-line", { token: asks }),
      formula: () => below(...(learned ? [] : [["W", "s"]]), ["U", sub("h", "j"), ...biased]),
      needs: { q, k },
      scene: (got) => ({
        columns: ["token", "op", "wide"],
        ...summands(got, true),
        lines: eachKey(subject, (index) => [op("U h"), strip({ name: named("U h", attention.keys[index]), ...at(k, got.k, "key", index), top: span(got.q.data, got.k.data), key: `k ${index}`, result: true })]),
        note: left(subject),
      }),
    },
    {
      id: "add",
      title: t(learned ? "att.squeeze" : "att.add"),
      sentence: learned ? t("att.squeeze-line") : t("att.add-line", { token: who }),
      formula: () => math(sub("e", "j"), "=", "tanh", "(", total("j"), ")"),
      needs: { q, k, energy },
      scene: (got) => ({
        columns: ["token", "op", "wide"],
        titles: ["", "", squeezed],
        ...summands(got, false),
        lines: eachKey(subject, (index) => [op("e"), strip({ name: t("att.energy-of", { token: label(attention.keys[index]) }), ...at(energy, got.energy, "key", index), top: 1, key: `e ${index}`, from: `k ${index}`, result: true })]),
        note: left(subject),
      }),
    },
    {
      id: "match",
      title: t(weighs ? "att.weigh-learned" : "att.weigh-one"),
      sentence: t(weighs ? "att.weigh-learned-line" : "att.weigh-one-line"),
      formula: (got) => math(sub("s", plain(label(attention.keys[key]))), "=", ...(weighs ? ["v", "·"] : []), sub("e", plain(label(attention.keys[key]))), "=", written(got.raw.data[key])),
      needs: { energy, raw, vector },
      scene(got) {
        const most = Math.max(...subject.keys.map((index) => Math.abs(got.raw.data[index])));
        return {
          columns: ["token", "op", "strip", "number", "bar"],
          titles: ["", "", squeezed, t("parts.score"), ""],
          ...(weighs ? { head: line([words(""), op("v"), strip({ name: "v", ...whole(vector, got.vector), key: "v" }), words(""), words("")]) } : {}),
          lines: eachKey(subject, (index) => [
            op("e"),
            strip({ name: t("att.energy-of", { token: label(attention.keys[index]) }), ...at(energy, got.energy, "key", index), top: 1, key: `e ${index}` }),
            number({ name: t("parts.score"), ...one(raw, got.raw, "key", index), key: `score ${index}`, from: `e ${index}`, result: true }),
            bar({ name: t("parts.score"), value: got.raw.data[index], top: most, signed: true, key: `bar ${index}`, result: true }),
          ]),
          note: left(subject),
        };
      },
    },
  ];
}

/** The learned matrices of additive attention, and what U makes of the state in focus. @param {Focused} subject @returns {Step[]} */
function matricesOf(subject) {
  const { attention, layer, query, key } = subject;
  const { block, stack, keys, queries } = attention;
  const { q, k, v } = places(subject);
  const [W, U] = ["W", "U"].map((letter) => parameter(subject, [stack, layer, block.name], letter));
  const [drawnW, drawnU] = [learned(subject, W), learned(subject, U)];
  if (!U || !drawnU) return [];
  const asking = W && askingState(subject, attention, query);
  const needs = { q, k: tensor(k.path.slice(8), { ...k.pick, key }), h: tensor(v.path.slice(8), { ...v.pick, key }), U: drawnU, ...(drawnW ? { W: drawnW } : {}), ...(asking ? { s: asking.need } : {}) };
  const biased = parameter(subject, [stack, layer, block.name], "b");
  return [
    {
      id: "matrices",
      title: t(W ? "att.two-matrices" : "att.a-matrix"),
      sentence: W ? t("att.two-matrices-line", { key: quoted(keys[key]), query: quoted(queries[query]) }) : t("att.a-matrix-line", { key: quoted(keys[key]) }),
      formula: () => below(["k", "=", row("U", sub("h", "j")), ...(biased ? ["+", "b"] : [])], ...(W ? [["q", "=", row("W", "s")]] : [])),
      needs,
      scene: (got) => ({
        columns: ["label", "field", "op", "short"],
        lines: [
          line([chip(keys[key], { key: `key ${key}`, lit: true }), strip({ name: t("parts.state-of", { token: label(keys[key]) }), ...whole(needs.h, got.h), top: 1, key: "h" }), words("h"), words("")]),
          line([words("U"), sheet("U", U, {}, drawnU, got.U, ["memory"]), words("k ="), strip({ name: t("att.key-of", { token: label(keys[key]) }), ...whole(needs.k, got.k), key: `k ${key}`, from: "h", result: true })]),
          ...(asking ? [line([chip(queries[query], { key: "query", lit: true }), strip({ name: asking.before ? t("parts.state-before") : t("parts.state-of", { token: label(queries[query]) }), ...whole(asking.need, got.s), top: 1, key: "s" }), words(asking.before ? t("parts.before", { name: "s" }) : "s"), words("")])] : []),
          ...(W ? [line([words("W"), sheet("W", W, {}, drawnW, got.W, ["state"]), words("q ="), strip({ name: t("att.query-of", { token: label(queries[query]) }), ...whole(q, got.q), key: "q", from: "s", result: true })])] : []),
        ],
      }),
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
    title: t("att.softmax"),
    sentence: t("att.softmax-line", { token: attention.pools ? t("parts.whole") : asks }),
    formula(got) {
      const { numerators, sum } = shares(got.score.data);
      const e = (/** @type {import("./math.js").Term} */ score) => sup("e", score);
      return math("α", "=", frac(e(row("s", "−", "max")), row(over("j"), e(row(sub("s", "j"), "−", "max")))), ...(changed(subject) ? [] : ["=", frac(written(numerators[key]), written(sum))]), "=", written(got.weight.data[key]));
    },
    needs,
    scene(got) {
      const { numerators, sum, top } = shares(got.score.data);
      return {
        columns: ["token", "number", "op", "number", "number", "bar"],
        titles: ["", "s", "", "e^(s−max)", t("parts.weight-alpha"), ""],
        head: line([asker(subject), number({ name: t("parts.largest-score"), value: top }), words(t("parts.max")), number({ name: t("parts.sum-of-all"), value: sum, key: "sum" }), words(t("parts.sum")), words("")]),
        lines: eachKey(subject, (index) => [
          number({ name: t("parts.score"), ...one(needs.score, got.score, "key", index), key: `score ${index}`, from: `scaled ${index}` }),
          op("→"),
          number({ name: t("parts.e-to-score"), value: numerators[index], key: `e ${index}`, from: `score ${index}` }),
          number({ name: t("parts.weight"), ...one(needs.weight, got.weight, "key", index), key: `weight ${index}`, from: `e ${index}`, strong: true, result: true }),
          bar({ name: t("parts.weight"), value: got.weight.data[index], top: 1, key: `bar ${index}`, result: true }),
        ]),
        note: noted(subject),
      };
    },
  };
}

/** @param {ArrayLike<number>} scores */
function shares(scores) {
  const top = Math.max(...Array.from(scores));
  const numerators = Array.from(scores, (score) => (top === -Infinity ? 0 : Math.exp(score - top))); // where nothing may be looked at
  return { top, numerators, sum: numerators.reduce((sum, x) => sum + x, 0) };
}

/** @param {Focused} subject @returns {Step} */
function weigh(subject) {
  const { attention, key } = subject;
  const { weight, v } = places(subject);
  const needs = { weight, v };
  return {
    id: "weigh",
    title: t("att.weigh"),
    sentence: t("att.weigh-line", { token: quoted(attention.keys[key]) }),
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
            number({ name: t("parts.weight"), ...one(needs.weight, got.weight, "key", index), key: `weight ${index}`, strong: true }),
            strip({ name: named("v", attention.keys[index]), ...value, top, key: `v ${index}` }),
            op("→"),
            strip({ name: named("α v", attention.keys[index]), values: times(value.values, got.weight.data[index]), top, key: `αv ${index}`, from: `v ${index}`, result: true }),
          ];
        }),
        note: noted(subject),
      };
    },
  };
}

/** @param {Focused} subject @returns {Step} */
function total(subject) {
  const { attention, query } = subject;
  const { weight, v, z } = places(subject);
  const needs = { weight, v, z };
  const asks = attention.pools ? t("parts.whole") : quoted(attention.queries[query]);
  return {
    id: "sum",
    title: t("att.sum"),
    sentence: attention.block.kind === "additive" ? t("att.sum-context", { token: asks }) : t("att.sum-line", { token: asks }),
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
          number({ name: t("parts.weight"), ...one(needs.weight, got.weight, "key", index), key: `weight ${index}` }),
          strip({ name: named("α v", attention.keys[index]), values: times(at(needs.v, got.v, "key", index).values, got.weight.data[index]), top, key: `αv ${index}` }),
        ]),
        foot: line([words("∑"), words("z ="), strip({ name: named("z", attention.queries[query]), ...whole(needs.z, got.z), top: own, key: "z", from: `αv ${subject.key}`, result: true })]),
        note: noted(subject),
      };
    },
  };
}

// ---------------------------------------------------------------- whole matrices

/** @param {Focused} subject @returns {Step[]} */
function matrices(subject) {
  const { attention, head, query, key, most } = subject;
  const { site, shared, q, v, k } = places(subject);
  const [rows, cols] = [around(attention.queries.length, query, most), around(attention.keys.length, key, most)];
  const names = attention.queries.slice(rows.first, rows.last + 1).map(label);
  const across = attention.keys.slice(cols.first, cols.last + 1).map(label);
  const queries = `${rows.first}-${rows.last}`;
  const keys = `${cols.first}-${cols.last}`;
  const map = (/** @type {string} */ name) => tensor(site(name), { head, query: queries, key: keys });
  const mark = /** @type {[number, number]} */ ([query - rows.first, key - cols.first]);
  const cut = names.length < attention.queries.length || across.length < attention.keys.length;
  const note = cut ? t("att.cut", { rows: names.length, cols: across.length, queries: attention.queries.length, keys: attention.keys.length }) : "";
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
      title: t("att.all-words"),
      sentence: t(crosses(attention) ? "att.all-words-cross" : "att.all-words-line"),
      formula: () => math("S", "=", scaled(attention) ? frac(row("Q", sup("K", "⊤")), sqrt(sub("d", "k"))) : row("Q", sup("K", "⊤")), ...(has(subject, `${attention.stack}.${attention.block.name}.bias`) ? ["+", "B"] : []), ...(attention.block.causal && !crosses(attention) ? ["+", "mask"] : [])),
      needs: { q: all.q, k: all.k, scores: all.scores },
      scene: (got) => ({
        columns: ["matrix", "op", "matrix", "op", "matrix-large"],
        titles: ["Q", "", "K^T", "", "S"],
        lines: [
          line([
            matrix({ name: t("parts.rows-queries", { name: "Q" }), ...sized(all.q, got.q), labels: names, key: "Q", mark: [mark[0], -1] }),
            op("·"),
            matrix({ name: t("parts.rows-keys", { name: "K" }), ...sized(all.k, got.k), labels: across, key: "K", mark: [mark[1], -1], turned: true }),
            op("→"),
            matrix({ name: t("parts.scores"), ...sized(all.scores, got.scores), labels: undefined, across, key: "S", large: true, mark, result: true }),
          ]),
        ],
        note,
      }),
    });
  }
  steps.push(
    {
      id: "pattern",
      title: t("att.row-by-row"),
      sentence: t("att.row-by-row-line", { head: headOf(subject) }),
      formula: () => math("A", "=", "softmax", "(", "S", ")"),
      needs: { scores: all.scores, weights: all.weights },
      scene: (got) => ({
        columns: ["matrix-large", "op", "matrix-large"],
        titles: ["S", "", "A"],
        lines: [line([matrix({ name: t("parts.scores"), ...sized(all.scores, got.scores), labels: names, key: "S", large: true, mark }), op("→"), matrix({ name: t("parts.weights"), ...sized(all.weights, got.weights), across, key: "A", from: "S", weights: true, large: true, mark, result: true })])],
        note,
      }),
    },
    {
      id: "mix",
      title: t("att.mix"),
      sentence: t("att.mix-line"),
      formula: () => math("Z", "=", "A", "V"),
      needs: { weights: all.weights, v: all.v, z: all.z },
      scene: (got) => ({
        columns: ["matrix-large", "op", "matrix", "op", "matrix"],
        titles: ["A", "", "V", "", "Z"],
        lines: [
          line([
            matrix({ name: t("parts.weights"), ...sized(all.weights, got.weights), labels: names, across, key: "A", weights: true, large: true, mark: [mark[0], -1] }),
            op("·"),
            matrix({ name: t("parts.rows-keys", { name: "V" }), ...sized(all.v, got.v), labels: across, key: "V" }),
            op("="),
            matrix({ name: t("parts.rows-queries", { name: "Z" }), ...sized(all.z, got.z), key: "Z", from: "A", mark: [mark[0], -1], result: true }),
          ]),
        ],
        note,
      }),
    },
  );
  return steps;
}

// ---------------------------------------------------------------- all heads

/** What a head looks at, in a few words: the one key that has most of its weight, two that have it together, or how far it is spread. @param {Attention} attention @param {number} query @param {ArrayLike<number>} weights of one row */
export function gistOf(attention, query, weights) {
  const order = Array.from(weights, (_, i) => i).sort((a, b) => weights[b] - weights[a]);
  const [first, second] = order;
  const within = !crosses(attention);
  const name = (/** @type {number} */ index) => (within && index === query ? t("att.itself") : within && index === query - 1 ? t("att.token-before") : within && index === query + 1 ? t("att.token-after") : quoted(attention.keys[index]));
  if (weights[first] >= 0.5) return t("att.mostly", { name: name(first) });
  if (order.length > 1 && weights[first] + weights[second] >= 0.5) return t("att.both", { first: name(first), second: name(second) });
  let [held, count] = [0, 0];
  while (held < 0.5 && count < order.length) held += weights[order[count++]];
  return t("att.half-over", { count });
}

/** Where there is no room for all heads: the one in focus, and those that look at one key most. @param {number} heads @param {number} most @param {number} head @param {(head: number) => ArrayLike<number>} row the weights of a head */
function sharpest(heads, most, head, row) {
  const all = Array.from({ length: heads }, (_, index) => index);
  if (heads <= most) return all;
  const sharp = (/** @type {number} */ index) => (index === head ? 2 : Math.max(...Array.from(row(index))));
  return all.sort((a, b) => sharp(b) - sharp(a)).slice(0, most).sort((a, b) => a - b);
}

/** @param {Focused} subject @returns {Step[]} */
function together(subject) {
  const { attention, layer, head, query, most } = subject;
  const { block, stack } = attention;
  const { site } = places(subject);
  const streams = streamsOf(subject, stack, layer, block.name);
  if (!streams || block.heads < 2 || !has(subject, site("out"))) return [];
  const z = tensor(site("z"), { query });
  const looks = tensor(site("pattern"), { query });
  const out = tensor(site("out"), { position: query });
  const [W_O, b_O] = ["W_O", "b_O"].map((name) => parameter(subject, [stack, layer, block.name], name));
  const mixes = learned(subject, W_O);
  const before = tensor(streams.before, { position: query });
  const after = tensor(streams.after, { position: query });
  const who = quoted(attention.queries[query]);
  const norm = normOf(subject, stack, layer, block.name);
  const lasting = norm?.when === "after";
  return [
    {
      id: "heads",
      title: t("att.heads", { count: block.heads }),
      sentence: t("att.heads-line", { layer, token: who }),
      formula: () => math(sub("z", "1"), ",", "…", ",", sub("z", String(block.heads))),
      needs: { z, looks },
      scene(got) {
        const row = (/** @type {number} */ index) => at(looks, got.looks, "head", index).values;
        const shown = sharpest(block.heads, most, head, row);
        return {
          columns: ["label", "wide", "gist"],
          titles: ["", "z", t("att.looks-at")],
          lines: shown.map((index) =>
            line([words(t("parts.head", { head: index }), { lit: index === head }), strip({ name: t("parts.z-of-head", { head: index }), ...at({ ...z, pick: { ...z.pick, head: index } }, got.z, "head", index), top: span(got.z.data), key: index === head ? "z" : `z ${index}`, result: true }), words(gistOf(attention, query, row(index)), { result: true })], { lit: index === head }),
          ),
          note: shown.length < block.heads ? t("att.sharpest", { shown: shown.length, all: block.heads }) : "",
        };
      },
    },
    {
      id: "concat",
      title: t("att.concat"),
      sentence: t("att.concat-line", { count: block.heads, token: who }),
      formula: () => math(row("concat", "(", sub("z", "1"), ",", "…", ",", sub("z", String(block.heads)), ")"), sub("W", "O"), ...(b_O ? ["+", sub("b", "O")] : [])),
      needs: { z, out, ...(mixes ? { mixes } : {}) },
      scene: (got) => ({
        columns: ["label", "field"],
        lines: [
          line([words(t("parts.all-z")), strip({ name: t("parts.all-heads"), ...whole(z, got.z), key: "heads", from: "z", mark: [head * block.head_dim, (head + 1) * block.head_dim] })]),
          line([words(b_O ? "× W_O + b_O" : "× W_O"), W_O ? sheet("W_O", W_O, {}, mixes, got.mixes, ["head", "head_dim"]) : words("")]),
          line([words("="), strip({ name: t("parts.writes"), ...whole(out, got.out), key: "out", from: "heads", result: true })]),
        ],
        note: t(b_O ? "att.rows-out-biased" : "att.rows-out"),
      }),
    },
    {
      id: "residual",
      title: t(lasting ? "att.residual-norm" : "att.residual"),
      sentence: lasting
        ? t("att.residual-norm-line", { token: who })
        : t("att.residual-line", { token: who }),
      formula: () => (lasting ? math(primed("x"), "=", "norm", "(", row("x", "+", "out"), ")") : math(primed("x"), "=", "x", "+", "out")),
      needs: { before, out, after },
      scene(got) {
        const top = span(got.before.data, got.after.data);
        const lines = [
          line([words("x"), strip({ name: t("parts.stream-before"), ...whole(before, got.before), top, key: "x" })]),
          line([words(`+ ${t("parts.out")}`), strip({ name: t("parts.writes"), ...whole(out, got.out), top, key: "out" })]),
        ];
        if (lasting) lines.push(line([words(`= ${t("parts.sum")}`), strip({ name: t("parts.their-sum"), values: added(got.before.data, got.out.data), top, key: "added", from: "out" })]));
        lines.push(line([words(lasting ? `${t("parts.norm")} = x′` : "= x′"), strip({ name: t("parts.stream-after"), ...whole(after, got.after), top, key: "after", from: "out", result: true })]));
        return { columns: ["label", "wide"], lines };
      },
    },
  ];
}

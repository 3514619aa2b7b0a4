// @ts-check
/** How one weight came about: the network's own numbers, from the two vectors to what was written. */
import { bothWeights } from "../compare/difference.js";
import { h, s } from "../dom.js";
import { exact, number, part, percent, signed } from "../format.js";
import { strongest } from "../matrix.js";
import { rowOfQuery, weightOf } from "../scene.js";
import { attentionId, classOf, crosses, forbidden, label } from "../trace.js";
import { phrase, t } from "../words.js";
import { stateDetails } from "./statedetails.js";

/** @typedef {import("../scene.js").Scene} Scene */

/** A bias below this share of the score is float32's rounding, not a bias. */
const ROUNDING = 1e-6;

/** A number with its every digit on hover. @param {number} x */
const value = (x) => h("span.number", { title: exact(x) }, number(x));

/** A vector as a row of small signed bars. @param {number[]} vector @param {number[]} marked dimensions to point out @param {string} name */
export function stripe(vector, marked, name) {
  const [width, height] = [vector.length * 4, 22];
  const top = Math.max(1e-9, ...vector.map(Math.abs));
  const middle = height / 2;
  const numbers = t("inspector.stripe", { name, count: vector.length, top: number(top) });
  const bars = (/** @type {(x: number) => boolean} */ which) =>
    vector
      .map((x, i) => (which(x) ? `M${i * 4 + 0.5} ${middle}h3V${(middle - (x / top) * (middle - 1)).toFixed(2)}h-3z` : ""))
      .join("");
  return s(
    "svg",
    { class: "stripe", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": numbers },
    s("title", {}, numbers),
    ...marked.map((i) => s("rect", { class: "mark", x: i * 4, y: 0, width: 4, height })),
    s("path", { class: "axis", d: `M0 ${middle}H${width}` }),
    s("path", { class: "positive", d: bars((x) => x > 0) }),
    s("path", { class: "negative", d: bars((x) => x < 0) }),
  );
}

/** @param {string} title @param {...import("../dom.js").Child} children */
const step = (title, ...children) => h("div.step", {}, h("h3", {}, title), ...children);

/** A single number needs no picture. @param {number[]} numbers @param {number[]} marked @param {string} name */
const vector = (numbers, marked, name) => (numbers.length === 1 ? value(numbers[0]) : stripe(numbers, marked, name));

/** The class that the network gives to a token, in a line. @param {import("../trace.js").TraceBody} trace @param {import("../trace.js").Token[]} tokens @param {number} index */
export function classLine(trace, tokens, index) {
  const own = classOf(trace, tokens, index);
  return own && h("p.aside.class", {}, ...phrase("inspector.class", { token: h("b", { dir: "auto" }, label(tokens[index])), label: h("b", {}, own.label) }), " ", value(own.probability));
}

/** @param {any} a @param {import("../trace.js").Block} block */
function arithmetic(a, block) {
  const sizes = a.products.map(Math.abs);
  const top = strongest(sizes, 3);
  const carried = top.reduce((sum, i) => sum + a.products[i], 0);
  const root = Math.abs(a.scale - 1) < 1e-12 ? null : h("span", {}, "√", h("span.root", {}, String(block.head_dim)));
  const additive = block.kind === "additive";
  const match = additive ? "v·tanh(q + k)" : "q·k";
  const steps = [
    a.patched ? h("p.aside", {}, t("inspector.patched")) : null,
    step(
      `1  ${t("inspector.match")}`,
      h("dl.vectors", {},
        h("dt", {}, h("i", {}, "q")), h("dd", {}, vector(a.q, top, t("inspector.of", { what: "q", token: a.query_token }))),
        h("dt", {}, h("i", {}, "k")), h("dd", {}, vector(a.k, top, t("inspector.of", { what: "k", token: a.key_token }))),
        h("dt", {}, h("i", {}, additive ? "v∘t" : "q∘k")), h("dd", {}, vector(a.products, top, t(additive ? "inspector.energies" : "inspector.products"))),
      ),
      h("p.formula", {}, h("i", {}, match), " = ", value(a.raw)),
      additive ? h("p.aside", {}, ...phrase("inspector.learned", { v: h("i", {}, "v"), t: h("i", {}, "t") })) : null,
      a.q.some((/** @type {number} */ x) => x) ? null : h("p.aside", {}, ...phrase("inspector.no-query", { q: h("i", {}, "q") })),
      a.products.length > top.length ? h("p.aside", {}, t("inspector.dimensions", { dimensions: [...top].sort((x, y) => x - y).join(", "), number: number(carried) })) : null,
    ),
    step(
      `2  ${t("inspector.score")}`,
      root
        ? h("p.formula", {}, value(a.raw), " ÷ ", root, " = ", value(a.scaled))
        : h("p.formula", {}, value(a.raw)),
      root ? null : h("p.aside", {}, t(additive ? "inspector.undivided" : "inspector.unscaled")),
      Math.abs(a.bias) > ROUNDING * Math.max(1, Math.abs(a.scaled)) ? h("p.formula", {}, value(a.scaled), ` + ${t("inspector.bias")} `, value(a.bias), " = ", value(a.score ?? -Infinity)) : null,
      a.masked ? h("p.aside", {}, t("inspector.masked")) : null,
    ),
    step(
      `3  ${t("inspector.softmax")}`,
      h(
        "p.formula",
        {},
        h("span.fraction", {},
          h("span", {}, "e", h("sup", {}, `${number(a.score ?? -Infinity)} − ${part(a.row_max)}`)),
          h("span", {}, t("inspector.over-row")),
        ),
        " = ",
        h("span.fraction", {}, value(a.numerator), value(a.denominator)),
        " = ",
        h("b", {}, value(a.weight)),
      ),
    ),
  ];
  const share = a.head_written_norm > 0 ? a.written_norm / a.head_written_norm : 0;
  const taken = step(
    `4  ${t("inspector.took")}`,
    h("dl.vectors", {}, h("dt", {}, h("i", {}, "α·v")), h("dd", {}, stripe(a.weighted_v, [], t("inspector.times-v", { token: a.key_token }))), h("dt", {}, h("i", {}, "z")), h("dd", {}, stripe(a.z, [], t("inspector.z")))),
    a.written_norm === null ? null : h("p.aside", {}, ...phrase(share > 1.005 ? "inspector.writes-cancel" : "inspector.writes", { own: value(a.written_norm), head: value(a.head_written_norm) })),
  );
  return { steps: steps.filter((one) => one !== null), taken };
}

/** @param {Scene} scene @param {import("./heatmap.js").Actions} actions */
function ranking(scene, { lock, point }) {
  const { heads, chosen, held, attention, keys } = scene;
  if (!heads[0] || !chosen) return null;
  const row = rowOfQuery(heads[0], chosen.query);
  if (!row) return null;
  const items = strongest(row, 5).filter((key) => !forbidden(attention, chosen.query, key)).map((key) =>
    h(
      `button.key${key === chosen.key ? ".chosen" : ""}`,
      {
        type: "button",
        "data-name": `key ${key}`,
        onclick: () => lock(chosen.query, key),
        onpointerenter: () => held && keys.includes(key) && point(chosen.query, key),
        onpointerleave: () => held && point(null),
      },
      h("span.token", { dir: "auto" }, label(attention.keys[key])),
      h("span.bar", {}, h("i", { style: { width: `${100 * row[key]}%` } })),
      h("span.value", { title: exact(row[key]) }, number(row[key])),
    ),
  );
  return h("div.step", {}, h("h3", {}, ...phrase("inspector.strongest", { token: h("span.token", { dir: "auto" }, label(attention.queries[chosen.query])) })), h("div.ranking", {}, ...items));
}

/** The weight in both panes, above how the left one came about. @param {ReturnType<typeof bothWeights>} both */
const beside = (both) =>
  both
    ? h("dl.both", {}, ...[[t("compare.left"), number(both.left), both.left], [t("compare.right"), number(both.right), both.right], [t("compare.difference"), signed(both.change), both.change]].map(([name, text, x]) => h("div", {}, h("dt", {}, name), h("dd", { title: exact(Number(x)) }, text))))
    : h("p.aside", {}, t("compare.no-pair"));

/** @param {HTMLElement} host @param {import("./heatmap.js").Actions} actions */
export function mountInspector(host, actions) {
  let drawn = "";
  /** @type {ReturnType<typeof arithmetic> | null} the last one stays, dimmed, until the next is here: nothing jumps */
  let parts = null;

  return {
    /** @param {Scene} scene */
    update(scene) {
      if (scene.inStates) {
        drawn = stateDetails(host, scene, drawn);
        return;
      }
      const { heads, chosen, attention, state, arithmetic: a } = scene;
      const head = heads[0];
      if (!head || !chosen || chosen.key === null) return;
      const matches = a && `${a.stack}.${a.block}` === attentionId(attention) && a.layer === state.layer && a.head === state.head && a.query === chosen.query && a.key === chosen.key;
      const weight = weightOf(head, chosen) ?? (matches ? a.weight : undefined);
      if (weight === undefined) return host.classList.toggle("waiting", true);
      const both = bothWeights(scene, chosen);
      const name = [scene.trace.id, head.ref.layer, head.ref.head, attentionId(attention), chosen.query, chosen.key, scene.held !== null, state.special, matches, head.row?.query, scene.beside?.scene.trace.id, both?.right].join();
      if (name === drawn) return;
      drawn = name;
      const [query, key] = [attention.queries[chosen.query], attention.keys[chosen.key]];
      const single = typeof state.head === "number";
      if (matches) parts = arithmetic(a, attention.block);
      else if (!single) parts = null;
      const focused = host.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.name : null;
      host.replaceChildren(
        h(
          "div.verdict",
          {},
          h("p.pair", { "aria-label": t("inspector.pair", { query: label(query), key: label(key) }) }, h("span.chip", { dir: "auto" }, label(query)), h("span.arrow", { "aria-hidden": "true" }, "→"), h("span.chip", { dir: "auto" }, label(key))),
          h("p.weight", { id: "weight", title: exact(weight) }, number(weight)),
          forbidden(attention, chosen.query, chosen.key)
            ? h("p.aside", {}, ...phrase("inspector.never", { key: h("b", { dir: "auto" }, label(key)) }))
            : h("p.aside", {}, ...phrase(crosses(attention) && !attention.pools ? "inspector.share-source" : "inspector.share", { share: percent(weight), query: h("b", { dir: "auto" }, label(query)) })),
          classLine(scene.trace, attention.queries, chosen.query),
          attention.queries === attention.keys ? null : classLine(scene.trace, attention.keys, chosen.key),
        ),
        scene.beside ? beside(both) : "",
        ...(parts?.steps ?? []),
        ranking(scene, actions) ?? "",
        parts?.taken ?? "",
        single ? "" : h("p.aside", {}, t("inspector.several")),
      );
      if (focused) /** @type {HTMLElement | null} */ (host.querySelector(`[data-name="${CSS.escape(focused)}"]`))?.focus();
      host.classList.toggle("waiting", single && !matches);
    },
  };
}

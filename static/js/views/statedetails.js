// @ts-check
/** One unit of a recurrent state at one step: its number, the equation that made it, and its course over time. */
import { h } from "../dom.js";
import { exact, number, part } from "../format.js";
import { equation, law, meaningOf, partName, whereName } from "../recurrent.js";
import { label } from "../trace.js";
import { phrase, t } from "../words.js";
import { classLine, stripe } from "./inspector.js";

/** @typedef {import("../scene.js").Scene} Scene */

/** @param {number} x */
const value = (x) => h("span.number", { title: exact(x) }, part(x));
const step = (/** @type {string} */ title, /** @type {import("../dom.js").Child[]} */ ...children) => h("div.step", {}, h("h3", {}, title), ...children);

/**
 * The equation with this step's own numbers; null until all of them are here.
 * @param {Scene} scene @param {number} time @param {number} unit
 */
function worked({ site, recurrent, states }, time, unit) {
  const which = site && equation(site, recurrent ?? []);
  if (!site || !which) return null;
  const of = (/** @type {string} */ part, /** @type {number} */ at = time) => {
    const numbers = states.get(`${site.where}.${part}`);
    return numbers && at >= 0 && at < numbers.rows ? numbers.values[at * numbers.cols + unit] : undefined;
  };
  const before = site.reverse ? time + 1 : time - 1;
  const own = of(site.part);
  const i = (/** @type {string} */ name) => h("i", {}, name);
  const sub = (/** @type {string} */ name, /** @type {string} */ at) => h("i", {}, name, h("sub", {}, at));
  if (which === "lstm hidden") {
    const [o, c] = [of("gate.output"), of("cell")];
    if (o === undefined || c === undefined || own === undefined) return null;
    return step(t("states.came-about"), h("p.formula", {}, sub("h", "t"), " = ", i("o"), " · tanh ", sub("c", "t")), h("p.formula", {}, value(o), " · ", value(Math.tanh(c)), " = ", h("b", { title: exact(o * Math.tanh(c)) }, number(o * Math.tanh(c)))));
  }
  const [keep, gate, fresh] = which === "gru" ? [of("gate.update"), null, of("gate.candidate")] : [of("gate.forget"), of("gate.input"), of("gate.candidate")];
  const old = of(site.part, before);
  if (keep === undefined || gate === undefined || fresh === undefined || own === undefined) return null;
  const rest = gate ?? 1 - keep;
  const [h_, z, w] = which === "gru" ? ["h", "z", "n"] : ["c", "f", "g"];
  const formula = h(
    "p.formula",
    {},
    sub(h_, "t"),
    " = ",
    i(z),
    " · ",
    sub(h_, site.reverse ? "t+1" : "t−1"),
    " + ",
    which === "gru" ? h("span", {}, "(1 − ", i("z"), ")") : i("i"),
    " · ",
    i(w),
  );
  // Before the first step there is a state that the decoder was handed: it is what the equation leaves.
  const first = old === undefined;
  const carried = first ? own - rest * fresh : keep * old;
  return step(
    t("states.came-about"),
    formula,
    first
      ? h("p.formula", {}, value(carried), " + ", value(rest), " · ", value(fresh), " = ", h("b", { title: exact(own) }, number(own)))
      : h("p.formula", {}, value(keep), " · ", value(old), " + ", value(rest), " · ", value(fresh), " = ", h("b", { title: exact(own) }, number(carried + rest * fresh))),
    h("p.aside", {}, t(which === "gru" ? "states.keeps-gru" : "states.keeps-lstm", { keep: Math.round(100 * keep), take: Math.round(100 * rest) })),
  );
}

/** The law of a state that takes more than one unit to work out, in symbols. @param {Scene} scene */
function symbols({ site, recurrent }) {
  const own = site && !equation(site, recurrent ?? []) ? law(site, recurrent ?? []) : null;
  if (!site || !own) return null;
  const i = (/** @type {string} */ name, /** @type {string} */ at = "") => h("i", {}, name, at ? h("sub", {}, at) : null);
  const before = () => h("span", {}, i("U"), " ", i("h", site.reverse ? "t+1" : "t−1"));
  const read = h("span", {}, i("W"), " ", i("x", "t"), " + ", i("b"), " + ", own.reset ? h("span", {}, i("r"), " · (", before(), " + ", i("c"), ")") : before());
  return step(
    t("states.came-about"),
    h("p.formula", {}, i(own.name, "t"), " = ", h("span", {}, `${own.of}(`, read, ")")),
    h("p.aside", {}, ...phrase(own.of === "σ" ? "states.every-unit-share" : "states.every-unit", { x: i("x") })),
  );
}

/** @param {HTMLElement} host @param {Scene} scene @param {string} drawn @returns {string} the name of what is there now */
export function stateDetails(host, scene, drawn) {
  const { site, states, trace, recurrent, theme } = scene;
  const numbers = site && states.get(site.address);
  const at = scene.step;
  host.classList.remove("waiting");
  if (!site || !numbers || !at || at.time >= numbers.rows || at.unit >= numbers.cols) {
    if (drawn !== "states") host.replaceChildren();
    return "states";
  }
  const equationHere = worked(scene, at.time, at.unit);
  const name = ["state", trace.id, site.address, at.time, at.unit, theme, equationHere !== null].join();
  if (name === drawn) return drawn;
  const tokens = trace.tokens[site.stack];
  const own = numbers.values[at.time * numbers.cols + at.unit];
  const course = Array.from({ length: numbers.rows }, (_, time) => numbers.values[time * numbers.cols + at.unit]);
  const row = Array.from(numbers.values.subarray(at.time * numbers.cols, (at.time + 1) * numbers.cols));
  const strongest = row.map((x, unit) => ({ x, unit })).sort((a, b) => Math.abs(b.x) - Math.abs(a.x)).slice(0, 5);
  const most = Math.max(1e-9, ...strongest.map(({ x }) => Math.abs(x)));
  host.replaceChildren(
    h(
      "div.verdict",
      {},
      h("p.pair", {}, h("span.chip", { dir: "auto" }, label(tokens[at.time])), h("span.aside", {}, t("caption.unit", { unit: at.unit }))),
      h("p.weight", { id: "weight", title: exact(own) }, number(own)),
      h("p.aside", {}, `${whereName(site, recurrent ?? [])}: ${meaningOf(site)}.`),
      classLine(trace, tokens, at.time),
    ),
    equationHere ?? symbols(scene) ?? "",
    step(t("states.unit-over-time"), h("dl.vectors.course", {}, h("dt", {}, `${at.unit}`), h("dd", {}, stripe(course, [at.time], t("states.unit-every-step", { unit: at.unit }))))),
    step(t("states.all-units"), h("dl.vectors.course", {}, h("dt", {}, `t=${at.time}`), h("dd", {}, stripe(row, [at.unit], t("states.part-at", { part: partName(site), token: label(tokens[at.time]) }))))),
    h(
      "div.step",
      {},
      h("h3", {}, ...phrase("states.strongest", { token: h("span.token", { dir: "auto" }, label(tokens[at.time])) })),
      h(
        "ol.ranking",
        {},
        ...strongest.map(({ x, unit }) =>
          h("li", {}, h("span.token", {}, t("caption.unit", { unit })), h("span.bar", {}, h("i", { class: x < 0 ? "negative" : "", style: { width: `${(100 * Math.abs(x)) / most}%` } })), h("span.value", { title: exact(x) }, number(x))),
        ),
      ),
    ),
  );
  return name;
}

// @ts-check
/** The states of recurrent layers: which there are, what they are called, and how their numbers run. */
import { t } from "./words.js";

/**
 * @typedef {object} RecurrentSite
 * @property {string} address such as encoder.0.cell.hidden
 * @property {string} stack
 * @property {number} layer
 * @property {boolean} reverse reads from the end of the text
 * @property {string} part hidden, cell, input, or gate.…
 * @property {string} where the layer it belongs to, as an address: encoder.0.cell
 * @property {string} meaning
 */

/** What a reader wants to see first. */
const ORDER = ["hidden", "cell", "gate.forget", "gate.reset", "gate.input", "gate.update", "gate.candidate", "gate.output", "input"];

/**
 * Every state over time that a model has, layer by layer.
 * @param {{address: string, layers: number | null, axes: string[], meaning: string}[]} sites of GET /models/{id}
 * @returns {RecurrentSite[]}
 */
export function recurrentSites(sites) {
  const found = sites.flatMap(({ address, layers, axes, meaning }) => {
    const [, stack, way, part] = /^(\w+)\.\{layer\}\.(cell|reverse)\.(.+)$/.exec(address) ?? [];
    if (!part || axes[0] !== "position" || axes.length !== 2) return [];
    return Array.from({ length: layers ?? 1 }, (_, layer) => {
      const where = `${stack}.${layer}.${way}`;
      return { address: `${where}.${part}`, stack, layer, reverse: way === "reverse", part, where, meaning };
    });
  });
  const stacks = [...new Set(found.map(({ stack }) => stack))];
  const rank = (/** @type {RecurrentSite} */ { part }) => (ORDER.includes(part) ? ORDER.indexOf(part) : ORDER.length);
  return found.sort(
    (a, b) => stacks.indexOf(a.stack) - stacks.indexOf(b.stack) || a.layer - b.layer || Number(a.reverse) - Number(b.reverse) || rank(a) - rank(b),
  );
}

/** @param {RecurrentSite} site */
export const partName = ({ part }) => t(`state.${part.replace(".", "-")}`);

/** What it means, in a phrase. @param {RecurrentSite} site */
export const meaningOf = ({ part }) => t(`meaning.${part.replace(".", "-")}`);

/** @param {RecurrentSite} site @param {RecurrentSite[]} all an arrow is needed only where there are two directions, a stack only where there are several */
export function whereName({ stack, layer, reverse }, all) {
  const both = all.some((site) => site.stack === stack && site.reverse);
  const several = all.some((site) => site.stack !== stack);
  const name = several ? t("state.where-in", { stack: t(`stack.${stack}`), layer }) : t("state.where", { layer });
  return `${name}${both ? (reverse ? " ←" : " →") : ""}`;
}

/** Gates let through a share from 0 to 1; everything else has a sign. @param {RecurrentSite} site */
export const isShare = ({ part }) => part.startsWith("gate.") && part !== "gate.candidate";

/** The largest size that a picture of these numbers has to show: 1 for what a tanh bounds. @param {ArrayLike<number>} values */
export function reach(values) {
  let top = 0;
  for (let i = 0; i < values.length; i++) top = Math.max(top, Math.abs(values[i]));
  if (top <= 1 && top > 0.5) return 1;
  const step = 10 ** Math.floor(Math.log10(top || 1));
  return Number((Math.ceil(top / step - 1e-6) * step).toPrecision(2)) || 1;
}

/**
 * The law of a state that needs every unit of what came before, as symbols: what it is, its function, and what that reads.
 * @param {RecurrentSite} site @param {RecurrentSite[]} all @returns {{name: string, of: "σ" | "tanh", reset: boolean} | null}
 */
export function law({ where, part }, all) {
  const gru = all.some((site) => site.where === where && site.part === "gate.update");
  if (part === "gate.candidate") return { name: gru ? "n" : "g", of: "tanh", reset: gru };
  if (part === "hidden") return { name: "h", of: "tanh", reset: false };
  const name = { "gate.input": "i", "gate.forget": "f", "gate.output": "o", "gate.reset": "r", "gate.update": "z" }[part];
  return name ? { name, of: "σ", reset: false } : null;
}

/**
 * The equation that made a state, with the sites that it needs; null where it needs more than one unit.
 * @param {RecurrentSite} site @param {RecurrentSite[]} all
 */
export function equation({ where, part }, all) {
  const has = (/** @type {string} */ other) => all.some((site) => site.where === where && site.part === other);
  if (part === "hidden" && has("gate.update")) return "gru";
  if (part === "hidden" && has("gate.output")) return "lstm hidden";
  if (part === "cell") return "lstm cell";
  return null;
}

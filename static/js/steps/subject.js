// @ts-check
/** What a storyboard is about: a model's own description, a trace, and the places that are in focus. */
import { crosses, label, quiet } from "../trace.js";
import { token } from "./parts.js";

/** @typedef {{address: string, layers: number | null, axes: string[], meaning: string, derived: boolean}} SiteRow of GET /models/{id} */

/**
 * @typedef {object} Subject
 * @property {{id: string, name: string, sites: SiteRow[], generates: boolean | null, width: number}} model
 * @property {import("../trace.js").TraceBody} trace
 * @property {import("../trace.js").Attention | null} attention the block in focus
 * @property {number} layer
 * @property {number} head
 * @property {number} query
 * @property {number} key
 * @property {number[]} keys those that are shown: all, or the strongest of very many
 * @property {import("../recurrent.js").RecurrentSite[]} recurrent
 * @property {import("../recurrent.js").RecurrentSite | null} site
 */

/** So many tokens at once can be told apart. */
export const MOST = 24;

/** An address as the model lists it, without the layer's number. @param {string} address */
const general = (address) => address.replace(/\.\d+\./, ".{layer}.");

/** @param {Subject} subject @param {string} address */
export const has = ({ model }, address) => model.sites.some((site) => site.address === address || site.address === general(address));

/** Where a site stands in the order of computation. @param {Subject} subject @param {string} address */
const order = ({ model }, address) => model.sites.findIndex((site) => site.address === general(address));

/** How the stream is normalised around a block: before it is read, after it was added to, or not at all. @param {Subject} subject @param {string} stack @param {number} layer @param {string} block @returns {{when: "before" | "after", mean: boolean} | null} */
export function normOf(subject, stack, layer, block) {
  const own = (/** @type {string} */ name) => `${stack}.${layer}.${block}.${name}`;
  if (!has(subject, own("norm.scale"))) return null;
  const reads = own(block === "mlp" ? "pre" : "q");
  return { when: order(subject, own("norm.scale")) < order(subject, reads) ? "before" : "after", mean: has(subject, own("norm.mean")) };
}

/** The residual stream as a block of a layer reads it, and as it is after the block; null where a network has none. @param {Subject} subject @param {string} stack @param {number} layer @param {string} block */
export function streamsOf(subject, stack, layer, block) {
  const named = (/** @type {string} */ name) => `${stack}.${layer}.resid.${name}`;
  const marks = ["pre", "mid", "cross", "post"].filter((name) => has(subject, named(name)));
  const after = { self: "mid", cross: "cross", mlp: "post" }[block];
  const index = after ? marks.indexOf(after) : -1;
  return index > 0 ? { before: named(marks[index - 1]), after: named(marks[index]) } : null;
}

/** The last states of a stack, that another stack looks at; null where they are no residual stream. @param {Subject} subject @param {string} stack */
export function memoryOf(subject, stack) {
  const layers = subject.model.sites.find(({ address }) => address === `${stack}.{layer}.resid.post`)?.layers;
  return layers ? `${stack}.${layers - 1}.resid.post` : null;
}

/** @param {import("../trace.js").Token} one @param {Partial<import("./parts.js").TokenPart>} [more] */
export const chip = (one, more = {}) => token({ text: label(one), quiet: quiet(one), ...more });

/** A sentence's name for a token. @param {import("../trace.js").Token} one */
export const quoted = (one) => `“${label(one)}”`;

/** Whether a query may not look at a key. @param {import("../trace.js").Attention} attention @param {number} query @param {number} key */
export const hidden = (attention, query, key) => attention.block.causal && !crosses(attention) && key > query;

/** At most `MOST` neighbours around one of them. @param {number} length @param {number} middle @returns {{first: number, last: number}} */
export function around(length, middle) {
  const first = Math.max(0, Math.min(middle - MOST / 2, length - MOST));
  return { first, last: Math.min(length, first + MOST) - 1 };
}

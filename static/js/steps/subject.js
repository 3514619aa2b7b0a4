// @ts-check
/** What a storyboard is about: a model's own description, a trace, and the places that are in focus. */
import { strongest } from "../matrix.js";
import { rowOfQuery } from "../scene.js";
import { crosses, label, quiet } from "../trace.js";
import { t } from "../words.js";
import { token } from "./parts.js";
import { tensor } from "./tensors.js";

/** @typedef {{address: string, layers: number | null, axes: string[], meaning: string, derived: boolean}} SiteRow of GET /models/{id} */

/**
 * @typedef {object} Subject
 * @property {{id: string, name: string, family: string, sites: SiteRow[], generates: boolean | null, width: number, embedding_scale: number, learned: import("./learned.js").Parameter[]}} model
 * @property {import("../trace.js").TraceBody} trace
 * @property {import("../trace.js").Attention | null} attention the block in focus
 * @property {number} layer
 * @property {number} head
 * @property {number} query
 * @property {number} key
 * @property {number[]} keys those that are shown: all, or the strongest of very many
 * @property {number} most so many tokens are shown at once
 * @property {import("../recurrent.js").RecurrentSite[]} recurrent
 * @property {import("../recurrent.js").RecurrentSite | null} site
 */

/** So many tokens at once can be told apart. */
export const MOST = 24;
/** So many can be read from the back row. */
export const MOST_PROJECTED = 8;

/** What a scene's storyboards are made of; null while the strongest of many keys are not known. @param {import("../scene.js").Scene} scene @param {Subject["model"]} model @returns {Subject | null} */
export function subjectIn({ state, trace, attention, chosen, heads, recurrent, site }, model) {
  const [query, key] = [chosen?.query ?? 0, chosen?.key ?? 0];
  const row = heads[0] && rowOfQuery(heads[0], query);
  const all = attention ? attention.keys.map((_, i) => i) : [];
  const most = state.present === "off" ? MOST : MOST_PROJECTED;
  if (all.length > most && !row) return null;
  const keys = row && all.length > most ? among(strongest(row, most), key).sort((a, b) => a - b) : all;
  const layer = state.layer === "all" ? (attention?.layers ?? 1) - 1 : state.layer;
  return { model, trace, attention, layer, head: typeof state.head === "number" ? state.head : 0, query, key, keys, most, recurrent: recurrent ?? [], site };
}

/** The strongest, and the one in focus instead of the weakest of them. @param {number[]} keys strongest first @param {number} key */
const among = (keys, key) => (keys.includes(key) ? keys : [...keys.slice(0, -1), key]);

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

/** The state that a recurrent decoder looks back with: of this step, or of the one before where it looks before it reads; null where no cell is. @param {Subject} subject @param {import("../trace.js").Attention} attention @param {number} query */
export function askingState(subject, { stack, block }, query) {
  const layers = subject.model.sites.find(({ address }) => address === `${stack}.{layer}.cell.hidden`)?.layers;
  if (!layers) return null;
  const cell = `${stack}.${layers - 1}.cell`;
  const before = order(subject, `${stack}.0.${block.name}.q`) < order(subject, `${cell}.hidden`);
  const at = before ? query - 1 : query;
  return { before, need: at < 0 ? tensor(`${cell}.start.hidden`) : tensor(`${cell}.hidden`, { position: at }) };
}

/** The last states of a stack, that another stack looks at; null where they are no residual stream. @param {Subject} subject @param {string} stack */
export function memoryOf(subject, stack) {
  const layers = subject.model.sites.find(({ address }) => address === `${stack}.{layer}.resid.post`)?.layers;
  return layers ? `${stack}.${layers - 1}.resid.post` : null;
}

/** @param {import("../trace.js").Token} one @param {Partial<import("./parts.js").TokenPart>} [more] */
export const chip = (one, more = {}) => token({ text: label(one), quiet: quiet(one), ...more });

/** What belongs to a token: q of it. @param {string} what @param {import("../trace.js").Token} one */
export const named = (what, one) => t("parts.of", { what, token: label(one) });

/** A sentence's name for a token. @param {import("../trace.js").Token} one */
export const quoted = (one) => `“${label(one)}”`;

/** Whether a query may not look at a key. @param {import("../trace.js").Attention} attention @param {number} query @param {number} key */
export const hidden = (attention, query, key) => attention.block.causal && !crosses(attention) && key > query;

/** At most so many neighbours around one of them. @param {number} length @param {number} middle @param {number} [most] @returns {{first: number, last: number}} */
export function around(length, middle, most = MOST) {
  const first = Math.max(0, Math.min(middle - most / 2, length - most));
  return { first, last: Math.min(length, first + most) - 1 };
}

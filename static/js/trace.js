// @ts-check
/** The client's view of a trace: its tokens, its attention blocks, and how to name them. */
import { apart, t } from "./words.js";

/**
 * @typedef {object} Token
 * @property {number} index
 * @property {number} id
 * @property {string} text
 * @property {string} piece
 * @property {number | null} start
 * @property {number | null} end
 * @property {boolean} special
 * @property {boolean} continues glued to the token before it
 * @property {number} segment
 */

/**
 * @typedef {object} Block
 * @property {string} name
 * @property {string} kind
 * @property {number} heads
 * @property {number} kv_heads
 * @property {number} head_dim
 * @property {string} query_stack
 * @property {string} key_stack
 * @property {boolean} causal
 * @property {number} scale
 */

/**
 * @typedef {object} TraceBody
 * @property {string} id
 * @property {string} model
 * @property {string} revision
 * @property {string} text
 * @property {string | null} pair
 * @property {string | null} [target] null where the decoder said it by itself
 * @property {number[] | null} [said] ids of the tokens at the end that continue the text; null where it was not continued
 * @property {import("./interventions.js").Patch[]} patches what was changed inside the network
 * @property {{stack: string, positions?: {position: number, top: {id: number, text: string, piece: string, probability: number}[]}[], labels?: {label: string, probability: number}[], token_labels?: {label: string, class: number, probability: number}[], number?: number} | null} [prediction]
 * @property {Record<string, Token[]>} tokens
 * @property {{name: string, layers: number, heads: number, blocks: Block[]}[]} stacks
 */

/**
 * One attention block of one stack, with what its axes mean: everything a grid of heads needs to know.
 * @typedef {object} Attention
 * @property {string} stack
 * @property {Block} block
 * @property {number} layers
 * @property {number} heads
 * @property {Token[]} queries
 * @property {Token[]} keys
 * @property {boolean} pools its one query belongs to no token: the whole looks at each of them
 */

/** Every attention block there is, in the model's order. @param {TraceBody} trace @returns {Attention[]} */
export function attentions(trace) {
  return trace.stacks.flatMap((stack) =>
    stack.blocks.map((block) => ({
      stack: stack.name,
      block,
      layers: stack.layers,
      heads: block.heads,
      queries: trace.tokens[block.query_stack],
      keys: trace.tokens[block.key_stack],
      pools: !trace.stacks.some(({ name }) => name === block.query_stack),
    })),
  );
}

/**
 * The block that is in focus: the asked one, else the first; null where a network has no attention at all.
 * @param {TraceBody} trace @param {string} stack @param {string} block @returns {Attention | null}
 */
export function attentionOf(trace, stack, block) {
  const all = attentions(trace);
  return all.find((a) => a.stack === stack && a.block.name === block) ?? all[0] ?? null;
}

/** @param {Pick<Attention, "stack" | "block">} attention */
export const attentionName = ({ stack, block }) => t(`attention.${block.name}`, { stack: t(`stack.${stack}`) });

/** What is in focus: a head by its number, unless it is the only one there is. @param {Attention} attention @param {string} head its number, in words */
export function focusName({ layers, heads, pools }, head) {
  if (layers * heads > 1) return head;
  return t(pools ? "attention.pooling" : "attention.alignment");
}

/** What tells one block of a model from another. @param {Pick<Attention, "stack" | "block">} attention */
export const attentionId = ({ stack, block }) => `${stack}.${block.name}`;

/** Whether queries and keys are not the same tokens. @param {Pick<Attention, "block">} attention */
export const crosses = ({ block }) => block.query_stack !== block.key_stack;

/** What looks and what is looked at: a target at its source, the whole at each token, a text at itself. @param {Pick<Attention, "block" | "pools">} attention */
export function sides(attention) {
  if (attention.pools) return { query: t("side.whole"), key: t("side.each") };
  return crosses(attention) ? { query: t("side.target"), key: t("side.source") } : { query: t("side.looking"), key: t("side.looked-at") };
}

/** The same as titles of two axes. @param {Pick<Attention, "block" | "pools">} attention */
export const axesOf = (attention) => ({
  query: t(attention.pools ? "side.as-query" : "side.as-queries", { side: sides(attention).query }),
  key: t("side.as-keys", { side: sides(attention).key }),
});

/** Texts with more tokens than this are never asked for as a whole map. */
export const LONG = 512;

/** @param {Attention} attention */
export const isLong = ({ queries, keys }) => Math.max(queries.length, keys.length) > LONG;

/** Whether this key comes after this query, where no head may look. @param {Attention} attention @param {number} query @param {number} key */
export const forbidden = (attention, query, key) => attention.block.causal && !crosses(attention) && key > query;

/** The tokens that the decoder, or the only stack, reads and says. @param {TraceBody} trace */
export const lastTokens = ({ tokens }) => /** @type {Token[]} */ (Object.values(tokens).at(-1));

/** Where the tokens begin that continue these; behind the last one where none do. @param {TraceBody} trace @param {Token[]} tokens */
export const saidFrom = (trace, tokens) => tokens.length - (tokens === lastTokens(trace) ? (trace.said?.length ?? 0) : 0);

/** Which tokens are drawn. @param {Token[]} tokens @param {import("./state.js").State["special"]} special @returns {number[]} */
export function visible(tokens, special) {
  const all = tokens.map((_, i) => i);
  const plain = special === "show" ? all : all.filter((i) => !tokens[i].special);
  return plain.length ? plain : all;
}

/** Characters that byte-level vocabularies write for bytes that are no letters. @type {Map<string, number>} */
const BYTES = new Map();
{
  let other = 256;
  for (let byte = 0; byte < 256; byte++) {
    const itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    BYTES.set(String.fromCodePoint(itself ? byte : other++), byte);
  }
}

const hex = (/** @type {number} */ byte) => byte.toString(16).toUpperCase().padStart(2, "0");

/** A piece that is no text by itself, as the bytes it holds: part of a letter, or a control character. @param {Pick<Token, "text" | "piece">} token @returns {string | null} */
export function bytesOf(token) {
  let known = written.get(token);
  if (known === undefined) written.set(token, (known = asBytes(token)));
  return known;
}

/** @type {WeakMap<object, string | null>} */
const written = new WeakMap();
const UNREADABLE = /[\ufffd\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

/** @param {Pick<Token, "text" | "piece">} token @returns {string | null} */
function asBytes({ text, piece }) {
  const unreadable = UNREADABLE.test(text);
  if (!unreadable && (text === piece || /^[\x20-\x7e]*$/.test(text))) return null;
  const [, fallback] = /^<0x([0-9A-F]{2})>$/i.exec(piece) ?? [];
  if (fallback) return `x${fallback.toUpperCase()}`;
  const letters = text === piece ? [...text].map((letter) => letter.codePointAt(0)) : [...piece].map((letter) => BYTES.get(letter));
  const bytes = letters.filter((byte) => byte !== undefined && byte < 256);
  if (bytes.length < letters.length) return unreadable ? piece : null;
  const whole = unreadable ? "" : decoded(Uint8Array.from(/** @type {number[]} */ (bytes)));
  // A letter of several bytes may be cut into several tokens, and then each of them says the whole letter.
  return whole === null || unreadable ? `x${bytes.map((byte) => hex(Number(byte))).join("")}` : null;
}

/** @param {Uint8Array} bytes @returns {string | null} null where they are no whole letters */
function decoded(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

const BLANKS = /** @type {Record<string, string>} */ ({ "\n": "⏎", "\t": "⇥", "\r": "␍", " ": "␣" });

/** A token's text where it can be read, and signs for what cannot. @param {Token} token */
export function textOf(token) {
  const bytes = bytesOf(token);
  if (bytes) return bytes;
  const text = token.text || token.piece;
  return text.trim() || [...text].map((letter) => BLANKS[letter] ?? letter).join("");
}

/** Drawn quietly: not a word of the sentence. @param {Token} token */
export const quiet = (token) => token.special || bytesOf(token) !== null;

/** A token on an axis: word pieces carry a mark for what they are glued to, on the side where that stands. @param {Token} token */
export const label = (token) => apart(token.continues && bytesOf(token) === null ? `·${textOf(token)}` : textOf(token));

/** The class that the network gives to a token; null where it gives none. @param {TraceBody} trace @param {Token[]} tokens @param {number} index */
export const classOf = ({ prediction, tokens: all }, tokens, index) =>
  (prediction && all[prediction.stack] === tokens && prediction.token_labels?.[index]) || null;

/** Tokens as the sentence that they are. @param {Token[]} tokens */
export const sentenceOf = (tokens) =>
  tokens
    .filter((token) => !token.special)
    .map((token) => `${token.continues || token.text.startsWith(" ") ? "" : " "}${bytesOf(token) ?? token.text}`)
    .join("")
    .trim();

/**
 * The state as this trace can show it: a shared address may name a layer, head or token that is not there.
 * @param {import("./state.js").State} state
 * @param {TraceBody} trace
 * @param {import("./recurrent.js").RecurrentSite[] | null} states the model's recurrent states; null until they are known
 * @param {boolean | null} generates whether the model continues texts; null until that is known
 * @returns {Partial<import("./state.js").State>} what has to change
 */
export function mend(state, trace, states, generates) {
  const attention = attentionOf(trace, state.stack, state.block);
  /** @type {Partial<import("./state.js").State>} */
  const patch = {};
  if (states) Object.assign(patch, mendStates(state, trace, states));
  if (state.window && !(attention && isLong(attention))) patch.window = null;
  if (!attention) {
    if (state.view !== "states" && state.view !== "steps" && (state.view !== "generate" || generates === false)) patch.view = "states";
    if (state.query !== null) patch.query = patch.key = null;
    return patch;
  }
  if (states && !states.length && state.view === "states") patch.view = "heatmap";
  if (generates === false && state.view === "generate") patch.view = "heatmap";
  const holds = (/** @type {import("./state.js").HeadRef} */ { layer, head }) =>
    (layer === "all" || layer < attention.layers) && (typeof head !== "number" || head < attention.heads);
  if (state.layer === "all" && typeof state.head === "number") patch.head = isLong(attention) ? "max" : "mean";
  if (!holds({ layer: state.layer, head: 0 })) patch.layer = attention.layers - 1;
  if (!holds({ layer: 0, head: state.head })) patch.head = attention.heads - 1;
  if (!state.also.every(holds)) patch.also = state.also.filter(holds);
  if (isLong(attention)) {
    // The mean of several long maps would take every one of them: only the strongest weights are offered.
    if (state.head === "mean") patch.head = "max";
    if (state.aggregate !== "max") patch.aggregate = "max";
    if (state.also.some(({ head }) => head === "mean")) patch.also = state.also.filter(({ head }) => head !== "mean");
  }
  const head = patch.head ?? state.head;
  if (typeof head !== "number" && head !== (patch.aggregate ?? state.aggregate)) patch.aggregate = head;
  if (state.query !== null && state.query >= attention.queries.length) patch.query = patch.key = null;
  if (state.key !== null && state.key >= attention.keys.length) patch.key = null;
  return patch;
}

/** @param {import("./state.js").State} state @param {TraceBody} trace @param {import("./recurrent.js").RecurrentSite[]} states @returns {Partial<import("./state.js").State>} */
function mendStates(state, trace, states) {
  const site = state.site ? states.find(({ address }) => address === state.site) : states[0];
  const gone = { ...(state.time === null ? {} : { time: null }), ...(state.unit === null ? {} : { unit: null }) };
  if (!site) return state.site ? { site: "", ...gone } : gone;
  return state.time !== null && state.time >= trace.tokens[site.stack].length ? gone : {};
}

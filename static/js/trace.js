// @ts-check
/** The client's view of a trace: its tokens, its attention blocks, and how to name them. */

/**
 * @typedef {object} Token
 * @property {number} index
 * @property {number} id
 * @property {string} text
 * @property {string} piece
 * @property {number} start
 * @property {number} end
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
    })),
  );
}

/** The block that is in focus: the asked one, else the first. @param {TraceBody} trace @param {string} stack @param {string} block */
export function attentionOf(trace, stack, block) {
  const all = attentions(trace);
  return all.find((a) => a.stack === stack && a.block.name === block) ?? all[0];
}

/** @param {Attention} attention */
export const attentionName = ({ stack, block }) => `${stack} ${block.name}-attention`;

/** Which tokens are drawn. @param {Token[]} tokens @param {import("./state.js").State["special"]} special @returns {number[]} */
export function visible(tokens, special) {
  const all = tokens.map((_, i) => i);
  const plain = special === "show" ? all : all.filter((i) => !tokens[i].special);
  return plain.length ? plain : all;
}

/** A token on an axis: word pieces carry a mark for what they are glued to. @param {Token} token */
export const label = (token) => (token.continues ? `·${token.text}` : token.text || token.piece);

/**
 * The state as this trace can show it: a shared address may name a layer, head or token that is not there.
 * @param {import("./state.js").State} state
 * @param {TraceBody} trace
 * @returns {Partial<import("./state.js").State>} what has to change
 */
export function mend(state, trace) {
  const attention = attentionOf(trace, state.stack, state.block);
  /** @type {Partial<import("./state.js").State>} */
  const patch = {};
  const holds = (/** @type {import("./state.js").HeadRef} */ { layer, head }) =>
    (layer === "all" || layer < attention.layers) && (typeof head !== "number" || head < attention.heads);
  if (state.layer === "all" && typeof state.head === "number") patch.head = "mean";
  if (!holds({ layer: state.layer, head: 0 })) patch.layer = attention.layers - 1;
  if (!holds({ layer: 0, head: state.head })) patch.head = attention.heads - 1;
  if (!state.also.every(holds)) patch.also = state.also.filter(holds);
  const head = patch.head ?? state.head;
  if (typeof head !== "number" && head !== state.aggregate) patch.aggregate = head;
  if (state.query !== null && state.query >= attention.queries.length) patch.query = patch.key = null;
  if (state.key !== null && state.key >= attention.keys.length) patch.key = null;
  return patch;
}

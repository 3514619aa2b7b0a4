// @ts-check
/** Where to look first: the models' cards name, for each of their examples, a weight or a state that is worth showing. */

/** @typedef {{text: string, pair?: string | null, note?: string, look?: [number, number, number | null, number | null] | null, state?: [string, number, number] | null}} Example */

/**
 * The part of the state that a text starts from.
 * @param {import("./trace.js").TraceBody} trace
 * @param {Example[]} examples of the model that made it
 * @returns {Partial<import("./state.js").State>}
 */
export function startingPoint(trace, examples) {
  // Where one stack reads another, that is what there is to see first: an alignment.
  const stack = trace.stacks.at(-1);
  const last = trace.stacks.length > 1 && stack?.blocks.length ? { stack: stack.name, block: stack.blocks[stack.blocks.length - 1].name } : {};
  const { look, state } = examples.find((e) => e.text === trace.text && (e.pair ?? null) === (trace.pair ?? null)) ?? {};
  if (state) return { site: state[0], time: state[1], unit: state[2] };
  if (!look || trace.target) return { ...last, layer: (stack?.layers ?? 1) - 1, head: 0, query: null, key: null };
  const [layer, head, query, key] = look;
  return { ...last, layer, head, query, key, also: [] };
}

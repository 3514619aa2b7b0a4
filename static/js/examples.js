// @ts-check
/** Where to look first: sentences whose attention is worth showing, found by hand in the network itself. */

/** @typedef {{layer: number, head: number, query: string, key: string | null}} Spot */

/** @type {Record<string, Record<string, Spot>>} model, text, spot */
const SPOTS = {
  minilm: {
    "The animal didn't cross the street because it was too tired": { layer: 5, head: 11, query: "it", key: "animal" },
  },
};

/**
 * The part of the state that an example starts from.
 * @param {import("./trace.js").TraceBody} trace
 * @returns {Partial<import("./state.js").State>}
 */
export function startingPoint(trace) {
  const last = trace.stacks.at(-1);
  const spot = SPOTS[trace.model]?.[trace.text];
  if (!spot || trace.pair) return { layer: (last?.layers ?? 1) - 1, head: 0, query: null, key: null };
  const tokens = Object.values(trace.tokens)[0];
  const at = (/** @type {string | null} */ text) => {
    const found = tokens.findIndex((token) => token.text === text);
    return found < 0 ? null : found;
  };
  return { layer: spot.layer, head: spot.head, query: at(spot.query), key: at(spot.key) };
}

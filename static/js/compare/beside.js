// @ts-check
/** What the right pane shows: the state of the left one, with some fields replaced. */
import { writePatches } from "../interventions.js";

/** @typedef {import("../state.js").State} State */

/** Nothing differs on the right. @type {Partial<State>} */
export const ALIKE = { vs_model: null, vs_text: null, vs_pair: null, vs_target: null, vs_stack: "", vs_block: "", vs_layer: null, vs_head: null, vs_patches: [] };

/** @param {State} state @returns {State} of the right pane */
export function besideOf(state) {
  const model = state.vs_model ?? state.model;
  const other = state.vs_text !== null;
  const { text, pair, target } = other ? { text: String(state.vs_text), pair: state.vs_pair, target: state.vs_target } : state;
  // What was said is written in one model's tokens, after one text.
  const said = model === state.model && !other ? { said: state.said, forced: state.forced } : { said: null, forced: [] };
  const elsewhere = state.vs_layer !== null || state.vs_head !== null || state.vs_block !== "";
  return {
    ...state,
    ...said,
    model,
    text,
    pair,
    target,
    stack: state.vs_block ? state.vs_stack : state.stack,
    block: state.vs_block || state.block,
    layer: state.vs_layer ?? state.layer,
    head: state.vs_head ?? state.head,
    also: elsewhere ? [] : state.also,
    patches: state.vs_patches,
  };
}

/** What is on the right comes to the left, and the reverse. @param {State} state @returns {Partial<State>} */
export function swapped(state) {
  const right = besideOf(state);
  const other = (/** @type {"model" | "layer" | "head"} */ name) => (right[name] === state[name] ? null : state[name]);
  const sameText = ["text", "pair", "target"].every((name) => /** @type {any} */ (right)[name] === /** @type {any} */ (state)[name]);
  const sameBlock = right.stack === state.stack && right.block === state.block;
  const { model, text, pair, target, stack, block, layer, head, patches, said, forced } = right;
  return {
    ...{ model, text, pair, target, stack, block, layer, head, patches, said, forced, query: null, key: null, window: null, time: null, unit: null },
    ...{ vs_model: /** @type {string | null} */ (other("model")), vs_layer: /** @type {State["vs_layer"]} */ (other("layer")), vs_head: /** @type {State["vs_head"]} */ (other("head")) },
    ...(sameText ? { vs_text: null, vs_pair: null, vs_target: null } : { vs_text: state.text, vs_pair: state.pair, vs_target: state.target }),
    ...(sameBlock ? { vs_stack: "", vs_block: "" } : { vs_stack: state.stack, vs_block: state.block }),
    vs_patches: state.patches,
  };
}

/** Whether the right pane shows anything else than the left one. @param {State} state */
export function differs(state) {
  const right = besideOf(state);
  return (
    ["model", "text", "pair", "target", "stack", "block", "layer", "head"].some((name) => /** @type {any} */ (right)[name] !== /** @type {any} */ (state)[name]) ||
    writePatches(right.patches) !== writePatches(state.patches)
  );
}

// @ts-check
/** Two players of storyboards keep step. */

/** @typedef {{id: string, index: number}} Clock a step by its name, and by its number */

/** The step of the same name; else the one as far along, or the last. @param {{id: string}[]} steps @param {Clock} clock */
export function indexAt(steps, { id, index }) {
  const same = steps.findIndex((step) => step.id === id);
  return same >= 0 ? same : Math.max(0, Math.min(index, steps.length - 1));
}

// @ts-check
/** A finger cannot hover: its first tap points, and a second one at the same place holds. */

/**
 * Whether this click only points: it came from a finger, at a place that was not pointed at before.
 * @param {MouseEvent} event @param {boolean} there whether it was
 */
export const points = (event, there) => /** @type {PointerEvent} */ (event).pointerType === "touch" && !there;

/** Whether the pointer has gone: a finger that is lifted leaves what it pointed at in sight. @param {PointerEvent} event */
export const leaves = (event) => event.pointerType !== "touch";

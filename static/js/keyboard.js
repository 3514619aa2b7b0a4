// @ts-check
/** Keys that work everywhere on the page. */

const WRITING = "input, textarea, select, [contenteditable]";

/** @param {Record<string, (event: KeyboardEvent) => unknown>} keys what each key does; false: nothing, so the browser may do what it does */
export function mountKeyboard(keys) {
  document.addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    if (target.closest(WRITING) && event.key !== "Escape") return;
    const act = keys[event.key];
    if (!act) return;
    if (act(event) !== false) event.preventDefault();
  });
}

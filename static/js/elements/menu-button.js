// @ts-check
/** A button and the menu it opens: Esc and a click elsewhere close it, arrows walk through it. */
export class MenuButton extends HTMLElement {
  connectedCallback() {
    this.tabIndex = -1; // where a click gives a button no focus, it stays inside all the same
    this.#show(false);
    this.button.addEventListener("click", () => this.#show(this.menu.hidden === true));
    this.menu.addEventListener("click", () => this.#show(false));
    this.addEventListener("focusout", (event) => {
      if (!this.contains(/** @type {Node | null} */ (event.relatedTarget))) this.#show(false);
    });
    this.addEventListener("keydown", (event) => this.#key(event));
  }

  get button() {
    return /** @type {HTMLButtonElement} */ (this.querySelector("button"));
  }

  get menu() {
    return /** @type {HTMLElement} */ (this.querySelector("[role=menu]"));
  }

  /** @param {boolean} open */
  #show(open) {
    this.menu.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open) /** @type {HTMLElement | null} */ (this.menu.querySelector("[role=menuitem]"))?.focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (this.menu.hidden) return;
    const items = /** @type {HTMLElement[]} */ ([...this.menu.querySelectorAll("[role=menuitem]")]);
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Escape") {
      this.#show(false);
      this.button.focus();
    } else if (to !== undefined) items[(to + items.length) % items.length]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

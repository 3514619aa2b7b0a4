// @ts-check
/** A few buttons of which one is chosen: a radio group with its keys, and `change` like a select's. */
export class ChoiceGroup extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => {
      const button = /** @type {Element} */ (event.target).closest("button");
      if (button) this.#choose(button);
    });
    this.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      if (!step) return;
      const buttons = this.#buttons;
      const next = buttons[(buttons.findIndex((b) => b.value === this.value) + step + buttons.length) % buttons.length];
      this.#choose(next);
      next.focus();
      event.preventDefault();
    });
  }

  get #buttons() {
    return [...this.querySelectorAll("button")];
  }

  /** @param {HTMLButtonElement} button */
  #choose(button) {
    if (button.value === this.value) return;
    this.value = button.value;
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  get value() {
    return this.#buttons.find((b) => b.getAttribute("aria-checked") === "true")?.value ?? "";
  }

  set value(value) {
    for (const button of this.#buttons) {
      const chosen = button.value === value;
      button.setAttribute("aria-checked", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
  }
}

// @ts-check
/** The top of the page: model, sentence, examples, and what is said when something goes wrong. */
import { byId, h } from "./dom.js";

/** @typedef {import("./examples.js").Example} Example */
/** @typedef {{id: string, name: string, summary: string, examples?: Example[]}} Model */

/**
 * @param {{
 *   models: Model[],
 *   forget: () => void,
 *   run: (what: {model: string, text: string, pair: string | null}, example?: boolean) => void,
 * }} given
 */
export function mountHeader({ models, run, forget }) {
  const [form, text, pair, model, toggle, problem] = ["composer", "text", "pair", "model", "pair-toggle", "problem"].map(byId);
  const sentences = byId("sentences");
  let shown = "";

  const asked = () => ({ model: model.value, text: text.value.trim(), pair: pair.hidden ? null : pair.value.trim() });
  /** @param {boolean} on */
  const two = (on) => {
    pair.hidden = !on;
    sentences.classList.toggle("two", on);
    toggle.setAttribute("aria-pressed", String(on));
    toggle.title = on ? "Remove the second sentence" : "Add a second sentence";
  };

  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    run(asked());
  });
  form.addEventListener("input", () => !problem.hidden && forget());
  model.addEventListener("change", () => run(asked()));
  toggle.addEventListener("click", () => {
    two(pair.hidden);
    if (!pair.hidden) pair.focus();
    else if (pair.value) run(asked());
    else text.focus();
  });

  /** @param {string} id */
  function offer(id) {
    if (shown === id) return;
    shown = id;
    const examples = models.find((m) => m.id === id)?.examples ?? [];
    byId("examples").replaceChildren(
      ...examples.map((example) =>
        h(
          "button",
          {
            type: "button",
            role: "menuitem",
            onclick: () => run({ model: id, text: example.text, pair: example.pair ?? null }, true),
          },
          h("span", {}, example.text, example.pair ? h("em", {}, ` + ${example.pair}`) : null),
          example.note ? h("small", {}, example.note) : null,
        ),
      ),
    );
    byId("examples-button").hidden = !examples.length;
  }

  return {
    /** The fields show what is on screen, unless somebody is writing. @param {import("./state.js").State} state */
    update(state) {
      model.value = state.model;
      model.title = models.find((m) => m.id === state.model)?.summary ?? "";
      const form = `${state.model} ${state.text} ${state.pair}`;
      if (sentences.dataset.shown !== form) {
        sentences.dataset.shown = form;
        text.value = state.text;
        pair.value = state.pair ?? "";
        two(state.pair !== null);
      }
      offer(state.model);
    },
    /** @param {import("./api.js").Problem | null} error @param {boolean} kept whether an older picture is still there */
    complain(error, kept) {
      problem.hidden = error === null;
      text.setAttribute("aria-invalid", String(error !== null));
      if (error) {
        problem.replaceChildren(
          h("strong", {}, error.title),
          h("span", {}, error.detail.replace(`${error.title}. `, "")),
          kept ? h("span.aside", {}, "The picture below is still of the sentence before.") : null,
        );
      }
    },
    write: () => {
      text.focus();
      text.select();
    },
  };
}

// @ts-check
/** The top of the page: model, sentence, examples, and what is said when something goes wrong. */
import { byId, h } from "./dom.js";
import { sentenceOf } from "./trace.js";

/** @typedef {import("./examples.js").Example} Example */
/** @typedef {{id: string, name: string, summary: string, examples?: Example[], pairs?: boolean | null, targets?: boolean | null}} Model */
/** @typedef {{model: string, text: string, pair: string | null, target: string | null}} Asked */

/**
 * @param {{
 *   models: Model[],
 *   forget: () => void,
 *   run: (what: Asked, example?: boolean) => void,
 * }} given
 */
export function mountHeader({ models, run, forget }) {
  const [form, text, pair, target, model, toggle, problem] = ["composer", "text", "pair", "target", "model", "pair-toggle", "problem"].map(byId);
  const sentences = byId("sentences");
  let shown = "";

  const card = (/** @type {string} */ id) => models.find((m) => m.id === id);
  /** @returns {Asked} */
  const asked = () => ({
    model: model.value,
    text: text.value.trim(),
    pair: pair.hidden || card(model.value)?.pairs === false ? null : pair.value.trim(),
    target: (card(model.value)?.targets !== false && target.value.trim()) || null,
  });
  /** @param {boolean} on */
  const two = (on) => {
    pair.hidden = !on;
    sentences.classList.toggle("two", on || !target.hidden);
    toggle.setAttribute("aria-pressed", String(on));
    toggle.title = on ? "Remove the second sentence" : "Add a second sentence";
  };

  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    run(asked());
  });
  form.addEventListener("input", () => !problem.hidden && forget());
  model.addEventListener("change", () => {
    // What a target says in one model's tokens is seldom what another one should be made to say.
    target.value = "";
    run(asked());
  });
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
            onclick: () => run({ model: id, text: example.text, pair: example.pair ?? null, target: null }, true),
          },
          h("span", {}, example.text, example.pair ? h("em", {}, ` + ${example.pair}`) : null),
          example.note ? h("small", {}, example.note) : null,
        ),
      ),
    );
    byId("examples-button").hidden = !examples.length;
  }

  return {
    /**
     * The fields show what is on screen, unless somebody is writing.
     * @param {import("./state.js").State} state @param {import("./trace.js").TraceBody | null} trace what there is of it
     */
    update(state, trace) {
      model.value = state.model;
      const { pairs = null, targets = null } = card(state.model) ?? {};
      target.hidden = !(targets ?? (trace && Object.keys(trace.tokens).length > 1));
      toggle.hidden = pairs === false;
      sentences.classList.toggle("single", toggle.hidden);
      text.placeholder = target.hidden ? "Type a sentence" : "Source sentence";
      text.setAttribute("aria-label", target.hidden ? "Sentence" : "Source sentence");
      const said = trace && !trace.target && trace.tokens.decoder ? sentenceOf(trace.tokens.decoder) : "";
      target.placeholder = said ? `says: ${said}` : "Target: empty, the model says it";
      target.title = said ? `The model says: ${said}. Type another target to make it say that.` : "What the model is made to say; empty, it says it by itself";
      model.title = models.find((m) => m.id === state.model)?.summary ?? "";
      const form = JSON.stringify([state.model, state.text, state.pair, state.target]);
      if (sentences.dataset.shown !== form) {
        sentences.dataset.shown = form;
        text.value = state.text;
        pair.value = state.pair ?? "";
        target.value = state.target ?? "";
        two(state.pair !== null);
      }
      sentences.classList.toggle("two", !pair.hidden || !target.hidden);
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

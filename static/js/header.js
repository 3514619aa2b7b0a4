// @ts-check
/** The top of the page: model, sentence, examples, and what is said when something goes wrong. */
import { byId, h } from "./dom.js";
import { mountDownloads } from "./downloads.js";
import { sentenceOf } from "./trace.js";

/** @typedef {import("./examples.js").Example} Example */
/**
 * @typedef {{
 *   id: string, name: string, summary: string, examples?: Example[], pairs?: boolean | null, targets?: boolean | null,
 *   family: string, status: string, downloadable: boolean, source: string, parameters: number | null, layers: number | null, heads: number | null, size: number | null,
 * }} Model
 */
/** @typedef {{model: string, text: string, pair: string | null, target: string | null}} Asked */

/** A text for a network that reads numbers. */
const NUMBERS = /^[\d\s.,;eE+-]+$/;

/**
 * @param {{
 *   api: import("./api.js").Api,
 *   models: Model[],
 *   forget: () => void,
 *   run: (what: Asked, example?: boolean) => void,
 * }} given
 */
export function mountHeader({ api, models, run, forget }) {
  const [form, text, pair, target, model, toggle, problem] = ["composer", "text", "pair", "target", "model", "pair-toggle", "problem"].map(byId);
  const sentences = byId("sentences");
  let shown = "";
  /** @type {string | null} the model that was chosen and is not here yet */
  let wanted = null;
  /** @type {Set<string>} models that the reader would rather do without, though the address names them */
  const declined = new Set();

  const card = (/** @type {string} */ id) => models.find((m) => m.id === id);
  const absent = (/** @type {string} */ id) => ["absent", "downloading"].includes(card(id)?.status ?? "");
  const downloads = mountDownloads(byId("downloads"), {
    api,
    arrived(now) {
      Object.assign(card(now.id) ?? {}, now);
      const option = model.querySelector(`option[value="${CSS.escape(now.id)}"]`);
      option.textContent = now.name;
      option.classList.remove("absent");
      shelve(option, now.family);
      if (wanted !== now.id) return;
      wanted = null;
      run(asked());
    },
    closed(id) {
      declined.add(id);
      if (wanted !== id) return;
      wanted = null;
      model.value = current;
      model.focus();
    },
  });
  let current = model.value;

  /** Puts a model that has come among those of its family. @param {HTMLElement} option @param {string} family */
  function shelve(option, family) {
    const from = /** @type {HTMLElement} */ (option.parentElement);
    const group = family ? (model.querySelector(`optgroup[label="${CSS.escape(family)}"]`) ?? h("optgroup", { label: family })) : model;
    if (family && !group.isConnected) from.before(group);
    if (family) group.append(option);
    else from.before(option);
    if (!from.childElementCount) from.remove();
  }

  /** Runs the form; a model that is not here is offered instead. @param {boolean} [focused] */
  function submit(focused = false) {
    if (!absent(model.value)) {
      wanted = null;
      downloads.withdraw();
      return run(asked());
    }
    wanted = model.value;
    downloads.offer(/** @type {Model} */ (card(model.value)), focused);
  }

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
    submit(true);
  });
  form.addEventListener("input", () => !problem.hidden && forget());
  model.addEventListener("change", () => {
    // What a target says in one model's tokens is seldom what another one should be made to say.
    target.value = "";
    // Words say nothing to a network that reads numbers, nor numbers to one that reads words: its own example does.
    const example = card(model.value)?.examples?.[0];
    if (example && NUMBERS.test(example.text) !== NUMBERS.test(text.value)) text.value = example.text;
    submit();
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
    asked,
    submit,
    /**
     * The fields show what is on screen, unless somebody is writing.
     * @param {import("./state.js").State} state @param {import("./trace.js").TraceBody | null} trace what there is of it
     */
    update(state, trace) {
      current = absent(state.model) ? current : state.model;
      model.value = wanted ?? current;
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
    /** Whether the model's files are on their way or have to be asked for; it is offered if they do. @param {string} id */
    lacks(id) {
      if (!absent(id)) return false;
      if (wanted === null && !declined.has(id)) {
        wanted = model.value = id;
        downloads.offer(/** @type {Model} */ (card(id)));
      }
      return true;
    },
    write: () => {
      text.focus();
      text.select();
    },
  };
}

// @ts-check
/** The top of the page: model, sentence, examples, and what is said when something goes wrong. */
import { byId, h } from "./dom.js";
import { mountDownloads } from "./downloads.js";
import { mountPicker } from "./picker.js";
import { sentenceOf } from "./trace.js";
import { t } from "./words.js";

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
 *   families: Record<string, string>,
 *   forget: () => void,
 *   run: (what: Asked, example?: boolean) => void,
 *   comparisons: import("./compare/examples.js").Comparison[],
 *   compare: (state: Partial<import("./state.js").State>) => void,
 * }} given
 */
export function mountHeader({ api, models, families, run, comparisons, compare, forget }) {
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
      (option.querySelector(".name") ?? option).textContent = now.name;
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
  const picker = mountPicker(model, models);

  /** Puts a model that has come among those of its family. @param {HTMLElement} option @param {string} family */
  function shelve(option, family) {
    const from = /** @type {HTMLElement} */ (option.parentElement);
    const group = family ? (model.querySelector(`optgroup[data-family="${CSS.escape(family)}"]`) ?? h("optgroup", { label: families[family] ?? family, "data-family": family })) : model;
    if (family && !group.isConnected) from.before(group);
    if (family) group.append(option);
    else from.before(option);
    if (!from.childElementCount) from.remove();
  }

  /** Runs the form; a model that is not here is offered instead. @param {boolean} [focused] @param {boolean} [example] it is one of the model's own */
  function submit(focused = false, example = false) {
    if (!absent(model.value)) {
      wanted = null;
      downloads.withdraw();
      return run(asked(), example);
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
    toggle.title = t(on ? "top.remove-second" : "top.add-second");
  };

  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    submit(true);
  });
  form.addEventListener("input", () => !problem.hidden && forget());
  model.addEventListener("change", () => {
    // What a target says in one model's tokens is seldom what another one should be made to say.
    target.value = "";
    // An example of one model says little in another; nor do words to a network that reads numbers. What somebody wrote stays.
    const [examples, before] = [model.value, current].map((id) => card(id)?.examples ?? []);
    const [first] = examples;
    const written = !before.some((one) => one.text === text.value) && NUMBERS.test(first?.text ?? "") === NUMBERS.test(text.value);
    const known = examples.some((one) => one.text === text.value);
    const changes = first !== undefined && !written && !known;
    if (changes) {
      text.value = first.text;
      two(Boolean(first.pair));
      pair.value = first.pair ?? "";
    }
    submit(false, known || changes);
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
          h("span", { dir: "auto" }, example.text, example.pair ? h("em", {}, ` + ${example.pair}`) : null),
          example.note ? h("small", {}, example.note) : null,
        ),
      ),
      ...comparisons.map(({ name, note, state }) =>
        h("button.comparison", { type: "button", role: "menuitem", onclick: () => compare(state) }, h("span", {}, name), h("small", {}, t("compare.example", { note }))),
      ),
    );
    byId("examples-button").hidden = !examples.length && !comparisons.length;
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
      picker.update();
      const { pairs = null, targets = null } = card(state.model) ?? {};
      target.hidden = !(targets ?? (trace && Object.keys(trace.tokens).length > 1));
      toggle.hidden = pairs === false;
      sentences.classList.toggle("single", toggle.hidden);
      text.placeholder = t(target.hidden ? "top.type" : "top.source");
      text.setAttribute("aria-label", t(target.hidden ? "top.sentence" : "top.source"));
      const said = trace && !trace.target && trace.tokens.decoder ? sentenceOf(trace.tokens.decoder) : "";
      target.placeholder = said ? t("top.says", { said }) : t("top.target-empty");
      target.title = said ? t("top.says-title", { said }) : t("top.target-title");
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
          kept ? h("span.aside", {}, t("problem.picture-before")) : null,
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

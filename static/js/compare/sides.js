// @ts-check
/** What stands above the two panes: what is on the left, and the choice of what differs on the right. */
import { byId, h, icon } from "../dom.js";
import { headName } from "../format.js";
import { interventions, patchName, writePatch } from "../interventions.js";
import { attentionId, attentionName, attentions, focusName, label } from "../trace.js";
import { t } from "../words.js";
import { ALIKE, besideOf, differs, swapped } from "./beside.js";
import { unmatched } from "./difference.js";

/** @typedef {import("../state.js").State} State */
/** @typedef {import("../scene.js").Scene} Scene */

/** So many tokens are named one by one. */
const NAMED = 4;

/** @type {WeakMap<HTMLElement, string>} which chips stand where: what is the same is not made anew under a finger or the focus */
const standing = new WeakMap();

/** A chip for each intervention, to take it away. @param {HTMLElement} place @param {import("../interventions.js").Patch[]} patches @param {import("../trace.js").TraceBody | null} trace @param {(rest: import("../interventions.js").Patch[]) => void} keep */
function chips(place, patches, trace, keep) {
  const wanted = JSON.stringify([trace?.id, patches]);
  if (standing.get(place) === wanted) return;
  standing.set(place, wanted);
  place.replaceChildren(...patches.map((patch, i) => h("button.head.patch", { type: "button", title: t("compare.take-away"), onclick: () => keep(patches.filter((_, at) => at !== i)) }, h("i"), icon("close", "small"), patchName(patch, trace))));
}

/**
 * @param {{store: import("../state.js").Store, models: import("../header.js").Model[], scene: () => Scene | null}} given scene: of the right pane
 */
export function mountSides({ store, models, scene }) {
  const [left, form, text, pair, target, model, block, layer, head, menu] = ["side-left", "side-right", "vs-text", "vs-pair", "vs-target", "vs-model", "vs-block", "vs-layer", "vs-head", "vs-interventions"].map(byId);

  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const { state } = store;
    const asked = { text: text.value.trim(), pair: pair.hidden ? null : pair.value.trim() || null, target: target.hidden ? null : target.value.trim() || null };
    const same = !asked.text || (asked.text === state.text && asked.pair === state.pair && asked.target === state.target);
    // Places of another text are not those that an intervention was made for.
    store.set(same ? { vs_text: null, vs_pair: null, vs_target: null } : { vs_text: asked.text, vs_pair: asked.pair, vs_target: asked.target, vs_patches: [] });
  });
  model.addEventListener("change", () => store.set({ vs_model: model.value && model.value !== store.state.model ? model.value : null, vs_stack: "", vs_block: "", vs_patches: [] }));
  block.addEventListener("change", () => {
    const [stack, name] = block.value.split(".");
    const { state } = store;
    store.set(stack === state.stack && name === state.block ? { vs_stack: "", vs_block: "" } : { vs_stack: stack, vs_block: name });
  });
  layer.addEventListener("change", () => store.set({ vs_layer: layer.value === "" ? null : layer.value === "all" ? "all" : Number(layer.value) }));
  head.addEventListener("change", () => store.set({ vs_head: head.value === "" ? null : head.value === "mean" || head.value === "max" ? head.value : Number(head.value) }));
  byId("vs-swap").addEventListener("click", () => store.set(swapped(store.state)));
  byId("vs-same").addEventListener("click", () => store.set(ALIKE));

  /** @param {HTMLElement & {value: string}} select @param {[string, string][]} options @param {string} value */
  function offer(select, options, value) {
    const name = JSON.stringify(options);
    if (select.dataset.offers !== name) {
      select.dataset.offers = name;
      select.replaceChildren(...options.map(([id, words]) => h("option", { value: id }, words)));
    }
    select.value = value;
  }

  /** The fields show what is on the right, unless somebody is writing. @param {State} state @param {Scene | null} right */
  function fields(state, right) {
    const beside = besideOf(state);
    const written = JSON.stringify([beside.text, beside.pair, beside.target]);
    const card = models.find(({ id }) => id === beside.model);
    const stacks = right && Object.keys(right.trace.tokens).length;
    pair.hidden = beside.pair === null && (card?.pairs === false || state.pair === null);
    target.hidden = !(card?.targets ?? (stacks ?? 1) > 1);
    if (form.dataset.shown !== written) {
      form.dataset.shown = written;
      [text.value, pair.value, target.value] = [beside.text, beside.pair ?? "", beside.target ?? ""];
    }
    const here = models.filter(({ id, status }) => id === state.vs_model || (status !== "absent" && status !== "downloading"));
    offer(model, [["", t("compare.same-model")], ...here.map(({ id, name }) => /** @type {[string, string]} */ ([id, name]))], state.vs_model ?? "");
    const blocks = right ? attentions(right.trace) : [];
    block.hidden = blocks.length < 2;
    if (right && blocks.length > 1) offer(block, blocks.map((one) => [attentionId(one), attentionName(one)]), attentionId(right.attention));
    const there = right?.attention;
    for (const select of [layer, head]) select.hidden = !there || there.layers * there.heads < 2;
    if (!there) return;
    const numbers = (/** @type {number} */ count, /** @type {(n: number) => string} */ name) => Array.from({ length: count }, (_, i) => /** @type {[string, string]} */ ([String(i), name(i)]));
    offer(layer, [["", t("compare.same-layer")], ...numbers(there.layers, (n) => t("compare.layer-n", { n })), ["all", t("compare.all-layers")]], String(state.vs_layer ?? ""));
    offer(head, [["", t("compare.same-head")], ...numbers(there.heads, (n) => t("compare.head-n", { n })), [state.aggregate, t("compare.of-heads", { how: t(`heads.${state.aggregate}`) })]], String(state.vs_head ?? ""));
  }

  /** What can be done inside the right network, to what it has in focus. @param {State} state @param {Scene | null} right */
  function offers(state, right) {
    const found = right ? interventions(right) : [];
    const name = found.map((one) => one.name + writePatch(one.patch)).join();
    if (menu.dataset.offers === name) return;
    menu.dataset.offers = name;
    menu.replaceChildren(
      ...(found.length ? found : [{ name: t("compare.nothing"), note: t("compare.nothing-note"), patch: null }]).map(({ name: words, note, patch }) =>
        h("button", { type: "button", role: "menuitem", onclick: () => patch && store.set({ vs_patches: [...store.state.vs_patches.filter((one) => writePatch(one) !== writePatch(patch)), patch] }) }, h("span", { dir: "auto" }, words), h("small", {}, note)),
      ),
    );
  }

  /** What a pane shows, in two lines. @param {Scene} of */
  function told({ state, trace, attention }) {
    const name = models.find(({ id }) => id === trace.model)?.name ?? trace.model;
    const patches = state.patches.map((patch) => patchName(patch, trace));
    return {
      text: [trace.text, trace.pair, trace.target].filter((one) => one).join(" + "),
      about: [name, ...(attention ? [attentionName(attention), focusName(attention, headName(state))] : []), ...patches].join(" · "),
    };
  }

  /** What the difference leaves out, or why there is none. @param {Scene} of @param {boolean} one */
  function note(of, one) {
    if (of.state.compare === "off" || !of.beside) return "";
    const { why } = of.beside;
    if (why) return of.state.compare === "difference" || of.state.view === "table" ? why : "";
    if (!one) return differs(of.state) ? "" : t("compare.same");
    const alone = unmatched(of);
    const words = (/** @type {import("../trace.js").Token[]} */ tokens) => (tokens.length > NAMED ? t("count.token", { count: tokens.length }) : tokens.map(label).join(", "));
    const out = [alone.left.length ? t("compare.on-left", { tokens: words(alone.left) }) : "", alone.right.length ? t("compare.on-right", { tokens: words(alone.right) }) : ""].filter(Boolean);
    return out.length ? t("compare.left-out", { tokens: out.join(", ") }) : "";
  }

  return {
    /** @param {Scene} of the left pane, with what is beside it @param {{on: boolean, one: boolean, session: import("../session.js").Session}} how */
    update(of, { on, one, session }) {
      const { state } = of;
      const right = scene();
      byId("panes").dataset.panes = on ? (one ? "one" : "two") : "";
      byId("stage").classList.toggle("comparing", on);
      byId("compare").setAttribute("aria-pressed", String(on));
      byId("compare-how").hidden = !on || state.view !== "heatmap";
      if (state.compare === "difference") byId("scale").hidden = true; // differences are drawn on a linear one
      if (of.sidebar === "heads") byId("heads-title").textContent = t(of.changes ? "compare.what-differs" : "heads.title");
      const line = byId("compare-note");
      const words = note(of, one);
      if (line.textContent !== words) line.textContent = words;
      line.hidden = words === "";
      chips(byId("patches"), state.patches, of.trace, (patches) => store.set({ patches }));
      for (const side of [left, form]) side.hidden = !on;
      if (!on) return;
      const { text: sentence, about } = told(of);
      left.replaceChildren(h("p.sentence-of", { dir: "auto", title: sentence }, sentence), h("p.aside", {}, about));
      // Where nobody can choose, in a projection and a frame, the right pane is told like the left one.
      const beside = right ? told(right) : { text: "", about: "" };
      byId("vs-told").textContent = beside.text;
      byId("vs-told-of").textContent = beside.about;
      byId("panes").toggleAttribute("data-alike-about", about === beside.about);
      fields(state, right);
      offers(state, right);
      chips(byId("vs-patches"), state.vs_patches, session.trace, (patches) => store.set({ vs_patches: patches }));
      byId("vs-same").hidden = !differs(state);
      byId("vs-reading").hidden = !session.busy;
    },
  };
}

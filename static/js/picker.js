// @ts-check
/** The list of models: names in every browser; where options may hold more than text, their sizes and what to look for too. */
import { h } from "./dom.js";
import { short } from "./format.js";
import { t } from "./words.js";

/** @typedef {import("./header.js").Model} Model */

/** Firefox and Safari draw an option's text and nothing else; there the names stay as they are. */
const RICH = CSS.supports("appearance", "base-select");

/** How many parameters it has, and how they are arranged. @param {Model} model */
function size({ parameters, layers, heads }) {
  const shape = layers === null ? "" : !heads ? t("count.layer", { count: layers }) : layers * heads === 1 ? t("count.head", { count: 1 }) : t("model.shape", { layers, heads });
  return [parameters === null ? "" : t("model.parameters", { number: short(parameters) }), shape].filter(Boolean).join(", ");
}

/**
 * @param {HTMLSelectElement} select
 * @param {Model[]} models
 * @returns {{update: () => void}} to be called whenever another option is chosen, or called something else
 */
export function mountPicker(select, models) {
  if (!RICH) return { update() {} };
  const name = h("span");
  select.prepend(h("button", { type: "button" }, name));
  select.classList.add("rich");
  for (const option of select.options) {
    const model = models.find(({ id }) => id === option.value);
    if (model) option.replaceChildren(h("span.name", {}, option.text), h("small.aside", {}, size(model)), h("small", {}, model.summary));
  }
  return {
    update() {
      const chosen = select.selectedOptions[0];
      const now = (chosen?.querySelector(".name") ?? chosen)?.textContent ?? "";
      if (name.textContent !== now) name.textContent = now;
    },
  };
}

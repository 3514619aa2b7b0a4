// @ts-check
/** The focused map as a table: the same numbers for a screen reader, or to be copied into a sheet. */
import { h } from "../dom.js";
import { exact, number } from "../format.js";
import { rowOf, strongest } from "../matrix.js";
import { attentionId, crosses, forbidden, label, saidFrom, sides } from "../trace.js";
import { t } from "../words.js";

/** @typedef {import("../scene.js").Scene} Scene */

/** Above this many keys a row lists its strongest instead of all. */
const WHOLE = 64;
const LISTED = 8;

/** @param {import("../trace.js").Attention} attention */
function caption(attention) {
  if (attention.pools) return t("table.caption-pools");
  return t(crosses(attention) ? "table.caption-crosses" : "table.caption");
}

/** Scrolls the chosen cell to the middle, and back until the headings, which stay, cut no number in two. @param {HTMLElement} box */
function bring(box) {
  const cell = box.querySelector("td.chosen");
  const heading = box.querySelector("th");
  if (!cell || !heading) return;
  cell.scrollIntoView({ block: "center", inline: "center" });
  const corner = heading.getBoundingClientRect();
  const starts = (/** @type {Element | null} */ within, /** @type {"left" | "top"} */ side) => [...(within?.children ?? [])].map((one) => one.getBoundingClientRect()[side]);
  const back = (/** @type {number[]} */ places, /** @type {number} */ edge) => (places.findLast((place) => place < edge + 1) ?? edge) - edge;
  box.scrollBy({ left: back(starts(cell.parentElement, "left").slice(1), corner.right), top: back(starts(box.querySelector("tbody"), "top"), corner.bottom), behavior: "instant" });
}

/** @param {HTMLElement} host */
export function mountTable(host) {
  const box = h("div.scroller", { tabindex: 0, role: "region", "aria-label": t("table.label") });
  host.append(box);
  const size = new ResizeObserver(() => bring(box)); // letters grow when the projection begins, and again when their font is here
  let drawn = "";
  /** @type {Float32Array | null} */
  let values = null;

  return {
    /** @param {Scene} scene */
    update(scene) {
      const head = scene.heads[0];
      if (!head) return;
      const { state, attention, queries, keys, chosen, near } = scene;
      const name = [scene.trace.id, attentionId(attention), state.special, state.threshold, chosen?.query, chosen?.key, near?.queries, near?.keys].join();
      if (name === drawn && values === head.shown.values) return;
      drawn = name;
      values = head.shown.values;
      const fresh = (/** @type {import("../trace.js").Token[]} */ tokens, /** @type {number} */ at) => (at >= saidFrom(scene.trace, tokens) ? ".new" : "");
      const few = keys.length <= WHOLE;
      const headings = few ? keys.map((key) => h(`th${fresh(attention.keys, key)}`, { scope: "col", dir: "auto" }, label(attention.keys[key]))) : [h("th.list", { scope: "col" }, t("table.strongest", { most: LISTED }))];
      const rows = queries.map((query, i) => {
        const weights = rowOf(head.shown, i);
        const cells = few
          ? keys.map((key, j) =>
              forbidden(attention, query, key) ? h("td.never", { title: t("caption.never") }, "–") : h(`td${query === chosen?.query && key === chosen?.key ? ".chosen" : ""}${weights[j] < Math.max(0.01, state.threshold) ? ".weak" : ""}`, { title: exact(weights[j]) }, weights[j] < state.threshold ? "" : near ? number(weights[j]) : weights[j].toFixed(3)),
            )
          : [h("td.list", {}, strongest(weights, LISTED).filter((j) => !forbidden(attention, query, keys[j])).map((j) => `${label(attention.keys[keys[j]])} ${number(weights[j])}`).join(" · "))];
        return h(`tr${query === chosen?.query ? ".chosen" : ""}`, {}, h(`th${fresh(attention.queries, query)}`, { scope: "row", dir: "auto" }, label(attention.queries[query])), ...cells);
      });
      box.replaceChildren(
        h(
          "table",
          {},
          h("caption", {}, `${head.name}: ${caption(attention)}`),
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, crosses(attention) && !attention.pools ? sides(attention).query : t("table.query")), ...headings)),
          h("tbody", {}, ...rows),
        ),
      );
      // A back row cannot scroll: the cell in question comes to it.
      size.disconnect();
      const table = box.querySelector("table");
      if (table && state.present !== "off") size.observe(table);
    },
  };
}

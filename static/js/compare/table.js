// @ts-check
/** Both maps and their difference as one table: three rows of numbers for every query. */
import { h } from "../dom.js";
import { exact, number, signed } from "../format.js";
import { rowOf, strongest } from "../matrix.js";
import { attentionId, label } from "../trace.js";
import { t } from "../words.js";
import { headsOf } from "./difference.js";

/** @typedef {import("../scene.js").Scene} Scene */

/** Above this many keys a row lists those that differ most instead of all. */
const WHOLE = 64;
const LISTED = 8;

/** @param {HTMLElement} host */
export function mountComparedTable(host) {
  const box = h("div.scroller", { tabindex: 0, role: "region", "aria-label": t("compare.table-label") });
  host.append(box);
  let drawn = "";
  /** @type {import("./difference.js").Difference | null} */
  let made = null;

  return {
    /** @param {Scene} scene */
    update({ beside, attention, trace, state, chosen, heads }) {
      const difference = beside?.difference;
      if (!difference) return;
      const name = [trace.id, attentionId(attention), state.threshold, chosen?.query, chosen?.key].join();
      if (name === drawn && made === difference) return;
      [drawn, made] = [name, difference];
      const { queries, keys } = difference;
      const few = keys.length <= WHOLE;
      /** @type {{name: string, of: import("../matrix.js").Matrix, write: (x: number) => string}[]} */
      const lines = [
        { name: t("compare.left"), of: difference.left, write: number },
        { name: t("compare.right"), of: difference.right, write: number },
        { name: t("compare.difference"), of: difference.change, write: signed },
      ];
      const groups = queries.map((query, i) => {
        const most = few ? [] : strongest(rowOf(difference.change, i).map(Math.abs), LISTED);
        const rows = lines.map(({ name: side, of, write }, nth) => {
          const weights = rowOf(of, i);
          const change = nth === 2 ? ".change" : "";
          const cells = few
            ? keys.map((key, j) => h(`td${change}${query === chosen?.query && key === chosen?.key ? ".chosen" : ""}${Math.abs(weights[j]) < Math.max(0.01, state.threshold) ? ".weak" : ""}`, { title: exact(weights[j]) }, Math.abs(weights[j]) < state.threshold ? "" : write(weights[j])))
            : [h(`td.list${change}`, {}, most.map((j) => `${label(attention.keys[keys[j]])} ${write(weights[j])}`).join(" · "))];
          return h("tr", {}, nth ? null : h("th", { scope: "rowgroup", rowspan: 3 }, label(attention.queries[query])), h("th", { scope: "row" }, side), ...cells);
        });
        return h(`tbody.triple${query === chosen?.query ? ".chosen" : ""}`, {}, ...rows);
      });
      const headings = few ? keys.map((key) => h("th", { scope: "col" }, label(attention.keys[key]))) : [h("th.list", { scope: "col" }, t("compare.most", { most: LISTED }))];
      box.replaceChildren(
        h("table", {}, h("caption", {}, t("compare.caption", { head: headsOf(heads, beside) })), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("table.query")), h("td"), ...headings)), ...groups),
      );
    },
  };
}

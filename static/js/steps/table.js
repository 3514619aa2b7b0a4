// @ts-check
/** A scene in words and exact numbers, for those who read or listen instead of looking. */
import { h } from "../dom.js";
import { exact } from "../format.js";
import { t } from "../words.js";

/** @typedef {import("./parts.js").Part} Part */

/** Of a larger matrix nobody reads every number: it is named, and its numbers are a call away. */
const LISTED = 4096;

/** The numbers of a part, all of them. @param {Part} part @returns {ArrayLike<number>} */
export function numbersOf(part) {
  if (part.kind === "number") return [part.value];
  if (part.kind === "strip" || part.kind === "matrix" || part.kind === "chart") return part.values;
  if (part.kind === "weights") return part.values ?? [];
  if (part.kind === "clocks") return part.after;
  return [];
}

/** @param {import("./parts.js").Scene} scene @param {boolean} predicting results stay hidden */
export function tableOf(scene, predicting) {
  const lines = [scene.head, ...scene.lines, scene.foot].filter((line) => line !== null && line !== undefined);
  return h(
    "div.scroller",
    { tabindex: 0, role: "region", "aria-label": t("steps.numbers") },
    h(
      "table",
      {},
      h("caption", {}, t("steps.numbers-caption")),
      headings(scene),
      h("tbody", {}, ...lines.map((line) => h("tr", {}, ...line.parts.filter((part) => part.kind !== "bar").map((part) => cell(part, predicting))))),
    ),
  );
}

/** What stands in each column, where the picture says so; bars have none here. @param {import("./parts.js").Scene} scene */
function headings({ columns, titles = [] }) {
  if (!titles.some(Boolean)) return null;
  return h("thead", {}, h("tr", {}, ...columns.flatMap((column, i) => (column === "bar" ? [] : [h(titles[i] ? "th" : "td", titles[i] ? { scope: "col" } : {}, titles[i] ?? "")]))));
}

/** @param {Part} part @param {boolean} predicting */
function cell(part, predicting) {
  if (part.kind === "token") return h("th", { scope: "row" }, part.text);
  if (part.kind === "op" || part.kind === "phrase") return h("td", {}, part.text);
  if (part.kind === "weights" && (!part.values || part.values.length > LISTED)) return h("td", {}, `${part.name}, ${part.rows} × ${part.cols}`);
  if (predicting && part.result && (part.kind === "ranked" || part.kind === "curves")) return h("td", {}, `${part.name}: ?`);
  if (part.kind === "ranked") return h("td", {}, `${part.name}: `, ...part.rows.flatMap(({ text, value }) => [`${text} `, h("span.number", {}, exact(value)), "; "]));
  if (part.kind === "curves") return h("td", {}, `${part.name}: `, ...part.curves.flatMap(({ name, values }) => [`${name} `, h("span.number", {}, values.map(exact).join(" ")), "; "]));
  if (part.kind === "tally") return h("td", {}, predicting && part.result ? `${part.name}: ?` : `${part.name}: ${part.rows.map(({ text, made, kept }) => t("gen.tally-row", { token: text, made, kept })).join("; ")}`);
  const name = part.kind === "number" ? "" : `${part.name}: `;
  if (predicting && part.result) return h("td", {}, `${name}?`);
  return h("td", { "data-source": part.source }, name, h("span.number", {}, Array.from(numbersOf(part), exact).join(" ")));
}

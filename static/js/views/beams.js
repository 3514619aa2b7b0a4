// @ts-check
/** The tree of a beam search: at every step the texts that were tried, those that went on, and the one that won. */
import { h, s } from "../dom.js";
import { exact, number } from "../format.js";
import { pathTo } from "../generation.js";
import { label, textOf } from "../trace.js";
import { apart, t } from "../words.js";

/** @typedef {import("../generation.js").Beam} Beam */

const COLUMN = 92;
const ROW = 22;
const TOP = 20;
const LETTERS = 8;

/** @param {string} text */
const clip = (text) => ([...text].length > LETTERS ? `${[...text].slice(0, LETTERS - 1).join("")}…` : text);

/** What became of a text. @param {Beam} node */
const fate = ({ kept, ended }) => (ended ? "ended" : kept ? "kept" : "dropped");

/** The same in words. @param {Beam} node @param {boolean} best whether it is on the best path */
const fateOf = (node, best) => (best ? `${t(`beams.${fate(node)}`)}, ${t("beams.best")}` : t(`beams.${fate(node)}`));

/** The text that a node ends. @param {Beam[]} nodes @param {number} at */
const textTo = (nodes, at) => pathTo(nodes, at).map((node) => `${nodes[node].token.continues ? "" : " "}${textOf(/** @type {any} */ (nodes[node].token))}`).join("").trim();

/** Where each node stands: a column for each step, the best at its top. @param {Beam[]} nodes */
function laidOut(nodes) {
  /** @type {{x: number, y: number, depth: number}[]} */
  const places = [];
  /** @type {number[]} */
  const filled = [];
  for (const { parent } of nodes) {
    const depth = parent === null ? 0 : places[parent].depth + 1;
    filled[depth] = (filled[depth] ?? 0) + 1;
    places.push({ depth, x: depth * COLUMN + 8, y: TOP + (filled[depth] - 0.5) * ROW });
  }
  return { places, width: filled.length * COLUMN + 8, height: TOP + Math.max(0, ...filled) * ROW + 4 };
}

/** @param {{step: (index: number) => void}} actions */
export function mountBeams({ step }) {
  const line = h("p.aside.tree-line", { "aria-hidden": "true" });
  const scroller = h("div.tree-scroller");
  const host = h("div.tree", { role: "group", "aria-label": t("beams.tree") }, scroller, line);
  /** @type {Beam[]} */
  let drawn = [];
  /** @type {SVGElement[]} */
  let marks = [];
  let given = 0;
  let best = "";

  /** @param {number | null} at */
  function tell(at) {
    if (at === null) return line.replaceChildren(t("beams.line"));
    const node = drawn[at];
    line.replaceChildren(h("b.token", { dir: "auto" }, textTo(drawn, at)), ` ${t(`beams.${fate(node)}`)}, ${t("beams.log-probability")} `, h("span.number", { title: exact(node.log_probability) }, number(node.log_probability)));
  }

  /** @param {KeyboardEvent} event @param {number} at @param {{x: number, y: number, depth: number}[]} places */
  function walk(event, at, places) {
    const beside = (/** @type {number} */ by) => {
      const column = places.flatMap(({ depth }, i) => (depth === places[at].depth ? [i] : []));
      return column[column.indexOf(at) + by];
    };
    const to = {
      ArrowLeft: () => drawn[at].parent ?? undefined,
      ArrowRight: () => drawn.findIndex(({ parent }) => parent === at),
      ArrowUp: () => beside(-1),
      ArrowDown: () => beside(1),
    }[event.key]?.();
    if (event.key === "Enter" || event.key === " ") step(given + places[at].depth);
    else if (to === undefined && !event.key.startsWith("Arrow")) return;
    else if (to !== undefined && to >= 0) focus(to);
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} at */
  function focus(at) {
    marks.forEach((mark, i) => mark.setAttribute("tabindex", i === at ? "0" : "-1"));
    marks[at].focus();
  }

  /** @param {Beam[]} nodes @param {number[]} won */
  function draw(nodes, won) {
    const { places, width, height } = laidOut(nodes);
    const winning = new Set(won);
    const links = nodes.map(({ parent, kept, ended }, i) => {
      const { x, y } = places[i];
      if (parent === null) return "";
      const from = places[parent];
      const x0 = from.x + COLUMN - 24;
      return s("path", { class: `link${winning.has(i) ? " won" : kept || ended ? "" : " dropped"}`, d: `M${x0} ${from.y}C${x0 + 14} ${from.y} ${x - 18} ${y} ${x - 4} ${y}` });
    });
    marks = nodes.map((node, i) => {
      const { x, y } = places[i];
      const mark = s(
        "g",
        {
          class: `beam ${fate(node)}${winning.has(i) ? " won" : ""}`,
          role: "button",
          tabindex: "-1",
          "aria-label": t("beams.node", { text: textTo(nodes, i), fate: fateOf(node, winning.has(i)), number: number(node.log_probability) }),
          onpointerenter: () => tell(i),
          onpointerleave: () => tell(null),
          onfocus: () => tell(i),
          onblur: () => tell(null),
          onclick: () => step(given + places[i].depth),
          onkeydown: (/** @type {KeyboardEvent} */ event) => walk(event, i, places),
        },
        s("rect", { x: x - 4, y: y - ROW / 2 + 1, width: COLUMN - 20, height: ROW - 2, rx: 4 }),
        s("text", { x, y: y + 4 }, `${apart(clip(label(/** @type {any} */ (node.token))))}${node.ended ? " ■" : ""}`),
      );
      return mark;
    });
    const first = won[0] ?? 0;
    marks[first]?.setAttribute("tabindex", "0");
    const columns = Array.from({ length: Math.round(width / COLUMN) }, (_, i) => s("text", { class: "column", "data-step": given + i, x: i * COLUMN + 8, y: 13 }, String(given + i + 1)));
    scroller.replaceChildren(s("svg", { width: `${width / 16}rem`, height: `${height / 16}rem`, viewBox: `0 0 ${width} ${height}` }, s("rect", { class: "here", y: 0, width: COLUMN - 8, height }), ...columns, ...links, ...marks));
  }

  return {
    host,
    /** @param {Beam[]} nodes @param {number[]} won node numbers of the best path @param {number} from how many tokens stood before the tree @param {number} shown the step in question */
    update(nodes, won, from, shown) {
      given = from;
      host.hidden = !nodes.length;
      const name = `${nodes.length} ${won.join()}`;
      if (drawn !== nodes || name !== best) {
        drawn = nodes;
        best = name;
        draw(nodes, won);
        tell(null);
      }
      const here = scroller.querySelector(".here");
      const left = (shown - from) * COLUMN;
      here?.setAttribute("x", String(left));
      here?.setAttribute("visibility", left < 0 ? "hidden" : "visible");
      const svg = scroller.querySelector("svg");
      const unit = svg ? svg.clientWidth / svg.viewBox.baseVal.width : 1;
      const right = (left + COLUMN) * unit;
      if (left * unit < scroller.scrollLeft || right > scroller.scrollLeft + scroller.clientWidth) scroller.scrollLeft = Math.max(0, right - scroller.clientWidth);
    },
  };
}

/** The same as a table. @param {Beam[]} nodes @param {number[]} won @param {number} given */
export function beamTable(nodes, won, given) {
  const winning = new Set(won);
  const { places } = laidOut(nodes);
  return h(
    "table",
    {},
    h("caption", {}, t("beams.caption")),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("generate.step")), h("th.list", { scope: "col" }, t("beams.text")), h("th", { scope: "col" }, t("beams.log-probability")), h("th.list", { scope: "col" }, ""))),
    h(
      "tbody",
      {},
      ...nodes.map((node, i) =>
        h(
          `tr${winning.has(i) ? ".chosen" : ""}`,
          {},
          h("th", { scope: "row" }, given + places[i].depth + 1),
          h("td.list", { dir: "auto" }, textTo(nodes, i)),
          h("td", { title: exact(node.log_probability) }, number(node.log_probability)),
          h("td.list", {}, fateOf(node, winning.has(i))),
        ),
      ),
    ),
  );
}

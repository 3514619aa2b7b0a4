// @ts-check
/** What stands around the picture: its title, the heads compared, the weight under the pointer, and the legend. */
import { diverging } from "./colors.js";
import { bothAt, bothWeights } from "./compare/difference.js";
import { byId, h, icon } from "./dom.js";
import { exact, headName, number, shortName, signed } from "./format.js";
import { exactly, weightOf } from "./scene.js";
import { refName } from "./state.js";
import { partName, whereName } from "./recurrent.js";
import { attentionName, crosses, focusName, forbidden, label } from "./trace.js";
import { phrase, t } from "./words.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./scene.js").Head} Head */

/** Which part of a long text is listed. @param {import("./scene.js").Near} near @param {import("./trace.js").Attention} attention */
function listed({ queries, keys }, attention) {
  const part = (/** @type {[number, number]} */ [first, end]) => `${first}–${end - 1}`;
  const [rows, cols] = [part(queries), part(keys)];
  return rows === cols ? t("caption.part", { part: rows, all: attention.queries.length }) : t("caption.part", { part: `${rows} → ${cols}`, all: attention.keys.length });
}

/** @param {{letGo: (ref: import("./state.js").HeadRef) => void}} actions */
export function mountCaptions({ letGo }) {
  let legendOf = "";
  let differenceOf = "";
  /** From less on the right through nothing to more. @param {Scene} scene */
  function differenceLegend({ beside, state, theme }) {
    const box = byId("legend-difference");
    const top = state.compare === "difference" && state.view === "heatmap" ? beside?.difference?.top : undefined;
    box.hidden = top === undefined;
    if (top !== undefined) byId("legend").hidden = true;
    const name = `${theme} ${top}`;
    if (top === undefined || name === differenceOf) return;
    differenceOf = name;
    for (const [half, canvas] of box.querySelectorAll("canvas").entries()) {
      const image = new ImageData(128, 1);
      new Uint32Array(image.data.buffer).set(diverging(theme).pixels.subarray(128 * half, 128 * half + 128));
      canvas.getContext("2d").putImageData(image, 0, 0);
    }
    box.firstElementChild.textContent = `−${top}`;
    box.lastElementChild.textContent = `+${top}`;
  }

  /** @param {Scene} scene */
  function legend({ ramp, state, theme, top, siteRamp, siteRange, site, inStates: states }) {
    const name = states ? `states ${site?.address} ${state.palette} ${theme} ${siteRange}` : `${state.palette} ${theme} ${state.scale} ${top}`;
    if (name === legendOf) return;
    legendOf = name;
    const box = byId("legend");
    const context = box.querySelector("canvas").getContext("2d");
    const image = new ImageData(256, 1);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < 256; i++) pixels[i] = (states ? siteRamp : ramp).pixels[i];
    context.putImageData(image, 0, 0);
    if (states) {
      box.firstElementChild.textContent = exact(siteRange[0]);
      box.lastElementChild.textContent = exact(siteRange[1]);
      return;
    }
    box.firstElementChild.textContent = state.scale === "log" ? "≤ .001" : "0";
    box.lastElementChild.textContent = state.scale === "log" ? "1" : String(top);
  }

  /** @param {string} name @param {number} x */
  const named = (name, x) => h("span", {}, h("span.aside", {}, `${name} `), h("b", { title: exact(x) }, number(x)));

  /** A pair's weights in both panes. @param {Scene} scene @param {import("./scene.js").Place} at @param {number | undefined} left where the right text has no such pair */
  function bothReadouts(scene, at, left) {
    const both = bothAt(scene, at) ?? bothWeights(scene, at);
    if (both) return [named(t("compare.left"), both.left), named(t("compare.right"), both.right), h("span", {}, h("span.aside", {}, `${t("compare.difference")} `), h("b.change", { title: exact(both.change) }, signed(both.change)))];
    return [left === undefined ? "" : named(t("compare.left"), left), h("span.aside", {}, t("compare.no-right"))];
  }

  /** What is under the pointer in the right pane, where the left text has no such pair. @param {Scene} scene */
  function rightAlone({ beside }) {
    const { cursor, attention, heads } = beside?.scene ?? {};
    const weight = cursor?.key != null && heads?.[0] ? weightOf(heads[0], cursor) : undefined;
    if (!attention || cursor?.key == null || weight === undefined) return null;
    const [query, key] = [attention.queries[cursor.query], attention.keys[cursor.key]].map((token) => h("span.token", { dir: "auto" }, label(token)));
    return [query, " → ", key, named(t("compare.right"), weight), h("span.aside", {}, t("compare.no-left"))];
  }

  /** @param {Scene} scene */
  function readout(scene) {
    const { heads, attention, state, queries, keys, cursor: under, chosen } = scene;
    if (scene.inStates) return stateReadout(scene);
    const at = under?.key != null ? under : under ? { query: under.query, key: null } : chosen;
    const line = byId("readout");
    const alone = under?.key == null && rightAlone(scene);
    if (alone) return line.replaceChildren(...alone);
    if (!at || !heads[0]) return line.replaceChildren();
    if (at.seen && !exactly(at)) {
      const [from, to] = [at.seen.queries, at.seen.keys].map(([first, last]) => h("span.number", {}, first === last ? String(first) : `${first}–${last}`));
      if (forbidden(attention, at.seen.queries[1], at.seen.keys[0])) return line.replaceChildren(...phrase("caption.tokens", { from, to }), h("span.aside", {}, t("caption.never-several")));
      return line.replaceChildren(...phrase("caption.tokens", { from, to }), h("b", { title: exact(at.seen.value) }, number(at.seen.value)), h("span.aside", {}, t("caption.strongest")));
    }
    const query = h("span.token", { dir: "auto" }, label(attention.queries[at.query]));
    if (at.key === null) return line.replaceChildren(...phrase("caption.row", { query }));
    const key = h("span.token", { dir: "auto" }, label(attention.keys[at.key]));
    const [row, col] = [queries.indexOf(at.query), keys.indexOf(at.key)];
    const weight = (/** @type {Head} */ head) =>
      row >= 0 && col >= 0 && head.shown.cols ? head.shown.values[row * head.shown.cols + col] : weightOf(head, head === heads[0] ? at : { query: at.query, key: at.key });
    const several = heads.length > 1;
    if (forbidden(attention, at.query, at.key)) return line.replaceChildren(query, " → ", key, h("span.aside", {}, t("caption.never")));
    if (scene.beside) return line.replaceChildren(query, " → ", key, ...bothReadouts(scene, at, weight(heads[0])));
    line.replaceChildren(
      query,
      " → ",
      key,
      ...heads.map((head) => {
        const value = weight(head);
        return value === undefined ? h("b", {}, "…") : h("b", { title: exact(value), style: several ? { color: head.color } : {} }, number(value));
      }),
      state.special === "renormalise" ? h("span.aside", {}, t("caption.of-shown")) : "",
    );
  }

  /** @param {Scene} scene */
  function stateReadout({ site, states, step, trace }) {
    const numbers = site && states.get(site.address);
    if (!numbers || !step || step.time >= numbers.rows) return byId("readout").replaceChildren();
    const value = numbers.values[step.time * numbers.cols + step.unit];
    byId("readout").replaceChildren(h("span.token", { dir: "auto" }, label(trace.tokens[site.stack][step.time])), ` ${t("caption.unit", { unit: step.unit })}`, h("b", { title: exact(value) }, number(value)));
  }

  let chipsOf = "";
  /** @param {Scene} scene */
  function title({ state, heads, blocks, attention, near, top, site, recurrent, inStates }) {
    if (inStates) {
      byId("focus-title").textContent = site ? partName(site).replace(/^./, (letter) => letter.toUpperCase()) : t("view.states");
      byId("focus-title").classList.remove("hidden");
      byId("focus-block").textContent = site ? whereName(site, recurrent ?? []) : "";
      chipsOf = "";
      return byId("chips").replaceChildren();
    }
    byId("focus-title").textContent = focusName(attention, headName(state));
    const block = blocks.length > 1 && heads.length < 2 ? (crosses(attention) ? t("attention.cross-alone") : attentionName(attention)) : "";
    const part = near && state.view !== "heatmap" ? t("caption.listed", { part: listed(near, attention) }) : "";
    const full = part && state.view === "lines" ? t("caption.full-line", { weight: number(top) }) : "";
    byId("focus-block").textContent = [block, [part, full].filter(Boolean).join(", ")].filter(Boolean).join(" ");
    const name = heads.map(({ ref, color }) => refName(ref) + color).join();
    if (name === chipsOf) return;
    chipsOf = name;
    // Each of several heads is named by its chip, in the colour of its lines; there is no room for more.
    byId("focus-title").classList.toggle("hidden", heads.length > 1);
    const focused = [...byId("chips").children].indexOf(/** @type {Element} */ (document.activeElement));
    byId("chips").replaceChildren(
      ...(heads.length < 2 ? [] : heads).map(({ ref, color }) =>
        h(
          "button.head",
          { type: "button", title: t("head.let-go", { head: headName(ref) }), onclick: () => letGo(ref) },
          h("i", { style: { background: color } }),
          icon("close", "small"),
          shortName(ref),
        ),
      ),
    );
    if (focused < 0) return;
    const left = /** @type {HTMLElement[]} */ ([...byId("chips").children]);
    (left[Math.min(focused, left.length - 1)] ?? byId("focus-title")).focus();
  }

  return {
    /** What follows the pointer. @param {Scene} scene */
    hover(scene) {
      legend(scene);
      differenceLegend(scene);
      readout(scene);
    },
    /** @param {Scene} scene */
    update(scene) {
      // The player shows it anyhow, and the map of a long text has no room for a bar beside each row.
      const marked = scene.state.view !== "generate" && !(scene.near && scene.state.view === "heatmap");
      byId("said-note").hidden = !marked || !scene.trace.said?.length;
      legend(scene);
      differenceLegend(scene);
      title(scene);
      readout(scene);
    },
  };
}

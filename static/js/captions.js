// @ts-check
/** What stands around the picture: its title, the heads compared, the weight under the pointer, and the legend. */
import { byId, h, icon } from "./dom.js";
import { exact, headName, number, shortName } from "./format.js";
import { exactly, weightOf } from "./scene.js";
import { refName } from "./state.js";
import { partName, whereName } from "./recurrent.js";
import { attentionName, focusName, forbidden, label } from "./trace.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./scene.js").Head} Head */

/** Which part of a long text is listed. @param {import("./scene.js").Near} near @param {import("./trace.js").Attention} attention */
function listed({ queries, keys }, attention) {
  const part = (/** @type {[number, number]} */ [first, end]) => `${first}–${end - 1}`;
  const [rows, cols] = [part(queries), part(keys)];
  return rows === cols ? `${rows} of ${attention.queries.length}` : `${rows} → ${cols} of ${attention.keys.length}`;
}

/** @param {{letGo: (ref: import("./state.js").HeadRef) => void}} actions */
export function mountCaptions({ letGo }) {
  let legendOf = "";
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

  /** @param {Scene} scene */
  function readout(scene) {
    const { heads, attention, state, queries, keys, cursor: under, chosen } = scene;
    if (scene.inStates) return stateReadout(scene);
    const at = under?.key != null ? under : under ? { query: under.query, key: null } : chosen;
    const line = byId("readout");
    if (!at || !heads[0]) return line.replaceChildren();
    if (at.seen && !exactly(at)) {
      const [from, to] = [at.seen.queries, at.seen.keys].map(([first, last]) => h("span.number", {}, first === last ? String(first) : `${first}–${last}`));
      if (forbidden(attention, at.seen.queries[1], at.seen.keys[0])) return line.replaceChildren("tokens ", from, " → ", to, h("span.aside", {}, "not allowed: they come later"));
      return line.replaceChildren("tokens ", from, " → ", to, h("b", { title: exact(at.seen.value) }, number(at.seen.value)), h("span.aside", {}, "the strongest weight among them"));
    }
    const query = h("span.token", { dir: "auto" }, label(attention.queries[at.query]));
    if (at.key === null) return line.replaceChildren("row of ", query);
    const key = h("span.token", { dir: "auto" }, label(attention.keys[at.key]));
    const [row, col] = [queries.indexOf(at.query), keys.indexOf(at.key)];
    const weight = (/** @type {Head} */ head) =>
      row >= 0 && col >= 0 && head.shown.cols ? head.shown.values[row * head.shown.cols + col] : weightOf(head, head === heads[0] ? at : { query: at.query, key: at.key });
    const several = heads.length > 1;
    if (forbidden(attention, at.query, at.key)) return line.replaceChildren(query, " → ", key, h("span.aside", {}, "not allowed: it comes later"));
    line.replaceChildren(
      query,
      " → ",
      key,
      ...heads.map((head) => {
        const value = weight(head);
        return value === undefined ? h("b", {}, "…") : h("b", { title: exact(value), style: several ? { color: head.color } : {} }, number(value));
      }),
      state.special === "renormalise" ? h("span.aside", {}, "of what is shown") : "",
    );
  }

  /** @param {Scene} scene */
  function stateReadout({ site, states, step, trace }) {
    const numbers = site && states.get(site.address);
    if (!numbers || !step || step.time >= numbers.rows) return byId("readout").replaceChildren();
    const value = numbers.values[step.time * numbers.cols + step.unit];
    byId("readout").replaceChildren(h("span.token", { dir: "auto" }, label(trace.tokens[site.stack][step.time])), ` unit ${step.unit}`, h("b", { title: exact(value) }, number(value)));
  }

  let chipsOf = "";
  /** @param {Scene} scene */
  function title({ state, heads, blocks, attention, near, top, site, recurrent, inStates }) {
    if (inStates) {
      byId("focus-title").textContent = site ? partName(site).replace(/^./, (letter) => letter.toUpperCase()) : "States";
      byId("focus-title").classList.remove("hidden");
      byId("focus-block").textContent = site ? whereName(site, recurrent ?? []) : "";
      chipsOf = "";
      return byId("chips").replaceChildren();
    }
    byId("focus-title").textContent = focusName(attention, headName(state));
    const block = blocks.length > 1 && heads.length < 2 ? attentionName(attention).replace("decoder cross", "cross") : "";
    byId("focus-block").textContent = near && state.view !== "heatmap" ? `${block} tokens ${listed(near, attention)}${state.view === "lines" ? `, a full line is ${number(top)}` : ""}` : block;
    const name = heads.map(({ ref, color }) => refName(ref) + color).join();
    if (name === chipsOf) return;
    chipsOf = name;
    // Each of several heads is named by its chip, in the colour of its lines; there is no room for more.
    byId("focus-title").classList.toggle("hidden", heads.length > 1);
    byId("chips").replaceChildren(
      ...(heads.length < 2 ? [] : heads).map(({ ref, color }) =>
        h(
          "button.head",
          { type: "button", title: `Let ${headName(ref)} go`, onclick: () => letGo(ref) },
          h("i", { style: { background: color } }),
          icon("close", "small"),
          shortName(ref),
        ),
      ),
    );
  }

  return {
    /** What follows the pointer. @param {Scene} scene */
    hover(scene) {
      legend(scene);
      readout(scene);
    },
    /** @param {Scene} scene */
    update(scene) {
      // The player shows it anyhow, and the map of a long text has no room for a bar beside each row.
      const marked = scene.state.view !== "generate" && !(scene.near && scene.state.view === "heatmap");
      byId("said-note").hidden = !marked || !scene.trace.said?.length;
      legend(scene);
      title(scene);
      readout(scene);
    },
  };
}

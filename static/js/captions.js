// @ts-check
/** What stands around the picture: its title, the heads compared, the weight under the pointer, and the legend. */
import { byId, h, icon } from "./dom.js";
import { exact, headName, number, shortName } from "./format.js";
import { refName } from "./state.js";
import { attentionName, attentions, label } from "./trace.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./scene.js").Head} Head */

/**
 * @param {{
 *   letGo: (ref: import("./state.js").HeadRef) => void,
 *   choose: (attention: import("./trace.js").Attention) => void,
 * }} actions
 */
export function mountCaptions({ letGo, choose }) {
  let legendOf = "";
  /** @param {Scene} scene */
  function legend({ ramp, state, theme, top }) {
    const name = `${state.palette} ${theme} ${state.scale} ${top}`;
    if (name === legendOf) return;
    legendOf = name;
    const box = byId("legend");
    const context = box.querySelector("canvas").getContext("2d");
    const image = new ImageData(256, 1);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < 256; i++) pixels[i] = ramp.pixels[i];
    context.putImageData(image, 0, 0);
    box.firstElementChild.textContent = state.scale === "log" ? "≤ .001" : "0";
    box.lastElementChild.textContent = state.scale === "log" ? "1" : String(top);
  }

  /** @param {Scene} scene */
  function readout(scene) {
    const { heads, attention, state, queries, keys, cursor: under, chosen } = scene;
    const at = under?.key != null ? under : under ? { query: under.query, key: null } : chosen;
    const line = byId("readout");
    if (!at || !heads[0]) return line.replaceChildren();
    const query = h("span.token", { dir: "auto" }, label(attention.queries[at.query]));
    if (at.key === null) return line.replaceChildren("row of ", query);
    const key = h("span.token", { dir: "auto" }, label(attention.keys[at.key]));
    const [row, col] = [queries.indexOf(at.query), keys.indexOf(at.key)];
    const weight = (/** @type {Head} */ head) =>
      row >= 0 && col >= 0 ? head.shown.values[row * head.shown.cols + col] : head.whole.values[at.query * head.whole.cols + Number(at.key)];
    const several = heads.length > 1;
    line.replaceChildren(
      query,
      " → ",
      key,
      ...heads.map((head) => h("b", { title: exact(weight(head)), style: several ? { color: head.color } : {} }, number(weight(head)))),
      state.special === "renormalise" ? h("span.aside", {}, "of what is shown") : "",
    );
  }

  let chipsOf = "";
  /** @param {Scene} scene */
  function title({ state, heads }) {
    byId("focus-title").textContent = headName(state);
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

  let blocksOf = "";
  /** Where a model has several attention blocks, they are chosen above the grid. @param {Scene} scene */
  function blocks({ trace, attention }) {
    const all = attentions(trace);
    const name = `${trace.model} ${attentionName(attention)}`;
    if (name === blocksOf) return;
    blocksOf = name;
    document.querySelector(".blocks")?.remove();
    if (all.length < 2) return;
    byId("grids").before(
      h(
        "div.blocks",
        { role: "group", "aria-label": "Attention block" },
        ...all.map((a) =>
          h(
            "button.quiet",
            {
              type: "button",
              "aria-pressed": String(a.stack === attention.stack && a.block.name === attention.block.name),
              onclick: () => choose(a),
            },
            attentionName(a),
          ),
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
      legend(scene);
      title(scene);
      blocks(scene);
      readout(scene);
    },
  };
}

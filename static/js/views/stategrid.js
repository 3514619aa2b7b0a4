// @ts-check
/** Every recurrent state at a glance: one small picture of time × unit per layer, direction and gate. */
import { h } from "../dom.js";
import { isShare, meaningOf, partName, reach, whereName } from "../recurrent.js";
import { t } from "../words.js";
import { colorsOf } from "./states.js";

/** @typedef {import("../scene.js").Scene} Scene */

/** @param {HTMLElement} host @param {{look: (address: string) => void}} actions */
export function mountStateGrid(host, { look }) {
  const list = h("div.state-grid", { role: "group", "aria-label": t("states.grid") });
  host.append(list);
  /** @type {Map<string, {button: HTMLElement, canvas: HTMLCanvasElement, drawn: string}>} */
  const tiles = new Map();
  let built = "";

  /** @param {Scene} scene */
  function build({ recurrent, trace, blocks }) {
    const all = recurrent ?? [];
    if (built === trace.model + all.length) return;
    built = trace.model + all.length;
    tiles.clear();
    const layers = [...new Set(all.map(({ where }) => where))];
    const bottleneck = !blocks.length && Object.keys(trace.tokens).length > 1;
    list.replaceChildren(
      bottleneck ? h("p.aside", {}, t("states.bottleneck")) : "",
      ...layers.map((where) => {
        const own = all.filter((site) => site.where === where && site.part !== "input");
        const title = whereName(own[0], all);
        return h(
          "section",
          {},
          h("h3", {}, title, own[0].reverse ? h("small", {}, t("states.reverse")) : null),
          h(
            "div.tiles",
            {},
            ...own.map((site) => {
              const canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { "aria-hidden": "true" }));
              const button = h("button.state", { type: "button", title: meaningOf(site), "aria-label": `${title}, ${partName(site)}`, onclick: () => look(site.address) }, canvas, h("span", {}, partName(site)));
              tiles.set(site.address, { button, canvas, drawn: "" });
              return button;
            }),
          ),
        );
      }),
    );
  }

  return {
    /** @param {Scene} scene */
    update(scene) {
      build(scene);
      for (const site of scene.recurrent ?? []) {
        const tile = tiles.get(site.address);
        const numbers = scene.states.get(site.address);
        if (!tile) continue;
        tile.button.setAttribute("aria-pressed", String(scene.state.view === "states" && site.address === scene.site?.address));
        const name = [scene.trace.id, scene.theme, scene.state.palette].join();
        if (!numbers || tile.drawn === name) continue;
        tile.drawn = name;
        tile.canvas.width = numbers.cols;
        tile.canvas.height = numbers.rows;
        tile.canvas.classList.toggle("dense", numbers.rows > 40 || numbers.cols > 120);
        const image = new ImageData(numbers.cols, numbers.rows);
        colorsOf(numbers.values, scene, site, isShare(site) ? 1 : reach(numbers.values), new Uint32Array(image.data.buffer));
        tile.canvas.getContext("2d")?.putImageData(image, 0, 0);
      }
    },
    unmount: () => list.remove(),
  };
}

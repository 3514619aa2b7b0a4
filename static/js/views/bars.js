// @ts-check
/** The focused row's weights as bars, for all chosen heads: drawn by plotly, which is loaded only now. */
import { look } from "../canvas.js";
import { h } from "../dom.js";
import { axesOf, crosses, forbidden, label } from "../trace.js";
import { direction, seenFrom } from "../scene.js";
import { t } from "../words.js";

/** @typedef {import("../scene.js").Scene} Scene */

/** Plotly reads a little HTML in its texts, and "</s>" is a token. @param {string} text */
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** @type {Promise<any> | null} */
let library = null;

/**
 * Plotly adds style elements, which this page's policy forbids, unless elements with these ids are there already.
 * The first takes its few rules; the second belongs to maps, which the page does not draw.
 */
const STYLES = ["plotly.js-style-global", "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53"];

/** @param {string} url @returns {Promise<any>} */
function load(url) {
  library ??= new Promise((resolve, reject) => {
    for (const id of STYLES) document.head.append(h("meta", { id, class: "no-inline-styles" }));
    const script = h("script", { src: url });
    script.addEventListener("load", () => resolve(/** @type {any} */ (window).Plotly));
    script.addEventListener("error", () => {
      library = null;
      reject(new Error(t("bars.failed")));
    });
    document.head.append(script);
  });
  return library;
}

/**
 * What plotly is asked to draw.
 * @param {Scene} scene @param {import("../canvas.js").Look} colors @param {number} width
 */
export function chart(scene, colors, width) {
  const size = 12 * colors.unit;
  /** @type {string[]} */
  let names = [];
  const data = scene.heads.map((head) => {
    const { token, tokens, weights, side } = seenFrom(scene, head);
    const never = (/** @type {number} */ at) => (direction(scene) === "to" ? forbidden(scene.attention, token, at) : forbidden(scene.attention, at, token));
    names = tokens.map((at) => plain(label(side[at])));
    return {
      type: "bar",
      name: head.name,
      x: tokens.map((_, at) => at),
      y: Array.from(weights, (w, at) => (never(tokens[at]) ? null : w < scene.state.threshold ? 0 : w)),
      customdata: names,
      marker: { color: head.color },
      hovertemplate: "%{customdata}: %{y:.3g}<extra></extra>",
    };
  });
  const every = Math.ceil((names.length * 17 * colors.unit) / width);
  const font = { family: colors.mono, size, color: colors.ink2 };
  const log = scene.state.scale === "log";
  const layout = {
    autosize: true,
    barmode: "group",
    bargap: 0.25,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font,
    margin: { l: 64 * colors.unit, r: 8, t: 16, b: 84 * colors.unit },
    showlegend: false,
    hoverlabel: { font: { family: colors.mono, size } },
    xaxis: {
      tickvals: names.map((_, i) => i).filter((i) => i % every === 0),
      ticktext: names.filter((_, i) => i % every === 0),
      tickangle: -45,
      title: crosses(scene.attention) ? { text: axesOf(scene.attention)[direction(scene) === "to" ? "key" : "query"], font, standoff: 4 } : undefined,
      linecolor: colors.line,
      fixedrange: true,
    },
    yaxis: {
      title: { text: t("bars.weight"), font, standoff: 12 },
      type: log ? "log" : "linear",
      range: log ? [-3, 0.05] : undefined,
      rangemode: "tozero",
      gridcolor: colors.line,
      zerolinecolor: colors.line,
      fixedrange: true,
    },
  };
  return { data, layout };
}

/** @param {HTMLElement} host @param {{url: string, fail: (sentence: string) => void}} given */
export function mountBars(host, { url, fail }) {
  const plot = h("div.plot", { role: "img", "aria-label": t("view.bars") });
  host.append(plot);
  /** @type {Scene | null} */
  let scene = null;
  let alive = true;

  async function draw() {
    let Plotly;
    try {
      Plotly = await load(url);
    } catch (error) {
      fail(/** @type {Error} */ (error).message);
      return;
    }
    if (!alive || !scene) return;
    const { data, layout } = chart(scene, look(), host.clientWidth - 72);
    await Plotly.react(plot, data, { ...layout, width: host.clientWidth, height: host.clientHeight }, { displayModeBar: false, responsive: false });
    plot.classList.add("ready");
  }

  return {
    /** @param {Scene} next */
    update(next) {
      scene = next;
      if (!next.heads[0]) return;
      const { name } = seenFrom(next, next.heads[0]);
      plot.setAttribute("aria-label", t("bars.described", { token: label(name), heads: next.heads.map((x) => x.name).join(", ") }));
      draw();
    },
    unmount() {
      alive = false;
      /** @type {any} */ (window).Plotly?.purge(plot);
    },
  };
}

// @ts-check
/** The parts of a scene as elements: vectors as strips of cells, weights as bars, matrices as heat maps. */
import { diverging, place, ramp, signedPlace } from "../colors.js";
import { h, s } from "../dom.js";
import { t } from "../words.js";
import { exact, number as written } from "../format.js";
import { span } from "./parts.js";

/** @typedef {import("./parts.js").Part} Part */
/** @typedef {import("./parts.js").Line} Line */
/** @typedef {import("./parts.js").Scene} Scene */
/** @typedef {{theme: "light" | "dark", palette: import("../state.js").State["palette"], choose: (query: number) => void}} Ways */

/** From so few numbers on, there is room for their digits. */
const FEW = 12;

/** Up to so many lines are written larger, for the back row. */
const SPACIOUS = 10;

/** The width of each kind of column. @type {Record<string, string>} */
const WIDTHS = {
  token: "minmax(var(--token, 3.5rem), max-content)",
  label: "max-content",
  field: "minmax(6rem, 3fr)",
  short: "minmax(5rem, 2fr)",
  op: "max-content",
  number: "minmax(var(--number, 3.25rem), max-content)",
  strip: "minmax(5rem, 22rem)",
  bar: "minmax(var(--bar, 3rem), 1fr)",
  wide: "minmax(var(--wide, 8rem), 1fr)",
  gist: "minmax(5rem, max-content)",
  choices: "minmax(7rem, var(--choices, 14rem))",
  matrix: "minmax(var(--matrix, 3rem), 2fr)",
  "matrix-large": "minmax(6rem, 5fr)",
};

/** @param {Scene} scene @param {Ways} ways @returns {HTMLElement} */
export function drawScene(scene, ways) {
  const lines = [scene.head ? drawLine(scene.head, ways, "head") : null, ...scene.lines.map((line) => drawLine(line, ways)), scene.foot ? drawLine(scene.foot, ways, "total") : null];
  const titled = scene.titles ? h("div.line.titles", { "aria-hidden": "true" }, ...scene.titles.map((title) => h("span", {}, ...subscripted(title)))) : null;
  return h("div.scene", { style: { gridTemplateColumns: scene.columns.map((column) => WIDTHS[column]).join(" "), ...(scene.columns.includes("field") ? { gridTemplateRows: rowsOf(scene) } : {}) }, "data-columns": scene.columns.join(" "), "data-room": scene.lines.length <= SPACIOUS ? "large" : undefined }, titled, ...lines);
}

/** The height of each line where vectors stand above matrices: a vector is a line high, matrices share what is left. @param {Scene} scene */
const rowsOf = ({ lines, titles }) => [...(titles ? ["auto"] : []), ...lines.map(({ parts }) => (parts.some((part) => part.kind === "weights" && part.values) ? "minmax(2.5rem, 1fr)" : "minmax(1.5rem, 2.25rem)"))].join(" ");

/** @param {Line} line @param {Ways} ways @param {string} [place] */
function drawLine(line, ways, place = "") {
  return h(`div.line${place ? `.${place}` : ""}${line.lit ? ".now" : ""}${line.never ? ".never" : ""}`, {}, ...line.parts.map((part) => drawPart(part, ways)));
}

/** @param {Part} part @param {Ways} ways */
function drawPart(part, ways) {
  const { kind, key, from, result, lit, source } = part;
  return h(`div.part.${kind}${result ? ".result" : ""}${lit ? ".now" : ""}`, { "data-key": key, "data-from": from, "data-source": source }, DRAWN[kind](/** @type {any} */ (part), ways));
}

/** @type {Record<Part["kind"], (part: any, ways: Ways) => import("../dom.js").Child>} */
const DRAWN = {
  token: drawToken,
  op: ({ text }) => text,
  phrase: ({ text }) => h("span", {}, ...subscripted(text)),
  number: ({ value, name, strong, count }) => h(strong ? "b.number" : "span.number", { title: `${name}: ${exact(value)}` }, count ? value.toLocaleString("en") : written(value)),
  bar: drawBar,
  strip: drawStrip,
  matrix: drawMatrix,
  weights: drawWeights,
  chart: drawChart,
  curves: drawCurves,
  ranked: drawRanked,
  clocks: drawClocks,
  tally: drawTally,
};

/** W_Q, d_k and K^T with their letters below and above the line. @param {string} text @returns {(string | HTMLElement)[]} */
export const subscripted = (text) => text.split(/(?<=(?<!\p{L})[WdKb])([_^][QKVOTk])(?!\p{L})/u).map((part, i) => (i % 2 ? h(part[0] === "_" ? "sub" : "sup", {}, part.slice(1)) : part));

/** @param {import("./parts.js").TokenPart} part @param {Ways} ways */
function drawToken({ text, quiet, query }, { choose }) {
  const name = `token${quiet ? ".special" : ""}`;
  if (query === undefined) return h(`span.${name}`, { dir: "auto" }, text);
  return h(`button.${name}`, { type: "button", dir: "auto", title: t("steps.go-through", { token: text }), onclick: () => choose(query) }, text);
}

/** @param {import("./parts.js").BarPart} part @param {Ways} ways */
function drawBar({ value, top, signed }) {
  const size = Number.isFinite(value) && top > 0 ? Math.min(1, Math.abs(value) / top) : 0;
  const style = signed ? { width: `${50 * size}%`, left: value < 0 ? `${50 - 50 * size}%` : "50%" } : { width: `${100 * size}%`, left: "0" };
  return h(`span.track${signed ? ".signed" : ""}`, { "aria-hidden": "true" }, h(`i${value < 0 ? ".negative" : ""}`, { style }));
}

/** @type {CanvasRenderingContext2D | null} */
let pen = null;

/** How wide the widest of these numbers is, as a multiple of the height of its letters. @param {string[]} numbers */
function widest(numbers) {
  pen ??= /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  pen.font = `100px ${getComputedStyle(document.documentElement).getPropertyValue("--mono")}`;
  return Math.max(...numbers.map((text) => /** @type {CanvasRenderingContext2D} */ (pen).measureText(text).width)) / 100;
}

/** Many numbers in words. @param {ArrayLike<number>} values */
const ranging = (values) => t("parts.numbers", { all: values.length, least: written(Math.min(...Array.from(values))), most: written(Math.max(...Array.from(values))) });

/** @param {import("./parts.js").StripPart} part @param {Ways} ways */
function drawStrip({ name, values, top = span(values), mark, share }, { theme, palette }) {
  const colors = share ? ramp(palette, theme) : diverging(theme);
  const step = (/** @type {number} */ x) => (share ? place(x, "linear", 1) : signedPlace(x, top));
  if (values.length <= FEW) {
    const cells = Array.from(values, (x) => h("span.number", { title: `${name}: ${exact(x)}`, style: { background: colors.css[step(x)], color: colors.ink[step(x)] } }, written(x)));
    const digits = h("span.digits", {}, ...cells);
    digits.style.setProperty("--count", String(cells.length));
    digits.style.setProperty("--widest", String(widest(Array.from(values, written))));
    return digits;
  }
  const canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { role: "img", "aria-label": `${name}: ${ranging(values)}` }));
  canvas.width = values.length;
  canvas.height = 1;
  const image = new ImageData(values.length, 1);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < values.length; i++) pixels[i] = colors.pixels[step(values[i])];
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  canvas.addEventListener("pointermove", (event) => {
    const index = Math.min(values.length - 1, Math.floor((event.offsetX / canvas.clientWidth) * values.length));
    if (index >= 0) canvas.title = `${name} [${index}]: ${exact(values[index])}`;
  });
  const [from, to] = mark ?? [0, 0];
  const marked = mark ? h("i.mark", { style: { left: `${(100 * from) / values.length}%`, width: `${(100 * (to - from)) / values.length}%` } }) : null;
  return h("span.row-of", {}, canvas, marked, h("small", { "aria-hidden": "true" }, values.length));
}

/** An image with a pixel for each number, which it tells under the pointer. @param {string} name @param {ArrayLike<number>} values @param {number} rows @param {number} cols @param {Uint32Array} colors @param {(x: number, i: number) => number} step the place of a number among the colours; below 0 for none */
function sheetOf(name, values, rows, cols, colors, step) {
  const canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { role: "img", "aria-label": `${name}: ${rows} × ${cols}` }));
  canvas.width = cols;
  canvas.height = rows;
  const image = new ImageData(cols, rows);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < values.length; i++) {
    const color = step(values[i], i);
    pixels[i] = color < 0 ? 0 : colors[color];
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  canvas.addEventListener("pointermove", (event) => {
    const row = Math.min(rows - 1, Math.floor((event.offsetY / canvas.clientHeight) * rows));
    const col = Math.min(cols - 1, Math.floor((event.offsetX / canvas.clientWidth) * cols));
    if (row >= 0 && col >= 0) canvas.title = `${name} [${row}, ${col}]: ${exact(values[row * cols + col])}`;
  });
  return canvas;
}

/** So many numbers of a matrix tell how large most of them are. */
const SAMPLED = 4096;

/** @param {ArrayLike<number>} values */
function signedBy(values) {
  const stride = Math.max(1, values.length / SAMPLED);
  const top = span(Array.from({ length: Math.min(SAMPLED, values.length) }, (_, i) => values[Math.floor(i * stride)]));
  return (/** @type {number} */ x) => signedPlace(x, top);
}

/** So many rows or columns have room for their names. */
const NAMED = 40;

/** More names than so many need a wide matrix, or they cover one another: see steps.css. */
const CROWDS = [24, 18, 12, 8];

/** @param {import("./parts.js").MatrixPart} part @returns {import("./parts.js").MatrixPart} */
function transposed({ rows, cols, values, labels, across, mark, ...part }) {
  const turned = Float32Array.from({ length: rows * cols }, (_, i) => values[(i % rows) * cols + Math.floor(i / rows)]);
  return { ...part, rows: cols, cols: rows, values: turned, labels: across, across: labels, mark: mark && [mark[1], mark[0]] };
}

/** @param {import("./parts.js").MatrixPart} part @param {Ways} ways */
function drawMatrix(part, { theme, palette }) {
  const { name, values, rows, cols, labels, across, weights, mark, large, fades } = part.turned ? transposed(part) : part;
  const colors = weights ? ramp(palette, theme) : diverging(theme);
  const top = weights ? 1 : span(values);
  const step = (/** @type {number} */ x) => (weights ? place(x, "linear", 1) : Number.isFinite(x) ? signedPlace(x, top) : -1);
  const canvas = sheetOf(name, values, rows, cols, colors.pixels, (x, i) => (fades !== undefined && i >= fades * cols ? -1 : step(x)));
  const within = (/** @type {number} */ at, /** @type {number} */ of, /** @type {"top" | "left"} */ from, /** @type {"height" | "width"} */ size) => (at >= 0 ? { [from]: `${(100 * at) / of}%`, [size]: `${100 / of}%` } : { [from]: "0", [size]: "100%" });
  const frame = mark ? h("i.mark", { style: { ...within(mark[0], rows, "top", "height"), ...within(mark[1], cols, "left", "width") } }) : null;
  const overhead = across && cols <= NAMED ? h("div.overhead", { "aria-hidden": "true", "data-many": CROWDS.find((many) => cols > many) }, ...across.map((text, i) => h(`span.token${i === mark?.[1] ? ".now" : ""}`, {}, text))) : null;
  overhead?.style.setProperty("--count", String(cols));
  return h(
    `div.map${large ? ".large" : ""}${labels ? ".labelled" : ""}${across ? ".across" : ""}`,
    {},
    overhead,
    labels && rows <= NAMED ? h("div.side", { "aria-hidden": "true" }, ...labels.map((text, i) => h(`span.token${i === mark?.[0] ? ".now" : ""}`, {}, text))) : null,
    h("div.sheet", {}, canvas, frame),
    h("small", { "aria-hidden": "true" }, `${rows} × ${cols}`),
  );
}

/** So many columns have room for numbers beside one another. */
const UPRIGHT = 8;

/** @param {import("./parts.js").ChartPart} part */
function drawChart({ name, values, labels, marked }) {
  const top = Math.max(...Array.from(values), 1e-12);
  return h(
    `div.plot-bars${values.length > UPRIGHT ? ".many" : ""}`,
    { role: "img", "aria-label": `${name}: ${ranging(values)}` },
    ...Array.from(values, (value, i) =>
      h(
        `div.column${i === marked ? ".now" : ""}`,
        { title: `${labels[i]}: ${exact(value)}` },
        h("span.number", { "aria-hidden": "true" }, written(value)),
        h("span.shaft", {}, h("i", { style: { height: `${(100 * Math.max(0, value)) / top}%` } })),
        h("span.token", {}, labels[i]),
      ),
    ),
  );
}

/** The likeliest first. @param {import("./parts.js").RankedPart} part */
function drawRanked({ name, rows }) {
  return h(
    "ol.ranks",
    { "aria-label": name },
    ...rows.map(({ text, value, lit }) =>
      h(`li${lit ? ".now" : ""}`, {}, h("span.token", { dir: "auto" }, text), h("span.number", { title: `${name}: ${exact(value)}` }, written(value)), h("span.track", { "aria-hidden": "true" }, h("i", { style: { width: `${100 * value}%` } }))),
    ),
  );
}

/** Several rows of numbers over the same words, each as a share of its largest. @param {import("./parts.js").CurvesPart} part */
function drawCurves({ name, labels, curves }) {
  const [width, height] = [100 * Math.max(1, labels.length - 1), 100];
  const drawn = curves.map(({ values }, which) => {
    const top = Math.max(...values, 1e-30);
    const points = values.map((value, i) => `${100 * i},${(height - (height * value) / top).toFixed(3)}`).join(" ");
    return s("polyline", { class: `curve curve-${which % 6}`, points });
  });
  return h(
    "div.plot-lines",
    { role: "img", "aria-label": `${name}: ${curves.map(({ name: of, values }) => t("steps.from-to", { name: of, first: written(values[0]), last: written(values[values.length - 1]) })).join("; ")}` },
    h("ul.legend", {}, ...curves.map(({ name: of }, which) => h("li", {}, s("svg", { viewBox: "0 0 24 8", class: "sample" }, s("line", { class: `curve curve-${which % 6}`, x1: 0, y1: 4, x2: 24, y2: 4 })), of))),
    h("div.scale", { "aria-hidden": "true" }, h("span", {}, "1"), h("span", {}, "0")),
    s("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", class: "graph", "aria-hidden": "true" }, s("line", { class: "floor", x1: 0, y1: height, x2: width, y2: height }), s("line", { class: "floor", x1: 0, y1: 0, x2: width, y2: 0 }), ...drawn),
    h("div.under", { "aria-hidden": "true" }, ...labels.map((text) => h("span.token", {}, text))),
  );
}

/** A learned matrix: what it reads runs across, below the vector that it is multiplied with. @param {import("./parts.js").WeightsPart} part @param {Ways} ways */
function drawWeights({ name, rows, cols, values }, { theme }) {
  if (!values) return h("div.learned", { title: t("steps.learned-numbers", { name, rows, cols }) }, h("b", {}, ...subscripted(name)), h("span", {}, `${rows} × ${cols}`));
  return h("div.learned.drawn", {}, sheetOf(name, values, rows, cols, diverging(theme).pixels, signedBy(values)), h("small", { "aria-hidden": "true" }, `${rows} × ${cols}`));
}

/** Pairs of numbers as hands of a clock: grey before, lit after. @param {import("./parts.js").ClocksPart} part */
function drawClocks({ name, before, after }) {
  const half = before.length / 2;
  const shown = Math.min(half, 16);
  const hand = (/** @type {string} */ style, /** @type {ArrayLike<number>} */ of, /** @type {number} */ i, /** @type {number} */ size) => {
    const [x, y] = [of[i] / size, of[i + half] / size];
    return s("line", { class: style, x1: 0, y1: 0, x2: (9 * x).toFixed(2), y2: (-9 * y).toFixed(2) });
  };
  return h(
    "div.dials",
    { role: "img", "aria-label": name },
    ...Array.from({ length: shown }, (_, i) => {
      const size = Math.max(1e-9, Math.hypot(before[i], before[i + half]), Math.hypot(after[i], after[i + half]));
      return s("svg", { viewBox: "-10 -10 20 20", "aria-hidden": "true" }, s("circle", { r: 9.5 }), hand("was", before, i, size), hand("is", after, i, size));
    }),
  );
}

/** Step after step, what is made anew and what is kept. @param {import("./parts.js").TallyPart} part */
function drawTally({ name, first, across, rows }) {
  const cells = rows.flatMap(({ text, made, kept }, row) => [
    h("span.token.of", { dir: "auto" }, text),
    ...across.map((_, i) => h(`i.${first + i < kept ? "kept" : first + i < kept + made ? "made" : "none"}`, { style: { gridColumn: i + 2, gridRow: row + 2 } })),
  ]);
  return h(
    "div.tally",
    { role: "img", "aria-label": `${name}: ${rows.map(({ text, made, kept }) => t("gen.tally-row", { token: text, made, kept })).join("; ")}`, style: { gridTemplateColumns: ["max-content", ...across.map(() => "minmax(0, 1fr)")].join(" "), gridTemplateRows: ["auto", ...rows.map(() => "minmax(0, 1fr)"), "auto"].join(" ") } },
    h("span", {}),
    ...across.map((text) => h("span.token.top", { dir: "auto" }, text)),
    ...cells,
    h("p.legend", { "aria-hidden": "true" }, h("i.made"), ` ${t("gen.made")} `, h("i.kept"), ` ${t("gen.kept")}`),
  );
}

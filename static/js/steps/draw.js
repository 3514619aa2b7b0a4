// @ts-check
/** The parts of a scene as elements: vectors as strips of cells, weights as bars, matrices as heat maps. */
import { fit, look } from "../canvas.js";
import { diverging, place, ramp, signedPlace } from "../colors.js";
import { h, s } from "../dom.js";
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
  token: "minmax(3.5rem, max-content)",
  label: "max-content",
  box: "minmax(4.5rem, 7rem)",
  op: "max-content",
  number: "minmax(3.25rem, max-content)",
  strip: "minmax(5rem, 22rem)",
  bar: "minmax(3rem, 1fr)",
  wide: "minmax(8rem, 1fr)",
  matrix: "minmax(3rem, 2fr)",
  "matrix-large": "minmax(6rem, 5fr)",
};

/** @param {Scene} scene @param {Ways} ways @returns {HTMLElement} */
export function drawScene(scene, ways) {
  const lines = [scene.head ? drawLine(scene.head, ways, "head") : null, ...scene.lines.map((line) => drawLine(line, ways)), scene.foot ? drawLine(scene.foot, ways, "foot") : null];
  const titled = scene.titles ? h("div.line.titles", { "aria-hidden": "true" }, ...scene.titles.map((title) => h("span", {}, title))) : null;
  return h("div.scene", { style: { gridTemplateColumns: scene.columns.map((column) => WIDTHS[column]).join(" ") }, "data-columns": scene.columns.join(" "), "data-room": scene.lines.length <= SPACIOUS ? "large" : undefined }, titled, ...lines);
}

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
  phrase: ({ text }) => text,
  number: ({ value, name, strong, count }) => h(strong ? "b.number" : "span.number", { title: `${name}: ${exact(value)}` }, count ? value.toLocaleString("en") : written(value)),
  bar: drawBar,
  strip: drawStrip,
  matrix: drawMatrix,
  weights: ({ name, rows, cols }) => h("div.learned", { title: `${name}, ${rows} × ${cols} learned numbers` }, h("b", {}, lettered(name)), h("span", {}, `${rows} × ${cols}`)),
  chart: drawChart,
  clocks: drawClocks,
};

/** W_Q with its letter below the line. @param {string} name */
function lettered(name) {
  const [letter, below] = name.split("_");
  return h("span", {}, h("i", {}, letter), below ? h("sub", {}, below) : null);
}

/** @param {import("./parts.js").TokenPart} part @param {Ways} ways */
function drawToken({ text, quiet, query }, { choose }) {
  const name = `token${quiet ? ".special" : ""}`;
  if (query === undefined) return h(`span.${name}`, { dir: "auto" }, text);
  return h(`button.${name}`, { type: "button", dir: "auto", title: `Go through the steps for ${text}`, onclick: () => choose(query) }, text);
}

/** @param {import("./parts.js").BarPart} part @param {Ways} ways */
function drawBar({ value, top, signed }) {
  const size = Number.isFinite(value) && top > 0 ? Math.min(1, Math.abs(value) / top) : 0;
  const style = signed ? { width: `${50 * size}%`, left: value < 0 ? `${50 - 50 * size}%` : "50%" } : { width: `${100 * size}%`, left: "0" };
  return h(`span.track${signed ? ".signed" : ""}`, { "aria-hidden": "true" }, h(`i${value < 0 ? ".negative" : ""}`, { style }));
}

/** @param {import("./parts.js").StripPart} part @param {Ways} ways */
function drawStrip({ name, values, top = span(values), mark, share }, { theme, palette }) {
  const colors = share ? ramp(palette, theme) : diverging(theme);
  const step = (/** @type {number} */ x) => (share ? place(x, "linear", 1) : signedPlace(x, top));
  if (values.length <= FEW) {
    return h("span.digits", {}, ...Array.from(values, (x) => h("span.number", { title: `${name}: ${exact(x)}`, style: { background: colors.css[step(x)], color: colors.ink[step(x)] } }, written(x))));
  }
  const canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { role: "img", "aria-label": `${name}: ${values.length} numbers, from ${written(Math.min(...values))} to ${written(Math.max(...values))}` }));
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

/** @param {import("./parts.js").MatrixPart} part @param {Ways} ways */
function drawMatrix({ name, values, rows, cols, labels, across, weights, mark, large, fades }, { theme, palette }) {
  const colors = weights ? ramp(palette, theme) : diverging(theme);
  const top = weights ? 1 : span(values);
  const step = (/** @type {number} */ x) => (weights ? place(x, "linear", 1) : Number.isFinite(x) ? signedPlace(x, top) : -1);
  const canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { role: "img", "aria-label": `${name}: ${rows} by ${cols}` }));
  canvas.width = cols;
  canvas.height = rows;
  const image = new ImageData(cols, rows);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < values.length; i++) {
    const color = step(values[i]);
    pixels[i] = color < 0 || (fades !== undefined && i >= fades * cols) ? 0 : colors.pixels[color];
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  canvas.addEventListener("pointermove", (event) => {
    const row = Math.min(rows - 1, Math.floor((event.offsetY / canvas.clientHeight) * rows));
    const col = Math.min(cols - 1, Math.floor((event.offsetX / canvas.clientWidth) * cols));
    if (row >= 0 && col >= 0) canvas.title = `${name} [${row}, ${col}]: ${exact(values[row * cols + col])}`;
  });
  const frame = mark && mark[0] >= 0 ? h("i.mark", { style: { top: `${(100 * mark[0]) / rows}%`, height: `${100 / rows}%`, ...(mark[1] >= 0 ? { left: `${(100 * mark[1]) / cols}%`, width: `${100 / cols}%` } : { left: "0", width: "100%" }) } }) : null;
  const dense = Math.max(rows, cols) > 40;
  return h(
    `div.map${large ? ".large" : ""}${labels ? ".labelled" : ""}${across ? ".across" : ""}`,
    {},
    across && !dense ? h("div.top", { "aria-hidden": "true" }, ...across.map((text, i) => h(`span.token${i === mark?.[1] ? ".now" : ""}`, {}, text))) : null,
    labels && !dense ? h("div.side", { "aria-hidden": "true" }, ...labels.map((text, i) => h(`span.token${i === mark?.[0] ? ".now" : ""}`, {}, text))) : null,
    h("div.sheet", {}, canvas, frame),
    h("small", { "aria-hidden": "true" }, `${rows} × ${cols}`),
  );
}

/** @param {import("./parts.js").ChartPart} part */
function drawChart({ name, values, labels, marked }) {
  const top = Math.max(...Array.from(values), 1e-12);
  return h(
    "div.plot-bars",
    { role: "img", "aria-label": `${name}: from ${written(Math.min(...Array.from(values)))} to ${written(top)}` },
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

/** Draws nothing larger than it is asked to; kept here so that a picture of a scene has the page's ground. @param {HTMLElement} scene */
export function pictureOf(scene) {
  const canvas = document.createElement("canvas");
  const box = scene.getBoundingClientRect();
  const context = fit(canvas, box.width, box.height);
  const colors = look();
  context.fillStyle = colors.ground;
  context.fillRect(0, 0, box.width, box.height);
  for (const one of scene.querySelectorAll("canvas")) {
    const at = one.getBoundingClientRect();
    context.imageSmoothingEnabled = false;
    context.drawImage(one, at.left - box.left, at.top - box.top, at.width, at.height);
  }
  context.textBaseline = "middle";
  context.fillStyle = colors.ink;
  for (const one of scene.querySelectorAll(".token, .number, .op, .phrase")) {
    if (one.querySelector(".token, .number")) continue;
    const at = one.getBoundingClientRect();
    context.font = `${getComputedStyle(one).fontSize} ${colors.mono}`;
    context.fillText(one.textContent ?? "", at.left - box.left, at.top - box.top + at.height / 2);
  }
  return canvas;
}

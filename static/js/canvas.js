// @ts-check
/** What every canvas of the page needs: sharp pixels, the theme's colours, and room to draw in. */

/**
 * Gives a canvas the size it has on screen, in device pixels, and a context that draws in CSS pixels.
 * @param {HTMLCanvasElement} canvas @param {number} width @param {number} height
 */
export function fit(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** @typedef {{ground: string, well: string, ink: string, ink2: string, line: string, accent: string, mono: string, sans: string, unit: number, least: number, stroke: number, hatched: string}} Look hatched: the ground of what is not allowed; unit: a sixteenth of the page's type; least: the smallest letters, in pixels; stroke: how much thicker than a pixel lines are */

/** The theme, as canvases need it. @returns {Look} */
export function look() {
  const style = getComputedStyle(document.documentElement);
  const value = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  const least = parseFloat(value("--least")) || 0;
  return {
    ground: value("--ground"),
    well: value("--well"),
    ink: value("--ink"),
    ink2: value("--ink-2"),
    line: value("--line"),
    accent: value("--accent"),
    mono: value("--mono"),
    sans: value("--sans"),
    hatched: value("--hatched"),
    unit: Math.max(parseFloat(style.fontSize) / 16, least / 12),
    least,
    stroke: least ? 2 : 1,
  };
}

/** How many times typefaces have arrived: what was measured before that is to be measured again. */
export let faces = 0;

/** Canvases do not draw themselves anew when a typeface comes. @param {() => void} changed */
export function onFaces(changed) {
  document.fonts.addEventListener("loadingdone", () => {
    faces++;
    changed();
  });
}

/** @type {Map<string, CanvasPattern>} */
const hatches = new Map();

/** Slanted lines over the ground: no light can fall here. @param {CanvasRenderingContext2D} context @param {Look} colors @returns {CanvasPattern} */
export function hatch(context, { hatched, line, unit }) {
  if ("hatch" in context) return /** @type {any} */ (context).hatch({ hatched, line, unit }); // a pen has its own
  const ratio = window.devicePixelRatio || 1;
  const name = [hatched, line, unit, ratio].join();
  const kept = hatches.get(name);
  if (kept) return kept;
  const side = Math.round(6 * unit * ratio);
  const tile = document.createElement("canvas");
  tile.width = tile.height = side;
  const pen = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
  pen.fillStyle = hatched;
  pen.fillRect(0, 0, side, side);
  pen.strokeStyle = line;
  pen.lineWidth = ratio;
  pen.beginPath();
  for (const at of [-side, 0, side]) {
    pen.moveTo(at, side);
    pen.lineTo(at + side, 0);
  }
  pen.stroke();
  const pattern = /** @type {CanvasPattern} */ (context.createPattern(tile, "repeat"));
  pattern.setTransform(new DOMMatrix().scale(1 / ratio));
  hatches.set(name, pattern);
  return pattern;
}

/** @typedef {(context: CanvasRenderingContext2D) => void} Painter */

/** @type {WeakMap<HTMLCanvasElement, Painter>} */
const painters = new WeakMap();

/** Draws a canvas, and remembers how: a file of the picture is drawn by the same painter. @param {HTMLCanvasElement} canvas @param {CanvasRenderingContext2D} context @param {Painter} painter */
export function paint(canvas, context, painter) {
  painters.set(canvas, painter);
  painter(context);
}

/** @param {HTMLCanvasElement} canvas */
export const painterOf = (canvas) => painters.get(canvas);

/** Calls back when the element's room changes. @param {Element} element @param {() => void} draw */
export function onResize(element, draw) {
  let width = 0;
  let height = 0;
  new ResizeObserver(([entry]) => {
    const box = entry.contentRect;
    if (Math.abs(box.width - width) < 1 && Math.abs(box.height - height) < 1) return;
    width = box.width;
    height = box.height;
    draw();
  }).observe(element);
}

const KEPT_MEASURES = 1000;
let measures = 0;

/** Runs and leaves a performance measure that a benchmark can read. @template T @param {string} name @param {() => T} run @returns {T} */
export function measured(name, run) {
  const start = performance.now();
  const result = run();
  if (++measures % KEPT_MEASURES === 0) performance.clearMeasures();
  performance.measure(`headlight:${name}`, { start, end: performance.now() });
  return result;
}

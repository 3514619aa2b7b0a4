// @ts-check
/**
 * A sheet as pixels. It is drawn with the page's own typefaces: browsers show a picture of an SVG before the typefaces inside
 * it are read.
 */

/** The browser has no canvas of that size. */
export class TooLarge extends Error {}

/** Pixels of the file per pixel of the page. */
const SCALE = 2;

/** @param {Element} node @param {string} name */
const number = (node, name) => Number(node.getAttribute(name) ?? 0);

/** @param {SVGSVGElement} sheet @returns {Promise<Blob>} */
export async function pngOf(sheet) {
  const [x, y, width, height] = String(sheet.getAttribute("viewBox")).split(" ").map(Number);
  const canvas = Object.assign(document.createElement("canvas"), { width: SCALE * width, height: SCALE * height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(SCALE, 0, 0, SCALE, -SCALE * x, -SCALE * y);
  const defs = new Map([...sheet.querySelectorAll("defs > *")].map((one) => [`url(#${one.id})`, one]));
  for (const child of sheet.children) await draw(child, context, defs);
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new TooLarge())), "image/png"));
}

/** @param {Element} node @param {CanvasRenderingContext2D} context @param {Map<string, Element>} defs */
async function draw(node, context, defs) {
  context.save();
  context.globalAlpha *= Number(node.getAttribute("opacity") ?? 1);
  const clip = defs.get(node.getAttribute("clip-path") ?? "")?.firstElementChild;
  if (clip) {
    context.beginPath();
    context.rect(number(clip, "x"), number(clip, "y"), number(clip, "width"), number(clip, "height"));
    context.clip();
  }
  if (node.localName === "g") for (const child of node.children) await draw(child, context, defs);
  if (node.localName === "rect") shape(node, context, defs, box(node));
  if (node.localName === "path") {
    const matrix = node.getAttribute("transform")?.match(/-?\d[\d.e-]*/g)?.map(Number);
    if (matrix) context.transform(.../** @type {[number, number, number, number, number, number]} */ (matrix));
    shape(node, context, defs, new Path2D(node.getAttribute("d") ?? ""));
  }
  if (node.localName === "text") write(node, context);
  if (node.localName === "image") {
    const image = new Image();
    image.src = node.getAttribute("href") ?? "";
    await image.decode();
    context.imageSmoothingEnabled = !(/** @type {SVGElement} */ (node).style.imageRendering);
    context.drawImage(image, number(node, "x"), number(node, "y"), number(node, "width"), number(node, "height"));
  }
  context.restore();
}

/** @param {Element} node */
function box(node) {
  let [left, top, right, bottom] = [number(node, "x"), number(node, "y"), number(node, "x") + number(node, "width"), number(node, "y") + number(node, "height")];
  if (node.closest("[shape-rendering]")) [left, top, right, bottom] = [left, top, right, bottom].map((at) => Math.round(SCALE * at) / SCALE);
  const path = new Path2D();
  path.roundRect(left, top, right - left, bottom - top, number(node, "rx"));
  return path;
}

/** @param {Element} node @param {CanvasRenderingContext2D} context @param {Map<string, Element>} defs @param {Path2D} path */
function shape(node, context, defs, path) {
  const alpha = context.globalAlpha;
  const fill = node.getAttribute("fill") ?? "none";
  if (fill !== "none") {
    const pattern = defs.get(fill);
    context.globalAlpha = alpha * Number(node.getAttribute("fill-opacity") ?? 1);
    context.fillStyle = pattern ? tile(pattern, context) : fill;
    context.fill(path);
  }
  const stroke = node.getAttribute("stroke");
  if (stroke) {
    context.globalAlpha = alpha * Number(node.getAttribute("stroke-opacity") ?? 1);
    context.strokeStyle = stroke;
    context.lineWidth = number(node, "stroke-width");
    context.lineCap = /** @type {CanvasLineCap} */ (node.getAttribute("stroke-linecap") ?? "butt");
    context.setLineDash(node.getAttribute("stroke-dasharray")?.split(" ").map(Number) ?? []);
    context.stroke(path);
  }
}

/** @param {Element} pattern @param {CanvasRenderingContext2D} context */
function tile(pattern, context) {
  const side = Math.round(SCALE * number(pattern, "width"));
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.scale(SCALE, SCALE);
  for (const part of pattern.children) shape(part, pen, new Map(), part.localName === "rect" ? box(part) : new Path2D(part.getAttribute("d") ?? ""));
  const made = /** @type {CanvasPattern} */ (context.createPattern(canvas, "repeat"));
  made.setTransform(new DOMMatrix().scale(1 / SCALE));
  return made;
}

/** @param {Element} node @param {CanvasRenderingContext2D} context */
function write(node, context) {
  const [x, y, angle] = node.getAttribute("transform")?.match(/-?\d[\d.e-]*/g)?.map(Number) ?? [number(node, "x"), number(node, "y"), 0];
  const size = number(node, "font-size");
  const text = node.textContent ?? "";
  context.translate(x, y);
  context.rotate((angle * Math.PI) / 180);
  context.font = `${node.getAttribute("font-style") ?? ""} ${node.getAttribute("font-weight") ?? ""} ${size}px ${node.getAttribute("font-family")}`;
  context.letterSpacing = node.getAttribute("letter-spacing") ?? "0px";
  context.direction = node.getAttribute("direction") === "rtl" ? "rtl" : "ltr";
  context.textAlign = /** @type {const} */ ({ end: "end", middle: "center" })[node.getAttribute("text-anchor") ?? ""] ?? "start";
  context.fillStyle = node.getAttribute("fill") ?? "";
  context.globalAlpha *= Number(node.getAttribute("fill-opacity") ?? 1);
  context.fillText(text, 0, 0);
  const line = node.getAttribute("text-decoration");
  if (line) context.fillRect(0, line === "underline" ? size * 0.14 : size * -0.3, context.measureText(text).width * (context.direction === "rtl" ? -1 : 1), size / 14);
}

// @ts-check
/** Takes what a canvas would be told and writes it to a sheet: a view's own painter draws the file as it draws the screen. */
import { css, measuring } from "./sheet.js";

/** @typedef {import("./sheet.js").Sheet} Sheet */
/** @typedef {import("./sheet.js").Box} Box */

const FONT = /^(?:(italic|oblique|normal)\s+)?(?:(\d+|bold|normal)\s+)?([\d.]+)px\s+([^]+)$/;

/** As far as this page's painters use it; what is missing here fails loudly. */
export class Pen {
  fillStyle = "#000";
  strokeStyle = "#000";
  lineWidth = 1;
  globalAlpha = 1;
  font = "10px sans-serif";
  textAlign = "start";
  textBaseline = "alphabetic";
  imageSmoothingEnabled = true;
  /** @type {Record<string, any>[]} */
  #saved = [];
  #matrix = new DOMMatrix();
  /** @type {Box | null} */
  #clip = null;
  #path = "";
  /** @type {Box} */
  #extent = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  #rect = /** @type {Box | null} */ (null);

  /** @param {Sheet} sheet @param {number} left @param {number} top where the canvas stands */
  constructor(sheet, left, top) {
    this.sheet = sheet;
    this.#matrix.translateSelf(left, top);
  }

  save() {
    const { fillStyle, strokeStyle, lineWidth, globalAlpha, font, textAlign, textBaseline } = this;
    this.#saved.push({ own: { fillStyle, strokeStyle, lineWidth, globalAlpha, font, textAlign, textBaseline }, matrix: DOMMatrix.fromMatrix(this.#matrix), clip: this.#clip });
  }

  restore() {
    const { own, matrix, clip } = this.#saved.pop() ?? {};
    Object.assign(this, own);
    this.#matrix = matrix;
    this.#clip = clip;
  }

  /** @param {number} x @param {number} y */
  translate(x, y) {
    this.#matrix.translateSelf(x, y);
  }

  /** @param {number} angle */
  rotate(angle) {
    this.#matrix.rotateSelf((angle * 180) / Math.PI);
  }

  /** @param {number} x @param {number} y */
  #at(x, y) {
    return this.#matrix.transformPoint({ x, y });
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height @returns {Box} */
  #box(x, y, width, height) {
    const { x: left, y: top } = this.#at(x, y);
    return { left, top, right: left + width, bottom: top + height };
  }

  /** Within what is left of the canvas, and as opaque as it is told. @param {() => void} draw */
  #write(draw) {
    const faint = () => (this.globalAlpha < 1 ? this.sheet.group({ opacity: Math.round(this.globalAlpha * 1000) / 1000 }, draw) : draw());
    if (this.#clip) this.sheet.clipped(this.#clip, faint);
    else faint();
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  fillRect(x, y, width, height) {
    this.#write(() => this.sheet.rect(this.#box(x, y, width, height), this.fillStyle));
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  strokeRect(x, y, width, height) {
    this.#write(() => this.sheet.frame(this.#box(x, y, width, height), this.strokeStyle, this.lineWidth));
  }

  beginPath() {
    this.#path = "";
    this.#rect = null;
    this.#extent = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  }

  /** @param {string} letter @param {...number} places */
  #go(letter, ...places) {
    const written = [];
    for (let i = 0; i < places.length; i += 2) {
      const { x, y } = this.#at(places[i], places[i + 1]);
      const { left, top, right, bottom } = this.#extent;
      this.#extent = { left: Math.min(left, x), top: Math.min(top, y), right: Math.max(right, x), bottom: Math.max(bottom, y) };
      written.push(`${Math.round(x * 100) / 100} ${Math.round(y * 100) / 100}`);
    }
    this.#path += letter + written.join(" ");
  }

  /** @param {number} x @param {number} y */
  moveTo(x, y) {
    this.#go("M", x, y);
  }

  /** @param {number} x @param {number} y */
  lineTo(x, y) {
    this.#go("L", x, y);
  }

  /** @param {number} a @param {number} b @param {number} c @param {number} d @param {number} x @param {number} y */
  bezierCurveTo(a, b, c, d, x, y) {
    this.#go("C", a, b, c, d, x, y);
  }

  closePath() {
    this.#path += "Z";
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  rect(x, y, width, height) {
    this.#rect = this.#box(x, y, width, height);
    this.moveTo(x, y);
    this.lineTo(x + width, y);
    this.lineTo(x + width, y + height);
    this.lineTo(x, y + height);
    this.closePath();
  }

  /** To a rectangle: nothing else is clipped to here. */
  clip() {
    if (!this.#rect) throw new Error("only a rectangle can be clipped to");
    this.#clip = this.#rect;
  }

  fill() {
    const paint = this.sheet.paint("fill", this.fillStyle);
    if (paint && this.#path) this.#write(() => this.sheet.path(this.#path, paint, this.#extent));
  }

  stroke() {
    const paint = this.sheet.paint("stroke", this.strokeStyle);
    if (paint && this.#path) this.#write(() => this.sheet.path(this.#path, { fill: "none", "stroke-width": Math.round(this.lineWidth * 100) / 100, ...paint }, this.#extent));
  }

  #font() {
    const [, style = "normal", weight = "400", size = "10", family = "sans-serif"] = FONT.exec(this.font) ?? [];
    return { style, weight, size: Number(size), family };
  }

  /** @param {string} text */
  measureText(text) {
    const context = measuring();
    context.font = this.font;
    return context.measureText(text);
  }

  /** @param {string} text @param {number} x @param {number} y */
  fillText(text, x, y) {
    const font = this.#font();
    const context = measuring();
    context.font = css(font);
    // SVG's own names for other baselines are read differently by every program.
    const above = (/** @type {CanvasTextBaseline} */ baseline) => {
      context.textBaseline = baseline;
      return context.measureText("x").fontBoundingBoxAscent;
    };
    const down = above("alphabetic") - above(/** @type {CanvasTextBaseline} */ (this.textBaseline));
    context.textBaseline = "alphabetic";
    const { x: left, y: base } = this.#at(x, y + down);
    const anchor = /** @type {const} */ ({ right: "end", end: "end", center: "middle" })[this.textAlign] ?? "start";
    const angle = (Math.atan2(this.#matrix.b, this.#matrix.a) * 180) / Math.PI;
    this.#write(() => this.sheet.text(text, left, base, font, this.fillStyle, { anchor, angle }));
  }

  /** @param {HTMLCanvasElement} source @param {number} x @param {number} y @param {number} width @param {number} height */
  drawImage(source, x, y, width, height) {
    this.#write(() => this.sheet.picture(source, this.#box(x, y, width, height), !this.imageSmoothingEnabled));
  }

  /** What `hatch` fills with. @param {import("../canvas.js").Look} colors */
  hatch({ hatched, line, unit }) {
    return this.sheet.hatched(hatched, line, 6 * unit);
  }
}

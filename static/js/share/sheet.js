// @ts-check
/** A sheet of vector graphics that is drawn on from the top left: the one place that writes SVG for a file. */
import { s } from "../dom.js";

/** @typedef {{left: number, top: number, right: number, bottom: number}} Box */
/** @typedef {{style: string, weight: string, size: number, family: string}} Font size in pixels */
/** @typedef {Record<string, unknown>} Attributes */

/** Up to so many cells a picture of data is drawn as rectangles, which every program prints sharp. */
const FEW_CELLS = 64 * 64;
const MARGIN = 16; // pixels of ground around what is drawn
const NOWHERE = { left: -Infinity, top: -Infinity, right: Infinity, bottom: Infinity };

/** @param {number} x two decimals are a 50th of a millimetre in print */
const short = (x) => Math.round(x * 100) / 100;

/** @type {CanvasRenderingContext2D | null} */
let scratch = null;
/** A canvas that only measures. */
export const measuring = () => (scratch ??= /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d", { willReadFrequently: true })));

/** @param {Font} font */
export const css = ({ style, weight, size, family }) => `${style} ${weight} ${size}px ${family}`;

/** A colour as every program reads it, and its opacity; null where nothing would be seen. @param {string} color @returns {{color: string, opacity: number} | null} */
export function plain(color) {
  const context = measuring();
  context.clearRect(0, 0, 1, 1);
  context.fillStyle = "#000";
  context.fillStyle = color;
  const own = String(context.fillStyle);
  if (own.startsWith("#")) return { color: own, opacity: 1 };
  const [r, g, b, a] = (own.match(/[\d.]+/g) ?? []).map(Number);
  return a ? { color: `#${[r, g, b].map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`, opacity: a } : null;
}

/** @param {Box} a @param {Box} b @returns {Box} */
const common = (a, b) => ({ left: Math.max(a.left, b.left), top: Math.max(a.top, b.top), right: Math.min(a.right, b.right), bottom: Math.min(a.bottom, b.bottom) });

export class Sheet {
  #defs = s("defs");
  #top = s("g");
  #at = this.#top;
  #names = 0;
  /** @type {Box} what has been drawn on */
  #drawn = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  /** @type {Box} what can be seen of what is drawn now */
  #window = NOWHERE;
  /** @type {Map<string, Set<string>>} letters of each stack of typefaces */
  letters = new Map();

  /** @param {Box} box */
  #cover(box) {
    const seen = common(box, this.#window);
    if (seen.right <= seen.left || seen.bottom <= seen.top) return;
    const all = this.#drawn;
    this.#drawn = { left: Math.min(all.left, seen.left), top: Math.min(all.top, seen.top), right: Math.max(all.right, seen.right), bottom: Math.max(all.bottom, seen.bottom) };
  }

  /** @param {SVGElement} node */
  #define(node) {
    const name = `d${++this.#names}`;
    node.setAttribute("id", name);
    this.#defs.append(node);
    return `url(#${name})`;
  }

  /** Draws within a group. @param {Attributes} attributes @param {() => void} draw */
  group(attributes, draw) {
    const [outer, inner] = [this.#at, s("g", attributes)];
    this.#at = inner;
    draw();
    this.#at = outer;
    if (inner.childNodes.length) outer.append(inner);
  }

  /** Only what falls into the box is seen. @param {Box} box @param {() => void} draw */
  clipped(box, draw) {
    const before = this.#window;
    this.#window = common(before, box);
    const shape = s("rect", { x: short(box.left), y: short(box.top), width: short(box.right - box.left), height: short(box.bottom - box.top) });
    this.group({ "clip-path": this.#define(s("clipPath", {}, shape)) }, draw);
    this.#window = before;
  }

  /** Slanted lines on a ground. @param {string | null} ground @param {string} line @param {number} period pixels @returns {string} a fill */
  hatched(ground, line, period) {
    const behind = ground && plain(ground);
    const slant = [-period, 0, period].map((at) => `M${at} ${period}L${at + period} 0`).join("");
    return this.#define(
      s("pattern", { width: period, height: period, patternUnits: "userSpaceOnUse" }, behind ? s("rect", { width: period, height: period, fill: behind.color }) : null, s("path", { d: slant, stroke: plain(line)?.color, "stroke-width": 1 })),
    );
  }

  /** What a colour or a pattern is as attributes; null where nothing would be seen. @param {"fill" | "stroke"} name @param {string} color @param {number} [opacity] @returns {Attributes | null} */
  paint(name, color, opacity = 1) {
    if (color.startsWith("url(")) return { [name]: color };
    const own = color === "none" ? null : plain(color);
    const seen = (own?.opacity ?? 0) * opacity;
    return own && seen ? { [name]: own.color, [`${name}-opacity`]: seen < 1 ? short(seen) : undefined } : null;
  }

  /** @param {Box} box @param {string} fill @param {Attributes} [more] */
  rect({ left, top, right, bottom }, fill, more = {}) {
    const paint = this.paint("fill", fill);
    if (!paint || right <= left || bottom <= top) return;
    this.#at.append(s("rect", { x: short(left), y: short(top), width: short(right - left), height: short(bottom - top), ...paint, ...more }));
    this.#cover({ left, top, right, bottom });
  }

  /** The outline of a box, drawn in the middle of its edge. @param {Box} box @param {string} stroke @param {number} width @param {Attributes} [more] */
  frame({ left, top, right, bottom }, stroke, width, more = {}) {
    const paint = this.paint("stroke", stroke);
    if (!paint || !(width > 0)) return;
    this.#at.append(s("rect", { x: short(left), y: short(top), width: short(right - left), height: short(bottom - top), fill: "none", ...paint, "stroke-width": short(width), ...more }));
    this.#cover({ left: left - width / 2, top: top - width / 2, right: right + width / 2, bottom: bottom + width / 2 });
  }

  /** @param {string} d @param {Attributes} paint @param {Box} box what it covers */
  path(d, paint, box) {
    this.#at.append(s("path", { d, ...paint }));
    this.#cover(box);
  }

  /**
   * One line of text. @param {string} text @param {number} x @param {number} y of its baseline @param {Font} font @param {string} color
   * @param {{anchor?: "start" | "middle" | "end", angle?: number, more?: Attributes}} [how] angle: degrees around (x, y)
   */
  text(text, x, y, font, color, { anchor = "start", angle = 0, more = {} } = {}) {
    const paint = this.paint("fill", color);
    if (!paint || !text.trim() || !font.size) return;
    const { family, size, weight, style } = font;
    const node = s("text", {
      ...(angle ? { transform: `translate(${short(x)} ${short(y)}) rotate(${short(angle)})` } : { x: short(x), y: short(y) }),
      "font-family": family,
      "font-size": short(size),
      "font-weight": weight === "400" || weight === "normal" ? undefined : weight,
      "font-style": style === "normal" ? undefined : style,
      "text-anchor": anchor === "start" ? undefined : anchor,
      ...paint,
      ...more,
    });
    node.textContent = text;
    this.#at.append(node);
    this.spell(family, text);
    const context = measuring();
    context.font = css(font);
    const { width } = context.measureText(text);
    const from = { start: 0, middle: -width / 2, end: -width }[anchor];
    const turn = (angle * Math.PI) / 180;
    const corners = [[from, -size], [from + width, -size], [from, size / 3], [from + width, size / 3]].map(([a, b]) => [x + a * Math.cos(turn) - b * Math.sin(turn), y + a * Math.sin(turn) + b * Math.cos(turn)]);
    const [across, down] = [corners.map(([a]) => a), corners.map(([, b]) => b)];
    this.#cover({ left: Math.min(...across), top: Math.min(...down), right: Math.max(...across), bottom: Math.max(...down) });
  }

  /** Notes which letters a stack of typefaces has to show. @param {string} family @param {string} text */
  spell(family, text) {
    const known = this.letters.get(family) ?? new Set();
    for (const letter of text) known.add(letter);
    this.letters.set(family, known);
  }

  /** A canvas of data size: few cells as rectangles, many as one picture whose pixels stay pixels. @param {HTMLCanvasElement} canvas @param {Box} box @param {boolean} sharp */
  picture(canvas, box, sharp) {
    const { width, height } = canvas;
    if (!width || !height) return;
    if (!sharp || width * height > FEW_CELLS) {
      const look = sharp ? { style: { imageRendering: "pixelated" } } : {};
      this.#at.append(s("image", { x: short(box.left), y: short(box.top), width: short(box.right - box.left), height: short(box.bottom - box.top), preserveAspectRatio: "none", href: canvas.toDataURL("image/png"), ...look }));
      return this.#cover(box);
    }
    const copy = Object.assign(document.createElement("canvas"), { width, height });
    const context = /** @type {CanvasRenderingContext2D} */ (copy.getContext("2d", { willReadFrequently: true }));
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const pixels = new Uint32Array(data.buffer);
    const [w, h] = [(box.right - box.left) / width, (box.bottom - box.top) / height];
    this.group({ "shape-rendering": "crispEdges" }, () => {
      for (let row = 0; row < height; row++) {
        for (let col = 0, end; col < width; col = end) {
          const at = row * width + col;
          for (end = col + 1; end < width && pixels[row * width + end] === pixels[at]; ) end++;
          const [r, g, b, a] = data.subarray(4 * at, 4 * at + 4);
          this.rect({ left: box.left + col * w, top: box.top + row * h, right: box.left + end * w, bottom: box.top + (row + 1) * h }, `rgb(${r} ${g} ${b} / ${a / 255})`);
        }
      }
    });
  }

  /**
   * The whole sheet as a file, cut to what was drawn. @param {{ground: string, title: string, about: string, faces: string}} given about: a sentence for those who do not see it
   * @returns {SVGSVGElement}
   */
  file({ ground, title, about, faces }) {
    const { left, top, right, bottom } = this.#drawn;
    const [x, y] = [Math.floor(left - MARGIN), Math.floor(top - MARGIN)];
    const [width, height] = [Math.ceil(right + MARGIN) - x, Math.ceil(bottom + MARGIN) - y];
    const root = s("svg", { width, height, viewBox: `${x} ${y} ${width} ${height}`, role: "img", "font-variant-numeric": "tabular-nums" });
    const style = s("style");
    style.textContent = `${faces}\ntext { white-space: pre; font-variant-numeric: tabular-nums; }`;
    const background = s("rect", { x, y, width, height, fill: plain(ground)?.color });
    root.append(s("title", {}, title), s("desc", {}, about), style, this.#defs, background, this.#top);
    return /** @type {SVGSVGElement} */ (root);
  }
}

// @ts-check
/**
 * Any part of the page as it stands there, written as SVG: boxes, borders and text at their measured places, canvases by
 * their own painters. No foreignObject, which print programs do not read.
 */
import { look, painterOf } from "../canvas.js";
import { s } from "../dom.js";
import { embedded } from "./fonts.js";
import { Pen } from "./pen.js";
import { css, measuring, Sheet } from "./sheet.js";

/** @typedef {import("./sheet.js").Box} Box */
/** @typedef {{sheet: Sheet, dx: number, dy: number, open: Set<Element>}} Walk dx, dy: from the window to the sheet; open: what is drawn whole although it scrolls */

/** What one does things with is no part of a picture. */
const TOOLS = "input, select, textarea, progress, script, style, .icon, [data-tool]";
const SHAPES = "path, rect, circle, line, text";
const HATCH = /repeating-linear-gradient\(-45deg, (rgba?\([^)]*\)).* ([\d.]+)px\)/;
const SIDES = /** @type {const} */ (["Top", "Right", "Bottom", "Left"]);

/** @param {string} length */
const pixels = (length) => parseFloat(length) || 0;

/** @param {DOMRect} rect @param {Walk} walk @returns {Box} */
const placed = ({ left, top, right, bottom }, { dx, dy }) => ({ left: left + dx, top: top + dy, right: right + dx, bottom: bottom + dy });

/** @param {Box} box @param {number} by @returns {Box} */
const grown = ({ left, top, right, bottom }, by) => ({ left: left - by, top: top - by, right: right + by, bottom: bottom + by });

/** @param {CSSStyleDeclaration} style */
const fontOf = (style) => ({ style: style.fontStyle, weight: style.fontWeight, size: pixels(style.fontSize), family: style.fontFamily });

/**
 * @param {HTMLElement} root @param {{title: string, about: string}} words what it is, and what is seen, in words
 * @returns {Promise<SVGSVGElement>}
 */
export async function svgOf(root, words) {
  for (const moving of root.getAnimations({ subtree: true })) if (moving.effect?.getComputedTiming().endTime !== Infinity) moving.finish();
  const sheet = new Sheet();
  root.dataset.picture = ""; // words in place of the fields that they stand in
  const frame = root.getBoundingClientRect();
  // What fills the whole view and scrolls is drawn from its start to its end.
  const open = [...root.querySelectorAll("*")].filter((one) => one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1).filter((one) => {
    const box = one.getBoundingClientRect();
    return one.clientHeight > 0 && Math.abs(box.height - frame.height) < 2 && Math.abs(box.width - frame.width) < 2 && getComputedStyle(one).overflow !== "visible";
  });
  const scrolled = open.map((one) => /** @type {const} */ ([one, one.scrollLeft, one.scrollTop]));
  for (const one of open) one.scrollTo({ left: 0, top: 0, behavior: "instant" });
  const origin = root.getBoundingClientRect();
  drawElement(root, { sheet, dx: -origin.left, dy: -origin.top, open: new Set([root, ...open]) }, 0);
  delete root.dataset.picture;
  for (const [one, left, top] of scrolled) one.scrollTo({ left, top, behavior: "instant" });
  return sheet.file({ ...words, ground: look().ground, faces: await embedded(sheet.letters) });
}

/** @param {Element} element @param {Walk} walk @param {number} turned degrees that what stands around it is turned by */
function drawElement(element, walk, turned) {
  if (element.matches(TOOLS)) return;
  const style = getComputedStyle(element);
  if (style.display === "none" || style.clipPath.startsWith("inset(50%") || Number(style.opacity) === 0) return;
  if (style.visibility === "hidden" && !element.childElementCount) return;
  const draw = () => drawContent(element, style, walk, turned + angleOf(style));
  if (Number(style.opacity) < 1) walk.sheet.group({ opacity: style.opacity }, draw);
  else draw();
}

/** @param {CSSStyleDeclaration} style */
function angleOf({ transform, writingMode }) {
  const [a, b] = transform.startsWith("matrix(") ? transform.slice(7).split(",").map(Number) : [1, 0];
  return (Math.atan2(b, a) * 180) / Math.PI + (writingMode.startsWith("vertical") ? 90 : 0);
}

/** @param {Element} element @param {CSSStyleDeclaration} style @param {Walk} walk @param {number} turned */
function drawContent(element, style, walk, turned) {
  const { sheet } = walk;
  const box = placed(element.getBoundingClientRect(), walk);
  if (element instanceof SVGSVGElement) return drawInline(element, walk);
  if (style.visibility !== "hidden") drawBox(element, style, box, walk);
  if (element instanceof HTMLCanvasElement) {
    const painter = painterOf(element);
    if (painter) painter(/** @type {any} */ (new Pen(sheet, box.left, box.top)));
    else sheet.picture(element, box, style.imageRendering === "pixelated");
    return;
  }
  if (element instanceof HTMLImageElement) return;
  const inside = () => {
    for (const child of element.childNodes) {
      if (child instanceof Element) drawElement(child, walk, turned);
      else if (child instanceof Text && style.visibility !== "hidden") drawText(child, element, style, walk, turned);
    }
    drawMath(element, style, walk);
    drawBefore(element, box, sheet);
  };
  const hides = style.overflow !== "visible" && !walk.open.has(element) && element.clientWidth > 0;
  if (hides && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1)) sheet.clipped(box, inside);
  else inside();
}

/** Ground, hatching, borders and rings. @param {Element} element @param {CSSStyleDeclaration} style @param {Box} box @param {Walk} walk */
function drawBox(element, style, box, { sheet }) {
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  const radius = style.borderTopLeftRadius.endsWith("%") ? (Math.min(width, height) * pixels(style.borderTopLeftRadius)) / 100 : Math.min(pixels(style.borderTopLeftRadius), width / 2, height / 2);
  const round = (/** @type {number} */ by) => (radius ? { rx: Math.max(0, radius + by) } : {});
  // Words that break over lines have a box for each.
  const boxes = style.display === "inline" ? [...element.getClientRects()].map((one) => ({ left: one.left + box.left - element.getBoundingClientRect().left, top: one.top + box.top - element.getBoundingClientRect().top, right: 0, bottom: 0, width: one.width, height: one.height })).map(({ left, top, width: w, height: h }) => ({ left, top, right: left + w, bottom: top + h })) : [box];
  const [, line, period] = HATCH.exec(style.backgroundImage) ?? [];
  for (const one of boxes) {
    for (const shadow of rings(style.boxShadow)) if (!shadow.inset) sheet.frame(grown(one, shadow.spread / 2), shadow.color, shadow.spread, round(shadow.spread / 2));
    sheet.rect(one, style.backgroundColor, round(0));
    if (line) sheet.rect(one, sheet.hatched(null, line, Number(period)), round(0));
    for (const shadow of rings(style.boxShadow)) {
      if (shadow.inset && shadow.x) sheet.rect({ ...one, right: one.left + shadow.x }, shadow.color);
      else if (shadow.inset) sheet.frame(grown(one, -shadow.spread / 2), shadow.color, shadow.spread, round(-shadow.spread / 2));
    }
  }
  const borders = SIDES.map((side) => ({ width: pixels(style[`border${side}Width`]), color: style[`border${side}Color`], kind: style[`border${side}Style`] })).map((one) => (one.kind === "none" ? { ...one, width: 0 } : one));
  const [top, right, bottom, left] = borders;
  if (borders.every(({ width: w, color }) => w === top.width && color === top.color)) {
    const dashes = top.kind === "dashed" ? { "stroke-dasharray": `${3 * top.width} ${2 * top.width}` } : {};
    if (top.width) sheet.frame(grown(box, -top.width / 2), top.color, top.width, { ...round(-top.width / 2), ...dashes });
    return;
  }
  if (top.width) sheet.rect({ ...box, bottom: box.top + top.width }, top.color);
  if (bottom.width) sheet.rect({ ...box, top: box.bottom - bottom.width }, bottom.color);
  if (left.width) sheet.rect({ ...box, right: box.left + left.width }, left.color);
  if (right.width) sheet.rect({ ...box, left: box.right - right.width }, right.color);
}

/** Sharp shadows are rings around a box, or bars along its start; soft ones belong to what floats above the page. @param {string} shadow */
function rings(shadow) {
  if (shadow === "none") return [];
  return shadow.split(/,(?![^(]*\))/).flatMap((one) => {
    const color = /(rgba?|color|oklch|oklab)\([^)]*\)|#\w+/.exec(one)?.[0] ?? "";
    const [x, , blur, spread] = one.replace(color, "").match(/-?[\d.]+px/g)?.map(pixels) ?? [];
    return color && !blur ? [{ color, x, spread, inset: one.includes("inset") }] : [];
  });
}

/** @param {Text} node @param {Element} parent @param {CSSStyleDeclaration} style @param {Walk} walk @param {number} turned */
function drawText(node, parent, style, walk, turned) {
  if (!node.data.trim()) return;
  const range = document.createRange();
  const font = fontOf(style);
  if (parent.localName === "mi" && [...node.data.trim()].length === 1) font.style = "italic"; // variables, as in every formula
  const context = measuring();
  context.font = css(font);
  const { fontBoundingBoxAscent: ascent, fontBoundingBoxDescent: descent } = context.measureText("x");
  const right = style.direction === "rtl";
  const decoration = /underline|line-through/.exec(style.textDecorationLine)?.[0];
  const more = { ...(style.letterSpacing === "normal" ? {} : { "letter-spacing": style.letterSpacing }), ...(right ? { direction: "rtl" } : {}), ...(decoration ? { "text-decoration": decoration } : {}) };
  for (const { text, rect } of linesOf(node, range, style)) {
    const box = placed(rect, walk);
    const quarter = Math.round(turned / 90) % 4;
    const words = joined(shortened(text, parent, style, context), parent);
    const across = quarter % 2 ? box.right - box.left : box.bottom - box.top;
    const base = (across - ascent - descent) / 2;
    if (quarter === -1 || quarter === 3) walk.sheet.text(words, box.left + base + ascent, box.bottom, font, style.color, { angle: -90, more });
    else if (quarter === 1) walk.sheet.text(words, box.right - base - ascent, box.top, font, style.color, { angle: 90, more });
    else walk.sheet.text(words, right ? box.right : box.left, box.top + base + ascent, font, style.color, { more });
  }
}

/** The lines of a text as they broke, without the white space that is not shown. @param {Text} node @param {Range} range @param {CSSStyleDeclaration} style */
function linesOf(node, range, style) {
  const kept = style.whiteSpace.startsWith("pre") || style.whiteSpace === "break-spaces";
  range.selectNodeContents(node);
  const rects = [...range.getClientRects()].filter(({ width, height }) => width > 0 && height > 0);
  const seen = (/** @type {number} */ from, /** @type {number} */ to) => {
    range.setStart(node, from);
    range.setEnd(node, to);
    return range.getBoundingClientRect();
  };
  const collapsed = (/** @type {string} */ text) => (kept ? text : text.replace(/\s+/g, " "));
  if (rects.length === 1) {
    const { data } = node;
    const [start, end] = [data.search(/\S/), data.trimEnd().length];
    const before = start > 0 && (kept || seen(start - 1, start).width > 0) ? start - 1 : start;
    return [{ text: collapsed(data.slice(kept ? 0 : before, kept ? undefined : end)), rect: rects[0] }];
  }
  /** @type {{text: string, rect: DOMRect}[]} */
  const lines = [];
  let at = 0;
  for (const letter of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(node.data)) {
    const rect = seen(at, (at += letter.segment.length));
    if (!rect.width && !rect.height) continue;
    const line = lines.at(-1);
    if (line && Math.abs(line.rect.top - rect.top) < rect.height / 2) {
      line.text += letter.segment;
      const [from, to] = [Math.min(line.rect.left, rect.left), Math.max(line.rect.right, rect.right)];
      line.rect = new DOMRect(from, line.rect.top, to - from, line.rect.height);
    } else if (letter.segment.trim() || kept) lines.push({ text: letter.segment, rect });
  }
  return lines.map(({ text, rect }) => ({ text: collapsed(text), rect }));
}

/** What is cut off with three dots on the page is here as well. @param {string} text @param {Element} parent @param {CSSStyleDeclaration} style @param {CanvasRenderingContext2D} context */
function shortened(text, parent, style, context) {
  if (style.textOverflow !== "ellipsis" || parent.scrollWidth <= parent.clientWidth + 1) return text;
  const room = parent.clientWidth - pixels(style.paddingLeft) - pixels(style.paddingRight);
  const letters = [...text];
  while (letters.length && context.measureText(`${letters.join("")}…`).width > room) letters.pop();
  return `${letters.join("")}…`;
}

const JOINING = /\p{Script=Arabic}/u;

/** Letters that join keep their forms where a word is cut into tokens. @param {string} text @param {Element} parent */
function joined(text, parent) {
  const [before, after] = [parent.previousSibling?.textContent?.at(-1) ?? "", parent.nextSibling?.textContent?.at(0) ?? ""];
  const meets = (/** @type {string} */ one, /** @type {string | undefined} */ other) => JOINING.test(one) && JOINING.test(other ?? "");
  return `${meets(before, text[0]) ? "\u200d" : ""}${text}${meets(after, text.at(-1)) ? "\u200d" : ""}`;
}

/** The lines of a fraction and of a root, which the browser draws by itself. @param {Element} element @param {CSSStyleDeclaration} style @param {Walk} walk */
function drawMath(element, style, walk) {
  if (element.localName === "mfrac" && element.children.length === 2) {
    const [over, under] = [...element.children].map((one) => placed(one.getBoundingClientRect(), walk));
    const { left, right } = placed(element.getBoundingClientRect(), walk);
    const middle = (over.bottom + under.top) / 2;
    walk.sheet.rect({ left, right, top: middle - 0.5, bottom: middle + 0.5 }, style.color);
  }
  if (element.localName === "msqrt" && element.firstElementChild) {
    const box = placed(element.getBoundingClientRect(), walk);
    const inner = placed(element.firstElementChild.getBoundingClientRect(), walk).left - 1;
    const wide = inner - box.left;
    const low = box.bottom - 1;
    const places = [[box.left, low - (low - box.top) * 0.4], [box.left + wide * 0.3, low - (low - box.top) * 0.45], [box.left + wide * 0.55, low], [inner, box.top + 0.5], [box.right, box.top + 0.5]];
    const stroke = walk.sheet.paint("stroke", style.color);
    if (stroke) walk.sheet.path(`M${places.map((place) => place.map((x) => x.toFixed(2)).join(" ")).join("L")}`, { fill: "none", "stroke-width": 1, ...stroke }, box);
  }
}

/** A sign that stands in the middle of a part whose number is not shown yet. @param {Element} element @param {Box} box @param {Sheet} sheet */
function drawBefore(element, { left, top, right, bottom }, sheet) {
  const style = getComputedStyle(element, "::before");
  const [, sign] = /^"(.+)"$/.exec(style.content) ?? [];
  if (!sign || style.position !== "absolute") return;
  const font = fontOf(style);
  sheet.text(sign, (left + right) / 2, (top + bottom) / 2 + font.size * 0.35, font, style.color, { anchor: "middle" });
}

/** A drawing within the page, shape by shape, with the looks that style sheets give it. @param {SVGSVGElement} element @param {Walk} walk */
function drawInline(element, walk) {
  for (const one of /** @type {NodeListOf<SVGGraphicsElement>} */ (element.querySelectorAll(SHAPES))) {
    const matrix = one.getScreenCTM();
    if (!matrix || one.closest("defs, clipPath") || !one.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const style = getComputedStyle(one);
    const { a, b, c, d } = matrix;
    const [e, f] = [matrix.e + walk.dx, matrix.f + walk.dy];
    const draw = () => {
      if (one instanceof SVGTextElement) {
        if (!one.getNumberOfChars()) return;
        const { x, y } = one.getStartPositionOfChar(0);
        const font = fontOf(style);
        font.size *= Math.hypot(a, b);
        return walk.sheet.text(one.textContent ?? "", a * x + c * y + e, b * x + d * y + f, font, style.fill, { angle: (Math.atan2(b, a) * 180) / Math.PI });
      }
      const transform = `matrix(${[a, b, c, d, e, f].map((number) => Math.round(number * 1e4) / 1e4).join(" ")})`;
      const fill = walk.sheet.paint("fill", style.fill, Number(style.fillOpacity));
      const stroke = walk.sheet.paint("stroke", style.stroke, Number(style.strokeOpacity));
      const line = stroke && { ...stroke, "stroke-width": pixels(style.strokeWidth), "stroke-linecap": style.strokeLinecap === "butt" ? undefined : style.strokeLinecap };
      if (fill || stroke) walk.sheet.path(outline(one), { fill: "none", ...fill, ...line, transform }, placed(one.getBoundingClientRect(), walk));
    };
    let opacity = 1;
    for (let at = /** @type {Element | null} */ (one); at && at !== element; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    if (opacity < 1) walk.sheet.group({ opacity: opacity.toFixed(3) }, draw);
    else draw();
  }
}

/** @param {SVGGraphicsElement} shape @returns {string} the same as a path */
function outline(shape) {
  const of = (/** @type {string} */ name) => /** @type {any} */ (shape)[name].baseVal.value;
  if (shape instanceof SVGRectElement) {
    const r = Math.min(pixels(getComputedStyle(shape).rx), of("width") / 2, of("height") / 2);
    const [w, h] = [of("width") - 2 * r, of("height") - 2 * r];
    const corner = (/** @type {number} */ x, /** @type {number} */ y) => (r ? `a${r} ${r} 0 0 1 ${x * r} ${y * r}` : "");
    return `M${of("x") + r} ${of("y")}h${w}${corner(1, 1)}v${h}${corner(-1, 1)}h${-w}${corner(-1, -1)}v${-h}${corner(1, -1)}Z`;
  }
  if (shape instanceof SVGCircleElement) return `M${of("cx") - of("r")} ${of("cy")}a${of("r")} ${of("r")} 0 1 0 ${2 * of("r")} 0a${of("r")} ${of("r")} 0 1 0 ${-2 * of("r")} 0Z`;
  if (shape instanceof SVGLineElement) return `M${of("x1")} ${of("y1")}L${of("x2")} ${of("y2")}`;
  return shape.getAttribute("d") ?? "";
}

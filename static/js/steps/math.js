// @ts-check
/** Formulas as MathML, made of nodes. */

/** @typedef {string | number | MathMLElement} Term letters are variables, digits are numbers, anything else is an operator */

/** @param {string} tag @param {...Term} terms @returns {MathMLElement} */
function m(tag, ...terms) {
  const element = /** @type {MathMLElement} */ (document.createElementNS("http://www.w3.org/1998/Math/MathML", tag));
  element.append(...terms.map((term) => (term instanceof Node ? term : leaf(String(term)))));
  return element;
}

/** @param {string} text @returns {MathMLElement} */
function leaf(text) {
  const tag = /^[−-]?\d[\d.,]*(×10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?$/.test(text) || text === "∞" || text === "−∞" ? "mn" : /^[\p{L}]+$/u.test(text) ? "mi" : /^[\p{L}\d ]{2,}$/u.test(text) ? "mtext" : "mo";
  const element = /** @type {MathMLElement} */ (document.createElementNS("http://www.w3.org/1998/Math/MathML", tag));
  element.append(text);
  if (text === ",") for (const [side, room] of [["lspace", "0"], ["rspace", "0.25em"]]) element.setAttribute(side, room);
  return element;
}

/** @param {...Term} terms */
export const row = (...terms) => m("mrow", ...terms);
/** @param {Term} base @param {Term} below */
export const sub = (base, below) => m("msub", base, below);
/** @param {Term} base @param {Term} above */
export const sup = (base, above) => m("msup", base, above);
/** @param {Term} over @param {Term} under */
export const frac = (over, under) => m("mfrac", over, under);
/** @param {...Term} terms */
export const sqrt = (...terms) => m("msqrt", ...terms);
/** A letter with a stroke: what becomes of it. @param {string} letter */
export const primed = (letter) => m("mrow", letter, "′");
/** Plain words in a formula. @param {string} text */
export function words(text) {
  const element = m("mtext");
  element.append(text);
  return element;
}
/** @param {...Term} terms */
export const math = (...terms) => m("math", m("mrow", ...terms));
/** Several formulas below one another. @param {...Term[]} lines */
export const lines = (...lines) => math(m("mtable", ...lines.map((terms) => m("mtr", m("mtd", m("mrow", ...terms))))));
/** A sum over an index. @param {Term} index */
export const sum = (index) => m("munder", "∑", index);

// @ts-check
/** Making elements in few words. */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * @param {string} tag "tag", or "tag.class.class"
 * @param {Record<string, unknown>} [attributes] on…: listeners; style: an object, set through the CSSOM; the rest: attributes
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  return dress(element, attributes, children);
}

/** The same for SVG. @param {string} tag @param {Record<string, unknown>} [attributes] @param {...Child} children @returns {SVGElement} */
export function s(tag, attributes = {}, ...children) {
  return dress(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** @template {HTMLElement | SVGElement} E @param {E} element @param {Record<string, unknown>} attributes @param {Child[]} children @returns {E} */
function dress(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), /** @type {EventListener} */ (value));
    else if (key === "style") Object.assign(element.style, value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false) element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** @param {string} id @returns {any} the element; the template and this page are one thing, so it is there */
export const byId = (id) => document.getElementById(id);

/** @param {string} name @param {string} [size] */
export function icon(name, size = "") {
  const svg = s("svg", { class: `icon ${size}`, "aria-hidden": "true" });
  svg.append(s("use", { href: `#i-${name}` }));
  return svg;
}

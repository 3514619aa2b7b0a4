// @ts-check
/** The line below a picture that stands alone in a frame or a file: what it is of, and where the whole page is. */
import { byId } from "../dom.js";

/** Whether this page is the picture alone, */
export const alone = byId("whole-page") !== null;
/** and whether it is a file, without a server. */
export const filed = document.body.classList.contains("filed");

/**
 * @param {(id: string) => string} nameOf a model's name @param {string} [from] the page that a file was made from
 * @returns {(scene: import("../scene.js").Scene, link: string) => void}
 */
export function mountCredit(nameOf, from) {
  const [credit, whole] = [byId("credit"), byId("whole-page")];
  if (filed) whole.before(byId("theme"));
  return ({ trace }, link) => {
    credit.textContent = [nameOf(trace.model), trace.text, trace.pair].filter(Boolean).join(" · ");
    whole.href = new URL(new URL(link).hash, from ?? new URL("./", link)).href;
  };
}

// @ts-check
/** What the network says of this input, next word, class or number: its own, in a strip below the picture. */
import { h } from "../dom.js";
import { exact, number } from "../format.js";
import { label, quiet, textOf } from "../trace.js";

const LISTED = 5;

/** @typedef {{word: string, title: string, quiet: boolean, probability: number}} Guess */

/** What stands in the strip: a heading, and what is likeliest under it. @param {import("../scene.js").Scene} scene @returns {{name: string, heading: any[], guesses: Guess[]} | null} */
function contents({ trace, chosen }) {
  const said = trace.prediction;
  if (!said) return null;
  if (said.number !== undefined) {
    return { name: "number", heading: ["Says ", h("span.value", { title: exact(said.number) }, number(said.number))], guesses: [] };
  }
  if (said.labels) {
    const guesses = said.labels.map(({ label: word, probability }) => ({ word, title: word, quiet: false, probability }));
    return { name: "labels", heading: ["Class"], guesses: guesses.sort((a, b) => b.probability - a.probability) };
  }
  // Of several predicted places the one in question, else the last.
  const positions = said.positions ?? [];
  const place = positions.find(({ position }) => position === chosen?.query) ?? positions.at(-1);
  if (!place) return null;
  const tokens = trace.tokens[said.stack];
  const after = place.position === tokens.length - 1;
  return {
    name: `${place.position}`,
    heading: [after ? "Next after " : "In place of ", h("span.token", { dir: "auto" }, label(tokens[place.position]))],
    guesses: place.top.map(({ id, text, piece, probability }) => {
      const token = /** @type {any} */ ({ text, piece, special: false });
      const title = quiet(token) ? `token ${id}, a part of a letter` : text;
      return { word: textOf(token), title, quiet: quiet(token), probability };
    }),
  };
}

/** @param {Guess} guess */
const drawn = ({ word, title, quiet: byte, probability }) =>
  h(
    "li",
    { title: `${title}: ${exact(probability)}` },
    h(`span.token${byte ? ".byte" : ""}`, { dir: "auto" }, word),
    h("span.value", {}, number(probability)),
    h("span.bar", { "aria-hidden": "true" }, h("i", { style: { width: `${100 * probability}%` } })),
  );

/** @param {HTMLElement} host */
export function mountNext(host) {
  let shown = "";
  return {
    /** @param {import("../scene.js").Scene} scene */
    update(scene) {
      const strip = contents(scene);
      host.hidden = !strip;
      const name = `${scene.trace.id} ${strip?.name}`;
      if (!strip || name === shown) return;
      shown = name;
      host.replaceChildren(h("h3", {}, ...strip.heading), h("ol", {}, ...strip.guesses.slice(0, LISTED).map(drawn)));
    },
  };
}

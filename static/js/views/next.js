// @ts-check
/** What the network would say next: its own probabilities, in a strip below the picture. */
import { h } from "../dom.js";
import { exact, number } from "../format.js";
import { label, quiet, textOf } from "../trace.js";

const LISTED = 5;

/** @param {HTMLElement} host */
export function mountNext(host) {
  let drawn = "";
  return {
    /** @param {import("../scene.js").Scene} scene */
    update({ trace, chosen }) {
      const positions = trace.prediction?.positions ?? [];
      // Of several predicted places the one in question, else the last.
      const place = positions.find(({ position }) => position === chosen?.query) ?? positions.at(-1);
      host.hidden = !place;
      const name = `${trace.id} ${place?.position}`;
      if (!place || name === drawn) return;
      drawn = name;
      const tokens = trace.tokens[/** @type {any} */ (trace.prediction).stack];
      const last = tokens[place.position];
      const after = place.position === tokens.length - 1;
      host.replaceChildren(
        h("h3", {}, after ? "Next after " : "In place of ", h("span.token", { dir: "auto" }, label(last))),
        h(
          "ol",
          {},
          ...place.top.slice(0, LISTED).map(({ id, text, piece, probability }) => {
            const token = /** @type {any} */ ({ text, piece, special: false });
            const broken = quiet(token);
            return h(
              "li",
              { title: `${broken ? `token ${id}, a part of a letter` : text}: ${exact(probability)}` },
              h(`span.token${broken ? ".byte" : ""}`, { dir: "auto" }, textOf(token)),
              h("span.value", {}, number(probability)),
              h("span.bar", { "aria-hidden": "true" }, h("i", { style: { width: `${100 * probability}%` } })),
            );
          }),
        ),
      );
    },
  };
}

// @ts-check
/** What the network says of this input: next words, classes or a number, its own, in a strip below the picture. */
import { h } from "../dom.js";
import { exact, number, percent } from "../format.js";
import { label, quiet, textOf } from "../trace.js";
import { apart, phrase, t } from "../words.js";

const LISTED = 5;

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {{word: string, title: string, quiet: boolean, probability: number}} Guess */
/** @typedef {{stack: string, index: number}} Place a token */
/** @typedef {{lookAt: (stack: string, index: number | null, hold?: boolean) => void, putInPlace: (mask: string) => void}} Actions */

/** The strip's rows: everything that the network says. @param {import("../trace.js").TraceBody} trace @param {Actions} actions @returns {HTMLElement[]} */
function rows({ prediction: said, tokens: all, pair }, actions) {
  if (!said) return [];
  const tokens = all[said.stack];
  const found = [];
  if (said.number !== undefined) found.push(row(phrase("next.says", { number: h("span.value", { title: exact(said.number) }, number(said.number)) })));
  if (said.token_labels) found.push(classes(said.token_labels, tokens, said.stack, actions));
  if (said.labels) {
    const guesses = said.labels.map(({ label: word, probability }) => ({ word, title: word, quiet: false, probability }));
    const heading = t(tokens.length && pair != null ? "next.class-pair" : "next.class");
    found.push(row([heading], guesses.sort((a, b) => b.probability - a.probability)));
  }
  if (said.positions?.length === 0) {
    // Vocabularies write all their special tokens in one way.
    const mask = tokens.some(({ special, piece }) => special && piece.startsWith("[")) ? "[MASK]" : "<mask>";
    const example = h("button.quiet", { type: "button", onclick: () => actions.putInPlace(mask) }, t("next.mask"));
    found.push(row([...phrase("next.write-mask", { mask: h("span.token", {}, mask) }), " ", example]));
  }
  const places = said.positions ?? [];
  const after = (/** @type {number} */ position) => position === tokens.length - 1;
  for (const [nth, { position, top }] of places.entries()) {
    const name = label(tokens[position]);
    const many = places.filter((one) => label(tokens[one.position]) === name).length > 1;
    const chip = h("button.token", { type: "button", dir: "auto", "data-at": position, ...pointing({ stack: said.stack, index: position }, actions) }, name, many ? h("sub", {}, nth + 1) : null);
    found.push(
      row(
        phrase(after(position) ? "next.after" : "next.in-place", { token: chip }),
        top.map(({ id, text, piece, probability }) => {
          const token = /** @type {any} */ ({ text, piece, special: false });
          const title = quiet(token) ? t("next.part-of-letter", { id }) : text;
          return { word: textOf(token), title, quiet: quiet(token), probability };
        }),
      ),
    );
  }
  return found;
}

/** Pointing at a token here points at it in the picture, and a click holds it there. @param {Place} place @param {Actions} actions */
const pointing = ({ stack, index }, { lookAt }) => ({
  onclick: () => lookAt(stack, index, true),
  onpointerenter: (/** @type {PointerEvent} */ event) => event.pointerType !== "touch" && lookAt(stack, index),
  onpointerleave: () => lookAt(stack, null),
});

/** @param {import("../dom.js").Child[]} heading @param {Guess[]} guesses */
const row = (heading, guesses = []) => h("div.said", {}, h("h3", {}, ...heading), guesses.length ? h("ol", {}, ...guesses.slice(0, LISTED).map(drawn)) : null);

/** @param {Guess} guess */
const drawn = ({ word, title, quiet: byte, probability }) =>
  h(
    "li",
    { title: `${apart(title)}: ${exact(probability)}` },
    h(`span.token${byte ? ".byte" : ""}`, { dir: "auto" }, word),
    h("span.value", {}, number(probability)),
    bar(probability),
  );

const bar = (/** @type {number} */ probability) => h("span.bar", { "aria-hidden": "true" }, h("i", { style: { width: `${100 * probability}%` } }));

/**
 * Every token, and below it its class.
 * @param {{label: string, probability: number}[]} labels @param {import("../trace.js").Token[]} tokens @param {string} stack @param {Actions} actions
 */
const classes = (labels, tokens, stack, actions) =>
  h(
    "div.said",
    {},
    h("h3", {}, t("next.class-each")),
    h(
      "ol.classes",
      {},
      ...labels.map(({ label: name, probability }, index) =>
        h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              "data-at": index,
              title: `${name}: ${exact(probability)}`,
              "aria-label": `${label(tokens[index])}: ${name}, ${percent(probability)}`,
              ...pointing({ stack, index }, actions),
            },
            h(`span.token${quiet(tokens[index]) ? ".byte" : ""}`, { dir: "auto" }, label(tokens[index])),
            h("b", {}, name),
            bar(probability),
          ),
        ),
      ),
    ),
  );

/** Brings a token into sight without moving the page. @param {HTMLElement} button @param {HTMLElement} host */
function reveal(button, host) {
  const inner = button.getBoundingClientRect();
  const strip = host.getBoundingClientRect();
  host.scrollTop += Math.min(0, inner.top - strip.top) + Math.max(0, inner.bottom - strip.bottom);
  const list = button.closest("ol");
  const row = list?.getBoundingClientRect();
  if (list && row) list.scrollLeft += Math.min(0, inner.left - row.left) + Math.max(0, inner.right - row.right);
}

/** @param {HTMLElement} host @param {Actions} actions */
export function mountNext(host, actions) {
  let shown = "";
  let lit = -1;
  return {
    /** @param {Scene} scene */
    update({ trace, attention, chosen, state, site, step }) {
      if (trace.id !== shown) {
        shown = trace.id;
        lit = -1;
        const made = rows(trace, actions);
        host.replaceChildren(...made);
      }
      // Beside every step's distribution, the last one's would say the same again; and of a translation that is told to a class, it would say that it ends.
      const told = state.present !== "off" && trace.tokens.encoder && trace.tokens.decoder;
      host.hidden = state.view === "generate" || Boolean(told) || !host.childElementCount;
      const tokens = trace.tokens[trace.prediction?.stack ?? ""];
      const at = state.view === "states" ? (site && trace.tokens[site.stack] === tokens ? step?.time : null) : attention?.queries === tokens ? chosen?.query : attention?.keys === tokens ? chosen?.key : null;
      if (lit === (at ?? -1)) return;
      lit = at ?? -1;
      for (const button of /** @type {NodeListOf<HTMLElement>} */ (host.querySelectorAll("[data-at]"))) {
        const own = Number(button.dataset.at) === lit;
        button.setAttribute("aria-pressed", String(own));
        if (own) reveal(button, host);
      }
    },
  };
}

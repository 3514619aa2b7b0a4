// @ts-check
/** The sentence itself, tinted by what the chosen token attends to, or by what attends to it. */
import { place } from "../colors.js";
import { h } from "../dom.js";
import { number } from "../format.js";
import { columnOf, rowOf, strongest } from "../matrix.js";
import { liveQuery } from "../scene.js";

/** @typedef {import("../scene.js").Scene} Scene */

/** Weights of every visible token as seen from the chosen one. @param {Scene} scene @param {import("../scene.js").Head} head */
export function seenFrom(scene, head) {
  const { state, queries, keys } = scene;
  const token = liveQuery(scene);
  if (state.direction === "to") {
    const row = queries.indexOf(token);
    return { token, tokens: keys, weights: row < 0 ? rowOf(head.whole, token) : rowOf(head.shown, row) };
  }
  const col = keys.indexOf(token);
  return { token, tokens: queries, weights: columnOf(head.shown, Math.max(0, col)) };
}

/** @param {HTMLElement} host @param {import("./heatmap.js").Actions} actions */
export function mountText(host, { point, lock }) {
  const prose = h("div.prose", { role: "group", "aria-label": "The sentence, tinted by attention" });
  const ranking = h("ol.ranking", { "aria-label": "Strongest" });
  const title = h("p.aside");
  host.append(h("div.reading", {}, prose, h("div.ranked", {}, title, ranking)));
  let drawn = "";
  /** @type {Map<number, HTMLElement>} */
  const chips = new Map();

  /** @param {Scene} scene */
  function build({ trace, state, attention, queries, keys }) {
    const apart = state.direction === "to" ? attention.keys : attention.queries;
    const shown = state.direction === "to" ? keys : queries;
    const name = [trace.id, attention.stack, attention.block.name, state.special, state.direction].join();
    if (name === drawn) return;
    drawn = name;
    chips.clear();
    prose.replaceChildren();
    let line = h("p", { dir: "auto" });
    let segment = apart[shown[0]]?.segment;
    prose.append(line);
    for (const i of shown) {
      const token = apart[i];
      if (token.segment !== segment) {
        line = h("p", { dir: "auto" });
        prose.append(line);
        segment = token.segment;
      }
      if (!token.continues && line.childNodes.length) line.append(" ");
      const chip = h(
        `button.word${token.special ? ".special" : ""}${token.continues ? ".glued" : ""}`,
        {
          type: "button",
          onpointerenter: (/** @type {PointerEvent} */ e) => e.pointerType !== "touch" && point(i, null),
          onpointerleave: () => point(null),
          onclick: () => lock(i, null),
        },
        token.text || token.piece,
      );
      chips.set(i, chip);
      line.append(chip);
    }
  }

  return {
    /** @param {Scene} scene */
    update(scene) {
      build(scene);
      const head = scene.heads[0];
      if (!head) return;
      const { ramp, state, attention } = scene;
      const { token, tokens, weights } = seenFrom(scene, head);
      tokens.forEach((i, at) => {
        const chip = chips.get(i);
        if (!chip) return;
        const step = weights[at] < state.threshold ? 0 : place(weights[at], state.scale);
        chip.style.background = step ? ramp.css[step] : "transparent";
        chip.style.color = step ? ramp.ink[step] : "";
        chip.title = `${number(weights[at])}`;
        chip.classList.toggle("chosen", i === token);
        chip.setAttribute("aria-pressed", String(scene.held?.query === i));
        chip.setAttribute("aria-label", `${chip.textContent}, ${number(weights[at])}`);
      });
      const all = state.direction === "to" ? attention.keys : attention.queries;
      const name = (state.direction === "to" ? attention.queries : attention.keys)[token];
      title.replaceChildren(h("b.token", {}, name.text || name.piece), state.direction === "to" ? " attends to" : " is attended by");
      ranking.replaceChildren(
        ...strongest(weights, 8).map((at) =>
          h(
            "li",
            {},
            h("span.token", {}, all[tokens[at]].text || all[tokens[at]].piece),
            h("span.bar", {}, h("i", { style: { width: `${100 * weights[at]}%` } })),
            h("span.value", { title: String(weights[at]) }, number(weights[at])),
          ),
        ),
      );
    },
  };
}

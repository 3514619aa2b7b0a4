// @ts-check
/** The sentence itself, tinted by what the chosen token attends to, or by what attends to it. */
import { place } from "../colors.js";
import { h } from "../dom.js";
import { number } from "../format.js";
import { strongest } from "../matrix.js";
import { seenFrom } from "../scene.js";

/** @typedef {import("../scene.js").Scene} Scene */

/** Which way a text runs, by its first letter that says so. @param {string} text */
const direction = (text) => (/^[^\p{L}]*[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u.test(text) ? "rtl" : "ltr");

const FAINT = 48;

/**
 * A word's colours. The page's own ramp starts at the ground, so its faint end fades in; the others start at a colour of their own.
 * @param {import("../colors.js").Ramp} ramp @param {number} step @param {boolean} fades
 */
function tint(ramp, step, fades) {
  if (!fades || step >= FAINT) return { background: ramp.css[step], color: ramp.ink[step] };
  return { background: ramp.css[step].replace(")", ` / ${(step / FAINT).toFixed(2)})`), color: "" };
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

  /** @param {KeyboardEvent} event @param {number} at */
  function key(event, at) {
    const places = [...chips.keys()];
    const here = places.indexOf(at);
    const forward = getComputedStyle(/** @type {Element} */ (event.target)).direction === "rtl" ? -1 : 1;
    const to = { ArrowRight: here + forward, ArrowDown: here + 1, ArrowLeft: here - forward, ArrowUp: here - 1, Home: 0, End: places.length - 1 }[event.key];
    if (to !== undefined) {
      const next = places[Math.min(places.length - 1, Math.max(0, to))];
      point(next, null);
      chips.get(next)?.focus();
    } else if (event.key === "Enter" || event.key === " ") lock(at, null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {Scene} scene */
  function build({ trace, state, attention, queries, keys }) {
    const apart = state.direction === "to" ? attention.keys : attention.queries;
    const shown = state.direction === "to" ? keys : queries;
    const name = [trace.id, attention.stack, attention.block.name, state.special, state.direction].join();
    if (name === drawn) return;
    drawn = name;
    chips.clear();
    prose.replaceChildren();
    const paragraph = (/** @type {number} */ segment) => h("p", { dir: direction((segment ? trace.pair : trace.text) ?? "") });
    let line = paragraph(apart[shown[0]]?.segment);
    let segment = apart[shown[0]]?.segment;
    let ends = -1;
    prose.append(line);
    for (const i of shown) {
      const token = apart[i];
      if (token.segment !== segment) {
        line = paragraph(token.segment);
        ends = -1;
        prose.append(line);
        segment = token.segment;
      }
      const glued = !token.special && token.start > 0 && token.start === ends;
      ends = token.special ? -1 : token.end;
      if (!glued && line.childNodes.length) line.append(" ");
      const chip = h(
        `span.word${token.special ? ".special" : ""}${glued ? ".glued" : ""}`,
        {
          role: "button",
          tabindex: -1,
          onpointerenter: (/** @type {PointerEvent} */ e) => e.pointerType !== "touch" && point(i, null),
          onpointerleave: () => point(null),
          onclick: () => lock(i, null),
          onkeydown: (/** @type {KeyboardEvent} */ e) => key(e, i),
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
      prose.dataset.length = tokens.length > 200 ? "long" : tokens.length > 60 ? "medium" : "short";
      tokens.forEach((i, at) => {
        const chip = chips.get(i);
        if (!chip) return;
        const step = weights[at] < state.threshold ? 0 : place(weights[at], state.scale, scene.top);
        const { background, color } = tint(ramp, step, state.palette === "light");
        chip.style.background = background;
        chip.style.color = color;
        chip.title = `${number(weights[at])}`;
        chip.tabIndex = i === token ? 0 : -1;
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

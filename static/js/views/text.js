// @ts-check
/** The sentence itself, tinted by what the chosen token attends to, or by what attends to it. */
import { place } from "../colors.js";
import { h } from "../dom.js";
import { number } from "../format.js";
import { strongest } from "../matrix.js";
import { direction, liveQuery, seenFrom } from "../scene.js";
import { attentionId, bytesOf, crosses, forbidden, saidFrom, sides, textOf } from "../trace.js";
import { leaves, points } from "../touch.js";
import { apart, phrase, runs, t } from "../words.js";

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {{chip: HTMLElement, at: number, side: "query" | "key"}} Word */

const FAINT = 48;

/**
 * A word's colours. The page's own ramp starts at the ground, so its faint end fades in; the others start at a colour of their own.
 * @param {import("../colors.js").Ramp} ramp @param {number} step @param {boolean} fades
 */
export function tint(ramp, step, fades) {
  if (!fades || step >= FAINT) return { background: ramp.css[step], color: ramp.ink[step] };
  return { background: ramp.css[step].replace(")", ` / ${(step / FAINT).toFixed(2)})`), color: "" };
}

/** @param {HTMLElement} host @param {import("./heatmap.js").Actions} actions */
export function mountText(host, { point, lock }) {
  const prose = h("div.prose", { role: "group", "aria-label": t("text.label") });
  const ranking = h("ol.ranking", { "aria-label": t("text.strongest") });
  const title = h("p.aside");
  host.append(h("div.reading", {}, prose, h("div.ranked", {}, title, ranking)));
  let drawn = "";
  /** @type {Word[]} */
  let words = [];
  /** @type {Scene | null} */
  let scene = null;

  /** @param {KeyboardEvent} event @param {Word} word */
  function key(event, word) {
    const row = words.filter(({ side }) => side === word.side);
    const here = row.indexOf(word);
    const forward = getComputedStyle(/** @type {Element} */ (event.target)).direction === "rtl" ? -1 : 1;
    const to = { ArrowRight: here + forward, ArrowDown: here + 1, ArrowLeft: here - forward, ArrowUp: here - 1, Home: 0, End: row.length - 1 }[event.key];
    if (to !== undefined) {
      const next = row[Math.min(row.length - 1, Math.max(0, to))];
      look(next, point);
      next.chip.focus();
    } else if (event.key === "Enter" || event.key === " ") look(word, lock);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Whether it is pointed at, or held. @param {Word} word */
  function there({ side, at }) {
    const here = scene?.cursor ?? scene?.held;
    return side === "query" ? here?.query === at && here.key === null : here?.key === at;
  }

  /** What a word stands for: within one sentence always the one that looks. @param {Word} word @param {(query: number, key: number | null) => void} act */
  function look({ side, at }, act) {
    if (side === "query") act(at, null);
    else act(liveQuery(/** @type {Scene} */ (scene)), at);
  }

  /** @param {Scene} now */
  function build({ trace, state, attention, queries, keys, near }) {
    const cross = crosses(attention);
    const name = [trace.id, attentionId(attention), state.special, cross ? "" : state.direction, near?.queries, near?.keys].join();
    if (name === drawn) return;
    drawn = name;
    words = [];
    prose.replaceChildren();
    if (attention.pools) write(prose, attention.keys, keys, "key", [trace.text, trace.pair], "");
    else if (cross) {
      write(prose, attention.keys, keys, "key", [trace.text], sides(attention).key);
      write(prose, attention.queries, queries, "query", [trace.target ?? ""], sides(attention).query);
    } else if (state.direction === "to") write(prose, attention.keys, keys, "query", [trace.text, trace.pair], "");
    else write(prose, attention.queries, queries, "query", [trace.text, trace.pair], "");
  }

  /**
   * One sentence after the other, word by word.
   * @param {HTMLElement} host @param {import("../trace.js").Token[]} tokens @param {number[]} shown @param {"query" | "key"} side
   * @param {(string | null | undefined)[]} texts @param {string} title
   */
  function write(host, tokens, shown, side, texts, title) {
    if (title) host.append(h("h3", {}, title));
    const paragraph = (/** @type {number} */ segment) => h("p", { dir: runs(texts[segment] ?? "") });
    let segment = tokens[shown[0]]?.segment;
    let line = paragraph(segment);
    let ends = -1;
    const first = saidFrom(/** @type {Scene} */ (scene).trace, tokens);
    host.append(line);
    for (const at of shown) {
      const token = tokens[at];
      if (token.segment !== segment) {
        line = paragraph(token.segment);
        ends = -1;
        host.append(line);
        segment = token.segment;
      }
      const spaced = /^\s/.test(token.text);
      const glued = !token.special && !spaced && (token.continues || (token.start !== null && token.start > 0 && token.start === ends));
      ends = token.special ? -1 : (token.end ?? -1);
      if (!glued && line.childNodes.length) line.append(" ");
      const chip = h(
        `span.word${at >= first ? ".new" : ""}${token.special ? ".special" : ""}${bytesOf(token) ? ".byte" : ""}${glued ? ".glued" : ""}`,
        {
          role: "button",
          tabindex: -1,
          onpointerenter: (/** @type {PointerEvent} */ e) => e.pointerType !== "touch" && look(word, point),
          onpointerleave: (/** @type {PointerEvent} */ e) => leaves(e) && point(null),
          onclick: (/** @type {MouseEvent} */ e) => look(word, points(e, there(word)) ? point : lock),
          onkeydown: (/** @type {KeyboardEvent} */ e) => key(e, word),
        },
        textOf(token),
      );
      /** @type {Word} */
      const word = { chip, at, side };
      words.push(word);
      line.append(chip);
    }
  }

  return {
    /** @param {Scene} next */
    update(next) {
      scene = next;
      build(next);
      const head = next.heads[0];
      if (!head) return;
      const { ramp, state, attention } = next;
      const { token, name, side, tokens, weights } = seenFrom(next, head);
      const cross = crosses(attention);
      const way = direction(next);
      const tinted = cross && way === "to" ? "key" : "query";
      const held = next.held?.key == null ? null : way === "to" ? next.held.key : next.held.query;
      const by = new Map(tokens.map((at, i) => [at, weights[i]]));
      prose.dataset.length = words.length > 200 ? "long" : words.length > 60 ? "medium" : "short";
      for (const { chip, at, side: own } of words) {
        const lit = !cross || own === tinted;
        const chosen = cross && lit ? false : at === token;
        const weight = by.get(at) ?? 0;
        const never = lit && (way === "to" ? forbidden(attention, token, at) : forbidden(attention, at, token));
        const step = !lit || never || weight < state.threshold ? 0 : place(weight, state.scale, next.top);
        const { background, color } = lit && !never ? tint(ramp, step, state.palette === "light") : { background: "", color: "" };
        chip.style.background = background;
        chip.style.color = color;
        chip.title = never ? t("caption.never") : lit ? number(weight) : "";
        chip.tabIndex = chosen || (cross && lit && at === (way === "to" ? next.chosen?.key : next.chosen?.query)) ? 0 : -1;
        chip.classList.toggle("chosen", chosen);
        chip.classList.toggle("partner", lit && !chosen && at === held);
        chip.classList.toggle("never", never);
        chip.setAttribute("aria-pressed", String(own === "query" ? next.held?.query === at : next.held?.key === at));
        chip.setAttribute("aria-label", never ? t("text.never", { token: chip.textContent ?? "" }) : lit ? `${apart(chip.textContent ?? "")}, ${number(weight)}` : `${chip.textContent}`);
      }
      if (words.length && !words.some(({ chip }) => chip.tabIndex === 0)) words[0].chip.tabIndex = 0; // what is held may be hidden
      title.replaceChildren(...phrase(way === "to" ? "text.attends" : "text.attended", { token: h("b.token", { dir: "auto" }, textOf(name)) }));
      ranking.replaceChildren(
        ...strongest(weights, 8).filter((at) => !(way === "to" ? forbidden(attention, token, tokens[at]) : forbidden(attention, tokens[at], token))).map((at) =>
          h(
            `li${tokens[at] === held ? ".now" : ""}`,
            {},
            h("span.token", { dir: "auto" }, textOf(side[tokens[at]])),
            h("span.bar", {}, h("i", { style: { width: `${100 * weights[at]}%` } })),
            h("span.value", { title: String(weights[at]) }, number(weights[at])),
          ),
        ),
      );
    },
  };
}

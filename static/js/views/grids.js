// @ts-check
/** A grid of heads for every attention block, one below the other; where there is no room, and projected, one at a time. */
import { faces, look, onResize } from "../canvas.js";
import { h } from "../dom.js";
import { attentionId, attentionName, crosses, sides } from "../trace.js";
import { mountHeadGrid } from "./headgrid.js";
import { fits } from "./headlayout.js";
import { t } from "../words.js";

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("../trace.js").Attention} Attention */

/**
 * Everything that grids of heads are drawn from: a scene that differs elsewhere, as in the step that is played, leaves
 * them as they are.
 * @param {Scene} scene @returns {unknown[]}
 */
function seen({ state, trace, blocks, attention, overviews, allStats, heads, changes, theme }) {
  const { query, key, window, time, unit, form, step, story, at, predict, ...rest } = state;
  const ids = blocks.map(attentionId);
  return [JSON.stringify(rest), trace, attention && attentionId(attention), heads.length, JSON.stringify(changes), theme, faces, ...ids.flatMap((id) => [overviews.get(id), allStats.get(id)])];
}

/** Room for a block's name, and between two blocks. */
const HEADING = 28;

/**
 * @param {HTMLElement} host
 * @param {{
 *   focus: (ref: import("../state.js").HeadRef, add: boolean, block?: Attention) => void,
 *   choose: (block: Attention) => void,
 *   say: (sentence: string) => void,
 * }} actions
 */
export function mountGrids(host, { focus, choose, say }) {
  /** @typedef {{section: HTMLElement, name: HTMLElement, room: HTMLElement, block: Attention, grid: ReturnType<typeof mountHeadGrid>}} Part */
  /** @type {Part[]} */
  let parts = [];
  let partsOf = "";
  let switches = "";
  /** @type {Scene | null} */
  let scene = null;
  /** @type {unknown[]} */
  let drawn = [];
  const switcher = h("div.blocks", { role: "group", "aria-label": t("heads.block") });

  /** @param {Attention} block @returns {Part} */
  function part(block) {
    const name = h("button.quiet.block-name", { type: "button", onclick: () => choose(made.block) }, attentionName(block));
    if (crosses(block)) name.append(h("small", {}, `${sides(block).query} → ${sides(block).key}`));
    const room = h("div.room");
    const section = h("section.block", {}, h("h3", {}, name), room);
    /** @type {Part} */
    const made = { section, name, room, block, grid: mountHeadGrid(room, { focus: (ref, add) => focus(ref, add, made.block), say }) };
    return made;
  }

  /** @param {Scene} now */
  function roomy({ blocks }) {
    const { unit, least } = look();
    if (least) return false;
    const height = host.clientHeight / blocks.length - HEADING * unit;
    return blocks.every(({ layers, heads }) => fits({ layers, heads, width: host.clientWidth, height, unit }));
  }

  function draw() {
    if (!scene) return;
    const { blocks, attention, overviews, allStats, state } = scene;
    const names = blocks.map((block) => `${attentionName(block)} ${block.layers}×${block.heads}`).join();
    if (names !== partsOf) {
      for (const { grid, section } of parts) {
        grid.unmount();
        section.remove();
      }
      parts = blocks.map(part);
      host.replaceChildren(...parts.map(({ section }) => section));
      partsOf = names;
    }
    const all = blocks.length < 2 || roomy(scene);
    host.classList.toggle("several", blocks.length > 1 && all);
    if (all) switcher.remove();
    else {
      // Not made anew while they are the same: whoever has just pressed one is still there.
      if (switches !== names) {
        switches = names;
        switcher.replaceChildren(...parts.map((one) => h("button.quiet", { type: "button", onclick: () => choose(one.block) }, attentionName(one.block))));
      }
      for (const [i, block] of blocks.entries()) switcher.children[i].setAttribute("aria-pressed", String(attentionId(block) === attentionId(attention)));
      if (!switcher.isConnected) host.before(switcher);
    }
    for (const [i, one] of parts.entries()) {
      const block = (one.block = blocks[i]);
      const id = attentionId(block);
      const lit = id === attentionId(attention);
      one.section.hidden = !all && !lit;
      one.section.classList.toggle("lit", lit);
      one.name.setAttribute("aria-pressed", String(lit));
      if (one.section.hidden) continue;
      one.grid.update({
        ...scene,
        attention: block,
        overview: overviews.get(id) ?? null,
        stats: allStats.get(id) ?? null,
        heads: lit ? scene.heads : [],
        changes: lit ? scene.changes : null,
        state: lit ? state : { ...state, layer: -1, head: -1 },
      });
    }
  }
  onResize(host, draw);

  return {
    /** @param {Scene} next */
    update(next) {
      scene = next;
      const wanted = seen(next);
      if (wanted.length === drawn.length && wanted.every((one, i) => one === drawn[i])) return;
      drawn = wanted;
      draw();
    },
    unmount() {
      scene = null;
      drawn = [];
      for (const { grid } of parts) grid.unmount();
      parts = [];
      partsOf = switches = "";
      switcher.remove();
      host.classList.remove("several");
      host.replaceChildren();
    },
  };
}

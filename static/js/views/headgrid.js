// @ts-check
/** The grid of all layers × heads: one small map per head, on one canvas. */
import { fit, look, measured, onResize } from "../canvas.js";
import { brightest, place } from "../colors.js";
import { h } from "../dom.js";
import { headName, number, percent, shortName } from "../format.js";
import { refName } from "../state.js";
import { attentionName } from "../trace.js";
import { t } from "../words.js";
import { APART, arrange, bySharpness, LABEL, neighbour, tileAt } from "./headlayout.js";

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("../state.js").HeadRef} HeadRef */
/** @typedef {import("./headlayout.js").Layout} Layout */
/** @typedef {import("./headlayout.js").Tile} Tile */

/**
 * All thumbnails as one image, drawn once per overview and colouring.
 * @param {import("../session.js").Overview} overview @param {Uint32Array} colors @param {boolean} [causal] what comes later is left out
 */
export function atlasOf({ layers, heads, rows, cols, each, layer, all }, colors, causal = false) {
  const lanes = heads + 1;
  const canvas = document.createElement("canvas");
  canvas.width = lanes * cols;
  canvas.height = (layers + 1) * rows;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  const put = (/** @type {Uint8Array} */ from, /** @type {number} */ offset, /** @type {number} */ line, /** @type {number} */ lane) => {
    for (let r = 0; r < rows; r++) {
      let to = (line * rows + r) * canvas.width + lane * cols;
      for (let c = 0; c < cols; c++, to++, offset++) if (!causal || c <= r) pixels[to] = colors[from[offset]];
    }
  };
  for (let l = 0; l < layers; l++) {
    for (let head = 0; head < heads; head++) put(each, (l * heads + head) * rows * cols, l, head);
    put(layer, l * rows * cols, l, heads);
  }
  put(all, 0, layers, 0);
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Where a head's thumbnail is in the atlas. @param {HeadRef} ref @param {import("../session.js").Overview} overview */
function inAtlas({ layer, head }, { layers, heads, rows, cols }) {
  if (layer === "all") return { x: 0, y: layers * rows };
  return { x: (typeof head === "number" ? head : heads) * cols, y: layer * rows };
}

/** How much a head is lit: fully, or by how much it is of the chosen kind. @param {HeadRef} ref @param {Scene} scene */
function light({ layer, head }, { state, stats }) {
  if (state.kind === "all") return 1;
  if (layer === "all" || typeof head !== "number" || !stats) return 0.12;
  return 0.12 + 0.88 * Math.min(1, (stats[state.kind]?.[layer]?.[head] ?? 0) / 0.5);
}

/**
 * @param {CanvasRenderingContext2D} context @param {Scene} scene @param {Layout} layout
 * @param {{atlas: HTMLCanvasElement | null, hover: HeadRef | null, look: import("../canvas.js").Look}} also
 */
export function paintGrid(context, scene, layout, { atlas, hover, look: colors }) {
  const { overview, heads, changes } = scene;
  const most = brightest(changes?.flat() ?? []);
  context.imageSmoothingEnabled = false;
  for (const { ref, x, y, size } of layout.tiles) {
    context.fillStyle = scene.attention.block.causal ? colors.hatched : scene.ramp.css[0];
    context.fillRect(x, y, size, size);
    if (changes) {
      context.fillStyle = scene.ramp.css[place(changeOf(ref, changes, scene.state.aggregate), "linear", most)];
      context.fillRect(x, y, size, size);
      continue;
    }
    if (!overview || !atlas) continue;
    const from = inAtlas(ref, overview);
    context.globalAlpha = light(ref, scene);
    context.drawImage(atlas, from.x, from.y, overview.cols, overview.rows, x, y, size, size);
    context.globalAlpha = 1;
  }
  paintLabels(context, scene, layout, colors, hover);
  const ring = (/** @type {Tile} */ { x, y, size }, /** @type {string} */ color, /** @type {number} */ width) => {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.strokeRect(x - width / 2 - 0.5, y - width / 2 - 0.5, size + width + 1, size + width + 1);
  };
  const tileOf = (/** @type {HeadRef} */ ref) => layout.tiles.find((tile) => refName(tile.ref) === refName(ref));
  if (hover) {
    const tile = tileOf(hover);
    if (tile) ring(tile, colors.ink2, 1);
  }
  for (const { ref, color } of [...heads].reverse()) {
    const tile = tileOf(ref);
    if (tile) ring(tile, heads.length > 1 ? color : colors.accent, 2);
  }
}

/** @param {CanvasRenderingContext2D} context @param {Scene} scene @param {Layout} layout @param {import("../canvas.js").Look} colors @param {HeadRef | null} hover */
function paintLabels(context, scene, layout, colors, hover) {
  const { across, tile, tiles, unit = 1 } = { ...layout, unit: colors.unit };
  const { state, attention } = scene;
  context.textBaseline = "middle";
  context.textAlign = "center";
  if (layout.ranked) {
    context.font = `${Math.max(colors.least, Math.min(10, Math.max(8, tile / 3.4)) * unit)}px ${colors.mono}`;
    for (const { ref, x, y, size } of tiles) {
      const lit = ref.layer === state.layer && ref.head === state.head;
      context.fillStyle = lit ? colors.ink : colors.ink2;
      context.fillText(shortName(ref), x + size / 2, y + size + (LABEL * unit) / 2 + 1);
    }
    return;
  }
  context.font = `${Math.max(colors.least, Math.min(11, Math.max(9, tile * 0.5)) * unit)}px ${colors.mono}`;
  const write = (/** @type {string} */ text, /** @type {number} */ x, /** @type {number} */ y, /** @type {boolean} */ lit, /** @type {number} */ most = 1e6) => {
    context.fillStyle = lit ? colors.ink : colors.ink2;
    context.fillText(text, x, y, most);
  };
  // Where tiles are smaller than their numbers, only some are written.
  const letters = (/** @type {string} */ text) => context.measureText(text).width;
  const wider = letters(`${tile >= 19 * unit || across ? (across ? "L" : "H") : ""}${(across ? attention.layers : attention.heads) - 1}`) + 3;
  const everyAcross = Math.max(1, Math.ceil(wider / (tile + layout.gap)));
  const everyDown = Math.max(1, Math.ceil((11 * unit) / (tile + layout.gap)));
  const shownLabel = (/** @type {number} */ i, /** @type {number} */ every, /** @type {boolean} */ lit) => lit || i % every === 0;
  for (const { ref, x, y, size } of tiles) {
    if (ref.layer === "all") continue;
    const layerLit = ref.layer === (hover ?? state).layer;
    const headLit = ref.head === (hover ?? state).head;
    const middle = { x: x + size / 2, y: y + size / 2 };
    const wide = tile >= 19 * unit || across;
    if (ref.head === 0 && shownLabel(Number(ref.layer), across ? everyAcross : everyDown, everyAcross === 1 && layerLit)) across ? write(`L${ref.layer}`, middle.x, layout.top - 9 * unit, layerLit) : write(`L${ref.layer}`, layout.left - 14 * unit, middle.y, layerLit);
    if (ref.layer === 0 && typeof ref.head === "number" && shownLabel(ref.head, across ? everyDown : everyAcross, everyAcross === 1 && headLit))
      across ? write(`H${ref.head}`, layout.left - 16 * unit, middle.y, headLit) : write(`${wide ? "H" : ""}${ref.head}`, middle.x, layout.top - 9 * unit, headLit);
  }
  paintTogether(context, scene, layout, colors, hover, write);
}

/**
 * The lane of each layer's heads together, and the tile of all heads: a hairline apart, and words beside them.
 * @param {CanvasRenderingContext2D} context @param {Scene} scene @param {Layout} layout @param {import("../canvas.js").Look} colors @param {HeadRef | null} hover
 * @param {(text: string, x: number, y: number, lit: boolean, most?: number) => void} write most: narrower where it would be wider than that
 */
function paintTogether(context, { state, attention }, { across, tiles, tile, gap, left, top, width }, colors, hover, write) {
  const { unit, least } = colors;
  const { layer, head } = hover ?? state;
  const all = tiles.find(({ ref }) => ref.layer === "all");
  const first = tiles.find(({ ref }) => ref.layer === 0 && typeof ref.head !== "number");
  const last = tiles.findLast(({ ref }) => ref.layer !== "all" && typeof ref.head !== "number");
  if (!all || !first || !last) return;
  const laneLit = layer !== "all" && typeof head !== "number";
  const back = (APART + gap) / 2;
  const how = t(`heads.${state.aggregate}`);
  context.fillStyle = colors.line;
  if (across) {
    context.fillRect(left, first.y - back, last.x + last.size - left, 1);
    write(how, left - 16 * unit, first.y + tile / 2, laneLit, 2 * Math.min(16 * unit, left - 16 * unit));
  } else {
    context.fillRect(first.x - back, top, 1, last.y + last.size - top);
    // The word may be wider than a tile: it stays clear of the last head's number and of the edge.
    const half = context.measureText(how).width / 2;
    const clear = first.x - APART - gap - tile / 2 + context.measureText(`${tile >= 19 * unit ? "H" : ""}${attention.heads - 1}`).width / 2 + 4 + half;
    write(how, Math.min(Math.max(first.x + tile / 2, clear), width - half), top - 9 * unit, laneLit);
  }
  context.textAlign = "left";
  write(least ? t("head.all-short", { how }) : t("heads.lane", { how, count: attention.layers * attention.heads }), all.x + all.size + 8 * unit, all.y + all.size / 2, layer === "all");
}

/** How much a head differs between two panes; of several heads their mean, or the most. @param {HeadRef} ref @param {number[][]} changes @param {"mean" | "max"} aggregate */
export function changeOf({ layer, head }, changes, aggregate) {
  if (layer !== "all" && typeof head === "number") return changes[layer]?.[head] ?? 0;
  const those = layer === "all" ? changes.flat() : changes[layer];
  return aggregate === "max" ? Math.max(...those) : those.reduce((sum, x) => sum + x, 0) / those.length;
}

/** What a tile of several heads holds, in words. @param {HeadRef} ref @param {Scene} scene */
function gathered({ layer, head }, { attention }) {
  const how = head === "max" ? "max" : "mean";
  return layer === "all" ? t(`heads.${how}-of-all`, { count: attention.layers * attention.heads }) : t(`heads.${how}-of-layer`, { count: attention.heads });
}

/** What a head does, in words. @param {HeadRef} ref @param {import("../session.js").Stats | null} stats */
export function character({ layer, head }, stats) {
  if (!stats || layer === "all" || typeof head !== "number" || !stats.sharpness[layer]) return "";
  const share = (/** @type {"previous" | "first" | "own"} */ kind) => stats[kind]?.[layer]?.[head] ?? 0;
  for (const kind of /** @type {const} */ (["previous", "first", "own"])) if (share(kind) > 0.4) return t(`heads.looks-${kind}`, { share: percent(share(kind)) });
  return t(stats.sharpness[layer][head] > 0.5 ? "heads.picks" : "heads.spreads");
}

/** How much a head differs, in words. @param {HeadRef} ref @param {Scene} scene */
const differing = (ref, { changes, state }) => t("compare.elsewhere", { share: percent(changeOf(ref, changes ?? [[0]], state.aggregate)) });

/**
 * @param {HTMLElement} host
 * @param {{focus: (ref: HeadRef, add: boolean) => void, say: (sentence: string) => void}} actions
 */
export function mountHeadGrid(host, { focus, say }) {
  const canvas = /** @type {HTMLCanvasElement} */ (
    h("canvas.head-grid", { tabindex: 0, role: "application", "aria-roledescription": t("heads.grid"), "aria-label": t("heads.grid-label") })
  );
  const card = h("div.preview", { hidden: true, "aria-hidden": "true" });
  const cardMap = /** @type {HTMLCanvasElement} */ (h("canvas"));
  const cardName = h("strong");
  const cardText = h("span");
  card.append(cardMap, cardName, cardText);
  host.append(canvas);
  document.body.append(card);

  /** @type {Scene | null} */
  let scene = null;
  /** @type {Layout | null} */
  let layout = null;
  /** @type {HeadRef | null} */
  let hover = null;
  /** @type {{name: string, canvas: HTMLCanvasElement} | null} */
  let atlas = null;

  const draw = () =>
    measured("grid", () => {
      if (!scene) return;
      const { attention, state, stats, overview, theme } = scene;
      const colors = look();
      layout = arrange({
        layers: attention.layers,
        heads: attention.heads,
        width: host.clientWidth,
        height: scene.blocks.length > 1 ? host.clientHeight : Math.max(host.clientHeight, 180),
        compact: scene.blocks.length > 1 && !colors.least, // projected, one block has all the room
        aggregate: state.aggregate,
        ranked: state.sort === "sharp" && stats ? bySharpness(stats.sharpness) : null,
        unit: colors.unit,
      });
      if (overview) {
        const name = `${overview.name} ${state.palette} ${theme} ${state.scale}`;
        if (atlas?.name !== name) atlas = { name, canvas: atlasOf(overview, scene.bytes, attention.block.causal) };
      } else atlas = null;
      paintGrid(fit(canvas, layout.width, layout.height), scene, layout, { atlas: atlas?.canvas ?? null, hover, look: colors });
    });

  /** @param {HeadRef | null} ref @param {boolean} [spoken] */
  const point = (ref, spoken = false) => {
    if ((ref && refName(ref)) === (hover && refName(hover))) return;
    hover = ref;
    measured("hover", draw);
    preview();
    if (ref && spoken && scene?.changes) say(`${headName(ref)}, ${differing(ref, scene)}`);
    else if (ref && spoken && scene) say(`${headName(ref)}${character(ref, scene.stats) && `, ${character(ref, scene.stats)}`}`);
  };

  function preview() {
    const tile = hover && layout?.tiles.find((one) => refName(one.ref) === refName(/** @type {HeadRef} */ (hover)));
    card.hidden = !(tile && scene?.overview && atlas);
    if (card.hidden || !tile || !scene?.overview || !atlas || !hover) return;
    const { overview, stats, ramp } = scene;
    const side = 176 * look().unit;
    const context = fit(cardMap, side, side);
    context.imageSmoothingEnabled = false;
    context.fillStyle = scene.attention.block.causal ? look().hatched : ramp.css[0];
    context.fillRect(0, 0, side, side);
    const from = inAtlas(hover, overview);
    context.drawImage(atlas.canvas, from.x, from.y, overview.cols, overview.rows, 0, 0, side, side);
    cardName.textContent = headName(hover);
    const sharp = hover.layer !== "all" && typeof hover.head === "number" ? stats?.sharpness[hover.layer]?.[hover.head] : undefined;
    if (scene.changes) cardText.textContent = differing(hover, scene);
    else cardText.textContent = sharp === undefined ? (typeof hover.head === "number" ? "" : gathered(hover, scene)) : `${t("heads.sharpness", { number: number(sharp) })} · ${character(hover, stats)}`;
    const box = canvas.getBoundingClientRect();
    const beside = box.right + 14;
    const left = beside + card.offsetWidth > innerWidth - 8 ? Math.max(8, box.left + tile.x - card.offsetWidth - 14) : beside;
    card.style.left = `${left}px`;
    card.style.top = `${Math.max(8, Math.min(innerHeight - card.offsetHeight - 8, box.top + tile.y - 40))}px`;
  }

  const under = (/** @type {PointerEvent | MouseEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    return (layout && tileAt(layout, event.clientX - box.left, event.clientY - box.top)?.ref) ?? null;
  };
  canvas.addEventListener("pointermove", (event) => event.pointerType !== "touch" && point(under(event)));
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("blur", () => point(null));
  canvas.addEventListener("click", (event) => {
    const ref = under(event);
    if (ref) focus(ref, event.shiftKey);
  });
  const ARROWS = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });
  canvas.addEventListener("keydown", (event) => {
    if (!scene || !layout || event.ctrlKey || event.metaKey || event.altKey) return;
    const here = hover ?? (scene.state.layer === -1 ? { layer: 0, head: 0 } : { layer: scene.state.layer, head: scene.state.head });
    const arrow = ARROWS[event.key];
    if (arrow) point(neighbour(layout, here, ...arrow), true);
    else if (event.key === "Enter" || event.key === " ") focus(here, event.shiftKey);
    else if (event.key === "Escape" && hover) point(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  onResize(host, draw);

  return {
    /** @param {Scene} next */
    update(next) {
      scene = next;
      const { state, attention, stats, blocks } = next;
      const count = attention.layers * attention.heads;
      const what = { heads: t("heads.count", { count }), layers: t("count.layer", { count: attention.layers }), each: attention.heads };
      const parts = [blocks.length > 1 ? t("heads.described-block", { ...what, block: attentionName(attention) }) : t("heads.described", what)];
      const does = next.changes ? "" : character(state, stats);
      if (state.layer !== -1) parts.push(does ? t("heads.in-focus-does", { head: headName(state), does }) : t("heads.in-focus", { head: headName(state) }));
      if (next.changes) parts.push(t("compare.lit"), `${differing(state, next)}.`);
      canvas.setAttribute("aria-label", [...parts, t("heads.keys")].join(" "));
      draw();
    },
    unmount: () => card.remove(),
  };
}

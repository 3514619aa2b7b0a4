// @ts-check
/** Where every head of the grid is, and what is next to it: geometry, and nothing is drawn. */
import { refName } from "../state.js";

/** @typedef {import("../state.js").HeadRef} HeadRef */
/** @typedef {{ref: HeadRef, x: number, y: number, size: number}} Tile */
/** @typedef {{tiles: Tile[], tile: number, gap: number, columns: number, across: boolean, ranked: boolean, width: number, height: number, left: number, top: number}} Layout */

const GUTTER = 32;
const ABOVE = 20;
const LARGEST = 64;
export const LABEL = 12;
/** Several heads taken together stand apart from the single ones. */
export const APART = 10;
/** The side of the tile of all heads together, with words beside it. */
const CORNER = 26;
const SMALL_CORNER = 16;
/** A tile of a grid that stands beside others. */
const SMALLEST = 7;

/**
 * Where every head goes. Layers run across or down, whichever makes the tiles larger.
 * @param {{layers: number, heads: number, width: number, height: number, aggregate: "mean" | "max", ranked: HeadRef[] | null, unit?: number, compact?: boolean}} given
 * @returns {Layout}
 */
export function arrange({ layers, heads, width, height, aggregate, ranked, unit = 1, compact = false }) {
  if (ranked) return arrangeRanked(ranked, width, height, unit);
  const gutter = GUTTER * unit;
  const above = ABOVE * unit;
  const corner = Math.round((compact ? SMALL_CORNER : CORNER) * unit);
  const below = corner + APART;
  const size = (/** @type {number} */ columns, /** @type {number} */ rows) =>
    Math.min(LARGEST * unit, (width - gutter - APART) / columns, (height - above - APART - below) / rows);
  const across = !compact && size(layers, heads + 1) >= size(heads + 1, layers);
  const pitch = Math.max(8, Math.floor(across ? size(layers, heads + 1) : size(heads + 1, layers)));
  const gap = pitch > 20 ? 4 : pitch > 12 ? 2 : 1;
  const tile = pitch - gap;
  const left = gutter;
  const top = above;
  /** @type {Tile[]} */
  const tiles = [];
  for (let layer = 0; layer < layers; layer++) {
    for (let head = 0; head <= heads; head++) {
      const [column, row] = across ? [layer, head] : [head, layer];
      const apart = head === heads ? APART : 0;
      const [x, y] = [left + column * pitch + (across ? 0 : apart), top + row * pitch + (across ? apart : 0)];
      tiles.push({ ref: { layer, head: head === heads ? aggregate : head }, x, y, size: tile });
    }
  }
  const [columns, rows] = across ? [layers, heads + 1] : [heads + 1, layers];
  const bottom = top + rows * pitch + (across ? APART : 0);
  tiles.push({ ref: { layer: "all", head: aggregate }, x: left, y: bottom - gap + APART, size: corner });
  return { tiles, tile, gap, columns, across, ranked: false, left, top, width: Math.max(width, left + columns * pitch + APART), height: bottom - gap + APART + corner };
}

/** Whether a block's heads can be told apart in this room. @param {{layers: number, heads: number, width: number, height: number, unit?: number}} given */
export function fits(given) {
  const { tile, height } = arrange({ ...given, aggregate: "mean", ranked: null, compact: true });
  return tile >= SMALLEST && height <= given.height + 1;
}

/** @param {HeadRef[]} ranked @param {number} width @param {number} height @param {number} unit @returns {Layout} */
function arrangeRanked(ranked, width, height, unit) {
  const label = LABEL * unit;
  let pitch = LARGEST * unit;
  while (pitch > 14 && Math.ceil(ranked.length / Math.floor(width / pitch)) * (pitch + label) > height) pitch--;
  const columns = Math.max(1, Math.floor(width / pitch));
  const gap = 4;
  const tiles = ranked.map((ref, i) => ({
    ref,
    x: (i % columns) * pitch,
    y: Math.floor(i / columns) * (pitch + label),
    size: pitch - gap,
  }));
  const rows = Math.ceil(ranked.length / columns);
  return { tiles, tile: pitch - gap, gap, columns, across: false, ranked: true, left: 0, top: 0, width: columns * pitch, height: rows * (pitch + label) };
}

/** The grid's tile under a point. @param {Layout} layout @param {number} x @param {number} y */
export const tileAt = ({ tiles, gap }, x, y) =>
  tiles.find((t) => x >= t.x - gap / 2 && x < t.x + t.size + gap / 2 && y >= t.y - gap / 2 && y < t.y + t.size + gap / 2);

/** A tile's neighbour in a direction. @param {Layout} layout @param {HeadRef} ref @param {number} dx @param {number} dy */
export function neighbour({ tiles }, ref, dx, dy) {
  const from = tiles.find((t) => refName(t.ref) === refName(ref)) ?? tiles[0];
  const center = (/** @type {Tile} */ t) => ({ x: t.x + t.size / 2, y: t.y + t.size / 2 });
  const here = center(from);
  let best = from;
  let least = Infinity;
  for (const tile of tiles) {
    const there = center(tile);
    const [x, y] = [there.x - here.x, there.y - here.y];
    const ahead = x * dx + y * dy;
    const aside = Math.abs(x * dy) + Math.abs(y * dx);
    if (ahead > 1 && aside < from.size && ahead + 2 * aside < least) {
      best = tile;
      least = ahead + 2 * aside;
    }
  }
  return best.ref;
}

/** Heads in order of how sharply they look, sharpest first. @param {number[][]} sharpness @returns {HeadRef[]} */
export const bySharpness = (sharpness) =>
  sharpness
    .flatMap((row, layer) => row.map((value, head) => ({ layer, head, value })))
    .sort((a, b) => b.value - a.value)
    .map(({ layer, head }) => ({ layer, head }));

// @ts-check
/** The focused head as a heat map: an image of data size that the browser scales, and axes drawn above it. */
import { faces, fit, hatch, look, measured, paint } from "../canvas.js";
import { place, signedPlace } from "../colors.js";
import { bothAt } from "../compare/difference.js";
import { h } from "../dom.js";
import { number, signed } from "../format.js";
import { weightOf } from "../scene.js";
import { attentionId, axesOf, crosses, forbidden, label, quiet, saidFrom, sides } from "../trace.js";
import { leaves, points } from "../touch.js";
import { t } from "../words.js";

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("../matrix.js").Matrix} Matrix */
/** @typedef {{cell: number, left: number, top: number, overhang: number, width: number, height: number, rows: number, cols: number, font: number, slanted: boolean, above: number}} Frame above: how long a column's label may be */

const LARGEST_CELL = 88;
const LONGEST_LABEL = 104;
/** What the axes are stands in the corner between them. */
const CORNER = { width: 64, height: 34 };
/** Labels below one another need this much of their size. */
const PITCH = 0.92;
/** A label shorter than this, in letters, tells nothing. */
const FEWEST = 5;
/** From this size on a cell has room for its number. */
const ROOM_FOR_NUMBER = 27;

/** @param {Matrix} matrix @param {Pick<Scene, "ramp" | "state" | "top" | "signed">} scene */
export function paintCells({ values, rows, cols }, scene) {
  const { ramp: { pixels }, state: { threshold } } = scene;
  const image = new ImageData(cols, rows);
  const out = new Uint32Array(image.data.buffer);
  for (let i = 0; i < values.length; i++) out[i] = pixels[colorOf(Math.abs(values[i]) < threshold ? 0 : values[i], scene)];
  return image;
}

/** A weight's, or a difference's, place in the scene's ramp. @param {number} value @param {Pick<Scene, "state" | "top" | "signed">} scene */
const colorOf = (value, { state: { scale }, top, signed: difference }) => (difference ? signedPlace(value, top) : place(value, scale, top));

/**
 * Room for the cells beside their labels.
 * @param {{width: number, height: number, rows: number, cols: number, longest: (font: number, axis: "query" | "key") => number, unit: number, least?: number, corner?: number}} given least: the smallest letters; corner: room for the axes' titles
 * @returns {Frame}
 */
export function frameOf({ width, height, rows, cols, longest, unit, least = 0, corner = CORNER.width }) {
  const margin = 10 * unit;
  let font = 13 * unit;
  let frame = { cell: 1, left: 0, top: 0, overhang: 0, above: 0 };
  let slanted = true;
  // Where letters can't be smaller, columns have shorter names before every second row has none.
  const room = height - 2 - margin - Math.ceil(least * PITCH) * rows;
  const most = least && room >= FEWEST * least * 0.6 ? Math.min(room, LONGEST_LABEL * unit) : LONGEST_LABEL * unit;
  for (let round = 0; round < 3; round++) {
    const left = Math.max(Math.min(longest(font, "query"), LONGEST_LABEL * unit), corner * unit) + margin;
    const above = Math.min(longest(font, "key"), slanted ? LONGEST_LABEL * unit : most);
    const top = Math.max(slanted ? above * 0.75 + font * 0.7 : above, CORNER.height * unit) + margin;
    // A slanted label begins in the middle of its column.
    const overhang = slanted ? Math.max(0, above * 0.72 + font * 0.4 + 2 - frame.cell / 2) : 4;
    const fitting = Math.min((width - left - (slanted ? overhang : 0)) / cols, (height - top - 2) / rows, LARGEST_CELL * unit);
    const cell = fitting >= 4 ? Math.floor(fitting) : Math.max(fitting, 0.5);
    frame = { cell, left, top, overhang, above };
    slanted = cell >= 19 * unit;
    font = Math.max(least, Math.min(16 * unit, Math.max(13 * unit, cell * 0.42), Math.max(9 * unit, cell * 1.08)));
  }
  const { cell } = frame;
  const left = Math.max(frame.left, Math.min((width - cols * cell + frame.left) / 2, width - cols * cell - frame.overhang - (slanted ? 0 : 8)));
  // A map of few rows stands a third of the way down, not at the edge of an empty room.
  const spare = height - frame.top - rows * cell;
  const top = frame.top + (rows * cell < height / 3 ? spare / 3 : 0);
  return { ...frame, left, top, rows, cols, font, slanted, width: cols * cell, height: rows * cell };
}

/** @param {string} text @param {number} length */
const clip = (text, length) => {
  const letters = [...text];
  return letters.length > length ? `${letters.slice(0, length - 1).join("")}…` : text;
};
const LETTERS = 13;

/**
 * Labels, grid lines, crosshair, locked row or cell: everything but the cells.
 * @param {CanvasRenderingContext2D} context @param {Scene} scene @param {Frame} frame @param {import("../canvas.js").Look} colors
 */
export function paintAxes(context, scene, frame, colors) {
  const { attention, queries, keys, cursor, chosen } = scene;
  const { cell, left, top, width, height, font, above } = frame;
  const live = cursor ?? chosen;
  const row = live ? queries.indexOf(live.query) : -1;
  const col = live?.key == null ? -1 : keys.indexOf(live.key);

  paintForbidden(context, scene, frame, colors);
  paintSaid(context, scene, frame, colors);
  if (cell >= 9) {
    context.fillStyle = colors.ground;
    for (let i = 1; i < frame.cols; i++) context.fillRect(left + i * cell - 0.5, top, 1, height);
    for (let i = 1; i < frame.rows; i++) context.fillRect(left, top + i * cell - 0.5, width, 1);
  }
  paintFrames(context, scene, frame, colors, row, col);
  if (cell >= ROOM_FOR_NUMBER * colors.unit) paintNumbers(context, scene, frame, colors, row);

  context.textBaseline = "middle";
  const every = Math.max(1, Math.ceil((font * PITCH) / cell));
  const large = Math.max(font, colors.least || 13 * colors.unit); // projected, what is lit hides no neighbour
  const write = (/** @type {string} */ text, /** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ turn, /** @type {boolean} */ lit, /** @type {boolean} */ dim) => {
    context.save();
    context.translate(x, y);
    context.rotate(turn);
    context.font = `${lit ? "600 " : ""}${lit ? large : font}px ${colors.mono}`;
    context.globalAlpha = dim && !lit ? 0.75 : 1;
    context.fillStyle = lit ? colors.ink : colors.ink2;
    context.textAlign = turn ? "left" : "right";
    context.fillText(text, 0, 0);
    context.restore();
  };
  const turn = frame.slanted ? -Math.PI / 4 : -Math.PI / 2;
  const hidden = (/** @type {number} */ i, /** @type {number} */ lit) =>
    i !== lit && (i % every !== 0 || (lit >= 0 && (large > font || every > 1) && Math.abs(i - lit) * cell < (large + font) * 0.55));
  const fitting = (/** @type {string} */ text) => {
    if (!colors.least || frame.slanted) return clip(text, LETTERS);
    context.font = `600 ${large}px ${colors.mono}`;
    let length = LETTERS;
    while (length > 1 && context.measureText(clip(text, length)).width > above + colors.unit) length--;
    return clip(text, length);
  };
  queries.forEach((token, i) => {
    const lit = i === row;
    if (hidden(i, row)) return;
    write(clip(label(attention.queries[token]), LETTERS), left - 8, top + (i + 0.5) * cell, 0, lit, quiet(attention.queries[token]));
  });
  keys.forEach((token, i) => {
    const lit = i === col;
    if (hidden(i, col)) return;
    write(fitting(label(attention.keys[token])), left + (i + 0.5) * cell + (frame.slanted ? 2 : 0), top - 8, turn, lit, quiet(attention.keys[token]));
  });
}

/** A bar along the tokens that the network said itself. @param {CanvasRenderingContext2D} context @param {Scene} scene @param {Frame} frame @param {import("../canvas.js").Look} colors */
function paintSaid(context, { trace, attention, queries, keys }, { cell, left, top, rows, cols }, colors) {
  const before = (/** @type {import("../trace.js").Token[]} */ tokens, /** @type {number[]} */ shown) => shown.filter((token) => token < saidFrom(trace, tokens)).length;
  const [row, col] = [before(attention.queries, queries), before(attention.keys, keys)];
  context.fillStyle = colors.ink2;
  context.fillRect(left - 5, top + row * cell, 2, (rows - row) * cell);
  context.fillRect(left + col * cell, top - 5, (cols - col) * cell, 2);
}

/** What comes after the word that looks cannot be looked at: that is not the same as a weight of zero. @param {CanvasRenderingContext2D} context @param {Scene} scene @param {Frame} frame @param {import("../canvas.js").Look} colors */
function paintForbidden(context, { attention, queries, keys }, { cell, left, top, width }, colors) {
  if (!attention.block.causal || crosses(attention)) return;
  context.fillStyle = hatch(context, colors);
  queries.forEach((query, row) => {
    const from = keys.findIndex((key) => forbidden(attention, query, key));
    if (from >= 0) context.fillRect(left + from * cell, top + row * cell, width - from * cell, cell);
  });
}

/** @param {CanvasRenderingContext2D} context @param {Scene} scene @param {Frame} frame @param {import("../canvas.js").Look} colors @param {number} row @param {number} col */
function paintFrames(context, { held, cursor, queries, keys }, { cell, left, top, width, height }, colors, row, col) {
  const box = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ w, /** @type {number} */ h, /** @type {number} */ line, /** @type {string} */ color) => {
    context.strokeStyle = color;
    context.lineWidth = line * colors.stroke;
    context.strokeRect(x, y, w, h);
  };
  const heldRow = held ? queries.indexOf(held.query) : -1;
  const heldCol = held?.key == null ? -1 : keys.indexOf(held.key);
  if (heldRow >= 0) {
    box(left - 1, top + heldRow * cell - 0.5, width + 2, cell + 1, 2, colors.accent);
    if (heldCol >= 0) box(left + heldCol * cell - 0.5, top + heldRow * cell - 0.5, cell + 1, cell + 1, 3, colors.accent);
  }
  if (held?.key == null && !cursor && row >= 0 && col >= 0) box(left + col * cell - 0.5, top + row * cell - 0.5, cell + 1, cell + 1, 2, colors.accent);
  if (cursor) {
    context.globalAlpha = 0.55;
    if (row >= 0) box(left - 0.5, top + row * cell - 0.5, width + 1, cell + 1, 1, colors.ink2);
    if (col >= 0) box(left + col * cell - 0.5, top - 0.5, cell + 1, height + 1, 1, colors.ink2);
    context.globalAlpha = 1;
    if (row >= 0 && col >= 0) box(left + col * cell - 0.5, top + row * cell - 0.5, cell + 1, cell + 1, 2, colors.ink);
  }
}

/** The numbers of the row in question. @param {CanvasRenderingContext2D} context @param {Scene} scene @param {Frame} frame @param {import("../canvas.js").Look} colors @param {number} row */
function paintNumbers(context, scene, { cell, left, top, cols }, colors, row) {
  const { heads, ramp, state } = scene;
  if (row < 0 || !heads[0]) return;
  const { values } = heads[0].shown;
  context.font = `${Math.max(colors.least, Math.min(16 * colors.unit, cell * 0.36))}px ${colors.mono}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let i = 0; i < cols; i++) {
    const weight = values[row * cols + i];
    if (Math.abs(weight) < Math.max(0.005, state.threshold)) continue;
    context.fillStyle = ramp.ink[colorOf(weight, scene)];
    context.fillText(weight.toFixed(2).replace("-", "−").replace(/^(−?)0/, "$1"), left + (i + 0.5) * cell, top + (row + 0.5) * cell + 1);
  }
}

/** @typedef {{point: (query: number | null, key?: number | null, seen?: import("../scene.js").Seen) => void, lock: (query: number, key: number | null) => void, release: () => void, say: (sentence: string) => void}} Actions */

/** @param {HTMLElement} host @param {Actions} actions */
export function mountHeatmap(host, actions) {
  const cells = /** @type {HTMLCanvasElement} */ (h("canvas.cells", { "aria-hidden": "true" }));
  const axes = /** @type {HTMLCanvasElement} */ (
    h("canvas.axes", { tabindex: 0, role: "application", "aria-roledescription": t("heatmap.role"), "aria-label": t("view.heatmap") })
  );
  host.append(cells, axes);
  /** @type {Scene | null} */
  let scene = null;
  /** @type {Frame | null} */
  let frame = null;
  let painted = "";
  /** @type {Matrix | null} */
  let paintedMatrix = null;
  /** @type {Map<string, number>} */
  const widths = new Map();

  /** @param {Scene} now */
  function draw(now) {
    const head = now.heads[0];
    const colors = look();
    const [width, height] = [host.clientWidth, host.clientHeight];
    const context = fit(axes, width, height);
    const longest = (/** @type {number} */ font, /** @type {"query" | "key"} */ axis) => {
      const name = `${faces} ${now.trace.id} ${attentionId(now.attention)} ${now.state.special} ${font} ${axis}`;
      const kept = widths.get(name);
      if (kept !== undefined) return kept;
      context.font = `600 ${font}px ${colors.mono}`;
      const [tokens, shown] = axis === "query" ? [now.attention.queries, now.queries] : [now.attention.keys, now.keys];
      const result = Math.max(...shown.map((i) => context.measureText(clip(label(tokens[i]), LETTERS)).width));
      widths.set(name, result);
      return result;
    };
    const corner = crosses(now.attention) && width > 480 * colors.unit ? 112 : CORNER.width;
    frame = frameOf({ width, height, rows: now.queries.length, cols: now.keys.length, longest, unit: colors.unit, least: colors.least, corner });
    Object.assign(cells.style, { left: `${frame.left}px`, top: `${frame.top}px`, width: `${frame.width}px`, height: `${frame.height}px` });
    if (head) {
      const name = [now.trace.id, attentionId(now.attention), now.state.palette, now.theme, now.state.scale, now.state.threshold, now.state.special, now.signed, now.top].join();
      if (name !== painted || head.shown !== paintedMatrix) {
        cells.width = head.shown.cols;
        cells.height = head.shown.rows;
        cells.getContext("2d")?.putImageData(paintCells(head.shown, now), 0, 0);
        painted = name;
        paintedMatrix = head.shown;
      }
    }
    const own = frame;
    paint(axes, context, (pen) => {
      paintTitles(pen, own, colors, now.attention);
      paintAxes(pen, now, own, colors);
    });
  }

  /** @param {PointerEvent | MouseEvent} event */
  function under(event) {
    if (!scene || !frame) return null;
    const box = axes.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const col = Math.floor((x - frame.left) / frame.cell);
    const row = Math.floor((y - frame.top) / frame.cell);
    const inRows = row >= 0 && row < frame.rows;
    const inCols = col >= 0 && col < frame.cols;
    if (inRows && inCols) return { query: scene.queries[row], key: scene.keys[col] };
    if (inRows && x < frame.left && x > frame.left - 130) return { query: scene.queries[row], key: null };
    return null;
  }

  axes.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const cell = under(event);
    axes.classList.toggle("pointing", cell !== null);
    actions.point(cell?.query ?? null, cell?.key);
  });
  axes.addEventListener("pointerleave", (event) => leaves(event) && actions.point(null));
  axes.addEventListener("click", (event) => {
    const cell = under(event);
    if (!cell) return actions.release();
    const here = scene?.cursor ?? scene?.held;
    if (points(event, here?.query === cell.query && here.key === cell.key)) actions.point(cell.query, cell.key);
    else actions.lock(cell.query, cell.key);
  });
  axes.addEventListener("keydown", (event) => {
    if (!scene || event.ctrlKey || event.metaKey || event.altKey) return;
    const { queries, keys, chosen, cursor } = scene;
    const here = cursor ?? chosen;
    let row = Math.max(0, queries.indexOf(here?.query ?? queries[0]));
    let col = Math.max(0, keys.indexOf(here?.key ?? keys[0]));
    const step = /** @type {Record<string, () => void>} */ ({
      ArrowUp: () => row--,
      ArrowDown: () => row++,
      ArrowLeft: () => col--,
      ArrowRight: () => col++,
      Home: () => (col = 0),
      End: () => (col = keys.length - 1),
      PageUp: () => (row = 0),
      PageDown: () => (row = queries.length - 1),
    })[event.key];
    if (step) {
      step();
      row = Math.min(queries.length - 1, Math.max(0, row));
      col = Math.min(keys.length - 1, Math.max(0, col));
      actions.point(queries[row], keys[col]);
      actions.say(spoken(scene, row, col));
    } else if (event.key === "Enter" || event.key === " ") actions.lock(queries[row], event.shiftKey ? null : keys[col]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    /** @param {Scene} next */
    update(next) {
      scene = next;
      measured("heatmap", () => draw(next));
      axes.setAttribute("aria-label", described(next));
    },
  };
}

/** What is along each axis, in the corner between them: in the paper's words where a page is narrow. @param {CanvasRenderingContext2D} context @param {Frame} frame @param {import("../canvas.js").Look} colors @param {import("../trace.js").Attention} attention */
function paintTitles(context, { left, top }, colors, attention) {
  const size = 12 * colors.unit;
  context.font = `${size}px ${colors.sans}`;
  context.fillStyle = colors.ink2;
  context.textBaseline = "alphabetic";
  context.textAlign = "right";
  const [short, long] = [sides(attention), axesOf(attention)];
  const ways = [[long.key, long.query], [short.key, short.query], [t("side.keys"), t("side.queries")]].map((both) => [`${both[0]} →`, `${both[1]} ↓`]);
  const [keys, queries] = ways.find((both) => both.every((one) => context.measureText(one).width <= left - 12)) ?? ways[2];
  context.fillText(keys, left - 8, top - 12 * colors.unit - size * 1.3);
  context.fillText(queries, left - 8, top - 12 * colors.unit);
}

/** Both weights and what differs, as they are said. @param {NonNullable<ReturnType<typeof bothAt>>} both */
const written = ({ left, right, change }) => ({ left: number(left), right: number(right), change: signed(change) });

/** @param {Scene} scene @param {number} row @param {number} col */
function spoken(scene, row, col) {
  const { heads, attention, queries, keys } = scene;
  const weight = heads[0]?.shown.values[row * keys.length + col];
  const names = { query: label(attention.queries[queries[row]]), key: label(attention.keys[keys[col]]) };
  if (forbidden(attention, queries[row], keys[col])) return t("heatmap.spoken-never", names);
  const both = bothAt(scene, { query: queries[row], key: keys[col] });
  if (both) return t("compare.spoken", { ...names, ...written(both) });
  return weight === undefined ? t("heatmap.spoken", names) : t("heatmap.spoken-weight", { ...names, weight: number(weight) });
}

/** @param {Scene} scene */
function described(scene) {
  const { heads, attention, chosen, queries, keys } = scene;
  const sizes = { queries: queries.length, keys: keys.length };
  const size = attention.pools ? t("heatmap.size-pools", sizes) : t(crosses(attention) ? "heatmap.size-crosses" : "heatmap.size", sizes);
  if (!heads[0] || !chosen || chosen.key === null) return t("heatmap.described-plain", { size });
  const names = { query: label(attention.queries[chosen.query]), key: label(attention.keys[chosen.key]) };
  const both = scene.signed && bothAt(scene, chosen);
  if (both) return t("compare.described", { size, ...names, ...written(both) });
  if (scene.signed) return t("compare.described-plain", { size });
  return t("heatmap.described", { head: heads[0].name, size, ...names, weight: number(weightOf(heads[0], chosen) ?? 0) });
}

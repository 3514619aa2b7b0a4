// @ts-check
/** Two columns of tokens joined by lines as strong as the weight, one colour per head. */
import { fit, look, measured, paint } from "../canvas.js";
import { h } from "../dom.js";
import { axesOf, label, quiet, saidFrom, sides } from "../trace.js";
import { leaves, points } from "../touch.js";
import { t } from "../words.js";

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {{pitch: number, top: number, left: number, right: number, height: number, font: number}} Frame */

/** Weaker than this a line cannot be seen. */
const INVISIBLE = 0.012;
/** All lines of several rows at once: only the stronger ones, or nothing can be told apart. */
const CROWDED = 0.04;

/** @param {{width: number, height: number, tokens: number, unit: number, least?: number, beside?: number}} given least: the smallest letters; beside: room for the words of each side @returns {Frame} */
export function frameOf({ width, height, tokens, unit, least = 0, beside = 125 * unit }) {
  const header = 24 * unit;
  const pitch = Math.max(least || 15 * unit, Math.min(44 * unit, (height - header - 4) / tokens));
  const middle = width / 2;
  const span = Math.min(width - 2 * beside, 560 * unit);
  return {
    pitch,
    top: header,
    left: middle - Math.max(span, 80) / 2,
    right: middle + Math.max(span, 80) / 2,
    height: header + pitch * tokens + 4,
    font: Math.max(least, Math.min(16 * unit, Math.max(10 * unit, pitch * 0.5))),
  };
}

/**
 * @param {CanvasRenderingContext2D} context @param {Scene} scene @param {Frame} frame @param {import("../canvas.js").Look} colors
 */
export function paintLines(context, scene, frame, colors) {
  const { attention, queries, keys, heads, cursor, held, chosen, state, trace, near, top: brightest } = scene;
  const full = near ? brightest : 1; // the weights of a long text are small everywhere: the title says what a full line is
  const only = cursor ?? held ?? (queries.length === 1 ? { query: queries[0] } : null);
  const live = cursor ?? chosen;
  const { pitch, top, left, right, font } = frame;
  const y = (/** @type {number} */ i) => top + (i + 0.5) * pitch;
  const middle = (left + right) / 2;
  const faintest = Math.max(INVISIBLE, state.threshold / full);

  for (const { shown, color } of [...heads].reverse()) {
    context.strokeStyle = color;
    for (let i = 0; i < shown.rows; i++) {
      const lit = !only || only.query === queries[i];
      const bare = only && !lit;
      for (let j = 0; j < shown.cols; j++) {
        const weight = shown.values[i * shown.cols + j] / full;
        const marked = live?.query === queries[i] && live.key === keys[j];
        if (weight < (marked || (only && lit) ? faintest : Math.max(faintest, CROWDED))) continue;
        const quiet = only || marked ? 1 : 0.55;
        context.globalAlpha = bare ? 0.07 * weight : Math.min(1, 0.08 + 0.92 * weight) * (heads.length > 1 ? 0.85 : 1) * quiet;
        context.lineWidth = (0.75 + 5 * weight) * colors.unit * (marked ? 1.25 : 1);
        context.beginPath();
        context.moveTo(left, y(i));
        context.bezierCurveTo(middle, y(i), middle, y(j), right, y(j));
        context.stroke();
      }
    }
  }
  context.globalAlpha = 1;

  const row = only ? queries.indexOf(only.query) : -1;
  const from = live ? queries.indexOf(live.query) : -1;
  const to = live?.key == null ? -1 : keys.indexOf(live.key);
  const received = (/** @type {number} */ j) => (row < 0 ? 0 : Math.max(0, ...heads.map(({ shown }) => shown.values[row * shown.cols + j] / full)));
  const write = (/** @type {string} */ text, /** @type {number} */ x, /** @type {number} */ at, /** @type {CanvasTextAlign} */ align, /** @type {number} */ lit, /** @type {boolean} */ dim) => {
    context.font = `${lit > 0.15 ? "600 " : ""}${font}px ${colors.mono}`;
    context.textAlign = align;
    context.globalAlpha = row < 0 ? (dim ? 0.75 : 1) : Math.max(0.75, Math.min(1, 0.6 + lit));
    context.fillStyle = lit > 0.15 || row < 0 ? colors.ink : colors.ink2;
    context.fillText(text, x, at);
    context.globalAlpha = 1;
  };
  context.textBaseline = "middle";
  queries.forEach((token, i) => write(label(attention.queries[token]), left - 12, y(i), "right", i === from ? 1 : 0, quiet(attention.queries[token])));
  keys.forEach((token, j) => write(label(attention.keys[token]), right + 12, y(j), "left", j === to ? 1 : received(j), quiet(attention.keys[token])));
  context.fillStyle = colors.ink2;
  const said = (/** @type {import("../trace.js").Token[]} */ tokens, /** @type {number[]} */ shown, /** @type {number} */ x) => {
    const first = shown.findIndex((token) => token >= saidFrom(trace, tokens));
    if (first >= 0) context.fillRect(x, y(first) - pitch * 0.5, 2, (shown.length - first) * pitch);
  };
  said(attention.queries, queries, left - 3);
  said(attention.keys, keys, right + 1);
  context.fillStyle = colors.accent;
  if (from >= 0) context.fillRect(left - 7, y(from) - pitch * 0.36, 3, pitch * 0.72);
  if (to >= 0) context.fillRect(right + 4, y(to) - pitch * 0.36, 3, pitch * 0.72);
  context.font = `${12 * colors.unit}px ${colors.sans}`;
  context.fillStyle = colors.ink2;
  context.textAlign = "right";
  const { query, key } = (colors.least ? sides : axesOf)(attention);
  context.fillText(query, left - 12, 10 * colors.unit);
  context.textAlign = "left";
  context.fillText(key, right + 12, 10 * colors.unit);
}

/** The width of the longest word where all are written in the smallest letters there are. @param {Scene} scene @param {import("../canvas.js").Look} colors */
function longest({ attention, queries, keys }, { least, mono }) {
  const context = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  context.font = `600 ${least}px ${mono}`;
  const words = [...queries.map((at) => attention.queries[at]), ...keys.map((at) => attention.keys[at])];
  return Math.max(...words.map((token) => context.measureText(label(token)).width));
}

/** @param {HTMLElement} host @param {import("./heatmap.js").Actions} actions */
export function mountLines(host, { point, lock, release, say }) {
  const canvas = /** @type {HTMLCanvasElement} */ (
    h("canvas.lines", { tabindex: 0, role: "application", "aria-roledescription": t("lines.role"), "aria-label": t("view.lines") })
  );
  const scroller = h("div.scroller", {}, canvas);
  host.append(scroller);
  /** @type {Scene | null} */
  let scene = null;
  /** @type {Frame | null} */
  let frame = null;
  /** @type {number | undefined} the held row that has been scrolled to */
  let shownHeld;

  /** @param {MouseEvent} event */
  function under(event) {
    if (!scene || !frame) return null;
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const i = Math.floor((y - frame.top) / frame.pitch);
    if (x <= frame.left + 20 && i >= 0 && i < scene.queries.length) return { query: scene.queries[i], key: null };
    if (x >= frame.right - 20 && i >= 0 && i < scene.keys.length && scene.held) return { query: scene.held.query, key: scene.keys[i] };
    return null;
  }
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const place = under(event);
    canvas.classList.toggle("pointing", place !== null);
    point(place?.query ?? null, place?.key);
  });
  canvas.addEventListener("pointerleave", (event) => leaves(event) && point(null));
  canvas.addEventListener("click", (event) => {
    const place = under(event);
    if (!place) return release();
    const here = scene?.cursor ?? scene?.held;
    if (points(event, here?.query === place.query && here.key === place.key)) point(place.query, place.key);
    else lock(place.query, place.key);
  });
  canvas.addEventListener("keydown", (event) => {
    if (!scene || event.ctrlKey || event.metaKey || event.altKey) return;
    const { queries, cursor, held, attention } = scene;
    const here = (cursor ?? held)?.query;
    const at = here === undefined ? -1 : queries.indexOf(here);
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const next = Math.min(queries.length - 1, Math.max(0, at + (event.key === "ArrowDown" ? 1 : -1)));
      point(queries[next], null);
      say(label(attention.queries[queries[next]]));
    } else if ((event.key === "Enter" || event.key === " ") && here !== undefined) lock(here, null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    /** @param {Scene} next */
    update(next) {
      scene = next;
      measured("lines", () => {
        const colors = look();
        const tokens = Math.max(next.queries.length, next.keys.length);
        const { unit, least } = colors;
        frame = frameOf({ width: host.clientWidth, height: host.clientHeight, tokens, unit, least, beside: least ? longest(next, colors) + 24 : undefined });
        const overflows = frame.height > host.clientHeight + 1;
        const held = next.held ? next.queries.indexOf(next.held.query) : -1;
        if (held >= 0 && next.held?.query !== shownHeld) scroller.scrollTop = frame.top + held * frame.pitch - host.clientHeight / 2;
        shownHeld = next.held?.query;
        const own = frame;
        paint(canvas, fit(canvas, host.clientWidth - (overflows ? 14 : 0), frame.height), (pen) => paintLines(pen, next, own, colors));
      });
      const names = next.heads.map((head) => head.name).join(", ");
      canvas.setAttribute("aria-label", t("lines.described", { queries: next.queries.length, keys: next.keys.length, heads: names }));
    },
  };
}

// @ts-check
/** The heat map of a long text: all of it at once, then tiles of the part that is looked at; never a whole map. */
import { fit, hatch, look, measured, paint } from "../canvas.js";
import { place } from "../colors.js";
import { h } from "../dom.js";
import { number } from "../format.js";
import { selection } from "../session.js";
import { cellAt, coarsest, covering } from "../tiles.js";
import { crosses, forbidden, label, quiet, sides } from "../trace.js";
import { t } from "../words.js";

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("../trace.js").Attention} Attention */
/** @typedef {import("../tiles.js").Tile} Tile */
/** @typedef {{query: number, key: number, span: number}} Window first query, first key, tokens along a side; fractions while it moves */
/** @typedef {{left: number, top: number, cell: number, width: number, height: number, rows: number, cols: number}} Frame cell: pixels of a token */

/** Closer than this, cells would only grow. */
const CLOSEST = 16;
/** Most cells along a side: more than there are pixels for. */
const CELLS = 512;
const LETTERS = 13;
const MINIMAP = 56;
/** A press that moves less than this is a click. */
const STILL = 4;
/** Milliseconds of rest after which the address holds what is looked at. */
const RESTED = 200;

/** The whole map. @param {Attention} attention @returns {Window} */
const everything = ({ queries, keys }) => ({ query: 0, key: 0, span: Math.max(queries.length, keys.length) });

/** A window that lies inside the map. @param {Window} window @param {Attention} attention @returns {Window} */
export function inside({ query, key, span }, attention) {
  const longest = Math.max(attention.queries.length, attention.keys.length);
  const side = Math.min(longest, Math.max(Math.min(CLOSEST, longest), span));
  const held = (/** @type {number} */ at, /** @type {number} */ length) => Math.max(0, Math.min(at, length - Math.min(side, length)));
  return { query: held(query, attention.queries.length), key: held(key, attention.keys.length), span: side };
}

/** Zoomed by a factor around one place, which stays where it is. @param {Window} window @param {{query: number, key: number}} at @param {number} factor @param {Attention} attention @returns {Window} */
export function zoomed({ query, key, span }, at, factor, attention) {
  const longest = Math.max(attention.queries.length, attention.keys.length);
  const side = Math.min(longest, Math.max(CLOSEST, span * factor));
  const scale = side / span;
  return inside({ query: at.query - (at.query - query) * scale, key: at.key - (at.key - key) * scale, span: side }, attention);
}

/** How many tokens a cell stands for where so many are looked at: a power of two. @param {number} span */
export const cellFor = (span) => 2 ** Math.max(0, Math.ceil(Math.log2(span / CELLS)));

/** @param {Tile} tile @param {Pick<Scene, "ramp" | "state">} scene @param {number} top */
function painted({ values, rows, cols }, { ramp: { pixels }, state: { scale, threshold } }, top) {
  const canvas = document.createElement("canvas");
  canvas.width = cols;
  canvas.height = rows;
  const image = new ImageData(cols, rows);
  const out = new Uint32Array(image.data.buffer);
  for (let i = 0; i < values.length; i++) out[i] = values[i] < threshold ? pixels[0] : pixels[place(values[i], scale, top)];
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}

/** @param {HTMLElement} host @param {import("./heatmap.js").Actions & {look: (window: import("../state.js").State["window"]) => void}} actions */
export function mountLongmap(host, actions) {
  const map = /** @type {HTMLCanvasElement} */ (
    h("canvas.axes.long", { tabindex: 0, role: "application", "aria-roledescription": t("heatmap.role"), "aria-label": t("view.heatmap") })
  );
  const mini = /** @type {HTMLCanvasElement} */ (h("canvas.minimap", { "aria-hidden": "true", "data-tool": true, title: t("longmap.minimap") }));
  const where = h("p.where", { role: "status" });
  const button = (/** @type {string} */ name, /** @type {string} */ title, /** @type {() => void} */ onclick) => h("button.quiet", { type: "button", "data-tool": true, title, "aria-label": title, onclick }, name);
  const bar = h(
    "div.zoom",
    {},
    mini,
    where,
    button("−", t("longmap.out"), () => move(zoomed(now(), focus(), 2, attention()))),
    button("+", t("longmap.in"), () => move(zoomed(now(), focus(), 0.5, attention()))),
    button(t("longmap.all"), t("longmap.all-title"), () => move(everything(attention()))),
  );
  host.append(map, bar);

  /** @type {Scene | null} */
  let scene = null;
  /** @type {Frame | null} */
  let frame = null;
  /** @type {Window | null} what is looked at, ahead of the address while it moves */
  let view = null;
  let kept = "";
  let waiting = false;
  /** Where the mouse is: the map moves under it. @type {{clientX: number, clientY: number} | null} */
  let over = null;
  /** @type {number | undefined} */
  let resting;
  /** Pictures of tiles, as long as the colours last. @type {WeakMap<Tile, {name: string, canvas: HTMLCanvasElement}>} */
  const pictures = new WeakMap();

  const attention = () => /** @type {Scene} */ (scene).attention;
  const now = () => view ?? everything(attention());
  const base = () => ({ cell: coarsest(attention()), query: 0, key: 0 });
  const ref = () => ({ layer: /** @type {Scene} */ (scene).state.layer, head: /** @type {Scene} */ (scene).state.head });
  const tile = (/** @type {import("../tiles.js").Where} */ at) => /** @type {Scene} */ (scene).tiles.get(attention(), ref(), at);

  /** What zooming by key or button keeps in place: the cell in question, if it is in sight, else the middle. */
  function focus() {
    const { query, key, span } = now();
    const { cursor, held } = /** @type {Scene} */ (scene);
    const at = cursor ?? held;
    const there = at && at.key !== null && at.query >= query && at.query < query + span && at.key >= key && at.key < key + span;
    return there ? { query: at.query + 0.5, key: Number(at.key) + 0.5 } : { query: query + span / 2, key: key + span / 2 };
  }

  /** @param {Window} window */
  function move(window) {
    view = inside(window, attention());
    if (!waiting) {
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        if (!scene) return;
        measured("pan", draw);
        if (over && !down.size) point(under(over));
      });
    }
    clearTimeout(resting);
    resting = rest();
  }

  const rest = () =>
    setTimeout(() => {
      if (!scene) return;
      const { query, key, span } = now();
      const whole = span >= everything(attention()).span;
      const next = whole ? null : { query: Math.round(query), key: Math.round(key), span: Math.round(span) };
      kept = JSON.stringify(next);
      actions.look(next);
    }, RESTED);

  function draw() {
    const shown = /** @type {Scene} */ (scene);
    const colors = look();
    const [width, height] = [host.clientWidth, host.clientHeight - bar.offsetHeight - 4];
    const { query, key, span } = now();
    const all = attention();
    const rows = Math.min(span, all.queries.length);
    const cols = Math.min(span, all.keys.length);
    const narrow = width < 480 * colors.unit;
    const [left, top] = [(narrow ? 76 : 116) * colors.unit, (narrow ? 64 : 84) * colors.unit];
    const cell = Math.max(0.001, Math.min((width - left - 12) / cols, (height - top - 4) / rows));
    frame = { left: Math.max(left, (width - cols * cell) / 2), top, cell, width: cols * cell, height: rows * cell, rows, cols };
    const context = fit(map, width, height);
    const fine = cellFor(span);
    const wanted = covering(all, { query, key, rows, cols }, fine);
    const places = fine < base().cell ? [base(), ...wanted] : [base()];
    const own = frame;
    paint(map, context, (pen) => {
      pen.save();
      pen.beginPath();
      pen.rect(own.left, own.top, own.width, own.height);
      pen.clip();
      pen.fillStyle = shown.ramp.css[0];
      pen.fillRect(own.left, own.top, own.width, own.height);
      pen.imageSmoothingEnabled = false;
      for (const at of places) {
        const one = tile(at);
        if (one) paintTile(pen, one, own, shown.top);
      }
      paintForbidden(pen, own, colors);
      pen.restore();
      paintAxes(pen, own, colors);
      paintMarks(pen, own, colors, fine);
    });
    paintMinimap(colors, shown.top);
    where.textContent = read(fine);
    shown.tiles.want(shown.trace.id, all, ref(), selection(ref()), places);
    map.dataset.frame = JSON.stringify(frame);
    host.dataset.complete = String(places.every((at) => tile(at)));
    map.setAttribute("aria-label", described(fine));
  }

  /** @param {CanvasRenderingContext2D} context @param {Tile} one @param {Frame} frame @param {number} top */
  function paintTile(context, one, { left, top: above, cell }, top) {
    const { query, key } = now();
    const { state, theme } = /** @type {Scene} */ (scene);
    const name = [state.palette, theme, state.scale, state.threshold, top].join();
    let picture = pictures.get(one);
    if (picture?.name !== name) pictures.set(one, (picture = { name, canvas: painted(one, /** @type {Scene} */ (scene), top) }));
    const [q, k] = [one.queries[0], one.keys[0]];
    context.drawImage(picture.canvas, left + (k - key) * cell, above + (q - query) * cell, (one.keys[one.cols] - k) * cell, (one.queries[one.rows] - q) * cell);
  }

  /** What comes later cannot be looked at: everything right of the diagonal. @param {CanvasRenderingContext2D} context @param {Frame} frame @param {import("../canvas.js").Look} colors */
  function paintForbidden(context, { left, top, cell, width, height, rows }, colors) {
    const { query, key } = now();
    if (!attention().block.causal || crosses(attention())) return;
    const x = (/** @type {number} */ at) => left + (at - key) * cell;
    const y = (/** @type {number} */ at) => top + (at - query) * cell;
    context.fillStyle = hatch(context, colors);
    context.beginPath();
    context.moveTo(left + width, top);
    if (cell < 2) {
      context.lineTo(x(query), top);
      context.lineTo(x(query + rows), top + height);
    } else {
      for (let at = Math.floor(query); at < query + rows; at++) {
        context.lineTo(x(at + 1), y(at));
        context.lineTo(x(at + 1), y(at + 1));
      }
    }
    context.lineTo(Math.max(left + width, x(query + rows)), top + height);
    context.closePath();
    context.fill();
  }

  /** Tokens where they have room, else their numbers. @param {CanvasRenderingContext2D} context @param {Frame} frame @param {import("../canvas.js").Look} colors */
  function paintAxes(context, { left, top, cell, rows, cols, width }, colors) {
    const { query, key } = now();
    const { queries, keys } = attention();
    const { cursor, chosen } = /** @type {Scene} */ (scene);
    const live = cursor ?? chosen;
    const words = cell >= 9 * colors.unit;
    const font = Math.max(colors.least, (words ? Math.min(15, Math.max(10, cell * 0.6)) : 11) * colors.unit);
    const room = words ? font * 1.1 : 44 * colors.unit;
    const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];
    const every = words ? Math.max(1, Math.ceil(room / cell)) : (steps.find((step) => step * cell >= room) ?? 10000);
    const clip = (/** @type {string} */ text) => ([...text].length > LETTERS ? `${[...text].slice(0, LETTERS - 1).join("")}…` : text);
    context.textBaseline = "middle";
    const axis = (/** @type {import("../trace.js").Token[]} */ tokens, /** @type {number} */ from, /** @type {number} */ count, /** @type {number | null | undefined} */ lit, /** @type {boolean} */ down) => {
      for (let at = Math.ceil(from / every) * every; at < Math.min(tokens.length, from + count); at += every) {
        const middle = (at + (words ? 0.5 : 0) - from) * cell;
        if (middle < 0) continue;
        const bold = words && at === lit;
        context.save();
        context.font = `${bold ? "600 " : ""}${font}px ${colors.mono}`;
        context.fillStyle = bold ? colors.ink : colors.ink2;
        context.globalAlpha = words && quiet(tokens[at]) && !bold ? 0.75 : 1;
        context.textAlign = down ? "right" : "left";
        context.translate(down ? left - 8 : left + middle, down ? top + middle : top - 8);
        if (!down) context.rotate(-Math.PI / (words ? 2 : 4));
        context.fillText(words ? clip(label(tokens[at])) : String(at), 0, 0);
        context.restore();
      }
    };
    axis(queries, query, rows, live?.query, true);
    axis(keys, key, cols, live?.key, false);
    context.font = `${12 * colors.unit}px ${colors.sans}`;
    context.fillStyle = colors.ink2;
    context.textAlign = "right";
    const { query: looking, key: lookedAt } = crosses(attention()) ? sides(attention()) : { query: t("side.queries"), key: t("side.keys") };
    context.fillText(`${lookedAt} →`, left - 8, top - 30 * colors.unit);
    context.fillText(`${looking} ↓`, left - 8, top - 14 * colors.unit);
    if (cell < 9 * colors.unit) return;
    context.fillStyle = colors.ground;
    for (let at = Math.ceil(key); at < key + cols; at++) context.fillRect(left + (at - key) * cell - 0.5, top, 1, rows * cell);
    for (let at = Math.ceil(query); at < query + rows; at++) context.fillRect(left, top + (at - query) * cell - 0.5, width, 1);
  }

  /** What is held and what is pointed at. @param {CanvasRenderingContext2D} context @param {Frame} frame @param {import("../canvas.js").Look} colors @param {number} fine */
  function paintMarks(context, { left, top, cell, width, height }, colors, fine) {
    const { query, key } = now();
    const { held, cursor } = /** @type {Scene} */ (scene);
    context.save();
    context.beginPath();
    context.rect(left - 2, top - 2, width + 4, height + 4);
    context.clip();
    const box = (/** @type {[number, number]} */ rows, /** @type {[number, number] | null} */ cols, /** @type {string} */ color, /** @type {number} */ line) => {
      context.strokeStyle = color;
      context.lineWidth = line * colors.stroke;
      const [x, w] = cols ? [left + (cols[0] - key) * cell, Math.max(3, (cols[1] - cols[0] + 1) * cell)] : [left, width];
      context.strokeRect(x - 0.5, top + (rows[0] - query) * cell - 0.5, w + 1, Math.max(fine > 1 ? 3 : 1, (rows[1] - rows[0] + 1) * cell) + 1);
    };
    if (held) {
      box([held.query, held.query], null, colors.accent, 2);
      if (held.key !== null) box([held.query, held.query], [held.key, held.key], colors.accent, 3);
    }
    if (cursor?.key != null) box(cursor.seen?.queries ?? [cursor.query, cursor.query], cursor.seen?.keys ?? [cursor.key, cursor.key], colors.ink, 2);
    context.restore();
  }

  /** @param {import("../canvas.js").Look} colors @param {number} top */
  function paintMinimap(colors, top) {
    const whole = everything(attention()).span;
    const { query, key, span } = now();
    mini.hidden = span >= whole;
    const one = tile(base());
    if (mini.hidden || !one) return;
    const side = MINIMAP * colors.unit;
    const context = fit(mini, side, side);
    context.fillStyle = /** @type {Scene} */ (scene).ramp.css[0];
    context.fillRect(0, 0, side, side);
    const scale = side / whole;
    const picture = pictures.get(one)?.canvas ?? painted(one, /** @type {Scene} */ (scene), top);
    context.drawImage(picture, 0, 0, attention().keys.length * scale, attention().queries.length * scale);
    context.strokeStyle = colors.accent;
    context.lineWidth = 2;
    context.strokeRect(key * scale, query * scale, Math.max(3, span * scale), Math.max(3, span * scale));
  }

  /** @param {number} from @param {number} count @param {number} length */
  const stretch = (from, count, length) => `${Math.round(from)}–${Math.min(length, Math.round(from + count)) - 1}`;

  /** What is looked at, in words. @param {number} fine */
  function read(fine) {
    const { query, key, span } = now();
    const { queries, keys } = attention();
    const cells = fine > 1 ? t("longmap.cell-of", { side: fine }) : t("longmap.cell");
    const part = { queries: stretch(query, span, queries.length), keys: stretch(key, span, keys.length), all: Math.max(queries.length, keys.length) };
    return `${t("longmap.where", part)} · ${cells}`;
  }

  /** @param {number} fine */
  function described(fine) {
    const { queries, keys } = attention();
    return t(fine > 1 ? "longmap.described" : "longmap.described-close", { queries: queries.length, keys: keys.length, part: read(fine) });
  }

  /** The cell that a pair is drawn in, from the finest tile that is here. @param {number} query @param {number} key */
  function seenAt(query, key) {
    const fine = cellFor(now().span);
    for (const at of [...covering(attention(), { query, key, rows: 1, cols: 1 }, fine), base()]) {
      const one = tile(at);
      if (one) return cellAt(one, query, key);
    }
    return undefined;
  }

  /** @param {{clientX: number, clientY: number}} event */
  function under({ clientX, clientY }) {
    if (!frame || !scene) return null;
    const box = map.getBoundingClientRect();
    const { query, key } = now();
    const at = { query: query + (clientY - box.top - frame.top) / frame.cell, key: key + (clientX - box.left - frame.left) / frame.cell };
    const within = at.query >= query && at.query < query + frame.rows && at.key >= key && at.key < key + frame.cols;
    return within ? at : null;
  }

  /** @param {{query: number, key: number} | null} at */
  function point(at) {
    map.classList.toggle("pointing", at !== null);
    if (!at) return actions.point(null);
    const [query, key] = [Math.floor(at.query), Math.floor(at.key)];
    const seen = seenAt(query, key);
    actions.point(seen ? seen.queries[0] : query, seen ? seen.keys[0] : key, seen);
  }

  /** A cell of several tokens opens; a single weight is held. @param {{query: number, key: number}} at @param {boolean} [row] */
  function open(at, row = false) {
    if (cellFor(now().span) > 1) return move(zoomed({ ...now(), query: at.query - now().span / 2, key: at.key - now().span / 2 }, at, 0.25, attention()));
    actions.lock(Math.floor(at.query), row ? null : Math.floor(at.key));
  }

  map.addEventListener(
    "wheel",
    (event) => {
      const at = under(event);
      if (!at) return;
      event.preventDefault();
      // A pinch on a touchpad comes as a wheel with Ctrl, in smaller steps.
      const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1) * (event.ctrlKey ? 4 : 1);
      move(zoomed(now(), at, 2 ** Math.max(-1, Math.min(1, pixels / 240)), attention()));
    },
    { passive: false },
  );

  /** Fingers and buttons that are down. @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  let dragged = 0;
  map.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    map.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (down.size === 1) dragged = 0;
  });
  map.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId)) {
      if (event.pointerType === "touch") return;
      over = { clientX: event.clientX, clientY: event.clientY };
      return point(under(event));
    }
    drag(event);
  });
  /** @param {PointerEvent} event */
  function drag(event) {
    const before = down.get(event.pointerId);
    if (!frame || !before) return;
    const after = { x: event.clientX, y: event.clientY };
    const others = [...down].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    down.set(event.pointerId, after);
    dragged += Math.hypot(after.x - before.x, after.y - before.y);
    if (dragged < STILL) return;
    const { query, key, span } = now();
    const share = others.length ? 0.5 : 1;
    const panned = { query: query - (share * (after.y - before.y)) / frame.cell, key: key - (share * (after.x - before.x)) / frame.cell, span };
    const [other] = others;
    if (!other) return move(panned);
    const apart = (/** @type {{x: number, y: number}} */ at) => Math.max(1, Math.hypot(at.x - other.x, at.y - other.y));
    const middle = under({ clientX: (after.x + other.x) / 2, clientY: (after.y + other.y) / 2 });
    move(middle ? zoomed(panned, middle, apart(before) / apart(after), attention()) : panned);
  }
  const lift = (/** @type {PointerEvent} */ event) => {
    if (event.type === "pointerup") drag(event);
    const pressed = down.delete(event.pointerId);
    if (!pressed || event.type === "pointercancel" || dragged >= STILL || down.size) return;
    const at = under(event);
    if (at) open(at);
    else actions.release();
  };
  map.addEventListener("pointerup", lift);
  map.addEventListener("pointercancel", lift);
  map.addEventListener("pointerleave", () => {
    over = null;
    if (!down.size) actions.point(null);
  });
  mini.addEventListener("pointerdown", (event) => {
    const box = mini.getBoundingClientRect();
    const whole = everything(attention()).span;
    const { span } = now();
    move({ query: ((event.clientY - box.top) / box.height) * whole - span / 2, key: ((event.clientX - box.left) / box.width) * whole - span / 2, span });
  });

  const ARROWS = /** @type {Record<string, [number, number]>} */ ({ ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] });
  map.addEventListener("keydown", (event) => {
    if (!scene || event.ctrlKey || event.metaKey || event.altKey) return;
    over = null;
    const { query, key, span } = now();
    const { queries, keys } = attention();
    const arrow = ARROWS[event.key];
    const at = focus();
    if (arrow && event.shiftKey) move({ query: query + (arrow[0] * span) / 2, key: key + (arrow[1] * span) / 2, span });
    else if (arrow) walk(at, arrow[0], arrow[1]);
    else if (event.key === "+" || event.key === "=") move(zoomed(now(), at, 0.5, attention()));
    else if (event.key === "-") move(zoomed(now(), at, 2, attention()));
    else if (event.key === "0") move(everything(attention()));
    else if (event.key === "Home") walk({ ...at, key: 0 }, 0, 0);
    else if (event.key === "End") walk({ ...at, key: keys.length - 1 }, 0, 0);
    else if (event.key === "PageUp") walk({ ...at, query: 0 }, 0, 0);
    else if (event.key === "PageDown") walk({ ...at, query: queries.length - 1 }, 0, 0);
    else if (event.key === "Enter" || event.key === " ") open(at, event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  /** To the next cell, and the window with it where it would leave. @param {{query: number, key: number}} at @param {number} dy @param {number} dx */
  function walk(at, dy, dx) {
    const { queries, keys } = attention();
    const step = cellFor(now().span);
    const to = {
      query: Math.max(0, Math.min(queries.length - 1, Math.floor(at.query / step) * step + dy * step)),
      key: Math.max(0, Math.min(keys.length - 1, Math.floor(at.key / step) * step + dx * step)),
    };
    const { query, key, span } = now();
    const follow = (/** @type {number} */ first, /** @type {number} */ place) => (place < first ? place : place + step > first + span ? place + step - span : first);
    const next = { query: follow(query, to.query), key: follow(key, to.key), span };
    if (next.query !== query || next.key !== key) move(next);
    point({ query: to.query + 0.5, key: to.key + 0.5 });
    const { cursor } = /** @type {Scene} */ (scene);
    const value = cursor?.seen?.value;
    const names = { query: label(queries[to.query]), key: label(keys[to.key]) };
    if (step > 1) actions.say(t("longmap.spoken", { query: to.query, key: to.key, most: number(value ?? 0) }));
    else if (forbidden(attention(), to.query, to.key)) actions.say(t("heatmap.spoken-never", names));
    else actions.say(value === undefined ? t("heatmap.spoken", names) : t("heatmap.spoken-weight", { ...names, weight: number(value) }));
  }

  return {
    /** @param {Scene} next */
    update(next) {
      const other = scene && (scene.trace.id !== next.trace.id || scene.attention.block.name !== next.attention.block.name || scene.attention.stack !== next.attention.stack);
      scene = next;
      const asked = JSON.stringify(next.state.window);
      if (other || asked !== kept) {
        kept = asked;
        view = next.state.window && inside(next.state.window, next.attention);
      }
      measured("heatmap", draw);
      if (over && !down.size) point(under(over));
    },
    unmount: () => {
      clearTimeout(resting);
      if (scene) scene.tiles.want(scene.trace.id, attention(), ref(), {}, []);
      scene = null;
    },
  };
}

// @ts-check
/** One state of a recurrent layer over time: a row for every step, a column for every unit. */
import { fit, look, measured, paint } from "../canvas.js";
import { diverging, place, ramp, signedPlace } from "../colors.js";
import { h } from "../dom.js";
import { exact, number } from "../format.js";
import { isShare, partName, whereName } from "../recurrent.js";
import { label, quiet, saidFrom } from "../trace.js";
import { leaves, points } from "../touch.js";
import { t } from "../words.js";

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {{left: number, top: number, width: number, height: number, rows: number, cols: number}} Frame */

const TALLEST_ROW = 60;
const WIDEST_UNIT = 28;
const LETTERS = 13;

/**
 * @param {ArrayLike<number>} values @param {Pick<Scene, "theme" | "state">} scene
 * @param {import("../recurrent.js").RecurrentSite} site @param {number} top @param {Uint32Array} out
 */
export function colorsOf(values, { theme, state }, site, top, out) {
  const share = isShare(site);
  const { pixels } = share ? ramp(state.palette, theme) : diverging(theme);
  for (let i = 0; i < values.length; i++) out[i] = pixels[share ? place(values[i], "linear", 1) : signedPlace(values[i], top)];
}

/** @param {string} text */
const clip = (text) => ([...text].length > LETTERS ? `${[...text].slice(0, LETTERS - 1).join("")}…` : text);

/**
 * @typedef {{visit: (time: number | null, unit?: number) => void, keep: (time: number, unit: number) => void, free: () => void, say: (sentence: string) => void}} Actions
 */

/** @param {HTMLElement} host @param {Actions} actions */
export function mountStates(host, actions) {
  const cells = /** @type {HTMLCanvasElement} */ (h("canvas.cells", { "aria-hidden": "true" }));
  const axes = /** @type {HTMLCanvasElement} */ (
    h("canvas.axes", { tabindex: 0, role: "application", "aria-roledescription": t("states.role"), "aria-label": t("view.states") })
  );
  const scroller = h("div.scroller", { tabindex: 0, role: "region", "aria-label": t("states.as-table"), hidden: true });
  host.append(cells, axes, scroller);
  /** @type {Scene | null} */
  let scene = null;
  /** @type {Frame | null} */
  let frame = null;
  /** @type {any} */
  let painted = null;
  let paintedAs = "";
  let tabled = "";

  /** @param {Scene} now @param {import("../matrix.js").Matrix} numbers */
  function draw(now, numbers) {
    const colors = look();
    const { unit } = colors;
    const [width, height] = [host.clientWidth, host.clientHeight];
    const context = fit(axes, width, height);
    const tokens = now.trace.tokens[/** @type {any} */ (now.site).stack];
    const { rows, cols } = numbers;
    const font = 13 * unit;
    context.font = `600 ${font}px ${colors.mono}`;
    const left = Math.max(56 * unit, ...tokens.map((token) => context.measureText(clip(label(token))).width)) + 12 * unit;
    const top = 40 * unit;
    const wide = Math.min(width - left - 8, cols * WIDEST_UNIT * unit);
    const tall = Math.min(height - top - 8, rows * TALLEST_ROW * unit);
    frame = { left, top, width: wide, height: tall, rows, cols };
    Object.assign(cells.style, { left: `${left}px`, top: `${top}px`, width: `${wide}px`, height: `${tall}px` });
    const name = [now.trace.id, now.site?.address, now.theme, now.state.palette].join();
    if (painted !== numbers || paintedAs !== name) {
      cells.width = cols;
      cells.height = rows;
      const image = new ImageData(cols, rows);
      colorsOf(numbers.values, now, /** @type {any} */ (now.site), now.siteRange[1], new Uint32Array(image.data.buffer));
      cells.getContext("2d")?.putImageData(image, 0, 0);
      painted = numbers;
      paintedAs = name;
    }
    paint(axes, context, (pen) => paintAxes(pen, now, /** @type {Frame} */ (frame), colors));
  }

  /** @param {CanvasRenderingContext2D} context @param {Scene} now @param {Frame} frame @param {import("../canvas.js").Look} colors */
  function paintAxes(context, now, { left, top, width: wide, height: tall, rows, cols }, colors) {
    const { unit } = colors;
    const font = 13 * unit;
    const tokens = now.trace.tokens[/** @type {any} */ (now.site).stack];
    const [row, col] = [tall / rows, wide / cols];
    const said = saidFrom(now.trace, tokens);
    context.fillStyle = colors.ink2;
    context.fillRect(left - 5, top + said * row, 2, (rows - said) * row);
    if (Math.min(row, col) >= 9) {
      context.fillStyle = colors.ground;
      for (let u = 1; u < cols; u++) context.fillRect(left + u * col - 0.5, top, 1, tall);
      for (let time = 1; time < rows; time++) context.fillRect(left, top + time * row - 0.5, wide, 1);
    }
    context.textBaseline = "middle";
    context.textAlign = "right";
    const every = Math.max(1, Math.ceil((font * 1.05) / row));
    tokens.forEach((token, i) => {
      const lit = i === now.step?.time;
      if (!lit && (i % every || (now.step && every > 1 && Math.abs(i - now.step.time) < every))) return;
      context.font = `${lit ? "600 " : ""}${font}px ${colors.mono}`;
      context.globalAlpha = quiet(token) && !lit ? 0.75 : 1;
      context.fillStyle = lit ? colors.ink : colors.ink2;
      context.fillText(clip(label(token)), left - 8, top + (i + 0.5) * row);
    });
    context.globalAlpha = 1;
    context.textAlign = "center";
    const steps = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].find((n) => n * col >= 30 * unit) ?? 1024;
    for (let u = 0; u < cols; u++) {
      const lit = u === now.step?.unit;
      if (!lit && (u % steps || (now.step && Math.abs(u - now.step.unit) * col < 24 * unit))) continue;
      context.font = `${lit ? "600 " : ""}${12 * unit}px ${colors.mono}`;
      context.fillStyle = lit ? colors.ink : colors.ink2;
      context.fillText(String(u), left + (u + 0.5) * col, top - 10 * unit);
    }
    context.font = `${12 * unit}px ${colors.sans}`;
    context.fillStyle = colors.ink2;
    context.textAlign = "right";
    context.fillText(`${t("states.time")} ↓`, left - 8, top - 10 * unit);
    context.textAlign = "left";
    context.fillText(`${t("states.unit")} →`, left, top - 28 * unit);
    if (now.step && now.step.time < rows) {
      const { time, unit: at } = now.step;
      const kept = now.state.time === time && now.state.unit === at;
      context.strokeStyle = colors.ink2;
      context.globalAlpha = 0.7;
      context.lineWidth = 1;
      context.strokeRect(left - 0.5, top + time * row - 0.5, wide + 1, row + 1);
      context.strokeRect(left + at * col - 0.5, top - 0.5, col + 1, tall + 1);
      context.globalAlpha = 1;
      context.strokeStyle = colors.accent;
      context.lineWidth = kept ? 3 : 2;
      context.strokeRect(left + at * col - 1, top + time * row - 1, Math.max(col, 3) + 2, row + 2);
    }
  }

  /** @param {Scene} now @param {import("../matrix.js").Matrix} numbers */
  function table(now, numbers) {
    const name = [now.trace.id, now.site?.address].join();
    if (name === tabled) return;
    tabled = name;
    const tokens = now.trace.tokens[/** @type {any} */ (now.site).stack];
    const site = /** @type {import("../recurrent.js").RecurrentSite} */ (now.site);
    scroller.replaceChildren(
      h(
        "table",
        {},
        h("caption", {}, t("states.caption", { where: whereName(site, now.recurrent ?? []), part: partName(site) })),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("generate.step")), ...Array.from({ length: numbers.cols }, (_, u) => h("th", { scope: "col" }, u)))),
        h(
          "tbody",
          {},
          ...tokens.map((token, time) =>
            h(
              "tr",
              {},
              h("th", { scope: "row", dir: "auto" }, label(token)),
              ...Array.from({ length: numbers.cols }, (_, u) => {
                const value = numbers.values[time * numbers.cols + u];
                return h("td", { title: exact(value) }, value.toFixed(3).replace("-", "−"));
              }),
            ),
          ),
        ),
      ),
    );
  }

  /** @param {MouseEvent} event */
  function under(event) {
    if (!frame) return null;
    const box = axes.getBoundingClientRect();
    const time = Math.floor(((event.clientY - box.top - frame.top) / frame.height) * frame.rows);
    const unit = Math.floor(((event.clientX - box.left - frame.left) / frame.width) * frame.cols);
    return time >= 0 && time < frame.rows && unit >= 0 && unit < frame.cols ? { time, unit } : null;
  }
  axes.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const at = under(event);
    axes.classList.toggle("pointing", at !== null);
    actions.visit(at?.time ?? null, at?.unit);
  });
  axes.addEventListener("pointerleave", (event) => leaves(event) && actions.visit(null));
  axes.addEventListener("click", (event) => {
    const at = under(event);
    if (!at) return actions.free();
    if (points(event, scene?.step?.time === at.time && scene.step.unit === at.unit)) actions.visit(at.time, at.unit);
    else actions.keep(at.time, at.unit);
  });
  axes.addEventListener("keydown", (event) => {
    if (!scene || !frame || event.ctrlKey || event.metaKey || event.altKey) return;
    const here = scene.step ?? { time: 0, unit: 0 };
    const moves = /** @type {Record<string, [number, number]>} */ ({ ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -1e6], End: [0, 1e6], PageUp: [-1e6, 0], PageDown: [1e6, 0] });
    const move = moves[event.key];
    if (move) {
      const time = Math.min(frame.rows - 1, Math.max(0, here.time + move[0]));
      const unit = Math.min(frame.cols - 1, Math.max(0, here.unit + move[1]));
      actions.visit(time, unit);
      const numbers = scene.states.get(scene.site?.address ?? "");
      const token = scene.trace.tokens[/** @type {any} */ (scene.site).stack][time];
      if (numbers) actions.say(t("states.spoken", { token: label(token), unit, number: number(numbers.values[time * numbers.cols + unit]) }));
    } else if (event.key === "Enter" || event.key === " ") actions.keep(here.time, here.unit);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    /** @param {Scene} next */
    update(next) {
      scene = next;
      const numbers = next.site && next.states.get(next.site.address);
      const asTable = next.state.form === "table";
      for (const canvas of [cells, axes]) canvas.hidden = asTable;
      scroller.hidden = !asTable;
      if (!numbers || !next.site) return;
      if (asTable) return table(next, numbers);
      measured("states", () => draw(next, numbers));
      const { step, site } = next;
      const token = step && next.trace.tokens[site.stack][step.time];
      const what = t("states.described", { where: whereName(site, next.recurrent ?? []), part: partName(site), steps: numbers.rows, units: numbers.cols });
      const at = step && token ? t("states.described-at", { unit: step.unit, token: label(token), number: number(numbers.values[step.time * numbers.cols + step.unit]) }) : "";
      axes.setAttribute("aria-label", [what, at, t("states.keys")].filter(Boolean).join(" "));
    },
  };
}

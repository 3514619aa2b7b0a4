// @ts-check
/** Models that are not here yet: what they weigh, a button that brings them, and how far that is. */
import { Problem } from "./api.js";
import { h } from "./dom.js";
import { bytes, short } from "./format.js";
import { say } from "./speech.js";
import { t } from "./words.js";

/** @typedef {import("./header.js").Model} Model */
/** @typedef {{done: number, total: number, files: {name: string, done: number, total: number}[]}} Progress */

/** How often a screen reader hears of it. */
const QUARTERS = 4;

/**
 * @param {HTMLElement} host
 * @param {{
 *   api: import("./api.js").Api,
 *   arrived: (model: Model) => void,
 *   closed: (id: string) => void,
 * }} given arrived: its files are here now; closed: the reader does without
 */
export function mountDownloads(host, { api, arrived, closed }) {
  /** @type {Map<string, {busy: () => boolean, remove: () => void, start: HTMLElement}>} by model */
  const rows = new Map();

  /** @param {Model} model */
  function row(model) {
    /** @type {AbortController | null} */
    let running = null;
    let heard = 0;
    const bar = /** @type {HTMLProgressElement} */ (h("progress", { "aria-label": t("download.label", { model: model.name }), hidden: true }));
    const state = h("p.state", {}, about(model));
    const start = h("button.primary", { type: "button", onclick: download }, t("download.start"));
    const stop = h("button.quiet", { type: "button", onclick: () => (running ? running.abort() : close()) }, t("download.not-now"));
    const element = h("section.download", { "aria-label": t("download.absent", { model: model.name }) }, h("strong", {}, t("download.absent", { model: model.name })), h("p.aside", {}, model.summary), bar, state, h("div", {}, start, stop));
    host.append(element);

    function remove() {
      running?.abort();
      element.remove();
      rows.delete(model.id);
    }
    function close() {
      remove();
      closed(model.id);
    }
    /** @param {Progress} progress */
    function show({ done, total }) {
      bar.max = total;
      bar.value = done;
      state.textContent = t("download.progress", { done: bytes(done), total: bytes(total) });
      const quarter = Math.floor((QUARTERS * done) / total);
      if (quarter > heard && quarter < QUARTERS) say(t("download.percent", { model: model.name, percent: 25 * (heard = quarter) }));
    }
    /** @param {boolean} on */
    function busy(on) {
      bar.hidden = !on && !bar.value;
      start.hidden = on;
      stop.textContent = t(on ? "download.cancel" : "download.not-now");
      element.classList.remove("failed");
    }
    async function download() {
      const mine = (running = new AbortController());
      heard = 0;
      busy(true);
      stop.focus();
      state.textContent = t("download.asking");
      say(t("download.downloading", { model: model.name }));
      try {
        for await (const { name, data } of api.events(`models/${encodeURIComponent(model.id)}/download`, mine.signal)) {
          if (name === "problem") throw new Problem(data);
          if (name === "progress") show(data);
          if (name === "ready") {
            running = null;
            const within = element.contains(document.activeElement);
            remove();
            if (within) document.getElementById("model")?.focus();
            say(t("download.here", { model: model.name }));
            arrived(data);
            return;
          }
        }
        throw new Problem({ title: t("download.ended"), detail: t("download.ended-detail") });
      } catch (error) {
        if (!mine.signal.aborted && !(error instanceof Problem)) throw error;
        running = null;
        busy(false);
        start.textContent = t(bar.value ? "download.go-on" : "download.again");
        if (error instanceof Problem) {
          element.classList.add("failed");
          state.replaceChildren(h("strong", {}, `${error.title}. `), error.detail);
          say(`${error.title}. ${error.detail}`);
        } else {
          state.textContent = bar.value ? t("download.stopped", { done: bytes(bar.value), total: bytes(bar.max) }) : about(model);
        }
        if (element.contains(document.activeElement)) start.focus();
      }
    }
    return { busy: () => running !== null, remove, start };
  }

  return {
    /** Offers a model; other offers that nobody took go. @param {Model} model @param {boolean} [focused] */
    offer(model, focused = false) {
      this.withdraw(model.id);
      if (!rows.has(model.id)) rows.set(model.id, row(model));
      if (focused) rows.get(model.id)?.start.focus();
    },
    /** Takes back what nobody took. @param {string} [except] */
    withdraw(except) {
      for (const [id, one] of rows) if (id !== except && !one.busy()) one.remove();
    },
  };
}

/** What a model weighs. @param {Model} model */
function about({ parameters, layers, heads, size, source }) {
  const parts = [
    parameters && t("model.parameters", { number: short(parameters) }),
    layers && heads && t("model.layers-of-heads", { layers: t("count.layer", { count: layers }), heads: t("count.head", { count: heads }) }),
    size ? t("download.size-from", { size: bytes(size), source }) : t("download.from", { source }),
  ];
  return parts.filter(Boolean).join(" · ");
}

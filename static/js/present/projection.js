// @ts-check
/** The picture for the back row of a room: the keys of a clicker, a black screen, a halo around the pointer. How large all of it is stands in present.css. */
import { byId, h, icon } from "../dom.js";
import { t } from "../words.js";

/** @typedef {import("../state.js").State} State */
/** @typedef {import("./walking.js").Way} Way */

const WRITING = "input, textarea, select, [contenteditable]";
const PRESSED = "button, a, summary, [role=button]";

/** How long the halo stays where the pointer rests, in milliseconds. */
const RESTS = 4000;

/**
 * @param {{
 *   store: import("../state.js").Store,
 *   walk: (by: Way) => unknown,
 *   busy: () => boolean,
 *   speaker?: () => void,
 *   darkened?: (dark: boolean) => void,
 *   say: (sentence: string) => void,
 *   toast: (sentence: string) => void,
 *   hush: () => void,
 * }} given walk: goes on within the picture; busy: whether Escape has something else to stop; speaker: opens the speaker's window, where there is a lesson
 */
export function mountProjection({ store, walk, busy, speaker, darkened, say, toast, hush }) {
  const root = document.documentElement;
  const halo = h("div.halo", { hidden: true, "aria-hidden": "true" });
  const black = h("div.black", { hidden: true });
  const button = (/** @type {string} */ name, /** @type {string} */ title, /** @type {() => void} */ onclick) => h("button.quiet.iconic.bare", { type: "button", title, "aria-label": title, onclick }, icon(name));
  const bar = h(
    "div.remote",
    { role: "toolbar", "aria-label": t("present.remote"), hidden: true },
    button("back", t("present.back"), () => go("back")),
    button("forward", t("present.next"), () => go("forward")),
    button("black", t("present.black"), () => darken(true)),
    button("full", t("present.full"), fill),
    button("close", t("present.leave"), leave),
  );
  document.body.append(bar, halo, black);
  /** @type {number | undefined} */
  let resting;

  const on = () => store.state.present !== "off";

  /** @param {Way} by */
  function go(by) {
    hush(); // whoever goes on knows how to, and the hint lies over the picture's corner
    walk(by);
  }

  /** @param {boolean} dark */
  function darken(dark) {
    black.hidden = !dark;
    darkened?.(dark);
    say(t(dark ? "present.dark" : "present.lit"));
  }

  function fill() {
    if (document.fullscreenElement) document.exitFullscreen();
    // Only a person may fill the screen: where a browser refuses, the window is large enough.
    else root.requestFullscreen?.().catch(() => null);
  }

  function enter() {
    if (on()) return leave();
    store.set({ present: "on" });
    if (!document.fullscreenElement) fill();
    byId("view").focus({ preventScroll: true });
  }

  function leave() {
    if (document.fullscreenElement) document.exitFullscreen();
    store.set({ present: "off" });
  }

  /** @param {"heads" | "why"} part */
  const beside = (part) => store.set({ present: store.state.present === part ? "on" : part });

  /** @type {Record<string, () => void>} */
  const KEYS = {
    ArrowRight: () => go("forward"),
    PageDown: () => go("forward"),
    " ": () => go("forward"),
    ArrowLeft: () => go("back"),
    PageUp: () => go("back"),
    Home: () => go("first"),
    End: () => go("last"),
    b: () => darken(true),
    ".": () => darken(true),
    f: fill,
    h: () => beside("heads"),
    i: () => beside("why"),
    p: leave,
    ...(speaker ? { s: speaker } : {}),
    Escape: leave,
  };

  // Before anything else hears of it: a view has uses of its own for most of these keys.
  document.addEventListener(
    "keydown",
    (event) => {
      const target = /** @type {Element} */ (event.target);
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || target.closest(WRITING)) return;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const act = on() ? KEYS[key] : key === "p" ? enter : undefined;
      if (!black.hidden && act) darken(false);
      else if (!act || (key === " " && target.closest(PRESSED)) || (key === "Escape" && busy())) return;
      else act();
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
  black.addEventListener("click", () => darken(false));
  byId("present").addEventListener("click", enter);

  document.addEventListener("pointermove", ({ pointerType, clientX, clientY }) => {
    if (!on() || pointerType === "touch") return;
    halo.hidden = false;
    halo.style.transform = `translate(${clientX}px, ${clientY}px)`;
    clearTimeout(resting);
    resting = window.setTimeout(() => (halo.hidden = true), RESTS);
  });
  root.addEventListener("pointerleave", () => (halo.hidden = true));

  let shown = "off";
  return {
    darken,
    /** @param {State} state */
    update({ present }) {
      if (present === shown) return;
      if (shown === "off") toast(t("present.hint"));
      shown = present;
      if (present === "off") {
        delete root.dataset.present;
        hush();
        black.hidden = halo.hidden = true;
      } else root.dataset.present = present;
      bar.hidden = present === "off";
    },
  };
}

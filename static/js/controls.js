// @ts-check
/** The controls that are the state: each names its field in data-state, shows it, and changes it. */
import { byId } from "./dom.js";
import { t } from "./words.js";

/** @typedef {import("./state.js").State} State */

/** @param {import("./state.js").Store} store */
export function mountControls(store) {
  const controls = /** @type {(HTMLElement & {value: string})[]} */ ([...document.querySelectorAll("[data-state]")]);
  /** Parts that only some views need. */
  const only = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-only]")]);
  for (const control of controls) {
    const name = /** @type {keyof State} */ (control.dataset.state);
    control.addEventListener(control.matches("[type=range]") ? "input" : "change", () => {
      /** @type {Partial<State>} */
      const patch = { [name]: typeof store.state[name] === "number" ? Number(control.value) : control.value };
      // Where several heads are in focus together, they stay in focus, taken together the other way.
      if (patch.aggregate && typeof store.state.head !== "number") patch.head = patch.aggregate;
      store.set(patch);
    });
  }

  const tabs = /** @type {HTMLElement[]} */ ([...byId("tabs").children]);
  const show = (/** @type {number} */ i) => !tabs[i].hidden && store.set({ view: /** @type {State["view"]} */ (tabs[i].dataset.view) });
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", ({ detail }) => {
      show(i);
      if (detail) byId("view").focus({ preventScroll: true }); // after a pointer's click the keys are the view's, and no tab's
    });
    tab.addEventListener("keydown", (event) => {
      const open = tabs.filter((one) => !one.hidden);
      const here = open.indexOf(tab);
      const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: open.length - 1 }[event.key];
      if (to === undefined) return;
      const next = open[(to + open.length) % open.length];
      show(tabs.indexOf(next));
      next.focus();
      event.preventDefault();
    });
  });

  byId("why").addEventListener("click", () => {
    byId("inspector").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    byId("inspector").focus({ preventScroll: true });
  });
  byId("help-button").addEventListener("click", () => byId("help").showModal());
  byId("theme").addEventListener("click", () => {
    const themes = /** @type {const} */ (["system", "light", "dark"]);
    const theme = themes[(themes.indexOf(store.state.theme) + 1) % themes.length];
    store.set({ theme });
    try {
      localStorage.setItem("headlight-theme", theme);
    } catch {
      // Storage may be forbidden; the address still carries the theme.
    }
  });

  const ways = /** @type {HTMLElement} */ (document.querySelector("[data-state=direction]"));
  let seen = "";
  /** Where the names of the views take more than the screen's width, the chosen one comes to its middle. */
  function middle() {
    const open = tabs.filter((one) => !one.hidden);
    const chosen = open.find((one) => one.tabIndex === 0);
    const now = [chosen, ...open].map((one) => one?.dataset.view).join();
    if (now === seen || !chosen) return;
    seen = now;
    const list = byId("tabs");
    list.scrollLeft = chosen.offsetLeft - (list.clientWidth - chosen.offsetWidth) / 2;
  }

  /** What there is to look at: heads, recurrent states, what comes next; and whether tokens are looked at by tokens. @param {{heads: boolean, directions: boolean, states: boolean, generate: boolean, steps: boolean}} there */
  function offer({ heads, directions, ...there }) {
    if (!directions) ways.hidden = true;
    for (const tab of tabs) tab.hidden = !(there[/** @type {keyof typeof there} */ (tab.dataset.view)] ?? heads);
    middle();
  }

  /** @param {State} state */
  function update(state) {
    for (const control of controls) {
      control.value = String(state[/** @type {keyof State} */ (control.dataset.state)]);
    }
    for (const part of only) part.hidden = !part.dataset.only?.split(" ").includes(state.view);
    byId("threshold-value").textContent = state.threshold ? state.threshold.toFixed(2) : "0";
    for (const tab of tabs) {
      const chosen = tab.dataset.view === state.view;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen) byId("view").setAttribute("aria-labelledby", tab.id);
    }
    middle();
    byId("theme-name").textContent = byId("theme").title = t(`top.theme-${state.theme}`);
    if (document.documentElement.dataset.theme !== state.theme) document.documentElement.dataset.theme = state.theme;
  }

  return { update, offer, show, views: tabs.length };
}

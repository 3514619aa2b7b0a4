// @ts-check
/** The text that the network says, token by token, and what it could have said instead at every step. */
import { place } from "../colors.js";
import { h, icon } from "../dom.js";
import { exact, number } from "../format.js";
import { rowOfQuery, rowOfStep } from "../scene.js";
import { saidNumbers } from "../share/numbers.js";
import { speakOn } from "../speech.js";
import { crosses, label, lastTokens, quiet, textOf } from "../trace.js";
import { apart, phrase, t } from "../words.js";
import { beamTable, mountBeams } from "./beams.js";
import { tint } from "./text.js";

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("../generation.js").Step} Step */
/** @typedef {import("../generation.js").Candidate} Candidate */
/** @typedef {import("../generation.js").Written} Written */
/** @typedef {import("../generation.js").Shown} Generation */
/** @typedef {{step: (index: number) => void, force: (index: number, id: number | null) => void}} Actions force: null lets the forced token go */

/** What a sum of probabilities may be off by. */
const ROUNDING = 1e-9;

/** How long a token is shown while it plays, in milliseconds. */
const BEATS = { slow: 1800, normal: 900, fast: 350 };

/** @param {Written} token */
const nameOf = (token) => label(/** @type {any} */ (token));
/** A chip for a token outside of the text. @param {Written | null} token */
const chip = (token) => h(`b.token${token && quiet(/** @type {any} */ (token)) ? ".byte" : ""}`, { dir: "auto" }, token ? nameOf(token) : "…");

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Why there is no more. @param {Generation} generation @param {import("../trace.js").TraceBody} trace */
function ending({ ended, steps, settings, seconds, start }) {
  const count = steps.filter(({ ends }) => !ends).length;
  const tokens = t("count.token", { count });
  const said = seconds === null ? tokens : t("generate.took", { tokens, seconds: number(seconds) });
  if (ended === "token") return t("generate.ended-token", { said });
  if (ended === "stopped") return t("generate.ended-stopped", { tokens });
  if (ended === "failed") return t("generate.ended-failed", { tokens });
  if (ended === "length" && settings && count < settings.most) return t("generate.ended-full", { said, most: (start ?? 0) + count });
  return ended ? t("generate.ended-length", { said }) : "";
}

/** How the shown token came about. @param {Step} step @param {Generation} generation */
function reason({ token, top, forced, ends }, { settings }) {
  if (!token || !settings) return "";
  if (forced) return t("generate.by-you");
  const likeliest = top && top[0]?.token.id === token.id;
  const how = settings.beams > 1 ? t("generate.best-of", { beams: settings.beams }) : settings.temperature > 0 ? t("generate.drawn") : likeliest ? t("generate.likeliest") : "";
  return [how, ends ? t("generate.stop-token") : ""].filter(Boolean).join(": ");
}

/** What was said, or the chosen step, as a sentence for those who listen. @param {Scene} scene */
function sentence({ generation, state, trace }) {
  const step = generation?.steps[generation.shown];
  if (!generation || generation.running || !step?.token || !step.top) return "";
  if (state.step === null) {
    const words = generation.steps.map(({ token }) => (token ? `${token.continues ? "" : " "}${textOf(/** @type {any} */ (token))}` : "")).join("");
    return `${t("generate.says", { words: words.trim() })} ${ending(generation, trace)}`;
  }
  const others = step.top.filter(({ token }) => token.id !== step.token?.id).slice(0, 2);
  const also = others.map(({ token, probability }) => `${apart(textOf(/** @type {any} */ (token)))} ${number(probability)}`).join(", ");
  const came = { step: step.index + 1, token: textOf(/** @type {any} */ (step.token)), probability: number(step.probability ?? 0), reason: reason(step, generation), also };
  return t("generate.spoken", came);
}

/** @param {HTMLElement} host @param {Actions} actions */
export function mountGenerate(host, actions) {
  const source = h("p.words", { dir: "auto" });
  const target = h("p.words", { dir: "auto" });
  const sourceTitle = h("h3", {}, t("side.source"));
  const targetTitle = h("h3", {}, t("side.target"));
  const spoken = h("div.spoken", { role: "group", "aria-label": t("generate.text") }, sourceTitle, source, targetTitle, target);
  const status = h("p.aside.ending");
  const lit = h("p.aside.lit");
  const forces = h("p.forces", { "aria-label": t("generate.forced-tokens") });
  const problem = h("p.broke", { role: "alert", hidden: true });
  const transport = mountTransport(actions);
  const heading = h("h3");
  const verdict = h("p");
  const head = h("div.columns", { "aria-hidden": "true" }, h("span", {}, t("generate.token")), h("span"), h("span.value", { title: t("generate.network-title") }, t("generate.network")), h("span.value.chance", { title: t("generate.chance-title") }, t("generate.chance")), h("span"));
  const list = h("ol.candidates", { "aria-label": t("generate.candidates") });
  const picture = h("div", {}, head, list);
  const tables = h("div.tables", { tabindex: 0, role: "region", "aria-label": t("generate.candidates-tables") });
  const beams = mountBeams(actions);
  const step = h("section.step-now", { "aria-label": t("generate.chosen-step") }, h("div.step-head", {}, heading, verdict), beams.host, picture, tables);
  const player = h("div.player", {}, spoken, h("div.told", {}, status, forces, lit), problem, transport.host, step);
  host.append(player);

  /** @type {{element: HTMLElement, at: number}[]} words of the prompt */
  let words = [];
  /** @type {{element: HTMLElement, at: number}[]} words of the source */
  let sourceWords = [];
  let promptOf = "";
  /** @type {{name: string, element: HTMLElement, word: HTMLElement}[]} */
  let chips = [];
  /** @type {ReturnType<typeof candidate>[]} */
  let rows = [];
  let tabled = "";
  let heard = 0;
  let seen = -1;
  /** @type {Scene | null} */
  let scene = null;

  /** @param {import("../trace.js").Token[]} tokens @param {HTMLElement} line */
  function write(tokens, line) {
    const made = tokens.map((token, at) => ({ at, element: h(`span.w${quiet(token) ? ".special" : ""}${token.continues ? ".glued" : ""}`, {}, textOf(token)) }));
    line.replaceChildren(...made.map(({ element }) => element));
    return made;
  }

  /** The text that was given: what the network reads before it says anything. @param {Scene} now @param {Generation} generation */
  function prompt({ trace }, { start }) {
    const own = lastTokens(trace);
    const stacks = Object.values(trace.tokens);
    const translates = stacks.length > 1;
    // Before anything is said, a decoder without a target has no more than its start token.
    const length = start ?? (trace.said ? own.length - trace.said.length : translates && !trace.target ? 1 : own.length);
    const name = [trace.model, trace.text, trace.target, length].join("\n");
    if (name === promptOf) return;
    promptOf = name;
    chips = [];
    for (const part of [sourceTitle, source, targetTitle]) part.hidden = !translates;
    sourceWords = translates ? write(stacks[0], source) : [];
    words = write(own.slice(0, length), target);
  }

  /** @param {Step} step */
  function said({ index, token, probability, forced, ends }) {
    const name = [index, token?.id, probability, forced, ends].join();
    if (chips[index]?.name === name) return;
    // Numbers keep the pieces of a word apart, so each wears its mark.
    const word = h(`span.w${token && quiet(/** @type {any} */ (token)) ? ".special" : ""}`, {}, token ? nameOf(token) : "…");
    const element = h(
      `button.uttered${token?.continues ? ".glued" : ""}${forced ? ".forced" : ""}${ends ? ".ends" : ""}`,
      {
        type: "button",
        tabindex: -1,
        title: [
          `${token ? apart(textOf(/** @type {any} */ (token))) : ""}: ${probability === null ? t("generate.not-known") : exact(probability)}`,
          forced ? t("generate.forced") : "",
          ends ? t("generate.text-ends") : "",
        ].filter(Boolean).join(", "),
        onclick: () => actions.step(index),
        onkeydown: (/** @type {KeyboardEvent} */ event) => walk(event, index),
      },
      word,
      h("span.value", {}, probability === null ? "–" : number(probability)),
      h("span.bar", { "aria-hidden": "true" }, h("i", { style: { width: `${100 * (probability ?? 0)}%` } })),
      forced ? h("span.hidden", {}, t("generate.forced")) : null,
    );
    if (chips[index]) chips[index].element.replaceWith(element);
    else target.append(element);
    chips[index] = { name, element, word };
  }

  /** @param {KeyboardEvent} event @param {number} index */
  function walk(event, index) {
    const forward = getComputedStyle(target).direction === "rtl" ? -1 : 1;
    const to = { ArrowRight: index + forward, ArrowLeft: index - forward, Home: 0, End: chips.length - 1 }[event.key];
    if (to === undefined) return;
    const next = Math.min(chips.length - 1, Math.max(0, to));
    actions.step(next);
    chips[next].element.focus();
    event.preventDefault();
    event.stopPropagation();
  }

  /** The text in the light of the head in focus, as it looks from the shown step. @param {Scene} now */
  function lights(now) {
    const { attention, heads, ramp, state, top } = now;
    const row = rowOfStep(now);
    const weights = row === null ? null : rowOfQuery(heads[0], row);
    const across = weights !== null && crosses(attention);
    lit.hidden = weights === null;
    if (row !== null) lit.replaceChildren(...phrase("generate.lit", { head: heads[0].name, token: h("b.token", { dir: "auto" }, label(attention.queries[row])) }));
    const light = (/** @type {HTMLElement} */ element, /** @type {number | null} */ weight) => {
      const { background, color } = weight === null ? { background: "", color: "" } : tint(ramp, place(weight, state.scale, top), state.palette === "light");
      element.style.background = background;
      element.style.color = color;
      element.title = weight === null ? "" : t("generate.looked-at", { weight: number(weight) });
    };
    for (const { element, at } of sourceWords) light(element, across ? weights[at] : null);
    const looks = (/** @type {number} */ at) => (weights && row !== null && !across && at <= row ? weights[at] : null);
    for (const { element, at } of words) light(element, looks(at));
    chips.forEach(({ word }, i) => light(word, looks(words.length + i)));
  }

  /** @param {Generation} generation */
  function text({ steps, shown, running }) {
    for (const one of steps) said(one);
    for (const { element } of chips.splice(steps.length)) element.remove();
    chips.forEach(({ element }, i) => {
      element.setAttribute("aria-pressed", String(i === shown));
      element.tabIndex = i === shown ? 0 : -1;
    });
    const element = chips[shown]?.element;
    if (!running || steps.length < heard) heard = steps.length;
    if (steps.length > heard) speakOn(steps.slice(heard).map(({ token }) => (token ? `${token.continues ? "" : " "}${textOf(/** @type {any} */ (token))}` : "")).join(""));
    heard = steps.length;
    if (shown === seen || !element) return;
    seen = shown;
    const [box, inner] = [spoken.getBoundingClientRect(), element.getBoundingClientRect()];
    if (inner.top < box.top || inner.bottom > box.bottom) spoken.scrollTop += inner.bottom > box.bottom ? inner.bottom - box.bottom + 4 : inner.top - box.top - 4;
  }

  /** @param {Generation} generation */
  function distribution(generation) {
    const { steps, shown } = generation;
    const now = steps[shown];
    step.hidden = !now;
    if (!now || !scene) return;
    const before = steps[shown - 1]?.token;
    const prompted = words.at(-1)?.element.textContent ?? "";
    heading.replaceChildren(...phrase("generate.heading", { step: shown + 1, token: before ? chip(before) : h("b.token", { dir: "auto" }, prompted) }));
    verdict.replaceChildren(chip(now.token), " ", h("span.value", { title: now.probability === null ? "" : exact(now.probability) }, now.probability === null ? "" : number(now.probability)), " ", h("span.aside", {}, now.top ? reason(now, generation) : t("generate.moment")));
    const listed = now.top ?? [];
    const differs = listed.some(({ probability, chance }) => Math.abs(chance - probability) > ROUNDING);
    picture.classList.toggle("drawn", differs);
    const shape = scene.state.form;
    picture.hidden = shape === "table";
    tables.hidden = shape !== "table";
    if (shape === "table") return table(generation, now, listed, differs);
    const there = listed.some(({ token }) => token.id === now.token?.id);
    const own = there || !now.token || !now.top ? [] : [{ token: now.token, probability: now.probability ?? Number.NaN, chance: Number.NaN }];
    const every = [...listed, ...own];
    while (rows.length < every.length) rows.push(candidate(list));
    rows.forEach((row, i) => row.update(every[i] ?? null, now));
    const rest = (/** @type {"probability" | "chance"} */ name) => {
      const left = 1 - every.reduce((sum, one) => sum + (one[name] || 0), 0);
      return left > ROUNDING ? left : 0;
    };
    others.hidden = !now.top;
    list.append(others);
    show(others, rest("probability"), rest("chance"));
  }

  const others = h("li.others", {}, h("span.token", {}, t("generate.others")), h("span.bars", { "aria-hidden": "true" }, h("i.network"), h("i.drawn")), h("span.value"), h("span.value.chance"), h("span.mark"));

  /** One line of the distribution, which stays where it is while the steps go by. @param {HTMLElement} into */
  function candidate(into) {
    const token = h("span.token", { dir: "auto" });
    const mark = h("span.mark");
    /** @type {Candidate | null} */
    let now = null;
    /** @type {Step | null} */
    let at = null;
    const button = h("button", { type: "button", onclick: () => now && at && now.token.id !== at.token?.id && actions.force(at.index, now.token.id) }, token, h("span.bars", { "aria-hidden": "true" }, h("i.network"), h("i.drawn")), h("span.value"), h("span.value.chance"), mark);
    const item = h("li", {}, button);
    into.append(item);
    return {
      /** @param {Candidate | null} next @param {Step} step */
      update(next, step) {
        [now, at] = [next, step];
        item.hidden = !next;
        if (!next) return;
        const { token: own, probability, chance } = next;
        const chosen = own.id === step.token?.id;
        const cut = chance === 0;
        token.textContent = nameOf(own);
        token.classList.toggle("byte", quiet(/** @type {any} */ (own)));
        item.classList.toggle("chosen", chosen);
        item.classList.toggle("cut", cut);
        mark.dataset.force = t("generate.force-short");
        mark.textContent = chosen ? t(step.forced ? "generate.forced" : step.ends ? "generate.ends" : "generate.chosen") : "";
        show(item, probability, chance);
        button.title = chosen ? "" : t("generate.force-title", { id: own.id });
        const drawn = Math.abs(chance - probability) > ROUNDING ? `, ${cut ? t("generate.cut") : t("generate.drawn-with", { chance: number(chance) })}` : "";
        const act = t(chosen ? (step.forced ? "generate.is-forced" : "generate.is-chosen") : "generate.force");
        button.setAttribute("aria-label", `${apart(textOf(/** @type {any} */ (own)))}: ${number(probability)}${drawn}. ${act}`);
        if (chosen) button.setAttribute("aria-current", "true");
        else button.removeAttribute("aria-current");
      },
    };
  }

  /** @param {HTMLElement} item @param {number} probability @param {number} chance */
  function show(item, probability, chance) {
    const [own, drawn] = /** @type {NodeListOf<HTMLElement>} */ (item.querySelectorAll("i"));
    own.style.width = `${100 * (probability || 0)}%`;
    drawn.style.width = `${100 * (chance || 0)}%`;
    drawn.style.visibility = chance > 0 ? "" : "hidden";
    const [p, c] = /** @type {NodeListOf<HTMLElement>} */ (item.querySelectorAll(".value"));
    p.textContent = Number.isNaN(probability) ? "–" : number(probability);
    p.title = exact(probability);
    c.textContent = Number.isNaN(chance) ? "–" : chance === 0 ? t("generate.cut") : number(chance);
    c.title = exact(chance);
  }

  /** @param {Generation} generation @param {Step} now @param {Candidate[]} listed @param {boolean} differs */
  function table({ steps, nodes, won, given }, now, listed, differs) {
    const name = JSON.stringify([now, steps.length, steps.map(({ probability }) => probability), nodes.length, won]);
    if (name === tabled) return;
    tabled = name;
    const column = (/** @type {string} */ text, words = false) => h(`th${words ? ".list" : ""}`, { scope: "col" }, text);
    const value = (/** @type {number | null} */ x) => h("td", { title: x === null ? "" : exact(x) }, x === null ? "–" : number(x));
    const what = (/** @type {Step} */ { forced, ends }) => (forced ? t("generate.forced") : ends ? t("generate.ends-text") : "");
    tables.replaceChildren(
      h(
        "table",
        {},
        h("caption", {}, t("generate.table-step", { step: now.index + 1 })),
        h("thead", {}, h("tr", {}, column(t("generate.token"), true), column(t("generate.network")), differs ? column(t("generate.chance")) : null, column("", true))),
        h(
          "tbody",
          {},
          ...listed.map(({ token, probability, chance }) =>
            h(`tr${token.id === now.token?.id ? ".chosen" : ""}`, {}, h("th.list", { scope: "row", dir: "auto" }, nameOf(token)), value(probability), differs ? (chance === 0 ? h("td", {}, t("generate.cut")) : value(chance)) : null, h("td.list", {}, token.id === now.token?.id ? what(now) || t("generate.chosen") : "")),
          ),
        ),
      ),
      h(
        "table",
        {},
        h("caption", {}, t("generate.table-every")),
        h("thead", {}, h("tr", {}, column(t("generate.step")), column(t("generate.token"), true), column(t("generate.network")), column("ms"), column("", true))),
        h(
          "tbody",
          {},
          ...steps.map((one) =>
            h(`tr${one.index === now.index ? ".chosen" : ""}`, {}, h("th", { scope: "row" }, one.index + 1), h("td.list", { dir: "auto" }, one.token ? nameOf(one.token) : "…"), value(one.probability), value(one.seconds === null ? null : 1000 * one.seconds), h("td.list", {}, what(one))),
          ),
        ),
      ),
      nodes.length ? beamTable(nodes, won, given) : "",
    );
  }

  /** What the reader forced, and how to let it go. @param {Generation} generation */
  function history({ steps, running }) {
    const forced = running ? [] : steps.filter((one) => one.forced);
    forces.hidden = !forced.length;
    const name = forced.map(({ index, token }) => `${index}.${token?.id}`).join();
    if (forces.dataset.shown === name) return;
    forces.dataset.shown = name;
    forces.replaceChildren(
      `${t("generate.forced-list")} `,
      ...forced.flatMap(({ index, token }) => [
        h("button.head", { type: "button", title: t("generate.go-to", { step: index + 1 }), onclick: () => actions.step(index) }, `${index + 1} `, chip(token)),
        h("button.head", { type: "button", title: t("generate.let-go-title", { step: index + 1 }), onclick: () => actions.force(index, null) }, icon("close", "small"), h("span.hidden", {}, t("generate.let-go", { step: index + 1 }))),
      ]),
    );
  }

  return {
    /** @param {Scene} next */
    update(next) {
      scene = next;
      const { generation } = next;
      if (!generation) return;
      player.dataset.running = String(generation.running);
      prompt(next, generation);
      text(generation);
      lights(next);
      const idle = !generation.steps.length && !generation.running && !generation.ended;
      status.textContent = idle ? t("generate.idle") : generation.running ? t("generate.running") : ending(generation, next.trace);
      history(generation);
      problem.hidden = !generation.problem;
      if (generation.problem) problem.replaceChildren(h("strong", {}, generation.problem.title), ` ${generation.problem.detail.replace(`${generation.problem.title}. `, "")}`);
      transport.update(generation);
      beams.update(next.state.form === "table" ? [] : generation.nodes, generation.won, generation.given, generation.shown);
      distribution(generation);
    },
    sentence,
    numbers: () => scene && saidNumbers(scene),
    play: transport.play,
    unmount: transport.stop,
  };
}

/** First, back, play, forward, last; a slider; and how fast. @param {Actions} actions */
function mountTransport({ step }) {
  const button = (/** @type {string} */ name, /** @type {string} */ title, /** @type {() => void} */ onclick) => h("button.quiet.iconic.bare", { type: "button", title, "aria-label": title.replace(/ \(.*/, ""), onclick }, icon(name));
  const slider = /** @type {HTMLInputElement} */ (h("input", { type: "range", min: 1, step: 1, "aria-label": t("player.step"), oninput: () => go(Number(slider.value) - 1) }));
  const place = h("output");
  const speed = /** @type {HTMLSelectElement} */ (h("select", { "aria-label": t("player.speed") }, ...Object.keys(BEATS).map((name) => h("option", { value: name, selected: name === "normal" }, t(`player.${name}`)))));
  const playing = button("play", t("player.play-title"), play);
  const [first, back, forward, last] = [
    button("first", t("player.first"), () => go(0)),
    button("back", t("player.back"), () => go(shown - 1)),
    button("forward", t("player.forward"), () => go(shown + 1)),
    button("last", t("player.last"), () => go(count - 1)),
  ];
  const host = h("div.transport", { role: "group", "aria-label": t("player.steps"), "data-tool": true }, first, back, playing, forward, last, slider, place, h("label.select", {}, h("span", {}, t("player.speed")), speed));
  let [shown, count, running] = [0, 0, false];
  /** @type {number | undefined} */
  let timer;

  /** @param {number} index */
  function go(index) {
    stop();
    step(index);
  }

  function stop() {
    clearTimeout(timer);
    timer = undefined;
    dress();
  }

  function dress() {
    const on = timer !== undefined;
    playing.querySelector("use")?.setAttribute("href", on ? "#i-pause" : "#i-play");
    playing.setAttribute("aria-label", t(on ? "player.pause" : "player.play"));
    playing.title = t(on ? "player.pause-title" : still() ? "player.still" : "player.play-tokens");
  }

  function beat() {
    timer = window.setTimeout(() => {
      if (shown + 1 < count) step(shown + 1);
      if (shown + 1 < count || running) beat();
      else stop();
    }, BEATS[/** @type {keyof typeof BEATS} */ (speed.value)]);
    dress();
  }

  function play() {
    if (timer !== undefined) return stop();
    if (!count) return;
    if (still()) return step(count - 1);
    if (shown === count - 1) step(0);
    beat();
  }

  return {
    host,
    play,
    stop,
    /** @param {Generation} generation */
    update(generation) {
      [shown, count, running] = [generation.shown, generation.steps.length, generation.running];
      host.hidden = !count;
      slider.max = String(Math.max(1, count));
      slider.value = String(shown + 1);
      place.textContent = t("player.place", { step: shown + 1, all: count });
      slider.setAttribute("aria-valuetext", place.textContent);
      for (const [one, off] of /** @type {[HTMLElement, boolean][]} */ ([[first, shown <= 0], [back, shown <= 0], [forward, shown >= count - 1], [last, shown >= count - 1]])) one.setAttribute("aria-disabled", String(off));
      if (!running && timer !== undefined && shown >= count - 1) stop();
    },
  };
}

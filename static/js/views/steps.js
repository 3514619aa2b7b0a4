// @ts-check
/** Steps: plays a storyboard of the network's own numbers. What is computed from something travels from where that stood. */
import { Problem } from "../api.js";
import { measured } from "../canvas.js";
import { indexAt } from "../compare/clock.js";
import { byId, h, icon } from "../dom.js";
import { drawScene, subscripted } from "../steps/draw.js";
import { signed } from "../steps/parts.js";
import { storyboards } from "../steps/storyboards.js";
import { subjectIn } from "../steps/subject.js";
import { tableOf } from "../steps/table.js";
import { t } from "../words.js";
import { href } from "../steps/tensors.js";

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {import("../steps/parts.js").Step} Step */
/** @typedef {import("../steps/parts.js").Storyboard} Storyboard */
/** @typedef {import("../steps/tensors.js").All} All */

const TRAVEL = 340; // milliseconds
const SEEN = 0.5; // pixels: what moves less stays
const LATE = 60; // milliseconds after which a step is named though its numbers are not here yet
const BEAT = 4000; // milliseconds that a step stays at speed 1
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** @type {(() => void)[]} what waits for a frame of its own */
const turns = [];

/** Runs in a frame to come, and nothing else that asks for a turn in the same one. @param {() => void} run @returns {() => void} gives the turn up */
function turn(run) {
  if (turns.push(run) === 1) requestAnimationFrame(next);
  return () => void turns.splice(turns.indexOf(run), Number(turns.includes(run)));
}

function next() {
  const run = turns.shift();
  if (turns.length) requestAnimationFrame(next);
  run?.();
}

/** @type {Set<() => void>} what the players on this page do before any of them moves on */
const leaving = new Set();

/**
 * @param {HTMLElement} host
 * @param {{
 *   api: import("../api.js").Api, set: (patch: Partial<import("../state.js").State>) => void, lock: (query: number) => void, refresh: () => void, detail: () => any,
 *   renew: (trace: import("../trace.js").TraceBody, since: number) => Promise<boolean>,
 *   story?: HTMLElement & {value: string}, titled?: string, leader?: () => import("../compare/clock.js").Clock | null,
 * }} given story: where a storyboard is chosen; titled: the title's id; leader: the player that this one keeps step with
 */
export function mountSteps(host, { api, set, lock, refresh, detail, renew, story = byId("story"), titled = "step-title", leader = () => null }) {
  /** @type {Scene | null} */
  let scene = null;
  /** @type {Storyboard[]} */
  let boards = [];
  let boardsOf = "";
  let places = { layer: 0, head: 0 };
  /** @type {Storyboard | null} */
  let board = null;
  let index = 0;
  let asked = "";
  let shown = "";
  /** @type {All | null} */
  let got = null;
  let problem = "";
  let revealed = false;
  /** @type {Map<string, DOMRect> | null} where everything stood when the step was left */
  let left = null;
  /** @type {(() => void) | null} gives up what was made and is still to be put there */
  let coming = null;
  let playing = false;
  let speed = 1;
  /** @type {number | undefined} */
  let timer;

  // ---------------------------------------------------------------- what stands there

  const title = h("h3.title", { id: titled });
  const sentence = h("p.sentence");
  const formula = h("div.step-formula");
  const stage = h("div.stage-room", { role: "group", "aria-labelledby": titled });
  const note = h("p.aside.note");
  const legend = h("p.aside.signs", { "aria-hidden": "true" }, h("i.negative"), ` ${t("steps.below")} `, h("i"), ` ${t("steps.above")}`);
  const act = (/** @type {string} */ name, /** @type {string} */ words, /** @type {() => void} */ go) => h("button.quiet.iconic.bare", { type: "button", title: words, "aria-label": words, onclick: go }, icon(name));
  const play = act("play", t("player.play-title"), () => toggle());
  const scrub = /** @type {HTMLInputElement} */ (h("input", { type: "range", min: 0, max: 1, step: 1, "aria-label": t("player.step"), oninput: () => go(Number(scrub.value)) }));
  const names = /** @type {HTMLSelectElement} */ (h("select", { "aria-label": t("steps.go-to"), onchange: () => go(names.selectedIndex) }));
  const pace = /** @type {HTMLSelectElement} */ (
    h("select", { "aria-label": t("player.speed"), title: t("player.speed"), onchange: () => (speed = Number(pace.value)) }, ...[0.5, 1, 2, 4].map((x) => h("option", { value: x, selected: x === 1 }, `${x}×`)))
  );
  const transport = h(
    "div.step-transport",
    { role: "group", "aria-label": t("steps.player"), "data-tool": true },
    act("first", t("player.first"), () => go(0)),
    act("back", t("steps.back"), () => go(index - 1)),
    play,
    act("forward", t("steps.forward"), () => forward()),
    act("last", t("player.last"), () => go(Infinity)),
    scrub,
    names,
    pace,
  );
  const reveal = h("button.reveal", { type: "button", hidden: true, onclick: () => unveil() }, t("steps.reveal"));
  host.append(h("div.steps", { role: "group", "aria-labelledby": titled }, h("div.step-head", {}, title, sentence, formula, reveal), h("div.step-stage", {}, stage), h("div.step-note", {}, note, legend), transport));
  stage.addEventListener("click", () => unveil());

  const chooseStory = () => set({ story: story.value, at: "" });
  story.addEventListener("change", chooseStory);

  // ---------------------------------------------------------------- going through

  /** Notes where everything stands while the page is at rest: once it has been written to, asking means laying it out. */
  const leave = () => (left = still() ? null : boxes(stage));
  leaving.add(leave);

  /** @param {number} to */
  function go(to) {
    if (!board) return;
    const next = Math.min(board.steps.length - 1, Math.max(0, to));
    if (next === index) return stop();
    for (const each of leaving) each();
    set({ at: board.steps[next].id, story: board.id });
  }

  const veiled = () => scene?.state.predict === "on" && !revealed;

  function forward() {
    if (veiled()) return unveil();
    go(index + 1);
  }

  function unveil() {
    if (!veiled()) return;
    revealed = true;
    shown = "";
    draw();
  }

  function toggle() {
    if (playing) return stop();
    playing = true;
    if (board && index === board.steps.length - 1) go(0);
    mark();
    beat();
  }

  function stop() {
    playing = false;
    clearTimeout(timer);
    mark();
  }

  function beat() {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      if (!board || (index === board.steps.length - 1 && !veiled())) return stop();
      forward();
      beat();
    }, BEAT / speed);
  }

  function mark() {
    play.replaceChildren(icon(playing ? "pause" : "play"));
    play.title = t(playing ? "player.pause-title" : "player.play-title");
    play.setAttribute("aria-label", play.title);
  }

  /** Keys of a clicker and of a player, wherever the focus is that does not use them itself. @param {KeyboardEvent} event */
  function key(event) {
    const target = /** @type {Element} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (target.closest("input, textarea, select, [role=tab], [role=radio], [role=menu], #grids canvas, .scroller")) return;
    const pressed = target.closest("button, a");
    const does = /** @type {Record<string, () => void>} */ ({
      ArrowLeft: () => go(index - 1),
      PageUp: () => go(index - 1),
      ArrowRight: forward,
      PageDown: forward,
      Home: () => go(0),
      End: () => go(Infinity),
      ...(pressed ? {} : { " ": toggle }),
      ...(veiled() && !pressed ? { Enter: unveil } : {}),
    })[event.key];
    if (!does) return;
    event.preventDefault();
    event.stopPropagation();
    does();
  }
  document.addEventListener("keydown", key, true);

  // ---------------------------------------------------------------- numbers

  /** @param {Step} step @returns {Promise<All>} */
  async function fetched(step) {
    const { trace } = /** @type {Scene} */ (scene);
    const entries = await Promise.all(Object.entries(step.needs).map(async ([name, need]) => /** @type {const} */ ([name, await part(need, need.trace ?? trace)])));
    return Object.fromEntries(entries);
  }

  /** @type {Map<string, Promise<import("../steps/tensors.js").Got>>} what is on its way is not asked for twice */
  const flying = new Map();
  /** @param {import("../steps/tensors.js").Need} need @param {import("../trace.js").TraceBody} trace */
  function part(need, trace) {
    const name = need.body ? JSON.stringify(need.body) : `${trace.id} ${href(need)}`;
    const asking = flying.get(name) ?? lasting(need, trace, `steps ${name}`).finally(() => flying.delete(name));
    flying.set(name, asking);
    return asking;
  }

  /** An answer, of a trace that is made again where the server has forgotten it. @param {import("../steps/tensors.js").Need} need @param {import("../trace.js").TraceBody} trace @param {string} channel */
  async function lasting(need, trace, channel) {
    const since = performance.now();
    try {
      return await answer(need, trace.id, channel);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404 || !(await renew(trace, since))) throw error;
      return answer(need, trace.id, channel);
    }
  }

  /** @param {import("../steps/tensors.js").Need} need @param {string} trace @param {string} channel */
  async function answer(need, trace, channel) {
    if (need.path.startsWith("models/")) {
      const { shape, data } = await api.tensor(need.path, need.pick, channel);
      return { shape, data: /** @type {Float32Array} */ (data) };
    }
    if (need.body) return { shape: [], data: new Float32Array(), body: await api.post(need.path, need.body, channel) };
    if (need.json) return { shape: [], data: new Float32Array(), body: await api.json(`traces/${trace}/${need.path}`, need.pick, channel) };
    const { shape, data } = await api.tensor(`traces/${trace}/${need.path}`, need.pick, channel);
    return { shape, data: /** @type {Float32Array} */ (data) };
  }

  /** The steps of a storyboard that are made of other traces, once these are here. @param {Storyboard} one @param {string} name */
  async function grow(one, name) {
    asked = name;
    got = null;
    try {
      const steps = await /** @type {NonNullable<Storyboard["gather"]>} */ (one.gather)(api);
      one.steps = steps;
    } catch (error) {
      if (asked !== name) return;
      problem = /** @type {Error} */ (error).message;
      got = {};
      stage.replaceChildren(h("p.empty", {}, problem));
    }
    refresh();
  }

  /** @param {string} name */
  async function ask(name) {
    asked = name;
    got = null;
    problem = "";
    if (!board) return;
    const [step, after] = [board.steps[index], board.steps[index + 1]];
    const late = setTimeout(caption, LATE);
    try {
      const all = await fetched(step);
      if (asked !== name) return;
      got = all;
    } catch (error) {
      if (asked !== name) return;
      problem = /** @type {Error} */ (error).message;
      got = {};
    }
    clearTimeout(late);
    draw();
    if (after) fetched(after).catch(() => null); // only sooner; what fails is asked again when it is shown
  }

  // ---------------------------------------------------------------- drawing

  function draw() {
    if (!scene || !board || !got) return;
    const step = board.steps[index];
    const { state, theme } = scene;
    const name = [asked, theme, state.palette, state.form, state.predict, revealed].join();
    if (name === shown) return;
    const moved = shown !== "" && shown.split(",")[0] !== "";
    shown = name;
    const hides = veiled();
    const picture = problem ? null : step.scene(got);
    const { layer, head } = state;
    const together = scene.attention && (layer === "all" || typeof head !== "number") ? t("steps.one-head", { layer: places.layer, head: places.head }) : "";
    const made = picture && {
      notes: subscripted([together, picture.note].filter(Boolean).join(" ")),
      written: step.formula?.(got) ?? "",
      drawn: state.form === "table" ? tableOf(picture, hides) : measured("steps", () => drawScene(picture, { theme, palette: state.palette, choose: lock })),
    };
    // Made in one frame and put there in the next: both together would take longer than a frame may.
    coming?.();
    coming = turn(() => {
      coming = null;
      caption();
      host.firstElementChild?.classList.toggle("predicting", hides);
      reveal.hidden = !hides;
      if (picture && made) {
        note.replaceChildren(...made.notes);
        legend.hidden = !signed(picture);
        formula.replaceChildren(made.written);
        if (state.form === "table") stage.replaceChildren(made.drawn);
        else measured("steps", () => show(made.drawn, moved));
      } else stage.replaceChildren(h("p.empty", {}, problem));
      refresh();
    });
  }

  /** @param {HTMLElement} drawn @param {boolean} moved */
  function show(drawn, moved) {
    const before = moved && !still() ? (left ?? boxes(stage)) : null;
    left = null;
    stage.replaceChildren(drawn);
    const lit = drawn.querySelector(".line.now:not(.head)");
    if (lit && drawn.scrollHeight > stage.clientHeight + 1) stage.scrollTop = /** @type {HTMLElement} */ (lit).offsetTop - stage.clientHeight / 2;
    const scrolls = stage.scrollHeight > stage.clientHeight + 1 || stage.scrollWidth > stage.clientWidth + 1;
    if (scrolls) stage.tabIndex = 0; // what is below must be in reach of the keys
    else stage.removeAttribute("tabindex");
    if (before) travel(drawn, before);
  }

  /** @param {HTMLElement} root @returns {Map<string, DOMRect>} */
  const boxes = (root) => new Map([...root.querySelectorAll("[data-key]")].map((one) => [String(/** @type {HTMLElement} */ (one).dataset.key), one.getBoundingClientRect()]));

  /** What was there moves to its new place; what is new comes from what it was made of. @param {HTMLElement} drawn @param {Map<string, DOMRect>} before */
  function travel(drawn, before) {
    const parts = /** @type {HTMLElement[]} */ ([...drawn.querySelectorAll(".part")]);
    const now = parts.map((part) => part.getBoundingClientRect()); // all measured before any is moved
    const options = { duration: TRAVEL / Math.max(1, speed / 2), easing: "cubic-bezier(0.3, 0, 0.2, 1)" };
    parts.forEach((part, i) => {
      const own = before.get(part.dataset.key ?? "");
      const origin = own ?? before.get(part.dataset.from ?? "");
      const box = now[i];
      if (!origin) {
        if (part.dataset.key || part.classList.contains("result")) part.animate([{ opacity: 0 }, { opacity: 1 }], options);
        return;
      }
      const [x, y] = [origin.left - box.left, origin.top - box.top];
      const size = Math.max(Math.abs(origin.width - box.width), Math.abs(origin.height - box.height));
      const sized = own && size > SEEN && part.querySelector("canvas") && box.width > 0 && box.height > 0;
      const grown = sized ? ` scale(${origin.width / box.width}, ${origin.height / box.height})` : "";
      if (Math.max(Math.abs(x), Math.abs(y)) < SEEN && !grown && own) return;
      part.animate([{ transform: `translate(${x}px, ${y}px)${grown}`, transformOrigin: "0 0", opacity: own ? 1 : 0 }, { transform: "none", transformOrigin: "0 0", opacity: 1 }], options);
    });
  }

  /** @type {Map<string, import("../steps/learned.js").Parameter[]>} by model, what it has learned */
  const known = new Map();

  /** Asks what a model has learned: storyboards are made of it. @param {string} model */
  async function learn(model) {
    if (asked === `learn ${model}`) return;
    asked = `learn ${model}`;
    try {
      known.set(model, await api.json(`models/${encodeURIComponent(model)}/weights`, {}, `weights ${model}`));
      problem = "";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      stage.replaceChildren(h("p.empty", {}, error.message));
      got = {};
      shown = asked;
    }
    refresh();
  }

  /** What the storyboards are made of; null while that is on its way. @param {Scene} now */
  function subjectOf(now) {
    const described = detail();
    if (!described) return null;
    const parameters = known.get(described.id);
    if (!parameters) {
      learn(described.id);
      return null;
    }
    return subjectIn(now, { ...described, learned: parameters });
  }

  return {
    /** @param {Scene} next */
    update(next) {
      scene = next;
      const subject = subjectOf(next);
      if (!subject || (next.attention && !next.chosen)) return;
      const name = [next.trace.id, next.attention?.stack, next.attention?.block.name, subject.layer, subject.head, subject.query, subject.key, subject.keys, subject.most, subject.site?.address].join(" ");
      if (name !== boardsOf) {
        boardsOf = name;
        boards = storyboards(subject);
        places = subject;
        const offers = boards.map((one) => one.id).join();
        if (story.dataset.offers !== offers) {
          story.dataset.offers = offers;
          story.replaceChildren(...boards.map((one) => h("option", { value: one.id }, one.name)));
        }
      }
      board = boards.find(({ id }) => id === next.state.story) ?? boards[0] ?? null;
      if (!board) return;
      story.value = board.id;
      if (!board.steps.length) {
        const growing = `${name} ${board.id}`;
        if (asked !== growing) grow(board, growing);
        return;
      }
      index = indexAt(board.steps, leader() ?? { id: next.state.at, index: 0 });
      const wanted = `${name} ${board.id} ${board.steps[index].id}`;
      if (wanted !== asked) {
        if (asked) revealed = false;
        ask(wanted);
      } else {
        if (!coming) left = null; // it stays where it is
        draw();
      }
    },
    /** Whether what the address names is on screen. */
    ready: () => got !== null && shown !== "" && !coming,
    /** @param {Scene} now */
    sentence(now) {
      const step = board?.steps[index];
      return now && step ? `${step.title}. ${step.sentence}` : "";
    },
    /** Shows what the step hides; false where it hides nothing. */
    unveil: () => veiled() && (unveil(), true),
    /** The next step, or the one before; false where there is none. @param {import("../present/walking.js").Way} by */
    walk(by) {
      if (!board) return false;
      if (by === "forward" && veiled()) return unveil(), true;
      const to = { forward: index + 1, back: index - 1, first: 0, last: board.steps.length - 1 }[by];
      if (!board.steps[to] || to === index) return false;
      go(to);
      return true;
    },
    /** Brings the numbers of every step, for a file that shall play them all. */
    gather: () => Promise.all((board?.steps ?? []).map(fetched)),
    /** The tensors that the step is made of. @returns {import("../share/numbers.js").Numbers | null} */
    numbers() {
      const step = board?.steps[index];
      if (!board || !step || !got || !scene) return null;
      const parts = Object.entries(step.needs).filter(([name, need]) => got?.[name] && !need.body && !need.json);
      const { model, text } = scene.trace;
      return { about: { model, text, storyboard: board.id, step: step.id, title: step.title, sentence: step.sentence }, tensors: parts.map(([name, need]) => ({ name, source: href(need), shape: got[name].shape, data: got[name].data })) };
    },
    /** Where the player is. */
    clock: () => board && { id: board.steps[index]?.id ?? "", index },
    unmount() {
      stop();
      coming?.();
      leaving.delete(leave);
      document.removeEventListener("keydown", key, true);
      story.removeEventListener("change", chooseStory);
    },
  };

  function caption() {
    if (!board) return;
    const { steps } = board;
    const step = steps[index];
    title.replaceChildren(h("span.count", {}, t("steps.count", { step: index + 1, all: steps.length })), " ", ...subscripted(step.title));
    sentence.textContent = step.sentence;
    const offers = steps.map(({ title: name }) => name).join("\n");
    if (names.dataset.offers !== offers) {
      names.dataset.offers = offers;
      names.replaceChildren(...steps.map(({ id, title: name }, i) => h("option", { value: id }, `${i + 1}  ${name}`)));
    }
    names.selectedIndex = index;
    scrub.max = String(steps.length - 1);
    scrub.value = String(index);
    scrub.setAttribute("aria-valuetext", `${t("steps.count", { step: index + 1, all: steps.length })}: ${step.title}`);
  }
}

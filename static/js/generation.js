// @ts-check
/** What a network says after a text: which tokens could have come at every step, which one came, and how it goes on from another. */
import { Problem } from "./api.js";
import { writePatches } from "./interventions.js";

/** @typedef {{id: number, text: string, piece: string, special: boolean, continues: boolean}} Written a token outside of any text */
/** @typedef {{token: Written, probability: number, chance: number}} Candidate probability: the network's own; chance: what it is drawn with */
/** @typedef {{parent: number | null, token: Written, log_probability: number, kept: boolean, ended: boolean}} Beam a node of the beam tree */
/** @typedef {{most: number, temperature: number, top_k: number | null, top_p: number | null, penalty: number, seed: number, beams: number}} Settings */
/** @typedef {{model: string, text: string, target: string | null, patches: import("./interventions.js").Patch[]}} Asked */
/** @typedef {"token" | "text" | "length" | "stopped" | "failed"} Ending why there is no more: what the server says, or that it was stopped or broke off */

/**
 * @typedef {object} Step
 * @property {number} index
 * @property {number | null} position its place in the last stack; null until the server has said
 * @property {Written | null} token what came; null until its name is known
 * @property {number | null} probability the network's own
 * @property {Candidate[] | null} top what could have come; null until it is here
 * @property {number | null} seconds
 * @property {boolean} forced by the reader
 * @property {boolean} ends the stop token, which is not part of the text
 */

/**
 * A place in the tree of all that was said so far: what could come next there, and where each token leads.
 * @typedef {object} Place
 * @property {Written | null} token
 * @property {number | null} probability
 * @property {Candidate[] | null} top
 * @property {number | null} seconds
 * @property {{token: Written, probability: number} | null} stop
 * @property {Map<number, Place>} next
 */

/** @returns {Place} */
const place = () => ({ token: null, probability: null, top: null, seconds: null, stop: null, next: new Map() });

/** @param {Place} from @param {number} id @returns {Place} */
function after(from, id) {
  const there = from.next.get(id) ?? place();
  from.next.set(id, there);
  const known = from.top?.find(({ token }) => token.id === id);
  there.token ??= known?.token ?? null;
  there.probability ??= known?.probability ?? null;
  return there;
}

/** @param {Place} root @param {number[]} ids */
const walk = (root, ids) => ids.reduce(after, root);

/**
 * One text that is said, or was.
 * @typedef {object} Saying
 * @property {Asked} asked
 * @property {Settings} settings
 * @property {number[]} ids everything after the prompt
 * @property {number[]} forced which of them the reader forced
 * @property {number} given how many stood there before the network went on
 * @property {number | null} start the position of the first
 * @property {Beam[]} nodes the beam tree
 * @property {Ending | null} ended null while it goes on, and where it is not known yet
 * @property {number | null} seconds
 * @property {Place} root
 */

/**
 * @typedef {object} Shown
 * @property {Step[]} steps
 * @property {number} shown the step in question; -1 where there is none
 * @property {boolean} running
 * @property {Problem | null} problem
 * @property {Ending | null} ended
 * @property {number | null} seconds
 * @property {Beam[]} nodes
 * @property {number} given how many tokens stood before the beam tree
 * @property {number[]} won the best path through it
 * @property {number | null} start
 * @property {Settings | null} settings
 */

/** As many candidates as fit on the screen; of a beam search at least those that it tells apart. @param {Settings} settings */
const listed = ({ beams }) => Math.max(10, 2 * beams);

/** The body of POST /generate. @param {Asked} asked @param {Settings} settings @param {number[]} said @param {number} most */
function body({ model, text, target, patches }, settings, said, most) {
  const { temperature, top_k, top_p, penalty, seed, beams } = settings;
  // A beam search draws nothing.
  const draws = beams > 1 ? { beams } : { temperature, seed, ...(top_k === null ? {} : { top_k }), ...(top_p === null ? {} : { top_p }) };
  return { model, text, ...(target === null ? {} : { target }), ...(patches.length ? { patches } : {}), said, max_new_tokens: most, repetition_penalty: penalty, top: listed(settings), ...draws };
}

/** How many tokens are still to come; one that was forced at the very end is followed by one more. @param {Settings} settings @param {number[]} said */
const room = ({ most }, said) => Math.max(1, most - said.length);

/** What determines the numbers at every place: seed and length do not. @param {Asked} asked @param {Settings} settings */
function numbersOf({ model, text, target, patches }, { temperature, top_k, top_p, penalty, beams }) {
  return JSON.stringify([model, text, target, writePatches(patches), penalty, beams > 1 ? "beams" : [temperature, top_k, top_p]]);
}

/** @param {import("./state.js").State} state @returns {Settings} */
export const settingsOf = ({ most, temperature, top_k, top_p, penalty, seed, beams }) => ({ most, temperature, top_k, top_p, penalty, seed, beams });

/** Node numbers from the first token to this node. @param {Beam[]} nodes @param {number | null} at @returns {number[]} */
export function pathTo(nodes, at) {
  const path = [];
  for (let node = at; node !== null; node = nodes[node].parent) path.unshift(node);
  return path;
}

/** The path that says these ids, with its stop token if it has one. @param {Beam[]} nodes @param {number[]} ids @returns {number[]} */
export function pathOf(nodes, ids) {
  /** @type {number[]} how many of the ids a node's text says; -1 where it says something else */
  const says = [];
  /** @type {number | null} */
  let best = null;
  for (const [i, { parent, token, kept, ended }] of nodes.entries()) {
    const before = parent === null ? 0 : says[parent];
    const goes = before >= 0 && token.id === ids[before];
    says.push(goes ? before + 1 : -1);
    // Where a text and the same text with its stop token are both there, the whole one was meant.
    if (ended && before === ids.length) best = i;
    else if (best === null && goes && before + 1 === ids.length && (kept || ended)) best = i;
  }
  return pathTo(nodes, best);
}

export class Player {
  /** @type {Saying | null} */
  now = null;
  /** @type {Problem | null} */
  problem = null;
  running = false;
  #filling = false;
  /** @type {Saying | null} what could not be filled in is not tried again */
  #unfillable = null;
  #root = place();
  #numbers = "";

  /** @param {import("./api.js").Api} api @param {() => void} changed called when something arrived */
  constructor(api, changed) {
    this.api = api;
    this.changed = changed;
  }

  get busy() {
    return this.running || this.#filling;
  }

  /** Whether what is said goes on from this text. @param {Asked} asked */
  continues({ model, text, target, patches }) {
    const asked = this.now?.asked;
    return asked !== undefined && asked.model === model && asked.text === text && asked.target === target && writePatches(asked.patches) === writePatches(patches);
  }

  /** @param {Asked} asked @param {Settings} settings */
  #rootOf(asked, settings) {
    const numbers = numbersOf(asked, settings);
    if (numbers !== this.#numbers) this.#root = place();
    this.#numbers = numbers;
    return this.#root;
  }

  /**
   * Goes on from a text, and from the tokens that are given after it; what is there already stays, however it ends.
   * @param {Asked} asked @param {Settings} settings @param {number[]} given @param {number[]} forced
   * @returns {Promise<Saying | null>} null where nothing new was said, or where it was dropped
   */
  async say(asked, settings, given, forced) {
    const before = this.now;
    /** @type {Saying} */
    const now = { asked, settings, ids: [...given], forced, given: given.length, start: null, nodes: [], ended: null, seconds: null, root: this.#rootOf(asked, settings) };
    this.now = now;
    this.problem = null;
    this.running = true;
    this.changed();
    try {
      for await (const { name, data } of this.api.generate(body(asked, settings, given, room(settings, given)))) {
        if (this.now !== now) return null;
        if (name === "token") take(now, data);
        if (name === "done") finish(now, data);
        this.changed();
      }
    } catch (error) {
      if (this.now !== now) return null;
      if (error instanceof Problem) this.problem = error;
      else if (!aborted(error)) throw error;
      now.ended = error instanceof Problem ? "failed" : "stopped";
    } finally {
      if (this.now === now) this.running = false;
      this.changed();
    }
    if (now.ids.length > given.length || now.ended === "token") return now;
    this.now = before;
    return null;
  }

  /** Keeps what was said so far, and lets the server stop. */
  stop() {
    this.api.cancel("generate");
  }

  /** Forgets it: the reader has gone on to something else. */
  drop() {
    if (!this.now) return;
    this.now = this.problem = null;
    this.running = false;
    this.stop();
  }

  /** Shows the text that a state names, as a trace holds it. @param {import("./state.js").State} state @param {import("./trace.js").TraceBody} trace */
  show(state, trace) {
    const { model, text, target, patches, said, forced } = state;
    if (!said) return this.drop();
    const settings = settingsOf(state);
    const there = this.now;
    if (there && this.continues(state) && String([there.ids, there.forced]) === String([said, forced]) && JSON.stringify(there.settings) === JSON.stringify(settings)) return;
    if (this.#filling) this.stop();
    const asked = { model, text, target, patches };
    const tokens = /** @type {import("./trace.js").Token[]} */ (Object.values(trace.tokens).at(-1));
    const start = tokens.length - said.length;
    const root = this.#rootOf(asked, settings);
    said.reduce((at, id, i) => {
      const next = after(at, id);
      next.token ??= tokens[start + i];
      return next;
    }, root);
    const given = forced.length ? Math.max(...forced) + 1 : 0;
    this.now = { asked, settings, ids: said, forced, given, start, nodes: [], ended: said.length >= settings.most ? "length" : null, seconds: null, root };
    this.problem = null;
  }

  /** What stands between the text and a whole picture of it: a place without its numbers, the end, or the beam tree. @returns {number | "tree" | null} */
  get #missing() {
    const { now } = this;
    if (!now || this.running || this.#unfillable === now) return null;
    if (now.settings.beams > 1 && !now.nodes.length) return "tree";
    let at = now.root;
    for (const [i, id] of now.ids.entries()) {
      if (!at.top) return i;
      at = after(at, id);
    }
    return now.ended === null ? now.ids.length : null;
  }

  /**
   * Asks for the numbers behind a text that came from an address: the same seed says the same again. Where it does not,
   * a token was forced there, and it goes on after that token.
   */
  async fill() {
    if (this.#filling || this.#missing === null) return;
    const now = /** @type {Saying} */ (this.now);
    this.#filling = true;
    try {
      for (let missing = this.#missing; missing !== null && this.now === now; missing = this.#missing) {
        if (missing === "tree") await this.#fillTree(now);
        else await this.#fillFrom(now, missing);
      }
    } catch (error) {
      if (this.now === now && error instanceof Problem && error.type.endsWith(":too-long")) {
        now.ended = "length"; // nothing more had room
        this.#unfillable = now;
      } else if (this.now === now && error instanceof Problem) {
        this.#unfillable = now;
        this.problem = error;
      } else if (!aborted(error)) throw error;
    } finally {
      this.#filling = false;
      this.changed();
    }
  }

  /** @param {Saying} now @param {number} from */
  async #fillFrom(now, from) {
    const { asked, ids, root } = now;
    const settings = now.settings.beams > 1 ? { ...now.settings, beams: 1, temperature: 0, top_k: null, top_p: null } : now.settings;
    const most = Math.max(1, Math.min(ids.length - from + 1, now.settings.most - from));
    let [at, index] = [walk(root, ids.slice(0, from)), from];
    for await (const { name, data } of this.api.generate(body(asked, settings, ids.slice(0, from), most))) {
      if (this.now !== now || name !== "token") return;
      note(at, data);
      this.changed();
      if (index === ids.length) {
        now.ended = data.ended === "token" ? "token" : "stopped";
        return;
      }
      if (data.token.id !== ids[index]) return;
      at = after(at, ids[index++]);
    }
  }

  /** @param {Saying} now */
  async #fillTree(now) {
    const { asked, ids, settings, given, root } = now;
    const again = { ...now, ids: ids.slice(0, given), nodes: /** @type {Beam[]} */ ([]), root };
    for await (const { name, data } of this.api.generate(body(asked, settings, again.ids, room(settings, again.ids)))) {
      if (this.now !== now) return;
      if (name === "token") take(again, data);
      if (name === "done") finish(again, data);
    }
    now.nodes = again.nodes;
    now.ended = again.ids.join() === ids.join() ? again.ended : "stopped";
  }

  /** What a view shows of it. @param {number | null} asked the step in question; null: the latest @returns {Shown} */
  shown(asked) {
    const { now, steps, running, problem } = this;
    const { ended = null, seconds = null, nodes = [], given = 0, start = null, settings = null, ids = [] } = now ?? {};
    return { steps, shown: Math.min(asked ?? Infinity, steps.length - 1), running, problem, ended, seconds, nodes, given, start, settings, won: pathOf(nodes, ids.slice(given)) };
  }

  /** Every token that was said, and the stop token if it said that. @returns {Step[]} */
  get steps() {
    const { now } = this;
    if (!now) return [];
    let at = now.root;
    const step = (/** @type {Place} */ from, /** @type {number} */ index) => ({ index, position: now.start === null ? null : now.start + index, top: from.top, seconds: from.seconds });
    const steps = now.ids.map((id, index) => {
      const from = at;
      at = after(from, id);
      return { ...step(from, index), token: at.token, probability: at.probability, forced: now.forced.includes(index), ends: false };
    });
    if (now.ended !== "token" || !at.stop) return steps;
    const { token, probability } = at.stop;
    const own = at.top?.find((one) => one.token.id === token.id)?.probability ?? probability;
    return [...steps, { ...step(at, now.ids.length), token, probability: own, forced: false, ends: true }];
  }
}

/** @param {unknown} error */
const aborted = (error) => error instanceof DOMException && error.name === "AbortError";

/** What a step says of the place that it went on from. @param {Place} at @param {any} step */
function note(at, step) {
  at.top = step.top;
  at.seconds = step.seconds;
  const { token, probability } = step;
  if (step.ended === "token" && !step.beams.length) at.stop = { token, probability };
  else Object.assign(after(at, token.id), { token, probability });
}

/** One more token. @param {Saying} now @param {any} step */
function take(now, step) {
  now.start ??= step.position - now.ids.length;
  if (!step.beams.length) {
    note(walk(now.root, now.ids), step);
    now.ended = step.ended;
    if (step.ended !== "token") now.ids.push(step.token.id);
    return;
  }
  const first = now.nodes.length;
  now.nodes.push(...step.beams);
  // The best that goes on may be another text than the best one a step ago.
  const best = pathTo(now.nodes, first + step.beams.findIndex((/** @type {Beam} */ { kept }) => kept));
  const ids = best.map((node) => now.nodes[node].token.id);
  const given = now.ids.slice(0, now.given);
  note(walk(now.root, [...given, ...ids.slice(0, -1)]), step);
  best.reduce((at, node) => {
    const next = after(at, now.nodes[node].token.id);
    next.token ??= now.nodes[node].token;
    return next;
  }, walk(now.root, given));
  now.ids = [...given, ...ids];
}

/** @param {Saying} now @param {any} done */
function finish(now, done) {
  now.ids = done.said;
  now.seconds = done.seconds;
  now.ended = done.ended;
  if (!now.nodes.length) return;
  const path = pathOf(now.nodes, done.said.slice(now.given));
  path.reduce((at, node) => {
    const { token, parent, log_probability, ended } = now.nodes[node];
    const probability = Math.exp(log_probability - (parent === null ? 0 : now.nodes[parent].log_probability));
    if (ended && path.length > done.said.length - now.given && node === path.at(-1)) {
      at.stop = { token, probability };
      now.ended = "token";
      return at;
    }
    const next = after(at, token.id);
    next.token ??= token;
    return next;
  }, walk(now.root, done.said.slice(0, now.given)));
  if (now.ended === "token" && !walk(now.root, now.ids).stop) now.ended = "length";
}

// @ts-check
/** Talks to the server: cancels what is no longer needed, keeps what may be needed again, reads tensors without copying. */
import { eventsOf } from "./events.js";
import { t } from "./words.js";

/** What the server, or the way to it, says went wrong. */
export class Problem extends Error {
  /** @param {{title: string, detail?: string, status?: number, type?: string}} body */
  constructor({ title, detail = "", status = 0, type = "" }) {
    super(detail || title);
    this.type = type;
    this.title = title;
    this.detail = detail;
    this.status = status;
  }
}

/** @typedef {Float32Array | Uint8Array} TensorData */
/** @typedef {{shape: number[], data: TensorData, metadata: Record<string, string>}} Tensor */

const TYPES = /** @type {const} */ ({ F32: Float32Array, U8: Uint8Array });

/**
 * Lays typed arrays over a safetensors buffer. Only a tensor that starts at an odd address is copied.
 * @param {ArrayBuffer} buffer
 * @returns {{tensors: Record<string, {shape: number[], data: TensorData}>, metadata: Record<string, string>}}
 */
export function parseSafetensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const { __metadata__: metadata = {}, ...entries } = header;
  /** @type {Record<string, {shape: number[], data: TensorData}>} */
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(entries)) {
    const Type = TYPES[/** @type {keyof typeof TYPES} */ (dtype)];
    if (!Type) throw new Problem({ title: t("problem.numbers"), detail: t("problem.numbers-detail", { dtype }) });
    const from = 8 + length + start;
    const count = (end - start) / Type.BYTES_PER_ELEMENT;
    tensors[name] = {
      shape,
      data: from % Type.BYTES_PER_ELEMENT ? new Type(buffer.slice(from, from + end - start)) : new Type(buffer, from, count),
    };
  }
  return { tensors, metadata };
}

/** The least recently used go first once there are more bytes than the budget. */
export class ByteCache {
  /** @type {Map<string, {value: unknown, bytes: number}>} */
  #entries = new Map();
  #bytes = 0;

  /** @param {number} budget */
  constructor(budget) {
    this.budget = budget;
  }

  /** @param {string} name */
  get(name) {
    const entry = this.#entries.get(name);
    if (!entry) return undefined;
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry.value;
  }

  /** @param {string} name @param {unknown} value @param {number} bytes */
  put(name, value, bytes) {
    this.#bytes += bytes - (this.#entries.get(name)?.bytes ?? 0);
    this.#entries.delete(name);
    this.#entries.set(name, { value, bytes });
    for (const [oldest, entry] of this.#entries) {
      if (this.#bytes <= this.budget || oldest === name) break;
      this.#entries.delete(oldest);
      this.#bytes -= entry.bytes;
    }
  }
}

/** @typedef {Record<string, string | number | undefined>} Query */

/** @param {string} path @param {Query} [query] */
function address(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given.map(([k, v]) => [k, String(v)]))}` : path;
}

export class Api {
  /** @type {Map<string, AbortController>} */
  #channels = new Map();
  #cache;

  /**
   * @param {string} [base] relative, so that the page also works below a path
   * @param {(url: string, init?: RequestInit) => Promise<Response>} [ask] what is asked: the server, or what a file has kept of it
   * @param {ByteCache} [cache]
   */
  constructor(base = "api/v1", ask = (url, init) => fetch(url, init), cache = new ByteCache(48 * 2 ** 20)) {
    this.base = base;
    this.ask = ask;
    this.#cache = cache;
  }

  /** Channels of their own, on what is kept in common. */
  beside() {
    return new Api(this.base, this.ask, this.#cache);
  }

  /** Drops what was asked on this channel. @param {string} channel */
  cancel(channel) {
    this.#channels.get(channel)?.abort();
    this.#channels.delete(channel);
  }

  /** An answer at hand; what was asked on this channel before must not come after it. @template T @param {string} channel @param {T} kept @returns {T} */
  #known(channel, kept) {
    this.cancel(channel);
    return kept;
  }

  /** Drops what was asked on this channel, for something new. @param {string} channel */
  #open(channel) {
    this.cancel(channel);
    const controller = new AbortController();
    this.#channels.set(channel, controller);
    return controller.signal;
  }

  /** @param {string} url @param {string} channel @param {RequestInit} [init] */
  async #fetch(url, channel, init = {}) {
    const signal = this.#open(channel);
    let response;
    try {
      response = await this.ask(url, { ...init, signal });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Problem({ title: t("problem.unreachable"), detail: t("problem.check") });
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  /**
   * @param {{model: string, text: string, pair: string | null, target: string | null, said: number[] | null, patches: import("./interventions.js").Patch[]}} what
   * @param {{fresh?: boolean}} [how] fresh: ask the server even if the answer is known
   * @returns {Promise<import("./trace.js").TraceBody>}
   */
  async trace({ model, text, pair, target, said, patches }, { fresh = false } = {}) {
    const given = Object.fromEntries(Object.entries({ pair, target, said, patches: patches.length ? patches : null }).filter(([, value]) => value !== null));
    const name = `trace ${JSON.stringify([model, text, given])}`;
    const kept = fresh ? undefined : this.#cache.get(name);
    if (kept) return /** @type {import("./trace.js").TraceBody} */ (this.#known("trace", kept));
    const response = await this.#fetch(`${this.base}/traces`, "trace", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model, text, ...given }),
    });
    const body = await response.json();
    this.#cache.put(name, body, 200 * Object.values(body.tokens).flat().length + 1000);
    return body;
  }

  /**
   * The events of a call that tells how far it is; aborting ends it.
   * @param {string} path @param {AbortSignal} signal @param {unknown} [body]
   * @returns {AsyncGenerator<{name: string, data: any}>}
   */
  async *events(path, signal, body) {
    const headers = { accept: "text/event-stream", ...(body === undefined ? {} : { "content-type": "application/json" }) };
    try {
      const response = await this.ask(`${this.base}/${path}`, { method: "POST", headers, signal, body: body === undefined ? null : JSON.stringify(body) });
      if (!response.ok || !response.body) throw await problemOf(response);
      yield* eventsOf(response.body);
    } catch (error) {
      if (signal.aborted || error instanceof Problem) throw error;
      throw broken();
    }
  }

  /**
   * What a model says, event by event; whoever stops listening, or cancels, stops the server.
   * @param {object} body of POST /generate
   * @returns {AsyncGenerator<{name: string, data: any}>} ends with `done`; a problem in the middle is thrown
   */
  async *generate(body) {
    for await (const event of this.events("generate", this.#open("generate"), body)) {
      if (event.name === "problem") throw new Problem(event.data);
      yield event;
      if (event.name === "done") return;
    }
    throw broken();
  }

  /** What the server makes of a body, kept like any other answer. @param {string} path @param {object} body @param {string} channel @returns {Promise<any>} */
  async post(path, body, channel) {
    const sent = JSON.stringify(body);
    const kept = this.#cache.get(`${path} ${sent}`);
    if (kept) return this.#known(channel, kept);
    const response = await this.#fetch(`${this.base}/${path}`, channel, { method: "POST", headers: { "content-type": "application/json" }, body: sent });
    const text = await response.text();
    const made = JSON.parse(text);
    this.#cache.put(`${path} ${sent}`, made, 2 * text.length);
    return made;
  }

  /** @param {string} path @param {Query} query @param {string} channel @returns {Promise<any>} */
  async json(path, query, channel) {
    const url = address(`${this.base}/${path}`, query);
    const name = `json ${url}`; // the same address gives tensors too
    const kept = this.#cache.get(name);
    if (kept) return this.#known(channel, kept);
    const text = await (await this.#fetch(url, channel, { headers: { accept: "application/json" } })).text();
    const body = JSON.parse(text);
    this.#cache.put(name, body, 2 * text.length);
    return body;
  }

  /** @param {string} path @param {Query} query @param {string} channel @returns {Promise<Tensor>} */
  async tensor(path, query, channel) {
    const url = address(`${this.base}/${path}`, query);
    const kept = this.#cache.get(url);
    if (kept) return /** @type {Tensor} */ (this.#known(channel, kept));
    const response = await this.#fetch(url, channel, { headers: { accept: "application/vnd.safetensors" } });
    const buffer = await response.arrayBuffer();
    const { tensors, metadata } = parseSafetensors(buffer);
    const tensor = { ...Object.values(tensors)[0], metadata };
    this.#cache.put(url, tensor, buffer.byteLength);
    return tensor;
  }
}

const broken = () => new Problem({ title: t("problem.broke"), detail: t("problem.check") });

/** @param {Response} response */
async function problemOf(response) {
  const body = await response.json().catch(() => null);
  if (body?.title) return new Problem({ ...body, status: response.status });
  return new Problem({
    title: t("problem.answered", { status: response.status }),
    detail: t("problem.answered-detail"),
    status: response.status,
  });
}

// @ts-check
/** Server-sent events of an answer to a POST, which EventSource can't read. */

/** @typedef {{name: string, data: string}} ServerEvent */

/** Takes bytes as they come, cut anywhere, and gives the events that are whole. The format: HTML standard, section 9.2. */
export class EventParser {
  #decoder = new TextDecoder();
  /** What came after the last end of a line. */
  #rest = "";
  /** Whether the last letter was a carriage return: a line feed after it belongs to the same end of a line. */
  #returned = false;
  #name = "";
  /** @type {string[]} */
  #data = [];

  /** @param {Uint8Array} bytes @returns {ServerEvent[]} */
  read(bytes) {
    const text = this.#decoder.decode(bytes, { stream: true });
    if (!text) return [];
    const lines = (this.#rest + text.slice(this.#returned && text[0] === "\n" ? 1 : 0)).split(/\r\n|\n|\r/);
    this.#returned = text.endsWith("\r");
    this.#rest = lines.pop() ?? "";
    return lines.map((line) => this.#line(line)).filter((event) => event !== null);
  }

  /** @param {string} line @returns {ServerEvent | null} an event where the line ends one */
  #line(line) {
    if (!line) return this.#dispatch();
    const [, field, value] = /** @type {RegExpMatchArray} */ (/^([^:]*)(?:: ?(.*))?$/s.exec(line));
    if (field === "event") this.#name = value ?? "";
    if (field === "data") this.#data.push(value ?? "");
    return null;
  }

  #dispatch() {
    const event = this.#data.length ? { name: this.#name || "message", data: this.#data.join("\n") } : null;
    this.#name = "";
    this.#data = [];
    return event;
  }
}

/**
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{name: string, data: any}>} each event as soon as it is whole, with its data as JSON
 */
export async function* eventsOf(body) {
  const reader = body.getReader();
  const parser = new EventParser();
  try {
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      for (const { name, data } of parser.read(/** @type {Uint8Array} */ (value))) yield { name, data: JSON.parse(data) };
    }
  } finally {
    // Whoever stops listening lets the server know.
    await reader.cancel().catch(() => {});
  }
}

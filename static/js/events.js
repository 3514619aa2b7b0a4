// @ts-check
/** Server-sent events of an answer to a POST, which EventSource can't read. */

/**
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{name: string, data: any}>} each event as soon as it is whole, with its data as JSON
 */
export async function* eventsOf(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const whole = rest.split("\n\n");
      rest = whole.pop() ?? "";
      for (const one of whole) {
        const field = (/** @type {string} */ name) => one.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        yield { name: field("event") ?? "message", data: JSON.parse(field("data") ?? "null") };
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

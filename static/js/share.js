// @ts-check
/** Links and files of what is on screen. */
import { byId, h } from "./dom.js";
import { shortName } from "./format.js";
import { selection } from "./session.js";

/** @param {string} href @param {string} name */
function save(href, name) {
  const link = h("a", { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

/** @param {string} text @returns {Promise<boolean>} */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard needs a secure context or a permission; a selection works without either.
    const field = /** @type {HTMLTextAreaElement} */ (h("textarea.hidden", { readonly: true }));
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

const FORMATS = [
  { name: "CSV", accept: "text/csv", ending: "csv", note: "one line per weight" },
  { name: "JSON", accept: "application/json", ending: "json", note: "weights and tokens" },
  { name: "safetensors", accept: "application/vnd.safetensors", ending: "safetensors", note: "float32, for Python" },
];

/** Most cells along a side of a file of a long map: whatever is larger is pooled. */
const CELLS = 512;

/** Of a long text the part that is looked at. @param {import("./scene.js").Scene} scene @returns {import("./api.js").Query} */
function part({ near, state, attention }) {
  if (!near) return {};
  const ends = (/** @type {number} */ first, /** @type {number} */ end) => `${first}-${end - 1}`;
  if (state.view !== "heatmap") return { queries: ends(...near.queries), keys: ends(...near.keys) };
  const { query, key, span } = state.window ?? { query: 0, key: 0, span: Math.max(attention.queries.length, attention.keys.length) };
  const size = span > CELLS ? CELLS : undefined;
  return { queries: ends(query, Math.min(query + span, attention.queries.length)), keys: ends(key, Math.min(key + span, attention.keys.length)), size };
}

/**
 * @param {{
 *   api: import("./api.js").Api,
 *   scene: () => import("./scene.js").Scene | null,
 *   picture: () => Promise<string | null>,
 *   link: () => string,
 *   toast: (sentence: string) => void,
 * }} given
 */
export function mountShare({ api, scene, picture, link, toast }) {
  byId("share").addEventListener("click", async () => {
    toast((await copy(link())) ? "Link copied. It opens exactly this picture." : "The browser did not allow copying; the address bar holds the link.");
  });

  const item = (/** @type {string} */ name, /** @type {string} */ note, /** @type {() => void} */ onclick) =>
    h("button", { type: "button", role: "menuitem", onclick }, h("span", {}, name), h("small", {}, note));

  /** @param {(typeof FORMATS)[number]} format */
  async function data({ accept, ending }) {
    const now = scene();
    if (!now) return;
    const { trace, attention, state, site } = now;
    if (state.view === "states" && site) return file(`${api.base}/traces/${trace.id}/tensors/${site.address}`, accept, `headlight-${trace.model}-${site.address}.${ending}`);
    const query = new URLSearchParams(
      Object.entries({ stack: attention.stack, block: attention.block.name, ...selection(state), ...part(now) }).flatMap(([k, v]) => (v === undefined ? [] : [[k, String(v)]])),
    );
    return file(`${api.base}/traces/${trace.id}/attention?${query}`, accept, `headlight-${trace.model}-${shortName(state).replace("·", "-")}.${ending}`);
  }

  /** @param {string} address @param {string} accept @param {string} name */
  async function file(address, accept, name) {
    const response = await fetch(address, { headers: { accept } }).catch(() => null);
    if (!response?.ok) return toast("The file could not be made. Try again.");
    const url = URL.createObjectURL(await response.blob());
    save(url, name);
    URL.revokeObjectURL(url);
  }

  byId("exports").replaceChildren(
    item("PNG", "this view, as drawn", async () => {
      const url = await picture();
      const now = scene();
      if (url && now) save(url, `headlight-${now.trace.model}-${now.state.view === "states" ? now.site?.address : shortName(now.state).replace("·", "-")}-${now.state.view}.png`);
      else toast("This view is words, not a picture: choose heat map, lines or bars.");
    }),
    ...FORMATS.map((format) => item(format.name, format.note, () => data(format))),
  );
}

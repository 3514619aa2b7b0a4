// @ts-check
/** Links and files of what is on screen. */
import { byId, h } from "./dom.js";
import { bytes, shortName } from "./format.js";
import { selection } from "./session.js";
import { comparedNumbers } from "./share/compared.js";
import { mountLink } from "./share/link.js";
import { csvOf, headsNumbers, jsonOf, safetensorsOf, several } from "./share/numbers.js";
import { t } from "./words.js";

/** @param {string} href @param {string} name */
function save(href, name) {
  const link = h("a", { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

const FORMATS = [
  { name: "CSV", accept: "text/csv", ending: "csv" },
  { name: "JSON", accept: "application/json", ending: "json" },
  { name: "safetensors", accept: "application/vnd.safetensors", ending: "safetensors" },
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
 *   sentence: () => string,
 *   numbers: () => import("./share/numbers.js").Numbers | null,
 *   file: () => Promise<string | null>,
 *   link: () => string,
 *   embed: string[],
 *   toast: (sentence: string) => void,
 * }} given
 */
export function mountShare({ api, scene, sentence, numbers, file, link, embed, toast }) {
  mountLink({ link, embed, title: () => `Headlight: ${scene()?.trace.text ?? ""}` });

  /** What the file is of, in its name. @param {import("./scene.js").Scene} now */
  const named = ({ trace, state, site }) => `headlight-${trace.model}-${state.view === "states" ? site?.address : [state, ...(several(state) ? state.also : [])].map((ref) => shortName(ref).replace("·", "-")).join("+")}`;

  /** @param {Blob} blob @param {string} name */
  function keep(blob, name) {
    const url = URL.createObjectURL(blob);
    save(url, name);
    setTimeout(() => URL.revokeObjectURL(url), 0);
  }

  /** @param {"png" | "svg"} ending */
  async function picture(ending) {
    const now = scene();
    if (!now) return;
    const [{ svgOf }, { pngOf }] = await Promise.all([import("./share/svg.js"), import("./share/png.js")]);
    const title = [now.trace.model, byId("focus-title").textContent, now.trace.text].join(" · ");
    const sheet = await svgOf(byId(byId("beside").hidden ? "view" : "panes"), { title, about: sentence() });
    keep(ending === "png" ? await pngOf(sheet) : new Blob([new XMLSerializer().serializeToString(sheet)], { type: "image/svg+xml" }), `${named(now)}-${now.state.view}.${ending}`);
  }

  async function page() {
    const now = scene();
    try {
      const text = await file();
      if (now && text) keep(new Blob([text], { type: "text/html" }), `${named(now)}-${now.state.view}.html`);
    } catch (error) {
      const { TooLarge, MOST } = await import("./share/standalone.js");
      if (!(error instanceof TooLarge)) return failed(error);
      toast(t("export.too-large", { most: bytes(MOST) }));
    }
  }

  /** @param {unknown} error */
  function failed(error) {
    console.error(error);
    toast(t("export.failed"));
  }

  const item = (/** @type {string} */ name, /** @type {string} */ note, /** @type {() => void} */ onclick) =>
    h("button", { type: "button", role: "menuitem", onclick }, h("span", {}, name), h("small", {}, note));

  /** @param {(typeof FORMATS)[number]} format */
  async function data({ accept, ending }) {
    const now = scene();
    if (!now) return;
    const { trace, attention, state, site } = now;
    const held = numbers() ?? comparedNumbers(now) ?? (several(state) ? await chosen(now) : null);
    if (held) {
      const write = { csv: csvOf, json: jsonOf, safetensors: safetensorsOf }[ending];
      return keep(new Blob([/** @type {any} */ (write)(held)], { type: accept }), `${named(now)}-${state.view}.${ending}`);
    }
    if (state.view === "states" && site) return fetched(`${api.base}/traces/${trace.id}/tensors/${site.address}`, accept, `${named(now)}.${ending}`);
    const query = new URLSearchParams(
      Object.entries({ stack: attention.stack, block: attention.block.name, ...selection(state), ...part(now) }).flatMap(([k, v]) => (v === undefined ? [] : [[k, String(v)]])),
    );
    return fetched(`${api.base}/traces/${trace.id}/attention?${query}`, accept, `${named(now)}.${ending}`);
  }

  /** Every chosen head, where several are seen. @param {import("./scene.js").Scene} now */
  async function chosen(now) {
    const { attention, state, trace } = now;
    const refs = [state, ...state.also].map(({ layer, head }) => ({ layer, head }));
    const asked = { stack: attention.stack, block: attention.block.name, ...part(now) };
    return headsNumbers(refs, await Promise.all(refs.map((ref, nth) => api.json(`traces/${trace.id}/attention`, { ...asked, ...selection(ref) }, `file ${nth}`))));
  }

  /** @param {string} address @param {string} accept @param {string} name */
  async function fetched(address, accept, name) {
    const response = await fetch(address, { headers: { accept } }).catch(() => null);
    if (!response?.ok) return toast(t("export.failed"));
    keep(await response.blob(), name);
  }

  byId("exports").replaceChildren(
    item("PNG", t("export.png"), () => picture("png").catch(failed)),
    item("SVG", t("export.svg"), () => picture("svg").catch(failed)),
    ...FORMATS.map((format) => item(format.name, t(`export.${format.ending}`), () => data(format).catch(failed))),
    item("HTML", t("export.html"), page),
  );
}

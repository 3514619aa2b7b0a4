// @ts-check
/** The picture alone as one HTML file: with its numbers, typefaces and scripts inside, it needs neither server nor network. */
import { asData } from "./fonts.js";
import { nameOf } from "./archive.js";

/** @typedef {import("./archive.js").Asked} Asked */
/** @typedef {{model: string, text: string, id: string}} About */

/** Most bytes of numbers in a file. */
export const MOST = 32 * 2 ** 20;

/** The file reaches for nothing outside itself, and the browser sees to that. */
const POLICY = "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'";

/** What a file holds would be larger than it may be. */
export class TooLarge extends Error {}

/** @param {ArrayBuffer} buffer */
function base64(buffer) {
  let text = "";
  const bytes = new Uint8Array(buffer);
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

/** @param {string} url */
async function textOf(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(url);
  return response.text();
}

/**
 * The answers that are about these traces. Storyboards make traces of their own, of the same text: these come first, so that
 * their numbers are known by their ids.
 * @param {Iterable<Asked>} notes @param {About[]} traces @returns {Promise<import("./archive.js").Archive>}
 */
async function answers(notes, traces) {
  const ids = new Set(traces.map(({ id }) => id));
  /** @type {import("./archive.js").Archive} */
  const archive = {};
  let size = 0;
  /** @param {Asked} note */
  async function keep(note) {
    const { method, url, accept, body } = note;
    const response = await fetch(url, { method, headers: { ...(accept ? { accept } : {}), ...(body ? { "content-type": "application/json" } : {}) }, body: body || null });
    if (!response.ok) return null;
    const buffer = await response.arrayBuffer();
    size += buffer.byteLength;
    if (size > MOST) throw new TooLarge();
    archive[nameOf(note)] = { type: response.headers.get("content-type") ?? "", body: base64(buffer) };
    return buffer;
  }
  const all = [...notes];
  for (const note of all.filter(({ method }) => method === "POST")) {
    const { model, text } = note.body ? JSON.parse(note.body) : {};
    if (!traces.some((one) => one.model === model && one.text === text)) continue;
    const buffer = await keep(note);
    if (buffer && note.url.endsWith("/traces")) ids.add(JSON.parse(new TextDecoder().decode(buffer)).id);
  }
  const models = new Set(traces.map(({ model }) => encodeURIComponent(model)));
  for (const note of all.filter(({ method }) => method === "GET")) {
    const [, kind, id] = /\/(traces|models)\/([^/?]+)/.exec(note.url) ?? [];
    if (kind && (kind === "traces" ? ids : models).has(id)) await keep(note);
  }
  return archive;
}

const STATIC_IMPORT = /^((?:import|export)\b[^;"']*?(?:\bfrom\s*)?)"(\.[^"]+)"/gm;

/** Every module that a module needs, under a name of its own, as addresses that hold them. @param {string} entry @returns {Promise<{name: string, imports: Record<string, string>}>} */
async function modules(entry) {
  /** @type {Record<string, string>} */
  const imports = {};
  const named = (/** @type {string} */ url) => new URL(url).pathname.replace(/^.*?\/(?=js\/)/, "");
  /** @type {Set<string>} */
  const seen = new Set();
  /** @param {string} url */
  async function take(url) {
    if (seen.has(url)) return;
    seen.add(url);
    /** @type {string[]} */
    const needed = [];
    const text = (await textOf(url)).replace(STATIC_IMPORT, (_, before, path) => {
      const target = new URL(path, url).href;
      needed.push(target);
      return `${before}"${named(target)}"`;
    });
    imports[named(url)] = `data:text/javascript;base64,${base64(new TextEncoder().encode(text).buffer)}`;
    await Promise.all(needed.map(take));
  }
  await take(entry);
  return { name: named(entry), imports };
}

/** A style sheet with what it refers to inside. @param {string} url */
async function styles(url) {
  const text = await textOf(url);
  const places = [...new Set([...text.matchAll(/url\("([^")]+)"\)/g)].map(([, place]) => place))];
  const inside = await Promise.all(places.map(async (place) => /** @type {const} */ ([place, await asData(new URL(place, url).href)])));
  return inside.reduce((all, [place, data]) => all.replaceAll(`url("${place}")`, `url("${data}")`), text);
}

/** JSON that can stand inside a script element. @param {unknown} value */
const block = (value) => JSON.stringify(value).replaceAll("<", "\\u003c");

/**
 * @param {{bootstrap: any, front: string, notes: Iterable<Asked>, traces: About[], plotly: string | null, title: string}} given what the page began with, where the front page is, and what is on screen
 * @returns {Promise<string>} the file
 */
export async function standalone({ bootstrap, front, notes, traces, plotly, title }) {
  const place = new URL("embed", front).href;
  const [page, archive] = await Promise.all([textOf(place), answers(notes, traces)]);
  const made = new DOMParser().parseFromString(page, "text/html");
  const element = (/** @type {string} */ tag, /** @type {Record<string, string>} */ attributes, text = "") => {
    const one = Object.assign(made.createElement(tag), { textContent: text });
    for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
    return one;
  };
  const at = (/** @type {Element} */ one, /** @type {string} */ name) => new URL(one.getAttribute(name) ?? "", place).href;
  for (const gone of made.querySelectorAll("link[rel=modulepreload], link[rel=preload]")) gone.remove();
  for (const link of made.querySelectorAll("link[rel=icon]")) link.setAttribute("href", await asData(at(link, "href")));
  // This page's policy would be applied to styles as they are put in, so they come when all is text.
  const sheets = await Promise.all([...made.querySelectorAll("link[rel=stylesheet]")].map((link) => styles(at(link, "href"))));
  made.querySelectorAll("link[rel=stylesheet]").forEach((link, i) => link.replaceWith(made.createComment(`style ${i}`)));
  for (const script of made.querySelectorAll("script[src]")) {
    if (script.getAttribute("type") !== "module") script.replaceWith(element("script", {}, await textOf(at(script, "src"))));
    else {
      const { name, imports } = await modules(at(script, "src"));
      script.replaceWith(element("script", { type: "importmap" }, block({ imports })), element("script", { type: "module" }, `import ${JSON.stringify(name)};`));
    }
  }
  made.title = title;
  made.body.classList.add("filed");
  made.head.prepend(element("meta", { charset: "utf-8" }), element("meta", { "http-equiv": "Content-Security-Policy", content: POLICY }));
  const data = /** @type {HTMLElement} */ (made.getElementById("bootstrap"));
  data.textContent = block({ ...bootstrap, plotly: plotly && (await asData(new URL(plotly, place).href)), archive });
  const text = `<!doctype html>\n${made.documentElement.outerHTML}\n`;
  return sheets.reduce((all, sheet, i) => all.replace(`<!--style ${i}-->`, () => `<style>\n${sheet}</style>`), text);
}

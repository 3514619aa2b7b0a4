// @ts-check
/** The page's own words in the reader's language: a catalogue that came with the page, in its data block. */

/** @typedef {Record<string, string | number>} Values */

/** @type {Record<string, string>} */
const WORDS = JSON.parse(document.getElementById("words")?.textContent ?? "{}");

/** What the page is written in, such as pt-BR. */
export const language = document.documentElement.lang;

const plurals = new Intl.PluralRules(language);

const TURNS = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/** Letters that run from right to left would turn what stands around them, unless they are set apart. @param {string} text */
export const apart = (text) => (TURNS.test(text) && !text.startsWith("\u2068") ? `\u2068${text}\u2069` : text);

/** Which way a text runs, by its first letter. @param {string} text @returns {"rtl" | "ltr"} */
export const runs = (text) => (TURNS.test(/\p{L}/u.exec(text)?.[0] ?? "") ? "rtl" : "ltr");

/** @param {string} key @param {Record<string, unknown>} values */
function words(key, values) {
  const form = typeof values.count === "number" ? `${key}.${plurals.select(values.count)}` : key;
  const found = WORDS[form] ?? WORDS[`${key}.other`];
  if (found === undefined) console.error(`No words for ${form} in ${language}: add them to static/lang.`);
  return found ?? key;
}

/**
 * The words under a key, with `{name}` filled in. Where there is a `count`, its plural form is taken: `key.one`, `key.other`.
 * @param {string} key @param {Values} [values]
 */
export function t(key, values = {}) {
  return words(key, values).replace(/\{(\w+)\}/g, (_, name) => apart(String(value(key, name, values))));
}

/**
 * The same where parts of the sentence are elements.
 * @param {string} key @param {Record<string, Node | string | number>} values @returns {(Node | string)[]}
 */
export function phrase(key, values) {
  return words(key, values)
    .split(/\{(\w+)\}/)
    .map((piece, i) => {
      if (i % 2 === 0) return piece;
      const part = value(key, piece, values);
      return part instanceof Node ? part : apart(String(part));
    })
    .filter((part) => part !== "");
}

/** @template T @param {string} key @param {string} name @param {Record<string, T>} values */
function value(key, name, values) {
  if (!(name in values)) console.error(`${key} needs a value for {${name}}.`);
  return values[name];
}

// @ts-check
/** The page's typefaces as part of a file: those that a text of it needs, and no others. */

/** @param {string} range such as U+0000-00FF, U+2212 @param {Iterable<string>} letters */
function covers(range, letters) {
  const spans = range.split(",").map((part) => part.trim().slice(2).split("-").map((end) => parseInt(end, 16)));
  for (const letter of letters) {
    const code = Number(letter.codePointAt(0));
    if (spans.some(([from, to = from]) => code >= from && code <= to)) return true;
  }
  return false;
}

/** Every @font-face of the page. @returns {CSSFontFaceRule[]} */
const faces = () => [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules].filter((rule) => rule instanceof CSSFontFaceRule));

/** A file's bytes as an address that needs no file. @param {string} url @returns {Promise<string>} */
export async function asData(url) {
  if (url.startsWith("data:")) return url;
  const response = await fetch(url);
  if (!response.ok) throw new Error(url);
  const blob = await response.blob();
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** @param {Map<string, Set<string>>} letters of each stack of typefaces @returns {Promise<string>} @font-face rules with the faces inside */
export async function embedded(letters) {
  const unquoted = (/** @type {string} */ name) => name.trim().replace(/^["']|["']$/g, "");
  const wanted = faces().filter(({ style }) => {
    const family = unquoted(style.getPropertyValue("font-family"));
    return [...letters].some(([stack, used]) => stack.split(",").map(unquoted).includes(family) && covers(style.getPropertyValue("unicode-range"), used));
  });
  const rules = await Promise.all(
    wanted.map(async ({ style, parentStyleSheet }) => {
      const [, address = ""] = /url\(["']?([^"')]+)["']?\)/.exec(style.getPropertyValue("src")) ?? [];
      const data = await asData(new URL(address, parentStyleSheet?.href ?? document.baseURI).href);
      const parts = ["font-family", "font-weight", "unicode-range"].map((name) => `${name}:${style.getPropertyValue(name)}`);
      return `@font-face{${parts.join(";")};src:url(${data}) format("woff2")}`;
    }),
  );
  return rules.join("\n");
}

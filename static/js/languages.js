// @ts-check
/** The language that the page is read in: chosen here, kept by the browser for a year, and used by the server. */
import { byId } from "./dom.js";

/** The server reads it: see app/languages.py. */
const COOKIE = "headlight-language";
const YEAR = 365 * 24 * 60 * 60;

export function mountLanguages() {
  byId("languages").addEventListener("click", (/** @type {Event} */ event) => {
    const chosen = /** @type {Element} */ (event.target).closest("button")?.value;
    if (!chosen) return;
    const page = new URL(location.href);
    const front = /** @type {HTMLAnchorElement} */ (document.querySelector(".brand a"));
    page.searchParams.delete("lang"); // it would win over the choice
    document.cookie = `${COOKIE}=${chosen}; path=${new URL(front.href).pathname}; max-age=${YEAR}; samesite=lax`;
    history.replaceState(null, "", page);
    location.reload();
  });
}

// @ts-check
/** The dialog that hands a picture on: its link, the same as a QR code, and a frame for another page. */
import { byId } from "../dom.js";
import { say } from "../speech.js";
import { t } from "../words.js";

/** Whether only this machine can open an address. @param {string} host */
export const loopback = (host) => host === "localhost" || host.endsWith(".localhost") || /^127\.\d+\.\d+\.\d+$/.test(host) || host === "[::1]";

/** The same picture without the page around it. @param {string} link */
export function framed(link) {
  const url = new URL(link);
  url.pathname = new URL("embed", url).pathname;
  return url.href;
}

/** @param {string} text for an attribute's value */
const quoted = (text) => text.replace(/&/g, "&amp;").replace(/"/g, "&quot;");

/** The clipboard needs a secure context or a permission; what is selected needs neither. @param {HTMLInputElement} field @returns {Promise<boolean>} */
async function copied(field) {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    return document.execCommand("copy");
  }
}

const CONFIRMED = 2000; // milliseconds that a button says that it has copied

/** @param {{link: () => string, title: () => string, embed: string[]}} given embed: who may frame a picture */
export function mountLink({ link, title, embed }) {
  const [dialog, field, frame, code, note] = ["sharing", "sharing-link", "sharing-frame", "sharing-code", "sharing-code-note"].map(byId);

  /** @param {string} text */
  async function draw(text) {
    code.hidden = true;
    note.textContent = "";
    // Beside the page, wherever that is served.
    const answer = await fetch(new URL(`qr.svg?${new URLSearchParams({ text })}`, text)).catch(() => null);
    if (field.value !== text) return;
    if (!answer?.ok) {
      note.textContent = answer?.status === 422 ? t("share.too-long") : t("share.no-code");
      return;
    }
    code.src = URL.createObjectURL(await answer.blob());
    code.onload = () => URL.revokeObjectURL(code.src);
    code.hidden = false;
  }

  byId("share").addEventListener("click", () => {
    const text = link();
    const { hostname } = new URL(text);
    field.value = text;
    frame.value = `<iframe src="${quoted(framed(text))}" title="${quoted(title())}" width="720" height="480"></iframe>`;
    byId("sharing-loopback").hidden = !loopback(hostname);
    byId("sharing-loopback").textContent = t("share.loopback", { host: hostname });
    byId("sharing-embed").textContent = embed.length
      ? embed.includes("*")
        ? t("share.framed-by-any")
        : t("share.framed-by", { sites: embed.join(", ") })
      : t("share.framed-by-none");
    draw(text);
    dialog.showModal();
    field.select();
  });
  for (const button of dialog.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", async () => {
      const done = await copied(byId(button.dataset.copies));
      say(done ? t("share.copied") : t("share.not-copied"));
      button.textContent = done ? t("share.copied") : "Ctrl+C";
      setTimeout(() => (button.textContent = t("share.copy")), CONFIRMED);
    });
  }
}

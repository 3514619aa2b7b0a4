// @ts-check
/** Numbers and names as people read them. */
import { t } from "./words.js";

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const superscript = (/** @type {number} */ n) => (n < 0 ? "⁻" : "") + [...String(Math.abs(n))].map((d) => SUPERSCRIPTS[+d]).join("");

/** Three significant digits, a true minus sign, powers of ten where zeros would crowd. @param {number} x */
export function number(x) {
  if (x === 0) return "0";
  if (!Number.isFinite(x)) return x < 0 ? "−∞" : "∞";
  const rounded = Number(x.toPrecision(3)); // first, or 0.9996 would be read as 1.000
  const power = Math.floor(Math.log10(Math.abs(rounded)));
  if (power < -4 || power >= 6) return `${(rounded / 10 ** power).toFixed(2).replace("-", "−")}×10${superscript(power)}`;
  return (power < 3 ? rounded.toFixed(Math.max(0, 2 - power)) : x.toFixed(0)).replace("-", "−");
}

/** The same with a sign that tells more from less. @param {number} x */
export const signed = (x) => (x > 0 ? `+${number(x)}` : number(x));

/** Every digit that the number has. @param {number} x */
export const exact = (x) => String(x).replace("-", "−");

/** A number as a part of a sum or a product: a minus sign of its own is set apart. @param {number} x */
export const part = (x) => (x < 0 ? `(${number(x)})` : number(x));

const UNITS = /** @type {const} */ ([["G", 1e9], ["M", 1e6], ["k", 1e3]]);

/** A count with a unit, three digits of it: 548 M. @param {number} count */
export function short(count) {
  const [unit, size] = UNITS.find(([, s]) => count >= s * 0.9995) ?? ["", 1];
  return unit ? `${(count / size).toPrecision(3)} ${unit}` : String(count);
}

/** 548 MB. @param {number} count */
export const bytes = (count) => (count < 1000 ? t("count.byte", { count }) : `${short(count)}B`);

/** A share of one as a spoken percentage: nothing is told as none, and what is not all as all. @param {number} x */
export function percent(x) {
  if (x > 0 && x < 0.01) return t("count.under-percent");
  if (x > 0.99 && x < 1) return t("count.over-percent");
  return `${Math.round(100 * x)} %`;
}

/** @param {import("./state.js").HeadRef} ref */
export function headName({ layer, head }) {
  if (layer === "all") return t("head.all-layers", { how: t(`heads.${head}`) });
  return typeof head === "number" ? t("head.name", { layer, head }) : t("head.of-layer", { layer, how: t(`heads.${head}`) });
}

/** @param {import("./state.js").HeadRef} ref */
export const shortName = ({ layer, head }) => (layer === "all" ? t("head.all-short", { how: t(`heads.${head}`) }) : `${layer}·${typeof head === "number" ? head : t(`heads.${head}`)}`);

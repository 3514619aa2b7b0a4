// @ts-check
/** One number of a matrix product, in full: what is read, a row of the matrix, their products, and the sum. */
import { t } from "../words.js";
import { line, number, strip, words } from "./parts.js";

/**
 * @typedef {object} Product
 * @property {Float32Array} read the vector, as many numbers as the row has
 * @property {Float32Array} row of the matrix
 * @property {number | undefined} bias
 */

/** The products, one by one, and their sum. @param {Product} of */
export function multiplied({ read, row }) {
  const products = Float32Array.from(read, (value, i) => value * row[i]);
  return { products, sum: read.reduce((sum, value, i) => sum + value * row[i], 0) };
}

/**
 * The lines of a step, below columns of label, wide and number.
 * @param {Product} of
 * @param {object} names
 * @param {Omit<Parameters<typeof strip>[0], "values"> & {label: string}} names.read
 * @param {Omit<Parameters<typeof strip>[0], "values"> & {label: string}} names.row
 * @param {Parameters<typeof number>[0] & {label: string, says: string}} made the number that it comes to
 */
export function productLines(of, { read, row }, made) {
  const { products, sum } = multiplied(of);
  const lines = [
    line([words(read.label), strip({ ...read, values: of.read }), words("")]),
    line([words(row.label), strip({ ...row, values: of.row }), words("")]),
    line([words(t("att.products")), strip({ name: t("inspector.products"), values: products, key: "products", from: read.key, result: true }), words("")]),
    line([words("∑"), words(t("att.sum-of-them")), number({ name: t("parts.sum"), value: sum, key: "sum", from: "products", result: true })]),
  ];
  if (of.bias !== undefined) lines.push(line([words("+ b"), words(t("att.learned-number")), number({ name: t("parts.bias"), value: of.bias, key: "bias" })]));
  lines.push(line([words(made.label), words(made.says), number({ ...made, from: "sum", strong: true, result: true })], { lit: true }));
  return lines;
}

/** The second line of its formula: the sum, the bias, and what they come to. @param {Product} of @param {number} made @param {(value: number) => string} written @returns {string[]} */
export function comesTo(of, made, written) {
  const { sum } = multiplied(of);
  return of.bias === undefined ? ["=", written(sum)] : ["=", written(sum), of.bias < 0 ? "−" : "+", written(Math.abs(of.bias)), "=", written(made)];
}

// @ts-check
/**
 * What a step shows, as data: lines of tokens, vectors, numbers and matrices, each with the address that it comes from.
 * A part has a `key`; the part with the same key in the next step is the same thing, and it travels. `from` names the
 * part that it was made of. `result` is what a class may be asked to predict.
 */

/** @typedef {{key?: string, from?: string, source?: string, result?: boolean, lit?: boolean}} Common */
/** @typedef {Common & {kind: "token", text: string, quiet?: boolean, query?: number}} TokenPart query: choosing it asks for its row */
/** @typedef {Common & {kind: "strip", name: string, values: ArrayLike<number>, top?: number, mark?: [number, number], share?: boolean}} StripPart mark: from and to; share: from 0 to 1, no sign */
/** @typedef {Common & {kind: "number", value: number, name: string, strong?: boolean, count?: boolean}} NumberPart count: a whole number, written as it is */
/** @typedef {Common & {kind: "bar", value: number, top: number, name: string, signed?: boolean}} BarPart */
/** @typedef {Common & {kind: "matrix", name: string, values: ArrayLike<number>, rows: number, cols: number, labels?: string[], across?: string[], weights?: boolean, mark?: [number, number], large?: boolean, fades?: number, turned?: boolean}} MatrixPart fades: rows from here on are not there yet; turned: drawn with its rows as columns, and so are its mark and its labels */
/** @typedef {Common & {kind: "weights", name: string, rows: number, cols: number, values?: ArrayLike<number>}} WeightsPart learned; only named where it is too large to be drawn */
/** @typedef {Common & {kind: "op", text: string}} OpPart */
/** @typedef {Common & {kind: "phrase", text: string}} WordsPart */
/** @typedef {Common & {kind: "chart", name: string, values: ArrayLike<number>, labels: string[], marked?: number, sources?: string[]}} ChartPart */
/** @typedef {Common & {kind: "clocks", name: string, before: ArrayLike<number>, after: ArrayLike<number>}} ClocksPart pairs of numbers, turned */
/** @typedef {Common & {kind: "curves", name: string, labels: string[], curves: {name: string, values: number[]}[]}} CurvesPart several rows of numbers over the same words */
/** @typedef {Common & {kind: "ranked", name: string, rows: {text: string, value: number, lit: boolean}[]}} RankedPart */
/** @typedef {Common & {kind: "tally", name: string, first: number, across: string[], rows: {text: string, made: number, kept: number}[]}} TallyPart first: the place of the first column what is made anew at each step, and what is kept from before */
/** @typedef {TokenPart | StripPart | NumberPart | BarPart | MatrixPart | WeightsPart | OpPart | WordsPart | ChartPart | CurvesPart | RankedPart | ClocksPart | TallyPart} Part */

/** @typedef {{parts: Part[], lit?: boolean, never?: boolean, result?: boolean}} Line */

/**
 * @typedef {object} Scene
 * @property {string[]} columns one word per kind of part, which sets its width: token, strip, number, bar, op, wide
 * @property {string[]} [titles] above the columns
 * @property {Line | null} [head] above the lines, such as the query that all of them are compared with
 * @property {Line[]} lines
 * @property {Line | null} [foot] below them, such as their sum
 * @property {string} [note] what is left out
 */

/**
 * @typedef {object} Step
 * @property {string} id part of the address
 * @property {string} title
 * @property {string} sentence
 * @property {(got: import("./tensors.js").All) => MathMLElement} [formula]
 * @property {Record<string, import("./tensors.js").Need>} needs
 * @property {(got: import("./tensors.js").All) => Scene} scene
 */

/** @typedef {{id: string, name: string, steps: Step[], gather?: (api: import("../api.js").Api) => Promise<Step[]>}} Storyboard gather: makes its steps where they need more than the trace at hand */

/** @template {Part["kind"]} K @param {K} kind */
const maker = (kind) => (/** @type {Omit<Extract<Part, {kind: K}>, "kind">} */ given) => /** @type {Extract<Part, {kind: K}>} */ ({ kind, ...given });

export const token = maker("token");
export const strip = maker("strip");
export const number = maker("number");
export const bar = maker("bar");
export const matrix = maker("matrix");
export const weights = maker("weights");
export const chart = maker("chart");
export const clocks = maker("clocks");
export const curves = maker("curves");
export const ranked = maker("ranked");
export const tally = maker("tally");
/** @param {string} text @param {Partial<OpPart>} [more] */
export const op = (text, more = {}) => /** @type {OpPart} */ ({ kind: "op", text, ...more });
/** @param {string} text @param {Partial<WordsPart>} [more] */
export const words = (text, more = {}) => /** @type {WordsPart} */ ({ kind: "phrase", text, ...more });

/** @param {Part[]} parts @param {Partial<Line>} [more] @returns {Line} */
export const line = (parts, more = {}) => ({ parts, ...more });

/** Whether a scene has colours for numbers below and above 0. @param {Scene} scene */
export const signed = ({ head, lines, foot }) =>
  [head, ...lines, foot].some((one) => one?.parts.some((part) => (part.kind === "strip" && !part.share) || (part.kind === "matrix" && !part.weights) || (part.kind === "bar" && part.signed) || (part.kind === "weights" && part.values)));

/** What most of these numbers stay below: a few that stick out must not dim all others. @param {...ArrayLike<number>} vectors */
export function span(...vectors) {
  const sizes = vectors.flatMap((vector) => Array.from(vector, Math.abs)).filter(Number.isFinite).sort((a, b) => a - b);
  return sizes[Math.min(sizes.length - 1, Math.floor(sizes.length * 0.98))] || sizes.at(-1) || 1;
}

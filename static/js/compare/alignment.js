// @ts-check
/** Which token of one text stands where a token of another does. */

/** @typedef {{text: string, piece?: string}} Word */
/** @typedef {{right: (number | null)[], left: (number | null)[], pairs: [number, number][]}} Alignment right: each left token's place on the right; left: the reverse */

/** Where more pairs than this would have to be weighed, only the common beginning and end are aligned. */
const WEIGHED = 4_000_000;

/** Vocabularies differ in where they keep the space before a word. @param {Word} token */
const textOf = ({ text, piece }) => text.trim() || piece || text;

/**
 * Tokens with the same text, in the same order, as many as there can be: the longest common subsequence.
 * @param {Word[]} left @param {Word[]} right @returns {Alignment}
 */
export function align(left, right) {
  const [a, b] = [left.map(textOf), right.map(textOf)];
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a[start] === b[start]) start++;
  let end = 0;
  while (end < shorter - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  /** @type {[number, number][]} */
  const pairs = Array.from({ length: start }, (_, i) => [i, i]);
  const [m, n] = [a.length - start - end, b.length - start - end];
  if (m * n <= WEIGHED) pairs.push(...middle(a.slice(start, start + m), b.slice(start, start + n)).map(([i, j]) => /** @type {[number, number]} */ ([start + i, start + j])));
  for (let i = end; i > 0; i--) pairs.push([a.length - i, b.length - i]);
  const to = { right: /** @type {(number | null)[]} */ (a.map(() => null)), left: /** @type {(number | null)[]} */ (b.map(() => null)) };
  for (const [i, j] of pairs) [to.right[i], to.left[j]] = [j, i];
  return { ...to, pairs };
}

/** @param {string[]} a @param {string[]} b @returns {[number, number][]} */
function middle(a, b) {
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width); // of what comes at and after each pair
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] = a[i] === b[j] ? common[(i + 1) * width + j + 1] + 1 : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  /** @type {[number, number][]} */
  const pairs = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if (common[(i + 1) * width + j] >= common[i * width + j + 1]) i++;
    else j++;
  }
  return pairs;
}

/** @type {WeakMap<Word[], {right: Word[], found: Alignment}>} */
const found = new WeakMap();

/** The same, kept for as long as both texts are looked at. @param {Word[]} left @param {Word[]} right */
export function aligned(left, right) {
  const kept = found.get(left);
  if (kept?.right === right) return kept.found;
  const fresh = align(left, right);
  found.set(left, { right, found: fresh });
  return fresh;
}

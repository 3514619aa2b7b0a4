// @ts-check
/** Pure functions on attention maps. */

/** @typedef {{values: Float32Array, rows: number, cols: number}} Matrix */

/**
 * Only some rows and columns; on request every row is scaled to sum to 1 again.
 * @param {Matrix} matrix @param {number[]} rows @param {number[]} cols @param {boolean} [renormalise]
 * @returns {Matrix}
 */
export function pick(matrix, rows, cols, renormalise = false) {
  if (rows.length === matrix.rows && cols.length === matrix.cols && !renormalise) return matrix;
  const values = new Float32Array(rows.length * cols.length);
  let to = 0;
  for (const row of rows) {
    const start = to;
    let sum = 0;
    for (const col of cols) sum += values[to++] = matrix.values[row * matrix.cols + col];
    if (renormalise && sum > 0) for (let i = start; i < to; i++) values[i] /= sum;
  }
  return { values, rows: rows.length, cols: cols.length };
}

/** @param {Matrix} matrix @param {number} row */
export const rowOf = (matrix, row) => matrix.values.subarray(row * matrix.cols, (row + 1) * matrix.cols);

/** @param {Matrix} matrix @param {number} col */
export const columnOf = (matrix, col) => Float32Array.from({ length: matrix.rows }, (_, row) => matrix.values[row * matrix.cols + col]);

/** The places of the largest values, largest first. @param {ArrayLike<number>} values @param {number} count @returns {number[]} */
export function strongest(values, count) {
  return Array.from(values, (_, i) => i)
    .sort((a, b) => values[b] - values[a])
    .slice(0, count);
}

/** The same with nothing on the diagonal. @param {Matrix} matrix @returns {Matrix} */
export function withoutDiagonal({ values, rows, cols }) {
  const others = values.slice();
  for (let i = 0; i < Math.min(rows, cols); i++) others[i * cols + i] = 0;
  return { values: others, rows, cols };
}

/** The largest value's row and column. @param {Matrix} matrix */
export function peak({ values, cols }) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return { row: Math.floor(best / cols), col: best % cols };
}

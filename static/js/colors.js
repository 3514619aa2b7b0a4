// @ts-check
/**
 * Attention is light: nothing is the ground, everything is the brightest thing on the screen.
 * Each ramp is a table of 256 colours that is monotone in lightness, so it survives colour blindness and a bad projector.
 */

/** @typedef {{pixels: Uint32Array, css: string[], ink: string[]}} Ramp pixels: little-endian RGBA; ink: readable text on each colour */

/** OKLCH to sRGB. @param {number} L @param {number} C @param {number} h degrees @returns {number[]} */
const oklch = (L, C, h) => oklab(L, C * Math.cos((h * Math.PI) / 180), C * Math.sin((h * Math.PI) / 180));

/** OKLab to sRGB, 0 to 255. @param {number} L @param {number} a @param {number} b @returns {number[]} */
function oklab(L, a, b) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((x) => {
    const clipped = Math.min(1, Math.max(0, x));
    return 255 * (clipped <= 0.0031308 ? 12.92 * clipped : 1.055 * clipped ** (1 / 2.4) - 0.055);
  });
}

/** @param {string} hex @returns {number[]} */
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** @param {string[]} hexes evenly spaced @returns {(t: number) => number[]} */
function between(hexes) {
  const stops = hexes.map(rgb);
  return (t) => {
    const at = Math.min(t * (stops.length - 1), stops.length - 1 - 1e-9);
    const [low, high] = [stops[Math.floor(at)], stops[Math.floor(at) + 1]];
    return low.map((x, i) => x + (high[i] - x) * (at % 1));
  };
}

/** @param {number} from @param {number} to @param {number} t */
const mix = (from, to, t) => from + (to - from) * t;

/** From a blue night through amber to near-white. @param {number} t @returns {number[]} */
function dawn(t) {
  const rise = Math.min(1, t / 0.14);
  const day = rise * rise * (3 - 2 * rise);
  const chroma = 0.15 * Math.sin(Math.PI * t ** 0.72);
  const hue = (mix(54, 94, t ** 0.85) * Math.PI) / 180;
  return oklab(mix(0.15, 0.985, t ** 0.94), chroma * Math.cos(hue) * day, mix(-0.016, chroma * Math.sin(hue), day));
}

/** @type {Record<string, (t: number) => number[]>} */
const RAMPS = {
  "light dark": (t) => dawn(t),
  "light light": (t) => oklch(mix(1, 0.3, t ** 0.8), 0.2 * Math.sin((Math.PI / 2) * Math.min(1, 1.25 * t)) * mix(1, 0.85, t), mix(292, 274, t)),
  viridis: between(["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"]),
  cividis: between(["#00204d", "#00336f", "#39486b", "#575c6d", "#707173", "#8a8779", "#a69d75", "#c4b56c", "#e4cf5b", "#ffea46"]),
};

/** Below nothing and above it: one hue each, and the ground between them. @param {"light" | "dark"} theme @returns {(t: number) => number[]} */
const signed = (theme) => (t) => {
  const size = Math.abs(2 * t - 1);
  const [hue, far] = t < 0.5 ? [theme === "dark" ? 250 : 45, theme === "dark" ? 0.78 : 0.52] : [theme === "dark" ? 75 : 276, theme === "dark" ? 0.84 : 0.42];
  const angle = (hue * Math.PI) / 180;
  const chroma = (theme === "dark" ? 0.15 : 0.18) * Math.sin((Math.PI / 2) * Math.min(1, 1.3 * size));
  const [from, tint] = theme === "dark" ? [0.15, -0.016] : [1, 0];
  return oklab(mix(from, far, size ** 0.85), chroma * Math.cos(angle), mix(tint, chroma * Math.sin(angle), Math.min(1, 4 * size)));
};

/** @param {number[]} color sRGB 0 to 255 */
function luminance(color) {
  const [r, g, b] = color.map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** @type {Map<string, Ramp>} */
const made = new Map();

/** @param {import("./state.js").State["palette"]} palette @param {"light" | "dark"} theme @returns {Ramp} */
export function ramp(palette, theme) {
  const name = palette === "light" ? `light ${theme}` : palette;
  return made.get(name) ?? table(name, RAMPS[name]);
}

/** For numbers with a sign: nothing is the ground, in the middle of the table. @param {"light" | "dark"} theme @returns {Ramp} */
export const diverging = (theme) => made.get(`signed ${theme}`) ?? table(`signed ${theme}`, signed(theme));

/** @param {string} name @param {(t: number) => number[]} ramp @returns {Ramp} */
function table(name, ramp) {
  const colors = Array.from({ length: 256 }, (_, i) => ramp(i / 255).map(Math.round));
  const result = {
    pixels: Uint32Array.from(colors, ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0),
    css: colors.map(([r, g, b]) => `rgb(${r} ${g} ${b})`),
    // Black and white meet the same contrast at a luminance of 0.179; the better of them is always above 4.5.
    ink: colors.map((color) => (luminance(color) > 0.179 ? "#000000" : "#ffffff")),
  };
  made.set(name, result);
  return result;
}

/** The weakest weight that a logarithmic scale still tells from nothing. */
export const FLOOR = 1e-3;

/**
 * The weight that is drawn brightest on a linear scale: 1, but where nothing comes near it a round number that something does.
 * A row over 500 tokens has small weights everywhere; the legend says what full light then means.
 * @param {ArrayLike<number>} weights
 */
export function brightest(weights) {
  let top = 0;
  for (let i = 0; i < weights.length; i++) if (weights[i] > top) top = weights[i];
  if (top >= 0.5 || top <= 0) return 1;
  const step = 10 ** Math.floor(Math.log10(top));
  return Math.min(1, Number((Math.ceil(top / step - 1e-6) * step).toPrecision(1)));
}

/** A weight's place in a ramp. @param {number} weight @param {import("./state.js").State["scale"]} scale @param {number} [top] what a linear scale draws brightest */
export function place(weight, scale, top = 1) {
  const t = scale === "log" ? 1 + Math.log10(Math.max(weight, FLOOR)) / 3 : weight / top;
  return Math.round(255 * Math.min(1, Math.max(0, t)));
}

/** A signed number's place in the diverging ramp. @param {number} value @param {number} top what is drawn strongest */
export const signedPlace = (value, top) => Math.round(127.5 + 127.5 * Math.min(1, Math.max(-1, value / top)));

/** Colours of a weight sent as a byte. @param {Ramp} colors @param {import("./state.js").State["scale"]} scale @returns {Uint32Array} */
export function byteColors({ pixels }, scale) {
  return Uint32Array.from({ length: 256 }, (_, byte) => pixels[place(byte / 255, scale)]);
}

const SERIES = {
  dark: ["#ffb648", "#5cc8ff", "#3ddc97", "#ff8fb1", "#c3a6ff", "#e6e36a", "#ff7a59", "#9fe8e0"],
  light: ["#4338ca", "#b04a06", "#00795c", "#b3246b", "#0369a1", "#7a6200", "#8f2d14", "#5b616e"],
};

/** Colours of several heads, told apart by colour-blind people too; the first is the focused one. @param {"light" | "dark"} theme */
export const series = (theme) => SERIES[theme];

// @ts-check
/** Two things that are worth seeing side by side. */
import { t } from "../words.js";

/** @typedef {Partial<import("../state.js").State>} Patch */
/** @typedef {{name: string, note: string, needs: string[], state: Patch}} Comparison needs: ids of models */

const ANIMAL = "The animal didn't cross the street because it was too";
const FRENCH = "Un chat gris sur un banc vert.";

/** @returns {Comparison[]} */
const all = () => [
  {
    name: "too tired | too wide",
    note: t("compare.tired-note"),
    needs: ["minilm"],
    state: { model: "minilm", text: `${ANIMAL} tired`, vs_text: `${ANIMAL} wide`, layer: 5, head: 11, query: 10, key: 2, view: "heatmap", compare: "panes" },
  },
  {
    name: t("compare.translators"),
    note: t("compare.translators-note"),
    needs: ["seq2seq-fr-en", "transformer-fr-en"],
    state: { model: "seq2seq-fr-en", vs_model: "transformer-fr-en", text: FRENCH, stack: "decoder", block: "cross", layer: 0, head: 0, vs_layer: "all", vs_head: "mean", view: "heatmap", compare: "panes" },
  },
  {
    name: t("compare.bottleneck"),
    note: t("compare.bottleneck-note"),
    needs: ["seq2seq-plain-fr-en", "seq2seq-fr-en"],
    state: { model: "seq2seq-plain-fr-en", vs_model: "seq2seq-fr-en", text: FRENCH, view: "steps", story: "time", compare: "panes" },
  },
];

/** Those whose models are here. @param {import("../header.js").Model[]} models */
export const comparisons = (models) => all().filter(({ needs }) => needs.every((id) => models.some((one) => one.id === id && one.status !== "absent" && one.status !== "downloading")));

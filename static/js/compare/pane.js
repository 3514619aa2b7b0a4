// @ts-check
/** A place on the page that shows one view of one scene at a time. */

/** @typedef {import("../scene.js").Scene} Scene */
/** @typedef {{update: (scene: Scene) => void, unmount?: () => void, sentence?: (scene: Scene) => string, play?: () => void, walk?: (by: import("../present/walking.js").Way) => boolean, unveil?: () => boolean, ready?: () => boolean, gather?: () => Promise<unknown>, numbers?: () => import("../share/numbers.js").Numbers | null, clock?: () => import("./clock.js").Clock | null}} View */

/** @template {string} Name */
export class Pane {
  /** @type {Name | null} */
  #name = null;
  /** @type {View | null} */
  view = null;

  /** @param {HTMLElement} host @param {Record<Name, (host: HTMLElement) => View>} views how each is mounted */
  constructor(host, views) {
    this.host = host;
    this.views = views;
  }

  /** @param {Name} name @param {Scene} scene */
  show(name, scene) {
    if (this.#name !== name) {
      this.clear();
      this.host.dataset.view = name;
      this.#name = name;
      this.view = this.views[name](this.host);
    }
    this.view?.update(scene);
  }

  clear() {
    this.view?.unmount?.();
    this.host.replaceChildren();
    delete this.host.dataset.view;
    [this.#name, this.view] = [null, null];
  }
}

// Reads again every so often what a view shows, until the view is left; what comes for a view that was left is not shown.

import { get } from "./api.js";

export class Poller {
  #timer = null;
  #visit = 0;

  constructor(path, milliseconds, { render, fail }) {
    Object.assign(this, { path, milliseconds, render, fail });
  }

  leave() {
    clearTimeout(this.#timer);
    this.#visit += 1;
  }

  async refresh() {
    clearTimeout(this.#timer);
    const visit = this.#visit;
    try {
      const found = await get(this.path);
      if (visit !== this.#visit) return;
      this.render(found);
    } catch (error) {
      if (visit !== this.#visit || error.name === "AbortError") return;
      this.fail(error.message);
    }
    this.#timer = setTimeout(() => this.refresh(), this.milliseconds);
  }
}

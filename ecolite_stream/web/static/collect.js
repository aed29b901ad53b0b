// Collecting on the live page: hold a button or a key while an action happens, or keep the last seconds.
import { clips, keepSeconds } from "./store.js";

const $ = (id) => document.getElementById(id);
const KEY = "ecolite-collect";
const SHORTEST_S = 0.5;
const LONGEST_S = 20;
const REACTION_S = 0.5; // a person presses late

export class Collect {
  // focused: gives the tile that the key is for, or null
  constructor(focused) {
    this.focused = focused;
    this.form = $("collect-bar");
    this.holding = null; // {tile, since}
    $("collect").addEventListener("click", () => this.show(this.form.hidden));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const tile = this.focused();
      if (tile) this.keep(tile, this.seconds);
    });
    this.form.addEventListener("change", () => this.changed());
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keyup", (event) => event.key.toLowerCase() === "c" && this.release());
    addEventListener("blur", () => this.release());
  }

  get label() {
    return this.form.elements.label.value.trim();
  }

  get seconds() {
    return Number(this.form.elements.seconds.value);
  }

  begin(about) {
    $("collect").hidden = !about.collects;
    if (!about.collects) return this.show(false);
    this.labels = about.labels;
    if (recall().on) this.show(true);
    if (recall().label && !this.label) this.form.elements.label.value = recall().label;
    this.changed();
  }

  show(on) {
    if (this.form.hidden !== !on) remember({ on, label: this.label });
    this.form.hidden = !on;
    $("collect").setAttribute("aria-pressed", String(on));
    document.body.classList.toggle("collecting", on);
    if (on) this.count();
  }

  connect(tile) {
    tile.last.addEventListener("click", () => this.keep(tile, this.seconds));
    tile.hold.addEventListener("pointerdown", (event) => {
      tile.hold.setPointerCapture(event.pointerId);
      this.hold(tile);
    });
    for (const end of ["pointerup", "pointercancel"]) tile.hold.addEventListener(end, () => this.release());
    tile.hold.addEventListener("contextmenu", (event) => event.preventDefault());
    tile.hold.addEventListener("keydown", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      if (!event.repeat) this.hold(tile);
    });
    tile.hold.addEventListener("keyup", (event) => (event.key === " " || event.key === "Enter") && this.release());
    tile.last.textContent = `Last ${this.seconds} s`;
  }

  changed() {
    for (const button of document.querySelectorAll(".collect-tile .last")) button.textContent = `Last ${this.seconds} s`;
    remember({ on: !this.form.hidden, label: this.label });
  }

  key(event) {
    if (this.form.hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.key.toLowerCase() !== "c" || event.target.matches("input, select, video")) return;
    const tile = this.focused();
    if (tile) this.hold(tile);
    else this.say("Enlarge a stream first: the key is for the large picture.", true);
  }

  hold(tile) {
    if (this.holding) return;
    if (!this.ready()) return;
    this.holding = { tile, since: performance.now() };
    tile.root.classList.add("held");
    const tick = () => {
      if (this.holding?.tile !== tile) return;
      const held = this.heldSeconds();
      tile.hold.textContent = `■ ${held.toFixed(1)} s`;
      if (held >= LONGEST_S) this.release();
      else this.ticking = setTimeout(tick, 100);
    };
    tick();
  }

  heldSeconds() {
    return Math.min((performance.now() - this.holding.since) / 1000 + REACTION_S, LONGEST_S);
  }

  release() {
    if (!this.holding) return;
    const { tile } = this.holding;
    const seconds = Math.max(this.heldSeconds(), SHORTEST_S);
    this.holding = null;
    clearTimeout(this.ticking);
    tile.root.classList.remove("held");
    tile.hold.textContent = "● Hold";
    this.keep(tile, seconds);
  }

  ready() {
    if (this.label) return true;
    this.say("Name the action first.", true);
    this.form.elements.label.focus();
    return false;
  }

  async keep(tile, seconds) {
    if (!this.ready()) return;
    const { label } = this;
    remember({ on: true, label });
    tile.root.classList.add("saving");
    try {
      const view = tile.chosenView;
      await keepSeconds(tile.name, { label, seconds: Math.round(100 * seconds) / 100, ...(view && { view }) });
      this.say(`Kept ${seconds.toFixed(1)} s of ${label}. `);
      await this.count(`Kept ${seconds.toFixed(1)} s of ${label}. `);
    } catch (error) {
      this.say(error.message, true);
    }
    tile.root.classList.remove("saving");
  }

  // What there is by now, and the labels that were used before.
  async count(before = "") {
    try {
      const found = await clips("limit=1");
      const counts = found.actions.map((action) => `${action.label} ${action.clips}`).join(", ");
      this.say(`${before}${counts ? `There is: ${counts}.` : "No clips yet."}`);
      const labels = [...found.actions.map((action) => action.label), "nothing", ...(this.labels ?? [])];
      $("collect-labels").replaceChildren(...[...new Set(labels)].map((label) => new Option(label, label)));
    } catch (error) {
      this.say(error.message, true);
    }
  }

  say(words, wrong = false) {
    $("collect-said").textContent = words;
    $("collect-said").classList.toggle("wrong", wrong);
  }
}

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // no storage: private windows
  }
}

function remember(what) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(what));
  } catch {
    // then it lasts as long as the page
  }
}

// One stream: its picture, its label with the best five, and how it is.
import { count, duration, hue, onPicture, percent, verdict } from "./words.js";

const BARS = 5;
const VEILS = {
  connecting: "Connecting …",
  stalled: "No new picture",
  waiting: "Lost. Trying again …",
  failed: "Failed",
  ended: "Ended",
  paused: "Paused",
};
const template = document.getElementById("tile");

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export class Tile {
  constructor(number, name, shortName, onPress) {
    this.number = number;
    this.name = name;
    this.level = "off";
    this.words = "";
    this.views = new Map(); // the newest prediction of each view
    this.root = template.content.cloneNode(true).firstElementChild;
    this.root.dataset.stream = name;
    const find = (selector) => this.root.querySelector(selector);
    this.button = find(".picture");
    this.canvas = find("canvas");
    this.word = find(".word");
    this.score = find(".score");
    this.going = find(".going");
    this.state = find(".state");
    this.veil = find(".veil");
    this.facts = ["fps", "dropped", "reconnects", "age"].map((fact) => find(`.${fact} dd`));
    find(".name").textContent = shortName;
    find(".name").title = name;
    this.hold = find(".hold");
    this.last = find(".last");
    this.view = find(".collect-tile .view");
    this.bars = this.makeBars(find(".bars"));
    this.button.addEventListener("click", () => onPress(this));
    this.press(false);
  }

  makeBars(list) {
    return Array.from({ length: BARS }, () => {
      const row = document.createElement("li");
      for (const part of ["what", "bar", "much"]) {
        const span = document.createElement("span");
        span.className = part;
        row.append(span);
      }
      row.children[1].setAttribute("aria-hidden", "true");
      row.hidden = true;
      list.append(row);
      return row;
    });
  }

  press(pressed) {
    this.root.classList.toggle("focused", pressed);
    this.button.setAttribute("aria-pressed", String(pressed));
    this.button.setAttribute("aria-label", `${this.name}: ${pressed ? "back to all" : "enlarge"}`);
  }

  // Of several views the tile words the one that is surest; the picture has the boxes of all.
  predict(prediction, every_s = 0.5) {
    this.views.set(prediction.view ?? "", prediction);
    const since_s = prediction.time_s - Math.max(3 * every_s, 2);
    for (const [view, one] of this.views) {
      if (one.time_s < since_s || one.time_s > prediction.time_s + 60) this.views.delete(view);
    }
    this.offerViews();
    const known = [...this.views.values()];
    this.word_it(known.reduce((best, one) => (one.score > best.score ? one : best)));
  }

  // Where several views have boxes, a clip may be cut by one of them.
  offerViews() {
    const names = [...this.views].filter(([view, one]) => view && one.box).map(([view]) => view);
    this.view.hidden = names.length < 2;
    if (this.view.hidden || names.join("\n") === [...this.view.options].slice(1).map((o) => o.value).join("\n")) return;
    const chosen = this.view.value;
    this.view.replaceChildren(new Option("whole picture", ""), ...names.map((name) => new Option(name, name)));
    this.view.value = names.includes(chosen) ? chosen : "";
  }

  // The view to cut by; undefined leaves it to the server.
  get chosenView() {
    return this.view.hidden ? undefined : this.view.value || "whole";
  }

  word_it(prediction) {
    set(this.word, prediction.label);
    set(this.score, percent(prediction.score) + (prediction.known === false ? " · unknown" : ""));
    this.word.className = `word ${hue(prediction.label)}`;
    this.root.classList.toggle("guess", prediction.memory_fill < 1);
    this.bars.forEach((row, place) => {
      const [label, score] = prediction.top[place] ?? [];
      row.hidden = label === undefined;
      if (row.hidden) return;
      set(row.children[0], label);
      row.children[1].className = `bar ${hue(label)}`;
      row.children[1].style.setProperty("--score", score);
      set(row.children[2], percent(score));
    });
  }

  // The event that lasts, or null.
  mark(event) {
    this.root.classList.toggle("active", event !== null);
    this.going.hidden = event === null;
    if (event) set(this.going, `event: ${event.label}`);
  }

  // Gives whether it is now in another kind of trouble than before.
  diagnose(health, every_s) {
    const [level, words] = verdict(health, every_s);
    const changed = words !== this.words;
    this.level = level;
    this.words = words;
    this.root.dataset.level = level;
    this.root.dataset.state = health.state;
    this.isGone = health.state === "removed";
    set(this.state, words);
    set(this.veil, VEILS[health.state] ?? "");
    const age = health.state === "live" ? health.label_age_s : null;
    const facts = [
      health.fps === null || health.state !== "live" ? "–" : health.fps.toFixed(health.fps < 9.95 ? 1 : 0),
      count(health.dropped),
      count(health.reconnects),
      age === null ? "–" : duration(age),
    ];
    this.facts.forEach((fact, place) => set(fact, facts[place]));
    return changed;
  }

  // Only the newest is drawn: one that comes while another is decoded takes its turn.
  async show(blob) {
    this.next = blob;
    if (this.drawing) return;
    this.drawing = true;
    while (this.next) {
      const jpeg = this.next;
      this.next = null;
      try {
        this.draw(await createImageBitmap(jpeg));
      } catch {
        // a picture that cannot be drawn is followed by another
      }
    }
    this.drawing = false;
  }

  draw(picture) {
    if (this.canvas.width !== picture.width || this.canvas.height !== picture.height) {
      this.canvas.width = picture.width;
      this.canvas.height = picture.height;
    }
    const context = this.canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    picture.close();
    for (const prediction of this.views.values()) {
      if (prediction.box) frame(context, this.canvas, prediction);
    }
    this.root.classList.add("seen");
  }
}

// The box of a view, with its label, on a picture.
function frame(context, { width, height }, { box, label, score }) {
  const [x, y, wide, high] = [box[0] * width, box[1] * height, box[2] * width, box[3] * height];
  const line = Math.max(2, width / 200);
  const text = `${label} ${percent(score)}`;
  context.lineWidth = line;
  context.strokeStyle = onPicture(label);
  context.strokeRect(x + line / 2, y + line / 2, Math.max(wide - line, 1), Math.max(high - line, 1));
  context.font = `600 ${Math.max(12, width / 30)}px system-ui, sans-serif`;
  const size = Math.max(12, width / 30) * 1.4;
  const room = Math.min(context.measureText(text).width + 0.6 * size, width);
  const left = Math.min(x, width - room);
  const top = y >= size ? y - size : y;
  context.fillStyle = onPicture(label);
  context.fillRect(left, top, room, size);
  context.fillStyle = "#0b0e0d";
  context.textBaseline = "middle";
  context.fillText(text, left + 0.3 * size, top + size / 2);
}

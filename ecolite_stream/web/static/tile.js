// One stream: its picture, its label with the best five, and how it is.
import { count, duration, hue, percent, verdict } from "./words.js";

const BARS = 5;
const VEILS = {
  connecting: "Connecting …",
  stalled: "No new picture",
  waiting: "Lost. Trying again …",
  failed: "Failed",
  ended: "Ended",
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

  predict(prediction) {
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
    this.canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
    this.root.classList.add("seen");
  }
}

// The timeline: a row of 24 hours for each day that is loaded, with a bar for each event.
import { dayOf, midnight } from "./filters.js";
import { shade } from "./words.js";

const SHOWN = 62;
const BAR_PX = 3;

export class Days {
  // on: {open(event), choose(day)}
  constructor(list, on) {
    this.list = list;
    this.on = on;
    this.clear();
    new ResizeObserver(() => this.redraw()).observe(list);
  }

  clear() {
    this.rows = new Map();
    this.list.replaceChildren();
  }

  add(events) {
    const changed = new Set();
    for (const event of events) {
      const day = dayOf(new Date(event.started_at));
      const row = this.rows.get(day) ?? this.makeRow(day);
      if (!row) continue;
      row.events.push(event);
      changed.add(row);
    }
    for (const row of changed) this.draw(row);
  }

  makeRow(day) {
    if (this.rows.size >= SHOWN) return null;
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = midnight(day, 0).toLocaleDateString(undefined, {
      weekday: "short", day: "numeric", month: "short",
    });
    button.addEventListener("click", () => this.on.choose(day));
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true");
    item.append(button, canvas);
    this.list.append(item);
    const row = { day, button, canvas, events: [], from: midnight(day, 0), to: midnight(day, 1) };
    canvas.addEventListener("click", (click) => this.pick(row, click));
    this.rows.set(day, row);
    return row;
  }

  share(row, iso) {
    return Math.min(1, Math.max(0, (new Date(iso) - row.from) / (row.to - row.from)));
  }

  draw(row) {
    const { canvas } = row;
    const width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
    const height = Math.round(16 * devicePixelRatio);
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    for (const event of row.events) {
      const left = this.share(row, event.started_at) * width;
      const right = this.share(row, event.ended_at ?? event.started_at) * width;
      context.fillStyle = shade(event.label, canvas);
      context.fillRect(left, 1, Math.max(right - left, BAR_PX), height - 2);
    }
    row.button.setAttribute("aria-label", `${row.button.textContent}: ${row.events.length} events`);
  }

  redraw() {
    for (const row of this.rows.values()) this.draw(row);
  }

  pick(row, click) {
    const share = click.offsetX / row.canvas.clientWidth;
    let best = null;
    for (const event of row.events) {
      const away = Math.abs(this.share(row, event.started_at) - share);
      if (!best || away < best.away) best = { away, event };
    }
    if (best && best.away < 0.02) this.on.open(best.event);
  }
}

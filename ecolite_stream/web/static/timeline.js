// Events: a lane of coloured bars for each stream, and a list with the newest first.
import { clock, duration, hue, percent, when } from "./words.js";

const LISTED = 60;

export class Timeline {
  constructor(playClip) {
    this.playClip = playClip;
    this.lanes = document.getElementById("lanes");
    this.list = document.getElementById("events");
    this.since = document.getElementById("since");
    this.none = document.getElementById("no-events");
    this.span = document.getElementById("span");
    this.span.addEventListener("change", () => this.draw());
    this.only = null;
    this.reset([]);
  }

  reset(streams) {
    this.streams = streams;
    this.events = new Map();
    this.now_unix_s = Date.now() / 1000;
    this.list.replaceChildren();
    this.rows = new Map();
    this.lanes.replaceChildren(...streams.map((name) => this.makeLane(name)));
    this.draw();
  }

  makeLane(name) {
    const lane = document.createElement("div");
    const words = document.createElement("span");
    words.textContent = name;
    const track = document.createElement("div");
    track.className = "track";
    lane.append(words, track);
    return lane;
  }

  // The event that lasts in a stream, if any.
  lasting(stream) {
    for (const event of this.events.values()) {
      if (event.stream === stream && event.kind !== "end") return event;
    }
    return null;
  }

  take(events, now_unix_s) {
    for (const event of events) {
      this.events.set(event.event, event);
      this.list_one(event);
    }
    while (this.events.size > 1000) this.events.delete(this.events.keys().next().value);
    while (this.list.children.length > LISTED) {
      this.rows.delete(this.list.lastElementChild.dataset.event);
      this.list.lastElementChild.remove();
    }
    this.draw(now_unix_s);
  }

  show(stream) {
    this.only = stream;
    this.draw();
  }

  list_one(event) {
    let row = this.rows.get(event.event);
    if (!row) {
      row = document.createElement("li");
      row.dataset.event = event.event;
      row.dataset.stream = event.stream;
      this.rows.set(event.event, row);
      this.list.prepend(row);
    }
    const lasts = event.kind !== "end";
    row.classList.toggle("lasts", lasts);
    const took = lasts ? "goes on" : duration(event.end_s - event.start_s);
    row.replaceChildren(
      piece("time", "when", when(event)),
      piece("b", `what ${hue(event.label)}`, event.label),
      piece("span", "who", this.streams[event.stream]),
      piece("span", "took", took),
      piece("span", "peak", `peak ${percent(event.peak_score)}`),
      event.clip ? this.clipButton(event) : piece("span", "no-clip", ""),
    );
  }

  clipButton(event) {
    const button = piece("button", "plain", "▶ Clip");
    button.type = "button";
    button.setAttribute("aria-label", `Play the clip of ${event.label}, ${this.streams[event.stream]}`);
    const title = `${event.label}, ${this.streams[event.stream]}, ${when(event)}`;
    button.addEventListener("click", () => this.playClip(event.clip, title));
    return button;
  }

  draw(now_unix_s = this.now_unix_s) {
    this.now_unix_s = now_unix_s;
    const span_s = Number(this.span.value);
    this.since.textContent = clock(now_unix_s - span_s);
    const bars = this.streams.map(() => []);
    for (const event of this.events.values()) {
      const end_s = event.ended_unix_s ?? now_unix_s;
      const left = 1 - (now_unix_s - event.began_unix_s) / span_s;
      const right = 1 - (now_unix_s - end_s) / span_s;
      if (right > 0) bars[event.stream]?.push(this.bar(event, Math.max(left, 0), Math.min(right, 1)));
    }
    [...this.lanes.children].forEach((lane, stream) => {
      lane.hidden = this.only !== null && this.only !== stream;
      lane.lastElementChild.replaceChildren(...bars[stream]);
    });
    let shown = 0;
    for (const row of this.list.children) {
      row.hidden = this.only !== null && this.only !== Number(row.dataset.stream);
      shown += !row.hidden;
    }
    this.none.hidden = shown > 0;
  }

  bar(event, left, right) {
    const bar = document.createElement("i");
    bar.className = hue(event.label);
    bar.classList.toggle("lasts", event.kind !== "end");
    bar.style.left = `${100 * left}%`;
    bar.style.width = `${100 * (right - left)}%`;
    bar.title = `${event.label}, ${when(event)}`;
    return bar;
  }
}

function piece(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

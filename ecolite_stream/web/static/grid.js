// Events as a grid of pictures. It is made of chunks; those that are far away are empty boxes of the
// same height, so that a hundred thousand events are no more work than a hundred.
import { pictureUrl } from "./store.js";
import { hue, percent } from "./words.js";

const template = document.getElementById("card");

export class Grid {
  // on: {open(event)}
  constructor(root, on) {
    this.root = root;
    this.on = on;
    this.observer = new IntersectionObserver((entries) => this.turn(entries), {
      rootMargin: "1200px",
    });
    root.addEventListener("keydown", (event) => this.key(event));
    root.addEventListener("focusin", (event) => this.roam(event.target.closest(".card")));
    new ResizeObserver(() => this.resized()).observe(root);
    this.clear();
  }

  clear() {
    this.observer.disconnect();
    this.events = [];
    this.chunks = [];
    this.places = new Map();
    this.current = 0;
    this.root.replaceChildren();
  }

  add(events) {
    const chunk = { first: this.events.length, events, root: document.createElement("div"), full: false };
    chunk.root.className = "chunk";
    chunk.root.dataset.number = this.chunks.length;
    events.forEach((event, place) => this.places.set(event.id, chunk.first + place));
    this.events.push(...events);
    this.chunks.push(chunk);
    this.root.append(chunk.root);
    this.fill(chunk);
    this.observer.observe(chunk.root);
  }

  // Bring an event up to date.
  change(event) {
    const place = this.places.get(event.id);
    if (place === undefined) return;
    this.events[place] = event;
    const chunk = this.chunkOf(place);
    chunk.events[place - chunk.first] = event;
    if (chunk.full) dress(chunk.root.children[place - chunk.first], event);
  }

  neighbour(event, by) {
    const place = this.places.get(event.id);
    return place === undefined ? undefined : this.events[place + by];
  }

  turn(entries) {
    for (const { target, isIntersecting } of entries) {
      const chunk = this.chunks[target.dataset.number];
      if (chunk?.root !== target) continue;
      if (isIntersecting) this.fill(chunk);
      else this.empty(chunk);
    }
  }

  fill(chunk) {
    if (chunk.full) return;
    chunk.full = true;
    chunk.root.style.height = "";
    chunk.root.append(...chunk.events.map((event, place) => this.makeCard(event, chunk.first + place)));
  }

  empty(chunk) {
    if (!chunk.full || chunk.root.contains(document.activeElement)) return;
    chunk.root.style.height = `${chunk.root.offsetHeight}px`;
    chunk.full = false;
    chunk.root.replaceChildren();
  }

  // Boxes of chunks that are empty get the height that full ones of as many events have now.
  resized() {
    const width = this.root.clientWidth;
    if (width === this.width) return;
    this.width = width;
    const full = this.chunks.find((chunk) => chunk.full && chunk.root.firstElementChild);
    if (!full) return;
    const columns = getComputedStyle(full.root).gridTemplateColumns.split(" ").length;
    const gap = parseFloat(getComputedStyle(full.root).rowGap) || 0;
    const card = full.root.firstElementChild.offsetHeight + gap;
    for (const chunk of this.chunks) {
      if (!chunk.full) chunk.root.style.height = `${Math.ceil(chunk.events.length / columns) * card - gap}px`;
    }
  }

  makeCard(event, place) {
    const card = template.content.cloneNode(true).firstElementChild;
    card.dataset.id = event.id;
    card.tabIndex = place === this.current ? 0 : -1;
    const picture = card.querySelector("img");
    picture.addEventListener("error", () => picture.classList.add("none"), { once: true });
    picture.src = pictureUrl(event);
    card.addEventListener("click", () => this.on.open(this.events[this.places.get(event.id)]));
    dress(card, event);
    return card;
  }

  chunkOf(place) {
    return this.chunks.findLast((chunk) => chunk.first <= place);
  }

  cardAt(place) {
    const chunk = this.chunkOf(place);
    this.fill(chunk);
    return chunk.root.children[place - chunk.first];
  }

  focus(event) {
    const place = this.places.get(event.id);
    if (place !== undefined) this.cardAt(place).focus({ preventScroll: false });
  }

  roam(card) {
    const place = card && this.places.get(card.dataset.id);
    if (place === undefined || place === null) return;
    const before = this.root.querySelector('.card[tabindex="0"]');
    if (before) before.tabIndex = -1;
    card.tabIndex = 0;
    this.current = place;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const chunk = event.target.closest(".chunk");
    if (!chunk) return;
    const columns = getComputedStyle(chunk).gridTemplateColumns.split(" ").length;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const place = Math.min(this.events.length - 1, Math.max(0, this.current + by));
    this.cardAt(place).focus();
  }
}

function dress(card, event) {
  const find = (selector) => card.querySelector(selector);
  const started = new Date(event.started_at);
  find(".what").textContent = event.label;
  find(".what").className = `what ${hue(event.label)}`;
  find(".score").textContent = percent(event.peak_score);
  find(".who").textContent = event.view ? `${event.stream}, ${event.view}` : event.stream;
  find(".when").textContent = event.live
    ? started.toLocaleString(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" })
    : "recording";
  find(".when").title = started.toLocaleString();
  const marks = [];
  if (event.review === "right") marks.push("✓");
  if (event.review === "wrong") marks.push("✗");
  if (event.review === "label") marks.push(`✎ ${event.review_label}`);
  if (event.keep) marks.push("★");
  if (event.state === "open") marks.push("goes on");
  find(".marks").replaceChildren(
    ...marks.map((words) => {
      const mark = document.createElement("i");
      mark.textContent = words;
      return mark;
    }),
  );
  card.setAttribute(
    "aria-label",
    `${event.label}, ${percent(event.peak_score)}, ${event.stream}, ${started.toLocaleString()} ${marks.join(" ")}`,
  );
}

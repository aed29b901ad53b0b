// Collected clips as a grid: each can be watched, moved to another action, or dropped.
import { clips, collectedUrl, dropClip, moveClip } from "./store.js";
import { hue } from "./words.js";

const $ = (id) => document.getElementById(id);
const PER_PAGE = 60;
const SURE_MS = 4000;

export class ClipGrid {
  // changed: called when a clip has moved or gone
  constructor(changed) {
    this.changed = changed;
    this.doubles = new Map();
    this.shown = 0;
    $("more").addEventListener("click", () => this.more());
  }

  async restart(doubles) {
    if (doubles) this.doubles = new Map(doubles.map((one) => [one.clip, one.other]));
    this.shown = 0;
    await this.more();
  }

  async more() {
    const query = new URLSearchParams({ limit: PER_PAGE, offset: this.shown });
    if ($("filter").value) query.set("label", $("filter").value);
    const found = await clips(query);
    const made = found.clips.map((clip) => this.card(clip));
    if (this.shown) $("clips").append(...made);
    else $("clips").replaceChildren(...made);
    this.shown += made.length;
    $("more").hidden = this.shown >= found.total;
  }

  card(clip) {
    const card = makeCard(clip.clip, clip.label);
    const find = (selector) => card.querySelector(selector);
    find(".who").textContent = clip.view ? `${clip.stream}, ${clip.view}` : clip.stream;
    find(".who").title = clip.source;
    find(".when").textContent = clip.start.includes("T")
      ? new Date(clip.start).toLocaleString(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" })
      : clip.start && `at ${clip.start} s`;
    const other = this.doubles.get(clip.clip);
    find(".double").hidden = other === undefined;
    find(".double").textContent = `the same as ${other}`;
    find(".to").setAttribute("aria-label", `Move ${clip.clip} to another action`);
    find(".to").addEventListener("change", () => this.do(() => moveClip(clip.clip, find(".to").value.trim())));
    find(".drop").setAttribute("aria-label", `Drop ${clip.clip}`);
    find(".drop").addEventListener("click", () => this.drop(find(".drop"), clip.clip));
    return card;
  }

  // A clip is deleted at the second press: it does not come back.
  drop(button, clip) {
    if (button.classList.contains("sure")) {
      this.do(() => dropClip(clip));
      return;
    }
    button.classList.add("sure");
    button.textContent = "Delete?";
    setTimeout(() => {
      button.classList.remove("sure");
      button.textContent = "Drop";
    }, SURE_MS);
  }

  async do(change) {
    $("clips-said").textContent = "";
    try {
      await change();
    } catch (error) {
      $("clips-said").textContent = error.message;
      return;
    }
    await this.changed();
  }
}

// The card of a clip, which plays while it is pointed at or has the focus.
export function makeCard(name, label) {
  const card = $("clip").content.cloneNode(true).firstElementChild;
  const video = card.querySelector("video");
  card.dataset.clip = name;
  card.querySelector(".what").textContent = label;
  card.querySelector(".what").className = `what ${hue(label)}`;
  video.setAttribute("aria-label", `Clip ${name}`);
  near.observe(video);
  const play = () => video.play().catch(() => {}); // it may be gone by now
  for (const begin of ["pointerenter", "focus", "click"]) video.addEventListener(begin, play);
  for (const end of ["pointerleave", "blur"]) video.addEventListener(end, () => video.pause());
  return card;
}

// Only clips that are near are loaded.
const near = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting || target.src) continue;
      target.src = collectedUrl(target.closest(".clip").dataset.clip);
      near.unobserve(target);
    }
  },
  { rootMargin: "300px" },
);

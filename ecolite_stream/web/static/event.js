// One event: its picture and clip, what people say of it, and the way to its neighbours.
import { clipUrl, keep, pictureUrl, review } from "./store.js";
import { duration, hue, percent } from "./words.js";

const $ = (id) => document.getElementById(`event${id && `-${id}`}`);

export class EventDialog {
  // on: {changed(event), step(event, by), closed(event)}
  constructor(on) {
    this.on = on;
    this.dialog = $("");
    this.event = null;
    $("close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.closed());
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    for (const button of this.dialog.querySelectorAll("[data-verdict]")) {
      button.addEventListener("click", () => this.judge(button.dataset.verdict));
    }
    $("label").addEventListener("change", () => this.judge("label", $("label").value));
    $("keep").addEventListener("click", () => this.keep());
    $("newer").addEventListener("click", () => this.on.step(this.event, -1));
    $("older").addEventListener("click", () => this.on.step(this.event, 1));
    $("picture").addEventListener("load", () => this.frame());
    $("picture").addEventListener("error", () => {
      $("picture").hidden = true;
      $("none").hidden = !$("video").hidden;
    });
    $("video").addEventListener("loadeddata", () => {
      $("video").hidden = false;
      for (const other of ["picture", "box", "none"]) $(other).hidden = true;
    });
    new ResizeObserver(() => this.frame()).observe($("picture"));
  }

  setLabels(labels) {
    $("label").replaceChildren(new Option("…", ""), ...labels.map((label) => new Option(label, label)));
  }

  get isOpen() {
    return this.dialog.open;
  }

  show(event) {
    this.event = event;
    $("problem").textContent = "";
    $("picture").hidden = false;
    $("none").hidden = $("box").hidden = $("video").hidden = true;
    $("picture").src = pictureUrl(event);
    if (event.clip && event.state !== "open") $("video").src = clipUrl(event);
    else $("video").removeAttribute("src");
    this.dress();
    if (!this.dialog.open) this.dialog.showModal();
  }

  dress() {
    const { event } = this;
    $("title").textContent = `${event.label}, ${event.stream}`;
    $("title").className = hue(event.label);
    const facts = [
      event.live ? new Date(event.started_at).toLocaleString() : `recording, at ${event.start_s.toFixed(1)} s`,
      event.duration_s === null ? "goes on" : duration(event.duration_s),
      `best ${percent(event.peak_score)}, mean ${percent(event.mean_score)}`,
      event.view && `view ${event.view}`,
      event.machine && `on ${event.machine}`,
      { lost: "ended with its camera", interrupted: "ended with its run" }[event.state],
      event.note && `“${event.note}”`,
    ];
    $("facts").textContent = facts.filter(Boolean).join(" · ");
    for (const button of this.dialog.querySelectorAll("[data-verdict]")) {
      button.setAttribute("aria-pressed", String(event.review === button.dataset.verdict));
    }
    const label = event.review === "label" ? event.review_label : "";
    if (label && ![...$("label").options].some((option) => option.value === label)) {
      $("label").add(new Option(label, label));
    }
    $("label").value = label;
    $("keep").setAttribute("aria-pressed", String(event.keep));
    $("keep").textContent = event.keep ? "★ Kept" : "☆ Keep";
  }

  // Draw the box of the view over the picture, wherever that lies on the stage.
  frame() {
    const { box } = this.event ?? {};
    const picture = $("picture");
    if (!box || picture.hidden || !picture.naturalWidth) return;
    const [x, y, width, height] = box;
    const scale = Math.min(picture.offsetWidth / picture.naturalWidth, picture.offsetHeight / picture.naturalHeight);
    const [wide, high] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
    const style = $("box").style;
    style.left = `${picture.offsetLeft + (picture.offsetWidth - wide) / 2 + x * wide}px`;
    style.top = `${picture.offsetTop + (picture.offsetHeight - high) / 2 + y * high}px`;
    style.width = `${width * wide}px`;
    style.height = `${height * high}px`;
    $("box").hidden = false;
  }

  // The same verdict again takes it back.
  async judge(verdict, label) {
    const { event } = this;
    const again = verdict === "label" ? !label : event.review === verdict;
    await this.change(() => (again ? review(event.id, "none") : review(event.id, verdict, label)));
  }

  async keep() {
    const { event } = this;
    await this.change(() => keep(event.id, !event.keep));
  }

  async change(ask) {
    const { event } = this;
    $("problem").textContent = "";
    try {
      const changed = await ask();
      this.on.changed(changed);
      if (this.event?.id === event.id) this.event = changed;
    } catch (error) {
      $("problem").textContent = error.message;
    }
    if (this.event) this.dress();
  }

  key(press) {
    if (press.ctrlKey || press.metaKey || press.altKey || press.target.matches("select, video")) return;
    const done = {
      r: () => this.judge("right"),
      w: () => this.judge("wrong"),
      k: () => this.keep(),
      l: () => $("label").focus(),
      ArrowLeft: () => this.on.step(this.event, -1),
      ArrowRight: () => this.on.step(this.event, 1),
    }[press.key.length === 1 ? press.key.toLowerCase() : press.key];
    if (!done) return;
    press.preventDefault();
    done();
  }

  closed() {
    $("video").removeAttribute("src");
    $("video").load();
    const { event } = this;
    this.event = null;
    if (event) this.on.closed(event);
  }
}

// The page: what the server says goes to the tiles and the timeline.
import { Collect } from "./collect.js";
import { Connection } from "./connection.js";
import { Sinks } from "./sinks.js";
import { themeSwitch } from "./theme.js";
import { Tile } from "./tile.js";
import { Timeline } from "./timeline.js";
import { setLabels, shortNames } from "./words.js";

const $ = (id) => document.getElementById(id);
const streams = $("streams");
const dialog = $("clip");
let about = null;
let tiles = [];
let focused = null;
let filter = "all";

const inView = new Set();
const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const number = Number(target.dataset.number);
      if (isIntersecting) inView.add(number);
      else inView.delete(number);
    }
    want();
  },
  { rootMargin: "100px" },
);

// Pictures are made for those that are looked at only.
function want() {
  const watch = document.hidden ? [] : [...inView].filter((number) => number < tiles.length);
  connection.want(watch, document.hidden ? null : (focused?.number ?? null));
}

function begin(message) {
  if (about && about.version !== message.version) location.reload(); // it was upgraded
  const same = about && JSON.stringify(about.streams) === JSON.stringify(message.streams);
  const short = shortNames(message.streams);
  setLabels(message.labels, message.idle);
  if (!same || about.run !== message.run) timeline.reset(short);
  about = message;
  collect.begin(message);
  if (!same) {
    observer.disconnect();
    inView.clear();
    tiles = message.streams.map((name, number) => new Tile(number, name, short[number], press));
    for (const tile of tiles) {
      tile.root.dataset.number = tile.number;
      observer.observe(tile.root);
    }
    for (const tile of tiles) collect.connect(tile);
    streams.replaceChildren(...tiles.map((tile) => tile.root));
    streams.dataset.count = tiles.length;
    streams.classList.toggle("dense", tiles.length > 12);
    focusFromAddress();
  }
  want();
}

function news(message) {
  for (const prediction of message.predictions ?? []) tiles[prediction.stream]?.predict(prediction, about.every_s);
  if (message.events?.length) timeline.take(message.events, message.now_unix_s);
  else if (message.health) timeline.draw(message.now_unix_s);
  for (const tile of tiles) {
    tile.mark(timeline.lasting(tile.number));
  }
  if (message.health) diagnose(message.health, message.sinks);
}

function diagnose(health, ofSinks) {
  const said = sinks.diagnose(ofSinks);
  health.forEach((one, number) => {
    const tile = tiles[number];
    const before = tile?.level;
    if (tile?.diagnose(one, about.every_s) && (tile.level === "bad" || before === "bad")) {
      said.push(`${tile.name}: ${tile.words}.`);
    }
  });
  if (said.length) $("said").textContent = said.join(" ");
  summarise();
  sift();
}

const LEVELS = [
  ["bad", "down"],
  ["warn", "in trouble"],
  ["good", "live"],
  ["off", "ended"],
];

function summarise() {
  const there = tiles.filter((tile) => !tile.isGone);
  const parts = LEVELS.map(([level, word]) => [there.filter((t) => t.level === level).length, level, word]);
  const failing = sinks.at("bad") + sinks.at("warn");
  const word = failing === 1 ? "sink in trouble" : "sinks in trouble";
  $("summary").replaceChildren(
    ...[...parts, [failing, sinks.at("bad") ? "bad" : "warn", word]]
      .filter(([number]) => number)
      .map(([number, level, word]) => {
        const span = document.createElement("span");
        span.dataset.level = level;
        span.textContent = `${number} ${word}`;
        return span;
      }),
  );
  const bad = parts[0][0] + parts[1][0] + failing;
  document.title = bad ? `(${bad}!) ecolite-stream` : "ecolite-stream";
}

function sift() {
  const matters = {
    all: () => true,
    active: (tile) => tile.root.classList.contains("active"),
    trouble: (tile) => tile.level === "bad" || tile.level === "warn",
  }[filter];
  let shown = 0;
  for (const tile of tiles) {
    tile.root.hidden = tile.isGone || (tile !== focused && !matters(tile));
    shown += !tile.root.hidden;
  }
  $("nothing").hidden = shown > 0;
  $("nothing").textContent = { all: "", active: "No event lasts.", trouble: "All is well." }[filter];
}

// The enlarged stream is in the address, so that it is still there after a reload.
function press(tile) {
  const hash = tile === focused ? "" : `#stream=${encodeURIComponent(tile.name.toWellFormed())}`;
  history.pushState(null, "", location.pathname + hash);
  focusFromAddress();
}

function focusFromAddress() {
  const name = new URLSearchParams(location.hash.slice(1)).get("stream");
  focused = tiles.find((tile) => tile.name.toWellFormed() === name) ?? null;
  for (const tile of tiles) tile.press(tile === focused);
  streams.classList.toggle("enlarged", focused !== null);
  timeline.show(focused?.number ?? null);
  if (focused) focused.root.scrollIntoView({ block: "nearest" });
  sift();
  want();
}

function step(by) {
  const next = tiles[(focused.number + by + tiles.length) % tiles.length];
  press(next);
  next.button.focus();
}

document.addEventListener("keydown", (event) => {
  if (!focused || dialog.open || event.target.matches("select, input, video")) return;
  if (event.key === "Escape") press(focused);
  else if (event.key === "ArrowRight") step(1);
  else if (event.key === "ArrowLeft") step(-1);
});

const SAID = {
  lost: "The connection was lost. Connecting again …",
  down: "The server does not answer. What you see is old; trying again …",
  ended: "The run has ended. What you see is its last moment; waiting for the next …",
  refused: "The server lets no more pages in; trying again …",
  locked: "The server wants its token again. ",
};

function connectionState(state, detail) {
  const line = $("connection");
  document.body.classList.toggle("cut-off", state !== "open");
  line.hidden = state === "open";
  if (state === "open") return;
  line.dataset.state = state;
  line.textContent = SAID[state] + (detail ? ` (${detail})` : "");
  if (state === "locked") {
    const link = document.createElement("a");
    link.href = "/";
    link.textContent = "Log in";
    line.append(link);
  }
}

function playClip(name, title) {
  $("clip-title").textContent = title;
  $("clip-gone").hidden = true;
  $("clip-video").src = `/clips/${encodeURIComponent(name)}`;
  dialog.showModal();
}

$("clip-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => $("clip-video").removeAttribute("src"));
$("clip-video").addEventListener("error", () => {
  if (dialog.open) $("clip-gone").hidden = false;
});
$("filter").addEventListener("change", (event) => {
  filter = event.target.value;
  sift();
});
addEventListener("popstate", focusFromAddress);
document.addEventListener("visibilitychange", want);

themeSwitch($("theme"));
const timeline = new Timeline(playClip);
const sinks = new Sinks();
const collect = new Collect(() => focused ?? (tiles.length === 1 ? tiles[0] : null));
const connection = new Connection({
  about: begin,
  news,
  picture: (number, blob) => tiles[number]?.show(blob),
  state: connectionState,
});

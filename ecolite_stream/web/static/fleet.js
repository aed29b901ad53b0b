// Fleet: every machine, and every camera with the machine that watches it.
import * as store from "./store.js";
import { themeSwitch } from "./theme.js";
import { duration, hue, percent, setLabels } from "./words.js";

const $ = (id) => document.getElementById(id);
const EVERY_MS = 2000;
let shown = null;

const MACHINES = { up: ["good", "up"], lost: ["bad", "lost"], left: ["off", "stopped"], "never seen": ["off", "never seen"] };
const STREAMS = {
  live: ["good", "live"],
  waiting: ["bad", "lost"],
  failed: ["bad", "failed"],
  "": ["warn", "no report yet"],
};

const many = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`;

function machineVerdict(machine) {
  const [level, words] = MACHINES[machine.state] ?? ["warn", machine.state];
  return level === "good" && machine.share < 1 ? ["warn", "up, too little room"] : [level, words];
}

function cameraVerdict(camera) {
  if (camera.machine === null) return ["bad", "not watched"];
  return STREAMS[camera.state] ?? ["warn", camera.state];
}

function span(text, className, tag = "span") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

// The same rows stay in the page, so that what has the focus keeps it.
function rows(list, template, items, nameOf, fill) {
  const before = new Map([...list.children].map((row) => [row.dataset.name, row]));
  items.forEach((item, place) => {
    const name = nameOf(item);
    const row = before.get(name) ?? template.content.firstElementChild.cloneNode(true);
    before.delete(name);
    row.dataset.name = name;
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
    const facts = JSON.stringify(item);
    if (row.dataset.facts === facts) return;
    row.dataset.facts = facts;
    fill(row, item, (selector) => row.querySelector(selector));
  });
  for (const row of before.values()) row.remove();
}

function fillMachine(row, machine, find) {
  const [level, words] = machineVerdict(machine);
  row.dataset.level = level;
  find(".name").textContent = machine.machine;
  find(".state").textContent = words;
  const about = [
    machine.site && `site ${machine.site}`,
    machine.supervisor && "supervisor",
    machine.isHere && "serves this page",
    machine.state === "lost" && `last heard ${duration(machine.renewal_age_s)} ago`,
  ];
  find(".about").textContent = about.filter(Boolean).join(" · ");
  const bar = find(".bar");
  bar.style.setProperty("--full", Math.min(1, machine.load / machine.capacity));
  bar.toggleAttribute("data-over", machine.load > machine.capacity);
  find(".much").textContent = `load ${machine.load} of ${machine.capacity}`;
  find(".cameras dd").textContent = machine.cameras === machine.assigned ? machine.cameras : `${machine.cameras} of ${machine.assigned}`;
  find(".rate dd").textContent = machine.state === "up" ? percent(machine.share) : "–";
  find(".lease dd").textContent = machine.lease_age_s === null ? "–" : duration(machine.lease_age_s);
  find(".bundle dd").textContent = machine.bundle?.slice(0, 12) ?? "–";
  const turn = machine.turn;
  find(".rollout").hidden = !turn || turn.state === "done";
  if (turn) find(".rollout").textContent = `Bundle ${turn.digest.slice(0, 12)}: ${turn.state}${turn.message && `, ${turn.message}`}`;
}

function fillCamera(row, camera, find) {
  const [level, words] = cameraVerdict(camera);
  row.dataset.level = level;
  find(".name").textContent = camera.stream;
  find(".name").href = `/history?stream=${encodeURIComponent(camera.stream)}`;
  find(".name").title = `Events of ${camera.stream}`;
  find(".where").textContent = camera.machine ?? (camera.assigned ? `goes to ${camera.assigned}` : "no machine");
  find(".state").textContent = words;
  const labels = camera.newest.map(({ view, label, score }) => {
    const part = span("", "one");
    if (view) part.append(span(`${view} `, "view", "i"));
    part.append(span(label, hue(label), "b"), span(` ${percent(score)}`, "score", "i"));
    return part;
  });
  row.classList.toggle("unwatched", camera.machine === null);
  row.classList.toggle("labelled", labels.length > 0);
  find(".labels").replaceChildren(...labels);
  const at = camera.newest.map((one) => one.at).filter(Boolean).sort().at(-1);
  find(".at").textContent = at ? new Date(at).toLocaleTimeString() : "";
  find(".rate").textContent = camera.machine === null ? "" : percent(camera.share);
}

function summarize(found) {
  const up = found.machines.filter((one) => one.state === "up").length;
  const parts = [[up === found.machines.length ? "good" : "warn", `${up} of ${many(found.machines.length, "machine")} up`]];
  const unwatched = found.not_watched.length;
  const trouble = found.cameras.filter((one) => one.machine !== null && cameraVerdict(one)[0] !== "good").length;
  parts.push(["good", `${many(found.cameras.length - unwatched, "camera")} watched`]);
  if (trouble) parts.push(["warn", `${trouble} in trouble`]);
  if (unwatched) parts.push(["bad", `${unwatched} not watched`]);
  const spans = parts.map(([level, words]) => {
    const element = span(words, "");
    element.dataset.level = level;
    return element;
  });
  const words = parts.join();
  if ($("summary").dataset.words === words) return; // a screen reader reads it only when it changes
  $("summary").dataset.words = words;
  $("summary").replaceChildren(...spans);
}

function draw(found) {
  shown = found;
  const turns = new Map(found.rollout.map((turn) => [turn.machine, turn]));
  const machines = found.machines.map((one) => ({
    ...one,
    isHere: one.machine === found.answered_by,
    turn: turns.get(one.machine),
  }));
  rows($("machines"), $("a-machine"), machines, (one) => one.machine, fillMachine);
  const known = [...$("machine").options].slice(1).map((option) => option.value);
  if (known.join("\n") !== machines.map((one) => one.machine).join("\n")) {
    const options = machines.map((one) => new Option(one.machine, one.machine));
    $("machine").replaceChildren($("machine").options[0], ...options);
  }
  drawCameras();
  summarize(found);
}

function drawCameras() {
  if (!shown) return;
  const machine = $("machine").value;
  const wantsTrouble = $("filter").querySelector(":checked").value === "trouble";
  const wanted = shown.cameras.filter(
    (one) => (!machine || one.machine === machine) && (!wantsTrouble || cameraVerdict(one)[0] !== "good"),
  );
  const unwatchedFirst = [...wanted.filter((one) => one.machine === null), ...wanted.filter((one) => one.machine !== null)];
  // How long it has been watched changes with every look, and is not displayed.
  const facts = unwatchedFirst.map((one) => ({ ...one, watched_s: null, fps: null }));
  rows($("cameras"), $("a-camera"), facts, (one) => one.stream, fillCamera);
  $("nothing").hidden = wanted.length > 0;
  $("nothing").textContent = wantsTrouble ? "No camera is in trouble." : "No cameras here.";
}

async function look() {
  try {
    draw(await store.fleet());
    $("problem").hidden = true;
    document.body.classList.remove("cut-off");
  } catch (error) {
    $("problem").hidden = false;
    $("problem").textContent = error.message;
    document.body.classList.add("cut-off");
  }
}

async function begin() {
  try {
    const { streams, labels } = await store.streams();
    setLabels(labels, streams.flatMap((stream) => stream.settings.ignore));
  } catch {
    // then labels have no colours
  }
  for (;;) {
    if (!document.hidden) await look();
    await new Promise((go) => setTimeout(go, EVERY_MS));
  }
}

themeSwitch($("theme"));
$("filter").addEventListener("change", drawCameras);
$("machine").addEventListener("change", drawCameras);
begin();

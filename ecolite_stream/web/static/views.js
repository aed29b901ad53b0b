// Views: regions and masks of a stream, drawn over its live picture and applied at once.
import { Connection } from "./connection.js";
import { Drawing } from "./drawing.js";
import * as store from "./store.js";
import { themeSwitch } from "./theme.js";
import { percent, shortNames } from "./words.js";

const $ = (id) => document.getElementById(id);
const tools = $("tools").elements;
const others = $("others").elements;
const HOW = {
  region: "Drag over the picture to draw a region. Drag a shape to move it, a corner to resize it.",
  mask: "Drag over what moves and does not matter: a clock, a tree. Motion there does not count.",
  polygon: "Click corner after corner; click the first one again, or press Enter, to close the polygon.",
};
const WAIT_MS = 250;
let stream = null; // whose views are loaded
let names = [];
let number = -1;
let timer = null;
let saving = null;

function complain(error) {
  $("problem").hidden = !error;
  $("problem").textContent = error?.message ?? "";
}

// What the lists and the picture say, as the API takes it.
function found() {
  const plain = [...others.plain].filter((box) => box.checked).map((box) => box.value);
  const regions = drawing.shapes.filter((one) => one.kind === "region").map(({ name, numbers }) => ({ region: name, box: numbers }));
  const subjects = Math.min(Math.max(Math.round(Number(others.subjects.value)) || 0, 0), 16);
  return {
    views: [...plain, ...regions, ...(subjects ? [{ subjects }] : [])],
    mask: drawing.shapes.filter((one) => one.kind === "mask").map((one) => one.numbers),
  };
}

function show({ views, mask, drawn }) {
  for (const box of others.plain) box.checked = views.includes(box.value);
  others.subjects.value = views.find((view) => view.subjects)?.subjects ?? 0;
  drawing.show([
    ...views.filter((view) => view.region).map(({ region, box }) => ({ kind: "region", name: region, numbers: box })),
    ...mask.map((numbers) => ({ kind: "mask", numbers })),
  ]);
  told(drawn);
  list();
}

function told(drawn) {
  $("reset").disabled = !drawn;
  $("status").textContent = drawn ? "Saved and applied" : "As in the configuration";
}

function list() {
  const row = (shape) => {
    const item = document.createElement("li");
    if (shape.kind === "region") {
      const field = document.createElement("input");
      Object.assign(field, { value: shape.name, maxLength: 64 });
      field.setAttribute("aria-label", `Name of the region ${shape.name}`);
      field.addEventListener("change", () => rename(shape, field));
      const now = document.createElement("span");
      now.className = "now";
      now.dataset.view = shape.name;
      item.append(field, now);
    } else {
      const words = document.createElement("span");
      words.textContent = shape.numbers.length === 4 ? "box" : `polygon of ${shape.numbers.length / 2} points`;
      item.append(words, document.createElement("span"));
    }
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "plain", textContent: "Remove" });
    button.setAttribute("aria-label", shape.kind === "region" ? `Remove the region ${shape.name}` : "Remove the mask");
    button.addEventListener("click", () => remove(shape));
    item.append(button);
    return item;
  };
  for (const kind of ["region", "mask"]) {
    $(`${kind}s`).replaceChildren(...drawing.shapes.filter((one) => one.kind === kind).map(row));
  }
  $("alone").hidden = found().views.length > 0;
}

function rename(shape, field) {
  shape.name = field.value.trim();
  drawing.draw();
  changed();
}

function remove(shape) {
  drawing.show(drawing.shapes.filter((one) => one !== shape));
  list();
  changed();
  $("shapes").focus();
}

function add(kind, numbers) {
  const shape = { kind, numbers };
  if (kind === "region") {
    const taken = new Set(drawing.shapes.map((one) => one.name));
    let place = 1;
    while (taken.has(`region ${place}`)) place += 1;
    shape.name = `region ${place}`;
  }
  drawing.show([...drawing.shapes, shape]);
  list();
  drawing.focus(shape);
  changed();
}

function changed() {
  $("status").textContent = "Saving …";
  $("alone").hidden = found().views.length > 0;
  clearTimeout(timer);
  timer = setTimeout(save, WAIT_MS);
}

// One request at a time; what has changed meanwhile is sent after it.
async function save() {
  if (saving) return;
  const [name, wanted] = [stream, found()];
  saving = JSON.stringify(wanted);
  try {
    const kept = await store.setViews(name, wanted);
    complain(null);
    if (stream === name && saving === JSON.stringify(found())) told(kept.drawn);
  } catch (error) {
    complain(error);
    if (stream === name) await load(name); // as it is in truth
  } finally {
    const again = stream === name && saving !== JSON.stringify(found()) && $("problem").hidden;
    saving = null;
    if (again) save();
  }
}

async function load(name) {
  stream = name;
  clearTimeout(timer);
  try {
    const got = await store.views(name);
    if (stream === name) show(got);
  } catch (error) {
    complain(error);
  }
}

function choose() {
  const name = tools.stream.value;
  if (!name || name === stream) return;
  complain(null);
  drawing.show([]);
  $("no-picture").hidden = false;
  history.replaceState(null, "", `/views?stream=${encodeURIComponent(name)}`);
  watch(name);
  load(name);
}

function watch(name) {
  number = names.indexOf(name);
  connection.want(number < 0 || document.hidden ? [] : [number], number < 0 ? null : number);
}

function about(message) {
  const wanted = stream ?? new URLSearchParams(location.search).get("stream") ?? message.streams[0];
  names = message.streams.map((name) => name.toWellFormed());
  const short = shortNames(names);
  tools.stream.replaceChildren(...names.map((name, place) => new Option(short[place], name)));
  if (names.includes(wanted)) tools.stream.value = wanted;
  if (stream) watch(stream);
  else choose();
}

function news({ predictions = [] }) {
  for (const { stream: of, view, label, score } of predictions) {
    if (of !== number) continue;
    const place = [...document.querySelectorAll("[data-view]")].find((one) => one.dataset.view === view);
    if (place) place.textContent = `${label} ${percent(score)}`;
  }
}

async function picture(of, blob) {
  if (of !== number) return;
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob);
  } catch {
    return; // another follows
  }
  const canvas = $("picture");
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
    canvas.parentElement.style.setProperty("--ratio", bitmap.width / bitmap.height);
  }
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  $("no-picture").hidden = true;
}

const SAID = {
  locked: "The server wants its token again: load the page anew.",
  refused: "The server lets no more pages in; trying again …",
};

function state(now, detail) {
  $("connection").hidden = now === "open";
  $("connection").textContent = (SAID[now] ?? "The server does not answer; trying again …") + (detail ? ` (${detail})` : "");
}

function useTool() {
  drawing.use(tools.tool.value);
  $("how").textContent = HOW[tools.tool.value];
  $("add").hidden = tools.tool.value === "polygon";
}

themeSwitch($("theme"));
const drawing = new Drawing($("shapes"), {
  added: add,
  changed,
  removed: remove,
  named: (shape) => {
    const place = drawing.shapes.filter((one) => one.kind === "region").indexOf(shape);
    if (place >= 0) $("regions").querySelectorAll("input")[place].select();
  },
});
$("tools").addEventListener("submit", (event) => event.preventDefault());
$("others").addEventListener("submit", (event) => event.preventDefault());
tools.stream.addEventListener("change", choose);
for (const radio of tools.tool) radio.addEventListener("change", useTool);
$("others").addEventListener("change", changed);
$("add").addEventListener("click", () => add(tools.tool.value, [0.35, 0.3, 0.3, 0.4]));
$("reset").addEventListener("click", async () => {
  try {
    complain(null);
    show(await store.resetViews(stream));
  } catch (error) {
    complain(error);
  }
});
useTool();
const connection = new Connection({ about, news, picture, state });
document.addEventListener("visibilitychange", () => stream && watch(stream));

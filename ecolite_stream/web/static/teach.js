// Teach: what there is to teach with, the teaching, its report, and the versions.
import { ClipGrid } from "./clips.js";
import { showReport } from "./report.js";
import * as store from "./store.js";
import { themeSwitch } from "./theme.js";
import { hue, setLabels } from "./words.js";

const $ = (id) => document.getElementById(id);
const POLL_MS = 700;
let previous = null; // digest and name of the version before the last change
let polling = false;
let known = []; // versions

function complain(error) {
  $("problem").hidden = !error;
  $("problem").textContent = error?.message ?? "";
}

function cell(kind, text, name = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  made.className = name;
  return made;
}

async function look() {
  try {
    const found = await store.clips(new URLSearchParams({ limit: 1 }));
    complain(null);
    setLabels(found.actions.map((action) => action.label), ["nothing", "idle"]);
    dress(found);
    await grid.restart(found.doubles);
  } catch (error) {
    complain(error);
    $("main").classList.add("off");
    $("start").disabled = $("from-events").disabled = true;
  }
}

function dress(found) {
  const clips = found.actions.reduce((sum, action) => sum + action.clips, 0);
  const segments = found.actions.reduce((sum, action) => sum + action.segments, 0);
  const total = clips + segments;
  const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
  const also = segments ? ` and ${counted(segments, "segment")}` : "";
  $("count").textContent = `${counted(clips, "clip")}${also} of ${found.actions.length} actions`;
  $("empty").hidden = total > 0;
  $("actions").hidden = total === 0;
  $("actions").classList.toggle("whole", segments === 0);
  $("clips-part").hidden = clips === 0;
  $("where").hidden = false;
  $("folder").textContent = found.folder;
  $("remove").textContent = `ecolite-stream collect --remove ${found.folder}`;
  $("actions").tBodies[0].replaceChildren(
    ...found.actions.map((action) => {
      const row = document.createElement("tr");
      const name = cell("td", "");
      name.append(cell("b", action.label, `hue ${hue(action.label)}`));
      const days = Object.entries(action.days).map(([day, count]) => `${day === "unknown" ? "no date" : day}: ${count}`);
      const { unknown = 0, ...known } = action.groups; // each clip of an unknown recording counts as one
      row.append(name, cell("td", action.clips), cell("td", action.segments, "segments"), cell("td", Object.keys(known).length + unknown), cell("td", days.join(", ")));
      return row;
    }),
  );
  $("missing").replaceChildren(...[...found.problems, ...(total ? found.missing : [])].map((words) => cell("li", words)));
  const labels = [...new Set([...found.actions.map((action) => action.label), "nothing"])];
  $("labels").replaceChildren(...labels.map((label) => new Option(label, label)));
  const shown = found.actions.filter((action) => action.clips > 0);
  const chosen = $("filter").value;
  $("filter").replaceChildren(new Option("All", ""), ...shown.map((action) => new Option(action.label, action.label)));
  $("filter").value = shown.some((action) => action.label === chosen) ? chosen : "";
}

async function takeEvents() {
  $("from-events").disabled = true;
  let made = 0;
  try {
    let found;
    do {
      found = await store.fromEvents();
      made += found.made;
      const problems = found.problems.length ? ` ${found.problems.length} became none: ${found.problems[0]}.` : "";
      $("events-said").textContent = `${made} events became clips, ${found.left} left.${problems}`;
    } while (found.left && found.made);
    if (!made && !found.problems.length) $("events-said").textContent = "No event is marked wrong or renamed whose clip is not here already.";
    await look();
  } catch (error) {
    $("events-said").textContent = error.message;
  }
  $("from-events").disabled = false;
}

async function start() {
  $("start").disabled = true;
  try {
    teaching(await store.teach({ thorough: way() === "thorough" }));
    poll();
  } catch (error) {
    $("teach-said").textContent = error.message;
    $("start").disabled = false;
  }
}

async function poll() {
  if (polling) return;
  polling = true;
  try {
    let state;
    do {
      state = await store.teaching();
      teaching(state);
      if (state.state === "running") await new Promise((done) => setTimeout(done, POLL_MS));
    } while (state.state === "running");
  } catch (error) {
    $("teach-said").textContent = error.message;
  }
  polling = false;
}

const ways = [...$("ways").querySelectorAll("input")];
const way = () => ways.find((one) => one.checked).value;
let isFirst = true;

function choose(thorough) {
  for (const one of ways) one.checked = (one.value === "thorough") === thorough;
}

// What can be chosen now; a teaching that runs, or ran before the page was loaded, has its choice.
function offer(now) {
  const isRunning = now.state === "running";
  if (isRunning || isFirst) choose(now.thorough);
  if (now.why_not_thorough !== null && !isRunning) choose(false);
  for (const one of ways) one.disabled = isRunning || now.why_not !== null || (one.value === "thorough" && now.why_not_thorough !== null);
  $("why-not-thorough").hidden = now.why_not !== null || now.why_not_thorough === null;
  $("why-not-thorough").textContent = sentence(now.why_not_thorough ?? "");
  $("way-hint").hidden = now.why_not !== null;
  explain();
  isFirst = false;
}

const WAYS = {
  quick: "Fits the model's last layer to your clips. Each recording is held out in turn, to see how good it will be.",
  thorough: "Trains all layers: first without a fifth of your clips, to see how good it will be, then with all. A stopped training can be resumed.",
};

const sentence = (words) => `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;

function explain() {
  $("way-hint").textContent = WAYS[way()];
}

// What a teaching is doing, and the share that is done.
function step(now) {
  const { done, clips } = now.progress;
  if (now.epochs) {
    const { done: over, epochs, left_s } = now.epochs;
    const left = left_s === null ? "" : `, about ${duration(left_s)} left`;
    return [over < epochs ? `Training: ${over} of ${epochs} epochs are done${left} …` : "Writing the model …", over, epochs];
  }
  return [clips ? `Looking at clip ${done} of ${clips} …` : "Starting …", done, clips];
}

function duration(seconds) {
  const minutes = Math.max(1, Math.round(seconds / 60));
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function teaching(now) {
  const isRunning = now.state === "running";
  const [doing, done, total] = step(now);
  offer(now);
  $("stop").hidden = $("progress").hidden = !isRunning;
  $("stop").disabled = now.stopping;
  $("start").disabled = isRunning || now.why_not !== null;
  $("start").textContent = now.state === "idle" ? "Teach" : "Teach again";
  if (total) {
    $("progress").max = total;
    $("progress").value = done;
  } else $("progress").removeAttribute("value");
  $("teach-said").textContent =
    now.why_not ??
    {
      idle: "",
      running: now.stopping ? "Stopping …" : doing,
      done: "",
      failed: `Nothing was taught: ${now.error}`,
      stopped: now.thorough
        ? "Stopped. Teach again with the same clips: the training resumes after its last whole epoch."
        : "Stopped. The clips that were looked at need not be looked at again.",
    }[now.state];
  $("log").hidden = now.lines.length === 0;
  $("lines").textContent = now.lines.join("\n");
  $("report").hidden = now.report === null;
  if (now.report) showReport(now.report, known);
}

async function versions() {
  try {
    const found = await store.bundle();
    known = found.versions;
    $("versions-part").hidden = false;
    $("versions").replaceChildren(...found.versions.map((version) => versionRow(version, found)));
    return found;
  } catch (error) {
    $("versions-said").textContent = error.message;
    $("versions-part").hidden = false;
    return null;
  }
}

function versionRow(version, found) {
  const row = document.createElement("li");
  const facts = [
    version.created && new Date(version.created).toLocaleString(),
    version.held_out && `${version.held_out.right} of ${version.held_out.clips} held-out clips right`,
    version.digest.slice(0, 12),
  ];
  row.append(cell("span", version.name, "name"), cell("span", facts.filter(Boolean).join(" · "), "facts"));
  if (version.digest === found.digest) row.append(cell("span", "runs now", "now"));
  else {
    const button = cell("button", "Use", "plain");
    button.type = "button";
    button.addEventListener("click", () => change(() => store.useBundle(version.digest), $("versions-said")));
    row.append(button);
  }
  return row;
}

// Change the model of the run, and offer the way back.
async function change(how, said) {
  const before = await versions();
  for (const button of document.querySelectorAll("#use, #back, .versions button")) button.disabled = true;
  said.textContent = "Changing …";
  try {
    await how();
    previous = before && { digest: before.digest, name: before.versions.find((one) => one.digest === before.digest)?.name };
    const now = await versions();
    const name = now?.versions.find((one) => one.digest === now.digest)?.name ?? "The new model";
    said.textContent = `${name} runs now.`;
  } catch (error) {
    said.textContent = error.message;
    await versions();
  }
  $("use").disabled = $("back").disabled = false;
  $("back").hidden = !previous?.name;
  if (previous?.name) $("back").textContent = `Back to ${previous.name}`;
  poll(); // another model may have no weights to train
}

themeSwitch($("theme"));
const grid = new ClipGrid(look);
$("from-events").addEventListener("click", takeEvents);
$("filter").addEventListener("change", () => grid.restart());
$("start").addEventListener("click", start);
$("ways").addEventListener("change", explain);
$("stop").addEventListener("click", () => store.stopTeaching().catch((error) => ($("teach-said").textContent = error.message)));
$("use").addEventListener("click", () => change(store.useTaught, $("use-said")));
$("back").addEventListener("click", () => change(() => store.useBundle(previous.digest), $("use-said")));
Promise.all([look(), versions()]).then(poll);

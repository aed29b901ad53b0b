// Alerts: the rules of the run, when each last fired, and what can be done about them.
import { RuleForm } from "./rule_form.js";
import * as store from "./store.js";
import { themeSwitch } from "./theme.js";
import { duration, percent } from "./words.js";

const $ = (id) => document.getElementById(id);
const EVERY_MS = 5000;
let known = { streams: [], labels: [], views: [], targets: [] };
let rules = [];

function complain(error) {
  $("problem").hidden = !error;
  $("problem").textContent = error?.message ?? "";
}

function hoursWords({ days, start, end, zone }) {
  const when = start === end ? "all day" : `${start}–${end}`;
  return `${days.join(" ") || "every day"} ${when} ${zone ?? "the server's time"}`;
}

const span = (seconds) => duration(seconds).replace(/(min|h) 0 (s|min)$/, "$1").replace(/\.0 s$/, " s");

function what(rule) {
  const parts = [
    rule.streams.join(" or ") || "any stream",
    rule.views.length && `view ${rule.views.join(", ")}`,
    rule.min_score && `from ${percent(rule.min_score)}`,
    rule.min_s && `lasting ${span(rule.min_s)}`,
    rule.hours.length && rule.hours.map(hoursWords).join(" or "),
    rule.cooldown_s && `once in ${span(rule.cooldown_s)} of a stream`,
  ];
  return `${rule.labels.join(" or ") || "Any label"} in ${parts.filter(Boolean).join(", ")}`;
}

function state(rule) {
  if (rule.muted) return ["warn", "muted in the configuration"];
  if (rule.muted_until && new Date(rule.muted_until) > new Date()) {
    const until = new Date(rule.muted_until);
    const today = until.toDateString() === new Date().toDateString();
    return ["warn", `muted until ${today ? until.toLocaleTimeString([], { timeStyle: "short" }) : until.toLocaleString([], { dateStyle: "short", timeStyle: "short" })}`];
  }
  return ["good", "on"];
}

function item(rule) {
  const row = $("rule").content.cloneNode(true).firstElementChild;
  const find = (selector) => row.querySelector(selector);
  const [level, words] = state(rule);
  row.dataset.level = level;
  row.dataset.rule = rule.name;
  find(".name").textContent = rule.name;
  find(".state").textContent = words;
  find(".what").textContent = what(rule);
  find(".where").textContent = `To ${rule.sends_to.join(", ")}${rule.own ? "" : " · in the configuration file"}`;
  find(".fired").textContent = rule.fired_at
    ? `Last sent ${new Date(rule.fired_at).toLocaleString()}`
    : "Has sent nothing since the start of the run";
  const isMuted = level !== "good" && !rule.muted;
  find(".for").hidden = isMuted || rule.muted;
  find(".unmute").hidden = !isMuted;
  find(".edit").hidden = find(".remove").hidden = !rule.own;
  find(".mute").setAttribute("aria-label", `Mute ${rule.name} for`);
  find(".mute").addEventListener("change", (event) => {
    if (event.target.value) act(rule, () => store.mute(rule.name, Number(event.target.value)));
  });
  find(".unmute").addEventListener("click", () => act(rule, () => store.unmute(rule.name)));
  find(".edit").addEventListener("click", () => form.open(rule, known));
  find(".remove").addEventListener("click", () => {
    if (confirm(`Remove the rule ${rule.name}?`)) act(rule, () => store.removeRule(rule.name));
  });
  return row;
}

function focus(name) {
  const row = [...$("rules").children].find((one) => one.dataset.rule === name);
  const first = [...(row?.querySelectorAll("select, button") ?? [])].find((one) => one.checkVisibility());
  (first ?? $("rules")).focus();
}

async function act(rule, ask) {
  complain(null);
  try {
    await ask();
  } catch (error) {
    complain(error);
  }
  await look();
  focus(rule.name);
}

function draw(found) {
  rules = found.rules;
  known.targets = found.targets;
  const muted = rules.filter((rule) => state(rule)[0] !== "good").length;
  $("count").textContent = `${rules.length} ${rules.length === 1 ? "rule" : "rules"}${muted ? `, ${muted} muted` : ""}`;
  const list = $("rules");
  const focused = document.activeElement?.closest(".rule")?.dataset.rule;
  rules.forEach((rule, place) => {
    const facts = JSON.stringify([rule, state(rule)]);
    const before = list.children[place];
    if (before?.dataset.facts === facts) return; // a list that somebody has open stays
    const row = item(rule);
    row.dataset.facts = facts;
    if (before?.dataset.rule === rule.name) before.replaceWith(row);
    else list.insertBefore(row, before ?? null);
  });
  while (list.children.length > rules.length) list.lastElementChild.remove();
  if (focused && !list.contains(document.activeElement)) focus(focused);
  $("add").disabled = !known.targets.length;
  $("nothing").hidden = rules.length > 0 && known.targets.length > 0;
  $("nothing").textContent = known.targets.length
    ? "No rules yet."
    : "This run has no target to send to. Name one under alerts.targets in the configuration file.";
}

let failing = false;
async function look() {
  try {
    draw(await store.alerts());
    if (failing) complain(null);
    failing = false;
  } catch (error) {
    failing = true;
    complain(error);
  }
}

async function begin() {
  try {
    const { streams, labels } = await store.streams();
    const idle = new Set(streams.flatMap((stream) => stream.settings.ignore));
    known.streams = streams.map((stream) => stream.name);
    known.labels = labels.filter((label) => !idle.has(label));
    known.views = [...new Set(streams.filter((s) => s.settings.views.length > 1).flatMap((s) => s.settings.views))];
  } catch (error) {
    complain(error);
  }
  await look();
  setInterval(() => document.hidden || look(), EVERY_MS);
}

themeSwitch($("theme"));
const form = new RuleForm(async (name, rule) => {
  if (!form.form.elements.name.disabled && rules.some((one) => one.name === name)) {
    throw new Error(`There is a rule ${name} already. Choose another name.`);
  }
  await store.setRule(name, rule);
  await look();
});
$("add").addEventListener("click", () => form.open(null, known));
begin();

// History: stored events, filtered, by day and as a grid of pictures.
import { Days } from "./days.js";
import { EventDialog } from "./event.js";
import { dayOf, Filters, midnight } from "./filters.js";
import { Grid } from "./grid.js";
import * as store from "./store.js";
import { themeSwitch } from "./theme.js";
import { setLabels } from "./words.js";

const $ = (id) => document.getElementById(id);
const PER_PAGE = 60;
let cursor = ""; // of the next page; null at the end
let loading = null;
let loadFailed = false;

function complain(error) {
  $("problem").hidden = !error;
  $("problem").textContent = error?.message ?? "";
}

function restart() {
  complain(null);
  loading?.abort();
  loading = null;
  cursor = "";
  grid.clear();
  days.clear();
  $("end").textContent = "";
  more();
}

async function more() {
  if (loading || cursor === null) return;
  const mine = (loading = new AbortController());
  try {
    const found = await store.page(filters.query({ limit: PER_PAGE, ...(cursor && { cursor }) }), mine.signal);
    if (loading !== mine) return;
    loading = null;
    cursor = found.next;
    if (loadFailed) complain(null); // what else was complained of stays
    loadFailed = false;
    filters.offer("stream", found.events.map((event) => event.stream));
    filters.offer("label", found.events.map((event) => event.label));
    if (found.events.length) grid.add(found.events);
    days.add(found.events);
    summarise();
    if (cursor !== null && isNear($("end"))) requestAnimationFrame(more);
  } catch (error) {
    if (loading !== mine) return;
    loading = null;
    loadFailed = true;
    complain(error);
  }
}

function summarise() {
  const count = grid.events.length;
  $("count").textContent = `${count}${cursor === null ? "" : "+"} ${count === 1 ? "event" : "events"}`;
  $("end").textContent = cursor !== null ? "Loading …" : count ? "No earlier events." : "No such events.";
}

const isNear = (element) => element.getBoundingClientRect().top < innerHeight + 2000;

// The event that is open is in the address, beside the filters.
function open(event) {
  const query = filters.search;
  query.set("event", event.id);
  const address = `${location.pathname}?${query}`;
  if (dialog.isOpen) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  dialog.show(event);
}

async function step(event, by) {
  if (by > 0 && !grid.neighbour(event, by)) await more();
  const next = grid.neighbour(event, by);
  if (next) open(next);
}

function closed(event) {
  const query = filters.search.toString();
  history.replaceState(null, "", location.pathname + (query && `?${query}`));
  grid.focus(event);
}

async function openFromAddress() {
  const id = new URLSearchParams(location.search).get("event");
  if (!id) return;
  try {
    dialog.show(await store.one(id));
  } catch (error) {
    complain(error);
  }
}

async function earlier() {
  const until = filters.day ? midnight(filters.day, 0) : new Date();
  try {
    const found = await store.page(filters.query({ limit: 1, since: null, until: until.toISOString() }));
    if (found.events.length) filters.day = dayOf(new Date(found.events[0].started_at));
    else $("end").textContent = "No earlier events.";
  } catch (error) {
    complain(error);
  }
}

function later() {
  if (!filters.day) return;
  const next = dayOf(midnight(filters.day, 1));
  filters.day = next > dayOf(new Date()) ? "" : next;
}

document.addEventListener("keydown", (event) => {
  if (dialog.isOpen || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select")) return;
  const card = event.target.closest(".card");
  if (event.key === "f") {
    event.preventDefault();
    $("filters").elements.stream.focus();
  } else if (!card && (event.key === "ArrowDown" || event.key === "ArrowRight") && grid.events.length) {
    event.preventDefault();
    grid.focus(grid.events[grid.current]);
  }
});

addEventListener("popstate", () => {
  filters.fromAddress();
  if (dialog.isOpen) dialog.dialog.close();
  restart();
  openFromAddress();
});

themeSwitch($("theme"));
const dialog = new EventDialog({ changed: (event) => grid.change(event), step, closed });
const grid = new Grid($("grid"), { open });
const days = new Days($("days"), { open, choose: (day) => (filters.day = day) });
const filters = new Filters($("filters"), restart);
$("earlier").addEventListener("click", earlier);
$("later").addEventListener("click", later);
const moreIfNear = () => isNear($("end")) && more();
new IntersectionObserver(moreIfNear, { rootMargin: "2000px" }).observe($("end"));
addEventListener("scroll", moreIfNear, { passive: true }); // the observer reports no change after a page that failed to load

async function begin() {
  try {
    const known = await store.streams();
    setLabels(known.labels, known.streams[0]?.settings.ignore ?? []);
    filters.offer("stream", known.streams.map((stream) => stream.name));
    filters.offer("label", known.labels);
    dialog.setLabels(known.labels);
    filters.fromAddress();
  } catch (error) {
    complain(error);
  }
  restart();
  openFromAddress();
}

begin();

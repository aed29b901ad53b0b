// How numbers and states are worded, here and nowhere else.
export const percent = (score) => `${Math.round(100 * score)}%`;

export function duration(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

// A place in a recording: 1:02.5 or 1:00:02.5.
export function position(seconds) {
  const tenths = Math.round(10 * Math.max(seconds, 0));
  const [hours, minutes] = [Math.floor(tenths / 36000), Math.floor(tenths / 600) % 60];
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

// When an event was, in its stream: by the time of day if that is live, or else as a place in it.
export function when(event) {
  const [from, to] = event.live
    ? [clock(event.began_unix_s), event.ended_unix_s && clock(event.ended_unix_s)]
    : [position(event.start_s), event.end_s !== null && position(event.end_s)];
  return to ? `${from} – ${to}` : from;
}

export const clock = (unix_s) => new Date(1000 * unix_s).toLocaleTimeString();

export function count(number) {
  return number < 10000 ? String(number) : `${(number / 1000).toFixed(number < 1e5 ? 1 : 0)}k`;
}

// Each label has a colour, the same wherever and whenever it is seen; those that are no event none.
const HUES = 10;
let hues = new Map();

export function setLabels(labels, idle) {
  const actions = labels.filter((label) => !idle.includes(label));
  hues = new Map(actions.map((label, place) => [label, place % HUES]));
}

export const hue = (label) => `hue-${hues.get(label) ?? "none"}`;

// The same colour for a canvas, as the element has it in its theme.
export function shade(label, element) {
  const name = hue(label);
  const probe = element.ownerDocument.createElement("i");
  probe.hidden = true;
  probe.className = `probe ${name}`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

// And on a picture, which is dark or light whatever the theme is.
const ON_PICTURES = [
  "#4fc7cc", "#f0a35e", "#b3a2ff", "#ff8fc0", "#86d46f", "#7fb6ff", "#dfc94f", "#ff9b80", "#bcd24a", "#e08cf5",
];
export const onPicture = (label) => ON_PICTURES[hues.get(label)] ?? "#c8d2cd";

// Names as short as they still differ: of paths the last part, of URLs all but the scheme.
export function shortNames(names) {
  const short = names.map((name) =>
    name.includes("://") ? name.replace(/^.*?:\/\//, "") : name.replace(/^.*\/(?=[^/])/, ""),
  );
  return names.map((name, i) => (short.indexOf(short[i]) === short.lastIndexOf(short[i]) ? short[i] : name));
}

const STATES = {
  "": ["off", "not begun"],
  connecting: ["warn", "connecting"],
  stalled: ["warn", "stalled"],
  waiting: ["bad", "lost"],
  failed: ["bad", "failed"],
  ended: ["off", "ended"],
  paused: ["off", "paused"],
  removed: ["off", "removed"],
};

// What is the matter with a stream: a level (good, warn, bad, off) and a few words.
export function verdict(health, every_s) {
  if (health.state !== "live") return STATES[health.state] ?? ["warn", health.state];
  if (health.label_age_s !== null && health.label_age_s > Math.max(4 * every_s, 5)) {
    return ["warn", "labels are old"];
  }
  if (health.dropping > 0.2) return ["warn", "drops frames"];
  return ["good", "live"];
}

// The same of a sink.
export function sinkVerdict(sink) {
  return [{ works: "good", "too slow": "warn" }[sink.state] ?? "bad", sink.state];
}

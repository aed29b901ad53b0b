// What the API is asked: events, reviews, streams, views, alert rules, clips, the fleet. Errors are Errors with the server's words.
export class Gone extends Error {}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`/api${path}`, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it running?");
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  if (answer.status === 401) throw new Error("The server wants its token again: load the page anew.");
  let words = answer.statusText;
  try {
    words = (await answer.json()).error;
  } catch {
    // it was no JSON
  }
  throw answer.status === 404 ? new Gone(words) : new Error(words);
}

function send(method, path, body) {
  if (body === undefined) return ask(path, { method });
  return ask(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

const put = (path, body) => send("PUT", path, body);
const post = (path, body) => send("POST", path, body);
const remove = (path) => send("DELETE", path);

const viewsOf = (stream) => `/streams/${encodeURIComponent(stream.toWellFormed())}/views`;
const ruleOf = (name) => `/alerts/${encodeURIComponent(name)}`;

export const views = (stream) => ask(viewsOf(stream));
export const setViews = (stream, found) => put(viewsOf(stream), found);
export const resetViews = (stream) => remove(viewsOf(stream));
export const alerts = () => ask("/alerts");
export const setRule = (name, rule) => put(ruleOf(name), rule);
export const removeRule = (name) => remove(ruleOf(name));
export const mute = (name, minutes) => put(`${ruleOf(name)}/mute`, { minutes });
export const unmute = (name) => remove(`${ruleOf(name)}/mute`);
export const streams = () => ask("/streams");
export const fleet = () => ask("/fleet");
export const page = (query, signal) => ask(`/events?${query}`, { signal });
export const one = (id) => ask(`/events/${encodeURIComponent(id)}`);
export const review = (id, verdict, label) => put(`/events/${id}/review`, { review: verdict, label });
export const keep = (id, kept) => put(`/events/${id}/keep`, { keep: kept });
export const pictureUrl = (event) => `/api/events/${event.id}/picture`;
export const clipUrl = (event) => `/api/events/${event.id}/clip`;

const clipPath = (clip) => `/clips/${clip.split("/").map(encodeURIComponent).join("/")}`;
export const clips = (query = "") => ask(`/clips?${query}`);
export const keepSeconds = (stream, clip) => post(`/streams/${encodeURIComponent(stream)}/clips`, clip);
export const moveClip = (clip, label) => put(clipPath(clip), { label });
export const dropClip = (clip) => remove(clipPath(clip));
export const collectedUrl = (clip) => `/api${clipPath(clip)}`;
export const fromEvents = () => post("/clips/from-events");
export const teaching = () => ask("/teaching");
export const teach = (how) => post("/teaching", how);
export const stopTeaching = () => remove("/teaching");
export const useTaught = () => post("/teaching/use");
export const bundle = () => ask("/bundle");
export const useBundle = (digest) => put("/bundle", { bundle: digest });

// The report of a teaching: clips right, better or worse than now, the confusion, and what to look at.
import { makeCard } from "./clips.js";
import { percent } from "./words.js";

const $ = (id) => document.getElementById(id);
const MOST_WRONG = 12;
let shown = "";

// versions: that the run can change to; one of them may be the one that it is compared with
export function showReport(report, versions = []) {
  const facts = JSON.stringify([report, versions.length]);
  if (facts === shown) return;
  shown = facts;
  $("score").textContent = report.clips
    ? `${report.clips_right} of ${report.clips} clips right, ${percent(report.clips_right / report.clips)}`
    : "No clip could be held out";
  const byGroups = report.groups < report.clips && report.interval_95_by_groups;
  $("interval").textContent = report.clips
    ? `held out by ${report.grouping}. So few clips can show ${report.interval_95.map(percent).join(" to ")} (95% interval)` +
      (byGroups ? `; so few recordings, ${byGroups.map(percent).join(" to ")}` : "")
    : "";
  compare($("compared"), report.compared, versions);
  compare($("quick"), report.quick);
  $("unjudged").textContent = report.unjudged.length
    ? `${report.unjudged.length} clips are not judged: no other recording shows their action. Record ${labelsOf(report.unjudged)} at another place or on another day.`
    : "";
  confuse(report.confusion);
  const wrong = Object.entries(report.wrong);
  $("wrong-part").hidden = wrong.length === 0;
  $("wrong").replaceChildren(...wrong.slice(0, MOST_WRONG).map(([name, taken]) => mistake(name, taken)));
}

const labelsOf = (names) => [...new Set(names.map((name) => name.split("/")[0]))].join(", ");

function compare(line, compared, versions = []) {
  line.hidden = compared === null;
  if (!compared) return;
  const { taught, now, clips, bundle, labels } = compared;
  const word = taught > now ? "Better than" : taught < now ? "Worse than" : "As good as";
  line.dataset.level = taught < now ? "bad" : "good";
  const version = versions.find((one) => one.path.split(/[\\/]/).at(-1) === bundle);
  const easy = version?.held_out ? ` But ${version.name} was taught with clips of this folder, which makes them easy for it.` : "";
  line.textContent =
    `${word} ${version?.name ?? bundle}: that one has ${now} of ${clips} clips of ${labels.join(", ")} right, this one ${taught}.${easy}`;
}

function confuse(confusion) {
  $("confusion-part").hidden = confusion.length === 0;
  const labels = [...new Set(confusion.flatMap(([own, other]) => [own, other]))].sort();
  const counts = new Map(confusion.map(([own, other, count]) => [`${own}\n${other}`, count]));
  const head = document.createElement("tr");
  head.append(cell("td", ""), ...labels.map((label) => cell("th", label)));
  const rows = labels
    .filter((own) => confusion.some(([one]) => one === own))
    .map((own) => {
      const row = document.createElement("tr");
      row.append(
        cell("th", own),
        ...labels.map((other) => {
          const count = counts.get(`${own}\n${other}`) ?? 0;
          return cell("td", count || "", count ? (own === other ? "right" : "mistake") : "");
        }),
      );
      return row;
    });
  $("confusion").replaceChildren(head, ...rows);
}

function cell(kind, text, name = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  made.className = name;
  if (kind === "th") made.scope = "row";
  return made;
}

function mistake(name, taken) {
  const card = makeCard(name, name.split("/")[0]);
  card.querySelector(".who").textContent = `taken for ${taken}`;
  card.querySelector(".buttons").remove();
  return card;
}

// Sinks: what each took, what it failed at, and what it lost.
import { count, sinkVerdict } from "./words.js";

const COUNTS = [
  ["delivered", "taken"],
  ["failures", "errors"],
  ["dropped", "lost"],
  ["frames_dropped", "frames lost"],
];

export class Sinks {
  constructor() {
    this.list = document.getElementById("sinks");
    this.levels = new Map();
  }

  // Gives what is to be said of those that changed.
  diagnose(sinks) {
    const said = [];
    const before = this.levels;
    this.levels = new Map();
    const rows = sinks.map((sink) => {
      const [level, words] = sinkVerdict(sink);
      this.levels.set(sink.name, level);
      if (level !== (before.get(sink.name) ?? "good")) said.push(`${sink.name}: ${words}.`);
      return this.row(sink, level, words);
    });
    this.list.replaceChildren(...rows);
    this.list.parentElement.hidden = rows.length === 0;
    return said;
  }

  // How many are at such a level.
  at(level) {
    return [...this.levels.values()].filter((one) => one === level).length;
  }

  row(sink, level, words) {
    const row = document.createElement("li");
    row.dataset.level = level;
    row.dataset.sink = sink.name;
    const counts = COUNTS.filter(([key]) => key === "delivered" || sink[key]);
    const parts = [
      ["sink", sink.name],
      ["state", words],
      ["counts", counts.map(([key, word]) => `${word} ${count(sink[key])}`).join(", ")],
    ];
    for (const [className, text] of parts) {
      const span = document.createElement("span");
      span.className = className;
      span.textContent = text;
      row.append(span);
    }
    return row;
  }
}

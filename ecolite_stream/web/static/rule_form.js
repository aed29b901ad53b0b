// The form that makes or changes an alert rule.
const $ = (id) => document.getElementById(id);
const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

function tick(value, checked, words = value) {
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", value, checked });
  label.append(box, words);
  return label;
}

const ticked = (element) => [...element.querySelectorAll("input:checked")].map((box) => box.value);

function fillTicks(id, known, chosen) {
  const all = [...new Set([...known, ...chosen])];
  $(id).replaceChildren(...all.map((value) => tick(value, chosen.includes(value))));
  return all.length;
}

export class RuleForm {
  // save(name, rule) gives a promise; what it throws is shown, and the form stays.
  constructor(save) {
    this.save = save;
    this.form = $("form");
    this.dialog = $("editor");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    $("cancel").addEventListener("click", () => this.dialog.close());
    $("more-hours").addEventListener("click", () => this.addHours({ days: [], start: "22:00", end: "06:00", zone: this.zone }));
    this.zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const zones = Intl.supportedValuesOf?.("timeZone") ?? [this.zone];
    $("zones").replaceChildren(...zones.map((zone) => new Option(zone, zone)));
  }

  // known: {streams, labels, views, targets}; rule is null for a new one.
  open(rule, known) {
    const fields = this.form.elements;
    $("editor-title").textContent = rule ? `Change ${rule.name}` : "Add a rule";
    $("wrong").textContent = "";
    fields.name.value = rule?.name ?? "";
    fields.name.disabled = Boolean(rule);
    fields.target.replaceChildren(
      ...known.targets.map(({ name, sends_to }) => new Option(`${name} (${sends_to.join(", ")})`, name)),
    );
    if (rule) fields.target.value = rule.target;
    fillTicks("streams", known.streams, rule?.streams ?? []);
    fillTicks("labels", known.labels, rule?.labels ?? []);
    $("views-field").hidden = !fillTicks("views", known.views, rule?.views ?? []);
    fields.score.value = Math.round(1000 * (rule?.min_score ?? 0)) / 10;
    fields.min_s.value = rule?.min_s ?? 0;
    fields.cooldown_s.value = rule?.cooldown_s ?? 60;
    $("hours").replaceChildren();
    for (const hours of rule?.hours ?? []) this.addHours(hours);
    this.dialog.showModal();
    (rule ? fields.target : fields.name).focus();
  }

  addHours({ days, start, end, zone }) {
    const row = $("hour").content.cloneNode(true).firstElementChild;
    row.querySelector(".days").append(...DAYS.map((day) => tick(day, days.includes(day), day[0].toUpperCase() + day.slice(1))));
    row.querySelector(".start").value = start;
    row.querySelector(".end").value = end;
    row.querySelector(".zone").value = zone ?? "";
    row.querySelector(".drop").addEventListener("click", () => {
      row.remove();
      $("more-hours").focus();
    });
    $("hours").append(row);
  }

  get rule() {
    const fields = this.form.elements;
    return {
      target: fields.target.value,
      streams: ticked($("streams")),
      labels: ticked($("labels")),
      views: ticked($("views")),
      min_score: (Number(fields.score.value) || 0) / 100,
      min_s: Number(fields.min_s.value) || 0,
      cooldown_s: Number(fields.cooldown_s.value) || 0,
      hours: [...$("hours").children].map((row) => ({
        days: ticked(row.querySelector(".days")),
        start: row.querySelector(".start").value,
        end: row.querySelector(".end").value,
        zone: row.querySelector(".zone").value.trim() || null,
      })),
    };
  }

  async submit() {
    $("wrong").textContent = "";
    try {
      await this.save(this.form.elements.name.value.trim(), this.rule);
      this.dialog.close();
    } catch (error) {
      $("wrong").textContent = error.message;
    }
  }
}

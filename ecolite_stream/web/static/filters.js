// Filters: in the form, in the address (so that links can be shared), and as the API takes them.
const NAMES = ["stream", "label", "score", "review", "day"];

export class Filters {
  constructor(form, onChange) {
    this.form = form;
    this.onChange = onChange;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", () => this.changed());
    form.addEventListener("reset", () => setTimeout(() => this.changed()));
    this.fromAddress();
  }

  fromAddress() {
    const query = new URLSearchParams(location.search);
    for (const name of NAMES) {
      const field = this.form.elements[name];
      const value = query.get(name) ?? "";
      if (field.tagName === "SELECT") offer(field, value);
      field.value = value;
    }
  }

  // Offer more choices, and keep what is chosen.
  offer(name, values) {
    for (const value of values) offer(this.form.elements[name], value);
  }

  get day() {
    return this.form.elements.day.value;
  }

  set day(value) {
    this.form.elements.day.value = value;
    this.changed();
  }

  // The part of the address that says all this.
  get search() {
    const query = new URLSearchParams();
    for (const name of NAMES) {
      const value = this.form.elements[name].value;
      if (value) query.set(name, value);
    }
    return query;
  }

  changed() {
    const query = this.search.toString();
    history.pushState(null, "", location.pathname + (query && `?${query}`));
    this.onChange();
  }

  // As the API takes them; of other days, if any are given.
  query(more = {}) {
    const values = this.form.elements;
    const query = new URLSearchParams();
    for (const name of ["stream", "label", "review"]) {
      if (values[name].value) query.set(name, values[name].value);
    }
    if (values.score.value) query.set("min_score", values.score.value);
    if (this.day) {
      query.set("since", midnight(this.day, 0).toISOString());
      query.set("until", midnight(this.day, 1).toISOString());
    }
    for (const [key, value] of Object.entries(more)) {
      if (value === null) query.delete(key);
      else query.set(key, value);
    }
    return query;
  }
}

function offer(select, value) {
  if (value && ![...select.options].some((option) => option.value === value)) {
    select.add(new Option(value, value));
  }
}

// When a day begins, here; days later if wanted. A day has 23 hours, 24 or 25.
export function midnight(day, later) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + later);
}

// The day of a moment, here, as YYYY-MM-DD.
export function dayOf(moment) {
  const pad = (number) => String(number).padStart(2, "0");
  return `${moment.getFullYear()}-${pad(moment.getMonth() + 1)}-${pad(moment.getDate())}`;
}

// Shapes over a picture, drawn, moved and resized by mouse, touch and keyboard.
import { boxOf, corners, isLargeEnough, moved, resized, reshaped, words } from "./shapes.js";

const SVG = "http://www.w3.org/2000/svg";
const STEP = 0.01;
const CLOSE_PX = 16;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function make(name, attributes, parent) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

export class Drawing {
  // on: {added(kind, numbers), changed(), removed(shape), named(shape)}
  constructor(svg, on) {
    this.svg = svg;
    this.on = on;
    this.shapes = [];
    this.tool = "region";
    this.points = null; // of a polygon that is being drawn
    svg.addEventListener("pointerdown", (event) => this.press(event));
    svg.addEventListener("pointermove", (event) => this.drag(event));
    svg.addEventListener("pointerup", (event) => this.release(event));
    svg.addEventListener("pointercancel", () => this.cancel());
    svg.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keydown", (event) => this.polygonKey(event));
    new ResizeObserver(() => this.draw()).observe(svg);
  }

  get isBusy() {
    return Boolean(this.grip || this.points);
  }

  show(shapes) {
    this.shapes = shapes;
    this.draw();
  }

  use(tool) {
    this.tool = tool;
    this.cancel();
  }

  at(event) {
    const frame = this.svg.getBoundingClientRect();
    return { x: (event.clientX - frame.left) / frame.width, y: (event.clientY - frame.top) / frame.height };
  }

  press(event) {
    if (event.button !== 0 || this.grip) return;
    event.preventDefault(); // no text is selected, and the focus is set here
    this.svg.setPointerCapture(event.pointerId);
    const from = this.at(event);
    const shape = this.points ? null : this.shapes[event.target.closest("[data-shape]")?.dataset.shape];
    if (shape) this.focus(shape);
    const corner = event.target.dataset.corner;
    this.grip = { from, shape, corner: corner && Number(corner), before: shape?.numbers, to: from };
  }

  drag(event) {
    const { grip } = this;
    if (!grip) return;
    const to = (grip.to = this.at(event));
    if (grip.shape) {
      const before = { ...grip.shape, numbers: grip.before };
      grip.shape.numbers =
        grip.corner === undefined ? moved(before, to.x - grip.from.x, to.y - grip.from.y) : reshaped(before, grip.corner, to);
    }
    this.draw();
  }

  release(event) {
    const { grip } = this;
    this.grip = null;
    if (!grip) return;
    if (grip.shape) {
      if (String(grip.shape.numbers) !== String(grip.before)) this.on.changed();
    } else if (this.tool === "polygon") {
      this.point(this.at(event));
    } else {
      const box = boxOf(grip.from, this.at(event));
      if (isLargeEnough(box)) this.on.added(this.tool, box);
    }
    this.draw();
  }

  cancel() {
    if (this.grip?.shape) this.grip.shape.numbers = this.grip.before;
    this.grip = this.points = null;
    this.draw();
  }

  point(at) {
    const { width, height } = this.svg.getBoundingClientRect();
    this.points ??= [];
    const [first] = this.points;
    if (first && Math.hypot((at.x - first.x) * width, (at.y - first.y) * height) < CLOSE_PX) this.close();
    else if (this.points.length < 32) this.points.push(at);
  }

  close() {
    const points = this.points ?? [];
    this.points = null;
    const inside = (value) => Math.round(1000 * Math.min(Math.max(value, 0), 1)) / 1000;
    if (points.length > 2) this.on.added("mask", points.flatMap(({ x, y }) => [inside(x), inside(y)]));
    this.draw();
  }

  polygonKey(event) {
    if (event.key === "Escape" && this.isBusy) this.cancel();
    else if (event.key === "Enter" && this.points) this.close();
  }

  key(event) {
    const shape = this.shapes[event.target.closest("[data-shape]")?.dataset.shape];
    if (!shape || this.points || event.ctrlKey || event.metaKey || event.altKey) return;
    const move = MOVES[event.key];
    if (move) {
      const [dx, dy] = move.map((way) => way * STEP);
      const before = String(shape.numbers);
      shape.numbers = event.shiftKey ? resized(shape, dx, dy) : moved(shape, dx, dy);
      if (String(shape.numbers) !== before) this.on.changed();
      this.draw();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.on.removed(shape);
    } else if (event.key === "Enter") {
      this.on.named(shape);
    } else {
      return;
    }
    event.preventDefault();
  }

  focus(shape) {
    this.svg.querySelector(`[data-shape="${this.shapes.indexOf(shape)}"]`)?.focus({ preventScroll: true });
  }

  draw() {
    const { width, height } = this.svg.getBoundingClientRect();
    if (!width) return;
    const focused = this.svg.contains(document.activeElement) ? document.activeElement.dataset.shape : undefined;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const pixels = ({ x, y }) => `${x * width},${y * height}`;
    this.svg.replaceChildren();
    // Masks lie below, so that a region in one can be caught.
    const order = [...this.shapes.keys()].sort((a, b) => (this.shapes[a].kind === "region") - (this.shapes[b].kind === "region"));
    for (const number of order) this.drawShape(number, pixels, width, height);
    const draft = this.points ?? (this.grip && !this.grip.shape && this.tool !== "polygon" && corners({ numbers: boxOf(this.grip.from, this.grip.to) }));
    if (draft) {
      make(this.points ? "polyline" : "polygon", { class: "draft", points: draft.map(pixels).join(" ") }, this.svg);
      if (this.points) for (const { x, y } of draft) make("circle", { class: "draft", cx: x * width, cy: y * height, r: 5 }, this.svg);
    }
    if (focused !== undefined) this.svg.querySelector(`[data-shape="${focused}"]`)?.focus({ preventScroll: true });
  }

  drawShape(number, pixels, width, height) {
    const shape = this.shapes[number];
    const points = corners(shape);
    const group = make(
      "g",
      { class: `shape ${shape.kind}`, tabindex: 0, role: "button", "data-shape": number, "aria-label": words(shape) },
      this.svg,
    );
    make("polygon", { class: "area", points: points.map(pixels).join(" ") }, group);
    const text = shape.kind === "region" ? shape.name : "mask";
    const top = points.reduce((best, point) => (point.y < best.y ? point : best));
    const [x, y] = [top.x * width, Math.min(top.y * height, height - 20)];
    const plate = make("rect", { class: "plate", x, y, height: 20 }, group);
    const label = make("text", { x: x + 6, y: y + 15 }, group);
    label.textContent = text;
    const room = label.getComputedTextLength() + 12;
    const left = Math.max(0, Math.min(x, width - room)); // all of the name is in the picture
    label.setAttribute("x", left + 6);
    plate.setAttribute("x", left);
    plate.setAttribute("width", room);
    points.forEach((point, corner) => {
      const [cx, cy] = [point.x * width, point.y * height];
      make("circle", { class: "handle", cx, cy, r: 5 }, group);
      make("circle", { class: "grip", cx, cy, r: 14, "data-corner": corner }, group);
    });
  }
}

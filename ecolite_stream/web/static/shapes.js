// Geometry of regions and masks, in shares of the picture: boxes [x, y, width, height] and polygons [x1, y1, ...].
export const LEAST = 0.02;
const round = (value) => Math.round(1000 * value) / 1000;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export const isBox = (shape) => shape.numbers.length === 4;

// The box between two points, inside the picture.
export function boxOf(a, b) {
  const [left, right] = [Math.min(a.x, b.x), Math.max(a.x, b.x)].map((v) => round(clamp(v, 0, 1)));
  const [top, bottom] = [Math.min(a.y, b.y), Math.max(a.y, b.y)].map((v) => round(clamp(v, 0, 1)));
  return [left, top, round(right - left), round(bottom - top)];
}

export const isLargeEnough = ([, , width, height]) => width >= LEAST && height >= LEAST;

// The corners of a shape.
export function corners({ numbers }) {
  if (numbers.length !== 4) {
    return Array.from({ length: numbers.length / 2 }, (_, i) => ({ x: numbers[2 * i], y: numbers[2 * i + 1] }));
  }
  const [x, y, width, height] = numbers;
  return [
    { x, y },
    { x: x + width, y },
    { x: x + width, y: y + height },
    { x, y: y + height },
  ];
}

// The numbers of a shape that is moved; it stays inside.
export function moved(shape, dx, dy) {
  const points = corners(shape);
  const [xs, ys] = [points.map((p) => p.x), points.map((p) => p.y)];
  dx = clamp(dx, -Math.min(...xs), 1 - Math.max(...xs));
  dy = clamp(dy, -Math.min(...ys), 1 - Math.max(...ys));
  if (!isBox(shape)) return shape.numbers.map((value, i) => round(clamp(value + (i % 2 ? dy : dx), 0, 1)));
  const [x, y, width, height] = shape.numbers;
  return [round(clamp(x + dx, 0, 1 - width)), round(clamp(y + dy, 0, 1 - height)), width, height];
}

// The numbers of a shape one corner of which is dragged to a point.
export function reshaped(shape, corner, to) {
  const point = { x: clamp(to.x, 0, 1), y: clamp(to.y, 0, 1) };
  if (!isBox(shape)) {
    const numbers = [...shape.numbers];
    [numbers[2 * corner], numbers[2 * corner + 1]] = [round(point.x), round(point.y)];
    return numbers;
  }
  const opposite = corners(shape)[(corner + 2) % 4];
  for (const key of ["x", "y"]) {
    if (Math.abs(point[key] - opposite[key]) >= LEAST) continue;
    const sign = corners(shape)[corner][key] < opposite[key] ? -1 : 1;
    point[key] = opposite[key] + sign * LEAST;
  }
  return boxOf(point, opposite);
}

// The numbers of a box whose right and lower edges are moved.
export function resized(shape, dx, dy) {
  if (!isBox(shape)) return shape.numbers;
  const [x, y, width, height] = shape.numbers;
  return [x, y, round(clamp(width + dx, LEAST, 1 - x)), round(clamp(height + dy, LEAST, 1 - y))];
}

export function words(shape) {
  const points = corners(shape);
  const share = (value) => `${Math.round(100 * value)} %`;
  const [left, top] = [Math.min(...points.map((p) => p.x)), Math.min(...points.map((p) => p.y))];
  const [right, bottom] = [Math.max(...points.map((p) => p.x)), Math.max(...points.map((p) => p.y))];
  const where = `${share(left)} from the left, ${share(top)} from the top, ${share(right - left)} wide, ${share(bottom - top)} high`;
  return shape.kind === "region" ? `Region ${shape.name}, ${where}` : `Mask, ${where}`;
}

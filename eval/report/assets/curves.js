"use strict";
// Curves, hulls and BD-rates, as eval/hull.py and eval/bd.py have them.

// [bytes, value] in order of bytes, each value the best that so many bytes have bought.
function runningBest(points, higher) {
  const best = [];
  for (const [size, value] of [...points].sort((a, b) => a[0] - b[0])) {
    const last = best[best.length - 1];
    const kept = last ? (higher ? Math.max(value, last[1]) : Math.min(value, last[1])) : value;
    if (last && last[0] === size) best.pop();
    best.push([size, kept]);
  }
  return best;
}

// Linear in log bytes within a curve, its last value beyond, null before.
function valueAt(curve, size) {
  const count = curve.length;
  if (!count || curve[0][0] > size) return null;
  if (curve[count - 1][0] <= size) return curve[count - 1][1];
  let low = 0, high = count - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (curve[middle][0] <= size) low = middle; else high = middle;
  }
  const [x0, y0] = curve[low], [x1, y1] = curve[high];
  return y0 + Math.log(size / x0) / Math.log(x1 / x0) * (y1 - y0);
}

function bestAt(curves, size, higher) {
  let best = null, whose = -1;
  curves.forEach((curve, i) => {
    const value = valueAt(curve, size);
    if (value !== null && (best === null || (higher ? value > best : value < best))) {
      best = value;
      whose = i;
    }
  });
  return {value: best, whose};
}

// The points that beat every smaller one.
function front(points, higher) {
  const found = [];
  for (const point of [...points].sort((a, b) => a[0] - b[0] || (higher ? b[1] - a[1] : a[1] - b[1]))) {
    const last = found[found.length - 1];
    if (!last || (higher ? point[1] > last[1] : point[1] < last[1])) found.push(point);
  }
  return found;
}

const PER_OCTAVE = 8;

// A hull's own curve: read on a geometric grid of bytes.
function hullCurve(curves, higher) {
  const some = curves.filter((c) => c.length);
  if (!some.length) return [];
  const low = Math.min(...some.map((c) => c[0][0]));
  const high = Math.max(...some.map((c) => c[c.length - 1][0]));
  const steps = Math.ceil(Math.log2(high / low) * PER_OCTAVE);
  const points = [];
  for (let i = 0; i <= steps; i++) {
    const size = i === steps ? high : low * (high / low) ** (i / Math.max(1, steps));
    const {value} = bestAt(some, size * (1 + 1e-12), higher);
    if (value !== null) points.push([size, value]);
  }
  return front(points, higher);
}

// --- BD-rate: PCHIP (Fritsch and Butland's slopes) on the front of both curves ---

function slopes(x, y) {
  const n = x.length, h = [], d = [];
  for (let i = 0; i + 1 < n; i++) {
    h.push(x[i + 1] - x[i]);
    d.push((y[i + 1] - y[i]) / h[i]);
  }
  const inner = (i) => {
    if (d[i - 1] * d[i] <= 0) return 0;
    const a = 2 * h[i] + h[i - 1], b = h[i] + 2 * h[i - 1];
    return (a + b) / (a / d[i - 1] + b / d[i]);
  };
  const edge = (h0, h1, d0, d1) => {
    const slope = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1);
    if (slope * d0 <= 0) return 0;
    return d0 * d1 <= 0 && Math.abs(slope) > 3 * Math.abs(d0) ? 3 * d0 : slope;
  };
  const m = [edge(h[0], h[1], d[0], d[1])];
  for (let i = 1; i + 1 < n; i++) m.push(inner(i));
  m.push(edge(h[n - 2], h[n - 3], d[n - 2], d[n - 3]));
  return m;
}

// Integral of the interpolated y from the first x to `to`.
function integral(x, y, m, to) {
  let sum = 0;
  for (let i = 0; i + 1 < x.length && x[i] < to; i++) {
    const h = x[i + 1] - x[i], t = (Math.min(to, x[i + 1]) - x[i]) / h;
    const t2 = t * t, t3 = t2 * t, t4 = t3 * t;
    sum += h * (y[i] * (t4 / 2 - t3 + t) + y[i + 1] * (t3 - t4 / 2)
      + h * (m[i] * (t4 / 4 - 2 * t3 / 3 + t2 / 2) + m[i + 1] * (t4 / 4 - t3 / 3)));
  }
  return sum;
}

function rateCurve(points, higher) {
  const kept = front(points, higher), sign = higher ? 1 : -1;
  const x = kept.map((p) => sign * p[1]), y = kept.map((p) => Math.log(p[0]));
  return {x, y, m: x.length >= 4 ? slopes(x, y) : null, log: kept.map((p) => [p[0], sign * p[1]])};
}

// Per cent of bytes at equal quality where both spend between `from` and `to` bytes; or null.
function bdRate(anchor, tested, from, to) {
  if (!anchor || !tested || !anchor.m || !tested.m) return null;
  let low = -Infinity, high = Infinity;
  for (const c of [anchor, tested]) {
    const at = (size) => valueAt(c.log, Math.max(size, c.log[0][0]));
    low = Math.max(low, c.x[0], at(from));
    high = Math.min(high, c.x[c.x.length - 1], at(to));
  }
  if (!(low < high)) return null;
  const mean = (c) => (integral(c.x, c.y, c.m, high) - integral(c.x, c.y, c.m, low)) / (high - low);
  return Math.expm1(mean(tested) - mean(anchor)) * 100;
}

// --- over clips ---

function average(values) {
  return values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
}

// 95 % percentile bootstrap interval of the mean; seeded, so that a page always says the same.
function interval(values) {
  if (values.length < 2) return null;
  let seed = 20251;
  const random = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const means = Array.from({length: 1000}, () => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[Math.floor(random() * values.length)];
    return sum / values.length;
  }).sort((a, b) => a - b);
  return [means[25], means[974]];
}

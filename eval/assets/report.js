"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const OURS = "gistcast", MEAN = "mean of all clips";
const COLOURS = {
  "hull, all variants": "#111", "hull, full frame rate": "#111", "x264": "#b8860b",
  "x265": "#8a6d5a", "vp9": "#4f8f7b", "svt-av1": "#8e7cc3",
};
const OUR_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#704214"];
const hidden = new Set();
const select = (id) => document.getElementById(id);

// --- curves, as eval/hull.py has them ---

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

function valueAt(curve, budget) {
  if (!curve.length || curve[0][0] > budget) return null;
  for (let i = 0; i + 1 < curve.length; i++) {
    const [size, value] = curve[i], [nextSize, next] = curve[i + 1];
    if (size <= budget && budget < nextSize) {
      return value + Math.log(budget / size) / Math.log(nextSize / size) * (next - value);
    }
  }
  return curve[curve.length - 1][1];
}

function groups(rows, name) {
  const found = new Map();
  for (const row of rows) {
    const key = name(row);
    if (key === null) continue;
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(row);
  }
  return found;
}

function curvesOf(rows, metric, higher) {
  const byArm = groups(rows, (r) => r.codec + " " + r.arm);
  return [...byArm.values()].map((c) => runningBest(c.map((r) => [r.bytes, r[metric]]), higher));
}

function best(curves, higher, budget) {
  const values = curves.map((c) => valueAt(c, budget)).filter((v) => v !== null);
  return values.length ? (higher ? Math.max(...values) : Math.min(...values)) : null;
}

// Every line of the plot: a name, and which rows it is made of.
function lines(rows) {
  const found = new Map();
  const standard = rows.filter((r) => r.codec !== OURS);
  if (standard.length) {
    found.set("hull, all variants", standard);
    found.set("hull, full frame rate", standard.filter((r) => !r.arm.includes("drop")));
  }
  for (const [name, some] of groups(rows, (r) => r.codec === OURS ? OURS + " " + r.arm : null)) {
    found.set(name, some);
  }
  for (const [name, some] of groups(standard, (r) => r.arm === "full" ? r.codec + " full" : null)) {
    found.set(name, some);
  }
  return found;
}

function isHull(name) { return name.startsWith("hull"); }

function drawn(rows, metric, higher, clip) {
  const clips = clip === MEAN ? [...new Set(rows.map((r) => r.clip))] : [clip];
  const sizes = rows.map((r) => r.bytes).sort((a, b) => a - b);
  const low = Math.log(sizes[0]), high = Math.log(sizes[sizes.length - 1]);
  const grid = Array.from({length: 49}, (_, i) => Math.exp(low + (high - low) * i / 48));
  const result = [];
  for (const [name, some] of lines(rows)) {
    const ofClip = groups(some, (r) => r.clip);
    const byClip = clips.map((c) => ofClip.get(c) || []);
    if (byClip.every((r) => !r.length)) continue;
    if (clips.length === 1 && !isHull(name)) {
      const points = byClip[0].map((r) => ({x: r.bytes, y: r[metric], row: r}));
      result.push({name, points: points.sort((a, b) => a.x - b.x)});
      continue;
    }
    if (name.startsWith(OURS) && byClip.every((r) => r.length === 1)) {
      result.push({name, points: [centre(byClip.flat(), metric)]});
      continue;
    }
    const longest = byClip.map((rows) => rows.reduce((most, r) => Math.max(most, r.bytes), 0));
    const reach = Math.min(...longest);
    const curves = byClip.map((r) => curvesOf(r, metric, higher));
    const points = [];
    for (const x of grid) {
      if (x > reach) break;
      const values = curves.map((c) => best(c, higher, x));
      if (values.every((v) => v !== null)) {
        points.push({x, y: values.reduce((a, b) => a + b, 0) / values.length});
      }
    }
    result.push({name, points});
  }
  return result;
}

// Text or latent alone is one point a clip, not a curve: drawn at the means.
function centre(rows, metric) {
  const mean = (key) => rows.reduce((sum, r) => sum + r[key], 0) / rows.length;
  return {x: mean("bytes"), y: mean(metric)};
}

// --- drawing ---

function colour(name) {
  if (isHull(name)) return COLOURS[name];
  if (!name.startsWith(OURS)) return COLOURS[name.replace(" full", "")] || "#888";
  const arms = [...new Set(data.rows.filter((r) => r.codec === OURS).map((r) => r.arm))];
  return OUR_COLOURS[arms.indexOf(name.slice(OURS.length + 1)) % OUR_COLOURS.length];
}

function element(parent, kind, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}

function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high + 1e-9; t += step) found.push(t);
  return found;
}

function tip(point, name, metric) {
  const figures = [`${name}`, `${Math.round(point.x)} bytes`, `${metric} ${point.y.toFixed(3)}`];
  if (point.row) {
    for (const key of data.metrics) {
      if (key !== metric && typeof point.row[key] === "number") {
        figures.push(`${key} ${point.row[key].toFixed(3)}`);
      }
    }
    figures.push(`point ${point.row.point}`);
  }
  return figures.join("\n");
}

function plot() {
  const metric = select("metric").value, clip = select("clip").value;
  const rows = data.rows.filter((r) => r.size === select("size").value && typeof r[metric] === "number");
  const target = select("plot");
  target.replaceChildren();
  select("legend").replaceChildren();
  if (!rows.length) { target.textContent = "nothing was measured here"; return; }
  const all = drawn(rows, metric, data.higher.includes(metric), clip);
  const shown = all.filter((line) => !hidden.has(line.name) && line.points.length);
  const W = 1000, H = 440, left = 62, right = 16, top = 12, bottom = 44;
  const svg = element(target, "svg", {viewBox: `0 0 ${W} ${H}`, width: "100%", role: "img"});
  const xs = shown.flatMap((l) => l.points.map((p) => p.x)), ys = shown.flatMap((l) => l.points.map((p) => p.y));
  if (xs.length) {
    const x0 = Math.log(Math.min(...xs) * .93), x1 = Math.log(Math.max(...xs) * 1.07);
    const margin = (Math.max(...ys) - Math.min(...ys)) * .05 || 1;
    const y0 = Math.min(...ys) - margin, y1 = Math.max(...ys) + margin;
    const px = (x) => left + (Math.log(x) - x0) / (x1 - x0) * (W - left - right);
    const py = (y) => H - bottom - (y - y0) / (y1 - y0) * (H - top - bottom);
    for (const t of ticks(y0, y1, 7)) {
      element(svg, "line", {class: "grid", x1: left, x2: W - right, y1: py(t), y2: py(t)});
      element(svg, "text", {x: left - 8, y: py(t) + 4, "text-anchor": "end"}, +t.toFixed(4));
    }
    for (const t of [50, 100, 200, 300, 450, 640, 1050, 1500, 2000, 3000, 4500, 7000, 10000, 20000, 50000]) {
      if (Math.log(t) < x0 || Math.log(t) > x1) continue;
      element(svg, "line", {class: "grid", x1: px(t), x2: px(t), y1: top, y2: H - bottom});
      element(svg, "text", {x: px(t), y: H - bottom + 18, "text-anchor": "middle"}, t);
    }
    element(svg, "text", {x: (W + left) / 2, y: H - 6, "text-anchor": "middle"}, "bytes a clip");
    for (const {name, points} of shown) {
      const path = points.map((p, i) => `${i ? "L" : "M"}${px(p.x).toFixed(1)} ${py(p.y).toFixed(1)}`);
      const ours = name.startsWith(OURS);
      element(svg, "path", {
        d: path.join(""), fill: "none", stroke: colour(name),
        "stroke-width": ours || isHull(name) ? 2.5 : 1.3,
        "stroke-dasharray": name === "hull, full frame rate" ? "7 5" : "none",
      });
      for (const p of points) {
        const dot = element(svg, "circle", {
          cx: px(p.x), cy: py(p.y), r: p.row || points.length === 1 ? 4 : 5, fill: colour(name),
          "fill-opacity": p.row || points.length === 1 ? 1 : 0,
        });
        element(dot, "title", {}, tip(p, name, metric));
      }
    }
  }
  for (const {name} of all) legendEntry(name);
}

function legendEntry(name) {
  const button = document.createElement("button");
  const mark = document.createElement("i");
  mark.style.borderTopColor = colour(name);
  if (name === "hull, full frame rate") mark.style.borderTopStyle = "dashed";
  button.append(mark, name);
  button.className = hidden.has(name) ? "off" : "";
  button.onclick = () => { hidden.has(name) ? hidden.delete(name) : hidden.add(name); plot(); };
  select("legend").append(button);
}

function fill(id, values) {
  select(id).replaceChildren(...values.map((v) => new Option(v, v)));
}

function clips() {
  const names = [...new Set(data.rows.filter((r) => r.size === select("size").value).map((r) => r.clip))];
  fill("clip", names.length > 1 ? [MEAN, ...names] : names);
}

fill("size", [...new Set(data.rows.map((r) => r.size))]);
fill("metric", data.metrics);
clips();
select("size").onchange = () => { clips(); plot(); };
select("metric").onchange = select("clip").onchange = plot;
plot();

// --- film strips: the first cell plays all frames of its strip ---

const players = [...document.querySelectorAll(".playing")];
let at = 0;
setInterval(() => {
  at += 1;
  for (const cell of players) {
    const count = Number(cell.dataset.count), width = Number(cell.dataset.width);
    cell.style.backgroundPositionX = `-${at % count * width}px`;
  }
}, 80);

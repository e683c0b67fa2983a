"use strict";
// An SVG plot of lines: log or linear bytes, hover, a shaded range.

const SVG = "http://www.w3.org/2000/svg";

function element(parent, kind, attributes, text) {
  const made = document.createElementNS(SVG, kind);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}

function linearTicks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high + 1e-9; t += step) found.push(t);
  return found;
}

function logTicks(low, high) {
  const found = [];
  for (let power = 1; power < 1e7; power *= 10) {
    for (const m of [1, 2, 5]) if (m * power >= low && m * power <= high) found.push(m * power);
  }
  return found;
}

// options: {metric, log, range: [from, to] or null, budgets, width, height, tip: (point, line) -> html,
// cloud: [{x, y, row}] drawn as faint dots, small: no axis title}
function plot(target, lines, options) {
  target.replaceChildren();
  const W = options.width, H = options.height, left = 48, right = 10, top = 10;
  const bottom = options.small ? 24 : 40;
  const points = [...lines.flatMap((l) => l.points), ...(options.cloud || [])];
  if (!points.length) { target.textContent = "nothing was measured here"; return; }
  const svg = element(target, "svg", {viewBox: `0 0 ${W} ${H}`, width: "100%", role: "img",
    "aria-label": `${options.metric} over bytes a clip`});
  const to = options.log ? Math.log : (x) => x, back = options.log ? Math.exp : (x) => x;
  const xs = points.map((p) => p.x), ys = points.map((p) => p.y);
  const x0 = options.log ? Math.log(Math.min(...xs) * .94) : 0, x1 = to(Math.max(...xs) * (options.log ? 1.06 : 1.03));
  const margin = (Math.max(...ys) - Math.min(...ys)) * .05 || 1;
  const y0 = Math.min(...ys) - margin, y1 = Math.max(...ys) + margin;
  const px = (x) => left + (to(x) - x0) / (x1 - x0) * (W - left - right);
  const py = (y) => H - bottom - (y - y0) / (y1 - y0) * (H - top - bottom);
  if (options.range) {
    const [a, b] = options.range.map((x) => Math.min(W - right, Math.max(left, px(x))));
    element(svg, "rect", {class: "range", x: a, y: top, width: Math.max(0, b - a), height: H - top - bottom});
  }
  for (const t of linearTicks(y0, y1, options.small ? 4 : 7)) {
    element(svg, "line", {class: "grid", x1: left, x2: W - right, y1: py(t), y2: py(t)});
    element(svg, "text", {x: left - 6, y: py(t) + 4, "text-anchor": "end"}, String(+t.toFixed(4)));
  }
  const ticks = options.log ? logTicks(back(x0), back(x1)) : linearTicks(x0, x1, options.small ? 4 : 8);
  for (const t of ticks) {
    element(svg, "line", {class: "grid", x1: px(t), x2: px(t), y1: top, y2: H - bottom});
    element(svg, "text", {x: px(t), y: H - bottom + 16, "text-anchor": "middle"}, t >= 10000 ? `${t / 1000}k` : whole(t));
  }
  if (!options.small) {
    element(svg, "text", {class: "axis", x: (W + left) / 2, y: H - 4, "text-anchor": "middle"}, "bytes a clip");
  }
  for (const p of options.cloud || []) {
    element(svg, "circle", {class: "cloud", cx: px(p.x), cy: py(p.y), r: 1.7, fill: colour(p.name)});
  }
  for (const line of lines) drawLine(svg, line, px, py, options);
  if (options.tip) hover(svg, lines, px, py, options);
}

function drawLine(svg, line, px, py, options) {
  const strong = isOurs(line.name) || isHull(line.name);
  const path = line.points.map((p, i) => `${i ? "L" : "M"}${px(p.x).toFixed(1)} ${py(p.y).toFixed(1)}`);
  element(svg, "path", {d: path.join(""), fill: "none", stroke: colour(line.name),
    "stroke-width": strong ? 2.4 : 1.2, "stroke-opacity": strong ? 1 : .75,
    "stroke-dasharray": dash(line), "stroke-linejoin": "round"});
  for (const p of line.points) {
    if (p.row === undefined && line.points.length > 1 && !line.read) continue;
    element(svg, "circle", {cx: px(p.x), cy: py(p.y), r: options.small ? 2 : strong ? 3.6 : 2.4, fill: colour(line.name)});
  }
}

// The mark nearest to the pointer is ringed and told about.
function hover(svg, lines, px, py, options) {
  const marks = [...lines.flatMap((line) => line.points.map((p) => ({p, line}))),
    ...(options.cloud || []).map((p) => ({p, line: {name: p.name}}))]
    .map((m) => ({...m, x: px(m.p.x), y: py(m.p.y)}));
  const ring = element(svg, "circle", {class: "ring", r: 6, cx: -99, cy: -99});
  const tip = document.getElementById("tip");
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), scale = options.width / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    let best = null, least = 900;
    for (const m of marks) {
      const far = (m.x - x) ** 2 + (m.y - y) ** 2;
      if (far < least) { least = far; best = m; }
    }
    tip.hidden = !best;
    ring.setAttribute("cx", best ? best.x : -99);
    ring.setAttribute("cy", best ? best.y : -99);
    if (!best) return;
    tip.innerHTML = options.tip(best.p, best.line);
    const wide = tip.offsetWidth, high = tip.offsetHeight;
    tip.style.left = `${Math.max(4, Math.min(innerWidth - wide - 4, event.clientX + 14))}px`;
    tip.style.top = `${event.clientY + high + 20 > innerHeight ? event.clientY - high - 12 : event.clientY + 14}px`;
  });
  svg.addEventListener("pointerleave", () => {
    tip.hidden = true;
    ring.setAttribute("cx", -99);
  });
}

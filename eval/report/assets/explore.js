"use strict";
// The parts of the page that follow the choices at its top, and the choices themselves.

const $ = (id) => document.getElementById(id);
const state = {size: "", metric: "", clip: MEAN, ours: "", hull: "", anchor: "", log: true, cloud: false,
  from: 0, to: 0, hidden: new Set()};
const STEPS = 1000;

const escapeHtml = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

function fill(id, values, chosen, labels) {
  $(id).replaceChildren(...values.map((v, i) => new Option(labels ? labels[i] : v, v)));
  if (values.includes(chosen)) $(id).value = chosen;
  return $(id).value;
}

// --- the tip of a mark ---

function tip(point, line) {
  const size = data.sizes[state.size];
  const shown = data.metrics.filter((m) => size.metrics[m.name]);
  if (point.row === undefined) {
    const kind = line.read ? "read from a file, not measured here" : "mean over clips";
    return `<b>${escapeHtml(line.name)}</b><br>${kind}<br>${whole(point.x)} bytes`
      + `<br>${escapeHtml(metricOf(point.metric || state.metric).title)} ${format(point.y, point.metric || state.metric)}`;
  }
  const i = point.row, {codec, name} = curveOf(size, i);
  const clip = size.clip[i], seconds = size.seconds[clip];
  const facts = [`${whole(size.bytes[i])} bytes, ${(size.bytes[i] * 8 / seconds / 1000).toFixed(2)} kbit/s, `
    + `${(size.bytes[i] * 8 / (size.width * size.height * size.frames)).toFixed(4)} bpp`];
  for (const m of shown) facts.push(`${escapeHtml(m.title)} ${format(size.metrics[m.name][i], m.name)}`);
  facts.push(`encoded in ${size.encode[i]} s, decoded in ${size.decode[i]} s`);
  const settings = (size.settings[size.curve[i]] || {})[size.point[i]];
  facts.push(`point ${size.point[i]}${settings ? `: ${escapeHtml(settings)}` : ""}`);
  return `<b>${escapeHtml(name)}</b> on ${escapeHtml(size.clips[clip])}<br>${facts.join("<br>")}`;
}

// --- plots ---

function overview() {
  $("overview").replaceChildren();
  const keep = new Set([...contenders(), ...Object.keys(data.hulls)]);
  for (const {name, title, higher} of data.metrics.filter((m) => m.key && data.sizes[state.size].metrics[m.name])) {
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    caption.innerHTML = `<b>${escapeHtml(title)}</b> ${higher ? "↑ more" : "↓ less"} is better`;
    const canvas = document.createElement("div");
    figure.append(caption, canvas);
    $("overview").append(figure);
    const lines = between(drawn(state.size, name, MEAN)).filter((l) => keep.has(l.name) && !state.hidden.has(l.name));
    lines.forEach((l) => l.points.forEach((p) => { p.metric = name; }));
    plot(canvas, lines, {metric: title, log: true, small: true, width: 380, height: 260, tip});
    figure.onclick = () => { choose("metric", name); $("explorer").scrollIntoView(); };
  }
  legend($("overview-legend"), drawn(state.size, state.metric, MEAN)
    .filter((l) => keep.has(l.name) && l.points.length > 1));
}

// The part of lines around the budgets: what lies far outside would flatten the rest.
function between(lines) {
  const {budgets} = data.sizes[state.size], low = budgets[0] * .8, high = budgets[budgets.length - 1] * 1.25;
  return lines.map((l) => ({...l, points: l.points.filter((p) => p.x >= low && p.x <= high)}));
}

function legend(target, lines) {
  target.replaceChildren(...lines.map((line) => {
    const button = document.createElement("button"), mark = document.createElement("i");
    mark.style.borderTopColor = colour(line.name);
    const kind = dash(line);
    mark.style.borderTopStyle = kind === "none" ? "solid" : kind.startsWith("8") ? "dashed" : "dotted";
    button.append(mark, line.read ? `${line.name} (read)` : line.name);
    button.className = state.hidden.has(line.name) ? "off" : "";
    button.setAttribute("aria-pressed", String(!state.hidden.has(line.name)));
    button.onclick = () => {
      if (!state.hidden.delete(line.name)) state.hidden.add(line.name);
      render();
    };
    return button;
  }));
}

function explorer() {
  const size = data.sizes[state.size], values = size.metrics[state.metric];
  const all = drawn(state.size, state.metric, state.clip);
  const at = size.clips.indexOf(state.clip);
  const cloud = !state.cloud ? [] : size.bytes.map((_, i) => i)
    .filter((i) => values[i] !== null && (at < 0 || size.clip[i] === at))
    .map((i) => ({x: size.bytes[i], y: values[i], row: i, name: curveOf(size, i).name}));
  const narrow = innerWidth < 700;
  plot($("plot"), all.filter((l) => !state.hidden.has(l.name)), {
    metric: metricOf(state.metric).title, log: state.log, range: [state.from, state.to],
    width: narrow ? 480 : 1000, height: narrow ? 380 : 440, cloud, tip,
  });
  legend($("legend"), all);
  $("about").textContent = metricOf(state.metric).about;
}

// --- the range of bytes ---

function ends() {
  const sizes = data.sizes[state.size].bytes;
  return [sizes.reduce((a, b) => Math.min(a, b)), sizes.reduce((a, b) => Math.max(a, b))];
}

function toSlider(bytes) {
  const [low, high] = ends();
  return Math.round(STEPS * Math.log(bytes / low) / Math.log(high / low));
}

function fromSlider(at) {
  const [low, high] = ends();
  return Math.round(low * (high / low) ** (at / STEPS));
}

function setRange(from, to) {
  [state.from, state.to] = [Math.min(from, to), Math.max(from, to)];
  $("from").value = toSlider(state.from);
  $("to").value = toSlider(state.to);
  for (const id of ["from", "to"]) $(id).setAttribute("aria-valuetext", `${state[id]} bytes`);
  const fill = $("range-fill").style;
  fill.left = `${$("from").value / STEPS * 100}%`;
  fill.right = `${100 - $("to").value / STEPS * 100}%`;
  $("range-text").textContent = `${whole(state.from)} to ${whole(state.to)} bytes`;
}

function presets() {
  const b = data.sizes[state.size].budgets, middle = b[b.length >> 1], [low, high] = ends();
  const some = [[b[0], b[b.length - 1]], [b[0], middle], [middle, b[b.length - 1]], [low, high]];
  $("presets").replaceChildren(...some.map(([from, to], i) => {
    const button = document.createElement("button");
    button.textContent = i === 3 ? "everything" : `${whole(from)}–${whole(to)}`;
    button.onclick = () => { setRange(from, to); explorer(); rangeTable(); };
    return button;
  }));
}

function rangeTable() {
  const clips = data.sizes[state.size].clips, {higher} = metricOf(state.metric);
  const at = clips.indexOf(state.clip), chosen = at >= 0 ? [at] : clips.map((_, i) => i);
  const rows = [], all = linesOf(state.size, state.metric);
  for (const [name, byClip] of curvesOf(state.size, state.metric)) {
    if (!isBest(name) && all.get(name).length <= clips.length) continue;  // one size a clip
    const value = (bytes) => {
      const found = chosen.map((c) => bestAt(byClip[c].fronts, bytes, higher).value).filter((v) => v !== null);
      const few = found.length && found.length < chosen.length ? ` <small>(${found.length})</small>` : "";
      return format(average(found), state.metric) + few;
    };
    const each = name === state.anchor ? []
      : bdRates(state.size, state.metric, state.anchor, name, state.from, state.to);
    const bds = chosen.map((c) => each[c] ?? null).filter((v) => v !== null);
    const around = interval(bds), won = bds.filter((v) => v < 0).length, mean = average(bds);
    const kind = mean === null || !around ? "" : around[1] < 0 ? "win" : around[0] > 0 ? "loss" : "";
    const bd = name === state.anchor ? "<i>anchor</i>" : mean === null ? "no overlap"
      : `<span class="${kind}" data-bd="${mean}">${mean > 0 ? "+" : ""}${mean.toFixed(1)} %</span>`
        + (around ? ` <small>[${around.map((v) => v.toFixed(1)).join(", ")}]</small>` : "");
    rows.push(`<tr class="${isOurs(name) ? "ours" : isHull(name) ? "hull" : ""}" data-line="${escapeHtml(name)}">`
      + `<td><i style="border-top-color:${colour(name)}"></i>${escapeHtml(name)}</td>`
      + `<td>${value(state.from)}</td><td>${value(state.to)}</td><td>${bd}</td>`
      + `<td>${bds.length ? `${won}:${bds.length - won}` : ""}</td></tr>`);
  }
  $("range-table").innerHTML = "<thead><tr><th></th>"
    + `<th>at ${whole(state.from)} B</th><th>at ${whole(state.to)} B</th>`
    + `<th>BD-rate in this range</th><th>won:lost</th></tr></thead><tbody>${rows.join("")}</tbody>`;
}

// --- clip by clip ---

let sortBy = {column: -1, down: true};

function clipTable() {
  const size = data.sizes[state.size], {higher} = metricOf(state.metric), sign = higher ? 1 : -1;
  const curves = curvesOf(state.size, state.metric), ours = curves.get(state.ours), theirs = curves.get(state.hull);
  if (!ours || !theirs) { $("clip-table").innerHTML = ""; return; }
  const bds = bdRates(state.size, state.metric, state.hull, state.ours, state.from, state.to);
  const middle = size.budgets[size.budgets.length >> 1];
  const lines = size.clips.map((clip, c) => {
    const gaps = size.budgets.map((budget) => {
      const x = bestAt(ours[c].fronts, budget, higher).value, y = bestAt(theirs[c].fronts, budget, higher).value;
      return x === null || y === null ? null : x - y;
    });
    const {whose} = bestAt(theirs[c].fronts, middle, higher);
    const mean = average(gaps.filter((g) => g !== null));
    return {clip, gaps, bd: bds[c] ?? null, mean, best: whose < 0 ? "" : theirs[c].names[whose]};
  });
  const key = (l) => sortBy.column === -1 ? (l.mean === null ? null : sign * l.mean)
    : sortBy.column === -2 ? l.bd : sortBy.column === -3 ? l.clip : l.gaps[sortBy.column];
  lines.sort((x, y) => {
    const [p, q] = [key(x), key(y)];
    if (p === null || q === null) return (p === null) - (q === null);
    return (p < q ? -1 : p > q ? 1 : 0) * (sortBy.down ? 1 : -1);
  });
  const most = Math.max(1e-9, ...lines.flatMap((l) => l.gaps.filter((g) => g !== null).map(Math.abs)));
  const cell = (gap) => gap === null ? "<td>–</td>"
    : `<td style="--t:${Math.min(1, Math.abs(gap) / most * 1.6).toFixed(2)}" class="${sign * gap > 0 ? "good" : "bad"}">`
      + `${gap > 0 ? "+" : ""}${format(gap, state.metric)}</td>`;
  const body = lines.map((l) => `<tr data-clip="${escapeHtml(l.clip)}" tabindex="0" class="${l.clip === state.clip ? "chosen" : ""}">`
    + `<td>${escapeHtml(l.clip)}</td>${l.gaps.map(cell).join("")}`
    + `<td>${l.bd === null ? "–" : `${l.bd > 0 ? "+" : ""}${l.bd.toFixed(1)} %`}</td><td>${escapeHtml(l.best)}</td></tr>`);
  const head = [["clip", -3], ...size.budgets.map((budget, i) => [whole(budget), i]), ["BD-rate", -2],
    [`theirs at ${whole(middle)} B`, null]];
  $("clip-table").innerHTML = `<thead><tr>${head.map(([text, column]) => column === null ? `<th>${text}</th>`
    : `<th><button data-sort="${column}">${text}</button></th>`).join("")}</tr></thead><tbody>${body.join("")}</tbody>`;
  $("clip-caption").textContent = `${metricOf(state.metric).title}: ${state.ours} minus ${state.hull}, at so many bytes. `
    + "Worst first; a click on a clip shows its curves and its strip.";
}

function clipEvents() {
  const open = (row) => {
    choose("clip", row.dataset.clip);
    showStrip(row.dataset.clip);
    $("explorer").scrollIntoView();
  };
  $("clip-table").onclick = (event) => {
    const button = event.target.closest("button"), row = event.target.closest("tr[data-clip]");
    if (button) {
      const column = Number(button.dataset.sort);
      sortBy = {column, down: sortBy.column === column ? !sortBy.down : true};
      clipTable();
    } else if (row) open(row);
  };
  $("clip-table").onkeydown = (event) => {
    const row = event.target.closest("tr[data-clip]");
    if (row && event.key === "Enter") open(row);
  };
}

// --- everything ---

function boards() {
  for (const part of document.querySelectorAll("[data-size]")) {
    part.hidden = part.dataset.size !== state.size || (part.dataset.who !== undefined && part.dataset.who !== state.ours);
  }
}

function render() {
  boards();
  overview();
  explorer();
  rangeTable();
  clipTable();
}

function choose(what, value) {
  state[what] = value;
  if (what === "size") sizeChosen();
  if ($(what)) $(what).value = value;
  render();
}

function sizeChosen() {
  const size = data.sizes[state.size];
  state.clip = fill("clip", size.clips.length > 1 ? [MEAN, ...size.clips] : size.clips, state.clip);
  const measured = data.metrics.filter((m) => size.metrics[m.name]);
  state.metric = fill("metric", measured.map((m) => m.name), state.metric, measured.map((m) => m.title));
  const lines = curvesOf(state.size, state.metric);
  state.ours = fill("ours", contenders().filter((n) => lines.has(n)), state.ours);
  state.hull = fill("hull", Object.keys(data.hulls).filter((n) => lines.has(n)), state.hull);
  state.anchor = fill("anchor", [...lines.keys()], state.anchor || state.hull);
  setRange(size.budgets[0], size.budgets[size.budgets.length - 1]);
  presets();
}

// #metric=lpips_alex&clip=a.mp4&from=200&to=1050 opens the page there.
function fromHash() {
  const wanted = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  if (wanted.size in data.sizes) { state.size = wanted.size; $("size").value = wanted.size; sizeChosen(); }
  for (const id of ["metric", "clip", "ours", "hull", "anchor"]) {
    if (wanted[id] && [...$(id).options].some((o) => o.value === wanted[id])) $(id).value = state[id] = wanted[id];
  }
  if (wanted.from && wanted.to) setRange(Number(wanted.from), Number(wanted.to));
  if (wanted.log) $("log").checked = state.log = wanted.log === "1";
  if (wanted.cloud) $("cloud").checked = state.cloud = wanted.cloud === "1";
  render();
  if (wanted.clip) showStrip(wanted.clip);
}

async function start() {
  data = await unpack("data");
  for (const name of data.names.single) state.hidden.add(name);
  state.size = fill("size", Object.keys(data.sizes), "");
  state.metric = data.metrics[0].name;
  state.ours = data.names.shown;
  sizeChosen();
  for (const id of ["size", "metric", "clip", "ours", "hull", "anchor"]) {
    $(id).onchange = () => choose(id, $(id).value);
  }
  for (const id of ["log", "cloud"]) $(id).onchange = () => { state[id] = $(id).checked; explorer(); };
  for (const id of ["from", "to"]) {
    $(id).oninput = () => {
      setRange(fromSlider($("from").value), fromSlider($("to").value));
      explorer();
      rangeTable();
      clipTable();
    };
  }
  clipEvents();
  addEventListener("hashchange", fromHash);
  addEventListener("resize", () => explorer());
  fromHash();
  document.body.dataset.ready = "yes";
}

start().catch((error) => { $("plot").textContent = `This page needs a browser of 2023 or newer: ${error}`; });

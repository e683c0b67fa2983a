"use strict";
// What the page knows: columns of rows, and the lines that are drawn from them.

const MEAN = "mean of all clips";
const OUR_COLOURS = ["--a", "--b", "--c", "--d", "--e", "--f", "--g"];
const THEIR_COLOURS = ["--p", "--q", "--r", "--s", "--t", "--u", "--v"];
let data = null;

async function unpack(id) {
  const packed = Uint8Array.from(atob(document.getElementById(id).textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

const groups = (indices, name) => {
  const found = new Map();
  for (const i of indices) {
    const key = name(i);
    if (key === null) continue;
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(i);
  }
  return found;
};

const isHull = (name) => name in data.hulls;
const isBest = (name) => isHull(name) || name in data.names.own;  // made of many curves
const metricOf = (name) => data.metrics.find((m) => m.name === name);

function curveOf(size, i) {
  const [codec, arm, mode] = size.curves[size.curve[i]];
  return {codec, arm, mode, name: `${codec} ${arm}`};
}

// Line name -> row indices, of the rows that have the metric; cached.
const lineCache = new Map();
function linesOf(sizeName, metric) {
  const key = sizeName + " " + metric;
  if (lineCache.has(key)) return lineCache.get(key);
  const size = data.sizes[sizeName], values = size.metrics[metric];
  const all = size.bytes.map((_, i) => i).filter((i) => values[i] !== null);
  const ours = all.filter((i) => curveOf(size, i).codec === data.ours);
  const theirs = all.filter((i) => curveOf(size, i).codec !== data.ours);
  const found = new Map(groups(ours, (i) => curveOf(size, i).name));
  for (const [name, rule] of Object.entries(data.hulls)) {
    const some = theirs.filter((i) => {
      const {codec, arm, mode} = curveOf(size, i);
      return data.standard.includes(codec) && rule.modes.includes(mode) && (rule.dropped || !arm.includes("drop"));
    });
    if (some.length) found.set(name, some);
  }
  for (const [name, codec] of Object.entries(data.names.own)) {
    const some = theirs.filter((i) => curveOf(size, i).codec === codec && curveOf(size, i).mode === "");
    if (some.length) found.set(name, some);
  }
  for (const [name, some] of groups(theirs, (i) => {
    const {arm, name: whole} = curveOf(size, i);
    return ["full", "realtime", "bare"].includes(arm) ? whole : null;
  })) found.set(name, some);
  lineCache.set(key, found);
  return found;
}

// Line name -> clip index -> {fronts, names}: a hull has many curves, anything else one; cached.
const curveCache = new Map();
function curvesOf(sizeName, metric) {
  const key = sizeName + " " + metric;
  if (curveCache.has(key)) return curveCache.get(key);
  const size = data.sizes[sizeName], values = size.metrics[metric], {higher} = metricOf(metric);
  const found = new Map();
  for (const [name, rows] of linesOf(sizeName, metric)) {
    const byClip = size.clips.map(() => ({fronts: [], names: [], points: []}));
    for (const [clip, some] of groups(rows, (i) => size.clip[i])) {
      for (const [curve, few] of groups(some, (i) => curveOf(size, i).name)) {
        const points = few.map((i) => [size.bytes[i], values[i]]);
        byClip[clip].points.push(points);
        byClip[clip].fronts.push(runningBest(points, higher));
        byClip[clip].names.push(curve);
      }
    }
    found.set(name, byClip);
  }
  curveCache.set(key, found);
  return found;
}

// Clip index -> curve for BD-rates; a hull is sampled, and so is what is compared with one; cached.
const rateCache = new Map();
function ratesOf(sizeName, metric, name, sampled) {
  const key = [sizeName, metric, name, sampled].join(" ");
  if (rateCache.has(key)) return rateCache.get(key);
  const {higher} = metricOf(metric);
  const found = (curvesOf(sizeName, metric).get(name) || []).map(({fronts, points}) =>
    fronts.length ? rateCurve(sampled ? hullCurve(fronts, higher) : points[0], higher) : null);
  rateCache.set(key, found);
  return found;
}

// Clip index -> BD-rate of a line against another in the chosen range.
function bdRates(sizeName, metric, anchor, tested, from, to) {
  const sampled = isBest(anchor) || isBest(tested);
  const a = ratesOf(sizeName, metric, anchor, sampled), b = ratesOf(sizeName, metric, tested, sampled);
  return a.map((curve, c) => bdRate(curve, b[c], from, to));
}

// --- lines of a plot: [{name, points: [{x, y, row}], read}] ---

function drawn(sizeName, metric, clip) {
  const size = data.sizes[sizeName], values = size.metrics[metric];
  const at = size.clips.indexOf(clip);
  const found = [];
  for (const [name, byClip] of curvesOf(sizeName, metric)) {
    const rows = linesOf(sizeName, metric).get(name);
    if (at >= 0 && !isBest(name)) {
      const points = rows.filter((i) => size.clip[i] === at)
        .map((i) => ({x: size.bytes[i], y: values[i], row: i})).sort((a, b) => a.x - b.x);
      if (points.length) found.push({name, points});
    } else if (at < 0 && rows.length <= size.clips.length) {
      const mean = (column) => average(rows.map((i) => column[i]));
      found.push({name, points: [{x: mean(size.bytes), y: mean(values)}]});  // one size a clip
    } else {
      found.push({name, points: meanLine(at >= 0 ? [byClip[at]] : byClip, metricOf(metric).higher)});
    }
  }
  for (const one of data.outside) {
    if (!one.values[metric]) continue;
    const pixels = size.width * size.height * size.frames / 8;
    const points = one.bpp.map((bpp, i) => ({x: bpp * pixels, y: one.values[metric][i]}));
    found.push({name: one.name, points: points.sort((a, b) => a.x - b.x), read: true});
  }
  return found.filter((line) => line.points.length);
}

// Mean over clips where every clip has a value: a mean over a changing set would bend by itself.
function meanLine(byClip, higher) {
  const with_ = byClip.filter((c) => c.fronts.length);
  if (!with_.length || with_.length < byClip.length) return [];
  const ends = with_.map((c) => [Math.min(...c.fronts.map((f) => f[0][0])),
    Math.max(...c.fronts.map((f) => f[f.length - 1][0]))]);
  const low = Math.max(...ends.map((e) => e[0])), high = Math.min(...ends.map((e) => e[1]));
  if (low >= high) return [];
  return Array.from({length: 41}, (_, i) => {
    const x = i === 0 ? low : low * (high / low) ** (i / 40);
    return {x, y: average(with_.map((c) => bestAt(c.fronts, x, higher).value))};
  });
}

// --- how a line looks ---

function colour(name) {
  if (isHull(name)) return "var(--ink)";
  const names = data.names;
  const ours = names.ours.indexOf(name);
  if (ours >= 0) return `var(${OUR_COLOURS[ours % OUR_COLOURS.length]})`;
  const codec = names.own[name] || name.split(" ")[0];
  const at = names.codecs.includes(codec) ? names.codecs.indexOf(codec) : names.codecs.length;
  return `var(${THEIR_COLOURS[at % THEIR_COLOURS.length]})`;
}

function dash(line) {
  if (line.read) return "2 3";
  if (line.name.endsWith("full frame rate")) return "8 5";
  if (line.name.includes("real time") || line.name.includes("realtime")) return "2 4";
  return "none";
}

const contenders = () => [...data.names.ours, ...Object.keys(data.names.own)];
const isOurs = (name) => contenders().includes(name);
const format = (value, metric) => value === null || value === undefined ? "–" : value.toFixed(metricOf(metric).digits);
const whole = (value) => Math.round(value).toLocaleString("en");

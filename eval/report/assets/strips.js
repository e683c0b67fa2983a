"use strict";
// Film strips: two codecs under one sliding edge, in step, and every picture as stills.

const strips = JSON.parse(document.getElementById("strips").textContent);
const player = {strip: null, images: new Map(), frame: 0, playing: true, edge: .5, last: 0};
const STILLS = 6;
const at = (id) => document.getElementById(id);

function load(picture) {
  if (!player.images.has(picture)) {
    const image = new Image();
    image.onload = () => { image.ready = true; stills(picture); draw(); };
    image.src = picture.image;
    player.images.set(picture, image);
  }
  return player.images.get(picture);
}

function showStrip(clip) {
  const size = typeof state === "undefined" ? "" : state.size;
  const same = strips.filter((s) => s.clip === clip);
  const found = same.find((s) => s.size === size) || same[0];
  if (found) openStrip(strips.indexOf(found));
}

function openStrip(index) {
  player.strip = strips[index];
  player.frame = 0;
  at("strip").value = index;
  const names = player.strip.pictures.map((p) => p.label);
  for (const [id, wanted] of [["side-a", player.strip.sides[0]], ["side-b", player.strip.sides[1]]]) {
    at(id).replaceChildren(...names.map((name, i) => new Option(name, i)));
    at(id).value = wanted;
  }
  at("frame").max = player.strip.frames.length - 1;
  at("films").replaceChildren(...player.strip.pictures.map((picture, i) => film(picture, i)));
  sides();
}

function film(picture, index) {
  const row = document.createElement("div"), text = document.createElement("div"), canvas = document.createElement("canvas");
  row.className = "film";
  text.innerHTML = `<b></b><span></span>`;
  text.firstChild.textContent = picture.label;
  text.lastChild.textContent = picture.note;
  row.append(text, canvas);
  row.title = "click: show it on the right of the edge";
  row.onclick = () => { at("side-b").value = index; sides(); };
  picture.canvas = canvas;
  load(picture);
  stills(picture);
  return row;
}

// Six frames side by side.
function stills(picture) {
  const image = player.images.get(picture), {canvas} = picture;
  if (!canvas || !image || !image.ready || !player.strip.pictures.includes(picture)) return;
  const {width, height, frames} = player.strip, count = Math.min(STILLS, frames.length);
  const scale = Math.max(1, Math.ceil(96 / width));
  canvas.width = count * width * scale;
  canvas.height = height * scale;
  const context = canvas.getContext("2d");
  for (let i = 0; i < count; i++) {
    const frame = Math.round(i * (frames.length - 1) / Math.max(1, count - 1));
    context.drawImage(image, frame * width, 0, width, height, i * width * scale, 0, width * scale - 2, height * scale);
  }
}

function sides() {
  for (const id of ["side-a", "side-b"]) {
    const picture = player.strip.pictures[at(id).value];
    load(picture);
    at(`${id}-note`).textContent = picture.note || "as it was before coding";
  }
  series();
  draw();
}

function draw() {
  const canvas = at("wipe"), {strip, frame, edge} = player;
  if (!strip) return;
  const [a, b] = ["side-a", "side-b"].map((id) => load(strip.pictures[at(id).value]));
  if (!a.ready || !b.ready) return;
  const scale = Math.max(1, Math.floor(512 / strip.width));
  const w = strip.width * scale, h = strip.height * scale;
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = at("smooth").checked;
  const x = frame * strip.width, cut = Math.round(edge * w);
  context.drawImage(b, x, 0, strip.width, strip.height, 0, 0, w, h);
  context.save();
  context.beginPath();
  context.rect(0, 0, cut, h);
  context.clip();
  context.drawImage(a, x, 0, strip.width, strip.height, 0, 0, w, h);
  context.restore();
  context.fillStyle = "#fff";
  context.fillRect(cut - 1, 0, 2, h);
  context.beginPath();
  context.arc(cut, h / 2, 9, 0, 7);
  context.fill();
  ["side-a", "side-b"].forEach((id, side) => name(context, strip.pictures[at(id).value].label, side, w));
  at("frame").value = frame;
  at("frame-text").textContent = `frame ${strip.frames[frame]}`;
  const cursor = at("series").querySelector(".cursor");
  if (cursor) cursor.setAttribute("d", `M${seriesX(strip.frames[frame])} 0V90`);
}

// What is left and right of the edge, in the picture's upper corners.
function name(context, label, side, width) {
  context.font = "600 15px system-ui, sans-serif";
  const long = context.measureText(label).width + 16;
  context.fillStyle = "#000a";
  context.fillRect(side ? width - long : 0, 0, long, 26);
  context.fillStyle = "#fff";
  context.fillText(label, side ? width - long + 8 : 8, 18);
}

// RGB-PSNR frame by frame of both sides.
let seriesX = () => 0;
function series() {
  const both = ["side-a", "side-b"].map((id) => player.strip.pictures[at(id).value].psnr);
  const values = both.flat().filter((v) => v < 99), target = at("series");
  target.replaceChildren();
  if (!values.length) return;
  const count = Math.max(...both.map((s) => s.length)), low = Math.min(...values), high = Math.max(...values);
  const svg = element(target, "svg", {viewBox: "0 0 512 110", width: "100%"});
  seriesX = (i) => (40 + i / Math.max(1, count - 1) * 466).toFixed(1);
  const y = (v) => (84 - (v - low) / (high - low || 1) * 76).toFixed(1);
  for (const v of [low, high]) element(svg, "text", {x: 34, y: Number(y(v)) + 4, "text-anchor": "end"}, v.toFixed(1));
  both.forEach((some, side) => element(svg, "path", {
    d: some.map((v, i) => `${i ? "L" : "M"}${seriesX(i)} ${y(Math.min(v, high))}`).join(""),
    fill: "none", "stroke-width": 2, stroke: side ? "var(--b)" : "var(--a)"}));
  element(svg, "path", {class: "cursor", d: "", stroke: "var(--soft)"});
  element(svg, "text", {x: 40, y: 106}, "RGB-PSNR of every frame, dB");
}

function play(now) {
  if (!player.playing) return;
  if (now - player.last > 1000 / player.strip.fps) {
    player.last = now;
    player.frame = (player.frame + 1) % player.strip.frames.length;
    draw();
  }
  requestAnimationFrame(play);
}

function startStrips() {
  if (!strips.length) { at("see").hidden = true; return; }
  at("strip").replaceChildren(...strips.map((s, i) => new Option(`${s.clip}, ${s.size}, about ${Math.round(s.budget)} bytes`, i)));
  at("strip").onchange = () => openStrip(Number(at("strip").value));
  at("side-a").onchange = at("side-b").onchange = sides;
  at("smooth").onchange = draw;
  at("play").onclick = () => {
    player.playing = !player.playing;
    at("play").textContent = player.playing ? "Pause" : "Play";
    if (player.playing) requestAnimationFrame(play);
  };
  at("frame").oninput = () => {
    if (player.playing) at("play").click();
    player.frame = Number(at("frame").value);
    draw();
  };
  const drag = (event) => {
    const box = at("wipe").getBoundingClientRect();
    player.edge = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    draw();
  };
  at("wipe").onpointerdown = (event) => { at("wipe").setPointerCapture(event.pointerId); drag(event); };
  at("wipe").onpointermove = (event) => { if (event.buttons) drag(event); };
  openStrip(0);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) at("play").click();
  requestAnimationFrame(play);
}

startStrips();

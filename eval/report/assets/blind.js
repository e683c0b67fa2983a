"use strict";
// A blind sheet: one pair after the other, in step; answers stay on the page until they are saved.

const trials = JSON.parse(document.getElementById("trials").textContent);
const SIDES = ["left", "source", "right"];
const $ = (id) => document.getElementById(id);
const escapeHtml = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const state = {at: 0, began: 0, images: {}, answers: []};

function open(index) {
  state.at = index;
  state.began = performance.now();
  const trial = trials[index];
  for (const side of SIDES) {
    state.images[side] = new Image();
    state.images[side].src = trial[side].webp;
    const scale = Math.max(1, Math.round(384 / trial.width));
    $(side).width = trial.width * scale;
    $(side).height = trial.height * scale;
  }
  $("progress").textContent = `${index + 1} of ${trials.length}`;
  document.querySelector("#bar div").style.width = `${100 * index / trials.length}%`;
}

function draw() {
  if (state.at < trials.length) {
    const {width, height, frames, fps} = trials[state.at];
    const frame = Math.floor((performance.now() - state.began) / 1000 * fps) % frames;
    for (const side of SIDES) {
      const image = state.images[side], canvas = $(side);
      if (!image.complete || !image.naturalWidth) continue;
      const context = canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(image, frame * width, 0, width, height, 0, 0, canvas.width, canvas.height);
    }
  }
  requestAnimationFrame(draw);
}

function choose(side) {
  if (state.at >= trials.length) return;
  const trial = trials[state.at];
  const seconds = Math.round((performance.now() - state.began) / 100) / 10;
  state.answers.push({clip: trial.clip, chosen: side, ours: trial.ours === side, seconds,
    left: trial.left.who, right: trial.right.who});
  if (state.at + 1 < trials.length) open(state.at + 1);
  else finish();
}

// Two-sided: how often chance alone is at least as one-sided as this.
function chance(wins, count) {
  let sum = 0, ways = 1;
  for (let k = 0; k <= count; k++) {
    if (Math.abs(k - count / 2) >= Math.abs(wins - count / 2) - 1e-9) sum += ways;
    ways = ways * (count - k) / (k + 1);
  }
  return Math.min(1, sum / 2 ** count);
}

function finish() {
  state.at = trials.length;
  const wins = state.answers.filter((a) => a.ours).length, count = trials.length;
  $("trial").hidden = true;
  $("trial").style.display = "none";
  $("outcome").hidden = false;
  document.querySelector("#bar div").style.width = "100%";
  $("verdict").textContent = `gistcast was chosen in ${wins} of ${count} clips`;
  $("chance").textContent = `Chance alone is as one-sided with probability ${chance(wins, count).toPrecision(2)}.`;
  const rows = state.answers.map((answer, i) => {
    const trial = trials[i], [ours, theirs] = trial.ours === "left" ? [trial.left, trial.right] : [trial.right, trial.left];
    return `<tr><td>${escapeHtml(answer.clip)}</td><td class="${answer.ours ? "win" : "loss"}">${answer.ours ? "gistcast" : escapeHtml(theirs.who)}</td>`
      + `<td>${answer.seconds} s</td><td>${escapeHtml(ours.note)}</td><td>${escapeHtml(theirs.who)}: ${escapeHtml(theirs.note)}</td></tr>`;
  });
  $("answers").innerHTML = "<thead><tr><th>clip</th><th>chosen</th><th>after</th><th>gistcast</th><th>standard</th></tr></thead>"
    + `<tbody>${rows.join("")}</tbody>`;
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(state.answers, null, 1)], {type: "application/json"}));
  link.download = "blind.json";
  link.click();
}

for (const side of ["left", "right"]) $(`choose-${side}`).onclick = () => choose(side);
document.onkeydown = (event) => {
  if (event.key === "ArrowLeft") choose("left");
  if (event.key === "ArrowRight") choose("right");
};
$("save").onclick = save;
$("again").onclick = () => location.reload();
open(0);
draw();

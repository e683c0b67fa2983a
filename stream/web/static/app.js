// The page: video by WHEP, what happens by JSON lines, controls by POST. No library, no build.

import { bars, colour, lanes, legend, lines } from "/static/plots.js";

const byId = (id) => document.getElementById(id);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const KEPT = 200; // clips

let token = new URLSearchParams(location.hash.slice(1)).get("token") || sessionStorage.getItem("token");
let views = [];
let clips = [];
let state = {};
let clock = 0; // our time at the stream's time 0

const authorised = (headers = {}) => (token ? { ...headers, Authorization: `Bearer ${token}` } : headers);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// --- video ---------------------------------------------------------------------------------

function buildStage() {
  byId("stage").replaceChildren(...views.map((view, index) => {
    const video = element("video", { autoplay: true, muted: true, playsInline: true });
    video.id = `v-${view.name}`;
    video.setAttribute("aria-label", view.title);
    video.onresize = () => { video.style.aspectRatio = `${video.videoWidth} / ${video.videoHeight}`; };
    return element("figure", { className: index ? "view" : "view main", id: `view-${view.name}` },
      element("figcaption", {}, view.title, element("span", { className: "kbps" })),
      video,
      element("div", { className: "wait" }, element("span", {}, "waiting for the stream")));
  }));
  // left to right: source, ours, the rival; ours is the first track
  const source = byId("view-source");
  if (source) byId("stage").prepend(source);
}

function hideWithoutSource() {
  const known = views.some((view) => view.name === "source");
  byId("p-psnr").closest("figure").hidden = byId("n-psnr").closest("div").hidden = !known;
}

async function watch() {
  for (;;) {
    try {
      await watchOnce();
    } catch (problem) {
      console.warn(problem);
    }
    setStatus("connecting", "");
    await pause(1000);
  }
}

async function watchOnce() {
  const peer = new RTCPeerConnection();
  const tracks = views.map(() => peer.addTransceiver("video", { direction: "recvonly" }));
  peer.ontrack = ({ track, transceiver }) => {
    const video = byId(`v-${views[tracks.indexOf(transceiver)].name}`);
    video.srcObject = new MediaStream([track]);
    video.play().catch(() => {});
  };
  let session;
  try {
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    const response = await fetch("/whep", {
      method: "POST", body: peer.localDescription.sdp,
      headers: authorised({ "Content-Type": "application/sdp" }),
    });
    if (!response.ok) throw new Error(`WHEP: ${response.status} ${await response.text()}`);
    session = response.headers.get("Location");
    await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    await ended(peer);
  } finally {
    if (session) fetch(session, { method: "DELETE", headers: authorised(), keepalive: true }).catch(() => {});
    peer.close();
  }
}

const gathered = (peer) => Promise.race([pause(1500), new Promise((done) => {
  if (peer.iceGatheringState === "complete") done();
  peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done();
})]);

const ended = (peer) => new Promise((done) => {
  peer.onconnectionstatechange = () => {
    if (["failed", "disconnected", "closed"].includes(peer.connectionState)) done();
  };
});

// --- what happens --------------------------------------------------------------------------

async function follow() {
  for (;;) {
    try {
      const response = await fetch("/api/live", { headers: authorised() });
      if (response.status === 401) return askForToken();
      if (!response.ok) throw new Error(`/api/live: ${response.status}`);
      clips = [];
      await readLines(response.body, take);
    } catch (problem) {
      console.warn(problem);
    }
    setStatus("server is gone", "off");
    await pause(1000);
  }
}

async function readLines(body, use) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) use(JSON.parse(part));
  }
}

function take(news) {
  if (news.views) {
    if (!views.length) {
      views = news.views;
      buildStage();
      hideWithoutSource();
      watch();
    }
    buildControls(news.controls);
    return;
  }
  state = news.state;
  if (news.clips.length) {
    clips = clips.concat(news.clips).slice(-KEPT);
    // clips come a little early or late; the plots move evenly
    const seen = performance.now() / 1000 - clips.at(-1).at;
    clock = Math.abs(seen - clock) > 2 ? seen : 0.9 * clock + 0.1 * seen;
  }
  showValues(state.values);
  showState();
  showNumbers();
}

function setStatus(text, kind) {
  byId("status").textContent = text;
  byId("status").dataset.state = kind;
}

function showState() {
  if (state.live) setStatus(`live, ${state.description || ""}`.replace(/, $/, ""), "live");
  else setStatus(state.preparing ? "preparing" : "waiting for a sender", "");
  for (const view of views) {
    const figure = byId(`view-${view.name}`);
    const wait = figure.querySelector(".wait");
    wait.hidden = state.live && clips.length > 0;
    const shown = state.preparing || "";
    if (wait.dataset.shown !== String(shown)) {
      wait.dataset.shown = shown;
      wait.replaceChildren(element("span", {}, shown ? shown.text : "waiting for the stream"));
      if (shown) wait.append(element("progress", { value: shown.done, max: shown.of }));
    }
    const rate = (state.rates || {})[view.name];
    figure.querySelector(".kbps").textContent = rate ? `${rate.toFixed(1)} kbit/s` : "";
  }
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function showNumbers() {
  const last = clips.slice(-8);
  if (!last.length) return;
  const put = (id, value, unit = "") =>
    byId(id).replaceChildren(value, ...(unit ? [element("small", {}, ` ${unit}`)] : []));
  const sizes = last.map((clip) => Object.values(clip.layers).reduce((sum, n) => sum + n, 0));
  const seconds = last.reduce((sum, clip) => sum + clip.seconds, 0);
  put("n-kbps", (sizes.reduce((a, b) => a + b, 0) * 8e-3 / seconds).toFixed(1), "kbit/s");
  put("n-bytes", Math.round(mean(sizes)).toString(), "bytes");
  const psnr = last.map((clip) => clip.psnr.gistcast).filter(Boolean);
  const other = last.map((clip) => clip.psnr.x264).filter(Boolean);
  put("n-psnr", psnr.length ? mean(psnr).toFixed(1) : "–",
    other.length ? `x264 ${mean(other).toFixed(1)}` : "");
  const delays = last.map((clip) => clip.delay_ms).filter((value) => value !== null);
  put("n-delay", delays.length ? Math.max(0, mean(delays)).toFixed(0) : "–", "ms");
  const total = state.whole + state.partial + state.concealed;
  put("n-whole", total ? `${(100 * state.whole / total).toFixed(0)}` : "–", `% of ${total}`);
  put("n-partial", `${state.partial} / ${state.concealed}`);
  put("n-stalls", String(state.stalls));
  put("n-viewers", String(state.viewers));
}

function draw() {
  const now = performance.now() / 1000 - clock;
  if (clips.length) {
    const names = [...new Set(clips.flatMap((clip) => Object.keys(clip.layers)))].sort(layerOrder);
    const palette = ["--fourth", "--accent", "--third", "--second", "--fifth", "--bad"].map(colour);
    const layers = names.map((name, index) => ({ name, label: name, colour: palette[index % palette.length] }));
    bars(byId("p-rate"), clips, now, layers);
    legend(byId("l-rate"), layers);
    const scored = views.map((view, index) => ({
      label: view.title, colour: colour(index ? "--second" : "--accent"),
      points: clips.filter((clip) => clip.psnr[view.name]).map((clip) => [clip.at, clip.psnr[view.name]]),
    })).filter((one) => one.points.length);
    lines(byId("p-psnr"), scored, now);
    legend(byId("l-psnr"), scored);
    const delay = [{
      label: "first message to clip complete", colour: colour("--third"),
      points: clips.filter((clip) => clip.delay_ms !== null).map((clip) => [clip.at, Math.max(0, clip.delay_ms)]),
    }, {
      label: "decode and draw", colour: colour("--fourth"),
      points: clips.map((clip) => [clip.at, clip.decode_ms]),
    }];
    lines(byId("p-delay"), delay, now, 0);
    legend(byId("l-delay"), delay);
    lanes(byId("p-state"), clips, now, [
      { name: "whole", label: "whole", colour: colour("--good") },
      { name: "partial", label: "some layers", colour: colour("--fair") },
      { name: "concealed", label: "lost: held", colour: colour("--bad") },
      { name: "skipped", label: "drawn too late", colour: colour("--soft") },
    ]);
  }
  setTimeout(() => requestAnimationFrame(draw), 100);
}

const RANKS = ["text", "latent", "residual", "video"];
const layerOrder = (a, b) => {
  const rank = (name) => RANKS.indexOf(name.split(" ")[0]) * 100 + Number(name.split(" ")[1] || 0);
  return rank(a) - rank(b);
};

// --- controls ------------------------------------------------------------------------------

function buildControls(controls) {
  byId("controls").replaceChildren(...controls.map((one) =>
    element("div", { className: "control" }, one.kind === "slider" ? slider(one) : choice(one),
      element("small", {}, one.help))));
}

function slider(one) {
  const input = element("input", { type: "range", id: `c-${one.name}`, min: one.low, max: one.high, step: one.step });
  const output = element("output");
  output.htmlFor = input.id;
  input.show = () => {
    output.textContent = (one.marks || {})[input.value] || `${input.value} ${one.unit}`.trim();
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.oninput = input.show;
  input.onchange = () => choose(one.name, Number(input.value));
  const label = element("label", {}, one.label, output);
  label.htmlFor = input.id;
  return element("div", {}, label, input);
}

function choice(one) {
  const group = element("fieldset", { id: `c-${one.name}` }, element("legend", {}, one.label));
  const row = element("div", { className: "choices" });
  for (const option of one.options) {
    const input = element("input", { type: "radio", name: one.name, value: option });
    input.onchange = () => choose(one.name, option);
    row.append(element("label", {}, input, option));
  }
  group.append(row);
  return group;
}

async function choose(name, value) {
  const response = await fetch("/api/control", {
    method: "POST", body: JSON.stringify({ name, value }),
    headers: authorised({ "Content-Type": "application/json" }),
  });
  if (!response.ok) console.warn(await response.text());
}

function showValues(values) {
  for (const [name, value] of Object.entries(values)) {
    const control = byId(`c-${name}`);
    if (!control || control.contains(document.activeElement) && control.matches(":active")) continue;
    if (control.show) {
      if (!control.matches(":active")) control.value = value;
      control.show();
    } else {
      control.querySelector(`input[value="${value}"]`).checked = true;
    }
  }
}

// --- the rest ------------------------------------------------------------------------------

function askForToken() {
  setStatus("token needed", "off");
  byId("login").hidden = false;
  byId("login").onsubmit = (event) => {
    event.preventDefault();
    token = byId("token").value;
    sessionStorage.setItem("token", token);
    byId("login").hidden = true;
    follow();
  };
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
}

setTheme(localStorage.getItem("theme") ||
  (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark"));
byId("theme").onclick = () =>
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
follow();
draw();

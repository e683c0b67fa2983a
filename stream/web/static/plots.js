// Small plots on canvas: bars by layer, lines, and a strip of states, over the last minute.

const SPAN = 60; // seconds shown

export const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "11px system-ui, sans-serif";
  return { pen, width, height };
}

function niceStep(range) {
  const rough = range / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= rough);
}

function axes({ pen, width, height }, low, high) {
  const left = 44, bottom = 4, top = 6;
  const y = (value) => height - bottom - ((value - low) / (high - low)) * (height - bottom - top);
  const step = niceStep(high - low);
  pen.fillStyle = colour("--soft");
  pen.strokeStyle = colour("--grid");
  pen.lineWidth = 1;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (let value = Math.ceil(low / step) * step; value <= high + 1e-9; value += step) {
    pen.beginPath();
    pen.moveTo(left, Math.round(y(value)) + 0.5);
    pen.lineTo(width, Math.round(y(value)) + 0.5);
    pen.stroke();
    pen.fillText(String(+value.toFixed(6)), left - 6, Math.min(height - 7, Math.max(7, y(value))));
  }
  return { left, y };
}

const xOf = (left, width, now) => (at) => width - ((now - at) / SPAN) * (width - left);

export function bars(canvas, clips, now, layers) {
  const area = prepare(canvas);
  const total = (clip) =>
    Object.values(clip.layers).reduce((sum, n) => sum + n, 0) * 8e-3 / clip.seconds;
  const high = Math.max(4, ...clips.map(total)) * 1.1;
  const { left, y } = axes(area, 0, high);
  const x = xOf(left, area.width, now);
  for (const clip of clips) {
    const end = x(clip.at), start = Math.max(left, x(clip.at - clip.seconds));
    if (end <= left) continue;
    let level = 0;
    for (const layer of layers) {
      const kbps = (clip.layers[layer.name] || 0) * 8e-3 / clip.seconds;
      area.pen.fillStyle = layer.colour;
      area.pen.fillRect(start + 1, y(level + kbps), Math.max(1, end - start - 2), y(level) - y(level + kbps));
      level += kbps;
    }
  }
}

export function lines(canvas, series, now, floor) {
  const area = prepare(canvas);
  const values = series.flatMap((one) => one.points.map((point) => point[1]));
  if (!values.length) {
    area.pen.fillStyle = colour("--soft");
    area.pen.fillText("not known: the source is not here", 8, area.height / 2);
    return;
  }
  let low = Math.min(...values), high = Math.max(...values);
  const room = Math.max(1, (high - low) * 0.2);
  low = floor === undefined ? low - room : floor;
  high += room;
  const { left, y } = axes(area, low, high);
  const x = xOf(left, area.width, now);
  for (const one of series) {
    area.pen.strokeStyle = one.colour;
    area.pen.lineWidth = 2;
    area.pen.lineJoin = "round";
    area.pen.beginPath();
    let drawing = false;
    for (const [at, value] of one.points) {
      if (x(at) < left) continue;
      if (drawing) area.pen.lineTo(x(at), y(value));
      else area.pen.moveTo(x(at), y(value));
      drawing = true;
    }
    area.pen.stroke();
    area.pen.fillStyle = one.colour;
    for (const [at, value] of one.points) {
      if (x(at) < left) continue;
      area.pen.beginPath();
      area.pen.arc(x(at), y(value), 2.4, 0, 7);
      area.pen.fill();
    }
  }
}

export function lanes(canvas, clips, now, states) {
  const area = prepare(canvas), left = 110;
  const x = xOf(left, area.width, now), tall = area.height / states.length;
  area.pen.textAlign = "left";
  area.pen.textBaseline = "middle";
  states.forEach((state, lane) => {
    const middle = (lane + 0.5) * tall;
    area.pen.fillStyle = colour("--soft");
    area.pen.fillText(state.label, 0, middle);
    area.pen.fillStyle = colour("--grid");
    area.pen.fillRect(left, Math.round(middle), area.width - left, 1);
    area.pen.fillStyle = state.colour;
    for (const clip of clips) {
      const end = x(clip.at), start = Math.max(left, x(clip.at - clip.seconds));
      if (clip.state !== state.name || end <= left) continue;
      area.pen.beginPath();
      area.pen.roundRect(start + 1, middle - tall * 0.32, Math.max(1, end - start - 2), tall * 0.64, 4);
      area.pen.fill();
    }
  });
}

export function legend(list, items) {
  const wanted = items.map((item) => item.colour + item.label).join();
  if (list.dataset.shown === wanted) return;
  list.dataset.shown = wanted;
  list.replaceChildren(...items.map((item) => {
    const entry = document.createElement("li"), dot = document.createElement("i");
    dot.style.background = item.colour;
    entry.append(dot, item.label);
    return entry;
  }));
}

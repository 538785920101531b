// The timeline: lanes for moments and switches, then a row per track. It is drawn once; a frame
// then only moves the cursor.
const LANE = 26, AXIS = 24;

const laneNames = () => ["Moments", ...(data.evaluated ? ["Switches"] : [])];

const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function drawTimeline(video, width, ratio) {
  const lanes = laneNames(), rows = video.rows;
  const height = (lanes.length + rows.length) * LANE + AXIS;
  const sheet = document.createElement("canvas");
  sheet.width = Math.round(width * ratio);
  sheet.height = Math.round(height * ratio);
  const pen = sheet.getContext("2d");
  pen.scale(ratio, ratio);
  const across = position => (position + 0.5) / video.frames.length * width;
  pen.fillStyle = color("--soft");
  for (let lane = 0; lane < lanes.length + rows.length; lane++) {
    pen.fillRect(0, lane * LANE + 2, width, LANE - 4);
  }
  rows.forEach((row, i) => drawRow(pen, video, row, (lanes.length + i) * LANE, width));
  drawLeftOut(pen, video, height - AXIS, width);
  drawMoments(pen, video, lanes.length, across);
  if (data.evaluated) drawSwitches(pen, video, lanes.length, across);
  drawAxis(pen, video, height, width, across);
  return { sheet, height, ink: color("--ink"), mark: color("--best-line") };
}

// Where the animal is found, the row is filled up to the confidence.
function drawRow(pen, video, row, top, width) {
  const step = width / video.columns, high = LANE - 6;
  pen.fillStyle = row.track >= 0 ? data.tracks[row.track].color : color("--accent");
  for (let i = 0; i < video.columns; i++) {
    if (!row.found[i]) continue;
    const part = row.track >= 0 ? row.sure[i] : row.found[i];
    const filled = Math.max(2, high * part / 255);
    pen.globalAlpha = row.found[i] === 255 ? 1 : 0.35 + 0.5 * row.found[i] / 255;
    const left = Math.floor(i * step);
    pen.fillRect(left, top + 3 + high - filled, Math.max(1, Math.floor((i + 1) * step) - left), filled);
  }
  pen.globalAlpha = 1;
}

// Frames that the page does not hold are dimmed.
function drawLeftOut(pen, video, height, width) {
  const n = video.frames.length, held = video.positions;
  if (held.length === n) return;
  pen.fillStyle = color("--page") || "#fff";
  pen.globalAlpha = 0.65;
  const dim = (from, to) => {
    if (to > from) pen.fillRect(from / n * width, 0, (to - from) / n * width, height);
  };
  for (let i = 0; i < held.length; i++) dim(i ? held[i - 1] + 1 : 0, held[i]);
  dim(held.length ? held[held.length - 1] + 1 : 0, n);
  pen.globalAlpha = 1;
}

function drawMoments(pen, video, lanes, across) {
  const own = data.moments.filter(moment => moment.video === video.number).reverse();
  for (const moment of own) {
    const x = across(nearest(video.frames, moment.frame));
    const from = across(nearest(video.frames, moment.first));
    const to = across(nearest(video.frames, moment.last));
    pen.fillStyle = color("--bad");
    pen.globalAlpha = 0.5 + 0.5 * moment.probability;
    const high = 8 + (LANE - 15) * moment.probability;
    pen.fillRect(x - 1.25, LANE - 4 - high, 2.5, high);
    pen.beginPath();
    pen.arc(x, LANE - 4 - high, 3, 0, 2 * Math.PI);
    pen.fill();
    video.rows.forEach((row, i) => {
      if (!moment.tracks.includes(row.track)) return;
      pen.fillRect(from - 1.5, (lanes + i) * LANE + LANE - 3, Math.max(3, to - from + 3), 2);
    });
  }
  pen.globalAlpha = 1;
}

function drawSwitches(pen, video, lanes, across) {
  const rowOf = name => video.rows.findIndex(
    row => row.track >= 0 && data.tracks[row.track].name === name);
  const own = data.switches.filter(change => change.video === video.number);
  pen.fillStyle = color("--muted");
  pen.font = "12px system-ui, sans-serif";
  if (!own.length) pen.fillText("none", 6, 1.5 * LANE + 4);
  pen.fillStyle = pen.strokeStyle = color("--ink");
  pen.lineWidth = 1.5;
  for (const change of own) {
    const x = across(nearest(video.frames, change.frame)), y = 1.5 * LANE;
    pen.beginPath();
    pen.moveTo(x, y - 6); pen.lineTo(x + 5, y); pen.lineTo(x, y + 6); pen.lineTo(x - 5, y);
    pen.fill();
    const ends = [rowOf(change.from), rowOf(change.to)].filter(row => row >= 0)
      .map(row => (lanes + row + 0.5) * LANE);
    if (ends.length < 2) continue;
    pen.beginPath();
    pen.moveTo(x, ends[0]);
    pen.lineTo(x, ends[1]);
    pen.stroke();
  }
}

function drawAxis(pen, video, height, width, across) {
  const n = video.frames.length;
  const ticks = Math.max(1, Math.floor(width / 110));
  const rough = n / ticks, power = 10 ** Math.floor(Math.log10(Math.max(1, rough)));
  const step = Math.max(1, [1, 2, 5, 10].map(k => k * power).find(k => k >= rough));
  pen.fillStyle = color("--muted");
  pen.font = "12px system-ui, sans-serif";
  for (let position = 0; position < n; position += step) {
    const x = across(position), text = video.frames[position].toLocaleString("en");
    const half = pen.measureText(text).width / 2;
    pen.textAlign = "center";
    pen.fillRect(x - 0.5, height - AXIS + 2, 1, 4);
    if (x + half <= width) pen.fillText(text, Math.max(half, x), height - 5);
  }
}

function timeline(canvas, seek) {
  let drawn = null, video = null, width = 0, ratio = 1, place = 0, marked = -1;
  const across = position => (position + 0.5) / video.frames.length * width;
  const cursor = () => {
    const pen = canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(drawn.sheet, 0, 0);
    pen.scale(ratio, ratio);
    if (marked >= 0) {
      const x = across(video.positions[marked]);
      pen.fillStyle = drawn.mark;
      pen.beginPath();
      pen.moveTo(x - 6, 0); pen.lineTo(x + 6, 0); pen.lineTo(x, 8);
      pen.fill();
    }
    const x = across(video.positions[place]);
    pen.fillStyle = drawn.ink;
    pen.fillRect(Math.round(x) - 1, 0, 2, drawn.height - AXIS + 4);
    canvas.setAttribute("aria-valuenow", frameAt(video, place));
  };
  const at = event => {
    const box = canvas.getBoundingClientRect();
    const position = (event.clientX - box.left) / box.width * video.frames.length - 0.5;
    seek(nearest(video.positions, position));
  };
  canvas.addEventListener("pointerdown", event => {
    canvas.setPointerCapture(event.pointerId);
    at(event);
  });
  canvas.addEventListener("pointermove", event => { if (event.buttons & 1) at(event); });
  return {
    draw(shown) {
      video = shown;
      ratio = window.devicePixelRatio || 1;
      width = canvas.parentElement.clientWidth
        - canvas.previousElementSibling.getBoundingClientRect().width - 10;
      drawn = drawTimeline(video, width, ratio);
      canvas.width = drawn.sheet.width;
      canvas.height = drawn.sheet.height;
      canvas.style.height = drawn.height + "px";
      canvas.setAttribute("aria-valuemax", frameAt(video, video.positions.length - 1));
      place = Math.min(place, video.positions.length - 1);
      marked = -1;
      cursor();
    },
    move(to, moment) { place = to; marked = moment; if (drawn) cursor(); },
  };
}

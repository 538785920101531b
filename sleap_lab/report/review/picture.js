// The picture: a frame of the film, and over it poses, ground truth, and the animals of a moment.
const PARTS = 32, MISSING = -32768;

// Half sides of the part of the film that is seen, and its centre, film px.
function viewOf(video, zoom, center) {
  const [width, height] = video.size;
  if (zoom === 1 || !center) return { x: 0, y: 0, zoom: 1 };
  const clip = (middle, side) => Math.max(0, Math.min(side - side / zoom, middle - side / zoom / 2));
  return { x: clip(center[0], width), y: clip(center[1], height), zoom };
}

function eachPose(poses, place, nodes, visit) {
  for (let row = poses.start[place]; row < poses.start[place + 1]; row++) {
    const points = [];
    for (let node = 0; node < nodes; node++) {
      const x = poses.xy[2 * (row * nodes + node)], y = poses.xy[2 * (row * nodes + node) + 1];
      points.push(x === MISSING ? null : [x / PARTS, y / PARTS]);
    }
    visit(points, poses.track[row], row - poses.start[place]);
  }
}

// Mean place of the poses of some tracks, or of all poses, in a frame, film px; of the first of them
// alone where they do not fit into the part of the film that is seen.
function centerOf(video, place, tracks, zoom) {
  const all = [], first = [];
  eachPose(video.poses, place, data.skeleton.nodes.length, (points, track) => {
    if (tracks.length && !tracks.includes(track)) return;
    const seen = points.filter(Boolean);
    all.push(...seen);
    if (track === tracks[0]) first.push(...seen);
  });
  if (!all.length) return null;
  const fits = [0, 1].every(axis => {
    const along = all.map(point => point[axis]);
    return Math.max(...along) - Math.min(...along) <= video.size[axis] / zoom;
  });
  const chosen = fits || !first.length ? all : first;
  return [0, 1].map(axis => chosen.reduce((sum, point) => sum + point[axis], 0) / chosen.length);
}

// How close a look may be, as an index of zooms: an animal of usual length takes less than half of
// the picture. Poses of a single node have no length.
function closenessOf(video, zooms) {
  const shares = [], places = video.positions.length, stride = Math.ceil(places / 500);
  for (let place = 0; place < places; place += stride) {
    eachPose(video.poses, place, data.skeleton.nodes.length, points => {
      const seen = points.filter(Boolean);
      if (seen.length > 1) shares.push(Math.max(...[0, 1].map(axis => {
        const along = seen.map(point => point[axis]);
        return (Math.max(...along) - Math.min(...along)) / video.size[axis];
      })));
    });
  }
  const usual = shares.sort((a, b) => a - b)[shares.length >> 1] ?? 1;
  return Math.max(0, zooms.filter(zoom => zoom * usual < 0.45).length - 1);
}

// Where an animal was one frame before, and how each of its nodes moved since.
function drawBefore(pen, before, points, color) {
  pen.strokeStyle = color;
  pen.lineWidth = 1.5;
  pen.globalAlpha = 0.8;
  pen.beginPath();
  for (let node = 0; node < points.length; node++) {
    if (!before[node] || !points[node]) continue;
    pen.moveTo(before[node][0], before[node][1]);
    pen.lineTo(points[node][0], points[node][1]);
  }
  pen.stroke();
  pen.setLineDash([4, 3]);
  pen.beginPath();
  for (const [a, b] of data.skeleton.edges) {
    if (!before[a] || !before[b]) continue;
    pen.moveTo(before[a][0], before[a][1]);
    pen.lineTo(before[b][0], before[b][1]);
  }
  pen.stroke();
  pen.setLineDash([]);
  pen.globalAlpha = 1;
}

function drawPose(pen, points, color, layers) {
  pen.strokeStyle = color;
  pen.lineWidth = 2;
  pen.beginPath();
  for (const [a, b] of data.skeleton.edges) {
    if (points[a] && points[b]) {
      pen.moveTo(points[a][0], points[a][1]);
      pen.lineTo(points[b][0], points[b][1]);
    }
  }
  pen.stroke();
  if (!layers.nodes) return;
  pen.fillStyle = color;
  pen.strokeStyle = "#10141880";
  pen.lineWidth = 1;
  for (const point of points) {
    if (!point) continue;
    pen.beginPath();
    pen.arc(point[0], point[1], 3.5, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }
}

function drawName(pen, points, name, color, { width, height }) {
  const seen = points.filter(
    point => point && point[0] >= 0 && point[0] <= width && point[1] >= 0 && point[1] <= height);
  if (!seen.length) return;
  const top = seen.reduce((high, point) => point[1] < high[1] ? point : high);
  pen.font = "600 13px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.lineWidth = 3;
  pen.strokeStyle = "#101418c0";
  const half = pen.measureText(name).width / 2 + 2;
  const x = Math.max(half, Math.min(width - half, top[0])), y = Math.max(14, top[1] - 10);
  pen.strokeText(name, x, y);
  pen.fillStyle = color;
  pen.fillText(name, x, y);
}

function drawRings(pen, points) {
  for (const [width, color] of [[3, "#10141870"], [1.2, "#fff"]]) {
    pen.lineWidth = width;
    pen.strokeStyle = color;
    for (const point of points) {
      if (!point) continue;
      pen.beginPath();
      pen.arc(point[0], point[1], 5.5, 0, 2 * Math.PI);
      pen.stroke();
    }
  }
}

function drawBox(pen, points) {
  const seen = points.filter(Boolean);
  if (!seen.length) return;
  const [left, right] = [Math.min, Math.max].map(f => f(...seen.map(point => point[0])));
  const [top, bottom] = [Math.min, Math.max].map(f => f(...seen.map(point => point[1])));
  const pad = 16;
  for (const [width, color, dash] of [[4, "#10141890", []], [2, "#fff", [7, 5]]]) {
    pen.lineWidth = width;
    pen.strokeStyle = color;
    pen.setLineDash(dash);
    pen.beginPath();
    pen.roundRect(left - pad, top - pad, right - left + 2 * pad, bottom - top + 2 * pad, 8);
    pen.stroke();
  }
  pen.setLineDash([]);
}

// Ring a node that a moment is about, and name it at the side where there is room.
function drawNode(pen, [x, y], name, { width }) {
  for (const [line, color] of [[4, "#101418c0"], [2, "#fff"]]) {
    pen.lineWidth = line;
    pen.strokeStyle = color;
    pen.beginPath();
    pen.arc(x, y, 9, 0, 2 * Math.PI);
    pen.stroke();
  }
  if (!name) return;
  pen.font = "600 12px system-ui, sans-serif";
  const fits = x + 14 + pen.measureText(name).width < width;
  pen.textAlign = fits ? "left" : "right";
  pen.lineWidth = 3;
  pen.strokeStyle = "#101418c0";
  pen.strokeText(name, x + (fits ? 14 : -14), y + 4);
  pen.fillStyle = "#fff";
  pen.fillText(name, x + (fits ? 14 : -14), y + 4);
}

// Draw a frame: what lies over the film is drawn in CSS px, so that lines stay thin.
function drawPicture(canvas, film, video, place, look) {
  const ratio = window.devicePixelRatio || 1;
  const box = canvas.parentElement.getBoundingClientRect();
  const width = Math.round(box.width * ratio), height = Math.round(box.height * ratio);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const pen = canvas.getContext("2d");
  const view = viewOf(video, look.zoom, look.center);
  const scale = box.width / video.size[0] * view.zoom;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = "#20262c";
  pen.fillRect(0, 0, box.width, box.height);
  if (film) {
    pen.drawImage(film, -view.x * scale, -view.y * scale,
      video.size[0] * scale, video.size[1] * scale);
  }
  const nodes = data.skeleton.nodes.length;
  const onScreen = points => points.map(
    point => point && [(point[0] - view.x) * scale, (point[1] - view.y) * scale]);
  const seen = [];
  eachPose(video.poses, place, nodes, (points, track, row) => {
    if (!look.hidden.has(track)) seen.push([onScreen(points), track, row]);
  });
  if (look.layers.poses) {
    const follows = place > 0 && video.positions[place - 1] === video.positions[place] - 1;
    if (follows && look.tracks.length) {
      eachPose(video.poses, place - 1, nodes, (before, track, row) => {
        if (!look.tracks.includes(track) || look.hidden.has(track)) return;
        const [points = []] = seen.find(pose => pose[1] === track) ?? [];
        drawBefore(pen, onScreen(before), points, colorOf(track, row));
      });
    }
    for (const [points, track, row] of seen) {
      if (look.tracks.includes(track)) drawBox(pen, points);
      drawPose(pen, points, colorOf(track, row), look.layers);
    }
  }
  if (look.layers.truth && video.truth) {
    eachPose(video.truth, place, video.truth.nodes, points => drawRings(pen, onScreen(points)));
  }
  if (look.layers.poses && look.layers.nodes) {
    for (const [points, track] of seen) {
      for (const [own, node] of look.nodes) {
        const name = look.layers.names ? data.skeleton.nodes[node] : "";
        if (own === track && points[node]) drawNode(pen, points[node], name, box);
      }
    }
  }
  if (look.layers.poses && look.layers.names) {
    for (const [points, track, row] of seen) {
      if (track < 0) continue;
      drawName(pen, points, data.tracks[track].name, colorOf(track, row), box);
    }
  }
}

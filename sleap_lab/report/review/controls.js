// Keys, buttons and what they change.
const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4, 8], NORMAL = 3, ZOOMS = [1, 2, 4];
const BESIDE = 900;  // px; narrower windows have the moments below
const AROUND = 15;  // frames before and after a moment that a replay shows
const byId = id => document.getElementById(id);
const [screen, film, picture] = ["screen", "film", "picture"].map(byId);

const now = {
  video: null, clock: null, place: 0, speed: NORMAL, moment: -1, stop: -1,
  zoom: 0, zoomed: false, center: null,
  layers: { poses: true, nodes: true, names: true, truth: true }, hidden: new Set(),
};
const strip = timeline(byId("timeline"), place => { now.stop = -1; now.clock.seek(place); });

function show(place) {
  now.place = place;
  const moment = data.moments[now.moment];
  const here = moment && moment.video === now.video.number;
  const frame = frameAt(now.video, place);
  const peak = here ? placeOf(now.video, moment.frame) : -1;
  const near = here && Math.abs(place - peak) <= 2 * AROUND;
  if (ZOOMS[now.zoom] > 1) {
    const tracks = here ? moment.tracks : [];
    now.center = centerOf(now.video, place, tracks, ZOOMS[now.zoom]) ?? now.center;
  }
  drawPicture(picture, now.video.film ? film : null, now.video, place, {
    zoom: ZOOMS[now.zoom], center: now.center, layers: now.layers, hidden: now.hidden,
    tracks: near ? moment.tracks : [], nodes: near ? moment.nodes : [],
  });
  picture.dataset.frame = frame;
  byId("frame").textContent = `frame ${frame.toLocaleString("en")}`;
  strip.move(place, peak);
  if (now.stop >= 0 && place >= now.stop && now.clock.playing()) now.clock.pause();
}

const redraw = () => show(now.place);

function paused() {
  screen.parentElement.classList.toggle("playing", now.clock.playing());
  byId("play").setAttribute("aria-label", now.clock.playing() ? "Pause" : "Play");
}

function play(speed) {
  now.clock.play(speed);
  setTimeout(paused);
}

function toggle() {
  now.stop = -1;
  if (now.clock.playing()) now.clock.pause(); else play(SPEEDS[now.speed]);
  paused();
}

function step(by) {
  now.clock.pause();
  now.clock.seek(now.clock.target(now.place) + by);
}

function faster(by) {
  now.speed = Math.max(0, Math.min(SPEEDS.length - 1, now.speed + by));
  byId("speed").textContent = SPEEDS[now.speed] + "×";
  if (now.clock.playing()) now.clock.play(SPEEDS[now.speed]);
}

function openNumber(number) {
  if (now.video && now.video.number === number) return;
  if (now.clock) now.clock.close();
  now.video = openVideo(number);
  now.hidden.clear();
  now.place = 0;
  now.center = null;
  if (byId("videos")) byId("videos").value = number;
  now.clock = now.video.film
    ? filmClock(film, now.video, show, paused) : plainClock(now.video, show, paused);
  fillLabels();
  layOut();
}

// The screen leaves room for the moments beside it and the timeline below it.
function layOut() {
  const [width, height] = now.video.size;
  const desk = byId("desk").clientWidth;
  const room = window.innerWidth > BESIDE ? 0.62 * desk : desk;
  const high = Math.max(240, window.innerHeight * 0.58);
  const scale = Math.min(room / width, high / height);
  screen.style.width = width * scale + "px";
  screen.style.height = height * scale + "px";
  screen.parentElement.style.width = window.innerWidth > BESIDE ? Math.max(470, width * scale) + "px" : "";
  strip.draw(now.video);
  redraw();
}

function fillLabels() {
  const labels = byId("labels");
  labels.replaceChildren(...laneNames().map(name => {
    const made = element("div", "");
    made.append(element("span", name));
    return made;
  }));
  for (const row of now.video.rows) {
    if (row.track < 0) {
      const made = element("div", "");
      made.append(element("span", "All animals"));
      labels.append(made);
      continue;
    }
    const { name, color } = data.tracks[row.track];
    const label = element("label", "", { title: name });
    const box = element("input", "", { type: "checkbox", "data-track": row.track });
    const dot = element("i", "");
    box.checked = true;
    dot.style.background = color;
    box.addEventListener("change", () => {
      if (box.checked) now.hidden.delete(row.track); else now.hidden.add(row.track);
      redraw();
    });
    label.append(box, dot, element("span", name));
    labels.append(label);
  }
  byId("legend").textContent = legend();
}

function legend() {
  const left = now.video.leftOut;
  return [
    now.video.rows.some(row => row.track >= 0)
      ? "Rows: where each track is; the height is its lowest confidence, red lines are moments."
      : "Row: the share of the expected animals that is found.",
    data.evaluated ? "Diamonds: identity switches, from the ground truth." : "",
    left ? `${left} more tracks have no row; the first is the share of the animals that is found.` : "",
    now.video.positions.length < now.video.frames.length ? "Pale: not in this page." : "",
  ].filter(Boolean).join(" ");
}

function goTo(index) {
  const moment = data.moments[index];
  now.moment = index;
  now.stop = -1;
  if (now.clock.playing()) now.clock.pause();
  openNumber(moment.video);
  if (!now.zoomed) lookFrom(moment.tracks.length ? closenessOf(now.video, ZOOMS) : 0);
  markMoment(byId("moments"), byId("now"), index);
  now.clock.seek(placeOf(now.video, moment.frame));
}

function nextMoment(by) {
  for (let i = now.moment + by; i >= 0 && i < data.moments.length; i += by) {
    if (data.moments[i].held) return goTo(i);
  }
}

function replay() {
  const moment = data.moments[now.moment];
  let from = now.place - AROUND, to = now.place + AROUND;
  if (moment) {
    openNumber(moment.video);
    from = placeOf(now.video, moment.frame) - AROUND;
    to = from + 2 * AROUND;
  }
  now.clock.seek(from);
  now.stop = Math.min(to, now.video.positions.length - 1);
  play(0.5);
}

function layer(name) {
  const box = document.querySelector(`[data-layer=${name}]`);
  if (!box) return;
  box.checked = now.layers[name] = !now.layers[name];
  redraw();
}

function lookFrom(zoom) {
  now.zoom = zoom;
  byId("zoomed").hidden = !zoom;
  byId("zoomed").textContent = ZOOMS[zoom] + "× closer";
}

// Small animals are looked at closely until somebody chooses.
function zoom() {
  now.zoomed = true;
  lookFrom((now.zoom + 1) % ZOOMS.length);
  redraw();
}

function track(number) {
  const boxes = document.querySelectorAll("[data-track]");
  if (number > 0 && boxes[number - 1]) boxes[number - 1].click();
  if (number === 0) boxes.forEach(box => { if (!box.checked) box.click(); });
}

const KEYS = {
  n: () => nextMoment(1), p: () => nextMoment(-1), " ": toggle, r: replay, z: zoom,
  ArrowRight: event => step(event.shiftKey ? 10 : 1),
  ArrowLeft: event => step(event.shiftKey ? -10 : -1),
  ArrowUp: () => faster(1), ArrowDown: () => faster(-1), ">": () => faster(1), "<": () => faster(-1),
  Home: () => step(-Infinity), End: () => step(Infinity),
  h: () => layer("poses"), o: () => layer("nodes"), l: () => layer("names"), g: () => layer("truth"),
  "?": () => byId("help").showModal(),
};
for (let digit = 0; digit <= 9; digit++) KEYS[digit] = () => track(digit);

document.addEventListener("keydown", event => {
  const kind = event.target.tagName;
  const own = kind === "SELECT" || byId("help").open
    || ((kind === "BUTTON" || kind === "INPUT") && (event.key === " " || event.key === "Enter"));
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || own || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  action(event);
});
document.addEventListener("click", event => {
  // A control that was clicked gives the keys back to the page.
  const used = event.target.closest("button, input");
  if (used && event.detail > 0) used.blur();
});
screen.addEventListener("click", toggle);
for (const button of document.querySelectorAll("[data-key]")) {
  button.addEventListener("click", event => KEYS[button.dataset.key](event));
}
for (const box of document.querySelectorAll("[data-layer]")) {
  box.addEventListener("change", () => { now.layers[box.dataset.layer] = box.checked; redraw(); });
}
if (byId("videos")) {
  byId("videos").addEventListener("change", event => openNumber(Number(event.target.value)));
}
window.addEventListener("resize", layOut);
for (const drawn of ["(prefers-color-scheme: dark)", "print"]) {  // paper is always light
  matchMedia(drawn).addEventListener("change", layOut);
}

openNumber(data.moments.length ? data.moments[0].video : 0);
if (data.moments.length) {
  fillMoments(byId("moments"), goTo);
  markMoment(byId("moments"), byId("now"), -1);
}
if (!now.video.film) now.clock.seek(0);

// Links such as #video=0&frame=7 lead to a frame, with the index of the video in the run.
function goToAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const video = data.videos.findIndex(each => each.index === Number(asked.get("video")));
  if (video < 0 || !asked.has("frame")) return;
  openNumber(video);
  const place = placeOf(now.video, Number(asked.get("frame")));
  if (place >= 0) now.clock.seek(place);
}
window.addEventListener("hashchange", goToAddress);
goToAddress();

// What the page is about. Numbers come as base64 text and are decoded once, on first use.
const data = JSON.parse(document.getElementById("data").textContent);

function bytes(text) {
  const raw = atob(text);
  const found = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) found[i] = raw.charCodeAt(i);
  return found;
}

const int32 = text => new Int32Array(bytes(text).buffer);

function openPoses(packed) {
  return packed && {
    nodes: packed.nodes, start: int32(packed.start), track: int32(packed.track),
    xy: new Int16Array(bytes(packed.xy).buffer),
  };
}

const opened = new Map();

function openVideo(number) {
  if (!opened.has(number)) {
    const raw = data.videos[number];
    opened.set(number, {
      number, name: raw.name, size: raw.size, rate: raw.rate,
      frames: int32(raw.frames), positions: int32(raw.positions),
      poses: openPoses(raw.poses), truth: openPoses(raw.truth),
      columns: raw.timeline.columns, leftOut: raw.timeline.left_out,
      rows: raw.timeline.rows.map(row => (
        { track: row.track, found: bytes(row.found), sure: bytes(row.sure) })),
      film: raw.film ? URL.createObjectURL(new Blob(
        [bytes(document.getElementById("film-" + number).textContent)],
        { type: "video/mp4" })) : null,
    });
  }
  return opened.get(number);
}

// Index of the element of an ascending array that is nearest to a value.
function nearest(sorted, value) {
  let low = 0, high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1; else high = middle;
  }
  return low > 0 && value - sorted[low - 1] < sorted[low] - value ? low - 1 : low;
}

// Place in the page of a frame of a video; -1 where the page does not hold it.
function placeOf(video, frame) {
  const position = nearest(video.frames, frame);
  const place = nearest(video.positions, position);
  return video.positions[place] === position && video.frames[position] === frame ? place : -1;
}

const frameAt = (video, place) => video.frames[video.positions[place]];
const colorOf = (track, place) =>
  track >= 0 ? data.tracks[track].color : data.palette[place % data.palette.length];

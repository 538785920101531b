// Clocks say which frame of the page is to be drawn. Both call show(place) and paused().

// The clock of a film. What is drawn is the frame that the browser says it shows, never a guess.
function filmClock(element, video, show, paused) {
  const events = new AbortController();
  const on = (name, action) => element.addEventListener(name, action, { signal: events.signal });
  const last = video.positions.length - 1;
  const within = place => Math.max(0, Math.min(last, place));
  let wanted = null, request = 0;
  const look = (_, shown) => {
    if (events.signal.aborted) return;
    if (!element.seeking) show(within(Math.round(shown.mediaTime * video.rate)));
    request = element.requestVideoFrameCallback(look);
  };
  const poll = () => {
    if (events.signal.aborted) return;
    if (!element.paused) show(within(Math.floor(element.currentTime * video.rate)));
    request = requestAnimationFrame(poll);
  };
  const go = () => { element.currentTime = (wanted + 0.5) / video.rate; };
  on("seeked", () => {
    const place = within(Math.floor(element.currentTime * video.rate + 1e-3));
    if (wanted !== null && wanted !== place) return go();
    wanted = null;
    show(place);
  });
  on("loadeddata", () => { if (wanted !== null) go(); else show(0); });
  on("pause", paused);
  on("ended", paused);
  element.src = video.film;
  if (element.requestVideoFrameCallback) request = element.requestVideoFrameCallback(look);
  else poll();
  return {
    seek(place) {
      wanted = within(place);
      if (element.readyState > 0 && !element.seeking) go();
    },
    target: shown => wanted ?? shown,
    play(speed) {
      element.playbackRate = speed;
      element.play().catch(paused);
    },
    pause: () => element.pause(),
    playing: () => !element.paused && !element.ended,
    close() {
      events.abort();
      element.pause();
      if (element.cancelVideoFrameCallback) element.cancelVideoFrameCallback(request);
      element.removeAttribute("src");
      element.load();
    },
  };
}

// The clock where there is no film.
function plainClock(video, show, paused) {
  const last = video.positions.length - 1;
  let place = 0, speed = 0, before = 0, closed = false;
  const stop = () => { if (speed) { speed = 0; paused(); } };
  const tick = now => {
    if (closed || !speed) return;
    place = Math.min(last, place + (now - before) / 1000 * video.rate * speed);
    before = now;
    show(Math.floor(place));
    if (place >= last) stop(); else requestAnimationFrame(tick);
  };
  return {
    seek(to) { place = Math.max(0, Math.min(last, to)); show(Math.floor(place)); },
    target: shown => shown,
    play(factor) {
      const idle = !speed;
      speed = factor;
      if (place >= last) place = 0;
      if (idle) { before = performance.now(); requestAnimationFrame(tick); }
    },
    pause: stop,
    playing: () => speed > 0,
    close() { closed = true; stop(); },
  };
}

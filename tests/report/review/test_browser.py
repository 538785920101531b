"""The page in a real browser: keys, seeking, poses on their animals, narrow and dark windows."""

import numpy as np
import pytest

# Centres of what is white, and of what has the colour of a track, in px of the film, for the upper
# disc; and the frame that the page names.
CENTERS = """() => {
  const canvas = document.getElementById("picture"), pen = canvas.getContext("2d");
  const [wide, high] = [canvas.width, canvas.height];
  const pixels = pen.getImageData(0, 0, wide, Math.floor(high / 2)).data;
  const sums = { white: [0, 0, 0], color: [0, 0, 0] };
  for (let i = 0; i < pixels.length; i += 4) {
    const [r, g, b] = [pixels[i], pixels[i + 1], pixels[i + 2]];
    const kind = r > 180 && g > 180 && b > 180 ? "white" : r > 150 && b < 90 ? "color" : null;
    if (!kind) continue;
    const x = (i / 4) % wide, y = Math.floor(i / 4 / wide);
    sums[kind][0] += x; sums[kind][1] += y; sums[kind][2] += 1;
  }
  const scale = 160 / wide;
  return {
    frame: Number(canvas.dataset.frame),
    white: sums.white.slice(0, 2).map(sum => sum / sums.white[2] * scale),
    color: sums.color.slice(0, 2).map(sum => sum / sums.color[2] * scale),
  };
}"""


def frame(page):
    return int(page.get_attribute("#picture", "data-frame"))


def go(page, key, expected):
    page.keyboard.press(key)
    page.wait_for_selector(f"#picture[data-frame='{expected}']")


def test_keys_lead_from_moment_to_moment_and_from_frame_to_frame(play, make_recording):
    page = play(make_recording())
    go(page, "n", 30)
    assert "1 of 3 · frames 28 to 32 · 50%" in page.inner_text("#now")
    go(page, "n", 10)
    assert page.get_attribute("#moments tr:nth-child(2)", "aria-current") == "true"
    go(page, "p", 30)
    go(page, "ArrowRight", 31)
    go(page, "ArrowLeft", 30)
    go(page, "Shift+ArrowRight", 40)
    go(page, "End", 59)
    go(page, "ArrowRight", 59)
    go(page, "Home", 0)
    page.keyboard.press("ArrowUp")
    assert page.inner_text("#speed") == "2×"
    page.keyboard.press("<")
    page.keyboard.press("<")
    assert page.inner_text("#speed") == "0.5×"


def test_a_row_of_the_table_and_the_timeline_lead_to_their_frame(play, make_recording):
    page = play(make_recording())
    page.click("#moments tr:nth-child(3)")
    page.wait_for_selector("#picture[data-frame='50']")
    box = page.locator("#timeline").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 20.5 / 60, box["y"] + 10)
    page.wait_for_selector("#picture[data-frame='20']")
    assert page.get_attribute("#timeline", "aria-valuenow") == "20"


@pytest.mark.parametrize("place", [0, 1, 11, 12, 13, 37, 59])
def test_after_seeking_the_point_lies_on_the_animal(play, make_recording, make_moment, place):
    page = play(make_recording(moments=[make_moment(place)]))
    page.keyboard.press("l")
    go(page, "n", place)
    found = page.evaluate(CENTERS)
    # 0 is the centre of the first pixel, so the centre of the disc is half a pixel further.
    np.testing.assert_allclose(found["color"], [20.5 + 2 * place, 28.5], atol=0.5)
    np.testing.assert_allclose(found["white"], [20.5 + 2 * place, 28.5], atol=0.5)


def test_while_playing_the_point_lies_on_the_animal(play, make_recording):
    page = play(make_recording())
    page.keyboard.press("l")
    page.keyboard.press(" ")
    page.wait_for_selector(".playing")
    seen = page.evaluate(
        "async () => { const seen = []; const look = " + CENTERS + ";"
        "  while (seen.length < 40 && document.querySelector('.playing')) {"
        "    await new Promise(requestAnimationFrame); seen.push(look()); }"
        "  return seen; }"
    )
    assert len({found["frame"] for found in seen}) >= 3
    for found in seen:
        np.testing.assert_allclose(found["color"][0], 20.5 + 2 * found["frame"], atol=0.5)
        np.testing.assert_allclose(found["white"][0], 20.5 + 2 * found["frame"], atol=0.7)
    page.click("#picture")
    page.wait_for_selector(".watch:not(.playing)")


def test_what_is_hidden_is_not_drawn(play, make_recording):
    page = play(make_recording())
    go(page, "n", 30)
    page.keyboard.press("l")
    assert page.evaluate(CENTERS)["color"][0] > 0
    page.keyboard.press("1")  # the first track
    assert np.isnan(page.evaluate(CENTERS)["color"]).all()
    page.keyboard.press("0")
    assert page.evaluate(CENTERS)["color"][0] > 0
    page.keyboard.press("h")
    assert np.isnan(page.evaluate(CENTERS)["color"]).all()
    assert not page.is_checked("[data-layer=poses]")


WHITE_ON_BLACK = """() => {
  const canvas = document.getElementById("picture"), pen = canvas.getContext("2d");
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let i = 0; i < pixels.length; i += 4) count += pixels[i] > 180 && pixels[i + 2] > 180;
  return count;
}"""


def test_a_node_that_a_moment_is_about_is_ringed_and_named(play, make_recording, make_moment):
    moments = [make_moment(30), make_moment(31, nodes=[("left", "center")])]
    page = play(make_recording(moments=moments, problems={0: "it is torn"}, sizes={0: (96, 160)}))
    page.keyboard.press("l")
    go(page, "n", 30)
    assert page.evaluate(WHITE_ON_BLACK) == 0
    go(page, "n", 31)
    ring = page.evaluate(WHITE_ON_BLACK)
    page.keyboard.press("l")
    assert page.evaluate(WHITE_ON_BLACK) > ring > 0  # with its name
    page.keyboard.press("o")
    page.keyboard.press("l")
    assert page.evaluate(WHITE_ON_BLACK) == 0
    page.keyboard.press("o")
    page.keyboard.press("1")
    assert page.evaluate(WHITE_ON_BLACK) == 0  # its track is hidden


@pytest.mark.parametrize(("animals", "color"), [(("right", "left"), 1), (("left", "right"), 0)])
def test_a_closer_look_is_at_the_most_doubtful_of_animals_that_are_far_apart(
    play, make_recording, make_moment, animals, color
):
    page = play(make_recording(moments=[make_moment(12, animals)]))
    page.keyboard.press("l")
    go(page, "n", 12)
    page.keyboard.press("z")
    page.keyboard.press("z")
    middle = page.evaluate(
        "() => { const canvas = document.getElementById('picture');"
        "  const pen = canvas.getContext('2d');"
        "  return [...pen.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data]; }"
    )
    red, _, blue, _ = middle
    assert (red > 150, blue > 150) == ((False, True) if color else (True, False))


ORANGE = """() => {
  const canvas = document.getElementById("picture"), pen = canvas.getContext("2d");
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  const columns = [];
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i] > 100 && pixels[i + 2] < 60) columns.push((i / 4) % canvas.width);
  }
  return columns.map(column => column * 160 / canvas.width);
}"""


def test_at_a_moment_it_is_seen_where_its_animals_were_one_frame_before(
    play, make_recording, make_moment
):
    # Frames 0 to 3 and 13: "left" moves 2 px between frames, and 20 px in the last step.
    moments = [make_moment(3, ["left"]), make_moment(3, ["right"]), make_moment(13, ["left"])]
    recording = make_recording(
        frames=[0, 1, 2, 3, 13], moments=moments, problems={0: "gone"}, sizes={0: (96, 160)}
    )
    page = play(recording)
    page.keyboard.press("l")
    spans = []
    for expected in 3, 3, 13:
        go(page, "n", expected)
        columns = page.evaluate(ORANGE)
        spans.append(max(columns) - min(columns))
    own, other, last = spans
    assert own - other > 0.5  # a line from where it was, beyond the node
    assert last > 20  # frames that were not processed do not count


def test_small_animals_are_looked_at_closely_until_somebody_chooses(
    play, make_animals, make_moment
):
    # An animal of 30 of 160 px: 4 times 30 / 160 is more than 0.45, 2 times is less.
    page = play(
        make_animals(30, moments=[make_moment(5, ["a"]), make_moment(9), make_moment(3, ["a"])])
    )
    assert not page.is_visible("#zoomed")
    go(page, "n", 5)
    assert page.inner_text("#zoomed") == "2× closer"
    go(page, "n", 9)  # of no animal
    assert not page.is_visible("#zoomed")
    page.keyboard.press("z")
    page.keyboard.press("z")
    go(page, "n", 3)
    assert page.inner_text("#zoomed") == "4× closer"


def test_large_animals_are_not_looked_at_closely(play, make_animals, make_moment):
    page = play(make_animals(40, moments=[make_moment(5, ["a"])]))
    go(page, "n", 5)
    assert not page.is_visible("#zoomed")


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize(("scheme", "darkest", "brightest"), [("light", 230, 255), ("dark", 0, 50)])
def test_narrow_and_dark_windows(play, make_recording, width, scheme, darkest, brightest):
    page = play(make_recording(), width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, *_ = color.removeprefix("rgb(").split(",")
    assert darkest <= int(red) <= brightest
    assert page.locator("#picture").bounding_box()["width"] > 350
    for button in page.locator("button:visible").all():
        box = button.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_fingers_get_large_buttons_and_no_keys(play, make_recording):
    mouse, touch = play(make_recording()), play(make_recording(), width=400, has_touch=True)
    assert mouse.is_visible("text=replay slowly")
    assert not touch.is_visible("text=replay slowly")
    for button in touch.locator(".controls button").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 44
    assert touch.evaluate("document.documentElement.scrollWidth") <= 400


def test_the_focus_is_visible_and_help_opens(play, make_recording):
    page = play(make_recording())
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("?")
    assert page.is_visible("dialog")
    page.keyboard.press("Escape")
    assert not page.is_visible("dialog")


def test_names_are_text_and_never_html(play, make_recording, make_moment):
    name = "</script><img src=x onerror=alert(1)>"
    moments = [make_moment(5, [name], reason=name)]
    page = play(make_recording(names=(name, "b"), title=name, moments=moments, videos=1))
    assert page.locator("img").count() == 0
    assert page.inner_text("h1") == name
    assert name in page.inner_text("#moments")
    assert name in page.inner_text("#labels")


def test_videos_are_chosen_and_moments_lead_to_theirs(play, make_recording, make_moment):
    moments = [make_moment(7, video=19), make_moment(8, video=3)]
    page = play(make_recording(frames=range(12), videos=20, moments=moments))
    assert page.input_value("#videos") == "19"
    go(page, "n", 7)
    go(page, "n", 8)
    assert page.input_value("#videos") == "3"
    page.select_option("#videos", "0")
    page.wait_for_selector("#picture[data-frame='0']")


def test_a_missing_video_has_poses_on_an_empty_picture(play, make_recording, unreadable):
    page = play(
        make_recording(read=unreadable, problems={0: "it is not there"}, sizes={0: (96, 160)})
    )
    assert "video0.mp4: it is not there" in page.inner_text(".notes")
    go(page, "n", 30)
    np.testing.assert_allclose(page.evaluate(CENTERS)["color"][0], 20.5 + 2 * 30, atol=0.5)
    page.keyboard.press(" ")
    page.wait_for_function("Number(document.getElementById('picture').dataset.frame) > 31")


def test_nothing_to_say_is_said(play, make_recording):
    page = play(make_recording(moments=[], tracked=False))
    assert "No moment looks doubtful" in page.inner_text(".moments")
    page.keyboard.press("n")
    go(page, "End", 59)
    assert "All animals" in page.inner_text("#labels")


def test_a_long_recording_shows_its_moments(play, make_recording, make_moment, unreadable):
    moments = [make_moment(19_000), make_moment(3)]
    page = play(
        make_recording(
            frames=range(20_000), moments=moments, read=unreadable, problems={0: "it is gone"}
        )
    )
    go(page, "n", 19_000)
    go(page, "n", 3)
    go(page, "End", 19_999)


def test_frames_beyond_the_budget_are_left_out_and_said_so(play, make_recording, make_moment):
    moments = [make_moment(50), make_moment(10)]
    page = play(make_recording(moments=moments), budget=3000)
    assert "of 60 frames" in page.inner_text(".notes")
    go(page, "n", 50)
    page.keyboard.press("n")
    assert "away" in page.get_attribute("#moments tr:nth-child(2)", "class")
    assert frame(page) == 50


def test_it_plays_in_a_sandboxed_frame(play, chromium, make_recording, tmp_path):
    play(make_recording())
    outer = chromium.new_page()
    text = (tmp_path / "review.html").read_text(encoding="utf-8")
    outer.set_content("<iframe sandbox='allow-scripts' width=1200 height=700></iframe>")
    outer.evaluate("text => { document.querySelector('iframe').srcdoc = text; }", text)
    inner = outer.frame_locator("iframe")
    inner.locator("#picture[data-frame]").wait_for()
    inner.locator("#moments button").first.click()
    inner.locator("#picture[data-frame='30']").wait_for()
    outer.close()


def test_paper_has_all_moments_and_light_lanes(play, make_recording):
    """What scrolls on a screen is whole on paper, and what nobody can press is not there."""
    page = play(make_recording(), scheme="dark")
    brightness = """() => {
      const lanes = document.getElementById("timeline");
      return lanes.getContext("2d").getImageData(lanes.width - 3, 3, 1, 1).data[0];
    }"""
    assert page.evaluate(brightness) < 60
    page.emulate_media(media="print")
    page.wait_for_function(f"({brightness})() > 230")
    assert not page.is_visible(".controls")
    hidden = "node => node.scrollHeight > node.clientHeight"
    assert not any(page.locator(part).evaluate(hidden) for part in (".list", ".lanes"))


def test_an_address_leads_to_a_frame(play, make_recording):
    page = play(make_recording(videos=2))
    for video, frame_asked in ((1, 33), (0, 12)):
        page.evaluate(f"location.hash = 'video={video}&frame={frame_asked}'")
        page.wait_for_selector(f"#picture[data-frame='{frame_asked}']")
        assert page.input_value("#videos") == str(video)
    page.reload()
    page.wait_for_selector("#picture[data-frame='12']")
    page.evaluate("location.hash = 'video=7&frame=3'")  # of another run
    assert page.input_value("#videos") == "0"

"""Frames are read by number, whatever the recording: each frame of these clips shows its own."""

from random import Random

import av
import numpy as np
import pytest

from sleap_lab.errors import RunError
from sleap_lab.media.index import read_index
from sleap_lab.media.open_source import open_source
from sleap_lab.media.recording import TABLE_FORMATS, Recording, gray_levels, gray_table, sampled
from sleap_lab.settings.config import DataConfig

COUNT = 40
VARYING = ("-vf", "setpts='if(lt(N,20),N*0.04,0.8+(N-20)*0.08)/TB'", "-fps_mode", "passthrough")
CLIPS = {
    "mp4": ("clip.mp4", "libx264", ()),
    "B-frames": ("clip.mp4", "libx264", ("-bf", "3")),
    "B-frames in an AVI, which has no times for them": ("clip.avi", "libx264", ("-bf", "3")),
    "open GOP": ("clip.ts", "libx264", ("-x264-params", "open-gop=1:bframes=3")),
    "open GOP in an mp4": ("clip.mp4", "libx265", ("-x265-params", "open-gop=1:log-level=none")),
    "varying rate": ("clip.mp4", "libx264", VARYING),
    "fragments": ("clip.mp4", "libx264", ("-movflags", "frag_keyframe+empty_moov")),
    "raw stream": ("clip.h264", "libx264", ("-bf", "3")),
    "live mkv": ("clip.mkv", "libx264", ("-live", "1")),
    "mpg": ("clip.mpg", "mpeg2video", ("-bf", "2")),
    "hidden references": (
        "clip.webm",
        "libvpx-vp9",
        ("-auto-alt-ref", "1", "-lag-in-frames", "12"),
    ),
    "Motion JPEG": ("clip.avi", "mjpeg", ()),
    "interlaced": ("clip.mp4", "libx264", ("-flags", "+ilme+ildct", "-x264-params", "tff=1")),
    "ten bits": (
        "clip.mkv",
        "libx265",
        ("-pix_fmt", "yuv420p10le", "-x265-params", "log-level=none"),
    ),
    "GIF": ("clip.gif", "gif", ("-pix_fmt", "rgb8")),
    "no end of the intra refresh": (
        "clip.mkv",
        "libx264",
        ("-x264-params", "intra-refresh=1:keyint=8"),
    ),
}


def open_recording(path):
    return Recording(path, read_index(path))


@pytest.mark.parametrize(("name", "codec", "options"), CLIPS.values(), ids=CLIPS)
def test_frame_k_is_frame_k(clip, shown, name, codec, options):
    recording = open_recording(clip(*options, name=name, codec=codec))
    assert [shown(recording.read(k)) for k in range(COUNT)] == list(range(COUNT))
    wanted = [Random(0).randrange(COUNT) for _ in range(20)] + [39, 0, 38, 1]
    assert [shown(recording.read(k)) for k in wanted] == wanted
    recording.close()
    assert [shown(recording.read(k)) for k in range(15, 25)] == list(range(15, 25)), (
        "after it was closed"
    )


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("clip.mp4", "libx264"),
        ("clip.mp4", "mpeg4"),
        ("clip.mkv", "libvpx-vp9"),
        ("clip.ts", "mpeg2video"),
    ],
)
def test_looking_for_a_frame_decodes_from_the_key_frame_before_it(clip, monkeypatch, name, codec):
    recording = open_recording(clip("-bf", "0", "-sc_threshold", "0", name=name, codec=codec))
    recording.read(39)
    began = []
    begin = Recording._begin
    monkeypatch.setattr(
        Recording,
        "_begin",
        lambda self, start, **options: began.append(start) or begin(self, start, **options),
    )
    for frame in (25, 3, 31):
        recording.read(frame)
    assert began == [20, 0, 30]


def test_a_frame_that_there_is_not_is_refused(clip):
    recording = open_recording(clip())
    for frame in (-1, COUNT):
        with pytest.raises(ValueError, match=r"^it has 40 frames$"):
            recording.read(frame)


def test_pixels_are_those_of_opencv(clip):
    import cv2

    for options in (
        (),
        ("-pix_fmt", "yuv444p"),
        ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
    ):
        path = clip(*options)
        recording, capture = open_recording(path), cv2.VideoCapture(str(path))
        for k in range(5):
            np.testing.assert_array_equal(recording.read(k), capture.read()[1][..., ::-1])
        capture.release()


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_recording_is_turned_as_it_asks_for(clip, convert, tmp_path, degrees):
    path = tmp_path / "turned.mp4"
    convert("-display_rotation", degrees, "-i", clip(), "-c", "copy", path)
    index = read_index(path)
    upright = open_recording(tmp_path / "clip.mp4").read(21)
    expected = np.rot90(upright, degrees // 90)
    assert (index.height, index.width) == expected.shape[:2]
    np.testing.assert_array_equal(Recording(path, index).read(21), expected)


# ---- colour


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-vf", "format=gray,format=yuvj420p", "-pix_fmt", "yuvj420p"),
        ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
        ("-vf", "scale=98:34"),
        ("-vf", "scale=97:33", "-pix_fmt", "yuv444p"),
        ("-flags", "+ilme+ildct", "-x264-params", "tff=1"),
    ],
)
def test_gray_comes_with_one_channel_where_that_is_wished(clip, options):
    recording = open_recording(clip("-crf", "25", *options))
    for frame in (0, 3, 21):
        image = recording.read(frame)
        assert image.shape[2] == 3
        np.testing.assert_array_equal(recording.read(frame, gray=True), image[..., :1])


@pytest.mark.parametrize("name", TABLE_FORMATS)
@pytest.mark.parametrize("width", [2, 64, 98, 1024])
def test_levels_without_colour_have_a_table(name, width):
    # BT.601; full range, or limited.
    table = gray_table(name, width, 5, 2 if name == "yuvj420p" else 1)
    assert (np.diff(table.astype(int)) >= 0).all()
    assert (table[16], table[235], table[255]) == (
        (16, 235, 255) if name == "yuvj420p" else (0, 255, 255)
    )


@pytest.mark.parametrize("full", [1, 2])
def test_levels_are_those_of_the_table(full):
    padded = np.random.default_rng(0).integers(0, 256, (301, 64), dtype=np.uint8)
    padded[:256, 0] = np.arange(256)
    levels = padded[:, :50]
    expected = gray_table("yuv420p", 50, 5, full)[levels]
    np.testing.assert_array_equal(gray_levels("yuv420p", 50, 5, full)(levels), expected)


@pytest.mark.parametrize("pixels", ["gray", "yuv420p", "yuv444p", "yuv420p10le", "bgr0"])
def test_whether_a_picture_has_colour_is_told_in_every_format(clip, tmp_path, pixels):
    assert (
        open_recording(clip("-pix_fmt", pixels, name="a.mkv", codec="ffv1"))
        .read(3, gray=True)
        .shape[2]
        == 1
    )
    if pixels != "gray":
        tinted = clip(
            "-vf", "colorchannelmixer=rb=1", "-pix_fmt", pixels, name="b.mkv", codec="ffv1"
        )
        assert open_recording(tinted).read(3, gray=True).shape[2] == 3


# ---- damage


def numbers(path, shown):
    """Return frame -> number that it shows, or why it cannot be read."""
    recording, found = open_recording(path), {}
    for k in range(recording.index.count):
        try:
            found[k] = shown(recording.read(k))
        except ValueError as error:
            found[k] = str(error)
    return found


def overwrite(path, frame, share=0.5):
    """Put zeros over the last half of the packet that a frame is in."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    packet = sorted(packets, key=lambda packet: packet.pts)[frame]
    content = bytearray(path.read_bytes())
    start = packet.pos + int(packet.size * (1 - share))
    content[start : packet.pos + packet.size] = bytes(packet.pos + packet.size - start)
    path.write_bytes(content)


@pytest.mark.parametrize("frame", [0, 13, 20, 25, 39])
@pytest.mark.parametrize(
    ("name", "codec"), [("clip.mp4", "libx264"), ("clip.mkv", "libx264"), ("clip.avi", "mpeg4")]
)
def test_a_damaged_packet_gives_no_wrong_frame(clip, shown, name, codec, frame):
    path = clip("-bf", "0", "-sc_threshold", "0", name=name, codec=codec)
    overwrite(path, frame)
    found = numbers(path, shown)
    next_key = frame - frame % 10 + 10
    assert {k: n for k, n in found.items() if n != k and isinstance(n, int)} == {}
    assert all(found[k] == k for k in range(COUNT) if k < frame or k >= next_key), (
        "others are whole"
    )


def test_frames_behind_a_damaged_one_are_not_trusted_until_a_key_frame(clip, shown):
    path = clip("-bf", "0", "-sc_threshold", "0")
    overwrite(path, 13)
    found = numbers(path, shown)
    assert [k for k, n in found.items() if n != k] == list(range(13, 20))
    recording = open_recording(path)
    for k in (16, 13, 19):
        with pytest.raises(ValueError, match="damaged"):
            recording.read(k)
    assert shown(recording.read(20)) == 20


@pytest.fixture
def cut(clip):
    """A clip that promises all its frames and ends in the middle."""
    path = clip("-movflags", "+faststart")
    content = path.read_bytes()
    path.write_bytes(content[: (content.index(b"mdat") + len(content)) // 2])
    return path


def test_no_other_frame_comes_in_the_place_of_one_that_is_missing(cut, shown):
    found = numbers(cut, shown)
    assert len(found) == COUNT
    assert {k: n for k, n in found.items() if n != k and isinstance(n, int)} == {}
    assert found[3] == 3
    assert found[39] == "the file ends before it"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("clip.mkv", "libx264"),
        ("clip.avi", "mjpeg"),
        ("clip.ts", "libx264"),
        ("clip.mpg", "mpeg2video"),
    ],
)
def test_a_file_that_ends_anywhere_gives_no_wrong_frame(clip, shown, name, codec, seed):
    path = clip("-bf", "0", name=name, codec=codec)
    content = path.read_bytes()
    path.write_bytes(content[: Random(seed).randrange(len(content) // 4, len(content))])
    found = numbers(path, shown)
    assert {k: n for k, n in found.items() if n != k and isinstance(n, int)} == {}


# ---- what a source makes of it


def test_a_run_ends_early_where_too_much_is_missing(cut):
    with pytest.raises(RunError) as caught:
        open_source(DataConfig(path=str(cut), max_bad_share=0.25))
    message = str(caught.value)
    assert message.startswith(f"data.path: {cut} says it has 40 frames, but ends after frame ")
    assert "of the 40 requested frames are missing. Copy the file again" in message


def test_a_run_ends_early_where_nothing_may_be_missing(cut):
    with pytest.raises(RunError, match="but ends after frame"):
        open_source(DataConfig(path=str(cut), on_bad_frame="fail"))
    assert (
        len(open_source(DataConfig(path=str(cut), frames="0-3", on_bad_frame="fail")).frames) == 4
    )


def test_it_goes_on_where_little_is_missing(cut):
    (note,) = open_source(DataConfig(path=str(cut), max_bad_share=1.0)).notes
    assert note.startswith(f"{cut} says it has 40 frames, but ends after frame ")
    assert note.endswith("of the 40 requested frames are missing.")


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_a_clip_without_its_end_where_the_index_is_holds_nothing(clip, share):
    path = clip()
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(
        RunError,
        match=r"it holds no readable frame, as when recording or copying was cut short "
        r"\(copy it again",
    ):
        open_source(DataConfig(path=str(path)))


def test_an_mkv_that_was_cut_short_is_told_of(clip):
    path = clip(name="clip.mkv")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    ((name, reason),) = open_source(DataConfig(path=str(path))).cut_short
    assert name == path
    assert reason.startswith("it says that it lasts 1.6 s")


@pytest.mark.parametrize("suffix", [".dat", "", ".MP4", ".m4v"])
def test_the_content_counts_and_not_the_suffix(clip, shown, suffix):
    path = clip()
    other = path.rename(path.with_name(f"other{suffix}"))
    source = open_source(DataConfig(path=str(other), frames="7"))
    assert shown(source.read(0, 7)) == 7


@pytest.mark.parametrize(
    ("n", "expected"), [(0, []), (1, [0]), (3, [0, 1, 2]), (9, [0, 2, 4, 6, 8])]
)
def test_frames_that_are_looked_at_are_spread_over_the_video(n, expected):
    assert sampled(range(n), 5) == expected
    assert sampled([10 * i for i in range(n)], 5) == [10 * i for i in expected]

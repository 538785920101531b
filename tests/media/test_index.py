import shlex
import struct

import av
import numpy as np
import pytest

from sleap_lab.errors import RunError
from sleap_lab.media.index import FrameIndex, read_index
from sleap_lab.media.timing import uneven_times, unevenness

COUNT = 40
CONSTANT = ("clip.mp4", "libx264", ())
CLIPS = {
    "mp4": CONSTANT,
    "no B-frames": ("clip.mp4", "libx264", ("-bf", "0")),
    "B-frames": ("clip.mp4", "libx264", ("-bf", "3")),
    "B-frames in an AVI, which has no times for them": ("clip.avi", "libx264", ("-bf", "3")),
    "open GOP": ("clip.ts", "libx264", ("-x264-params", "open-gop=1:bframes=3")),
    "fragments": ("clip.mp4", "libx264", ("-movflags", "frag_keyframe+empty_moov")),
    "raw stream": ("clip.h264", "libx264", ("-bf", "3")),
    "mkv": ("clip.mkv", "libx264", ()),
    "live mkv": ("clip.mkv", "libx264", ("-live", "1")),
    "mpg": ("clip.mpg", "mpeg2video", ("-bf", "2")),
    "hidden references": (
        "clip.webm",
        "libvpx-vp9",
        ("-auto-alt-ref", "1", "-lag-in-frames", "12"),
    ),
    "MPEG-4 in an AVI": ("clip.avi", "mpeg4", ("-bf", "2")),
    "Motion JPEG": ("clip.avi", "mjpeg", ()),
    "HEVC": ("clip.mov", "libx265", ("-x265-params", "log-level=none")),
    "AV1": ("clip.mkv", "libsvtav1", ()),
    "FFV1": ("clip.mkv", "ffv1", ()),
    "GIF": ("clip.gif", "gif", ("-pix_fmt", "rgb8")),
    "WMV": ("clip.wmv", "wmv2", ()),
}


@pytest.mark.parametrize(("name", "codec", "options"), CLIPS.values(), ids=CLIPS)
def test_every_frame_is_counted_once_and_timed(clip, name, codec, options):
    index = read_index(clip(*options, name=name, codec=codec))
    assert (index.count, index.height, index.width) == (COUNT, 32, 96)
    assert sorted(index.packet.tolist()) == list(range(COUNT))
    assert (index.missing, index.empty, index.short, len(index.damaged)) == (0, 0, "", 0)
    if not name.endswith(".h264"):  # which has no times
        # Times are whole milliseconds in Matroska and ASF, hundredths in GIF.
        np.testing.assert_allclose(index.time, np.arange(COUNT) / 25, atol=0.0011)
        assert unevenness(index, name) is None
        assert uneven_times(index) is None


@pytest.mark.parametrize(
    ("name", "codec", "options", "decoded"),
    [
        ("clip.mp4", "libx264", ("-bf", "3"), False),
        ("clip.avi", "libx264", ("-bf", "3"), True),
        ("clip.avi", "mpeg4", (), False),
    ],
)
def test_only_where_packets_do_not_tell_the_order_everything_is_decoded(
    clip, name, codec, options, decoded
):
    assert read_index(clip(*options, name=name, codec=codec)).decoded == decoded


def test_an_index_survives_being_stored(clip):
    index = read_index(clip())
    again = FrameIndex.from_arrays(index.to_arrays())
    assert {name: np.asarray(value).tolist() for name, value in vars(again).items()} == {
        name: np.asarray(value).tolist() for name, value in vars(index).items()
    }
    assert (type(again.codec), type(again.missing), type(again.decoded)) == (str, int, bool)


def test_further_streams_are_counted_and_cover_pictures_are_not(clip, convert, tmp_path):
    first, second = clip(name="a.mp4"), clip(name="b.mp4", count=30)
    convert(
        "-i", first, "-i", second, "-map", "0", "-map", "1", "-c", "copy", tmp_path / "both.mkv"
    )
    convert("-i", first, "-frames:v", "1", tmp_path / "cover.png")
    cover = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic")
    convert("-i", first, "-i", tmp_path / "cover.png", *cover, tmp_path / "cover.mp4")
    both, covered = read_index(tmp_path / "both.mkv"), read_index(tmp_path / "cover.mp4")
    assert (both.count, both.others) == (COUNT, 1)
    assert (covered.count, covered.others) == (COUNT, 0)


# ---- time


def test_late_starts_begin_at_zero(clip, convert, tmp_path):
    convert("-itsoffset", "8", "-i", clip(), "-c", "copy", tmp_path / "late.mkv")
    np.testing.assert_allclose(
        read_index(tmp_path / "late.mkv").time, np.arange(COUNT) / 25, atol=0.0011
    )


def test_a_trimmed_file_has_the_frames_that_it_shows(clip, convert, tmp_path):
    convert("-ss", "0.6", "-i", clip("-g", "40"), "-c", "copy", tmp_path / "trimmed.mp4")
    index = read_index(tmp_path / "trimmed.mp4")
    assert index.count == COUNT - 15  # 0.6 s of 25 frames/s
    assert index.time[0] == 0


def test_what_an_edit_list_leaves_out_is_not_missing(clip):
    # As phones trim: of 40 frames, the last 8 are shown; 3 of 4 groups of pictures stay unused.
    path = clip()
    content = bytearray(path.read_bytes())
    edit = content.index(b"elst") + 12  # behind version and number of edits
    (delay,) = struct.unpack_from(">i", content, edit + 4)  # of the first frame, by B-frames
    unit = 12800 // 25  # time of a frame
    struct.pack_into(">Ii", content, edit, 8 * 1000 // 25, delay + 32 * unit)
    path.write_bytes(content)
    index = read_index(path)
    assert (index.count, index.missing, index.short) == (8, 0, "")
    assert index.packet.min() > 0


def test_times_that_are_told_twice_are_not_believed(clip):
    path = clip(
        "-vf",
        "setpts='floor(N/2)*2*0.04/TB'",
        "-fps_mode",
        "passthrough",
        "-bf",
        "2",
        name="clip.mkv",
    )
    index = read_index(path)
    assert index.count == COUNT
    assert index.decoded


# ---- what headers say


def rewrite_avi_header(path, frames):
    content = bytearray(path.read_bytes())
    for tag, offset in ((b"avih", 24), (b"strh", 40)):
        place = content.find(tag) + offset
        content[place : place + 4] = frames.to_bytes(4, "little")
    path.write_bytes(content)


@pytest.mark.parametrize("promised", [0, 10, 1000])
def test_the_header_of_an_avi_file_is_not_believed(clip, promised):
    path = clip(name="clip.avi", codec="mjpeg")
    rewrite_avi_header(path, promised)
    assert read_index(path).count == COUNT


def test_dropped_frames_of_an_avi_file_are_counted_and_are_no_frames(clip):
    path = clip(name="clip.avi", codec="mjpeg")
    content = path.read_bytes()
    start = content.index(b"movi") + 4
    index = content.index(b"idx1")
    chunks, place = [], start
    while place < index:
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        end = place + 8 + size + size % 2
        chunks.append(content[place:end])
        place = end
    pictures = [chunk for chunk in chunks if chunk[:4] == b"00dc"]
    dropped = b"00dc" + bytes(4)
    movi = b"movi" + b"".join(picture + dropped * (i % 3) for i, picture in enumerate(pictures))
    head = content[: start - 12]
    body = head + b"LIST" + len(movi).to_bytes(4, "little") + movi
    path.write_bytes(b"RIFF" + (len(body) - 8).to_bytes(4, "little") + body[8:])
    found = read_index(path)
    assert found.count == COUNT
    assert found.empty == sum(i % 3 for i in range(COUNT))
    assert unevenness(found, "a.avi").startswith("a.avi: ")


def test_an_mp4_file_that_was_cut_short_says_how_many_frames_it_lacks(clip):
    path = clip("-movflags", "+faststart")
    content = path.read_bytes()
    path.write_bytes(content[: (content.index(b"mdat") + len(content)) // 2])
    index = read_index(path)
    assert index.count == COUNT
    assert 5 < index.missing < 35


def test_an_mkv_file_that_was_cut_short_is_known_by_its_duration(clip):
    path = clip(name="clip.mkv")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    index = read_index(path)
    assert index.short.startswith("it says that it lasts 1.6 s, but ends after ")
    assert index.count < 35


def test_sound_that_lasts_longer_is_no_missing_picture(clip, convert, tmp_path):
    convert(
        "-i",
        clip(),
        "-f",
        "lavfi",
        "-i",
        "sine=d=4",
        "-c:v",
        "copy",
        "-c:a",
        "aac",
        tmp_path / "sound.mkv",
    )
    index = read_index(tmp_path / "sound.mkv")
    assert (index.count, index.short) == (COUNT, "")


# ---- what is no recording


def test_sound_alone_is_refused(convert, tmp_path):
    convert("-f", "lavfi", "-i", "sine=d=1", tmp_path / "sound.wav")
    with pytest.raises(RunError, match=r"^it holds no video, only audio$"):
        read_index(tmp_path / "sound.wav")


def test_a_codec_without_a_decoder_is_told_with_what_to_type(clip):
    path = clip(name="it's.mp4")
    content = bytearray(path.read_bytes())
    place = content.index(b"avc1", content.index(b"stsd"))
    content[place : place + 4] = b"none"
    path.write_bytes(content)
    with pytest.raises(
        RunError,
        match=r"^its video is in a codec that cannot be decoded here; re-encode it: ffmpeg -i ",
    ) as caught:
        read_index(path)
    assert shlex.split(str(caught.value).split(": ", 1)[1])[2] == str(path)


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXTINF:1,\nclip.mp4\n",
        "ffconcat version 1.0\nfile clip.mp4\n",
        "v=0\nm=video 1 RTP/AVP 96\n",
    ],
)
def test_lists_of_other_files_are_no_recordings(clip, tmp_path, content):
    clip()
    (tmp_path / "list.mp4").write_text(content)
    with pytest.raises((RunError, av.FFmpegError)):
        read_index(tmp_path / "list.mp4")


@pytest.mark.parametrize(
    "name", ["a:b.mp4", "http:b.mp4", "50%d.mp4", "take [1] (2).mp4", "concat:x.mp4", "ü.mp4"]
)
def test_names_are_names_of_files(clip, monkeypatch, tmp_path, name):
    clip().rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert read_index(name).count == read_index(tmp_path / name).count == COUNT

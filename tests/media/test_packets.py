"""What a demuxer says of the packets of a clip."""

import numpy as np
import pytest

from sleap_lab.errors import RunError
from sleap_lab.media import packets
from sleap_lab.media.packets import (
    NO_TIME,
    _decodable,
    _riff_is_cut,
    numbered,
    opened,
    packet_of,
    pictures,
    read_packets,
)


def test_the_packets_of_a_clip(clip):
    # 40 frames, 25 a second, a key frame at every tenth.
    path = clip()
    found = read_packets(path)
    assert (found.codec, found.rate, found.missing, found.empty) == ("h264", 25, 0, 0)
    assert (found.short, found.others, found.in_order_of_decoding) == ("", 0, False)
    assert np.flatnonzero(found.key).tolist() == [0, 10, 20, 30]
    assert found.shown.all()
    assert not found.corrupt.any()
    assert np.sort(found.pts * found.tick) == pytest.approx(np.arange(40) / 25)
    assert (np.diff(found.dts) > 0).all()
    assert (found.place >= 0).all()
    assert (found.size > 0).all()
    assert found.size.sum() < path.stat().st_size


def test_an_avi_file_keeps_no_display_times(clip):
    found = read_packets(clip(name="clip.avi", codec="mjpeg"))
    assert found.in_order_of_decoding
    assert len(found.pts) == 40


def test_frames_that_the_header_promises_are_missing(clip):
    # The table of an mp4 file comes first here; the data behind it are cut.
    path = clip("-movflags", "+faststart")
    whole = read_packets(path)
    data = path.read_bytes()
    path.write_bytes(data[: whole.place[30] + 1])
    found = read_packets(path)
    assert len(found.pts) + found.missing == 40
    assert found.missing >= 9


def test_a_recording_that_ends_before_its_duration_is_short(clip):
    path = clip(name="clip.mkv")
    whole = read_packets(path)
    assert whole.short == ""
    path.write_bytes(path.read_bytes()[: whole.place[20]])
    assert read_packets(path).short.startswith("it says that it lasts 1.6 s, but ends after 0.")


def test_sound_alone_is_no_video(convert, tmp_path):
    path = tmp_path / "sound.wav"
    convert("-f", "lavfi", "-i", "sine=duration=0.1", path)
    with pytest.raises(RunError, match="it holds no video, only audio"):
        read_packets(path)


@pytest.mark.parametrize(
    ("pts", "key", "broadcast", "expected"),
    [
        # A picture that is shown before the first key frame needs what is not there.
        ([2, 0, 1, 3], [1, 0, 0, 0], False, [True, False, False, True]),
        ([5, 2, 3, 4], [0, 1, 0, 0], False, [True] * 4),
        ([5, 2, 3, 4], [0, 1, 0, 0], True, [False, True, True, True]),
        ([0, 1], [0, 0], True, [True, True]),
    ],
)
def test_what_needs_an_earlier_picture_cannot_be_decoded(pts, key, broadcast, expected):
    found = _decodable(np.array(pts), np.array(key, dtype=bool), broadcast)
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("stated", "held", "cut"),
    [(92, 100, False), (93, 100, True), (50, 100, False), (0, 100, False), (2**32 - 1, 100, False)],
)
def test_an_avi_file_is_cut_where_it_is_shorter_than_it_says(tmp_path, stated, held, cut):
    path = tmp_path / "clip.avi"
    path.write_bytes(b"RIFF" + stated.to_bytes(4, "little") + bytes(held - 8))
    assert _riff_is_cut(path) == cut


def test_each_picture_has_the_number_of_its_packet(clip, shown):
    with opened(clip("-bf", "3"), threads=False) as (container, stream):
        found = list(pictures(numbered(container, stream), stream))
    assert len(found) == 40
    # Packets are in the order of decoding, so numbers jump where frames look ahead.
    numbers = [packet_of(picture) for picture in found]
    assert sorted(numbers) == list(range(40))
    assert numbers != sorted(numbers)
    assert [shown(picture.to_ndarray(format="rgb24")) for picture in found] == list(range(40))


def test_numbers_may_go_on_from_others(clip):
    with opened(clip()) as (container, stream):
        assert [packet.pts for packet in numbered(container, stream, 7)] == list(range(7, 47))


def test_data_that_cannot_be_decoded_give_no_picture(clip):
    path = clip("-movflags", "+faststart")
    whole = read_packets(path)
    data = bytearray(path.read_bytes())
    start, size = int(whole.place[10]), int(whole.size[10])
    data[start + 4 : start + size] = bytes(size - 4)
    path.write_bytes(data)
    with opened(path, threads=False) as (container, stream):
        found = list(pictures(numbered(container, stream), stream))
    assert None in found


def test_a_time_that_is_not_known_is_no_time(clip):
    found = read_packets(clip(name="clip.h264"))
    assert (found.pts == NO_TIME).all()
    assert packets.NO_TIME < -(2**62)

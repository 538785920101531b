import numpy as np
import pytest

from sleap_lab.media.index import read_index
from sleap_lab.media.timing import uneven_times, unevenness


def test_a_gap_is_told_with_its_place(clip):
    path = clip("-vf", "setpts='PTS+if(gt(N,19),0.4/TB,0)'", "-fps_mode", "passthrough")
    index = read_index(path)
    assert index.time[20] - index.time[19] == pytest.approx(0.04 + 0.4, abs=0.001)
    np.testing.assert_array_equal(uneven_times(index), index.time)
    note = unevenness(index, "a.mp4")
    assert note.startswith(
        "a.mp4: time is missing before frame 20; the longest interval is 0.44 s, before frame 20."
    )


def test_a_varying_rate_is_told(clip):
    path = clip(
        "-vf", "setpts='if(lt(N,20),N*0.04,0.8+(N-20)*0.08)/TB'", "-fps_mode", "passthrough"
    )
    note = unevenness(read_index(path), "a.mp4")
    assert note.startswith(
        "a.mp4: frames are not evenly spaced in time (usually 0.04 s apart, 19 times not)"
    )

"""A digest of the frames that a result covers."""

import numpy as np

from sleap_lab.media.coverage import frames_digest


def test_a_digest_of_frames_knows_videos_and_frames_but_no_order():
    def digest(videos, *frames):
        return frames_digest(videos, np.array(frames).reshape(-1, 2))

    a = digest(["a.mp4", "b.mp4"], (0, 1), (0, 2))
    assert digest(["a.mp4"], (0, 2), (0, 1), (0, 1)) == a
    assert digest(["./a.mp4"], (0, 1), (0, 2)) == a
    assert digest(["a.mp4", "b.mp4"], (0, 1), (1, 2)) == digest(["b.mp4", "a.mp4"], (0, 2), (1, 1))
    assert digest(["b.mp4", "a.mp4"], (1, 1), (1, 2)) != digest(["b.mp4"], (0, 1), (0, 2))
    others = [digest(["a.mp4"], (0, 1)), digest(["c.mp4"], (0, 1), (0, 2)), digest([])]
    assert len({a, *others}) == 4

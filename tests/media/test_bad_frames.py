from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sleap_lab.errors import RunError
from sleap_lab.media.bad_frames import (
    bad_frame_notes,
    bad_ranges,
    check_account,
    readable,
    video_table,
    write_bad_frames,
)
from sleap_lab.media.open_source import open_source
from sleap_lab.media.source import Frame
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import DataConfig

IMAGE = np.zeros((2, 2, 1), dtype=np.uint8)


@pytest.fixture
def clips(tmp_path, video_path, write_h5):
    """A video of 6 frames, one that is none, and one of 3 frames."""
    (tmp_path / "a.mp4").write_bytes(video_path.read_bytes())
    (tmp_path / "b.mp4").write_text("this is no video")
    write_h5(np.zeros((3, 4, 6, 3), dtype=np.uint8), name="c.h5")
    return tmp_path


@pytest.fixture
def source(clips):
    return open_source(DataConfig(path=str(clips / "*")))


def bad(video, index, problem="frame {} is torn"):
    return Frame(video, index, None, problem.format(index))


def frames(pattern):
    """Frames of video 0, an unreadable one for each x."""
    return [bad(0, i) if kind == "x" else Frame(0, i, IMAGE) for i, kind in enumerate(pattern)]


# ---- which frames take part


@pytest.mark.parametrize(("on_bad_frame", "kept"), [("nan", [0, 1, 2, 3]), ("skip", [0, 2, 3])])
def test_frames_that_cannot_be_read_are_collected(on_bad_frame, kept):
    found = []
    taken = list(readable(frames(".x.."), 4, DataConfig(on_bad_frame=on_bad_frame), found))
    assert [frame.index for frame in taken] == kept
    assert [frame.index for frame in found] == [1]


def test_none_may_be_unreadable_where_that_was_asked_for():
    with pytest.raises(
        RunError, match=r"frame 1 is torn; data\.on_bad_frame=nan or skip goes on without it"
    ):
        list(readable(frames(".x.."), 4, DataConfig(on_bad_frame="fail"), []))


@pytest.mark.parametrize(
    ("pattern", "share"),
    [("xx..", 0.5), (".xxx", 0.75), ("xx...x", 0.5), ("....", 0.0), ("xxx.", 1.0)],
)
def test_as_many_as_allowed_may_be_unreadable(pattern, share):
    assert len(
        list(readable(frames(pattern), len(pattern), DataConfig(max_bad_share=share), []))
    ) == len(pattern)


@pytest.mark.parametrize(
    ("pattern", "share", "count"),
    [("xxx.", 0.5, 3), ("..x.", 0.0, 1), ("x.......x", 0.2, 2), ("xx", 0.5, 2)],
)
def test_beyond_that_the_run_ends_at_once(pattern, share, count):
    taken = []
    with pytest.raises(RunError) as caught:
        taken.extend(
            readable(frames(pattern + "."), len(pattern), DataConfig(max_bad_share=share), [])
        )
    assert str(caught.value).startswith(
        f"data.max_bad_share: {count} of {len(pattern)} frames could not be read, "
        f"more than the share of {share:g}; "
        f"the first: frame {pattern.index('x')} is torn; copy the file again"
    )


def test_without_any_readable_frame_there_is_no_result():
    with pytest.raises(
        RunError,
        match=r"data\.path: none of the 3 frames could be read; the first: frame 0 is torn",
    ):
        list(readable(frames("xxx"), 3, DataConfig(max_bad_share=1.0), []))


# ---- nothing lost

SKELETON = Skeleton(("a",))


def processed(rows, instances=()):
    video, frame = zip(*instances, strict=True) if instances else ([], [])
    return make_poses(
        SKELETON, [[[1, 1]]] * len(instances), video=list(video), frame=list(frame), frames=rows
    )


ASKED = np.array([(0, 0), (0, 1), (1, 0)])


@pytest.mark.parametrize(
    ("poses", "unreadable"),
    [
        (processed([(0, 0), (0, 1), (1, 0)], [(0, 1), (0, 1), (1, 0)]), []),
        (processed([(0, 0), (0, 1), (1, 0)], [(1, 0)]), [bad(0, 1)]),  # kept empty
        (processed([(0, 0), (1, 0)], [(1, 0)]), [bad(0, 1)]),  # left out
        (processed([(1, 0), (0, 0), (0, 1)]), []),  # in another order
    ],
)
def test_every_frame_is_accounted_for(poses, unreadable):
    check_account(ASKED, poses, unreadable)


@pytest.mark.parametrize(
    ("poses", "unreadable", "fault"),
    [
        (
            processed([(0, 0), (1, 0)]),
            [],
            "2 predicted and 0 unreadable, but 1 missing, the first of them frame 1 of video 0",
        ),
        (
            processed([]),
            [],
            "3 missing, the first of them frame 0 of video 0",
        ),
        (
            processed([(0, 0), (0, 1), (1, 0), (1, 7)]),
            [],
            "1 not requested, the first of them frame 7 of video 1",
        ),
        (
            processed([(0, 0), (0, 0), (0, 1), (1, 0)]),
            [],
            "1 done twice, the first of them frame 0 of video 0",
        ),
        (
            processed([(0, 0), (0, 1), (1, 0)], [(1, 5)]),
            [],
            "1 with poses, but not predicted, the first of them frame 5 ",
        ),
        (
            processed([(0, 0), (0, 1), (1, 0)], [(0, 1)]),
            [bad(0, 1)],
            "1 with poses, but not predicted, the first of them frame 1 ",
        ),
        (
            processed([(0, 0), (1, 0)]),
            [bad(0, 1), bad(2, 2)],
            "1 not requested, the first of them frame 2 of video 2",
        ),
    ],
)
def test_a_frame_that_goes_astray_is_an_error(poses, unreadable, fault):
    with pytest.raises(RunError) as caught:
        check_account(ASKED, poses, unreadable)
    assert fault in str(caught.value)
    assert str(caught.value).endswith("this is a fault of sleap-lab, please report it")


# ---- what is said about it


@pytest.mark.parametrize(
    ("bad_frames", "expected"),
    [
        (
            [],
            [
                ("a.mp4", 6, 6, 0, "ok"),
                ("c.h5", 3, 3, 0, "ok"),
                ("b.mp4", None, 0, 0, "unreadable"),
            ],
        ),
        (
            [(0, 1), (0, 4)],
            [
                ("a.mp4", 6, 4, 2, "partial"),
                ("c.h5", 3, 3, 0, "ok"),
                ("b.mp4", None, 0, 0, "unreadable"),
            ],
        ),
        (
            [(1, 0), (1, 1), (1, 2)],
            [
                ("a.mp4", 6, 6, 0, "ok"),
                ("c.h5", 3, 0, 3, "unreadable"),
                ("b.mp4", None, 0, 0, "unreadable"),
            ],
        ),
    ],
)
def test_the_table_says_what_became_of_each_video(source, bad_frames, expected):
    rows = video_table(source, [bad(video, index) for video, index in bad_frames])
    assert [
        (Path(row["video"]).name, *(row[name] for name in ("asked", "read", "bad", "status")))
        for row in rows
    ] == expected
    problems = {Path(row["video"]).name: row["problem"] for row in rows}
    assert "cannot be read as a video" in problems.pop("b.mp4")
    assert list(problems.values()) == [
        f"frame {min(i for v, i in bad_frames if v == video)} is torn"
        if video in dict(bad_frames)
        else ""
        for video in (0, 1)
    ]


def test_the_table_lists_videos_of_which_nothing_was_asked(source):
    rows = video_table(replace(source, frames=np.array([(1, 0)])), [])
    assert [(row["asked"], row["status"]) for row in rows] == [
        (0, "no frames"),
        (1, "ok"),
        (None, "unreadable"),
    ]


def test_frames_that_follow_each_other_are_a_range(source):
    torn = [*(bad(0, i) for i in (5, 1, 2, 3)), bad(1, 0), bad(1, 1, "frame {} is missing")]
    rows = [
        (Path(row["video"]).name, row["frames"], row["count"], row["problem"])
        for row in bad_ranges(source, torn)
    ]
    assert rows == [
        ("a.mp4", "1-3", 3, "frame 1 is torn"),
        ("a.mp4", "5", 1, "frame 5 is torn"),
        ("c.h5", "0", 1, "frame 0 is torn"),
        ("c.h5", "1", 1, "frame 1 is missing"),  # for another reason
    ]


def test_each_of_them_is_a_row_of_a_table(source, tmp_path):
    write_bad_frames(
        tmp_path / "out" / "bad.csv", source, [bad(0, 2), bad(1, 0, 'a comma, a "quote"')]
    )
    assert (tmp_path / "out" / "bad.csv").read_text().splitlines() == [
        "video,frame,problem",
        f"{tmp_path / 'a.mp4'},2,frame 2 is torn",
        f'{tmp_path / "c.h5"},0,"a comma, a ""quote"""',
    ]


def test_losses_are_told_in_two_sentences(source, clips):
    videos, torn = bad_frame_notes(source, [bad(0, 1), bad(0, 2), bad(1, 0)])
    assert videos.startswith(
        f"1 of 3 videos could not be opened: {clips / 'b.mp4'}. "
        f"The first: {clips / 'b.mp4'} cannot be read as a video"
    )
    assert torn == "3 frames could not be read in 2 videos. The first: frame 1 is torn"
    assert bad_frame_notes(replace(source, unreadable=()), []) == []


def test_a_range_that_is_not_the_first_grows_too(source):
    rows = bad_ranges(source, [bad(0, 1), bad(0, 4), bad(0, 5)])
    assert [(row["frames"], row["count"]) for row in rows] == [("1", 1), ("4-5", 2)]


def test_a_name_that_is_no_text_is_written_with_its_bytes(source, tmp_path):
    write_bad_frames(tmp_path / "bad.csv", source, [bad(0, 1, "no \udcff here")])
    assert r"no \udcff here" in (tmp_path / "bad.csv").read_text()

from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.evaluation.intervals import Intervals
from sleap_lab.evaluation.switches import Switch
from sleap_lab.evaluation.videos import VideoMatch
from sleap_lab.report import numbers


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.004, "0.00 s"),
        (59.4, "59.40 s"),
        (59.9, "1 min 00 s"),
        (75.0, "1 min 15 s"),
        (119.9, "2 min 00 s"),
        (3600 + 61, "1 h 01 min"),
    ],
)
def test_stage_times_are_easy_to_read(seconds, written):
    assert numbers.stage_times({"predict": seconds}) == [("predict", written, 100.0)]


def test_stages_are_compared_with_the_longest():
    assert [percent for *_, percent in numbers.stage_times({"filter": 0.5, "predict": 2.0})] == [
        25.0,
        100.0,
    ]


def test_stages_that_took_no_time():
    assert numbers.stage_times({"filter": 0.0}) == [("filter", "0.00 s", 0.0)]


def test_cards_of_a_compared_run(poses, evaluation):
    cards = {card.label: card for card in numbers.cards({}, poses, evaluation)}
    assert list(cards) == [
        "Tracks", "AP", "F1 at OKS 0.50", "OKS mAP", "mOKS", "Found", "Mean error",
        "Median error", "mPCK", "PCK by size", "Instances",
    ]  # fmt: skip
    assert (cards["Found"].value, cards["Found"].hint) == (
        "7",
        "of 8 true instances; extra predictions: 1",
    )
    assert (cards["Median error"].value, cards["Median error"].unit) == (
        "1.00",
        "px",
    )  # of 5 x 0, 6 x 1, 6 x 2, 3 x 3


def test_cards_of_undefined_distances_have_no_unit(poses, truth, score):
    cards = {card.label: card for card in numbers.cards({}, poses[:0], score(truth, poses[:0]))}
    assert (cards["Mean error"].value, cards["Mean error"].unit) == ("n/a", "")


def test_identity_has_cards_and_tables(poses, evaluation):
    switch = Switch(
        video=0,
        frame=3,
        truth_track="a",
        from_track="b",
        to_track="c",
        pose_video=0,
        nearest_track="b",
        nearest_distance=40.0,
    )
    scored = replace(
        evaluation,
        identity={"idf1": 0.5, "mota": -1.0, "hota": 0.25, "switches": 1.0},
        switches=(switch,),
    )
    values = {card.label: card.value for card in numbers.cards({}, poses, scored)}
    assert [values[name] for name in ("IDF1", "MOTA", "HOTA")] == ["0.500", "-1.000", "0.250"]
    tables = {table.title: table for table in numbers.tables(scored)}
    assert [row[:2] for row in tables["Identity"].rows] == [
        ("idf1", "0.5000"), ("mota", "-1.0000"), ("hota", "0.2500"), ("switches", "1"),
    ]  # fmt: skip
    assert tables["Identity switches"].rows == [("a", "0", "3", "b", "c", "b", "40.00 px")]
    assert tables["Identity switches"].links == (
        f"review.html#video={switch.pose_video}&frame={switch.frame}",
    )


def test_tables_of_a_compared_run(evaluation):
    tables = {table.title: table for table in numbers.tables(evaluation)}
    assert [len(row) for table in tables.values() for row in table.rows] == [
        len(t.header) for t in tables.values() for _ in t.rows
    ]
    tail = dict(
        zip(tables["Error of each node"].header, tables["Error of each node"].rows[2], strict=True)
    )
    # seven pairs, 0, 0, 1, 1, 2, 2 and 3 px off, the first without its tail
    assert (tail["Node"], tail["Matched"], tail["Missed"], tail["Compared"]) == (
        "tail",
        "7",
        "1",
        "6",
    )
    assert tail["Mean"] == f"{(0 + 1 + 1 + 2 + 2 + 3) / 6:.2f} px"
    assert tables["All metrics"].rows[1][:5] == ("eval/n_matched", "7", "", "count", "higher")
    assert tables["All metrics"].folded
    assert not tables["Error of each node"].folded


def test_videos_are_compared_where_there_are_several(truth, poses, score):
    truth, poses = (
        replace(record, video=(record.frame > 1).astype(np.int32)) for record in (truth, poses)
    )
    truth, poses = (
        replace(
            record,
            frames=np.array([[int(frame > 1), frame] for _, frame in record.frames.tolist()]),
        )
        for record in (truth, poses)
    )
    tables = {table.title: table for table in numbers.tables(score(truth, poses, {0: 0, 1: 1}))}
    assert [row[:3] for row in tables["Error in each video"].rows] == [
        ("0", "4", "0"),
        ("1", "3", "1"),
    ]


def test_cards_have_intervals_where_there_are_enough_frames(poses, evaluation):
    assert numbers.interval_note(evaluation) == "No intervals from fewer than 20 labelled frames."
    limits = {"coco/ap": (0.1, 0.3), "eval/dist_avg": (1.5, 2.5)}
    found = Intervals(limits, 0.95, 300, 5, "95% intervals from how much 5 videos differ")
    with_limits = replace(evaluation, intervals=found)
    cards = {card.label: card for card in numbers.cards({}, poses, with_limits)}
    assert cards["AP"].hint.startswith("95%: 0.100 to 0.300; ")
    assert cards["Mean error"].hint == "95%: 1.50 to 2.50 px"
    assert numbers.interval_note(with_limits) == "95% intervals from how much 5 videos differ."


def test_videos_that_were_compared_are_listed_with_the_reason(evaluation):
    assert list(numbers.video_table(evaluation)) == []
    matches = (
        VideoMatch(0, "a.mp4", 1, "b.mp4", "evaluator.video_map"),
        VideoMatch(None, "", 0, "c.mp4", "no such video"),
    )
    (table,) = numbers.video_table(replace(evaluation, videos=matches))
    assert table.rows == [
        ("a.mp4", "b.mp4", "evaluator.video_map"),
        ("–", "c.mp4", "no such video"),
    ]


def test_of_several_animals_switches_and_tracks_come_first(poses, evaluation):
    identity = {"switches": 2, "idf1": 0.5, "hota": 0.25, "mota": 0.75}
    compared = replace(evaluation, identity=identity)
    labels = [card.label for card in numbers.cards({}, poses, compared)]
    assert labels[:5] == ["Identity switches", "IDF1", "HOTA", "MOTA", "Tracks"]
    first = poses[np.unique(poses.frame, return_index=True)[1]]  # one animal per frame
    labels = [card.label for card in numbers.cards({}, first, compared)]
    assert labels[0] == "AP"
    assert "Identity switches" in labels

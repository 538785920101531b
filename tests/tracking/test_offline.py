from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking import offline, track
from sleap_lab.tracking.network import Solution
from sleap_lab.tracking.passage import UNKNOWN
from sleap_lab.tracking.population import Population
from sleap_lab.tracking.tracklets import joined
from sleap_lab.tracking.watch import unwatched

FISH = np.array([[6, 0], [2, 1], [-6, 0]], dtype=float)
SKELETON = Skeleton(("head", "fin", "tail"))
GLOBAL = TrackerConfig(tracking=True, method="global")
THREE = TrackerConfig(tracking=True, method="global", tracking_target_instance_count=3)

# Three animals, eight frames. A swims right at y = 0. B swims left at y = 3; they pass each other
# between frames 3 and 4. C rests at (40, 60). Each row is frame, x, y, direction.
A = [(t, 10 * t, 0, 0.0) for t in range(8)]
B = [(t, 70 - 10 * t, 3, np.pi) for t in range(8)]
C = [(t, 40, 60, 1.5) for t in range(8)]


def scene(rows, **columns):
    """Poses at (frame, x, y, direction), in the order of the list."""
    points = []
    for _, x, y, turn in rows:
        c, s = np.cos(turn), np.sin(turn)
        points.append(FISH @ np.array([[c, s], [-s, c]]) + [x, y])
    return make_poses(SKELETON, points, frame=[row[0] for row in rows], **columns)


def mixed(*animals):
    """The rows of all animals by frame, in another order in every frame."""
    rows = []
    for frame in range(8):
        seen = [row for animal in animals for row in animal if row[0] == frame]
        shift = frame % max(len(seen), 1)
        rows += seen[shift:] + seen[:shift]
    return rows


def tracks_of(poses, rows):
    """The track of each row; -1 for a detection without, None for one that was left out."""
    found = {}
    for frame, pose, number in zip(poses.frame, poses.points, poses.tracks, strict=True):
        x, y = (pose[0] + pose[2]) / 2
        found[int(frame), round(x), round(y)] = int(number)
    return [found.get((frame, x, y)) for frame, x, y, _ in rows]


def one_track_each(poses, *animals):
    """Whether every animal has one track, and no two have the same."""
    tracks = [set(tracks_of(poses, animal)) for animal in animals]
    return all(len(own) == 1 for own in tracks) and len(set.union(*tracks)) == len(animals)


@pytest.mark.parametrize("config", [GLOBAL, THREE])
def test_animals_that_pass_each_other_keep_their_tracks(config):
    tracked = track(scene(mixed(A, B, C)), config)
    assert len(tracked) == 3 * 8
    assert one_track_each(tracked, A, B, C)
    assert tracked.track_names == ("track_0", "track_1", "track_2")


@pytest.mark.parametrize("config", [GLOBAL, THREE])
def test_an_animal_that_was_hidden_is_itself_again(config):
    hidden = [row for row in B if row[0] not in (3, 4)]  # while A passes
    tracked = track(scene(mixed(A, hidden, C)), config)
    assert len(tracked) == 3 * 8 - 2
    assert one_track_each(tracked, A, hidden, C)


def test_an_animal_that_is_lost_for_long_comes_back_as_itself_where_the_number_is_known():
    early, late = C[:2], [(t, 44, 62, 1.2) for t in (6, 7)]
    tracked = track(scene(mixed(A, B, early, late)), THREE)
    assert one_track_each(tracked, A, B, early + late)


@pytest.mark.parametrize("config", [GLOBAL, THREE])
def test_ghosts_are_left_out(config):
    tracked = track(scene(mixed(A, B, C, [(2, 300, -200, 0.0), (5, -90, 110, 2.0)])), config)
    assert one_track_each(tracked, A, B, C)
    assert len(tracked) == 3 * 8


def test_second_detections_are_left_out():
    rows = [*mixed(A, B, C), (2, 40, 61, 1.5), (5, 50, 1, 0.0)]
    scores = [0.9] * 24 + [0.4] * 2
    tracked = track(scene(rows, instance_scores=scores), THREE)
    assert one_track_each(tracked, A, B, C)
    assert tracked.instance_scores.tolist() == [0.9] * 24


def halved(rows, cut):
    """Poses of which some are two: one with the head, and one with fin and tail."""
    poses = scene([*rows, *[row for row in rows if row in cut]])
    points = poses.points.copy()
    points[: len(rows), 0][[row in cut for row in rows]] = np.nan
    points[len(rows) :, 1:] = np.nan
    return replace(poses, points=points)


def whole(poses):
    """Poses with the heads that are missing, opposite the tail seen from the middle of the fin."""
    points = poses.points.copy()
    fin, tail = points[:, 1], points[:, 2]
    along = (fin - tail) @ np.array([[8, -1], [1, 8]]) / 65
    points[:, 0] = np.where(np.isnan(points[:, 0]), tail + 12 * along, points[:, 0])
    return replace(poses, points=points)


@pytest.mark.parametrize("config", [GLOBAL, THREE])
@pytest.mark.parametrize("unseen", [[], B[2:6]], ids=["all seen", "one unseen"])
def test_halves_of_a_pose_are_one_animal(config, unseen):
    rows = [row for row in mixed(A, B, C) if row not in unseen]
    tracked = track(halved(rows, A), config)
    assert len(tracked) == len(rows)
    assert one_track_each(whole(tracked), A, [row for row in B if row not in unseen], C)


def passers():
    """Shoals of four fish that cross along four lanes, and the number of each detection.

    Each fish is seen in ten frames, and each comes three frames after the one before. The next
    shoal comes 21 frames after the last fish of this one is gone.
    """
    rows, numbers = [], []
    for shoal in range(7):
        for lane in range(4):
            start = 40 * shoal + 3 * lane
            rows += [(start + step, 10 * step, 200 * lane, 0.0) for step in range(10)]
            numbers += [100 * lane + shoal] * 10
    return rows, np.array(numbers)


def test_where_animals_come_and_go_nobody_is_taken_for_one_that_left():
    rows, numbers = passers()
    notes = []
    tracked = track(scene(rows, origin=np.arange(len(rows))), GLOBAL, notes=notes)
    pairs = set(zip(tracked.tracks.tolist(), numbers[tracked.origin].tolist(), strict=True))
    assert len(pairs) == len(set(tracked.tracks.tolist())) == 7 * 4
    assert notes[0].startswith("Tracking: animals that come and go, 4 at once at most, estimated")
    assert "all are rarely seen at once, so this may be wrong" in notes[0]


@pytest.mark.parametrize("known", [28, 27])
def test_of_animals_that_come_and_go_a_known_number_has_tracks(known):
    rows, numbers = passers()
    config = replace(GLOBAL, tracking_target_instance_count=known)
    tracked = track(scene(rows, origin=np.arange(len(rows))), config)
    pairs = set(zip(tracked.tracks.tolist(), numbers[tracked.origin].tolist(), strict=True))
    assert len(set(tracked.tracks.tolist())) == known
    assert len(pairs) in (27, 28)  # the one too many is left out or joined to another


def rarely_seen(seed, animals=3, frames=150):
    """Animals that walk about; each and each of its two nodes is found by chance only."""
    rng = np.random.default_rng(seed)
    turn = np.cumsum(rng.normal(0, 0.3, (frames, animals)), axis=0) + rng.uniform(0, 6, animals)
    way = np.cumsum(4 * np.exp(1j * turn), axis=0) + rng.uniform(0, 200, animals)
    way = np.abs(way.real % 400 - 200) + 1j * np.abs(way.imag % 400 - 200)
    place = np.stack([way, way + 20 * np.exp(1j * turn)], axis=-1)
    lost = (rng.random((frames, animals, 1)) < 0.5) | (rng.random(place.shape) < 0.3)
    points = np.stack([place.real, place.imag], axis=-1) + rng.normal(0, 1, (*place.shape, 2))
    points[lost] = np.nan
    frame, own = (~lost.all(axis=-1)).nonzero()
    return make_poses(Skeleton(("head", "tail")), points[frame, own], frame=frame)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_animals_that_are_rarely_seen_are_no_more_than_there_are(seed):
    assert offline.identify(rarely_seen(seed), None)[0].max() + 1 == 3


def test_never_more_tracks_than_animals():
    far = [(t, 300, 10 * t, 0.0) for t in range(8)]
    tracked = track(scene(mixed(A, B, C, far)), THREE)
    assert len(tracked.track_names) == 3
    assert track(scene(mixed(A, B, C, far)), GLOBAL).track_names[3:] == ("track_3",)


def test_what_was_estimated_and_left_out_is_said():
    notes = []
    track(scene(mixed(A, B, C, [(2, 300, -200, 0.0)])), GLOBAL, notes=notes)
    assert notes[0].startswith("Tracking: 3 animals, estimated from the counts of the frames")
    assert "rarely" not in notes[0]
    assert notes[1].startswith(
        "Tracking: 1 of 25 instances were left out, because they belong to no animal"
    )
    notes = []
    track(scene(mixed(A, B, C)), THREE, notes=notes)
    assert notes == []


LINKED = TrackerConfig(tracking=True, link_tracklets=True, tracking_target_instance_count=3)


def test_tracklets_of_an_online_tracker_are_linked():
    hidden = [row for row in B if row[0] not in (3, 4)]
    poses = scene(mixed(A, hidden, C))
    online = track(poses, TrackerConfig(tracking=True, tracking_window_size=1))
    assert len(online.track_names) > 3  # steps of almost a body length: every OKS is 0
    assert one_track_each(track(poses, LINKED), A, hidden, C)


def test_what_an_online_tracker_leaves_without_a_track_stays_so():
    poses = scene([*mixed(A, B, C), (2, 300, -200, 0.0)], user=[False] * 24 + [True])
    poses.points[-1, 1:] = np.nan
    tracked = track(poses, replace(LINKED, min_new_track_points=1))
    assert tracked.tracks[tracked.user].tolist() == [-1]
    assert one_track_each(tracked[~tracked.user], A, B, C)


def test_auto_takes_what_is_sounder_and_says_why():
    notes = []
    auto = replace(THREE, method="auto", scoring_method="oks", tracking_window_size=1)
    tracked = track(scene(mixed(A, B, C)), auto, notes=notes)
    assert one_track_each(tracked, A, B, C)
    assert notes[-1] == (
        "Tracking: tracker.method=auto takes global (global: forward and backward agree on 100.0%, "
        "100.0% of the instances on 3 tracks; not tried, since none can be sounder: "
        "linked bytetrack, linked ocsort, online)."
    )


def test_user_labelled_instances_stay_even_where_they_belong_to_no_animal():
    rows = [*mixed(A, B, C), (2, 300, -200, 0.0)]
    tracked = track(scene(rows, user=[False] * 24 + [True]), THREE)
    assert tracks_of(tracked, rows[-1:]) == [-1]
    assert np.isnan(tracked.track_scores[tracked.user]).all()
    assert one_track_each(tracked, A, B, C)


def test_scores_are_probabilities_and_the_first_of_a_track_has_one():
    scores = track(scene(mixed(A, B, C)), THREE).track_scores
    assert ((scores > 0.35) & (scores <= 1)).all()
    assert scores[:3].tolist() == [1, 1, 1]


def test_videos_without_instances_and_with_a_single_one():
    empty = track(scene([], frames=[[0, 0], [0, 4]]), GLOBAL)
    assert len(empty) == 0
    assert empty.frames.tolist() == [[0, 0], [0, 4]]
    single = track(scene(A[:1]), GLOBAL)
    assert single.tracks.tolist() == [0]
    assert single.track_scores.tolist() == [1]


@pytest.mark.parametrize("count", [None, 1])
@pytest.mark.parametrize("missing", [(), (3,), (2, 3, 4)])
def test_a_single_animal_has_one_track(count, missing):
    config = replace(GLOBAL, tracking_target_instance_count=count)
    tracked = track(scene([row for row in A if row[0] not in missing]), config)
    assert tracked.tracks.tolist() == [0] * (8 - len(missing))


def test_poses_without_a_node_are_left_out():
    poses = scene(mixed(A, B, C))
    poses.points[5] = np.nan
    tracked = track(poses, THREE)
    assert len(tracked) == 23
    assert len(tracked.track_names) == 3


def test_every_other_frame():
    rows = [(15 * t, x, y, turn) for t, x, y, turn in mixed(A, B, C)]
    tracked = track(scene(rows), THREE)
    assert one_track_each(tracked, *([(15 * t, *rest) for t, *rest in own] for own in (A, B, C)))


def walkers(seed, animals, nodes):
    """Animals on random walks, a few detections missing, each with the row that it has."""
    rng = np.random.default_rng(seed)
    body = np.stack([np.linspace(-6, 6, nodes), np.arange(nodes) % 2.0], axis=1) * (nodes > 1)
    turn = np.cumsum(rng.normal(0, 0.2, (30, animals)), axis=0) + rng.uniform(0, 6, animals)
    step = 4 * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    place = np.cumsum(step, axis=0) + rng.uniform(0, 60, (animals, 2))
    points, frames = [], []
    for frame, own in np.ndindex(30, animals):
        if rng.random() < 0.1:
            continue
        c, s = np.cos(turn[frame, own]), np.sin(turn[frame, own])
        pose = body @ np.array([[c, s], [-s, c]]) + place[frame, own]
        points.append(pose + rng.normal(0, 0.2, pose.shape))
        frames.append(frame)
    skeleton = Skeleton(tuple(f"n{node}" for node in range(nodes)))
    scores = rng.uniform(0.5, 1, len(points))
    return make_poses(
        skeleton, points, frame=frames, instance_scores=scores, origin=np.arange(len(points))
    )


def grouped(poses):
    """Which detections are one animal, whatever it is called."""
    return {frozenset(poses.origin[poses.tracks == track].tolist()) for track in set(poses.tracks)}


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 5),
    st.sampled_from([1, 2, 4]),
    st.booleans(),
    st.sampled_from(["order", "mirror", "scale", "shift", "turn", "again"]),
)
def test_the_answer_does_not_depend_on_how_the_scene_is_shown(seed, animals, nodes, known, change):
    poses = walkers(seed, animals, nodes)
    config = TrackerConfig(
        tracking=True,
        method="global",
        tracking_target_instance_count=animals if known else None,
    )
    other = poses
    if change == "order":
        other = poses[np.random.default_rng(seed).permutation(len(poses))]
    elif change != "again":
        points = poses.points.copy()
        if change == "mirror":
            points *= [-1, 1]
        elif change == "scale":
            points *= 4
        elif change == "shift":
            points += [512, -256]
        else:
            points = points[..., ::-1] * [1, -1]
        other = make_poses(
            poses.skeleton,
            points,
            frame=poses.frame,
            instance_scores=poses.instance_scores,
            origin=poses.origin,
        )
    first, second = track(poses, config), track(other, config)
    assert grouped(first) == grouped(second)
    np.testing.assert_allclose(
        first.track_scores[np.argsort(first.origin)],
        second.track_scores[np.argsort(second.origin)],
        atol=1e-6,
    )


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 5),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([GLOBAL, replace(LINKED, tracking_target_instance_count=None)]),
    st.booleans(),
    st.booleans(),
)
def test_animals_that_keep_apart_have_one_track_each_and_nothing_is_lost(
    seed, animals, nodes, config, known, reverse
):
    rng = np.random.default_rng(seed)
    body = np.stack([np.linspace(-6, 6, nodes), np.arange(nodes) % 2.0], axis=1) * (nodes > 1)
    frame, own = (each.ravel() for each in np.indices((30, animals)))
    seen = rng.random(len(frame)) > 0.1
    frame, own = frame[seen], own[seen]
    turn = rng.uniform(0, 6, animals)[own] + rng.normal(0, 0.1, len(own))
    c, s = np.cos(turn), np.sin(turn)
    points = body @ np.stack([np.stack([c, s], -1), np.stack([-s, c], -1)], -2)
    points += np.stack([100 * own + rng.normal(0, 2, len(own)), 3 * frame], -1)[:, None]
    order = rng.permutation(len(own))
    skeleton = Skeleton(tuple(f"n{node}" for node in range(nodes)))
    poses = make_poses(
        skeleton, points[order], frame=(29 - frame if reverse else frame)[order], origin=own[order]
    )
    if known:
        config = replace(config, tracking_target_instance_count=animals)
    tracked = track(poses, config)
    assert len(tracked) == len(own)
    pairs = set(zip(tracked.origin.tolist(), tracked.tracks.tolist(), strict=True))
    assert len(pairs) == len(set(tracked.tracks.tolist())) == len(set(own.tolist()))


@pytest.mark.parametrize("seed", range(5))
def test_fewer_tracks_than_animals_never_more(seed):
    poses = walkers(seed, 4, 3)
    config = TrackerConfig(tracking=True, method="global", tracking_target_instance_count=2)
    tracked = track(poses, config)
    assert len(tracked.track_names) == 2
    assert np.unique(np.stack([tracked.frame, tracked.tracks]), axis=1).shape[1] == len(tracked)


# --- step by step -----------------------------------------------------------------------


def test_the_probability_of_a_link_is_a_logistic_curve_of_its_margin():
    found = offline.probability(np.array([0, 1, 10, np.inf]))
    odds = np.exp([-0.2, -0.2 + 0.6, -0.2 + 6])
    assert found == pytest.approx([*(odds / (1 + odds)), 1])


def test_links_without_doubt_are_surer_than_the_curve_says_of_the_margin_they_have_at_least():
    apart = [[(t, 10 * t, y, 0.0) for t in range(8)] for y in (0, 500, 1000)]
    scores = track(scene(mixed(*apart)), THREE).track_scores
    assert scores[3:].tolist() == [offline.WITHOUT_DOUBT] * 21


def test_time_is_in_usual_steps_between_processed_frames():
    # Steps of 2, 2, 7 and 1: the usual one is 2, so they take 1, 1, 4 (3.5 rounded) and 1.
    poses = scene([(11, 0, 0, 0.0), (2, 0, 0, 0.0), (4, 0, 0, 0.0), (2, 9, 9, 0.0), (12, 0, 0, 0)])
    poses = replace(poses, frames=np.array([[0, 0], [0, 2], [0, 4], [0, 11], [0, 12]]))
    assert offline.moments(poses).tolist() == [6, 1, 2, 1, 7]
    single = scene([(5, 0, 0, 0.0), (5, 9, 9, 0.0)])
    assert offline.moments(single).tolist() == [0, 0]


def test_stretches_are_cut_where_they_leave_a_tracklet():
    stretches = joined(6, np.array([0, 1, 2, 3]), np.array([2, 3, 4, 5]))  # 0 2 4 and 1 3 5
    found = offline._within(stretches, np.array([7, 8, 7, 8, 9, 8]))
    assert found.before.tolist() == [-1, -1, 0, 1, -1, 3]
    assert found.after.tolist() == [2, 3, -1, 5, -1, -1]


def test_links_are_added_to_paths():
    paths = offline.Paths(joined(5, np.array([0]), np.array([1])), np.full(5, 5.0), np.array([9]))
    found = Solution(np.array([1, 2]), np.array([3, 4]), np.array([0.5, -0.1]), np.array([2]))
    whole = offline._with(paths, found, np.array([True, False]))
    assert whole.stretches.before.tolist() == [-1, 0, -1, 1, -1]
    assert whole.stretches.after.tolist() == [1, 3, -1, -1, -1]
    assert whole.margin.tolist() == [5, 5, 5, 0.5, 5]
    assert whole.left_out.tolist() == [2]
    assert paths.stretches.after.tolist() == [1, -1, -1, -1, -1]  # as it was


ANYWHERE = 3.0


def solved(time, links, costs, population):
    """Paths through stretches of which costs are written down; all others cannot be."""
    stretches = joined(len(time), *np.array(links, dtype=int).reshape(-1, 2).T)
    time = np.array(time)

    def cost(rows, others):
        pairs = zip(rows.tolist(), others.tolist(), strict=True)
        found = np.array([costs.get(pair, 50.0) for pair in pairs])
        return np.where(time[others] > time[rows], found, 1e6)

    return offline._solved(time, stretches, cost, ANYWHERE, population, UNKNOWN)


# Two animals: 0-2 and 1-3 in frames 0 and 1, 4-6 and 5-7 in frames 2 and 3.
PAIRED = ([0, 0, 1, 1, 2, 2, 3, 3], [(0, 2), (1, 3), (4, 6), (5, 7)])


def test_animals_that_are_there_all_the_time_are_joined_at_the_smallest_cost():
    costs = {(2, 4): 2.0, (3, 5): 2.0, (2, 5): 0.0, (3, 4): 1.0}
    paths = solved(*PAIRED, costs, Population(2, True))
    assert paths.stretches.after.tolist() == [2, 3, 5, 4, 6, 7, -1, -1]
    # Links within a stretch have the margin of what is sure, those between 4 less 1, first any.
    inf = np.inf
    assert paths.margin.tolist() == [inf, inf, 5, 5, 3, 3, 5, 5]
    assert paths.left_out.tolist() == []


def test_animals_that_come_and_go_are_joined_where_they_are_near():
    costs = {(2, 4): 2.0, (3, 5): 60.0}
    paths = solved([*PAIRED[0], 1], PAIRED[1], costs, Population(2, False))
    assert paths.stretches.after.tolist() == [2, 3, 4, -1, 6, 7, -1, -1, -1]
    assert paths.margin[4] == pytest.approx(3 - np.log(1e-3) - 2)
    assert paths.left_out.tolist() == [8]  # what is joined with nothing is no animal


@pytest.mark.parametrize("largest", [600, 2, 1])
def test_what_is_too_large_is_joined_where_it_is_near_first(monkeypatch, largest):
    monkeypatch.setattr(offline, "LARGEST", largest)
    near, calls = offline.join_near, []

    def counted(*arguments):
        calls.append(arguments)
        return near(*arguments)

    monkeypatch.setattr(offline, "join_near", counted)
    # No moment at which three animals are there: all is one window of four ends.
    costs = {(2, 4): 1.0, (3, 5): 2.0, (2, 5): 8.5, (3, 4): 8.0}
    paths = solved(*PAIRED, costs, Population(3, True))
    assert paths.stretches.after.tolist() == [2, 3, 4, 5, 6, 7, -1, -1]
    # Once joined, two ends are left; one is still too many, and nothing more can be joined.
    assert len(calls) == {600: 0, 2: 1, 1: 2}[largest]


def test_what_is_joined_before_is_sure(monkeypatch):
    monkeypatch.setattr(offline, "LARGEST", 3)
    # 2-4 has a margin of 6, the other links one of 1 or less: it is joined at once.
    costs = {(2, 4): 1.0, (3, 5): 9.0, (2, 5): 9.5, (3, 4): 12.0}
    paths = solved(*PAIRED, costs, Population(3, True))
    assert paths.stretches.after[2] == 4
    assert paths.margin[4] > 5


def identified(monkeypatch, poses, answer, scores, chosen, tracklets=None, first=3, notes=None):
    def identify(some, animals, own, said, watch):
        asked.append((len(some), animals, None if own is None else own.tolist()))
        said.append("told")
        return np.array(answer), np.array(scores)

    asked = []
    monkeypatch.setattr(offline, "identify", identify)
    found = offline._identified(poses, np.array(chosen), tracklets, 2, first, notes, unwatched)
    return found, asked


def test_numbers_of_tracks_go_on_from_the_first(monkeypatch):
    poses = scene([(0, x, 0, 0.0) for x in (0, 50, 100, 150)], track_scores=[0.1, 0.2, 0.3, 0.4])
    notes = []
    found, asked = identified(
        monkeypatch, poses, [1, -1, 0, 0], [0.9, 0.8, 0.7, 0.6], [True] * 4, notes=notes
    )
    assert asked == [(4, 2, None)]
    assert found.tracks.tolist() == [4, 3, 3]
    assert found.tracks.dtype == np.int32
    assert found.track_scores.tolist() == [0.9, 0.7, 0.6]
    assert found.points[1, 0, 0] == 100 + 6
    assert notes[0] == "told"
    assert notes[1].startswith(
        "Tracking: 1 of 4 instances were left out, because they belong to no animal"
    )


def test_what_was_not_chosen_stays_only_where_a_tracker_left_it(monkeypatch):
    poses = scene(
        [(0, x, 0, 0.0) for x in (0, 50, 100, 150)],
        track_scores=[0.1, 0.2, 0.3, 0.4],
        user=[False, False, False, True],
    )
    chosen, tracklets = [True, False, True, True], np.array([5, -1, 6, 7])
    found, asked = identified(monkeypatch, poses, [0, -1, -1], [0.9, 0.8, 0.7], chosen, tracklets)
    assert asked == [(3, 2, [5, 6, 7])]
    # The second had no track and has none; the third is no animal; a person's stays without.
    assert found.tracks.tolist() == [3, -1, -1]
    np.testing.assert_allclose(found.track_scores, [0.9, 0.2, np.nan])
    found, _ = identified(monkeypatch, poses, [0, -1, -1], [0.9, 0.8, 0.7], chosen)
    assert found.tracks.tolist() == [3, -1]
    nothing, asked = identified(monkeypatch, poses[:2], [], [], [False, False])
    assert (len(nothing), asked) == (0, [])


def test_frames_out_of_order_are_put_in_order():
    tracked = track(scene([*B[::-1], *A]), replace(GLOBAL, tracking_target_instance_count=2))
    assert tracked.frame.tolist() == [row // 2 for row in range(16)]
    assert one_track_each(tracked, A, B)


def test_instances_that_a_person_labelled_are_never_second_detections():
    rows = [*mixed(A, B, C), (2, 40, 61, 1.5), (5, 50, 1, 0.0)]
    tracked = track(
        scene(rows, instance_scores=[0.9] * 24 + [0.4] * 2, user=[False] * 24 + [True] * 2), THREE
    )
    assert tracked.user.sum() == 2
    assert set(tracks_of(tracked[tracked.user], rows[-2:])) <= {0, 1, 2}


def test_tracks_are_numbered_by_when_their_animals_are_seen_first():
    late = [(t, 300, 10 * t, 0.0) for t in range(8) if t > 1]
    numbers, scores = offline.identify(scene(mixed(late, A, B)), 3)
    poses = scene(mixed(late, A, B))
    assert set(numbers[poses.frame < 2].tolist()) == {0, 1}
    assert numbers[poses.points[:, 1, 0] > 290].tolist() == [2] * 6
    assert (scores[poses.frame == 0] == 1).all()

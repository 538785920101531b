"""Mixed poses: two fish swim side by side, and exchange nodes for some frames."""

import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.tracking.bodies import describe_bodies
from sleap_lab.tracking.mixed import part_mixed
from sleap_lab.tracking.offline import PARTED, identify

FISH = np.array([60 + 0j, 30 + 12j, 20 - 12j, 0 + 0j, -60 + 0j])
HEAD = np.array([True, True, False, False, False])
FRAMES = 20
BESIDE = 45j  # px from the one fish to the other


def swimming(seed=0):
    """(frames, 2, 5) complex px of two fish that swim, bend a little, and are seen with error."""
    rng = np.random.default_rng(seed)
    places = 8.0 * np.arange(FRAMES)[:, None] + np.array([0, BESIDE])
    poses = places[..., None] + FISH
    return poses + rng.normal(size=poses.shape) + 1j * rng.normal(size=poses.shape)


def exchanged(poses, frames, nodes=HEAD):
    """The same, but that in some frames the two have exchanged some nodes."""
    poses = poses.copy()
    for frame in frames:
        poses[frame] = np.where(nodes, poses[frame, ::-1], poses[frame])
    return poses


def detected(poses):
    """The poses of those that are seen, and (frames * 2,) which these are."""
    plane = np.stack([poses.real, poses.imag], axis=-1).reshape(-1, 5, 2)
    frame = np.repeat(np.arange(len(poses)), 2)
    skeleton = Skeleton(tuple(f"n{node}" for node in range(5)))
    seen = ~np.isnan(plane[..., 0]).all(axis=1)
    return make_poses(skeleton, plane[seen], frame=frame[seen]), seen


def parted(poses, user=()):
    """What becomes of them, (frames, 2, 5) complex px."""
    found, seen = detected(poses)
    bodies = describe_bodies(found)
    given = bodies.points.copy()
    whole = np.isin(np.arange(len(seen)), user)[seen]
    result, mended = part_mixed(bodies, found.frame, whole)
    changed = (result.points != given) & ~(np.isnan(result.points) & np.isnan(given))
    assert mended.tolist() == changed.any(axis=1).tolist()
    assert np.array_equal(bodies.points, given, equal_nan=True)  # what was given stays as it was
    assert not np.isnan(result.points).all(axis=1).any()
    back = np.full((len(seen), 5), np.nan + 0j)
    back[seen] = result.points * bodies.length
    return back.reshape(poses.shape), result, seen


def same(one, other):
    return np.allclose(one, other, equal_nan=True)


@pytest.mark.parametrize("frames", [[9], [8, 9, 10, 11]])
def test_each_animal_gets_its_nodes_back(frames):
    poses = swimming()
    points, result, _ = parted(exchanged(poses, frames))
    # The rows of the exchanged ones are those of their tails, the larger part.
    assert same(points, poses)
    center, heading = result.place(result.points)
    assert np.array_equal(result.center, center)
    assert np.array_equal(result.heading, heading)


def test_a_mixed_pose_alone_keeps_the_nodes_of_which_it_has_more():
    poses = swimming()
    seen = exchanged(poses, [9])
    seen[9, 1] = np.nan
    points, _, _ = parted(seen)
    assert same(points[9, 0], np.where(HEAD, np.nan, poses[9, 0]))
    assert same(np.delete(points, 9, axis=0), np.delete(poses, 9, axis=0))


def test_animals_are_followed_while_one_of_them_is_not_seen():
    poses = swimming()
    seen = exchanged(poses, [8, 10])
    seen[9, 1] = poses[9, 1] = np.nan
    assert same(parted(seen)[0], poses)


def test_links_of_poses_that_were_mixed_are_doubtful():
    found, _ = detected(exchanged(swimming(), [9]))
    tracks, scores = identify(found, 2)
    assert tracks.tolist() == [0, 1] * FRAMES
    assert sorted(set(found.frame[scores < 0.95].tolist())) == [9, 10]
    assert set(scores[found.frame == 9].tolist()) == {PARTED}


def test_whole_poses_stay():
    poses = swimming()
    assert same(parted(poses)[0], poses)


@pytest.mark.parametrize("frames", [range(9, FRAMES), range(9)])
def test_what_never_becomes_whole_again_stays(frames):
    seen = exchanged(swimming(), frames)
    assert same(parted(seen)[0], seen)


def test_whole_poses_between_mixed_ones_stay():
    # Node by node the middle is as much an exchange as the ends are; only bodies tell.
    seen = exchanged(swimming(), [*range(8), *range(12, FRAMES)])
    assert same(parted(seen)[0][8:12], seen[8:12])


def test_poses_of_a_person_stay():
    seen = exchanged(swimming(), [9])
    assert same(parted(seen, user=[18])[0], seen)


def test_a_node_that_was_never_found_before_goes_with_most_of_its_pose():
    poses = swimming()
    poses[:9, 0, 4] = poses[10:, 0, 4] = np.nan
    seen = exchanged(poses, [9], nodes=np.arange(5) == 0)
    assert same(parted(seen)[0], poses)


def test_where_a_single_node_would_be_left_nothing_is_said():
    poses = swimming()
    poses[:9, 0, 4] = poses[10:, 0, 4] = np.nan
    seen = exchanged(poses, [9])  # two nodes of each, and a tail that may be either's
    assert same(parted(seen)[0], seen)


def test_places_without_extent_are_nothing_that_can_be_mixed():
    places = np.stack([np.arange(8.0), np.zeros(8)], axis=-1)[:, None]
    bodies = describe_bodies(make_poses(Skeleton(("n",)), places, frame=np.arange(8) // 2))
    same_bodies, mended = part_mixed(bodies, np.arange(8) // 2, np.zeros(8, dtype=bool))
    assert same_bodies is bodies
    assert not mended.any()

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.tracking import likeness
from sleap_lab.tracking.bodies import Bodies, describe_bodies
from sleap_lab.tracking.likeness import look_again
from sleap_lab.tracking.stretches import joined

FRAMES = 90
NAN = np.nan
FISH = np.array([[6, 0], [2, 1], [-6, 0], [0, -2]], dtype=float)


def exchanged(sizes):
    """Two fish that were exchanged between frames 29 and 59; rows by frame, first one, then two."""
    rng = np.random.default_rng(0)
    points = [
        size * FISH + [100 * animal, frame] + rng.normal(0, 0.2, FISH.shape)
        for frame in range(FRAMES)
        for animal, size in enumerate(sizes)
    ]
    poses = make_poses(Skeleton(tuple("abcd")), points, frame=np.repeat(np.arange(FRAMES), 2))
    follow = {
        2 * frame + animal: 2 * frame + 2 + animal for frame in range(89) for animal in (0, 1)
    }
    for frame in (29, 59):
        follow[2 * frame], follow[2 * frame + 1] = 2 * frame + 3, 2 * frame + 2
    stretches = joined(2 * FRAMES, np.array(list(follow)), np.array(list(follow.values())))
    doubtful = np.isin(poses.frame, (30, 60))
    return describe_bodies(poses), stretches, doubtful, np.ones(2 * FRAMES, dtype=bool)


def seen_as(shape):
    """Bodies of these shapes."""
    n, nodes = shape.shape
    return Bodies(1.0, np.zeros(n), np.ones(n), shape, np.zeros(nodes), np.ones(nodes))


def alike(rows, others):
    """Motion says nothing."""
    return np.zeros(len(rows))


def test_animals_of_different_size_are_exchanged_back():
    bodies, stretches, doubtful, real = exchanged((1.0, 1.2))
    found, margin = look_again(bodies, stretches, doubtful, alike, real)
    first = found.first()
    assert first.tolist() == [0, 1] * FRAMES
    assert (margin[doubtful] > 5).all()
    assert np.isnan(margin[~doubtful]).all()


def test_of_animals_that_look_alike_shape_says_nothing():
    bodies, stretches, doubtful, real = exchanged((1.0, 1.0))
    found, margin = look_again(bodies, stretches, doubtful, lambda i, j: 2.0 * ((i + j) % 2), real)
    # As joined, each link leads to the other row: exchanging back saves 4.
    assert found.first().tolist() == [0, 1] * FRAMES
    np.testing.assert_allclose(margin[doubtful], 4, atol=1)


def test_a_second_look_says_how_far_it_is_pair_by_pair():
    random, told = np.random.default_rng(0), []
    points = [
        FISH + np.array([100 * animal, frame]) + random.normal(0, 1, FISH.shape)
        for frame in range(8)
        for animal in range(4)
    ]
    poses = make_poses(Skeleton(tuple("abcd")), points, frame=np.repeat(np.arange(8), 4))
    stretches = joined(32, np.arange(28), np.arange(4, 32))
    every = np.ones(32, dtype=bool)
    look_again(
        describe_bodies(poses), stretches, every, alike, every, lambda *far: told.append(far)
    )
    # Four animals are six pairs; three sweeps at most.
    assert told[:6] == [(number, 18) for number in range(6)]
    assert told == sorted(told)


@pytest.mark.parametrize("sizes", [(1.0, 1.2)])
def test_motion_that_is_sure_is_believed(sizes):
    bodies, stretches, doubtful, real = exchanged(sizes)
    found, _ = look_again(bodies, stretches, doubtful, lambda i, j: 40.0 * ((i + j) % 2 == 0), real)
    assert found.after.tolist() == stretches.after.tolist()


def test_where_bodies_are_all_the_same_shape_says_nothing():
    bodies, stretches, doubtful, real = exchanged((1.0, 1.2))
    points = bodies.center[:, None] + bodies.heading[:, None] * bodies.shapes()[:1]
    same = replace(bodies, points=points)
    found, margin = look_again(same, stretches, doubtful, alike, real)
    assert found is stretches
    assert np.isnan(margin).all()


def test_detections_that_are_no_animal_take_no_part():
    bodies, stretches, doubtful, real = exchanged((1.0, 1.2))
    found, margin = look_again(bodies, stretches, doubtful, alike, real & (np.arange(180) % 2 == 0))
    assert found.after.tolist() == stretches.after.tolist()
    assert np.isnan(margin).all()


@pytest.mark.parametrize(
    ("early", "late"),
    [((0, 1), (1, 2)), ((1, 2), (0, 1)), ((0, 2), (1, 2)), ((1, 2), (0, 2)), ((0, 2), (0, 1))],
)
@pytest.mark.parametrize("cheaper", [0, 1])
def test_of_three_animals_each_pair_is_looked_at_until_nothing_changes(early, late, cheaper):
    # Two are exchanged after frame 29 and two after frame 59, of which motion says little, and
    # about one of the contacts less than about the other.
    random, sizes = np.random.default_rng(3), (1.0, 1.25, 1.5)
    points = [
        size * FISH + [100 * animal, frame] + random.normal(0, 0.2, FISH.shape)
        for frame in range(FRAMES)
        for animal, size in enumerate(sizes)
    ]
    poses = make_poses(Skeleton(tuple("abcd")), points, frame=np.repeat(np.arange(FRAMES), 3))
    after = np.arange(3, 3 * FRAMES + 3)
    after[-3:] = -1
    for frame, (a, b) in ((29, early), (59, late)):
        after[[3 * frame + a, 3 * frame + b]] = after[[3 * frame + b, 3 * frame + a]]
    rows = np.flatnonzero(after >= 0)
    stretches = joined(3 * FRAMES, rows, after[rows])
    doubtful = np.isin(poses.frame, (30, 60))

    def cost(rows, others):
        contact = (others // 3 == 60).astype(int)
        near = np.where(others // 3 == rows // 3 + 1, 0.0, 1e6)
        return near + np.where(after[rows] == others, 0.0, 0.1 + 0.1 * (contact != cheaper))

    found, margin = look_again(
        describe_bodies(poses), stretches, doubtful, cost, np.ones(3 * FRAMES, dtype=bool)
    )
    assert found.first().tolist() == [0, 1, 2] * FRAMES
    assert found.last().tolist() == [267, 268, 269] * FRAMES
    assert np.nanmin(margin[doubtful]) > 0
    assert np.isnan(margin[~doubtful]).all()


# --- step by step -----------------------------------------------------------------------


def test_traits_are_in_usual_distances_from_the_usual_place():
    # x of the first node: usual 3, usual distance 1, and 50 is an outlier; y does not vary; the
    # second node was never found in the first pose.
    shape = np.array([[1 + 5j, NAN], [2 + 5j, 10], [3 + 5j, 10 + 2j], [4 + 5j, 12], [50 + 5j, 8]])
    found = likeness._traits(seen_as(shape))
    np.testing.assert_allclose(
        found, [[-2, np.nan], [-1, 0], [0, 0], [1, 2 / 1], [4, -2 / 1]]
    )  # of 8, 10, 10, 12 the usual distances from 10 are 0, 0, 2, 2; of y it is 0


def test_every_trait_that_varies_is_one():
    shape = np.array([[1 + 2j], [2 + 4j], [3 + 6j]])
    found = likeness._traits(seen_as(shape))
    np.testing.assert_allclose(found, [[-1, -1], [0, 0], [1, 1]])
    # A ten thousandth of a body is no difference, a little more is one.
    for size, kept in ((1e-4, 0), (1.01e-4, 1)):
        shape = np.array([[0], [size], [2 * size]]) + 5j
        bodies = seen_as(shape)
        assert likeness._traits(bodies).shape == (3, kept)


def cost_of(table, otherwise=0.0):
    def cost(rows, others):
        pairs = zip(rows.tolist(), others.tolist(), strict=True)
        return np.array([table.get(pair, otherwise) for pair in pairs])

    return cost


# Two animals: 0, 2, 4, 6, 8 and 1, 3, 7, 9; the other is not seen in the third frame, row 4.
ONE, TWO = np.array([0, 2, 4, 6, 8]), np.array([1, 3, 7, 9])
RUNS = joined(10, np.concatenate([ONE[:-1], TWO[:-1]]), np.concatenate([ONE[1:], TWO[1:]]))


def doubts_of(doubtful, table, otherwise=0.0):
    flags = np.isin(np.arange(10), doubtful)
    (found,) = likeness._doubts(RUNS, ONE, [TWO], flags, cost_of(table, otherwise))
    return list(zip(found.own.tolist(), found.other.tolist(), found.price.tolist(), strict=True))


def test_two_may_have_been_confused_where_links_of_both_span_one_moment():
    # Of 0-2 and 1-3: 0-3 and 1-2 instead.
    table = {(0, 3): 5.0, (1, 2): 2.0, (0, 2): 1.0, (1, 3): 3.0}
    assert doubts_of([2, 3], table) == [(0, 1, 5 + 2 - 1 - 3)]
    assert doubts_of([2, 7], table) == []  # 0-2 ends before 3-7 begins
    assert doubts_of([2], table) == []
    # A price of 25 is too much.
    assert doubts_of([2, 3], {(0, 3): 25.0}) == []
    assert doubts_of([2, 3], {(0, 3): 24.9}) == [(0, 1, 24.9)]


def test_each_link_is_exchanged_with_the_likeliest_other():
    # 3-7 of the one spans both 2-4 and 4-6 of the other.
    assert doubts_of([4, 6, 7], {(2, 7): 3.0, (4, 7): 2.0}) == [(4, 3, 2.0)]
    assert doubts_of([4, 6, 7], {(2, 7): 2.0, (4, 7): 3.0}) == [(2, 3, 2.0)]
    links = {
        (0, 2): 0.0,
        (2, 4): 0.0,
        (4, 6): 0.0,
        (6, 8): 0.0,
        (1, 3): 0.0,
        (3, 7): 0.0,
        (7, 9): 0.0,
    }
    others = {(0, 3): 4.0, (1, 2): 0.0, (2, 7): 3.0, (3, 4): 0.0}
    others |= {(4, 7): 2.0, (3, 6): 0.0, (6, 9): 1.0, (7, 8): 0.0}
    every = doubts_of([2, 3, 4, 6, 7, 8, 9], links | others, otherwise=50.0)
    assert every == [(0, 1, 4.0), (4, 3, 2.0), (6, 7, 1.0)]  # in order of time
    # Seen from the other side it is the same.
    flags = np.isin(np.arange(10), [4, 6, 7])
    (turned,) = likeness._doubts(RUNS, TWO, [ONE], flags, cost_of({(2, 7): 3.0, (4, 7): 2.0}))
    assert (turned.own.tolist(), turned.other.tolist(), turned.price.tolist()) == ([3], [4], [2])


def test_pairs_of_which_motion_knows_least_come_first():
    # Three animals in three frames, all links in doubt: 0 3 6, 1 4 7, 2 5 8.
    rows = np.arange(6)
    stretches, doubtful, real = joined(9, rows, rows + 3), np.arange(9) >= 3, np.ones(9, dtype=bool)
    # An exchange of the first and the second costs 3 and 4, the first and the third 1 and 9, the
    # second and the third 1 and 5.
    table = {(0, 4): 3.0, (3, 7): 4.0, (0, 5): 1.0, (3, 8): 9.0, (1, 5): 1.0, (4, 8): 5.0}
    back = [(1, 3), (4, 6), (2, 3), (5, 6), (2, 4), (5, 7)]
    table |= dict.fromkeys([*back, *zip(range(6), range(3, 9), strict=True)], 0.0)
    cost = cost_of(table, otherwise=50.0)
    found = likeness._pairs(stretches, doubtful, cost, real)
    assert [(own[0], other[0]) for own, other, _ in found] == [(2, 1), (2, 0), (1, 0)]
    assert [doubts.price.tolist() for _, _, doubts in found] == [[1, 5], [1, 9], [3, 4]]
    assert found[0][0].tolist() == [2, 5, 8]
    real[[1, 4, 7]] = False
    found = likeness._pairs(stretches, doubtful, cost, real)
    assert [(own[0], other[0]) for own, other, _ in found] == [(2, 0)]
    assert likeness._pairs(stretches, doubtful, cost, np.zeros(9, dtype=bool)) == []
    assert likeness._pairs(stretches, doubtful & False, cost, np.ones(9, dtype=bool)) == []


def test_means_of_the_parts_of_an_animal():
    traits = np.array([[1.0, 9], [3, NAN], [100, 100], [8, 2], [10, NAN], [6, NAN]])
    mean, frames = likeness._means(traits, np.array([0, 1, 3, 4, 5]), np.array([2, 4, 5]))
    np.testing.assert_allclose(
        mean, [[(1 + 3) / 2, 9], [(8 + 10) / 2, 2], [6, np.nan], [np.nan, np.nan]]
    )
    assert frames.tolist() == [2, 2, 1, 0]


@pytest.mark.parametrize(("n", "sizes"), [(40, (5, 2)), (400, (30, 25)), (10, (1, 1))])
def test_noise_is_how_much_means_differ_from_the_next(n, sizes):
    random = np.random.default_rng(0)
    traits = random.normal(size=(2 * n, 2)).cumsum(axis=0)
    own, other = np.arange(n), np.arange(n, n + n // 2)
    if n == 400:
        other = np.arange(n, 2 * n - 196)  # 204 frames: blocks of 25
    total = np.zeros((2, 2))
    for rows, size in ((own, sizes[0]), (other, sizes[1])):
        # Blocks of an eighth, at most 30 frames; less than half a block joins the last.
        starts = [0]
        while starts[-1] + size < len(rows) - size // 2:
            starts.append(starts[-1] + size)
        ends = [*starts[1:], len(rows)]
        means = [traits[rows[a:b]].mean(axis=0) for a, b in zip(starts, ends, strict=True)]
        steps = [b - a for a, b in pairwise(means)]
        total += size / 2 * sum(np.outer(step, step) for step in steps) / len(steps)
    np.testing.assert_allclose(likeness._noise(traits, own, other), total)


def test_a_single_detection_has_no_noise():
    traits = np.array([[1.0], [2.0]])
    assert likeness._noise(traits, np.array([0]), np.array([1])).tolist() == [[0]]


def test_the_first_guess_is_the_sign_of_the_main_direction():
    difference = np.array([[3.0, 1], [-2, -1], [2.5, -1]])
    frames = np.array([10.0, 90, 20])
    # The second rests on most frames and is taken as it is: the others point the other way.
    assert likeness._alike(difference, frames).tolist() == [-1, 1, -1]
    frames = np.array([90.0, 10, 20])
    assert likeness._alike(difference, frames).tolist() == [1, -1, 1]


def test_the_main_direction_is_that_of_the_parts_with_many_frames():
    # One trait says much in few frames, the other little in many: 3 / 33 · 16 < 300 / 330 · 4 · 2.
    difference = np.array([[4.0, 0], [0.1, 2], [0.1, -2]])
    frames = np.array([3.0, 300, 300])
    assert likeness._alike(difference, frames).tolist() == [1, 1, -1]


def chain_by_hand(evidence, price):
    """All sequences of signs, with the logarithm of how likely each is."""
    for sign in product((1.0, -1.0), repeat=len(evidence)):
        sign = np.array(sign)
        changed = sign[1:] != sign[:-1]
        yield sign, changed, (evidence * sign).sum() / 2 - price[changed].sum()


@pytest.mark.parametrize("seed", range(6))
def test_the_likeliest_signs_of_a_chain_are_the_best_of_all(seed):
    random = np.random.default_rng(seed)
    evidence, price = random.normal(0, 4, 5), random.normal(1, 2, 4)
    tried = list(chain_by_hand(evidence, price))
    best, _, _ = max(tried, key=lambda one: one[2])
    sign, odds = likeness._chain(evidence, price)
    assert sign.tolist() == best.tolist()
    for border in range(4):
        changed, kept = (
            np.logaddexp.reduce([worth for _, change, worth in tried if change[border] == which])
            for which in (True, False)
        )
        assert odds[border] == pytest.approx(changed - kept)


def test_a_chain_of_one_has_no_border():
    sign, odds = likeness._chain(np.array([-3.0]), np.zeros(0))
    assert (sign.tolist(), odds.tolist()) == ([-1], [])


def evidence_by_hand(difference, frames, noise, sign):
    """What each part says, one after the other."""
    steady, n = 30.0, len(frames)
    weight = frames / (frames + steady)
    told = []
    for part in range(n):
        others = [other for other in range(n) if other != part]
        share = weight[others].sum()
        direction = sum(weight[other] * sign[other] * difference[other] for other in others)
        length = np.linalg.norm(direction) / share if share > 0 else 0.0
        if not (length > 0 and frames[part] > 0):
            told.append(None)
            continue
        unit = direction / np.linalg.norm(direction)
        promise = length * max(0, 1 - np.trace(noise) / share / steady / length**2)
        vary = 1 / frames[part] + 1 / steady
        told.append((unit @ difference[part], promise, unit @ noise @ unit, vary))
    seen = [(weight[part], sign[part], *one) for part, one in enumerate(told) if one]
    freedom = max(sum(one[0] for one in seen), 1.0)
    between = sum(w * (s * score - promise) ** 2 / vary for w, s, score, promise, _, vary in seen)
    between /= max(sum(one[0] for one in seen), 1e-9)
    found = np.zeros(n)
    for part, one in enumerate(told):
        if one:
            score, promise, spread, vary = one
            variance = max(spread, between) * vary
            # Student's t around what is promised, against around its opposite.
            near, far = (
                1 + (score - side * promise) ** 2 / (freedom * variance) for side in (1, -1)
            )
            found[part] = (freedom + 1) / 2 * (np.log(far) - np.log(near))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_each_part_is_judged_by_the_others(seed):
    random = np.random.default_rng(seed)
    frames = random.integers(1, 200, 5).astype(float)
    sign = random.choice([1.0, -1.0], 5)
    difference = sign[:, None] * random.normal(1, 0.4, (5, 3))
    noise = np.diag([1.0, 2.0, 3.0]) * random.choice([0.01, 1, 30])
    np.testing.assert_allclose(
        likeness._evidence(difference, frames, noise, sign),
        evidence_by_hand(difference, frames, noise, sign),
    )


def test_a_part_that_was_not_seen_says_nothing():
    frames = np.array([50.0, 0, 80, 20])
    difference = np.array([[1.0, 0.2], [5, 5], [1.2, 0.1], [-0.9, -0.3]])
    sign = np.array([1.0, 1, 1, -1])
    found = likeness._evidence(difference, frames, np.eye(2), sign)
    np.testing.assert_allclose(found, evidence_by_hand(difference, frames, np.eye(2), sign))
    assert found[1] == 0
    alone = likeness._evidence(difference[:2], frames[:2], np.eye(2), sign[:2])
    assert alone.tolist() == [0, 0]
    # Neither does one whose others cancel out.
    difference = np.array([[1.0], [2.0], [2.0]])
    frames, sign = np.full(3, 30.0), np.array([1.0, 1, -1])
    found = likeness._evidence(difference, frames, np.eye(1), sign)
    assert found[0] == 0
    np.testing.assert_allclose(found, evidence_by_hand(difference, frames, np.eye(1), sign))


def test_parts_are_settled_until_nothing_changes():
    random = np.random.default_rng(1)
    frames, price = random.integers(20, 200, 6).astype(float), np.full(5, 0.5)
    true = np.array([1.0, 1, -1, -1, 1, -1])
    difference = true[:, None] * random.normal(1, 0.2, (6, 2))
    for start in (np.ones(6), true, np.array([1.0, -1, 1, -1, 1, -1])):
        sign = start
        for _ in range(10):
            settled, _ = likeness._chain(
                likeness._evidence(difference, frames, np.eye(2), sign), price
            )
            if (settled == sign).all():
                break
            sign = settled
        evidence = likeness._evidence(difference, frames, np.eye(2), sign)
        changed = sign[1:] != sign[:-1]
        _, odds = likeness._chain(evidence, price)
        found = likeness._settle(difference, frames, np.eye(2), price, start)
        assert found[1].tolist() == sign.tolist()
        assert found[0] == pytest.approx((evidence * sign).sum() / 2 - price[changed].sum())
        np.testing.assert_allclose(found[2], np.where(changed, odds, -odds))


@pytest.mark.parametrize("count", [2, 1])
def test_two_animals_are_judged_by_what_tells_them_apart_against_the_noise(count):
    # Traits of 160 frames of each, that were exchanged from frame 80 to 120.
    random = np.random.default_rng(2)
    mix = np.array([[1.0, 0.8], [0.0, 0.6]])
    traits = random.normal(size=(320, 2)) @ mix
    own, other = np.arange(0, 320, 2), np.arange(1, 320, 2)
    away = (np.arange(160) >= 80) & (np.arange(160) < 120)
    traits[np.where(away, other, own)] += [0.6, -0.8]
    traits[7, 0] = NAN
    traits = traits[:, -count:]
    at = np.array([39, 79, 119])
    doubts = likeness.Doubts(own[at], other[at], np.array([0.3, 0.2, 0.1]))
    verdict = likeness._judge(traits, own, other, doubts)
    assert verdict.exchanged.tolist() == [False, True, True]
    # The same, with the noise made equal in all directions by its Cholesky factor.
    parts = [slice(0, 40), slice(40, 80), slice(80, 120), slice(120, 160)]
    difference = np.array(
        [np.nanmean(traits[own[p]], axis=0) - np.nanmean(traits[other[p]], axis=0) for p in parts]
    )
    noise = likeness._noise(traits, own, other)
    noise = noise + 0.1 * np.diagonal(noise).mean() * np.eye(count)
    difference = np.linalg.solve(np.linalg.cholesky(noise), difference.T).T
    frames = np.full(4, 40 * 40 / 80.0)
    guesses = [np.ones(4), np.array([1.0, 1, -1, 1]), -np.array([1.0, 1, -1, 1])]
    _, sign, odds = max(
        (likeness._settle(difference, frames, np.eye(count), doubts.price, one) for one in guesses),
        key=lambda one: one[0],
    )
    assert (sign[1:] != sign[:-1]).tolist() == verdict.exchanged.tolist()
    np.testing.assert_allclose(verdict.margin, odds, rtol=1e-6)

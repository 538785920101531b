"""How animals move: each number is worked out by hand, or as scipy has it."""

import numpy as np
import pytest
from scipy import stats

from sleap_lab.tracking import motion
from sleap_lab.tracking.bodies import Bodies
from sleap_lab.tracking.ends import WINDOWS, Side, State, compare, know
from sleap_lab.tracking.gaps import GAPS, pairs_by_gap
from sleap_lab.tracking.motion import LEAP, Motion, Place, learn_motion, spanned_area

NAN = complex(np.nan, np.nan)


def bodies_at(center, heading=None):
    """Bodies at places; without a heading none can be told."""
    center = np.asarray(center, dtype=complex)
    told = np.full(len(center), NAN) if heading is None else np.asarray(heading, dtype=complex)
    return Bodies(10.0, center, told, center[:, None], np.zeros(1, dtype=complex), np.ones(1))


def in_a_row(n):
    """Rows before and after each of n detections of one stretch."""
    rows = np.arange(n)
    return rows - 1, np.where(rows < n - 1, rows + 1, -1)


def each_gap(values):
    """Something learned for every gap; other values than those given are never asked for."""
    return np.array([values.get(gap, 99.0) for gap in GAPS])


# --- what is expected of a link ---------------------------------------------------------


def model(**learned):
    """A motion of which every number differs; 1, 2 and 4 frames are learned, the others 99."""
    kept = np.full((len(GAPS), 3), 99.0)
    kept[[0, 1]] = [[0.9, 0.3, 0.1], [1.7, 0.5, 0.2]]
    return Motion(
        **{
            "window": 1,
            "kept": kept,
            "still": each_gap({1: 0.2, 2: 0.3}),
            "moving": each_gap({1: 0.5, 2: 0.7}),
            "ahead": each_gap({1: 0.4, 2: 0.6}),
            "loose": each_gap({1: 0.8, 2: 1.1}),
            "starts": np.zeros(len(GAPS)),
            "tail": 4.0,
            "area": 50.0,
        }
        | learned
    )


def place_cost(step, expected, spread, tail=4.0, area=50.0):
    """Minus the logarithm of Student's t in the plane, and now and then anywhere."""
    off = step - expected
    shape = spread**2 * np.eye(2)
    density = stats.multivariate_t([0, 0], shape, df=tail).pdf([off.real, off.imag])
    return -np.log((1 - LEAP) * density + LEAP / area)


def state_of(center, heading, arriving, leaving, time):
    """What is known of single nodes; over all windows of speed the same."""
    bodies = bodies_at(center, heading)
    sides = (
        Side(
            bodies.points,
            np.ones((len(center), 1)),
            bodies.heading,
            np.repeat(np.array(velocity, dtype=complex)[:, None], len(WINDOWS), axis=1),
        )
        for velocity in (arriving, leaving)
    )
    return State(bodies, *sides, np.array(time))


def costs(known, state, rows, others, blur=0.0):
    rows, others = np.array(rows), np.array(others)
    return known.cost(state, rows, others, compare(state, rows, others), np.full(len(rows), blur))


EAST, NORTH, TILTED = 1, 1j, (3 + 4j) / 5


def test_the_cost_of_a_link_is_the_mean_of_both_views():
    state = state_of(
        [1, 2.5 + 1j], [EAST, TILTED], [3 + 4j, NAN], [NAN, 1 - 1j], [7, 8]
    )  # a step of 1.5 + 1j in one frame
    forward = place_cost(
        # 0.9 of the velocity, 0.3 of the speed of 5 along the body, and 0.1 along the body
        1.5 + 1j, 0.9 * (3 + 4j) + 0.3 * 5 * EAST + 0.1 * EAST, np.hypot(0.2, 0.5 * 5)
    )  # fmt: skip
    backward = place_cost(
        1.5 + 1j,
        0.9 * (1 - 1j) + 0.3 * np.sqrt(2) * TILTED + 0.1 * TILTED,
        np.hypot(0.2, 0.5 * np.sqrt(2)),
    )
    expected = 0.5 * (forward + backward)
    found = costs(model(), state, [0], [1])
    assert found == pytest.approx([expected])


def test_two_frames_later_what_was_learned_for_two_frames_holds():
    state = state_of([1, 3], [NORTH, TILTED], [1j, NAN], [NAN, NAN], [7, 9])
    forward = place_cost(2, 1.7 * 1j + 0.5 * 1 * NORTH + 0.2 * NORTH, np.hypot(0.3, 0.7 * 1))
    backward = place_cost(2, 0.6 * TILTED, 1.1)  # no velocity: ahead of the body, and looser
    expected = 0.5 * (forward + backward)
    found = costs(model(), state, [0], [1])
    assert found == pytest.approx([expected])


def test_without_a_direction_the_place_alone_counts():
    state = state_of([0, 0.5, 2], [NAN, EAST, NAN], [NAN, 3j, NAN], [NAN, NAN, 2j], [0, 1, 2])
    first = 0.5 * (place_cost(0.5, 0, 0.8) + place_cost(0.5, 0.4 * EAST, 0.8))
    # 0.9 of 3j, 0.3 of a speed of 3 ahead, and 0.1 ahead; from the other end 0.9 of 2j
    second = 0.5 * (
        place_cost(1.5, 2.7j + 0.9 + 0.1, np.hypot(0.2, 0.5 * 3))
        + place_cost(1.5, 1.8j, np.hypot(0.2, 0.5 * 2))
    )
    found = costs(model(), state, [0, 1], [1, 2])
    assert found == pytest.approx([first, second])


def test_beyond_the_longest_gap_the_spread_grows_as_the_root_of_time():
    loose, still, kept = np.full(10, 99.0), np.full(10, 99.0), np.zeros((10, 3))
    loose[-1], still[-1], kept[-1, 0] = 2.0, 3.0, 0.5
    known = model(loose=loose, still=still, kept=kept, moving=np.zeros(10), ahead=np.zeros(10))
    state = state_of([0, 4], [NAN, NAN], [1, NAN], [NAN, NAN], [0, 128])
    # 128 frames are four times 32, so spreads are twice as large.
    expected = 0.5 * (place_cost(4, 0.5, 2 * 3.0) + place_cost(4, 0, 2 * 2.0))
    assert costs(known, state, [0], [1]) == pytest.approx([expected])


def test_a_leap_costs_as_much_as_any_place():
    state = state_of([0, 1e6], [NAN, NAN], [NAN, NAN], [NAN, NAN], [0, 1])
    found = costs(model(), state, [0], [1])
    assert found == pytest.approx([-np.log(1e-3 / 50)], rel=1e-6)
    assert model().anywhere == pytest.approx(np.log(50))


def test_some_animals_do_something_else_than_they_did():
    state = state_of([0, 2], [EAST, NAN], [1j, NAN], [NAN, NAN], [0, 1])
    starts = np.full(len(GAPS), 0.25)
    usual = place_cost(2, 0.9j + 0.3 + 0.1, np.hypot(0.2, 0.5))
    other = place_cost(2, 0.4 * EAST, 0.8)
    leap = LEAP / 50 / (1 - LEAP)
    densities = [np.exp(-cost) / (1 - LEAP) - leap for cost in (usual, other)]
    forward = -np.log((1 - LEAP) * (0.75 * densities[0] + 0.25 * densities[1]) + LEAP / 50)
    expected = 0.5 * (forward + place_cost(2, 0, 0.8))
    assert costs(model(starts=starts), state, [0], [1]) == pytest.approx([expected])


def test_what_is_uncertain_about_a_step_widens_the_spread():
    state = state_of([0, 2], [NAN, NAN], [1j, NAN], [NAN, NAN], [0, 1])
    forward = place_cost(2, 0.9j, np.sqrt(0.2**2 + 0.5**2 + 0.09))
    expected = 0.5 * (forward + place_cost(2, 0, np.sqrt(0.8**2 + 0.09)))
    assert costs(model(), state, [0], [1], 0.09) == pytest.approx([expected])


def test_a_displacement_is_expected_from_velocity_speed_and_direction():
    found = motion._told(np.array([3 + 4j, 3 + 4j, 0]), np.array([1j, NAN, 1]))
    assert found.tolist() == [[3 + 4j, 5j, 1j], [3 + 4j, 0, 0], [0, 0, 1]]


# --- places, times and velocities -------------------------------------------------------


def test_the_arena_is_what_nearly_all_places_span():
    # Quantiles 0.005 and 0.995 of 0 … 200 are 1 and 199, of twice that 2 and 398.
    way = np.arange(201.0)
    assert spanned_area(way + 2j * way[::-1]) == pytest.approx(198 * 396)
    assert spanned_area(np.append(way + 2j * way, NAN)) == pytest.approx(198 * 396)
    # A line is taken as a tenth as wide as it is long.
    assert spanned_area(way + 5j) == pytest.approx(198 * 19.8)
    assert spanned_area(5 + 1j * way) == pytest.approx(198 * 19.8)
    assert spanned_area(np.array([2 + 3j])) == pytest.approx(1e-7**2, rel=1e-6)
    assert spanned_area(np.array([NAN])) == 1
    assert spanned_area(np.zeros(0, dtype=complex)) == 1


# --- fits -------------------------------------------------------------------------------


def test_weights_are_those_of_least_absolute_deviations():
    random = np.random.default_rng(0)
    told = random.normal(size=(40, 2)) + 1j * random.normal(size=(40, 2))
    step = told @ [0.8, -0.3] + 0.1 * (random.standard_t(2, 40) + 1j * random.standard_t(2, 40))
    off = np.abs(step)
    for _ in range(5):
        # Least squares, each row weighed by what it was off before, real and imaginary part alone.
        root = np.sqrt(1 / (off + np.median(off)))[:, None]
        left = np.concatenate([(told * root).real, (told * root).imag])
        right = np.concatenate([(step * root[:, 0]).real, (step * root[:, 0]).imag])
        weights = np.linalg.lstsq(left, right)[0]
        off = np.abs(step - told @ weights)
    found, median = motion._weights(step, told)
    assert found == pytest.approx(weights, rel=1e-5)
    assert median == pytest.approx(np.median(off), rel=1e-5)


def test_a_millionth_keeps_the_weights_of_what_says_the_same():
    told = np.array([[1, 2], [2, 4], [3, 6]], dtype=complex)
    found, median = motion._weights(np.array([5.0, 10, 15]), told)
    # Of 5 = w1 + 2 w2 the shortest solution is (1, 2).
    assert found == pytest.approx([1, 2], rel=1e-4)
    assert median < 1e-3
    # Of one it takes a millionth: of the mean of the diagonal, here 1, 4, 9 times the share.
    single, _ = motion._weights(np.array([5.0, 10, 15]), np.array([[1], [2], [3]], dtype=complex))
    assert single == pytest.approx([5 / (1 + 1e-6)], rel=1e-9)
    # Of two that know nothing of each other, with 1 and 4 on the diagonal, of their mean of 2.5.
    off_by_one = np.array([5 + 1j, 6j + 1, 5 - 1j, 6j - 1])
    apart, median = motion._weights(off_by_one, np.array([[1, 0], [0, 2j]] * 2))
    assert apart == pytest.approx([5 / (1 + 2.5e-6), 3 * 4 / (4 + 2.5e-6)], rel=1e-9)
    assert median == pytest.approx(1)


def test_what_tells_nothing_has_no_weight():
    step = np.array([3 + 4j, 6 + 8j, 0])
    weights, median = motion._weights(step, np.zeros((3, 2), dtype=complex))
    assert (weights.tolist(), median) == ([0, 0], 5)
    weights, median = motion._weights(step, 1j * step[:, None])  # across the steps
    assert (weights.tolist(), median) == ([0], 5)
    # A weight of 1 leaves 3 in all where 0 leaves 20, but is of no use to most.
    weights, median = motion._weights(
        np.array([0, 0, 0, 10, 10.0]), np.array([[1], [1], [1], [10], [10]], dtype=complex)
    )
    assert (weights.tolist(), median) == ([0], 0)
    weights, median = motion._weights(
        np.array([2, 2, 2, 5, 5.0]), np.array([[0], [0], [0], [1], [1]], dtype=complex)
    )
    assert (weights.tolist(), median) == ([0], 2)  # most are as far off as without


def test_the_spread_of_slow_and_fast_steps():
    # Slow steps (speed 1) are 0.1 off, fast ones (speed 3) 0.5 off, to either side in turn.
    speed = np.repeat([1.0, 3.0], [12, 8])
    side = np.tile([1, -1], 10) * np.where(speed == 1, 0.1, 0.5)
    told = motion._told(speed + 0j, np.full(20, NAN))
    moving = np.ones(20, dtype=bool)
    place, off = motion._fit(speed + 1j * side, told, moving, 1e-4)
    assert place.kept == pytest.approx((1, 0, 0), abs=1e-5)
    # Off² is still² + moving² · speed²: 0.01 = s + m, 0.25 = s + 9 m; s would be negative, and is
    # at least a sixteenth of 0.01.
    assert place.moving == pytest.approx(np.sqrt(0.24 / 8), rel=1e-4)
    assert place.still == pytest.approx(0.1 / 4, rel=1e-4)
    expected = np.sqrt(0.01 / 16 + 0.03 * speed**2)
    assert off == pytest.approx(np.abs(side) / expected, rel=1e-4)


def test_an_animal_at_rest_has_a_spread_of_its_own():
    speed = np.repeat([2.0, 3.0], [12, 8])
    side = np.tile([1, -1], 10) * np.where(speed == 2, 0.4, 0.5)
    told = motion._told(speed + 0j, np.full(20, NAN))
    place, off = motion._fit(speed + 1j * side, told, np.ones(20, dtype=bool), 1e-4)
    # 0.16 = s + 4 m, 0.25 = s + 9 m
    assert place.moving**2 == pytest.approx(0.018, rel=1e-3)
    assert place.still**2 == pytest.approx(0.16 - 0.072, rel=1e-3)
    assert off == pytest.approx(1, rel=1e-3)
    # Where fast steps are less far off, speed adds nothing.
    place, _ = motion._fit(
        speed + 1j * np.tile([1, -1], 10) * np.where(speed == 2, 0.5, 0.3),
        told,
        np.ones(20, dtype=bool),
        1e-4,
    )
    assert place.moving == 0
    assert place.still == pytest.approx(0.5, rel=1e-3)


def test_equal_speeds_tell_nothing_about_speed():
    side = np.tile([0.2, -0.2], 10)
    told = motion._told(np.full(20, 2 + 0j), np.full(20, NAN))
    place, off = motion._fit(2 + 1j * side, told, np.ones(20, dtype=bool), 1e-4)
    assert (place.moving, place.ahead) == (0, 0)
    assert place.still == pytest.approx(0.2, rel=1e-3)
    assert off == pytest.approx(1, rel=1e-3)


def test_what_is_known_of_those_without_a_velocity():
    # Ten steps along the body, 0.5 long and 0.1 to the side; only the last five have a velocity.
    along = np.exp(1j * np.arange(10))
    step = along * (0.5 + 0.1j * np.tile([1, -1], 5))
    moving = np.arange(10) >= 5
    told = motion._told(np.where(moving, 0.5 * along, 0), along)
    place, off = motion._fit(step, told, moving, 1e-4)
    assert place.ahead == pytest.approx(0.5, rel=1e-4)
    assert place.loose == pytest.approx(0.1, rel=1e-4)
    assert len(off) == 5
    # Nothing is surer than the least spread.
    exact, _ = motion._fit(0.5 * along, told, moving, 0.03)
    assert (exact.still, exact.loose, exact.moving) == (0.03, 0.03, pytest.approx(0, abs=1e-3))


def test_spreads_grow_as_the_root_of_time():
    place = Place((1.0, 2.0, 3.0), 0.1, 0.2, 0.3, 0.4).grown(2)
    assert place == Place((1.0, 2.0, 3.0), 0.2, 0.4, 0.3, 0.8)


@pytest.mark.parametrize("tail", motion.TAILS)
def test_the_tail_is_that_of_what_was_off(tail):
    # The quantiles of the distance from the centre of a t in the plane, over their median:
    # 1 - (1 + r² / tail)^(-tail / 2) of all lie within r.
    share = (np.arange(1000) + 0.5) / 1000
    off = np.sqrt(tail * ((1 - share) ** (-2 / tail) - 1))
    assert motion._tail([off[::2] / np.median(off), off[1::2] / np.median(off)]) == tail


def test_without_anything_off_leaps_are_common():
    assert motion._tail([]) == 2.0


def test_the_tail_is_the_likeliest_by_scipy():
    # So near to where two tails are as likely that a slip in the formula shows.
    for size in np.linspace(1.0, 6.0, 26):
        off = np.concatenate([np.linspace(0.2, 1.8, 30), np.full(3, size)])
        likely = {
            tail: stats.multivariate_t([0, 0], np.eye(2) / (tail * (2 ** (2 / tail) - 1)), df=tail)
            .logpdf(np.stack([off, 0 * off], axis=1))
            .sum()
            for tail in motion.TAILS
        }
        assert motion._tail([off]) == max(likely, key=lambda tail: likely[tail])


# --- what is learned from a video -------------------------------------------------------


def learned(bodies, time, before, after):
    """The motion that stretches show."""
    pairs = pairs_by_gap(time, after)
    state = know(bodies, time, before, after, np.arange(len(time)))
    return learn_motion(state, pairs, [compare(state, *pair) for pair in pairs])


def test_of_few_detections_only_the_usual_step_is_learned():
    # One animal makes steps of 3, 4 and 5: the usual one is 4.
    center, time = np.array([0, 3, 3 + 4j, 8 + 4j]), np.arange(4)
    before, after = in_a_row(4)
    found = learned(bodies_at(center), time, before, after)
    sides = [np.ptp(np.quantile(axis, [0.005, 0.995])) for axis in ([0, 3, 3, 8], [0, 0, 4, 4])]
    assert found.area == pytest.approx(sides[0] * sides[1])
    assert (found.window, found.tail) == (0, 2.0)
    unit = np.sqrt(2)  # the median distance of a t of two degrees, sqrt(2 · (2^(2/2) - 1))
    assert found.still == pytest.approx(4 * np.sqrt(GAPS) / unit)
    assert found.loose == pytest.approx(4 * np.sqrt(GAPS) / unit)
    assert not found.moving.any()
    assert not found.ahead.any()
    assert not found.kept.any()


def test_an_animal_that_is_seen_once_may_go_anywhere():
    area = spanned_area(np.array([0, 10 + 20j]))
    found = learned(bodies_at([0, 10 + 20j]), np.array([0, 0]), *np.full((2, 2), -1))
    assert found.still == pytest.approx(np.sqrt(area) / 10 * np.sqrt(GAPS) / np.sqrt(2))
    # One that does not move has the least spread, a ten thousandth of the arena.
    still = learned(bodies_at([0, 0, 10 + 20j]), np.array([0, 1, 1]), *in_a_row(3))
    assert still.still[0] >= 1e-4 * np.sqrt(still.area) / np.sqrt(2)


def test_the_least_spread_is_a_ten_thousandth_of_the_arena():
    center = np.array([0, 0, 10 + 20j, 10 + 20j])
    before, after = np.array([-1, 0, -1, 2]), np.array([1, -1, 3, -1])
    found = learned(bodies_at(center), np.array([0, 1, 0, 1]), before, after)
    assert found.still[0] == pytest.approx(1e-4 * np.sqrt(spanned_area(center)) / np.sqrt(2))


def walk(n, seed, turning=0.1, noise=0.05):
    """One animal that walks along its body, whose place and direction are found roughly."""
    random = np.random.default_rng(seed)
    angle = np.cumsum(random.normal(0, turning, n))
    center = np.cumsum(random.uniform(0.2, 1, n) * np.exp(1j * angle))
    center += noise * (random.standard_t(3, n) + 1j * random.standard_t(3, n))
    heading = np.exp(1j * (angle + random.normal(0, 0.1, n)))
    body = np.array([0.5, -0.5], dtype=complex)
    points = (center[:, None] + heading[:, None] * body).astype(np.complex64)
    return Bodies(10.0, center, heading, points, body, np.full(2, 0.5))


@pytest.mark.parametrize(("n", "window", "longest"), [(37, 0, 16), (36, 2, 12)])
def test_each_gap_is_fitted_where_it_has_enough_pairs(n, window, longest):
    bodies, time = walk(n, 0), np.arange(n)
    area = spanned_area(bodies.center)
    state = know(bodies, time, *in_a_row(n), time)
    pairs = pairs_by_gap(time, in_a_row(n)[1])
    steps = [bodies.center[others] - bodies.center[rows] for rows, others in pairs]
    found = motion._learn(state, pairs, steps, window, area)
    # n - gap pairs, of which the first has no velocity: 20 of 37 are left at a gap of 16.
    span = np.minimum(time, WINDOWS[window])
    arriving = (bodies.center - bodies.center[time - span]) / np.maximum(span, 1)
    fits, told_after = {}, []
    for gap, step in zip(GAPS, steps, strict=True):
        rows = np.arange(n - gap)
        told = motion._told(arriving[rows], bodies.heading[rows])
        told_after.append(told)
        if gap <= longest:
            fits[gap] = motion._fit(step, told, rows > 0, 1e-4 * np.sqrt(area))
    tail = motion._tail([off for _, off in fits.values()])
    missed = [motion._weights(steps[k][1:], told_after[k][1:])[1] for k in range(4)]
    misfit = motion._misfit(state, pairs, steps, window)
    assert misfit == pytest.approx(np.log(missed).sum(), rel=1e-4)
    assert (found.window, found.area, found.tail) == (window, area, tail)
    unit = np.sqrt(tail * (2 ** (2 / tail) - 1))
    for k, gap in enumerate(GAPS):
        place = fits[min(gap, longest)][0]
        wider = np.sqrt(gap / min(gap, longest))
        assert found.kept[k] == pytest.approx(place.kept, abs=1e-3)
        assert found.still[k] == pytest.approx(place.still * wider / unit, rel=1e-3)
        assert found.moving[k] == pytest.approx(place.moving * wider / unit, rel=1e-3)
        assert found.loose[k] == pytest.approx(place.loose * wider / unit, rel=1e-3)
        assert found.ahead[k] == pytest.approx(place.ahead, rel=1e-3)


def test_the_window_that_predicts_best_is_used():
    n = 200
    time, (before, after) = np.arange(n), in_a_row(n)
    # A steady walk that is seen badly: many frames tell its speed best.
    random = np.random.default_rng(0)
    noise = 0.5 * (random.normal(size=n) + 1j * random.normal(size=n))
    assert learned(bodies_at(time + noise), time, before, after).window == 3
    # Round and round in 100 frames: the last step tells best where it goes.
    round_and_round = np.exp(2j * np.pi * time / 100)
    assert learned(bodies_at(round_and_round), time, before, after).window == 0
    # Where all are as good it is the shortest.
    assert learned(bodies_at(np.zeros(n)), time, before, after).window == 0


def test_speed_is_tried_over_so_many_frames(monkeypatch):
    tried, misfit = [], motion._misfit

    def missed(*arguments):
        tried.append(arguments[3])
        return misfit(*arguments)

    monkeypatch.setattr(motion, "_misfit", missed)
    learned(bodies_at([0, 1]), np.arange(2), *in_a_row(2))
    assert tried == [0, 1, 2, 3]

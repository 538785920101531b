import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sleap_lab.decode import peaks
from sleap_lab.decode.peaks import Refinement, refine

nan = torch.nan


def one(rows):
    """A batch of one map, drawn as rows of numbers."""
    return torch.tensor(rows, dtype=torch.float64)[None, None]


def spot(x, y, sigma=1.5, h=16, w=20):
    """A Gaussian of height 1 with its peak at (x, y)."""
    rows, columns = torch.meshgrid(
        torch.arange(h, dtype=torch.float64), torch.arange(w, dtype=torch.float64), indexing="ij"
    )
    return torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))


def noise(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).normal(0.3, 0.3, shape))


def global_peaks(maps, refinement=None):
    """The highest pixels of maps, refined: points (b, nodes, 2) and values (b, nodes)."""
    points, values = peaks.global_peaks(maps)
    samples, nodes = (
        index.flatten() for index in torch.meshgrid(*map(torch.arange, values.shape), indexing="ij")
    )
    moved = refine(maps, samples, nodes, points.view(-1, 2), [refinement])
    return moved.view(points.shape), values


def local_peaks(maps, threshold, refinement=None):
    """Local peaks, refined: samples, nodes, points, values."""
    samples, nodes, points, values = peaks.local_peaks(maps, threshold)
    return samples, nodes, refine(maps, samples, nodes, points, [refinement])[:, 0], values


def found(maps, threshold=0.2, refinement=None):
    """Local peaks as [(x, y)] of one map."""
    return [tuple(point) for point in local_peaks(maps, threshold, refinement)[2].tolist()]


seeds = st.integers(0, 2**32 - 1)


# ---- global peaks


def test_the_highest_pixel_of_every_map():
    maps = torch.zeros(2, 3, 4, 5)
    for b, node, y, x, value in [
        (0, 0, 1, 4, 0.5),
        (0, 1, 3, 0, 2.5),
        (0, 2, 0, 2, 0.3),
        (1, 0, 2, 2, 0.9),
        (1, 1, 0, 0, 1.0),
        (1, 2, 3, 4, 0.6),
    ]:
        maps[b, node, y, x] = value
    points, values = global_peaks(maps)
    assert points.tolist() == [[[4, 1], [0, 3], [2, 0]], [[2, 2], [0, 0], [4, 3]]]
    assert values.flatten().tolist() == pytest.approx([0.5, 2.5, 0.3, 0.9, 1.0, 0.6])


def test_the_first_of_equal_pixels_counts_and_is_one_of_them():
    # Rows and columns taken by themselves would give (1, 1), which is no peak at all.
    maps = torch.zeros(1, 1, 6, 7)
    maps[0, 0, 1, 5] = maps[0, 0, 4, 1] = 0.9
    assert global_peaks(maps)[0].tolist() == [[[5, 1]]]


def test_negative_maps_have_a_highest_pixel_too():
    points, values = global_peaks(one([[-3, -2], [-4, -5]]))
    assert (points.tolist(), values.tolist()) == ([[[1, 0]]], [[-2]])


def test_global_peaks_are_refined_in_their_own_map():
    points, _ = global_peaks(
        torch.stack([spot(3, 4), spot(7, 8)])[None].expand(2, 2, 16, 20), Refinement(5)
    )
    torch.testing.assert_close(
        points, torch.tensor([[[3.0, 4.0], [7.0, 8.0]]] * 2, dtype=torch.float64)
    )


# ---- local peaks


def test_a_peak_is_above_its_eight_neighbours():
    rows = [
        [0.0, 0.0, 0.0, 0.0, 0.9],
        [0.0, 0.5, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.4, 0.0, 0.0],  # beside 0.5, diagonally
        [0.0, 0.0, 0.0, 0.0, 0.3],
        [0.7, 0.0, 0.0, 0.2, 0.0],  # beside 0.3, and not above the threshold
    ]
    assert found(one(rows)) == [(4, 0), (1, 1), (4, 3), (0, 4)]


@pytest.mark.parametrize(("threshold", "expected"), [(0.5, []), (0.5 - 2**-10, [(1, 1)])])
def test_a_local_peak_is_strictly_above_the_threshold(threshold, expected):
    assert found(one([[0, 0, 0], [0, 0.5, 0], [0, 0, 0]]), threshold) == expected


def test_outside_is_lower_than_anything():
    assert found(one([[-1.0, -2.0], [-3.0, -4.0]]), -5) == [(0, 0)]
    assert found(one([[0.5]])) == [(0, 0)]


def test_peaks_two_pixels_apart_are_two():
    assert found(one([[0.5, 0.1, 0.6]])) == [(0, 0), (2, 0)]


def test_order_is_sample_row_column_node():
    maps = torch.zeros(2, 2, 6, 6)
    for b, node, y, x in [
        (1, 0, 0, 0),
        (0, 1, 0, 4),
        (0, 0, 4, 0),
        (0, 0, 0, 4),
        (0, 1, 0, 2),
        (0, 1, 4, 0),
    ]:
        maps[b, node, y, x] = 0.5
    samples, nodes, points, values = local_peaks(maps, 0.2, None)
    assert samples.tolist() == [0, 0, 0, 0, 0, 1]
    assert points.tolist() == [[2, 0], [4, 0], [4, 0], [0, 4], [0, 4], [0, 0]]
    assert nodes.tolist() == [1, 0, 1, 0, 1, 0]
    assert values.tolist() == [0.5] * 6


@given(seed=seeds, levels=st.sampled_from([2, 3, 50]), holes=st.booleans())
def test_all_pixels_compared_at_once_give_the_same_peaks(seed, levels, holes):
    """Few levels make many equal neighbours; accelerators compare all pixels at once."""
    draw = np.random.default_rng(seed)
    maps = torch.from_numpy(draw.integers(0, levels, (2, 3, 6, 7)) / levels)
    maps[torch.from_numpy(draw.random(maps.shape) < 0.1 * holes)] = nan
    few, every = peaks._highest_among_few(maps, 0.3), peaks._highest_of_all(maps, 0.3)
    for one_way, other_way in zip(few, every, strict=True):
        assert torch.equal(one_way.nan_to_num(9), other_way.nan_to_num(9))


def test_no_peaks():
    samples, nodes, points, values = local_peaks(torch.zeros(2, 3, 4, 5), 0.2, Refinement(5))
    assert (len(samples), len(nodes), points.shape, len(values)) == (0, 0, (0, 2), 0)


# Plateaus: pixels of equal height, as (row, column) from the first.
SMALL = {
    "pixel": [(0, 0)],
    "pair across": [(0, 0), (0, 1)],
    "pair down": [(0, 0), (1, 0)],
    "diagonal": [(0, 0), (1, 1)],
    "other diagonal": [(0, 0), (1, -1)],
    "corner": [(0, 0), (0, 1), (1, 0)],
    "corner to the left": [(0, 0), (1, -1), (1, 0)],
    "corner below": [(0, 0), (1, 0), (1, 1)],
    "square": [(0, 0), (0, 1), (1, 0), (1, 1)],
}
WIDE = {
    "three across": [(0, 0), (0, 1), (0, 2)],
    "three down": [(0, 0), (1, 0), (2, 0)],
    "two by three": [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)],
    "hook": [(0, 0), (0, 1), (1, 2)],
    "long diagonal": [(0, 0), (1, 1), (2, 2)],
    "roof": [(0, 0), (1, -1), (1, 1)],
}


def plateau(pixels, y, x, background):
    maps = background.clone()
    for dy, dx in pixels:
        maps[0, 0, y + dy, x + dx] = 0.75
    return maps


low = st.builds(
    lambda seed: torch.from_numpy(np.random.default_rng(seed).uniform(0, 0.19, (1, 1, 6, 7))), seeds
)


@given(
    pixels=st.sampled_from(list(SMALL.values())),
    y=st.integers(0, 4),
    x=st.integers(1, 5),
    background=low,
)
def test_equal_pixels_within_two_by_two_are_one_peak_at_their_mean(pixels, y, x, background):
    mean = tuple(np.mean([(x + dx, y + dy) for dy, dx in pixels], axis=0))
    samples, nodes, points, values = local_peaks(plateau(pixels, y, x, background), 0.2, None)
    assert [tuple(point) for point in points.tolist()] == [pytest.approx(mean)]
    assert (samples.tolist(), nodes.tolist(), values.tolist()) == ([0], [0], [0.75])


@given(
    pixels=st.sampled_from(list(WIDE.values())),
    y=st.integers(0, 3),
    x=st.integers(1, 4),
    background=low,
)
def test_wider_plateaus_are_no_peak(pixels, y, x, background):
    assert found(plateau(pixels, y, x, background)) == []


@pytest.mark.parametrize("where", [(0, 3), (1, 3), (2, 3), (2, 1)])
def test_a_plateau_below_a_higher_pixel_is_no_peak(where):
    maps = plateau(SMALL["pair across"], 1, 1, torch.zeros(1, 1, 5, 6))
    maps[0, 0][where] = 0.8
    assert found(maps) == [where[::-1]]


def test_a_plateau_in_one_map_does_not_touch_the_others():
    maps = torch.zeros(2, 2, 4, 5)
    maps[1, 0, 1, 1:3] = 0.5
    maps[0, 1, 1, 1] = maps[1, 1, 2, 3] = maps[0, 0, 3, 4] = 0.4
    samples, nodes, points, _ = local_peaks(maps, 0.2, None)
    assert (samples.tolist(), nodes.tolist()) == ([0, 0, 1, 1], [1, 0, 0, 1])
    assert points.tolist() == [[1, 1], [4, 3], [1.5, 1], [3, 2]]


def test_a_plateau_is_refined_around_the_floor_of_its_mean():
    # The pair at columns 2 and 3: the patch is centred on column 2, and the second pixel moves the
    # peak by 1/2.
    maps = torch.zeros(1, 1, 5, 7)
    maps[0, 0, 2, 2:4] = 0.5
    assert found(maps, refinement=Refinement(3)) == [(2 + (0 * 0.5 + 1 * 0.5) / (0.5 + 0.5), 2)]


# ---- refinement


def refined(values, x, y, k, *, bounded=False):
    zero = torch.zeros(1, dtype=torch.int64)
    at = torch.tensor([[x, y]])
    return refine(one(values), zero, zero, at, [Refinement(k, bounded)])[0, 0].tolist()


def refinement(k):
    return None if k is None else Refinement(k)


def test_refinement_by_hand():
    values = [
        [0, 0, 0, 0, 0],
        [0, 1, 2, 0, 0],
        [0, 3, 8, 5, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 9],
    ]
    total = 1 + 2 + 3 + 8 + 5 + 1
    assert refined(values, 2, 2, 3) == pytest.approx(
        [2 + (-1 - 3 + 5) / total, 2 + (-1 - 2 + 1) / total]
    )
    assert refined(values, 2, 2, 1) == [2, 2]
    wide = total + 9
    assert refined(values, 2, 2, 5) == pytest.approx(
        [2 + (-1 - 3 + 5 + 2 * 9) / wide, 2 + (-1 - 2 + 1 + 2 * 9) / wide]
    )


def test_outside_counts_as_zero():
    values = [[4, 2], [1, 1]]
    assert refined(values, 0, 0, 3) == pytest.approx([(2 + 1) / 8, (1 + 1) / 8])
    assert refined(values, 1, 1, 5) == pytest.approx([1 + (-4 - 1) / 8, 1 + (-4 - 2) / 8])


def test_negative_values_take_part():
    assert refined([[-1, 4, 1]], 1, 0, 3) == pytest.approx([1 + (1 + 1) / (-1 + 4 + 1), 0])
    assert refined([[-1.5, 2, 0]], 1, 0, 3) == pytest.approx(
        [1 + 1.5 / 0.5, 0]
    )  # far out, as nothing bounds it


def test_an_even_patch_lies_half_a_pixel_too_far():
    # Four columns from x - 2 to x + 1, weighted by -3/2, -1/2, 1/2, 3/2: even a single pixel moves
    # by a half.
    values = torch.zeros(7, 7)
    values[3, 3] = 1
    assert refined(values.tolist(), 3, 3, 4) == [3.5, 3.5]
    values[3, 1], values[3, 5] = 0.5, 0.25  # x - 2 is in, x + 2 is not
    assert refined(values.tolist(), 3, 3, 4) == pytest.approx(
        [3 + (1 * 0.5 - 0.5 * 1.5) / 1.5, 3.5]
    )


def test_bounded_leaves_negative_values_out():
    assert refined([[-1, 4, 1]], 1, 0, 3, bounded=True) == pytest.approx([1 + 1 / (4 + 1), 0])
    assert refined([[-1.5, 2, 0]], 1, 0, 3, bounded=True) == [1, 0]


def test_bounded_leaves_a_peak_without_positive_values_where_it_is():
    assert refined([[-3, -1, -2]], 1, 0, 3, bounded=True) == [1, 0]
    assert refined([[0, 0, 0]], 1, 0, 3, bounded=True) == [1, 0]


def test_bounded_weighs_an_even_patch_where_its_pixels_are():
    values = torch.zeros(7, 7)
    values[3, 3] = 1
    assert refined(values.tolist(), 3, 3, 4, bounded=True) == [3, 3]
    values[3, 1] = 0.5
    assert refined(values.tolist(), 3, 3, 4, bounded=True) == pytest.approx([3 - 2 * 0.5 / 1.5, 3])


@given(
    seed=seeds,
    k=st.integers(1, 8),
    x=st.integers(0, 10),
    y=st.integers(0, 8),
    mean=st.floats(-1, 1),
)
def test_bounded_never_leaves_the_patch(seed, k, x, y, mean):
    maps = noise(seed, 9, 11) + mean  # mostly positive, mostly negative, and all between
    found = np.array(refined(maps.tolist(), x, y, k, bounded=True))
    first = np.array([x, y]) - k // 2
    assert (found >= first - 1e-9).all()
    assert (found <= first + k - 1 + 1e-9).all()


@given(seed=seeds, k=st.sampled_from([1, 3, 5]), x=st.integers(0, 10), y=st.integers(0, 8))
def test_bounded_is_the_same_where_no_value_is_negative(seed, k, x, y):
    values = (noise(seed, 9, 11).abs() + 0.01).tolist()
    assert refined(values, x, y, k, bounded=True) == pytest.approx(refined(values, x, y, k))


# ---- offsets that the network predicts


def test_offsets_move_each_peak_by_its_own_node_x_before_y():
    maps, offsets = torch.zeros(2, 2, 4, 5), torch.full((2, 4, 4, 5), 9.0)
    for b, node, y, x, (dx, dy) in [
        (0, 0, 1, 2, (0.25, -0.5)),
        (0, 1, 3, 4, (-0.75, 0.0)),
        (1, 0, 0, 0, (0.5, 0.125)),
        (1, 1, 2, 3, (1.5, 2.0)),
    ]:
        maps[b, node, y, x] = 1
        offsets[b, 2 * node, y, x], offsets[b, 2 * node + 1, y, x] = dx, dy
    expected = [[[2 + 0.25, 1 - 0.5], [4 - 0.75, 3]], [[0.5, 0.125], [3 + 1.5, 2 + 2]]]
    assert global_peaks(maps, offsets)[0].tolist() == expected
    samples, nodes, points, _ = local_peaks(maps, 0.2, offsets)
    assert points.tolist() == [expected[b][node] for b, node in zip(samples, nodes, strict=True)]


def test_offsets_of_a_plateau_are_those_at_the_floor_of_its_mean():
    offsets = torch.zeros(1, 2, 3, 4)
    offsets[0, :, 1, 1] = torch.tensor([0.75, -0.25])
    assert found(
        torch.tensor([[[[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]]]).float(), refinement=offsets
    ) == [(1 + 0.75, 1 - 0.25)]


def test_offsets_of_nothing():
    assert local_peaks(torch.zeros(1, 2, 3, 3), 0.2, torch.ones(1, 4, 3, 3))[2].shape == (0, 2)
    assert global_peaks(torch.zeros(0, 2, 3, 3), torch.ones(0, 4, 3, 3))[0].shape == (0, 2, 2)


@given(x=st.floats(3, 12), y=st.floats(3, 12), sigma=st.floats(0.7, 2.5))
def test_the_peak_of_a_rendered_spot_comes_back(x, y, sigma):
    # Five pixels cover only a part of a wide spot; the centre of mass of this part is nearer to the
    # middle of the patch.
    tolerance = {0.7: 0.01, 1.0: 0.05, 1.5: 0.2, 2.5: 0.4}
    points, _ = global_peaks(spot(x, y, sigma)[None, None], Refinement(5))
    np.testing.assert_allclose(
        points[0, 0].numpy(), [x, y], atol=next(t for s, t in tolerance.items() if sigma <= s)
    )
    whole, _ = global_peaks(spot(x + 12, y + 12, sigma, 40, 40)[None, None], Refinement(17))
    np.testing.assert_allclose(whole[0, 0].numpy(), [x + 12, y + 12], atol=0.02)


@given(
    x=st.integers(2, 13),
    y=st.integers(2, 13),
    sigma=st.floats(0.5, 3),
    k=st.sampled_from([1, 3, 5]),
)
def test_a_spot_on_a_pixel_comes_back_exactly(x, y, sigma, k):
    points, values = global_peaks(spot(x, y, sigma)[None, None], Refinement(k))
    np.testing.assert_allclose(points.numpy()[0, 0], [x, y], atol=1e-9)
    assert values.item() == 1


@given(seed=seeds, k=st.sampled_from([3, 5, 7]))
def test_a_point_of_a_positive_map_stays_in_its_patch(seed, k):
    maps = noise(seed, 2, 2, 9, 11).abs() + 0.01
    plain, _ = global_peaks(maps)
    moved, _ = global_peaks(maps, Refinement(k))
    assert (moved - plain).abs().max() <= (k - 1) / 2


# ---- what must not matter


@settings(max_examples=50)
@given(seed=seeds, factor=st.floats(0.1, 10), k=st.sampled_from([None, 5]))
def test_a_factor_moves_no_point(seed, factor, k):
    maps = noise(seed, 2, 2, 8, 9)
    highest = global_peaks(maps, refinement(k)), global_peaks(maps * factor, refinement(k))
    local = (
        local_peaks(maps, 0.2, refinement(k)),
        local_peaks(maps * factor, 0.2 * factor, refinement(k)),
    )
    for (plain, scaled), at in ((highest, 0), (local, 2)):
        torch.testing.assert_close(scaled[at], plain[at], equal_nan=True)
        torch.testing.assert_close(scaled[-1], plain[-1] * factor)


@settings(max_examples=50)
@given(seed=seeds, constant=st.floats(-5, 5).map(lambda c: round(c * 64) / 64))
def test_a_constant_moves_no_grid_point(seed, constant):
    maps = noise(seed, 2, 2, 8, 9).mul(64).round() / 64  # sums are exact
    plain, raised = (
        local_peaks(maps, 0.25, None),
        local_peaks(maps + constant, 0.25 + constant, None),
    )
    assert all(torch.equal(a, b) for a, b in zip(plain[:3], raised[:3], strict=True))
    assert torch.equal(plain[3] + constant, raised[3])


@given(seed=seeds, k=st.sampled_from([None, 3, 5]))
def test_a_mirror_mirrors_the_peaks(seed, k):
    maps = noise(seed, 1, 1, 8, 9)
    plain = {(round(8 - x, 6), round(y, 6)) for x, y in found(maps, 0.2, refinement(k))}
    assert {
        (round(x, 6), round(y, 6)) for x, y in found(maps.flip(-1), 0.2, refinement(k))
    } == plain
    transposed = {
        (round(y, 6), round(x, 6)) for x, y in found(maps.transpose(-1, -2), 0.2, refinement(k))
    }
    assert transposed == {(round(x, 6), round(y, 6)) for x, y in found(maps, 0.2, refinement(k))}


@settings(max_examples=30)
@given(seed=seeds, k=st.sampled_from([None, 5]))
def test_maps_of_a_batch_do_not_mix(seed, k):
    maps = noise(seed, 3, 2, 7, 8)
    together = local_peaks(maps, 0.2, refinement(k))
    apart = [local_peaks(maps[b : b + 1], 0.2, refinement(k)) for b in range(3)]
    assert together[0].tolist() == [b for b in range(3) for _ in apart[b][0]]
    for column in (1, 2, 3):
        torch.testing.assert_close(together[column], torch.cat([found[column] for found in apart]))
    for node in range(2):
        torch.testing.assert_close(
            global_peaks(maps, refinement(k))[0][:, [node]],
            global_peaks(maps[:, [node]], refinement(k))[0],
            equal_nan=True,
        )


def test_maps_are_left_as_they_are():
    maps = noise(0, 1, 2, 6, 6)
    before = maps.clone()
    global_peaks(maps, Refinement(5))
    local_peaks(maps, 0.2, Refinement(5))
    assert torch.equal(maps, before)


# ---- the slow decoder, and its answers of old


@given(seed=seeds, threshold=st.sampled_from([-1.0, 0.2, 0.8]), k=st.sampled_from([None, 3, 4, 5]))
def test_the_slow_decoder_finds_the_same(slow, seed, threshold, k):
    maps = noise(seed, 2, 2, 7, 9)
    expected_points, expected_values = slow.global_peaks(maps.numpy(), -np.inf, k)
    points, values = global_peaks(maps, refinement(k))
    np.testing.assert_allclose(points, expected_points, rtol=1e-6)
    np.testing.assert_allclose(values, expected_values)
    expected = np.array(slow.local_peaks(maps.numpy(), threshold, k)).reshape(-1, 5)
    samples, nodes, points, values = local_peaks(maps, threshold, refinement(k))
    np.testing.assert_array_equal(np.stack([samples, nodes], axis=1), expected[:, :2])
    np.testing.assert_allclose(points, expected[:, 2:4], rtol=1e-6)
    np.testing.assert_allclose(values, expected[:, 4])


def test_answers_of_old(fixtures):
    maps = torch.from_numpy(fixtures["confmaps"])
    points, values = global_peaks(maps, Refinement(5))
    np.testing.assert_allclose(points, fixtures["global_points"], atol=1e-4)
    np.testing.assert_allclose(values, fixtures["global_values"], atol=1e-6)
    samples, nodes, points, values = local_peaks(maps, 0.2, Refinement(5))
    np.testing.assert_array_equal(samples, fixtures["samples"])
    np.testing.assert_array_equal(nodes, fixtures["nodes"])
    np.testing.assert_allclose(points, fixtures["points"], atol=1e-4)
    np.testing.assert_allclose(values, fixtures["values"], atol=1e-6)

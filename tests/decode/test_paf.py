import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab.decode.paf import (
    Candidates,
    GroupingOptions,
    count_lines,
    edge_order,
    field_size,
    group,
    score_lines,
    trace_lines,
)

OPTIONS = GroupingOptions(
    max_edge_length_ratio=0.25, dist_penalty_weight=1.0, min_instance_peaks=0, min_line_scores=0.25
)
NO_PENALTY = replace(OPTIONS, dist_penalty_weight=0.0)
seeds = st.integers(0, 2**32 - 1)


# ---- which pixels a line passes


@pytest.mark.parametrize(
    ("source", "destination", "stride", "columns"),
    [
        (
            0,
            24,
            8,
            [0, 1, 3],
        ),  # the middle is 12 / (1 + 2**-23), a little before pixel 1.5: without the factor, 2
        (24, 0, 8, [3, 2, 0]),  # the other way it is a little behind it
        (0, 40, 8, [0, 2, 5]),  # 2.5, which is even below: the same either way
        (40, 0, 8, [5, 3, 0]),  # and here it is not
        (0, 16, 8, [0, 1, 2]),  # on a whole pixel nothing changes
    ],
)
def test_points_on_half_a_pixel_are_sampled_on_the_side_of_their_source(
    source, destination, stride, columns
):
    fields = torch.zeros(1, 2, 1, 8)
    fields[0, 0, 0] = 10.0 ** torch.arange(8)  # so that a sum says which pixels are in it
    points = torch.tensor([[float(source), 0.0], [float(destination), 0.0]])
    lines = trace_lines(fields, np.array([0, 0]), np.array([0, 1]), points, [(0, 1)], stride, 3)
    toward = 1 if destination > source else -1
    assert lines.along.tolist() == pytest.approx(
        [toward * sum(10.0**column for column in columns) / 3]
    )


# ---- order of edges


@pytest.mark.parametrize(
    ("edges", "n_nodes", "expected"),
    [
        ([(0, 1)], 2, [0]),
        ([(0, 1), (1, 2), (2, 3)], 4, [0, 1, 2]),  # a chain
        ([(2, 3), (1, 2), (0, 1)], 4, [2, 1, 0]),  # listed from its end
        ([(0, 1), (1, 2), (0, 3)], 4, [0, 2, 1]),  # breadth first
        ([(3, 0), (3, 2), (2, 1)], 4, [0, 1, 2]),  # the root is the node that nothing leads to
        ([(0, 1), (2, 3)], 4, [0, 1]),  # a forest, tree by tree
        ([(2, 3), (0, 1)], 4, [1, 0]),
        ([(0, 2), (1, 2)], 3, [0]),  # two parents: the first counts
        ([(0, 1), (0, 2), (1, 3), (2, 3)], 4, [0, 1, 2]),  # a rhombus
        ([(0, 1), (1, 2), (2, 0)], 3, [0, 1]),  # a cycle, from its lowest node
        ([(2, 1), (1, 2)], 3, [1]),
        ([(3, 3)], 4, []),  # an edge from a node to itself
        ([(0, 1), (0, 1)], 2, [0]),  # the same edge twice
        ([], 3, []),
        ([(1, 2), (2, 1), (0, 1)], 3, [2, 0]),  # a cycle that a root leads to
    ],
)
def test_edge_order(edges, n_nodes, expected):
    assert list(edge_order(edges, n_nodes)) == expected


@given(seed=seeds, n_nodes=st.integers(1, 8))
def test_all_edges_of_a_forest_are_used_parents_first(seed, n_nodes):
    random = np.random.default_rng(seed)
    names = random.permutation(n_nodes)
    edges = [
        (int(names[random.integers(i)]), int(names[i]))
        for i in range(1, n_nodes)
        if random.random() < 0.8
    ]
    random.shuffle(edges)
    edges = [tuple(edge) for edge in edges]
    order = edge_order(edges, n_nodes)
    assert sorted(order) == list(range(len(edges)))
    children = {b for _, b in edges}
    reached = set(range(n_nodes)) - children
    for e in order:
        assert edges[e][0] in reached
        reached.add(edges[e][1])


@given(edges=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8))
def test_any_graph_is_walked_and_each_node_reached_once(edges):
    reached: set[int] = set()
    for e in edge_order(edges, 5):
        start, end = edges[e]
        reached.add(start)  # a root, or reached before
        assert end not in reached
        reached.add(end)


# ---- scores of edges


def scored(fields, peaks, edges=((0, 1),), *, stride=1, n_points=5, options=OPTIONS, samples=None):
    """Score the peaks [(node, x, y)] of one sample, or of several."""
    nodes, points = (
        np.array([p[0] for p in peaks], dtype=np.int32),
        torch.tensor([p[1:] for p in peaks], dtype=torch.float64).reshape(-1, 2),
    )
    samples = np.array([0] * len(peaks) if samples is None else samples, dtype=np.int32)
    fields = torch.as_tensor(fields, dtype=torch.float64)
    lines = trace_lines(fields, samples, nodes, points, list(edges), stride, n_points)
    n_nodes = 1 + max(*itertools.chain(*edges), *(p[0] for p in peaks))
    assert len(lines.edge) == count_lines(samples, nodes, edges, len(fields), n_nodes)
    return score_lines(lines, field_size(fields, stride), options)


def rows(candidates):
    return list(
        zip(
            candidates.edge.tolist(),
            candidates.source.tolist(),
            candidates.destination.tolist(),
            strict=True,
        )
    )


def uniform(x, y, h=20, w=20):
    """A field that points in one direction everywhere."""
    return np.stack([np.full((h, w), x), np.full((h, w), y)])[None]


@pytest.mark.parametrize(
    ("field", "destination", "expected"),
    [
        ((1, 0), (4, 0), 1),  # along the field
        ((-1, 0), (4, 0), -1),  # against it
        ((0, 1), (4, 0), 0),  # across
        ((0, 1), (0, 4), 1),
        ((1, 1), (3, 4), (3 + 4) / 5),
        ((0.5, 2), (3, 4), (0.5 * 3 + 2 * 4) / 5),
    ],
)
def test_the_score_is_the_field_along_the_edge(field, destination, expected):
    found = scored(uniform(*field), [(0, 0, 0), (1, *destination)])
    assert found.scores.tolist() == pytest.approx([expected])


def test_the_field_is_sampled_at_the_nearest_pixel_from_end_to_end():
    # Five points at x = 0, 1.5, 3, 4.5, 6, all but the first slightly nearer to the source: pixels
    # 0, 1, 3, 4 and 6.
    field = np.zeros((1, 2, 1, 7))
    field[0, 0, 0] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]
    found = scored(field, [(0, 0, 0), (1, 6, 0)], options=NO_PENALTY)
    assert found.scores.tolist() == pytest.approx([(1 + 10 + 1000 + 10_000 + 1_000_000) / 5])


def test_points_are_divided_by_the_stride():
    # Stride 4: x = 0, 4, 8, 12, 16 are pixels 0 to 4.
    field = np.zeros((1, 2, 1, 6))
    field[0, 0, 0] = [1, 2, 4, 8, 16, 32]
    found = scored(field, [(0, 0, 0), (1, 16, 0)], stride=4, options=NO_PENALTY)
    assert found.scores.tolist() == pytest.approx([(1 + 2 + 4 + 8 + 16) / 5])


def test_points_outside_are_sampled_at_the_border():
    field = np.zeros((1, 2, 1, 3))
    field[0, 0, 0] = [1, 2, 4]
    found = scored(field, [(0, -4, 0), (1, 4, 0)], options=NO_PENALTY)  # x = -4, -2, 0, 2, 4
    assert found.scores.tolist() == pytest.approx([(1 + 1 + 1 + 4 + 4) / 5])


def test_one_point_is_the_source():
    field = np.zeros((1, 2, 1, 5))
    field[0, 0, 0] = [1, 2, 4, 8, 16]
    assert scored(
        field, [(0, 0, 0), (1, 4, 0)], options=NO_PENALTY, n_points=1
    ).scores.tolist() == [1]


@pytest.mark.parametrize(
    ("length", "stride", "options", "penalty"),
    [
        (5, 1, {}, 0),  # a quarter of 20 px
        (8, 1, {}, 5 / 8 - 1),
        (10, 1, {}, 5 / 10 - 1),
        (10, 2, {}, 0),  # the fields are 40 px wide
        (16, 2, {}, 10 / 16 - 1),
        (10, 1, {"max_edge_length_ratio": 0.5}, 0),
        (10, 1, {"dist_penalty_weight": 3.0}, 3 * (5 / 10 - 1)),
        (10, 1, {"dist_penalty_weight": 0.0}, 0),
        (10, 1, {"max_edge_length_ratio": 0.0}, -1),
    ],
)
def test_long_edges_are_penalised(length, stride, options, penalty):
    found = scored(
        uniform(1, 0),
        [(0, 0, 0), (1, length, 0)],
        stride=stride,
        options=replace(OPTIONS, **options),
    )
    assert found.scores.tolist() == pytest.approx([1 + penalty])


def test_on_tiny_maps_the_number_of_channels_counts_as_a_side():
    # Five edges are ten channels: the length to compare with is 10 / 4, not 4 / 4.
    fields = np.concatenate([uniform(1, 0, 2, 4)] * 5, axis=1)
    found = scored(fields, [(0, 0, 0), (1, 3, 0)], edges=[(0, 1)] + [(2, 2)] * 4)
    assert found.scores.tolist() == pytest.approx([1 + (10 / 4) / 3 - 1])


def test_every_edge_has_its_own_two_channels():
    fields = np.concatenate([uniform(1, 0), uniform(0, 1), uniform(-1, 0)], axis=1)
    peaks = [(0, 0, 0), (1, 4, 0), (2, 0, 4)]
    found = scored(fields, peaks, edges=[(0, 1), (0, 2), (1, 0)])
    assert rows(found) == [(0, 0, 1), (1, 0, 2), (2, 1, 0)]
    assert found.scores.tolist() == pytest.approx([1, 1, 1])


def test_all_pairs_of_a_sample_are_candidates_and_none_across_samples():
    peaks = [(0, 0, 0), (1, 4, 0), (1, 4, 4), (1, 8, 8), (0, 8, 4)]
    found = scored(np.concatenate([uniform(1, 0), uniform(0, 1)]), peaks, samples=[0, 0, 0, 1, 1])
    assert rows(found) == [(0, 0, 1), (0, 0, 2), (0, 4, 3)]
    assert found.scores.tolist() == pytest.approx(
        [1, 4 / math.hypot(4, 4) + min(5 / math.hypot(4, 4) - 1, 0), 1]
    )


def test_an_edge_of_no_length_has_no_score():
    found = scored(uniform(1, 0), [(0, 3, 3), (1, 3, 3), (1, 6, 3)])
    assert np.isnan(found.scores).tolist() == [True, False]


@pytest.mark.parametrize("peaks", [[], [(0, 1, 1)], [(1, 1, 1), (1, 2, 2)]])
def test_without_both_ends_there_are_no_candidates(peaks):
    found = scored(uniform(1, 0), peaks)
    assert rows(found) == []
    assert len(found.scores) == 0


# ---- grouping


def candidates(*given):
    """Candidates from (edge, source, destination, score)."""
    edge, source, destination, scores = zip(*given, strict=True) if given else ((), (), (), ())
    return Candidates(
        np.array(edge, dtype=int),
        np.array(source, dtype=int),
        np.array(destination, dtype=int),
        np.array(scores, dtype=float),
    )


def grouped(found, nodes, edges, n_nodes, **options):
    nodes = np.array(nodes, dtype=int)
    peaks, scores = group(
        found, np.zeros_like(nodes), nodes, edges, n_nodes, replace(OPTIONS, **options)
    )
    return peaks.tolist(), pytest.approx(scores.tolist())


CHAIN, CHAIN4 = [(0, 1), (1, 2)], [(0, 1), (1, 2), (2, 3)]


def pairs(nodes, edges, score):
    """Yield all candidates (edge, source, destination, score) of one sample."""
    for e, (a, b) in enumerate(edges):
        for i in np.flatnonzero(np.equal(nodes, a)).tolist():
            for j in np.flatnonzero(np.equal(nodes, b)).tolist():
                yield e, i, j, score(i, j)


def test_two_animals():
    # Peaks 0 and 1 are heads, 2 and 3 bodies, 4 a tail. The pairs 0-3 and 1-2 fit, and 4 belongs
    # to 2.
    found = candidates(
        (0, 0, 2, 0.1),
        (0, 0, 3, 0.9),
        (0, 1, 2, 0.8),
        (0, 1, 3, 0.2),
        (1, 2, 4, 0.7),
        (1, 3, 4, 0.3),
    )
    assert grouped(found, [0, 0, 1, 1, 2], CHAIN, 3) == ([[0, 3, -1], [1, 2, 4]], [0.9, 0.8 + 0.7])


def test_the_best_pairing_is_that_of_the_whole_edge():
    # 0.9 is the best single connection, but 0.8 + 0.7 > 0.9 + 0.3.
    found = candidates((0, 0, 2, 0.9), (0, 0, 3, 0.8), (0, 1, 2, 0.7), (0, 1, 3, 0.3))
    assert grouped(found, [0, 0, 1, 1], [(0, 1)], 2) == ([[0, 3], [1, 2]], [0.8, 0.7])


@pytest.mark.parametrize(("score", "kept"), [(0.25, True), (0.25 - 1e-9, False)])
def test_the_smallest_score_that_connects(score, kept):
    assert len(grouped(candidates((0, 0, 1, score)), [0, 1], [(0, 1)], 2)[0]) == kept


def test_a_peak_without_a_connection_is_no_instance():
    found = candidates((0, 0, 2, 0.9), (0, 1, 2, 0.5))
    assert grouped(found, [0, 0, 1, 2], CHAIN, 3) == ([[0, 2, -1]], [0.9])


def test_a_part_below_a_gap_is_an_instance_of_its_own():
    # The head does not connect to the body, but the body to the tail.
    found = candidates((0, 0, 1, 0.1), (1, 1, 2, 0.9))
    assert grouped(found, [0, 1, 2], CHAIN, 3) == ([[-1, 1, 2]], [0.9])


def test_instances_come_in_the_order_in_which_they_are_begun():
    # Edge 0 begins an instance at peak 1; edge 1 then one at peak 0.
    found = candidates((0, 1, 2, 0.9), (1, 0, 3, 0.9))
    assert grouped(found, [0, 0, 1, 2], [(0, 1), (0, 2)], 3) == (
        [[1, 2, -1], [0, -1, 3]],
        [0.9, 0.9],
    )


def test_edges_are_walked_from_the_root_whatever_their_order():
    found = candidates((0, 1, 2, 0.6), (1, 0, 1, 0.5))
    assert grouped(found, [0, 1, 2], [(1, 2), (0, 1)], 3) == ([[0, 1, 2]], [0.6 + 0.5])


def test_trees_of_a_forest_are_instances_apart():
    found = candidates((0, 0, 1, 0.9), (1, 2, 3, 0.8))
    assert grouped(found, [0, 1, 2, 3], [(0, 1), (2, 3)], 4) == (
        [[0, 1, -1, -1], [-1, -1, 2, 3]],
        [0.9, 0.8],
    )


def test_a_cycle_is_grouped_without_its_last_edge():
    found = candidates((0, 0, 1, 0.9), (1, 1, 2, 0.8), (2, 2, 0, 0.7))
    assert grouped(found, [0, 1, 2], [(0, 1), (1, 2), (2, 0)], 3) == ([[0, 1, 2]], [0.9 + 0.8])


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        (0, [4, 3, 2]),
        (2, [4, 3, 2]),
        (3, [4, 3]),  # a count
        (3.0, [4, 3]),
        (4, [4]),
        (5, []),
        (0.5, [4, 3, 2]),  # a share: 0.5 * 4 nodes = 2
        (0.75, [4, 3]),
        (0.6, [4, 3, 2]),  # 2.4, truncated
        (1, [4, 3, 2]),  # one peak, not all of them
    ],
)
def test_instances_with_too_few_peaks_are_dropped(least, expected):
    nodes = [0, 0, 0, 1, 1, 1, 2, 2, 3]
    fitting = {(0, 3), (1, 4), (2, 5), (3, 6), (4, 7), (6, 8)}
    found = candidates(*pairs(nodes, CHAIN4, lambda i, j: 0.9 if (i, j) in fitting else 0.0))
    peaks, _ = grouped(found, nodes, CHAIN4, 4, min_instance_peaks=least)
    assert [sum(peak >= 0 for peak in row) for row in peaks] == expected


def test_an_edge_without_a_score_connects_nothing():
    assert grouped(candidates((0, 0, 1, math.nan)), [0, 1], [(0, 1)], 2) == ([], [])
    # The other connections of the edge stay the same, even where a peak is left without any.
    found = candidates((0, 0, 2, math.nan), (0, 0, 3, math.nan), (0, 1, 2, 0.4), (0, 1, 3, 0.5))
    assert grouped(found, [0, 0, 1, 1], [(0, 1)], 2) == ([[1, 3]], [0.5])


def test_nothing_to_group():
    nothing = np.zeros(0, dtype=int)
    peaks, scores = group(candidates(), nothing, nothing, CHAIN, 3, OPTIONS)
    assert peaks.shape == (0, 3)
    assert scores.shape == (0,)


@given(seed=seeds)
def test_a_peak_belongs_to_one_instance_and_stands_at_its_node(seed):
    random = np.random.default_rng(seed)
    nodes = np.sort(random.integers(0, 4, random.integers(0, 12)))
    edges = [(0, 1), (1, 2), (1, 3)]
    given = pairs(nodes, edges, lambda i, j: random.normal(0.4, 0.4))
    peaks, scores = group(candidates(*given), np.zeros_like(nodes), nodes, edges, 4, OPTIONS)
    used = peaks[peaks >= 0]
    assert len(used) == len(set(used.tolist()))
    assert all(nodes[peak] == node for row in peaks for node, peak in enumerate(row) if peak >= 0)
    assert ((peaks >= 0).sum(axis=1) >= 2).all()
    # An instance of m peaks has m - 1 edges, each with a score of 0.25 at least.
    assert (scores >= 0.25 * ((peaks >= 0).sum(axis=1) - 1) - 1e-12).all()


@given(seed=seeds, least=st.integers(0, 3))
def test_a_batch_is_grouped_as_its_samples_are(seed, least):
    random = np.random.default_rng(seed)
    edges, options = [(1, 2), (0, 1), (1, 3)], replace(OPTIONS, min_instance_peaks=least)
    samples = np.sort(random.integers(0, 4, 14))
    nodes = random.integers(0, 4, 14)
    by_sample = [np.flatnonzero(samples == sample) for sample in range(4)]
    expected, every = [], []
    for own in by_sample:
        found = list(pairs(nodes[own], edges, lambda i, j: random.normal(0.4, 0.4)))
        peaks, scores = group(candidates(*found), np.zeros_like(own), nodes[own], edges, 4, options)
        expected += [
            ([own[peak] if peak >= 0 else -1 for peak in row], score)
            for row, score in zip(peaks.tolist(), scores.tolist(), strict=True)
        ]
        every += [(e, int(own[i]), int(own[j]), score) for e, i, j, score in found]
    peaks, scores = group(candidates(*sorted(every)), samples, nodes, edges, 4, options)
    assert list(zip(peaks.tolist(), scores.tolist(), strict=True)) == expected


# ---- the slow decoder, and its answers of old


@given(
    seed=seeds,
    stride=st.sampled_from([1, 2, 4]),
    n_points=st.integers(1, 12),
    ratio=st.floats(0, 1),
    weight=st.floats(0, 2),
)
def test_the_slow_decoder_scores_the_same(slow, seed, stride, n_points, ratio, weight):
    random = np.random.default_rng(seed)
    fields = random.normal(0, 1, (2, 4, 9, 11))
    samples, nodes = np.sort(random.integers(0, 2, 8)), random.integers(0, 3, 8)
    points = random.uniform(-2, 11 * stride, (8, 2))
    penalty = {"max_edge_length_ratio": ratio, "dist_penalty_weight": weight}
    options = penalty | {"n_points": n_points}
    found = scored(
        fields,
        list(zip(nodes.tolist(), *points.T.tolist(), strict=True)),
        CHAIN,
        stride=stride,
        samples=samples.tolist(),
        n_points=n_points,
        options=replace(OPTIONS, **penalty),
    )
    expected = {
        (e, i, j): slow.line_score(
            fields[samples[i], 2 * e : 2 * e + 2],
            points[i],
            points[j],
            stride=stride,
            channels=4,
            **options,
        )
        for e, (a, b) in enumerate(CHAIN)
        for i in range(8)
        for j in range(8)
        if nodes[i] == a and nodes[j] == b and samples[i] == samples[j]
    }
    assert dict(zip(rows(found), found.scores.tolist(), strict=True)) == pytest.approx(expected)


@given(seed=seeds, least=st.integers(0, 4))
def test_the_slow_decoder_groups_the_same(slow, seed, least):
    random = np.random.default_rng(seed)
    edges, fields = [(0, 1), (1, 2), (1, 3)], random.normal(0.3, 0.5, (1, 6, 9, 11))
    nodes = random.integers(0, 4, random.integers(0, 10))
    points = random.uniform(0, 20, (len(nodes), 2))
    options = replace(OPTIONS, min_instance_peaks=least)
    found = scored(
        fields,
        list(zip(nodes.tolist(), *points.T.tolist(), strict=True)),
        edges,
        stride=2,
        options=options,
    )
    peaks, scores = group(found, np.zeros_like(nodes), nodes, edges, 4, options)
    expected = slow.group(
        points,
        nodes,
        fields[0],
        edges,
        4,
        stride=2,
        min_line_scores=0.25,
        least_peaks=least,
        n_points=5,
        max_edge_length_ratio=0.25,
        dist_penalty_weight=1.0,
    )
    assert peaks.tolist() == [row for row, _ in expected]
    assert scores.tolist() == pytest.approx([score for _, score in expected])


def test_answers_of_old(fixtures, make_fixtures):
    samples, nodes = fixtures["samples"], fixtures["nodes"]
    points = torch.from_numpy(fixtures["points"]) * make_fixtures.STRIDE
    scoring = dict(make_fixtures.SCORING)
    n_points = scoring.pop("n_points")
    options = GroupingOptions(
        min_instance_peaks=make_fixtures.THRESHOLDS["least_peaks"], min_line_scores=0.25, **scoring
    )
    fields = torch.from_numpy(fixtures["fields"])
    lines = trace_lines(
        fields, samples, nodes, points, make_fixtures.EDGES, make_fixtures.STRIDE, n_points
    )
    found = score_lines(lines, field_size(fields, make_fixtures.STRIDE), options)
    peaks, scores = group(found, samples, nodes, make_fixtures.EDGES, make_fixtures.NODES, options)
    frames = samples[peaks.max(axis=1)]
    answers = [
        [frame, *row, score]
        for frame, row, score in zip(frames.tolist(), peaks.tolist(), scores.tolist(), strict=True)
    ]
    np.testing.assert_allclose(answers, fixtures["grouped"], atol=1e-4)


def test_the_fixtures_are_those_of_the_script(fixtures, make_fixtures):
    built = make_fixtures.build()
    assert built.keys() == fixtures.keys()
    for name, array in built.items():
        np.testing.assert_allclose(
            fixtures[name], array, atol=1e-6, err_msg=f"{name}: run tests/decode/make_fixtures.py"
        )

"""Slow reference decoders: loops from the formulas, in float64 and without torch or scipy.

Maps are arrays (h, w), points (x, y). Ties between pixels are not handled; random maps have none.
"""

import itertools
import math

import numpy as np


def refine(values, x, y, k):
    """Return the centre of mass of the k x k pixels around (x, y); pixels outside count as 0."""
    h, w = values.shape
    total = along_x = along_y = 0.0
    for row in range(k):
        for column in range(k):
            at_x, at_y = x - k // 2 + column, y - k // 2 + row
            v = float(values[at_y, at_x]) if 0 <= at_x < w and 0 <= at_y < h else 0.0
            total += v
            along_x += (column - (k - 1) / 2) * v
            along_y += (row - (k - 1) / 2) * v
    return x + along_x / total, y + along_y / total


def global_peaks(maps, threshold, k):
    """Return points (b, nodes, 2) and values (b, nodes) of the highest pixel of each map.

    `maps` is (b, nodes, h, w).
    """
    points, values = np.full((*maps.shape[:2], 2), np.nan), np.zeros(maps.shape[:2])
    for b, node in np.ndindex(*maps.shape[:2]):
        values_here = maps[b, node]
        y, x = max(np.ndindex(*values_here.shape), key=lambda where: values_here[where])
        if values_here[y, x] >= threshold:
            points[b, node] = refine(values_here, x, y, k) if k else (x, y)
            values[b, node] = values_here[y, x]
    return points, values


def local_peaks(maps, threshold, k):
    """Return all pixels higher than their eight neighbours.

    Returns:
        [(sample, node, x, y, value)], ordered by sample, row, column, node.
    """
    found = []
    b, nodes, h, w = maps.shape
    for sample, y, x, node in itertools.product(range(b), range(h), range(w), range(nodes)):
        v = maps[sample, node, y, x]
        around = [
            maps[sample, node, y + dy, x + dx]
            for dy, dx in itertools.product((-1, 0, 1), repeat=2)
            if (dy or dx) and 0 <= y + dy < h and 0 <= x + dx < w
        ]
        if v > threshold and all(v > other for other in around):
            at = refine(maps[sample, node], x, y, k) if k else (x, y)
            found.append((sample, node, *at, v))
    return found


SAMPLING_DIVISOR = np.float32(1 + 2**-23)


def line_score(
    field,
    source,
    destination,
    *,
    stride,
    n_points,
    max_edge_length_ratio,
    dist_penalty_weight,
    channels,
):
    """Return the score of the edge between two peaks in one (2, h, w) of `channels` / 2 fields."""
    h, w = field.shape[-2:]
    dx, dy = destination[0] - source[0], destination[1] - source[1]
    d = math.hypot(dx, dy)
    if d == 0:
        return math.nan
    total = 0.0
    for i in range(n_points):
        t = i / (n_points - 1) if n_points > 1 else 0.0
        x, y = (
            float(
                np.float32(start + np.float32(np.float32(way) / SAMPLING_DIVISOR) * np.float32(t))
            )
            for start, way in ((source[0], dx), (source[1], dy))
        )
        column = min(max(round(x / stride), 0), w - 1)
        row = min(max(round(y / stride), 0), h - 1)
        total += field[0, row, column] * dx / d + field[1, row, column] * dy / d
    longest = max_edge_length_ratio * max(h, w, channels) * stride
    return total / n_points + dist_penalty_weight * min(longest / d - 1, 0)


def best_pairs(scores):
    """Return the pairing of rows and columns of a table with the largest sum, by trying all."""
    n, m = scores.shape
    if n > m:
        return sorted((i, j) for j, i in best_pairs(scores.T))
    choices = itertools.permutations(range(m), n)
    best = max(choices, key=lambda columns: sum(scores[i, j] for i, j in enumerate(columns)))
    return list(enumerate(best))


def group(
    points, nodes, fields, edges, n_nodes, *, stride, min_line_scores, least_peaks=0, **scoring
):
    """Group the peaks (p, 2) of one frame along a tree of edges, given parents first.

    Returns:
        [(peak at each node or -1, score)] in the order in which instances are begun.
    """
    instances = []
    for e, (a, b) in enumerate(edges):
        sources = [i for i in range(len(points)) if nodes[i] == a]
        destinations = [i for i in range(len(points)) if nodes[i] == b]
        if not sources or not destinations:
            continue
        field = fields[2 * e : 2 * e + 2]
        table = np.array(
            [
                [
                    line_score(
                        field, points[s], points[d], stride=stride, channels=len(fields), **scoring
                    )
                    for d in destinations
                ]
                for s in sources
            ]
        )
        for i, j in best_pairs(table):
            if table[i, j] < min_line_scores:
                continue
            own = next((instance for instance in instances if instance[0][a] == sources[i]), None)
            if own is None:
                own = [[-1] * n_nodes, 0.0]
                own[0][a] = sources[i]
                instances.append(own)
            own[0][b] = destinations[j]
            own[1] += table[i, j]
    return [
        (peaks, score)
        for peaks, score in instances
        if sum(peak >= 0 for peak in peaks) >= least_peaks
    ]


def group_by_class(nodes, probabilities, n_nodes):
    """Return the peak of every class and node, or -1, as a table (classes, nodes)."""
    classes = probabilities.shape[1]
    table = np.full((classes, n_nodes), -1)
    for node in range(n_nodes):
        peaks = [i for i in range(len(nodes)) if nodes[i] == node]
        if not peaks:
            continue
        for i, c in best_pairs(probabilities[peaks]):
            if probabilities[peaks[i], c] == max(probabilities[peaks[i]]):
                table[c, node] = peaks[i]
    return table

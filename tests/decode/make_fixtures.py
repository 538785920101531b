"""Make `data/decoded.npz`: synthetic maps, and what the slow decoders find in them.

Run `python tests/decode/make_fixtures.py` after a change of the slow decoders or of the scene; a
test fails when this is due. The scene has two frames: two animals of three nodes in the first, one
of which lacks a node, and one animal in the second.
"""

from pathlib import Path

import numpy as np
import slow

NODES, EDGES, STRIDE = 3, ((0, 1), (1, 2)), 2
ANIMALS = (
    (0, ((8.5, 10.2), (20.7, 14.1), (33.3, 12.8)), 0.9),
    (0, ((10.4, 40.1), (22.2, 37.5), None), 0.8),
    (1, ((40.0, 8.0), (39.1, 21.6), (44.4, 33.9)), 0.1),
)
"""(frame, points in network space, probability of the first class)."""
SCORING = {"n_points": 10, "max_edge_length_ratio": 0.25, "dist_penalty_weight": 1.0}
THRESHOLDS = {"min_line_scores": 0.25, "least_peaks": 2}


def scene():
    """Return the maps of the scene.

    Returns:
        confidence maps (2, nodes, 26, 28), affinity fields (2, 2 * edges, 26, 28) and class maps
        (2, 2, 26, 28).
    """
    h, w = 26, 28
    y, x = np.mgrid[:h, :w] * STRIDE
    noise = np.random.default_rng(0)
    confmaps, fields, classes = (
        noise.normal(0, 0.02, (2, NODES, h, w)),
        noise.normal(0, 0.02, (2, 2 * len(EDGES), h, w)),
        np.full((2, 2, h, w), 0.5),
    )
    for frame, points, probability in ANIMALS:
        for node, point in enumerate(points):
            if point is None:
                continue
            around = (x - point[0]) ** 2 + (y - point[1]) ** 2
            confmaps[frame, node] += np.exp(-around / (2 * 3.0**2))
            classes[frame][:, around < 8**2] = [[probability], [1 - probability]]
        for e, (a, b) in enumerate(EDGES):
            if points[a] is None or points[b] is None:
                continue
            start, end = np.array(points[a]), np.array(points[b])
            unit = (end - start) / np.linalg.norm(end - start)
            along = np.clip(
                ((np.stack([x, y], axis=-1) - start) @ unit), 0, np.linalg.norm(end - start)
            )
            away = np.linalg.norm(
                np.stack([x, y], axis=-1) - start - along[..., None] * unit, axis=-1
            )
            fields[frame, 2 * e : 2 * e + 2] += unit[:, None, None] * np.exp(
                -(away**2) / (2 * 5.0**2)
            )
    return confmaps.astype(np.float32), fields.astype(np.float32), classes.astype(np.float32)


def build():
    """Return all arrays of the file."""
    confmaps, fields, classes = scene()
    global_points, global_values = slow.global_peaks(confmaps, 0.2, 5)
    found = np.array(slow.local_peaks(confmaps, 0.2, 5))
    samples, nodes, points = found[:, 0].astype(int), found[:, 1].astype(int), found[:, 2:4]
    grouped, by_class = [], []
    for frame in range(len(confmaps)):
        own = np.flatnonzero(samples == frame)
        for peaks, score in slow.group(
            points[own] * STRIDE,
            nodes[own],
            fields[frame],
            EDGES,
            NODES,
            stride=STRIDE,
            **SCORING,
            **THRESHOLDS,
        ):
            grouped.append((frame, *(own[peak] if peak >= 0 else -1 for peak in peaks), score))
        pixels = np.array([[round(y), round(x)] for x, y in points[own]])
        table = slow.group_by_class(
            nodes[own], classes[frame][:, pixels[:, 0], pixels[:, 1]].T, NODES
        )
        by_class += [
            (frame, c, *(own[peak] if peak >= 0 else -1 for peak in row))
            for c, row in enumerate(table)
        ]
    return {
        "confmaps": confmaps,
        "fields": fields,
        "classes": classes,
        "global_points": global_points,
        "global_values": global_values,
        "samples": samples,
        "nodes": nodes,
        "points": points,
        "values": found[:, 4],
        "grouped": np.array(grouped),
        "by_class": np.array(by_class),
    }


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).parent / "data" / "decoded.npz", **build())

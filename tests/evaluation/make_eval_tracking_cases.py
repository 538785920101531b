"""Pairs of tracked labels, and what `sleap-nn eval-tracking` says about them.

    python tests/evaluation/make_eval_tracking_cases.py   (where sleap-nn 0.3.5 is installed)

The pairs are made by hand, or from numbers of Python's generator, which never change, so only the
answers are stored.
"""

import gzip
import json
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
import sleap_io as sio

ANSWERS = Path(__file__).parent / "data" / "eval_tracking_0.3.5_answers.json.gz"
N_RANDOM, N_CROWDED = 40, 20
SHAPE = np.array([[0.0, 0], [10, 0], [0, 10]])
VIDEOS = ("a.mp4", "b.mp4")


def to_labels(videos, nodes=3, predicted=False, names=VIDEOS):
    """Return labels; videos are {frame: [(track, x, y, options), …]}."""
    skeleton = sio.Skeleton([f"n{i}" for i in range(nodes)])
    tracks, frames, files = {}, [], []
    for name, content in zip(names, videos, strict=False):
        video = sio.Video(filename=name, open_backend=False)
        files.append(video)
        for number, animals in content.items():
            own = [_instance(skeleton, tracks, nodes, predicted, *animal) for animal in animals]
            frames.append(sio.LabeledFrame(video=video, frame_idx=number, instances=own))
    return sio.Labels(
        labeled_frames=frames, videos=files, skeletons=[skeleton], tracks=list(tracks.values())
    )


def _instance(skeleton, tracks, nodes, predicted, name, x, y, options=None):
    options = options or {}
    points = SHAPE[:nodes] + np.array([x, y]) + np.array(options.get("moved", 0.0))
    track = None if name is None else tracks.setdefault(name, sio.Track(name))
    if options.get("predicted", predicted):
        score = options.get("score", 0.9)
        return sio.PredictedInstance.from_numpy(
            points, skeleton=skeleton, point_scores=np.ones(nodes), score=score, track=track
        )
    return sio.Instance.from_numpy(points, skeleton=skeleton, track=track)


def _pair(truth, poses, flags=(), truth_nodes=3, nodes=3, names=VIDEOS):
    return (
        (truth, {"nodes": truth_nodes}),
        (poses, {"nodes": nodes, "predicted": True, "names": names}),
        list(flags),
    )


def _walk(*tracks, frames=range(6)):
    """Return animals that move 1 px per frame, 100 px apart."""
    return {f: [(name, 100 * i + f, 0) for i, name in enumerate(tracks)] for f in frames}


def hand_made():
    """Return pairs by the situation that they show."""
    two, same = _walk("A", "B"), _walk("x", "y")
    swapped = {f: row if f < 3 else _walk("y", "x")[f] for f, row in same.items()}
    replaced = {f: [*row, ("A", f + 1, 0, {"predicted": True})] for f, row in two.items()}
    wide = [[0, 0], [20.123, 0], [0, 0]]
    return {
        "same names": _pair([two], [two]),
        "renamed": _pair([two], [same]),
        "switch": _pair([two], [swapped]),
        "misses": _pair([two], [{f: r[f in (2, 3) :] for f, r in same.items()}]),
        "false positives": _pair([two], [{f: [*r, ("z", 9e2, 0)] for f, r in same.items()}]),
        "fragment": _pair([two], [{f: _walk(f"x{f > 2}", "y")[f] for f in two}]),
        "truth without track": _pair(
            [{f: [*r, (None, 400, 0)] for f, r in two.items()}],
            [{f: [*r, ("z", 400, 0)] for f, r in same.items()}],
        ),
        "prediction without track": _pair([two], [_walk("x", None)]),
        "empty predictions": _pair([two], [{}]),
        "no tracks predicted": _pair([two], [_walk(None)]),
        "no tracks in the truth": _pair([_walk(None)], [two]),
        "no common frame": _pair([two], [_walk("x", "y", frames=range(50, 55))]),
        "frames without animals": _pair([{**two, 6: [], 7: []}], [{**same, 6: [("x", 6, 0)]}]),
        "nothing matches": _pair([two], [{f: [("x", f + 500, 0)] for f in two}]),
        "video without predictions": _pair([two, two], [same]),
        "video without tracked truth": _pair([two, _walk(None)], [same, _walk("x", None)]),
        "names across videos": _pair([two, two], [same, swapped], ["--global_identity"]),
        "names by video": _pair([two, two], [same, swapped]),
        "another file name": _pair([two], [same], names=("z.mp4",)),
        "centroids": _pair([two], [same], nodes=1),
        "centroids in the truth": _pair([two], [same], ["--match_threshold", "3"], truth_nodes=1),
        "a person's instance replaces": _pair([replaced], [same]),
        "track twice in a frame": _pair([two], [{f: _walk("x", "x")[f] for f in two}]),
        "true track twice in a frame": _pair([_walk("A", "A")], [same]),
        "every third frame": _pair([_walk("A", "B", frames=range(0, 30, 3))], [same]),
        "size": _pair([{f: [("A", 8.7 * f, 0, {"moved": wide})] for f in two}], [same]),
        "never mostly": _pair([two], [same], ["--mt_threshold", "2", "--ml_threshold", "1.5"]),
    }


def random_pair(seed):
    """Return a pair with swaps, misses, extra animals, lost tracks and random flags."""
    random = Random(seed)
    draw = random.random
    nodes = 1 if draw() < 0.2 else 3
    double, by_person = draw() < 0.1, draw() < 0.15
    truth, poses = [], []
    for _ in range(1 + (draw() < 0.4)):
        n = 1 + int(3 * draw())
        places, names = [(60 * draw(), 60 * draw()) for _ in range(n)], [f"p{i}" for i in range(n)]
        unknown = [draw() < 0.15 for _ in range(n)]
        true_frames, frames, frame = {}, {}, 0
        for _ in range(2 + int(10 * draw())):
            frame += 1 + 2 * (draw() < 0.15)
            if draw() < 0.15:
                names = names[1:] + names[:1]
            if draw() < 0.1:
                names[-1] = f"p{frame + 10}"
            true, found = [], []
            for i, (x, y) in enumerate(places):
                places[i] = (x, y) = (x + 6 * draw() - 3, y + 6 * draw() - 3)
                if draw() < 0.9:
                    lost = unknown[i] and draw() < 0.7
                    true.append((None if lost else f"g{i}", x, y, {"predicted": draw() < 0.3}))
                if draw() < 0.85:
                    options = {
                        "moved": [[3 * draw() - 1.5, 3 * draw() - 1.5] for _ in range(nodes)]
                    }
                    options |= {"predicted": False} if by_person and draw() < 0.4 else {}
                    found.append((None if draw() < 0.08 else names[i], x, y, options))
            if draw() < 0.15:
                found.append(("extra", 60 * draw(), 60 * draw()))
            if double and found and draw() < 0.2:
                found.append(found[0])
            if true or draw() < 0.5:
                true_frames[frame] = true
            if found or draw() < 0.5:
                frames[frame] = found
        truth.append(true_frames)
        poses.append(frames)
    return _pair(truth, poses, _flags(draw, nodes), nodes, nodes)


def _flags(draw, nodes):
    flags = [
        word
        for word, share in (("--user_labels_only", 0.3), ("--global_identity", 0.4))
        if draw() < share
    ]
    for word, share, low, high in (
        ("--match_threshold", 0.3, *((0.1, 0.9) if nodes > 1 else (1, 6))),
        ("--mt_threshold", 0.3, 0, 1),
        ("--ml_threshold", 0.3, 0, 1),
        ("--oks_stddev", 0.5, 0.02, 0.12),
    ):
        if draw() < share:
            flags += [word, f"{low + (high - low) * draw():.2f}"]
    return flags


def crowded_pair(seed):
    """Return animals so close that who matches whom depends on the rule."""
    draw = Random(1000 + seed).random
    nodes, n = (1 if draw() < 0.3 else 3), 2 + int(3 * draw())
    truth = {
        f: [(None if draw() < 0.15 else f"g{i}", 12 * draw(), 12 * draw()) for i in range(n)]
        for f in range(4)
    }
    poses = {f: [(f"p{i}", 12 * draw(), 12 * draw()) for i in range(n + 1)] for f in range(4)}
    flags = (
        ["--oks_stddev", f"{0.1 + 0.3 * draw():.2f}", "--match_threshold", f"{0.7 * draw():.2f}"]
        if nodes > 1
        else ["--match_threshold", f"{2 + 8 * draw():.2f}"]
    )
    return _pair([truth], [poses], flags, nodes, nodes)


def make_pairs():
    """Return all pairs by name: (truth, predictions, flags); sides are arguments of `to_labels`."""
    return {
        **hand_made(),
        **{f"random {seed}": random_pair(seed) for seed in range(N_RANDOM)},
        **{f"crowded {seed}": crowded_pair(seed) for seed in range(N_CROWDED)},
    }


def _answer(pair, folder):
    """Return what sleap-nn writes; None where it ends with an error."""
    from click.testing import CliRunner
    from sleap_nn.cli import cli

    (truth, truth_options), (poses, options), flags = pair
    paths = [str(folder / name) for name in ("truth.slp", "poses.slp", "metrics.json")]
    to_labels(truth, **truth_options).save(paths[0], verbose=False)
    to_labels(poses, **options).save(paths[1], verbose=False)
    words = ["eval-tracking", "-g", paths[0], "-p", paths[1], "-s", paths[2], *flags]
    if CliRunner().invoke(cli, words).exit_code:
        return None
    answer = json.loads(Path(paths[2]).read_text())
    for block in (answer, answer["mot"], answer["motion_diagnostic"]):
        for text in ("notes", "note"):
            block.pop(text, None)
        if "error" in block:
            block["error"] = True
    return answer


def main():
    """Ask sleap-nn about every pair."""
    answers = {}
    for name, pair in make_pairs().items():
        with TemporaryDirectory() as folder:
            answers[name] = _answer(pair, Path(folder))
    ANSWERS.write_bytes(gzip.compress(json.dumps(answers).encode(), mtime=0))


if __name__ == "__main__":
    main()

"""CLEAR, Identity and HOTA as `sleap-nn eval-tracking` gives them, in its `mot` block."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from sleap_lab.evaluation.identity_counts import (
    combine_family,
    count_association,
    count_clear,
)
from sleap_lab.evaluation.sequences import TrackSequence, build_sequences
from sleap_lab.evaluation.switches import clear_matches
from sleap_lab.evaluation.tracked import Tracked

CLEAR = {
    "mota": "MOTA",
    "motp": "MOTP",
    "moda": "MODA",
    "idsw": "IDSW",
    "frag": "Frag",
    "mt": "MT",
    "pt": "PT",
    "ml": "ML",
    "clr_tp": "CLR_TP",
    "clr_fn": "CLR_FN",
    "clr_fp": "CLR_FP",
}
IDENTITY = {
    "idf1": "IDF1",
    "idp": "IDP",
    "idr": "IDR",
    "idtp": "IDTP",
    "idfp": "IDFP",
    "idfn": "IDFN",
}
HOTA = {
    "hota": "HOTA",
    "det_a": "DetA",
    "ass_a": "AssA",
    "loc_a": "LocA",
    "det_re": "DetRe",
    "det_pr": "DetPr",
    "ass_re": "AssRe",
    "ass_pr": "AssPr",
    "owta": "OWTA",
    "hota_0": "HOTA(0)",
    "loc_a_0": "LocA(0)",
}
BY_THRESHOLD = ("hota", "det_a", "ass_a", "loc_a")
"""Metrics of HOTA that are also given at each of its thresholds."""
COUNTED = frozenset({"idsw", "frag", "mt", "pt", "ml"} | {n for n in CLEAR if n.startswith("clr_")})
MOSTLY_TRACKED, MOSTLY_LOST = 0.8, 0.2
"""TrackEval's own limits of MT and ML."""
EPSILON = float(np.finfo(np.float64).eps)


def mot_block(compared: Tracked) -> dict[str, Any]:
    """Return the metrics by sleap-nn's names.

    Where a track holds two scored detections of a frame, there are none, and `error` says which.
    """
    sequences = build_sequences(
        compared.truth,
        compared.poses,
        compared.truth.tracks,
        compared.poses.tracks,
        compared.frames,
        compared.similarity,
        _joint(compared.similarity_threshold),
    )
    if double := next(_doubles(sequences), None):
        return {"error": f"{double}; a track holds one detection per frame"}
    numbers = _metrics(
        sequences, compared.similarity_threshold, joined=compared.settings.global_identity
    )
    return numbers | _counts(compared, sequences)


def _joint(threshold: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the rule by which predictions lie on true instances without a track.

    All true instances of a frame are assigned together, so that similarity is largest.
    """

    def ignore(counted: np.ndarray, ignored: np.ndarray) -> np.ndarray:
        table = np.concatenate([counted, ignored])
        score = np.where(table >= threshold - EPSILON, table, 0)
        rows, columns = linear_sum_assignment(-score)
        on = np.zeros(table.shape[1], dtype=bool)
        on[columns[(rows >= len(counted)) & (score[rows, columns] > EPSILON)]] = True
        return on

    return ignore


def _doubles(sequences: Sequence[TrackSequence]) -> Iterator[str]:
    """Name tracks with two scored detections in a frame."""
    for sequence in sequences:
        for side, names, ids in (
            ("predicted", sequence.pose_names, sequence.pose_ids),
            ("true", sequence.truth_names, sequence.truth_ids),
        ):
            for frame, tracks in zip(sequence.frames, ids, strict=True):
                for track, n in Counter(tracks.tolist()).items():
                    if n > 1:
                        yield (
                            f"the {side} track {names[track]!r} has {n} detections in frame "
                            f"{frame} of video {sequence.video}"
                        )


def _metrics(
    sequences: Sequence[TrackSequence], threshold: float, *, joined: bool
) -> dict[str, Any]:
    """Form all metrics.

    Args:
        sequences: The tracks, by video.
        threshold: Smallest similarity of a match.
        joined: Whether a name is one animal in all videos. Identity and HOTA then see one sequence,
            and so do MT, PT and ML; all else in CLEAR stays by video.
    """
    clear = combine_family("clear", [count_clear(sequence, threshold) for sequence in sequences])
    if joined:
        clear |= _mostly(sequences, threshold)
    parts = [_joined(sequences)] if joined else sequences
    counts = [count_association(part, threshold) for part in parts]
    identity = combine_family("identity", [counted["identity"] for counted in counts])
    hota = combine_family("hota", [counted["hota"] for counted in counts])
    return {
        **{
            name: int(clear[k]) if name in COUNTED else float(clear[k]) for name, k in CLEAR.items()
        },
        **{
            name: int(identity[k]) if k[2:] in ("TP", "FP", "FN") else float(identity[k])
            for name, k in IDENTITY.items()
        },
        **{name: float(np.mean(hota[key])) for name, key in HOTA.items()},
        **{f"{name}_alpha": hota[HOTA[name]].tolist() for name in BY_THRESHOLD},
    }


def _mostly(sequences: Sequence[TrackSequence], threshold: float) -> dict[str, int]:
    """Return MT, PT and ML of animals with one name in all videos."""
    seen: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for sequence in sequences:
        names = sequence.truth_names
        seen.update(names[i] for ids in sequence.truth_ids for i in ids.tolist())
        found.update(names[i] for _, pairs in clear_matches(sequence, threshold) for i in pairs)
    shares = np.array([found[name] / n for name, n in seen.items()])
    mostly, some = int((shares > MOSTLY_TRACKED).sum()), int((shares >= MOSTLY_LOST).sum())
    return {"MT": mostly, "PT": some - mostly, "ML": len(shares) - some}


def _joined(sequences: Sequence[TrackSequence]) -> TrackSequence:
    """Return the sequences of several videos as one, in which tracks of one name are one track."""
    truth_names, pose_names = (
        list(dict.fromkeys(name for names in side for name in names))
        for side in (
            [sequence.truth_names for sequence in sequences],
            [sequence.pose_names for sequence in sequences],
        )
    )

    def renumbered(ids: list[np.ndarray], own: list[str], names: list[str]) -> list[np.ndarray]:
        place = np.array([names.index(name) for name in own], dtype=np.intp)
        return [place[numbers] for numbers in ids]

    return replace(
        sequences[0],
        frames=[frame for sequence in sequences for frame in sequence.frames],
        truth_ids=[
            ids for s in sequences for ids in renumbered(s.truth_ids, s.truth_names, truth_names)
        ],
        pose_ids=[
            ids for s in sequences for ids in renumbered(s.pose_ids, s.pose_names, pose_names)
        ],
        similarities=[table for sequence in sequences for table in sequence.similarities],
        neighbours=[row for sequence in sequences for row in sequence.neighbours],
        truth_names=truth_names,
        pose_names=pose_names,
    )


def _counts(compared: Tracked, sequences: Sequence[TrackSequence]) -> dict[str, Any]:
    """Return what was compared."""
    truth, poses, frames = compared.truth, compared.poses, compared.frames
    true = truth.tracks[np.concatenate([pair.all_truth_rows for pair in frames])]
    predicted = poses.tracks[np.concatenate([pair.all_pose_rows for pair in frames])]
    n_scored = sum(len(ids) for sequence in sequences for ids in sequence.pose_ids)
    return {
        "n_gt_dets": int((true >= 0).sum()),
        "n_gt_untracked": int((true < 0).sum()),
        "n_pred_dets": n_scored,
        "n_pred_untracked": int((predicted < 0).sum()),
        "n_dont_care": int((predicted >= 0).sum()) - n_scored,
        "n_frames": len(frames),
        "n_frames_missing_pred": sum(not pair.processed for pair in frames),
        "n_videos": len({pair.truth_video for pair in frames}),
        "match_method": compared.method,
        "match_threshold": compared.match_threshold,
        "oks_stddev": compared.settings.oks_stddev,
        "global_identity": compared.settings.global_identity,
    }

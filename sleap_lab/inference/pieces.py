"""A prediction in pieces: jobs predict ranges of its frames, and the whole is joined from them.

A piece is a folder with the poses of its range (`poses.npz`) and facts about them (`piece.json`).
The facts name the device, so that another machine can join what a GPU predicted.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from sleap_lab.errors import RunError
from sleap_lab.files.atomic import replacing
from sleap_lab.inference.cache import Cache, StageResult, remember
from sleap_lab.inference.cached_stages import RESUMED, Outcomes, about_prediction, holds
from sleap_lab.inference.detect import Inference
from sleap_lab.inference.fingerprint import predict_fingerprint, processor_facts
from sleap_lab.media.bad_frames import (
    bad_frame_facts,
    bad_frames_of,
    check_account,
    refuse_too_many,
)
from sleap_lab.media.source import Source
from sleap_lab.poses.record import Poses, concatenate
from sleap_lab.settings.config import Config
from sleap_lab.settings.frames import Piece

SETTLED = ("batch_size", "precision", "compile")
"""Settings of `runtime` of which a piece knows what `auto` has become."""

POSES_FILE, FACTS_FILE = "poses.npz", "piece.json"


@dataclass(frozen=True)
class Joined:
    """A prediction that was joined from pieces.

    Attributes:
        inference: The whole prediction.
        outcome: Whether the cache held the pieces: `hit`, `miss`, or `resumed` for some of it.
        pieces: Number of pieces.
        seconds: Time that their jobs took for the prediction, together.
    """

    inference: Inference
    outcome: str
    pieces: int
    seconds: float


def write_piece(
    folder: Path, piece: Piece, inference: Inference, config: Config, outcome: str, seconds: float
) -> None:
    """Write what was predicted of a piece.

    Args:
        folder: Folder of the piece.
        piece: The range of frames.
        inference: Its prediction.
        config: The experiment.
        outcome: Whether the cache held it.
        seconds: Time of the prediction.

    Raises:
        RunError: A file cannot be written.
    """
    with replacing(folder / POSES_FILE) as temporary:
        inference.poses.save(temporary)
    facts = {
        "start": piece.start,
        "stop": piece.stop,
        "device": inference.device,
        "processor": processor_facts(inference.device, config.runtime.num_threads),
        "kind": inference.kind,
        **{name: getattr(config.runtime, name) for name in SETTLED},
        "notes": list(inference.notes),
        "remarks": list(inference.remarks),
        "bad_frames": bad_frame_facts(inference.bad_frames),
        "outcome": outcome,
        "seconds": seconds,
    }
    with replacing(folder / FACTS_FILE) as temporary:
        temporary.write_text(json.dumps(facts), encoding="utf-8")


def join_pieces(
    folder: Path, source: Source, config: Config, cache: Cache, outcomes: Outcomes
) -> Joined:
    """Join the pieces in the subfolders of a folder, and store the whole in the cache.

    Args:
        folder: Holds a folder for each piece.
        source: Source of the whole.
        config: The experiment.
        cache: Gets the whole, under the device that the pieces were predicted on, if there is one.
        outcomes: Gets the outcome of the stage `predict`.

    Raises:
        RunError: A piece is missing or damaged, or too many frames cannot be read.
    """
    pieces = _read_pieces(folder, len(source.frames))
    facts = [found for found, _ in pieces]
    bad_frames = [frame for found in facts for frame in bad_frames_of(found["bad_frames"])]
    refuse_too_many(bad_frames, len(source.frames), config.data)
    poses = concatenate([poses for _, poses in pieces])
    check_account(source.frames, poses, bad_frames)
    notes = tuple(dict.fromkeys(note for found in facts for note in found["notes"]))
    device, kind = facts[0]["device"], facts[0]["kind"]
    runtime = replace(
        config.runtime, **{name: facts[0][name] for name in SETTLED if name in facts[0]}
    )
    alike = [[found.get(name) for name in ("processor", *SETTLED)] for found in facts]
    if all(each == alike[0] for each in alike):
        remember(
            cache,
            predict_fingerprint(
                replace(config, runtime=runtime), source, device, facts[0]["processor"]
            ),
            lambda: StageResult(
                poses.to_arrays(),
                {"kind": kind, "notes": list(notes)},
                complete=not bad_frames,
            ),
            stage="predict",
            about=about_prediction(source, config),
            fits=lambda stored: holds(stored, source.frames),
        )
    found_before = {found["outcome"] for found in facts}
    outcomes["predict"] = found_before.pop() if len(found_before) == 1 else RESUMED
    remarks = tuple(dict.fromkeys(text for found in facts for text in found.get("remarks", ())))
    inference = Inference(poses, kind, device, tuple(bad_frames), notes, remarks)
    seconds = sum(found["seconds"] for found in facts)
    return Joined(inference, outcomes["predict"], len(pieces), seconds)


def _read_pieces(folder: Path, frames: int) -> list[tuple[dict[str, Any], Poses]]:
    """Return facts and poses of the pieces, in order, after checking that none is missing."""
    found = []
    for path in folder.glob(f"*/{FACTS_FILE}"):
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            found.append((facts, Poses.load(path.with_name(POSES_FILE))))
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise RunError(f"{path.parent}: this piece is damaged ({error}); remove it") from error
    found.sort(key=lambda each: each[0]["start"])
    _check_gapless([(facts["start"], facts["stop"]) for facts, _ in found], frames, folder)
    return found


def _check_gapless(ranges: Sequence[tuple[int, int | None]], frames: int, folder: Path) -> None:
    end = 0
    for start, stop in ranges:
        if start != end:
            break
        end = frames if stop is None else stop
    if end != frames or not ranges:
        raise RunError(f"{folder}: there is no piece with frame {end} of {frames}")

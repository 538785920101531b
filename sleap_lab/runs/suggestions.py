"""The files with the frames to label next."""

from pathlib import Path
from typing import NamedTuple

from sleap_lab.errors import ConfigError
from sleap_lab.files.table import write_table
from sleap_lab.media.labels import save_labels, with_suggestions
from sleap_lab.quality.assess import assess
from sleap_lab.quality.opinion import Identify
from sleap_lab.quality.suggestions import Suggestion, suggest
from sleap_lab.quality.suspects import suspects
from sleap_lab.runs.subject import Subject

TABLE, LABELS = "suggested.csv", "suggested.slp"


class Suggested(NamedTuple):
    """What was chosen and written.

    Attributes:
        videos: Names of the videos.
        frames: The frames, the most valuable first.
        files: What each file holds, and its path.
        notes: What was left out.
    """

    videos: list[str]
    frames: list[Suggestion]
    files: list[tuple[str, Path]]
    notes: tuple[str, ...] = ()


def suggest_frames(subject: Subject, folder: Path, identify: Identify, count: int) -> Suggested:
    """Choose frames to label, and write them into a folder.

    Args:
        subject: The poses.
        folder: Where to.
        identify: A second tracker.
        count: How many frames.

    Raises:
        ConfigError: There is no frame that a person has not labelled.
        RunError: A file cannot be written.
    """
    poses = subject.poses
    quality = assess(poses[~poses.user], subject.animals, identify)
    user = poses[poses.user]
    known = set(zip(user.video.tolist(), user.frame.tolist(), strict=True))
    if (project := subject.source.project) is not None:  # a frame may be labelled as empty
        known |= {
            (project.videos.index(entry.video), entry.frame_idx)
            for entry in project.labeled_frames
            if entry.is_negative
        }
    frames = suggest(quality, suspects(quality), count, known)
    if not frames:
        raise ConfigError(
            f"suggest: {subject.title} has no frame that was processed and is not labelled yet"
        )
    header = ["rank", "video", "frame", "doubt", "reason"]
    rows = (
        [rank, subject.names[chosen.video], chosen.frame, round(chosen.value, 4), chosen.reason]
        for rank, chosen in enumerate(frames, start=1)
    )
    write_table(folder / TABLE, header, rows)
    files = [("table", folder / TABLE)]
    if subject.source.project is not None:
        places = ((chosen.video, chosen.frame) for chosen in frames)
        save_labels(with_suggestions(subject.source.project, places), folder / LABELS)
        files.append(("for the SLEAP GUI", folder / LABELS))
    return Suggested(subject.names, frames, files, subject.notes)

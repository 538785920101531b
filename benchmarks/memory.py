"""Peak memory and time per frame, for 1,000 and 100,000 frames of one video that repeats.

The model is the smallest one.
"""

import tempfile
from pathlib import Path

from benchmarks.timing import OURS, Row, publish, table, timed
from benchmarks.videos import play_again

VIDEO, MODEL = "small_robot.mp4", "minimal_instance_single_instance"
WIDTH, HEIGHT = 112, 64  # pixels cost time, and memory only while their batch is in flight
SHORT, LONG = 1_000, 100_000
MOST_MEGABYTES = 300


def run(reference: Path, *, rounds: int) -> None:
    """Run both lengths in alternation, print the results, and write a CSV file.

    The results are the time, the memory, and whether the memory stays within the limit.
    """
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        video = play_again(
            reference / "videos" / VIDEO, Path(scratch) / "long.mp4", LONG, (WIDTH, HEIGHT)
        )
        for turn in range(rounds):
            for frames in (SHORT, LONG):
                took = timed(_command(video, reference / "models" / MODEL, frames), Path(scratch))
                rows.append(Row(f"{frames:,} frames", "ours", turn, frames, *took))
                print(
                    f"{frames:>7,} frames: {took.megabytes:5.0f} MB, "
                    f"{1000 * took.seconds / frames:6.3f} ms per frame, start-up and all"
                )
    peaks = {
        frames: max(row.megabytes for row in rows if row.frames == frames)
        for frames in (SHORT, LONG)
    }
    more = peaks[LONG] - peaks[SHORT]
    print(
        f"{more:.0f} MB more; "
        f"{'within' if more <= MOST_MEGABYTES else 'beyond'} {MOST_MEGABYTES} MB"
    )
    lines = [
        [f"{row.frames:,}", f"{row.megabytes:.0f}", f"{1000 * row.seconds / row.frames:.2f}"]
        for row in rows
    ]
    publish("memory", table(["frames", "peak MB", "ms per frame, start-up and all"], lines), rows)


def _command(video: Path, model: Path, frames: int) -> list[str]:
    """Return the command, with an empty cache of its own so that runs share no results."""
    size = (f"preprocessing.max_width={WIDTH}", f"preprocessing.max_height={HEIGHT}")
    cache = f"cache_dir={tempfile.mkdtemp(dir=video.parent)}"
    flags = (
        "-i",
        str(video),
        "-m",
        str(model),
        "--frames",
        f"0-{frames - 1}",
        "-o",
        str(video.with_suffix(".slp")),
        "-d",
        "cpu",
    )
    return [*OURS, "track", *flags, *size, cache]

"""The table of what is read, and what is not and why, as the documentation shows it."""

from pathlib import Path

from scripts.footage.recipes import RECORDINGS, THEMES
from scripts.footage.recording import Recording

BEGIN = "<!-- recordings: made by scripts/recordings.py --table; do not edit -->"
END = "<!-- end of recordings -->"
CONTAINER = {
    "mp4": "MP4",
    "mov": "MOV",
    "m4v": "M4V",
    "mkv": "MKV",
    "avi": "AVI",
    "webm": "WebM",
    "ts": "TS",
    "mpg": "MPG",
    "wmv": "WMV",
    "gif": "GIF",
}


def table() -> str:
    """Return the table: per theme a row for each codec and for what becomes of its recordings."""
    parts = {recording.more for recording in RECORDINGS}
    lines = ["| codec | in | recordings | become |", "| --- | --- | --- | --- |"]
    for theme, recordings in THEMES.items():
        lines.append(f"| **{theme}** | | | |")
        rows: dict[tuple[str, str], list[Recording]] = {}
        for recording in recordings:
            if recording.name not in parts:
                becomes = recording.expect.value + (f": {recording.why}" if recording.why else "")
                rows.setdefault((recording.codec, becomes), []).append(recording)
        for (codec, becomes), alike in rows.items():
            containers = ", ".join(
                dict.fromkeys(CONTAINER[recording.name.rpartition(".")[2]] for recording in alike)
            )
            what = "; ".join(dict.fromkeys(recording.what for recording in alike if recording.what))
            lines.append(f"| {codec or '–'} | {containers} | {what or '–'} | {becomes} |")
    return "\n".join(lines)


def with_table(page: str) -> str:
    """Return a page with the table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def write_table(page: Path) -> None:
    """Bring the table of a page up to date."""
    page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")

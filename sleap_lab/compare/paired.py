"""Runs as read from their folders, and their metrics paired by frame.

Pairing makes it possible to tell differences from chance.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sleap_lab.errors import ConfigError, RunError, counted
from sleap_lab.evaluation.files import read_frames
from sleap_lab.evaluation.frames import FrameTable, of_node, on_frames
from sleap_lab.evaluation.influence import Parts, parts
from sleap_lab.evaluation.intervals import (
    IDENTITY,
    basis,
    change_of,
    differences,
    spread_of,
    with_identity,
)
from sleap_lab.files.safe_load import read_json
from sleap_lab.runs import summary
from sleap_lab.runs.snapshot import flatten, read_document
from sleap_lab.runs.summary import RunSummary
from sleap_lab.runs.verify import contents, recorded_facts
from sleap_lab.sweeps.find import RUN_ID

NAN = float("nan")
SHORT_ID = 8

VIDEO, NODE = "video", "node"
PARTS = {
    VIDEO: (
        "eval/n_missed",
        "eval/dist_avg",
        "eval/dist_p50",
        "eval/dist_p90",
        "eval/pck",
        "identity/idf1",
        "identity/switches",
    ),
    NODE: ("eval/dist_avg", "eval/dist_p50", "eval/dist_p90", "eval/pck"),
}
"""Metrics that are compared per video and per node, where there are several of them."""


class Part(NamedTuple):
    """One metric of one video or node: `video` or `node`, its name, and the metric."""

    kind: str
    name: str
    metric: str


class ComparedRun(NamedTuple):
    """A run as read from its folder.

    Attributes:
        name: Its name in tables.
        folder: The run folder.
        summary: The summary that the run wrote.
        settings: Full config, dotted key to value.
        made_with: Versions, code, machine, and the content of inputs, by name.
        metrics: Headline metrics by name.
        parts: The same for single videos and nodes.
        without: For each video, the identity metrics of all others together; empty where videos are
            too few for intervals.
        nodes: Names of the nodes.
        places: (video, frame) of each labelled frame.
        table: What each of them adds to the metrics; None without an evaluation.
    """

    name: str
    folder: Path
    summary: RunSummary
    settings: dict[str, Any]
    made_with: dict[str, str]
    metrics: dict[str, float]
    parts: dict[Part, float]
    without: dict[str, dict[str, float]]
    nodes: list[str]
    places: list[tuple[str, int]]
    table: FrameTable | None


class Change(NamedTuple):
    """The difference of a metric between two runs.

    Attributes:
        difference: This run minus the other; on common frames where it is paired.
        low: Lower limit of its interval; nan where there is none.
        high: Upper limit.
        verdict: `better` or `worse` where it is more than chance, among all that are compared.
        chance: How often a difference as large arises where there is none; nan without interval.
    """

    difference: float
    low: float = NAN
    high: float = NAN
    verdict: str = ""
    chance: float = NAN


def read_run(folder: Path, name: str) -> ComparedRun:
    """Read a run folder.

    Raises:
        ConfigError: There is no run in the folder.
        RunError: Its metrics cannot be read.
    """
    if not (folder / summary.RUN_FILE).is_file():
        raise ConfigError(f"compare: {folder} is not a run folder (it holds no {summary.RUN_FILE})")
    run = summary.read(folder)
    metrics = dict(run.metrics)
    parts: dict[Part, float] = {}
    without: dict[str, dict[str, float]] = {}
    nodes: list[str] = []
    if (file := folder / "metrics.json").is_file():
        try:
            content = read_json(file)
            metrics |= {name: _value(value) for name, value in content["headline"].items()}
            parts, nodes = _parts(content)
            without = _without(content)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise RunError(f"{file}: not a metrics file ({error})") from error
    places, table = read_frames(folder / "metrics.npz") or ([], None)
    settings = flatten(read_document(folder, "config.yaml") or {})
    made_with = (
        recorded_facts(folder) | contents(folder) if read_document(folder, "packages.json") else {}
    )
    return ComparedRun(
        name, folder, run, settings, made_with, metrics, parts, without, nodes, places, table
    )


def _value(number: float | None) -> float:
    return NAN if number is None else number


def _parts(content: Mapping[str, Any]) -> tuple[dict[Part, float], list[str]]:
    """Return the numbers per video and per node of a metrics file, and the names of the nodes."""
    rows = [row for row in content["breakdown"] if row["animal"] is None and row["stratum"] is None]
    by_video = [row for row in rows if row["video"] is not None and row["node"] is None]
    by_node = [row for row in rows if row["video"] is None and row["node"] is not None]
    identity = [
        row | {"video": row["name"]} for row in (content["identity"] or {"videos": []})["videos"]
    ]
    parts = {
        Part(kind, row[kind], metric): _value(row[key])
        for kind, found in ((VIDEO, by_video), (NODE, by_node), (VIDEO, identity))
        for row in found
        for metric in PARTS[kind]
        if (key := metric.partition("/")[2]) in row
    }
    return parts, [row["node"] for row in by_node]


def _without(content: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return, for each video of a metrics file, the identity metrics of all others together."""
    videos = (content["identity"] or {"videos": []})["videos"]
    return {
        row["name"]: {key: _value(value) for key, value in row["without"].items()}
        for row in videos
        if "without" in row
    }


def names_of(folders: Sequence[Path]) -> list[str]:
    """Name run folders by the parts of their paths that differ; jobs of a sweep are numbered.

    A folder whose name is the id of an MLflow run is named by the beginning of the id.
    """
    named = {folder: RUN_ID.fullmatch(folder.name) for folder in folders}
    parts = {folder: folder.absolute().parts for folder, is_id in named.items() if not is_id}
    shortest = min(map(len, parts.values()), default=1)
    shared = next(
        (i for i in range(shortest) if len({part[i] for part in parts.values()}) > 1), shortest - 1
    )

    def differing(folder: Path) -> str:
        name = "/".join(parts[folder][shared:])
        return f"job {name}" if name.isdecimal() else name

    return [
        folder.name[:SHORT_ID] if is_id else differing(folder) for folder, is_id in named.items()
    ]


class Pairs:
    """Metrics of runs on the frames that two of them share, and the part of each frame in them.

    Each result is computed once and kept.

    Attributes:
        runs: The runs.
        video: (places,) number of the video of each frame that any of them has, in the order of
            video and time.
    """

    def __init__(self, runs: Sequence[ComparedRun]) -> None:
        self.runs = runs
        every = dict.fromkeys(place for run in runs for place in run.places)
        numbers = {video: i for i, video in enumerate(dict.fromkeys(video for video, _ in every))}
        ordered = sorted(every, key=lambda place: (numbers[place[0]], place[1]))
        of_place = {place: i for i, place in enumerate(ordered)}
        self.video = np.array([numbers[video] for video, _ in ordered], dtype=np.intp)
        self._numbers = numbers
        self._places = [
            np.array([of_place[place] for place in run.places], dtype=np.intp) for run in runs
        ]
        self._shared: dict[tuple[int, int], np.ndarray] = {}
        self._parts: dict[Any, Parts | None] = {}

    def changes(
        self, first: int, second: int, part: tuple[str, str] | None = None
    ) -> dict[str, Change]:
        """Return how every metric changes from one run to another; no change has a verdict.

        Args:
            first: Index of a run.
            second: Index of the run that is compared with it.
            part: `video` or `node` and its name, for the metrics of that part; default: all parts
                together.
        """
        pair = self.pair(first, second, part)
        found = {} if pair is None else differences(*pair)
        names = dict.fromkeys([*self._values(first, part), *self._values(second, part)])
        changes = {}
        for name in names:
            value, judged = self.difference(first, second, name, part), found.get(name)
            changes[name] = (
                Change(value)
                if judged is None
                else Change(value, judged.low, judged.high, chance=judged.chance)
            )
        return changes

    def difference(
        self, first: int, second: int, name: str, part: tuple[str, str] | None = None
    ) -> float:
        """Return the change of one metric.

        A metric that is formed from frames is compared on the frames that both runs share; nan
        where these do not tell it, as a distance where nothing is found. Any other metric is
        compared as each run states it.
        """
        pair = self.pair(first, second, part)
        if pair is not None and all(name in found.values for found in pair):
            before, after = (found.values[name] for found in pair)
            return after - before
        before, after = (self._values(run, part).get(name, NAN) for run in (first, second))
        return after - before

    def pair(
        self, first: int, second: int, part: tuple[str, str] | None = None
    ) -> tuple[Parts, Parts] | None:
        """Return the metrics of both runs on the frames they share; None where they share none.

        Arguments as for `changes`.
        """
        places = self.shared(first, second)
        mine, other = (self._of(run, places, part) for run in (first, second))
        return None if mine is None or other is None else (mine, other)

    def shared(self, first: int, second: int) -> np.ndarray:
        """Return the frames that two runs share, as indices of `video`, in their order."""
        if (first, second) not in self._shared:
            mine, other = self._places[first], self._places[second]
            self._shared[first, second] = (
                np.sort(mine) if np.array_equal(mine, other) else np.intersect1d(mine, other)
            )
        return self._shared[first, second]

    def note(self, first: int, second: int) -> str:
        """State the basis of the differences between two runs; empty unless both were evaluated."""
        mine, other = self.runs[first], self.runs[second]
        if mine.table is None or other.table is None:
            return ""
        pair, n_frames = self.pair(first, second), len(self.shared(first, second))
        if pair is None:
            return f"no labelled frame in common with {mine.name}, so differences have no interval"
        paired = f"paired over the same {counted(n_frames, 'labelled frame')}"
        if not len(mine.places) == len(other.places) == n_frames:
            paired = (
                f"paired over {counted(n_frames, 'labelled frame')} in common "
                f"(of {len(mine.places)} and {len(other.places)})"
            )
            if all(any(name in IDENTITY.values() for name in run.metrics) for run in (mine, other)):
                paired += ", but for identity metrics, which are of all frames of each run"
        return f"{paired}; {basis(pair[0].video, spread_of(change_of(*pair), pair[0].video))}"

    def differ(self, first: int, second: int) -> bool:
        """Return whether two runs differ in any frame they share; true where they share none."""
        pair = self.pair(first, second)
        return pair is None or any(np.nan_to_num(part).any() for part in change_of(*pair).values())

    def _values(self, run: int, part: tuple[str, str] | None) -> Mapping[str, float]:
        if part is None:
            return self.runs[run].metrics
        return {
            found.metric: value
            for found, value in self.runs[run].parts.items()
            if found[:2] == part
        }

    def _of(self, run: int, places: np.ndarray, part: tuple[str, str] | None) -> Parts | None:
        """Return the metrics of some frames of a run; None where there is nothing to form."""
        key = run, places.tobytes(), part
        if key not in self._parts:
            table = self._table(run, places, part)
            found = None if table is None or not len(table.frame) else parts(table)
            # What a run states of identities is about all of its frames.
            if found is not None and part is None and len(places) == len(self._places[run]):
                without = {self._numbers[v]: m for v, m in self.runs[run].without.items()}
                found = with_identity(found, self.runs[run].metrics, without)
            self._parts[key] = found
        return self._parts[key]

    def _table(
        self, run: int, places: np.ndarray, part: tuple[str, str] | None
    ) -> FrameTable | None:
        """Return the table of some frames for one part of a run; None if the run lacks the part."""
        table, nodes = self.runs[run].table, self.runs[run].nodes
        if table is None:
            return None
        order = np.argsort(self._places[run])
        rows = order[np.searchsorted(self._places[run], places, sorter=order)]
        table = on_frames(table, rows)._replace(video=self.video[places])
        if part is None:
            return table
        kind, name = part
        if kind == NODE:
            return of_node(table, nodes.index(name)) if name in nodes else None
        own = np.flatnonzero(table.video == self._numbers.get(name, -1))
        return on_frames(table._replace(detections=None), own)

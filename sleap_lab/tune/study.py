"""The search: an Optuna study in a journal file, shared by processes and continued by later calls.

The settings that a trial tries depend only on the seed and on the trials before it. So an
interrupted search and an uninterrupted one try the same settings (with one process at a time; the
order in which several processes finish is unpredictable).
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.media.open_source import open_source
from sleap_lab.settings.config import Config
from sleap_lab.tracking.similarity import OKS_STDDEV
from sleap_lab.tracking.tracker import ReadImage
from sleap_lab.tune.detections import redetecting
from sleap_lab.tune.draws import first_draws, held_fixed, suggest
from sleap_lab.tune.problem import Problem, scores
from sleap_lab.tune.settings import TuneConfig
from sleap_lab.tune.space import (
    Dimension,
    Settings,
    filter_space,
    tracker_space,
    with_settings,
)
from sleap_lab.tune.trials import tried

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

JOURNAL = "journal.log"
LOOKING = ("tracker.use_flow", "tracker.features")
"""Keys with values that need images."""
STARTUP_TRIALS = 10  # drawn at random, between the first draws and the guided search
COVERAGE = 0.98
"""Smallest share of true instances that a setting must find, relative to the default setting.

A setting below it is set aside: many metrics improve where animals are dropped.
"""


@dataclass(frozen=True)
class Search:
    """The definition of a search, the same in every process that takes part.

    Attributes:
        folder: Folder of the study.
        problem: The tuning problem.
        settings: The section `tune`.
        config: The experiment, with the source of images.
        trackers: Trackers to try.
        n_animals: Number of animals, if it is known.
        typed: Keys that stay as the user gave them.
        floor: Smallest share of true instances that a setting must find.
        deadline: Time since the epoch after which no trial begins.
        asked: The dimensions that `tune.space` asks for.
    """

    folder: Path
    problem: Problem
    settings: TuneConfig
    config: Config
    trackers: tuple[str, ...]
    n_animals: int | None
    typed: Settings
    floor: float = 0.0
    deadline: float = float("inf")
    asked: tuple[Dimension, ...] = ()

    def space(self) -> list[Dimension]:
        """Return the searched dimensions: those asked for, else those of trackers and filters."""
        if self.asked:
            return list(self.asked)
        detections = self.problem.detections()
        n_nodes = len(detections.skeleton.nodes)
        space = tracker_space(
            self.trackers, n_nodes, self.n_animals, self.problem.block_frames()
        ) + filter_space(detections)
        return held_fixed(space, self.typed)

    def looks_at_images(self) -> bool:
        """Return whether a setting that may be tried looks at the images of the recording."""
        return (
            "flow" in self.trackers
            or any(dimension.name in LOOKING for dimension in self.asked)
            or self.problem.tracker.features == "image"
        )

    def read_image(self) -> ReadImage:
        """Return a function that reads images; videos are opened only if a tracker needs them."""
        if not self.looks_at_images():
            return _no_images
        data, predicting = self.config.data, self.config.model.kind != "none"
        return open_source(data, predicting=predicting).read


def _no_images(video: int, frame: int) -> np.ndarray:
    raise AssertionError("no tracker of this search looks at images")


@contextmanager
def opened(search: Search, facts: Mapping[str, Any]) -> "Iterator[Study]":
    """Open the study of a search, or make it; unfinished trials of a killed process are given up.

    Args:
        search: The search and its folder.
        facts: Everything that decides the scores, as JSON can hold it; a study with other facts is
            not continued.

    Raises:
        ConfigError: The folder holds a study with other facts.
        RunError: Another process is at work there.
    """
    folder = search.folder
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(
            f"{folder}: another process is tuning here; wait for it, or choose another tune.name"
        ) from None
    try:
        _mend(folder / JOURNAL)
        study = load(search)
        known = study.user_attrs.get("facts", facts)
        if differing := [name for name in facts if known.get(name) != facts[name]]:
            raise ConfigError(
                f"tune.name: {folder} holds a study with other {', '.join(differing)}; "
                "choose another name, or remove the folder"
            )
        study.set_user_attr("facts", dict(facts))
        _give_up_unfinished(study)
        try:
            yield study
        finally:
            _give_up_unfinished(study)
    finally:
        lock.release()


def _mend(journal: Path) -> None:
    """Cut off a line that was being written when the process was killed."""
    if journal.exists() and not (content := journal.read_bytes()).endswith(b"\n"):
        journal.write_bytes(content[: content.rfind(b"\n") + 1])


def load(search: Search) -> "Study":
    """Load or make the study of a search."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.study import StudyDirection

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Optuna's own locks outlive a process that is killed. This one has the same two methods, and
    # the system releases it.
    lock: Any = FileLock(search.folder / ".journal.lock")
    storage = JournalStorage(JournalFileBackend(str(search.folder / JOURNAL), lock))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS)
    direction = (
        StudyDirection.MAXIMIZE
        if search.problem.metric.better == "higher"
        else StudyDirection.MINIMIZE
    )
    return optuna.create_study(
        storage=storage, study_name="tune", direction=direction, pruner=pruner, load_if_exists=True
    )


def _give_up_unfinished(study: "Study") -> None:
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)


def run_search(search: Search, study: "Study", watch: "Callable[[Study], None]") -> None:
    """Try settings until there are enough or the time is over, in `tune.jobs` processes.

    Args:
        search: The search.
        study: The study, opened.
        watch: Called after each trial of this process.

    Raises:
        RunError: A process ended with an error.
    """
    workers = _start_workers(search)
    try:
        try_settings(search, study, lambda: watch(study))
        for worker in workers:
            worker.join()
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    if any(worker.exitcode for worker in workers):
        raise RunError(
            "tune.jobs: a process ended with exit code "
            f"{max(abs(w.exitcode or 0) for w in workers)}; what it tried is lost"
        )


def _start_workers(search: Search) -> list[BaseProcess]:
    context = multiprocessing.get_context("spawn")
    workers: list[BaseProcess] = [
        context.Process(target=_join_in, args=(search,), daemon=True)
        for _ in range(search.settings.jobs - 1)
    ]
    for worker in workers:
        worker.start()
    return workers


def _join_in(search: Search) -> None:
    """Try settings in a child process, as long as its parent lives."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    try:
        try_settings(search, load(search), lambda: None, is_wanted=parent.is_alive)
    except KeyboardInterrupt:
        return


def try_settings(
    search: Search,
    study: "Study",
    after: Callable[[], None],
    is_wanted: Callable[[], bool] = lambda: True,
) -> None:
    """Try settings until there are enough, the time is over, or no more are wanted.

    Args:
        search: The search.
        study: The study, loaded.
        after: Called after each trial.
        is_wanted: Whether to go on.
    """
    space, read_image = search.space(), search.read_image()
    base = search.problem.usual()
    problem_of = redetecting(search.problem, search.config)
    first = first_draws(
        space, base | {"tracker.oks_stddev": base["tracker.oks_stddev"] or OKS_STDDEV}, search.typed
    )
    while is_wanted() and (begun := _begin(search, study, space, first)) is not None:
        _try(search, study, *begun, read_image, problem_of)
        after()


def _begin(
    search: Search, study: "Study", space: list[Dimension], first: list[dict[str, Any]]
) -> "tuple[Trial, Settings] | None":
    """Begin a trial; None where there are enough, or the time is over."""
    from optuna.samplers import TPESampler

    # The lock lets every trial know all others.
    with FileLock(search.folder / ".begin.lock"):
        n = len(tried(study))
        if n >= search.settings.trials or time.time() > search.deadline:
            return None
        seed = int(np.random.SeedSequence([search.settings.seed, n]).generate_state(1)[0])
        study.sampler = TPESampler(seed=seed, n_startup_trials=len(first) + STARTUP_TRIALS)
        if n < len(first):
            study.enqueue_trial(first[n])
        trial = study.ask()
        return trial, suggest(trial, space, search.typed)


def _try(
    search: Search,
    study: "Study",
    trial: "Trial",
    settings: Settings,
    read_image: ReadImage,
    problem_of: Callable[[Settings], Problem],
) -> None:
    """Score the settings of a trial on more and more blocks, and record how it went."""
    from optuna.trial import TrialState

    problem = problem_of(settings)
    tracker, filters = with_settings(problem.tracker, problem.filters, settings)
    trial.set_user_attr("settings", settings)
    why = ""
    for rung, found in enumerate(
        scores(
            problem, problem.search, tracker, filters, read_image, identity=_needs_identity(problem)
        )
    ):
        if rung < len(problem.search) - 1 and not np.isnan(found.value):
            trial.report(found.value, rung)
            if trial.should_prune():
                why = "worse than most"
                break
    else:
        if np.isnan(found.value):
            why = "the metric is undefined"
        elif found.found < search.floor:
            why = f"finds {found.found:.1%} of the animals"
    trial.set_user_attr("frames_per_second", found.frames_per_second)
    if why:
        trial.set_user_attr("why", why)
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, found.value)


def _needs_identity(problem: Problem) -> bool:
    return problem.metric.group == "identity"

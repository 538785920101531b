"""`sleap-lab tune`: detect once, try settings on blocks of time, and say which to use."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sleap_lab import terminal
from sleap_lab.errors import ConfigError, RunError, counted
from sleap_lab.errors.interruption import interruptible
from sleap_lab.evaluation.videos import compared, match_videos
from sleap_lab.files.log import logging_to
from sleap_lab.inference.cached_stages import open_cache
from sleap_lab.inference.fingerprint import (
    array_hash,
    fingerprint,
    image_facts,
    results_version,
)
from sleap_lab.inference.preparation import check_stages, open_inputs
from sleap_lab.media.labels import to_labels
from sleap_lab.media.source import Source
from sleap_lab.settings.application import Configs
from sleap_lab.settings.check_tracker import check_tracker
from sleap_lab.settings.compose import compose_config
from sleap_lab.settings.config import OUTPUTS, Config, FiltersConfig, TrackerConfig
from sleap_lab.settings.overrides import parse_overrides
from sleap_lab.tracking.tracker import ReadImage
from sleap_lab.tune.asked import asked_space, defaults_of
from sleap_lab.tune.detections import detect_all, redetecting, uncorrected
from sleap_lab.tune.evidence import Setting
from sleap_lab.tune.files import write
from sleap_lab.tune.outcome import Outcome, conclude, number
from sleap_lab.tune.problem import Problem, make_problem, require, score
from sleap_lab.tune.settings import TuneConfig, find_metric, split_overrides
from sleap_lab.tune.space import Choice, flat, tracker_of, with_settings
from sleap_lab.tune.study import COVERAGE, Search, opened, run_search
from sleap_lab.tune.trials import best_of, finished

if TYPE_CHECKING:
    from optuna import Study

    OnLauncher = Callable[[Search, Sequence[str], Configs, Callable[[Study], None]], None]


def tune(
    overrides: Sequence[str],
    *,
    config_dir: str | None = None,
    on_launcher: "OnLauncher | None" = None,
) -> Outcome:
    """Search tracker and filter settings, as `sleap-lab tune` does with the same overrides.

    Args:
        overrides: `KEY=VALUE` strings, those of the section `tune` among them.
        config_dir: Folder with further config groups and options.
        on_launcher: Tries settings in jobs of a launcher, where one is chosen.

    Raises:
        ConfigError: The overrides are wrong.
        RunError: There is nothing to tune on.
        KeyboardInterrupt: The user stopped it; the results so far are reported first.
    """
    settings, words = split_overrides(overrides)
    _require_optuna()
    given = {override.key_or_group for override in parse_overrides(words)}
    if not given & {"evaluator", "experiment"}:
        words.append("evaluator=identity")
    config, node = compose_config([*words, "tracker.tracking=true"], config_dir=config_dir)
    if not config.evaluator.evaluate:
        raise ConfigError(
            "evaluator: nothing is evaluated; "
            "tuning needs ground truth, add evaluator=identity (or oks, centroid)"
        )
    check_tracker(config.tracker)
    chosen = "tracker" in given and node.hydra.runtime.choices["tracker"] != "none"
    trackers, n_animals = _trackers(settings, config, chosen=chosen)
    everything = flat(config.tracker, config.filters)
    asked = asked_space(settings.space or [])
    searched = {dimension.name for dimension in asked}
    with interruptible():
        problem, source = _open_problem(settings, config)
    search = Search(
        folder=Path(),
        problem=replace(problem, others=defaults_of(asked, config)),
        settings=settings,
        config=config,
        trackers=(tracker_of(config.tracker),) if asked else trackers,
        n_animals=n_animals,
        typed={
            key: value for key, value in everything.items() if key in given and key not in searched
        },
        asked=tuple(asked),
    )
    facts = _facts(search, source)
    name = settings.name or f"{_slug(config)}-{fingerprint(facts)[:8]}"
    search = replace(search, folder=Path(OUTPUTS) / "tune" / name)
    search.space()  # refuses what cannot be searched
    with (
        opened(search, facts) as study,
        logging_to(search.folder / "tune.log", verbose=config.verbose),
    ):
        if node.hydra.runtime.choices["hydra/launcher"] == "basic":
            on_launcher = None
        return _tune(search, study, words, overrides, config_dir, on_launcher)


def _require_optuna() -> None:
    try:
        import optuna  # noqa: F401  # takes 0.5 s; only tuning needs it
    except ImportError as error:
        raise RunError("sleap-lab tune needs Optuna: pip install 'sleap-lab[tune]'") from error


def _trackers(
    settings: TuneConfig, config: Config, *, chosen: bool
) -> tuple[tuple[str, ...], int | None]:
    """Return the trackers to try, and the number of animals where it is known."""
    n_animals = (
        config.tracker.tracking_target_instance_count
        or config.tracker.max_tracks
        or config.model.max_instances
    )
    if settings.trackers is not None:
        if "kalman" in settings.trackers and not n_animals:
            raise ConfigError(
                "tune.trackers: kalman needs the number of animals "
                "in tracker.tracking_target_instance_count"
            )
        return tuple(dict.fromkeys(settings.trackers)), n_animals
    if chosen:
        return (tracker_of(config.tracker),), n_animals
    return ("fixed_window", "local_queues", *(("kalman",) if n_animals else ())), n_animals


def _open_problem(settings: TuneConfig, config: Config) -> tuple[Problem, Source]:
    """Read or make the detections, read the ground truth, and cut both into blocks.

    Returns:
        The problem, and the source of its detections.
    """
    cache = open_cache(config, terminal.warn)
    source, truth = open_inputs(config, cache)
    assert truth is not None, "something is evaluated"
    check_stages(config, source)
    for note in (*source.notes, *truth.notes):
        terminal.warn(note)
    for remark in (*source.remarks, *truth.remarks):
        terminal.note(remark)
    detected = detect_all(config, source, cache)
    matches = truth.videos or match_videos(
        truth.labels, to_labels(detected.poses, source.videos), config.evaluator.video_map
    )
    for note in detected.notes:
        terminal.warn(note)
    problem = make_problem(
        uncorrected(source, detected),
        truth.poses,
        compared(matches),
        settings,
        find_metric(settings.metric),
        config.tracker,
        config.filters,
        config.evaluator,
        predicted=detected.kind != "none",
    )
    return problem, source


def _facts(search: Search, source: Source) -> dict[str, Any]:
    """Return everything that decides the scores and the settings tried.

    A study continues only if all of it is the same.
    """
    problem, settings = search.problem, search.settings
    parts = [*problem.search, problem.held_out]
    return {
        "detections": [array_hash(part.detections.to_arrays()) for part in parts],
        "ground truth": [array_hash(part.truth.to_arrays()) for part in parts],
        "default setting": fingerprint(flat(problem.tracker, problem.filters)),
        "evaluator": fingerprint(asdict(problem.evaluator)),
        "metric": problem.metric.name,
        "trackers": list(search.trackers),
        "number of animals": search.n_animals,
        "fixed keys": sorted(search.typed),
        "seed": settings.seed,
        "holdout": settings.holdout,
        "block_frames": problem.length,
        "version of sleap_lab": results_version("tune"),
        **({"images": image_facts(search.config, source)} if search.looks_at_images() else {}),
        **(_asked_facts(search) if search.asked else {}),
    }


def _asked_facts(search: Search) -> dict[str, Any]:
    """Return what decides which keys of `tune.space` are tried, and what they predict."""
    config = search.config
    return {
        "searched keys": list(map(str, search.settings.space or [])),
        "models": fingerprint(
            {"model": asdict(config.model), "preprocessing": asdict(config.preprocessing)}
        ),
    }


def _slug(config: Config) -> str:
    """Return a name for a folder after the data."""
    path = config.data.path[0] if isinstance(config.data.path, list) else config.data.path
    return re.sub(r"[^A-Za-z0-9_-]+", "-", Path(str(path)).stem).strip("-") or "data"


def _tune(
    search: Search,
    study: "Study",
    words: Sequence[str],
    overrides: Sequence[str],
    config_dir: str | None,
    on_launcher: "OnLauncher | None",
) -> Outcome:
    """Search, compare on the held-out blocks, and write the outcome."""
    problem, settings, read_image = search.problem, search.settings, search.read_image()
    default = replace(
        _scored(problem, problem.tracker, problem.filters, read_image), others=problem.others
    )
    for found in (default.searched, default.held_out):
        require(problem, found)
    deadline = float("inf") if settings.timeout is None else time.time() + settings.timeout
    search = replace(search, floor=COVERAGE * default.searched.found, deadline=deadline)
    interrupted = False
    try:
        with interruptible():
            watch = _progress(search, study, default.searched.value)
            if on_launcher is not None:
                on_launcher(search, words, Configs(folder=config_dir), watch)
            else:
                run_search(search, study, watch)
    except KeyboardInterrupt:
        interrupted = True
        terminal.warn(
            "interrupted; this is what was found so far, and the same command goes on from here"
        )
    with terminal.unless_quick("scoring the best setting on the held-out blocks"):
        best = _best(problem, search.config, study, default, read_image)
    outcome = conclude(problem.metric, default, best, problem.length, problem.time, problem.alike)
    command = [
        "sleap-lab",
        "tune",
        *overrides,
        *(["--config-dir", config_dir] if config_dir else []),
    ]
    with terminal.unless_quick("writing the report"):
        write(search, study, outcome, words, command, config_dir)
    if interrupted:
        raise KeyboardInterrupt
    return outcome


def _scored(
    problem: Problem,
    tracker: TrackerConfig,
    filters: FiltersConfig,
    read_image: ReadImage,
    trial: int | None = None,
) -> Setting:
    """Score a setting on both sides of the labelled frames."""
    searched, held_out = (
        score(problem, parts, tracker, filters, read_image)
        for parts in (problem.search, [problem.held_out])
    )
    return Setting(tracker, filters, searched, held_out, trial)


def _best(
    problem: Problem, config: Config, study: "Study", default: Setting, read_image: ReadImage
) -> Setting | None:
    """Score the best setting that was tried; None where none is better than the default."""
    best = best_of(finished(study), problem.metric, default.searched.value, problem.usual())
    if best is None:
        return None
    found = _scored(
        redetecting(problem, config)(best.settings),
        *with_settings(problem.tracker, problem.filters, best.settings),
        read_image,
        best.number,
    )
    others = {key: best.settings.get(key, value) for key, value in problem.others.items()}
    return replace(found, others=others)


def _progress(search: Search, study: "Study", default: float) -> "Callable[[Study], None]":
    """Show what begins, and return a function that reports on each trial where useful."""
    problem, settings, metric = search.problem, search.settings, search.problem.metric
    n_search = sum(len(part.blocks) for part in problem.search)
    done, best, last = len(finished(study)), default, time.monotonic()
    tell = terminal.messages.print
    space = search.space()
    trackers = next((dimension.options for dimension in space if isinstance(dimension, Choice)), {})
    searched = [dimension.name for dimension in search.asked] or trackers
    tell(
        f"tuning {', '.join(searched)} on {counted(n_search, 'block')} "
        f"of about {counted(problem.length, 'labelled frame')}, "
        f"{counted(len(problem.held_out.blocks), 'block')} held out"
        + (f"; {counted(done, 'setting')} tried before" if done else "")
    )
    if search.n_animals is None and not search.asked:
        tell(
            "kalman and limits of tracks are tried where the number of animals is known: "
            "tracker.tracking_target_instance_count=N"
        )
    tell(f"default setting: {metric.name} {number(default)}")

    def watch(study: "Study") -> None:
        nonlocal best, last
        trials = finished(study)
        better = best_of(trials, metric, best, problem.usual())
        over = len(trials) >= settings.trials
        if better is not None or over or time.monotonic() - last > terminal.SECONDS_BETWEEN_LINES:
            best, last = best if better is None else better.value, time.monotonic()
            tell(f"{len(trials)}/{settings.trials} settings: best {metric.name} {number(best)}")

    return watch

"""Animals so fast that their poses in successive frames do not overlap.

The default comparison, OKS, cannot tell them apart.
"""

import numpy as np
import optuna
import pytest
import sleap_io as sio

from sleap_lab.media.labels import save_labels, to_labels
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import (
    Config,
    EvaluatorConfig,
    FiltersConfig,
    ModelConfig,
    TrackerConfig,
)
from sleap_lab.tune.draws import suggest
from sleap_lab.tune.problem import make_problem
from sleap_lab.tune.settings import TRACKERS, TuneConfig, find_metric
from sleap_lab.tune.space import filter_space, flat, tracker_space
from sleap_lab.tune.study import Search

optuna.logging.set_verbosity(optuna.logging.WARNING)

SKELETON = Skeleton(("head", "tail"), ((0, 1),))
BODY = np.array([[0.0, 0.0], [8.0, 8.0]])


def paths(n_frames):
    """Return the paths of two animals that run to and fro and pass each other, (frames, 2, 2) px.

    They run in opposite directions along parallel lines.
    """
    along = 300 + 280 * np.sin(np.arange(n_frames) * 0.25)
    return np.stack(
        [
            np.stack([along, np.full(n_frames, 100.0)], 1),
            np.stack([600 - along, np.full(n_frames, 220.0)], 1),
        ],
        axis=1,
    )


@pytest.fixture(scope="session")
def crossings():
    """Return a function that makes ground truth and detections of two fast animals.

    The detections of a frame come in any order.
    """

    def make(n_frames=120, seed=0):
        places = paths(n_frames)[:, :, None] + BODY
        order = np.random.default_rng(seed).permuted(np.tile([0, 1], (n_frames, 1)), axis=1)
        frame = np.repeat(np.arange(n_frames), 2)
        truth = make_poses(
            SKELETON,
            places,
            frame=frame,
            tracks=np.tile([0, 1], n_frames),
            user=True,
            instance_scores=np.nan,
            track_names=("a", "b"),
        )
        found = np.take_along_axis(places, order[:, :, None, None], axis=1)
        return truth, make_poses(
            SKELETON, found, frame=frame, instance_scores=0.9, point_scores=0.9
        )

    return make


@pytest.fixture
def problem(crossings):
    """Return a function that makes the problem of tuning on the crossings.

    `settings` are those of the section `tune`.
    """

    def make(n_frames=120, *, metric="identity/idf1", evaluator=None, **settings):
        truth, detections = crossings(n_frames)
        return make_problem(
            detections,
            truth,
            {0: 0},
            TuneConfig(metric=metric, **settings),
            find_metric(metric),
            TrackerConfig(tracking=True, undecided="reference"),
            FiltersConfig(),
            evaluator or EvaluatorConfig(evaluate=True, oks_stddev=0.1),
            predicted=False,
        )

    return make


@pytest.fixture
def search(tmp_path, problem):
    """Return a function that makes a search on the crossings in a folder of this name."""

    def make(
        name="study",
        *,
        metric="identity/idf1",
        floor=0.9,
        deadline=float("inf"),
        trackers=("fixed_window",),
        **settings,
    ):
        return Search(
            folder=tmp_path / name,
            problem=problem(60, metric=metric),
            settings=TuneConfig(metric=metric, **settings),
            config=Config(model=ModelConfig(kind="none")),
            trackers=trackers,
            n_animals=None,
            typed={"filters.filter_overlapping": False},
            floor=floor,
            deadline=deadline,
        )

    return make


@pytest.fixture(scope="session")
def write_files(crossings):
    """Return a function that writes labels files of the crossings.

    It writes `truth.slp` and `found.slp`, and returns the overrides that name them.
    """

    def write(folder):
        video = sio.Video("away.mp4", open_backend=False)
        for name, poses in zip(("truth.slp", "found.slp"), crossings(), strict=True):
            save_labels(to_labels(poses, [video]), folder / name)
        return FILES

    return write


@pytest.fixture
def files(tmp_path, monkeypatch, write_files):
    """Return the overrides that name labels files of the crossings in the working directory."""
    monkeypatch.chdir(tmp_path)
    return write_files(tmp_path)


FILES = [
    "data.path=found.slp",
    "model=none",
    "evaluator.ground_truth_path=truth.slp",
    "evaluator.oks_stddev=0.1",
]


@pytest.fixture(scope="session")
def scored():
    """Return a function that gives predictions with some instance scores."""

    def make(scores, point_scores=0.5, **options):
        scores = np.array(scores, dtype=float)
        return make_poses(
            Skeleton(("a", "b", "c")),
            np.zeros((len(scores), 3, 2)),
            frame=range(len(scores)),
            instance_scores=scores,
            point_scores=point_scores,
            **options,
        )

    return make


@pytest.fixture(scope="session")
def draw():
    """Return a function that gives settings and names of the dimensions drawn at random."""

    def drawn(space, seed, typed=None):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        trial = study.ask()
        return suggest(trial, space, typed or {}), set(trial.params)

    return drawn


@pytest.fixture(scope="session")
def default():
    """Return the settings of a run in which nothing is chosen."""
    chosen = flat(TrackerConfig(tracking=True), FiltersConfig())
    return chosen | {"tracker.oks_stddev": 0.025}


@pytest.fixture(scope="session")
def whole(scored):
    """Return the space of all trackers and filters."""
    return tracker_space(TRACKERS, n_nodes=5, n_animals=3, n_frames=50) + filter_space(
        scored(np.linspace(0.1, 1, 100), np.linspace(0.2, 0.8, 100)[:, None])
    )

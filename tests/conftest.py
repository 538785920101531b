"""Fixtures that tests of several rooms share: small generated videos, labels and models."""

import gc
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import warnings
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import h5py
import numpy as np
import pytest
import sleap_io as sio
from hypothesis import HealthCheck, settings

from sleap_lab.files import packages
from sleap_lab.files.packages import package_version
from sleap_lab.runs import summary
from sleap_lab.runs.snapshot import write_snapshot
from sleap_lab.runs.store import create_database, import_mlflow, open_store
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import LoggerConfig
from sleap_lab.sweeps.ledger import Plan, PlannedJob, write_plan

# The same examples in every run, so that a failure repeats; a busy machine may be slow.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")

# Shells let background processes ignore Ctrl-C, which the commands under test would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """Spare the garbage collector the imported modules, which it would look through each time."""
    gc.collect()
    gc.freeze()


GRAY_LEVELS = (20, 50, 80, 110, 140, 170)
"""Brightness of the frames of the video: a frame is known by its mean."""


@pytest.fixture(scope="session")
def reference():
    """Folder of the reference; tests that need it are skipped where it is absent."""
    folder = Path(
        os.environ.get("SLEAP_LAB_REFERENCE", Path(__file__).parents[2] / "shared" / "reference")
    )
    if not folder.is_dir():
        pytest.skip(f"no reference folder at {folder}; SLEAP_LAB_REFERENCE names it")
    return folder


@pytest.fixture(scope="session")
def video_path(tmp_path_factory):
    """An mp4 of 6 gray frames of 48 x 64 pixels, frame i of brightness GRAY_LEVELS[i]."""
    path = tmp_path_factory.mktemp("videos") / "gray.mp4"
    sio.save_video(
        [np.full((48, 64, 3), level, dtype=np.uint8) for level in GRAY_LEVELS], str(path)
    )
    return path


@pytest.fixture(scope="session")
def level_of():
    """Return a function that tells which frame of the gray video an image is."""
    return lambda image: int(np.abs(np.array(GRAY_LEVELS) - image.mean()).argmin())


@pytest.fixture
def write_h5(tmp_path):
    """Return a function that writes frames (frames, h, w, c) to an HDF5 video without loss."""

    def write(frames, name="frames.h5", dataset="images"):
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            file[dataset] = np.asarray(frames)
        return path

    return write


@pytest.fixture
def make_labels():
    """Return a function that builds labels of skeleton a-b-c from plain lists."""
    nodes = ("a", "b", "c")

    def make(videos, user=(), predicted=(), suggestions=(), empty=()):
        """Build labels.

        Args:
            videos: Files.
            user: (video, frame, points) of instances that a person labelled.
            predicted: (video, frame, points) of predicted ones.
            suggestions: (video, frame).
            empty: (video, frame) of labeled frames without instances.
        """
        videos = [sio.Video(str(path)) for path in videos]
        skeleton = sio.Skeleton(list(nodes), edges=[("a", "b"), ("b", "c")], name="abc")
        frames = {}

        def frame(video, index):
            return frames.setdefault(
                (video, index), sio.LabeledFrame(video=videos[video], frame_idx=index, instances=[])
            )

        for video, index, points in user:
            frame(video, index).instances.append(
                sio.Instance.from_numpy(np.array(points, dtype=float), skeleton=skeleton)
            )
        for video, index, points in predicted:
            frame(video, index).instances.append(
                sio.PredictedInstance.from_numpy(
                    np.array(points, dtype=float),
                    skeleton=skeleton,
                    point_scores=np.full(3, 0.5),
                    score=0.9,
                )
            )
        for video, index in empty:
            frame(video, index)
        return sio.Labels(
            labeled_frames=list(frames.values()),
            videos=videos,
            skeletons=[skeleton],
            suggestions=[
                sio.SuggestionFrame(video=videos[video], frame_idx=index)
                for video, index in suggestions
            ],
        )

    return make


@pytest.fixture(scope="session")
def training_config():
    """Return a function that writes down the training config of a small UNet, as a dictionary."""

    def make(
        kind,
        *,
        nodes=("a", "b"),
        edges=(("a", "b"),),
        classes=("x", "y"),
        head=None,
        preprocessing=None,
        stride=2,
        **backbone,
    ):
        """Describe a model.

        Args:
            kind: Model kind.
            nodes: Names of the nodes.
            edges: Pairs of node names.
            classes: Names of the classes.
            head: Further keys of the confidence map head.
            preprocessing: Further keys of the preprocessing section.
            stride: Output stride of the backbone and all heads.
            **backbone: Further keys of the backbone.
        """
        confmaps = {
            "sigma": 2.5,
            "output_stride": stride,
            "part_names": list(nodes),
            **(head or {}),
        }
        second = {
            "bottomup": {
                "pafs": {
                    "edges": [list(edge) for edge in edges],
                    "sigma": 15,
                    "output_stride": stride,
                }
            },
            "multi_class_bottomup": {
                "class_maps": {"classes": list(classes), "sigma": 50, "output_stride": stride}
            },
            "multi_class_topdown": {
                "class_vectors": {"classes": list(classes), "num_fc_layers": 0}
            },
        }
        unet = {
            "in_channels": 1,
            "kernel_size": 1,
            "filters": 1,
            "filters_rate": 1.0,
            "max_stride": 2,
            "output_stride": stride,
            **backbone,
        }
        return {
            "data_config": {
                "preprocessing": {"scale": 1.0, **(preprocessing or {})},
                "skeletons": [
                    {
                        "name": "animal",
                        "nodes": [{"name": name} for name in nodes],
                        "edges": [
                            {"source": {"name": a}, "destination": {"name": b}} for a, b in edges
                        ],
                        "symmetries": [],
                    }
                ],
            },
            "model_config": {
                "backbone_config": {"unet": unet, "convnext": None},
                "head_configs": {"bottomup": None, "centroid": None}
                | {kind: {"confmaps": confmaps, **second.get(kind, {})}},
            },
        }

    return make


@pytest.fixture
def make_model(tmp_path, training_config):
    """Return a function that writes a model folder; the image determines the network's outputs.

    Its backbone only halves the resolution: every map pixel is the brightest of 2 x 2 image pixels,
    per channel, in [0, 1]. The heads weigh the channels.
    """

    def make(kind, weights, *, name=None, **options):
        """Write a model.

        Args:
            kind: Model kind.
            weights: By head, a row (weight of each image channel, bias) for each output channel.
            name: Folder, by default the kind.
            **options: As `training_config` takes them.
        """
        import torch
        import yaml

        from sleap_lab.networks import build_network

        channels = len(next(iter(weights.values()))[0]) - 1
        config = training_config(kind, in_channels=channels, filters=channels, **options)
        network = build_network(config)
        state = {
            key: torch.eye(*value.shape[:2])[..., None, None] if value.ndim == 4 else value * 0
            for key, value in network.state_dict().items()
        }
        for i, rows in enumerate(weights.values()):
            for key in [key for key in state if key.startswith(f"head_layers.{i}.")]:
                table = torch.tensor(rows, dtype=torch.float32)
                state[key] = (
                    table[:, -1]
                    if key.endswith("bias")
                    else table[:, :-1].reshape(state[key].shape)
                )
        folder = tmp_path / (name or kind)
        folder.mkdir()
        (folder / "training_config.yaml").write_text(yaml.safe_dump(config))
        torch.save(
            {"state_dict": {f"model.{key}": value for key, value in state.items()}},
            folder / "best.ckpt",
        )
        return folder

    return make


@pytest.fixture
def pass_time(monkeypatch):
    """Return a function that lets seconds pass on `time.perf_counter`, which stands still."""
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


@pytest.fixture(scope="session")
def legacy_config():
    """Return a function that gives SLEAP 1.4's training config of a small UNet as a dictionary."""

    def make(
        kind,
        *,
        nodes=("a", "b"),
        edges=(("a", "b"),),
        classes=("x", "y"),
        head=None,
        data=None,
        stride=2,
        **unet,
    ):
        """Describe a model.

        Args:
            kind: Name of the head, e.g. `multi_instance`.
            nodes: Names of the nodes.
            edges: Pairs of node names.
            classes: Names of the classes.
            head: Further keys of the confidence map head.
            data: Further keys of the data section.
            stride: Output stride of the backbone and all heads.
            **unet: Further keys of the backbone.
        """
        confmaps = {
            "part_names": list(nodes),
            "sigma": 2.5,
            "output_stride": stride,
            "offset_refinement": False,
            **(head or {}),
        }
        heads = {
            "single_instance": confmaps,
            "centroid": {key: value for key, value in confmaps.items() if key != "part_names"},
            "centered_instance": confmaps,
            "multi_instance": {
                "confmaps": confmaps,
                "pafs": {
                    "edges": [list(edge) for edge in edges],
                    "sigma": 15,
                    "output_stride": stride,
                },
            },
            "multi_class_bottomup": {
                "confmaps": confmaps,
                "class_maps": {"classes": list(classes), "sigma": 50, "output_stride": stride},
            },
            "multi_class_topdown": {
                "confmaps": confmaps,
                "class_vectors": {
                    "classes": list(classes),
                    "num_fc_layers": 1,
                    "num_fc_units": 2,
                    "global_pool": True,
                    "output_stride": 2,
                },
            },
        }
        seen = []

        def once(name, written):
            """Return what is written at the first mention of a thing, and a reference later."""
            if name in seen:
                return {"py/id": seen.index(name) + 1}
            seen.append(name)
            return written

        def node(name):
            return once(
                name, {"py/object": "sleap.skeleton.Node", "py/state": {"py/tuple": [name, 1.0]}}
            )

        def edge_type():
            return once(
                1, {"py/reduce": [{"py/type": "sleap.skeleton.EdgeType"}, {"py/tuple": [1]}]}
            )

        links = [
            {
                "edge_insert_idx": i,
                "key": 0,
                "source": node(a),
                "target": node(b),
                "type": edge_type(),
            }
            for i, (a, b) in enumerate(edges)
        ]
        graph = {
            "directed": True,
            "graph": {"name": "animal", "num_edges_inserted": len(links)},
            "links": links,
            "multigraph": True,
        }
        unet = {"filters": 1, "filters_rate": 1.0, "max_stride": 2, "output_stride": stride, **unet}
        return {
            "data": {
                "labels": {
                    "training_labels": None,
                    "skeletons": [{**graph, "nodes": [{"id": node(name)} for name in nodes]}],
                },
                "preprocessing": {
                    "ensure_rgb": False,
                    "ensure_grayscale": False,
                    "input_scaling": 1.0,
                    "pad_to_stride": 2,
                },
                "instance_cropping": {"center_on_part": None, "crop_size": 16},
                **(data or {}),
            },
            "model": {
                "backbone": {
                    "leap": None,
                    "unet": {"stem_stride": None, "middle_block": True, "stacks": 1, **unet},
                    "resnet": None,
                },
                "heads": {
                    name: section if name == kind else None for name, section in heads.items()
                },
            },
            "optimization": {},
            "outputs": {},
        }

    return make


@pytest.fixture
def make_legacy_model(tmp_path, legacy_config):
    """Return a function that writes a SLEAP 1.4 model folder with the network of `make_model`."""

    def make(kind, heads, *, layers=None, name=None, channels=1, **options):
        """Write a model.

        Args:
            kind: Name of the head.
            heads: By layer, a row (weight of each channel, bias) for each output channel.
            layers: By name, (kernel, bias) of further layers, or None for one to leave out.
            name: Folder, by default the kind.
            channels: Image channels.
            **options: As `legacy_config` takes them.
        """
        import json

        same = np.zeros((3, 3, channels, channels), np.float32)
        same[1, 1] = np.eye(channels)
        convolutions = (
            "enc0_conv0",
            "enc0_conv1",
            "enc2_middle_expand_conv0",
            "enc3_middle_contract_conv0",
        )
        weights = {
            f"stack0_{convolution}": (same, np.zeros(channels)) for convolution in convolutions
        }
        for layer, rows in heads.items():
            table = np.array(rows, np.float32)
            weights[layer] = (table[:, :-1].T[None, None], table[:, -1])
        weights |= layers or {}
        folder = tmp_path / (name or kind)
        folder.mkdir()
        (folder / "training_config.json").write_text(
            json.dumps(legacy_config(kind, **{"filters": channels} | options))
        )
        with h5py.File(folder / "best_model.h5", "w") as file:
            file.create_group("optimizer_weights/Adam").create_dataset("iter:0", data=np.int64(3))
            file.create_group("model_weights/input")
            for layer, arrays in weights.items():
                for dataset, array in zip(("kernel:0", "bias:0"), arrays or (), strict=False):
                    file.create_dataset(
                        f"model_weights/{layer}/{layer}/{dataset}",
                        data=np.asarray(array, np.float32),
                    )
        return folder

    return make


# ---- run folders and MLflow stores


@pytest.fixture(scope="session")
def template_database(tmp_path_factory):
    """An empty MLflow database: creating one takes seconds, copying it none."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # MLflow's own mappings use deprecated options of SQLAlchemy
        import_mlflow()
        create_database(path, (path.parent / "mlartifacts").as_uri())
    return path


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Remove the user's MLflow settings from the environment of every test."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def root(tmp_path, template_database):
    """An outputs folder with an empty MLflow store, its path as awkward as paths are."""
    root = tmp_path / "my outputs=1, #2"
    root.mkdir()
    shutil.copy(template_database, root / "mlflow.db")
    return root


@pytest.fixture
def logger():
    return LoggerConfig(mlflow=True, experiment_name="flies", tags={"lab": "west"})


@pytest.fixture
def store(root, logger):
    return open_store(logger, root)


@pytest.fixture
def make_sweep(make_run):
    """Return a function that writes the folder of a sweep whose jobs are over."""

    def make(folder: Path, *jobs, logger: LoggerConfig | None = None) -> Path:
        """Write it.

        Args:
            folder: The sweep folder.
            *jobs: What is special about each job; a status of None for one that has not run.
            logger: Where it is to be logged.
        """
        folder.mkdir(parents=True)
        planned = [
            PlannedJob(number, str(number), fields.get("overrides", []))
            for number, fields in enumerate(jobs)
        ]
        write_plan(folder, Plan("abc", logger or LoggerConfig(), planned))
        for number, fields in enumerate(jobs):
            if fields.get("status", "") is not None:
                make_run(folder / str(number), logger, **{"job": number, "overrides": [], **fields})
        return folder

    return make


@pytest.fixture
def make_run():
    """Return a function that writes a run folder as an experiment would."""

    def make(folder: Path, logger: LoggerConfig | None = None, **fields) -> Path:
        run = {
            "status": "finished",
            "exit_code": 0,
            "started": "2026-01-02T03:04:05.500000+00:00",
            "ended": "2026-01-02T03:05:05.500000+00:00",
            "stages": {"network": 1.5},
            "counts": {"frames": 10},
            "metrics": {"eval/oks_map": 0.75},
            "overrides": ["tracker=flow", "tracker.tracking_window_size=10"],
            "choices": {"tracker": "flow", "hydra/launcher": "basic"},
        }
        folder.mkdir(parents=True)
        config = {
            "data": {"path": "/videos/a.mp4", "frames": None},
            "model": {"paths": ["/models/unet"]},
            "tracker": {"tracking_window_size": 10},
            "logger": vars(logger or LoggerConfig()),
        }
        write_snapshot(
            folder,
            config=config,
            overrides=run["overrides"],
            command=["sleap-lab", "a b"],
            inputs={},
            models=[],
            device="cpu",
        )
        (folder / "predictions.slp").write_bytes(b"poses")
        (folder / "scratch.tmp").write_bytes(b"not to be logged")
        (folder / ".hydra").mkdir()
        (folder / ".hydra" / "overrides.yaml").write_text("- tracker=flow\n")
        summary.write(folder, RunSummary(**(run | fields)))
        return folder

    return make


@pytest.fixture
def use_headless_opencv(monkeypatch):
    """Return a function that makes OpenCV's headless build seem installed, in the same version."""

    def use():
        installed = {"opencv-python-headless": package_version("opencv-python")}

        def version(name):
            if name == "opencv-python":
                raise PackageNotFoundError(name)
            return installed.get(name) or importlib.metadata.version(name)

        monkeypatch.setattr(packages, "version", version)

    return use


# ---- pages in a real browser


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

# Leaves, in the title of the page, what went wrong and what is there.
PROBE = """<script>
const problems = [];
for (const kind of ["error", "warn"]) {
  console[kind] = (...words) => problems.push(words.join(" "));
}
window.addEventListener(
  "error", event => problems.push(event.message || "failed: " + event.target.src), true);
window.addEventListener("load", () => {
  const images = [...document.images];
  document.title = "PROBE" + JSON.stringify({
    problems,
    images: images.length,
    drawn: images.filter(image => image.complete && image.naturalWidth > 0).length,
    titles: [...document.querySelectorAll("figure.panel h3")].map(node => node.textContent),
    fetched: performance.getEntriesByType("resource")
      .filter(entry => !entry.name.startsWith("data:")).map(entry => entry.name),
    overflow: document.documentElement.scrollWidth - window.innerWidth,
  });
});
</script>"""


@pytest.fixture
def browse(tmp_path):
    """Return a function that opens a page in a headless browser; it returns the page's report."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; the pages are not looked at")

    def browse(path, width):
        page = tmp_path / "probe.html"
        page.write_text(
            path.read_text(encoding="utf-8").replace("<head>", f"<head>{PROBE}", 1),
            encoding="utf-8",
        )
        command = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900",
            "--enable-logging=stderr", "--v=0", "--dump-dom", page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        found = re.search(r"<title>PROBE(.*?)</title>", done.stdout)
        assert found, done.stderr[-2000:]
        messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return json.loads(found[1].replace("&amp;", "&")) | {"messages": messages}

    return browse

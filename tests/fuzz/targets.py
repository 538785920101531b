"""What is fuzzed: readers and parsers, what they are started from, and how their input is changed.

A target gets a random generator and a folder and makes one attempt. It may end, or raise an error
that users see as one line. Any other exception, and an end of the process, is a fault.
"""

import io
import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from importlib import resources
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import av
import h5py
import numpy as np
import yaml
from omegaconf import OmegaConf

from sleap_lab.checkpoints import load_network, read_training_config
from sleap_lab.checkpoints.torch_weights import read_state_dict
from sleap_lab.errors import RunError
from sleap_lab.evaluation.files import load_metrics, read_frames
from sleap_lab.files.safe_load import read_yaml
from sleap_lab.inference.cache import Cache, StageResult, remember
from sleap_lab.media.labels import read_labels, to_poses
from sleap_lab.media.open_source import open_source
from sleap_lab.media.videos import open_reader
from sleap_lab.poses.record import Poses, Skeleton, make_poses
from sleap_lab.runs import summary
from sleap_lab.runs.snapshot import SNAPSHOT, read_document
from sleap_lab.settings import flags
from sleap_lab.settings.config import DataConfig
from sleap_lab.settings.frames import parse_frames
from sleap_lab.settings.overrides import check_overrides, parse_overrides, quote

DEMO = Path(str(resources.files("sleap_lab.demo")))
INTERESTING = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**70,
    10**400,
    1e308,
    0.5,
    "",
    "x",
    "../x",
    "\0",
    "\udcff",
    [],
    [None],
    {},
    {"a": [1]},
    [[1, 2], [3]],
    {"": {}},
)
TEXTS = (
    "0-9",
    "1,2,3",
    "5,9,12-20",
    "-",
    "0,-100",
    "[1,2]",
    "x=1",
    "tracker.max_tracks=3",
    "data.path='a b'",
    "a=${b}",
    "null",
    "1e9",
    "\\",
    "'",
    '"',
)


# ---- changing


def changed(random: Random, content: bytes) -> bytes:
    """Change some bytes: replaced, removed, doubled or moved, or set to extreme numbers."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        place = random.randrange(len(data) + 1)
        size = min(random.choice((1, 2, 4, 8, 64, 1024)), len(data) - place)
        kind = random.randrange(6)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << random.randrange(8)
        elif kind == 1:
            data[place : place + size] = random.randbytes(size)
        elif kind == 2:
            del data[place : place + size]
        elif kind == 3:
            data[place:place] = data[place : place + size]
        elif kind == 4:
            data[place : place + 8] = struct.pack(
                random.choice("<>") + "Q", random.choice(INTERESTING)
            )[: random.choice((1, 2, 4, 8))]
        else:
            data = data[: random.randrange(len(data) + 1)] or data
    return bytes(data)


def changed_document(random: Random, document: Any) -> Any:
    """Put something odd into a place of a document, or leave something out."""
    if not isinstance(document, (dict, list)) or not document or random.random() < 0.05:
        return random.choice(ODD)
    document = document.copy()
    key = random.choice(list(document) if isinstance(document, dict) else range(len(document)))
    if random.random() < 0.05:
        del document[key]
    else:
        document[key] = changed_document(random, document[key])
    return document


def words(random: Random, seeds: tuple[str, ...]) -> str:
    """Put pieces of texts together, with a strange character here and there."""
    pieces = []
    for _ in range(random.randrange(1, 6)):
        text = random.choice((*seeds, *TEXTS))
        start = random.randrange(len(text) + 1)
        pieces.append(
            random.choice(
                (
                    text,
                    text[start:],
                    text[:start],
                    chr(random.choice((0, 9, 10, 27, 0xE9, 0x202E, 0x1F400, 0xDCFF))),
                )
            )
        )
    return "".join(pieces)


def zipped(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def unzipped(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def changed_zip(random: Random, parts: dict[str, bytes]) -> bytes:
    """Change a member of an archive, so that its checksum holds, or the archive itself."""
    if random.random() < 0.3:
        return changed(random, zipped(parts))
    name = random.choice(
        [name for name in parts if name.endswith((".pkl", ".npy"))]
        if random.random() < 0.8
        else list(parts)
    )
    return zipped(parts | {name: changed(random, parts[name])})


def change_hdf5(random: Random, path: Path) -> None:
    """Change numbers or texts inside a file that stays an HDF5 file."""
    with h5py.File(path, "a") as file:
        places: list[tuple[Any, str]] = []
        file.visititems(
            lambda name, item: (
                places.extend([(item, key) for key in item.attrs] + [(file, name)])
                if name
                else None
            )
        )
        for _ in range(random.choice((1, 1, 3))):
            owner, name = random.choice(places)
            holder = owner.attrs if owner is not file else file
            if name not in holder:
                continue
            value = holder[name]
            if isinstance(value, h5py.Group) or random.random() < 0.1:
                del holder[name]
                continue
            array = np.array(value[()] if isinstance(value, h5py.Dataset) else value)
            if array.dtype.hasobject:
                texts = [
                    changed(
                        random, item if isinstance(item, bytes) else str(item).encode()
                    ).replace(b"\0", b"")
                    for item in array.ravel()
                ]
                new: Any = texts if array.ndim else texts[0]
            else:
                content = changed(random, array.tobytes())
                rows = len(content) // max(array.dtype.itemsize, 1)
                new = (
                    np.frombuffer(content[: rows * array.dtype.itemsize], array.dtype)
                    if rows
                    else array
                )
                new = new[:1].reshape(()) if not array.ndim and rows else new
            del holder[name]
            holder[name] = new


# ---- what they are started from


@lru_cache
def good() -> SimpleNamespace:
    """Return files of the demo, and others that the package itself writes."""
    poses = make_poses(
        Skeleton(("a", "b"), ((0, 1),)),
        [[[1, 2], [3, 4]]] * 3,
        frame=[0, 1, 2],
        tracks=0,
        track_names=["x"],
    )
    metrics = {
        "voc": {"map": 0.5, "scores": np.arange(3.0)},
        "paths": {"videos": ["a.mp4"], "nested": np.array([1, "x"], dtype=object)},
    }
    pickled, arrays = io.BytesIO(), io.BytesIO()
    np.savez(pickled, metrics=np.array(metrics, dtype=object))
    np.savez(
        arrays,
        **{
            "distance_metrics/dists": np.zeros((2, 3)),
            "pairs/frame": np.zeros(2),
            "pairs/video": np.zeros(2),
        },
    )
    model = DEMO / "models" / "single_instance"
    return SimpleNamespace(
        poses=poses,
        pickled=unzipped_bytes(pickled),
        arrays=unzipped_bytes(arrays),
        checkpoint=unzipped(model / "best.ckpt"),
        config=(model / "training_config.yaml").read_bytes(),
        labels=DEMO / "single_truth.slp",
        recordings=recordings(),
        run=asdict(
            summary.RunSummary(
                "finished",
                0,
                metrics={"eval/x": 1.0},
                counts={"frames": 3},
                stages={"open": 0.1},
                ended=summary.now(),
            )
        ),
    )


def unzipped_bytes(file: io.BytesIO) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def recordings() -> dict[str, bytes]:
    """Return small recordings in several containers and codecs, by file name.

    The brightness of every frame tells its number.
    """
    found = {}
    for name, codec in {
        "a.mp4": "libx264",
        "a.mkv": "libx264",
        "a.avi": "mpeg4",
        "a.ts": "mpeg2video",
        "a.webm": "libvpx-vp9",
    }.items():
        file = io.BytesIO()
        with av.open(
            file, "w", format={"ts": "mpegts", "mkv": "matroska"}.get(name[2:], name[2:])
        ) as container:
            stream = container.add_stream(codec, rate=25, options={"g": "8"})
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for number in range(FRAMES):
                picture = av.VideoFrame.from_ndarray(
                    np.full((48, 64), 10 * number, dtype=np.uint8), format="gray"
                )
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        found[name] = file.getvalue()
    return found


FRAMES = 24
LEGACY = {
    "data": {
        "labels": {
            "skeletons": [
                {
                    "directed": True, "graph": {"name": "x", "num_edges_inserted": 0},
                    "links": [], "multigraph": True,
                    "nodes": [
                        {
                            "id": {
                                "py/object": "sleap.skeleton.Node",
                                "py/state": {"py/tuple": [name, 1.0]},
                            }
                        }
                        for name in "ab"
                    ],
                }
            ]
        },
        "preprocessing": {"input_scaling": 1.0},
    },
    "model": {
        "backbone": {
            "unet": {
                "stem_stride": None, "filters": 1, "filters_rate": 1.0, "max_stride": 2,
                "output_stride": 2,
            }
        },
        "heads": {
            "single_instance": {
                "part_names": ["a", "b"], "sigma": 2.5, "output_stride": 2,
                "offset_refinement": False,
            }
        },
    },
}  # fmt: skip


# ---- targets


def frame_grammar(random: Random, folder: Path) -> None:
    """data.frames."""
    text = words(random, ("0-100,200-300", "7", "12-20,5,9"))
    found = parse_frames(text)
    assert found is None or found == list(dict.fromkeys(found))
    assert found is None or all(frame >= 0 for frame in found)


def overrides(random: Random, folder: Path) -> None:
    """KEY=VALUE, and values that are quoted for it."""
    text = words(
        random,
        (
            "tracker.tracking_window_size=5",
            "model.paths=[a,b]",
            "data.frames='0-3'",
            "+a.b=1",
            "~x",
        ),
    )
    value = (
        words(random, ("C:\\x", "a=b,c", "${oc.env:HOME}", "[x]", "'quoted'"))
        .replace("\0", "")
        .replace("\n", "")
    )
    (parsed,) = parse_overrides([f"data.path={quote(value)}"])
    assert str(OmegaConf.create({"x": parsed.value()})["x"]) == value
    check_overrides([text], lambda group: ["none", "flow"] if group == "tracker" else [])


def flag_parser(random: Random, folder: Path) -> None:
    """Flags of track and eval."""
    table = random.choice((flags.TRACK, flags.EVAL))
    names = [f"--{flag.name}" for flag in table] + [
        f"-{flag.short}" for flag in table if flag.short
    ]
    line = [
        random.choice(
            (random.choice(names), words(random, ("none", "1.5", "[1,2]", "--x=y", "true")))
        )
        for _ in range(random.randrange(6))
    ]
    values, _ = flags.parse(table, line)
    flags.parity(values)


def training_config(random: Random, folder: Path) -> None:
    """training_config.yaml, and YAML at large."""
    config = good().config
    if random.random() < 0.8:
        document = changed_document(random, yaml.safe_load(config))
        config = yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "replace")
    else:
        config = changed(random, config)
    (folder / "training_config.yaml").write_bytes(config)
    (folder / "best.ckpt").write_bytes(zipped(good().checkpoint))
    if random.random() < 0.2:
        (folder / "any.yaml").write_text(
            words(random, ("a: &x [1, *x]", "<<: {a: b}", "- - -", "{a: [", "!!binary x", "? b")),
            "utf-8",
            "replace",
        )
        try:
            read_yaml(folder / "any.yaml")
        except ValueError:
            return
    load_network(read_training_config(folder))


def checkpoint(random: Random, folder: Path) -> None:
    """best.ckpt."""
    (folder / "training_config.yaml").write_bytes(good().config)
    (folder / "best.ckpt").write_bytes(changed_zip(random, good().checkpoint))
    read_state_dict(folder / "best.ckpt")
    load_network(read_training_config(folder))


def legacy_model(random: Random, folder: Path) -> None:
    """best_model.h5 and training_config.json."""
    kind = random.randrange(3)
    document = changed_document(random, LEGACY) if kind == 0 else LEGACY
    (folder / "training_config.json").write_bytes(json.dumps(document).encode())
    path = folder / "best_model.h5"
    with h5py.File(path, "w") as file:
        for layer in (
            "enc0_conv0",
            "enc0_conv1",
            "enc2_middle_expand_conv0",
            "enc3_middle_contract_conv0",
        ):
            for name, shape in (("kernel:0", (3, 3, 1, 1)), ("bias:0", (1,))):
                file[f"model_weights/stack0_{layer}/stack0_{layer}/{name}"] = np.zeros(
                    shape, np.float32
                )
        for name, shape in (("kernel:0", (1, 1, 1, 2)), ("bias:0", (2,))):
            file[f"model_weights/SingleInstanceConfmapsHead/SingleInstanceConfmapsHead/{name}"] = (
                np.zeros(shape, np.float32)
            )
    if kind == 1:
        change_hdf5(random, path)
    elif kind == 2:
        path.write_bytes(changed(random, path.read_bytes()))
    load_network(read_training_config(folder))


def labels(random: Random, folder: Path) -> None:
    """Labels files."""
    path = folder / "labels.slp"
    shutil.copy(good().labels, path)
    if random.random() < 0.7:
        change_hdf5(random, path)
    else:
        path.write_bytes(changed(random, path.read_bytes()))
    found = read_labels(path)
    for video in found.videos:
        open_reader(video)
    list(to_poses(found).by_frame())


def recording(random: Random, folder: Path) -> None:
    """Media files."""
    name, content = random.choice(sorted(good().recordings.items()))
    (folder / name).write_bytes(changed(random, content))
    source = open_source(DataConfig(path=str(folder / name), max_bad_share=1.0))
    for frame in random.sample(range(len(source.frames)), min(len(source.frames), 8)):
        with suppress(RunError):
            source.pixels(0, frame)


def metrics_file(random: Random, folder: Path) -> None:
    """metrics.npz of ours and of sleap-nn, and the table beside it."""
    (folder / "metrics.npz").write_bytes(changed_zip(random, good().pickled))
    (folder / "metrics.flat.npz").write_bytes(changed_zip(random, good().arrays))
    (folder / "metrics.frames.csv").write_bytes(
        changed(random, b"video,frame,oks\na.mp4,0,0.5\na.mp4,1,\n")
    )
    random.choice((load_metrics, read_frames))(folder / "metrics.npz")


def cache_entry(random: Random, folder: Path) -> None:
    """Entries of the cache with a corrected digest; they cost time, and nothing else."""
    cache, key = Cache(folder, warn=lambda text: None), "0" * 64
    result = StageResult(good().poses.to_arrays(), {"kind": "x", "notes": []})
    remember(cache, key, lambda: result, stage="predict")
    header, arrays = folder / f"{key}.json", folder / f"{key}.npz"
    if random.random() < 0.5:
        from sleap_lab.inference.cache import _digest

        content = changed_zip(random, unzipped(arrays))
        facts = json.loads(header.read_text())
        facts.pop("digest")
        facts["digest"] = _digest(facts, content)
        arrays.write_bytes(content)
        header.write_text(json.dumps(facts))
    else:
        header.write_bytes(changed(random, header.read_bytes()))
    found, _ = remember(
        cache,
        key,
        lambda: result,
        stage="predict",
        fits=lambda stored: Poses.from_arrays(stored.arrays) is not None,
    )
    Poses.from_arrays(found.arrays)


def run_folder(random: Random, folder: Path) -> None:
    """run.json and the snapshot."""
    (folder / SNAPSHOT).mkdir(exist_ok=True)
    text = json.dumps(changed_document(random, good().run)).encode()
    (folder / "run.json").write_bytes(changed(random, text) if random.random() < 0.2 else text)
    (folder / SNAPSHOT / "config.yaml").write_bytes(changed(random, good().config))
    summary.write(folder, summary.read(folder))
    read_document(folder, "config.yaml")


TARGETS: dict[str, Callable[[Random, Path], None]] = {
    target.__name__: target
    for target in (
        frame_grammar, overrides, flag_parser, training_config, checkpoint, legacy_model, labels,
        recording, metrics_file, cache_entry, run_folder,
    )
}  # fmt: skip

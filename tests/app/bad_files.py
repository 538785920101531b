"""Files that are broken, lie or mean harm, the commands that read them, and the expected messages.

Each case writes its files into a folder that holds a good video (`video.mp4`), labels of it
(`truth.slp`) and a model for it (`model`). `sleap-lab` and, where it has the same command, sleap-nn
run there. The named hosts do not exist.
"""

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import yaml

DEMO = Path(str(resources.files("sleap_lab.demo")))
OURS = "model.paths=[model] data.frames=0-9"
TRACKED = "model=none tracker=fixed_window"
PIPES = hasattr(os, "mkfifo")


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        name: What is wrong with it.
        make: Writes it into the folder.
        words: What `sleap-lab` is told.
        code: How it ends.
        says: What the last line of it says; of a run that goes on, a line.
        peer: What sleap-nn is told; None where it has no such thing.
    """

    name: str
    make: Callable[[Path], Any]
    words: str
    code: int
    says: str
    peer: str | None = None


def prepare(folder: Path) -> None:
    """Put the good files into a folder."""
    shutil.copy(DEMO / "single.mp4", folder / "video.mp4")
    shutil.copy(DEMO / "single_truth.slp", folder / "truth.slp")
    shutil.copytree(DEMO / "models" / "single_instance", folder / "model")


def video(
    name: str,
    file: str,
    make: Callable[[Path], Any],
    code: int,
    says: str,
    *,
    words: str = "",
    frames: bool = False,
) -> Case:
    """A video for prediction with a model, all frames or the first ten."""
    ours = f"data.path={file} model.paths=[model] {'' if not frames else 'data.frames=0-9'} {words}"
    return Case(
        name,
        make,
        " ".join(ours.split()),
        code,
        says,
        f"track --data_path {file} --model_paths model",
    )


def labels(name: str, make: Callable[[Path], Any], says: str, code: int = 1) -> Case:
    """A labels file for prediction with a model."""
    return Case(
        name,
        make,
        "data.path=bad.slp model.paths=[model]",
        code,
        says,
        "track --data_path bad.slp --model_paths model",
    )


def model(name: str, make: Callable[[Path], Any], says: str, code: int = 1) -> Case:
    """A model for prediction on a good video."""
    return Case(
        name,
        make,
        f"data.path=video.mp4 {OURS}",
        code,
        says,
        "track --data_path video.mp4 --model_paths model --frames 0-9",
    )


# ---- makers of videos


def write(name: str, content: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(content)


def text(name: str) -> Callable[[Path], Any]:
    return write(name, b"this is text\n")


def pictures(count: int = 40) -> list[np.ndarray]:
    """Frames of 64 x 96 noisy pixels, so that all of them take as many bytes."""
    return list(np.random.default_rng(0).integers(0, 255, (count, 64, 96, 3), dtype=np.uint8))


def clip(name: str, *options: str, count: int = 40) -> Callable[[Path], Any]:
    """Write a good clip with more options of ffmpeg."""

    def make(folder: Path) -> None:
        from sleap_io.io.video_writing import VideoWriter

        with VideoWriter(folder / name, output_params=["-g", "10", *options]) as writer:
            for image in pictures(count):
                writer.write_frame(image)

    return make


def then(
    make: Callable[[Path], Any], name: str, change: Callable[[bytes], bytes]
) -> Callable[[Path], Any]:
    """Write a file and change its bytes."""

    def both(folder: Path) -> None:
        make(folder)
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return both


def cut(share: float) -> Callable[[bytes], bytes]:
    """Cut what is behind a share of the frames."""

    def change(content: bytes) -> bytes:
        start = content.index(b"mdat") if b"mdat" in content else 0
        return content[: start + int(share * (len(content) - start))]

    return change


def overwritten(content: bytes) -> bytes:
    """Lose some bytes among those of the frames."""
    lost, place = len(content) // 30, content.index(b"mdat") + len(content) // 3
    return content[:place] + bytes(lost) + content[place + lost :]


FAST = ("-movflags", "+faststart")  # the index comes before the frames


def hdf5(name: str, fill: Callable[[h5py.File], Any]) -> Callable[[Path], Any]:
    def make(folder: Path) -> None:
        with h5py.File(folder / name, "w") as file:
            fill(file)

    return make


def secret(folder: Path) -> str:
    """Write a file that must not be read."""
    (folder / "secret").write_bytes(bytes(range(256)) * 1000)
    return str(folder / "secret")


def frames_elsewhere(folder: Path) -> None:
    name = secret(folder)
    hdf5(
        "bad.h5",
        lambda file: file.create_dataset(
            "frames", (5, 64, 96, 1), "u1", external=[(name, 0, 5 * 64 * 96)]
        ),
    )(folder)


def images(count: int, bad: dict[int, bytes]) -> Callable[[Path], Any]:
    """Write PNG files, some of which hold other bytes."""

    def make(folder: Path) -> None:
        (folder / "images").mkdir()
        for i, image in enumerate(pictures(count)):
            cv2.imwrite(str(folder / "images" / f"{i}.png"), image)
        for i, content in bad.items():
            (folder / "images" / f"{i}.png").write_bytes(content)

    return make


def png(width: int, height: int, rows: int) -> bytes:
    """Return a PNG file that claims a size, with that many black rows of one bit per pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    pixels = zlib.compress(bytes(1 + (width + 7) // 8) * rows, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def several(folder: Path) -> None:
    (folder / "clips").mkdir()
    for name in ("a.mp4", "c.mp4"):
        shutil.copy(folder / "video.mp4", folder / "clips" / name)
    (folder / "clips" / "b.mp4").write_text("this is text")


def broken_only(folder: Path) -> None:
    (folder / "clips").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (folder / "clips" / name).write_text("this is text")


def mixed(folder: Path) -> None:
    (folder / "both").mkdir()
    shutil.copy(folder / "video.mp4", folder / "both")
    (folder / "both" / "a.png").write_bytes(png(8, 8, 8))


def tiff(folder: Path) -> None:
    import tifffile

    tifffile.imwrite(folder / "bad.tif", np.zeros((3, 20, 30), np.uint8), photometric="minisblack")


def seq(count: int) -> bytes:
    """Return the header of a Norpix video of so many frames of 64 x 64 bytes."""
    header = bytearray(1024)
    struct.pack_into("<I", header, 0, 0xFEED)
    header[4:24] = "Norpix seq".encode("utf-16-le")
    struct.pack_into("<iI", header, 28, 5, 1024)
    struct.pack_into("<9I", header, 548, 64, 64, 8, 8, 4096, 100, count, 0, 4096)
    struct.pack_into("<d", header, 584, 30.0)
    return bytes(header)


PLAYLIST = (
    b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://nowhere.invalid/a.ts\n#EXT-X-ENDLIST\n"
)

VIDEOS = [
    video(
        "a video of no bytes", "bad.mp4", write("bad.mp4", b""), 1,
        "it holds no readable frame, as when recording or copying was cut short",
    ),
    video(
        "text called .mp4", "bad.mp4", text("bad.mp4"), 1,
        "bad.mp4 cannot be read as a video: it holds no readable frame",
    ),
    video(
        "noise called .avi", "bad.avi", write("bad.avi", bytes(range(256)) * 40), 1,
        "bad.avi cannot be read as a video: it holds no readable frame",
    ),
    video("text called .seq", "bad.seq", text("bad.seq"), 1, "bad.seq cannot be read as a video"),
    video(
        "a .seq video of four billion frames in 1 kB", "bad.seq", write("bad.seq", seq(2**32 - 1)),
        1, "it says it has 4294967295 frames in 1024 bytes",
    ),
    video(
        "a file of no known kind", "bad.xyz", text("bad.xyz"), 1,
        "bad.xyz cannot be read as a video",
    ),
    video(
        "a playlist called .mp4", "bad.mp4", write("bad.mp4", PLAYLIST), 1,
        "bad.mp4 cannot be read as a video: it holds no readable frame",
    ),
    video(
        "a video cut short before its index", "bad.mp4", then(clip("bad.mp4"), "bad.mp4", cut(0.5)),
        1, "it holds no readable frame, as when recording",
    ),
    video(
        "a video cut short behind its index", "bad.mp4",
        then(clip("bad.mp4", *FAST), "bad.mp4", cut(0.3)), 1,
        "bad.mp4 says it has 40 frames, but ends after frame",
    ),
    video(
        "a video whose end is missing", "bad.mp4",
        then(clip("bad.mp4", *FAST), "bad.mp4", cut(0.75)), 3, "frames could not be read: ",
    ),
    video(
        "the same, where no frame may be missing", "bad.mp4",
        then(clip("bad.mp4", *FAST), "bad.mp4", cut(0.75)), 1, "but ends after frame",
        words="data.on_bad_frame=fail",
    ),
    video(
        "a video with lost bytes in the middle", "bad.mp4",
        then(clip("bad.mp4", *FAST, count=90), "bad.mp4", overwritten), 3,
        "frames could not be read: ",
    ),
    video(
        "the same, where few frames may be bad", "bad.mp4",
        then(clip("bad.mp4", *FAST, count=90), "bad.mp4", overwritten), 1, "data.max_bad_share: ",
        words="data.max_bad_share=0.02",
    ),
    video("a missing file", "bad.mp4", lambda folder: None, 2, "data.path: no such file: "),
    video("an empty folder", "empty", lambda folder: (folder / "empty").mkdir(), 2, "data.path: "),
    video(
        "a folder of videos and images", "both", mixed, 2,
        "both holds 1 video and 1 image; say which: ",
    ),
    video(
        "one broken video of three", "clips", several, 3, "1 of 3 videos could not be opened: ",
        frames=True,
    ),
    video(
        "nothing but broken videos", "clips", broken_only, 1,
        "data.path: none of the 2 videos can be read; the first: ",
    ),
    video(
        "a name that is no text", "\"'\udcff.mp4'\"",
        lambda folder: shutil.copy(folder / "video.mp4", folder / "\udcff.mp4"), 2,
        "is no text in UTF-8; rename the file",
    ),
    video(
        "a name of 5000 characters", f"{'x' * 5000}.mp4", lambda folder: None, 2,
        "data.path: 'x"[:11],
    ),
    video(
        "a list that names a missing file", "list.txt",
        write("list.txt", b"video.mp4\nnowhere.mp4\n"), 2, "nowhere.mp4 (line 2 of ",
    ),
    video(
        "a list that is not text", "list.txt", write("list.txt", b"\xff\xfe\x00" * 100), 2,
        "list.txt cannot be read as a list of paths",
    ),
    video(
        "a list of nothing", "list.txt", write("list.txt", b"# nothing\n\n"), 2,
        "list.txt names no file; accepted: one path per line",
    ),
    video("text called .h5", "bad.h5", text("bad.h5"), 1, "bad.h5 cannot be read as a video"),
    video(
        "HDF5 without frames", "bad.h5",
        hdf5("bad.h5", lambda file: file.create_dataset("x", data=np.zeros((3, 4)))), 1,
        "bad.h5 holds no dataset of frames, with four axes; it holds x (3, 4)",
    ),
    video(
        "HDF5 cut short", "bad.h5",
        then(
            hdf5("bad.h5", lambda file: file.create_dataset("x", data=np.zeros((9, 64, 64, 1)))),
            "bad.h5", lambda content: content[:3000],
        ),
        1, "bad.h5 cannot be read as a video (",
    ),
    video(
        "HDF5 of a billion frames in no bytes", "bad.h5",
        hdf5(
            "bad.h5",
            lambda file: file.create_dataset("x", (10**9, 64, 96, 1), "u1", chunks=(1, 64, 96, 1)),
        ),
        1, "/x has the shape (1000000000, 64, 96, 1), but only 0 bytes",
    ),
    video(
        "HDF5 whose frames are in another file", "bad.h5", frames_elsewhere, 1,
        "/frames is stored in other files; refused, because only the file itself is read",
    ),
    video(
        "HDF5 with images of a million pixels a side", "bad.h5",
        hdf5(
            "bad.h5",
            lambda file: file.create_dataset(
                "x", (2, 10**6, 10**6, 1), "u1", chunks=(1, 1000, 1000, 1),
            ),
        ),
        1, "but only 0 bytes",
    ),
    video(
        "HDF5 with images of five channels", "bad.h5",
        hdf5(
            "bad.h5",
            lambda file: file.create_dataset(
                "x", data=np.arange(3 * 64 * 96 * 5, dtype="u1").reshape(3, 64, 96, 5),
            ),
        ),
        1, "an image of 5 channels; accepted: grey or RGB",
    ),
    video(
        "one broken image of eight", "images", images(8, {3: b"torn"}), 3,
        "1 frame could not be read: 3. The first: ",
    ),
    video(
        "nothing but broken images", "images", images(2, {0: b"torn", 1: b""}), 1,
        "images cannot be read as a video: it holds no readable frame",
    ),
    video(
        "an image of 40000 x 40000 pixels in 25 kB", "images",
        images(4, {3: png(40_000, 40_000, 40_000)}), 3,
        "1 frame could not be read: 3. The first: ",
    ),
    video(
        "an image that says it has 2 billion pixels a side", "images",
        images(4, {3: png(2**31 - 1, 2**31 - 1, 1)}), 3,
        "1 frame could not be read: 3. The first: ",
    ),
    video(
        "TIFF pages that cannot be told apart", "bad.tif", tiff, 1,
        "bad.tif holds 3 pages that cannot be read one by one; convert it",
    ),
    *(
        [
            video(
                "a named pipe", "pipe.mp4", lambda folder: os.mkfifo(folder / "pipe.mp4"), 2,
                "pipe.mp4 is neither a file nor a folder",
            )
        ] if PIPES else []
    ),
]  # fmt: skip


# ---- makers of labels


def changed(change: Callable[[h5py.File], Any]) -> Callable[[Path], Any]:
    """Copy the good labels and change the copy."""

    def make(folder: Path) -> None:
        shutil.copy(folder / "truth.slp", folder / "bad.slp")
        shutil.copy(folder / "video.mp4", folder / "single.mp4")
        with h5py.File(folder / "bad.slp", "a") as file:
            change(file)

    return make


def put(name: str, value: Any) -> Callable[[h5py.File], Any]:
    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file[name] = value

    return change


def field(dataset: str, name: str, value: Any) -> Callable[[h5py.File], Any]:
    """Change one field of the last row of a table."""

    def change(file: h5py.File) -> None:
        rows = file[dataset][()]
        rows[name][-1] = value
        file[dataset][...] = rows

    return change


def metadata(change: Callable[[Any], Any]) -> Callable[[h5py.File], Any]:
    def edit(file: h5py.File) -> None:
        content = json.loads(file["metadata"].attrs["json"])
        file["metadata"].attrs["json"] = np.bytes_(json.dumps(change(content) or content))

    return edit


def endless(file: h5py.File) -> None:
    dtype = file["frames"].dtype
    del file["frames"]
    file.create_dataset("frames", (10**12,), dtype, chunks=(1000,), compression="gzip")


def described(name: str) -> bytes:
    return json.dumps({"filename": name, "backend": {"filename": name, "dataset": "x"}}).encode()


def elsewhere(folder: Path) -> None:
    name = secret(folder)
    changed(
        lambda file: file.create_dataset(
            "video0/video", (2, 64, 96, 1), "u1", external=[(name, 0, 2 * 64 * 96)]
        )
    )(folder)


def score_maps(file: h5py.File) -> None:
    """Pack a gigabyte into a megabyte, and that into a kilobyte."""
    packed = np.frombuffer(zlib.compress(bytes(10**8)), "u1")
    row = [
        ("mask_idx", "u4"),
        ("data_start", "u8"),
        ("data_end", "u8"),
        ("height", "u4"),
        ("width", "u4"),
    ]
    file["mask_score_map_index"] = np.array([(0, 0, len(packed), 4, 4)], row)
    file.create_dataset("mask_score_maps", data=packed, compression="gzip")


def without_video(folder: Path) -> None:
    shutil.copy(folder / "truth.slp", folder / "bad.slp")


def pipe_video(folder: Path) -> None:
    os.mkfifo(folder / "pipe.mp4")
    changed(put("videos_json", [described(str(folder / "pipe.mp4"))]))(folder)


NOT_LABELS = "bad.slp: not a readable SLEAP labels file ("
LABELS = [
    labels("labels of no bytes", write("bad.slp", b""), NOT_LABELS),
    labels("text called .slp", text("bad.slp"), NOT_LABELS),
    labels(
        "labels cut short",
        then(changed(lambda file: None), "bad.slp", lambda content: content[: len(content) // 3]),
        NOT_LABELS,
    ),
    labels(
        "labels cut short by a little",
        then(changed(lambda file: None), "bad.slp", lambda content: content[:-20_000]), NOT_LABELS,
    ),
    labels(
        "HDF5 that holds no labels",
        hdf5("bad.slp", lambda file: file.create_dataset("x", data=[1])), NOT_LABELS,
    ),
    labels(
        "labels whose header is no JSON",
        changed(lambda file: file["metadata"].attrs.__setitem__("json", np.bytes_("{"))),
        NOT_LABELS,
    ),
    labels(
        "labels of a version to come",
        changed(lambda file: file["metadata"].attrs.__setitem__("format_id", 99.0)), NOT_LABELS,
    ),
    labels(
        "labels without a skeleton",
        changed(metadata(lambda content: {**content, "skeletons": [], "nodes": []})), NOT_LABELS,
    ),
    labels("labels without points", changed(lambda file: file.__delitem__("points")), NOT_LABELS),
    labels(
        "labels with a link to another file",
        changed(put("points", h5py.ExternalLink("/etc/other.h5", "/x"))),
        "/points is a link; refused, because only the file itself is read",
    ),
    labels(
        "labels with images that are in another file", elsewhere,
        "/video0/video is stored in other files; refused",
    ),
    labels(
        "labels of a trillion frames in no bytes", changed(endless),
        "/frames has the shape (1000000000000,), but only 0 bytes",
    ),
    labels(
        "labels that lost instances", changed(field("frames", "instance_id_end", 10**6)),
        "instances, but a frame with number 999999",
    ),
    labels(
        "labels of a frame beyond all videos", changed(field("frames", "frame_idx", 2**63)),
        f"it has a frame of the number {2**63}",
    ),
    labels(
        "labels of a video that is not in them", changed(field("frames", "video", 7)), NOT_LABELS,
    ),
    labels(
        "labels that name a track that is not in them", changed(field("instances", "track", 99)),
        NOT_LABELS,
    ),
    labels(
        "labels with a packed image that is larger than it says", changed(score_maps),
        "a score map of mask is larger than it says",
    ),
    labels(
        "labels of a video that is not there", without_video,
        "single.mp4 is not there: 60 of the 60 requested frames are missing. Put the video",
    ),
    labels(
        "labels of a video at an address",
        changed(put("videos_json", [described("https://nowhere.invalid/a.h5")])),
        "/nowhere.invalid/a.h5 is an address, and nothing is fetched; download it",
    ),
    labels(
        "labels of a video whose name is no text",
        changed(
            put(
                "videos_json", [b'{"filename":"\\udcff.mp4","backend":{"filename":"\\udcff.mp4"}}'],
            ),
        ),
        "the name of a video is no text in UTF-8",
    ),
    labels(
        "labels of a video that JSON cannot hold", changed(put("videos_json", [b"[" * 100_000])),
        NOT_LABELS,
    ),
    *(
        [
            labels(
                "labels of a named pipe", pipe_video,
                "pipe.mp4 is no file: 60 of the 60 requested frames are missing",
            )
        ] if PIPES else []
    ),
    Case(
        "labels to track, and no labels at all", text("bad.slp"), f"data.path=bad.slp {TRACKED}", 1,
        NOT_LABELS, "track --data_path bad.slp --tracking",
    ),
    Case(
        "ground truth that is text", text("bad.slp"),
        "data.path=truth.slp model=none evaluator=oks evaluator.ground_truth_path=bad.slp", 1,
        NOT_LABELS, "eval --predicted_path truth.slp --ground_truth_path bad.slp",
    ),
    Case(
        "predictions that are text", text("bad.slp"),
        "data.path=bad.slp model=none evaluator=oks evaluator.ground_truth_path=truth.slp", 1,
        NOT_LABELS, "eval --predicted_path bad.slp --ground_truth_path truth.slp",
    ),
]  # fmt: skip


# ---- makers of models


class Runs:
    """An object whose pickle makes whoever opens it write a file."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("harmed",)


def config(change: Callable[[Any], Any]) -> Callable[[Path], Any]:
    """Change the training config."""

    def make(folder: Path) -> None:
        path = folder / "model" / "training_config.yaml"
        content = yaml.safe_load(path.read_text())
        change(content)
        path.write_text(yaml.safe_dump(content))

    return make


def backbone(**keys: Any) -> Callable[[Path], Any]:
    return config(lambda content: content["model_config"]["backbone_config"]["unet"].update(keys))


def preprocessing(**keys: Any) -> Callable[[Path], Any]:
    return config(lambda content: content["data_config"]["preprocessing"].update(keys))


def yaml_text(content: bytes) -> Callable[[Path], Any]:
    return write("model/training_config.yaml", content)


def checkpoint(content: bytes) -> Callable[[Path], Any]:
    return write("model/best.ckpt", content)


def archive(parts: dict[str, bytes], compress: int = zipfile.ZIP_STORED) -> Callable[[Path], Any]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compress) as opened:
        for name, content in parts.items():
            opened.writestr(name, content)
    return checkpoint(file.getvalue())


def weights(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    """Change the weights."""

    def make(folder: Path) -> None:
        import torch

        path = folder / "model" / "best.ckpt"
        content = torch.load(path, weights_only=True)
        change(content["state_dict"])
        torch.save(content, path)

    return make


def spread(state: dict[str, Any]) -> None:
    """Repeat one number instead of storing as many."""
    import torch

    for name, value in state.items():
        state[name] = torch.zeros(1).expand(value.shape)


def legacy(change: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Put a model of SLEAP 1.4 in the place of the other, and change it."""
    kind = {"py/reduce": [{"py/type": "sleap.skeleton.EdgeType"}, {"py/tuple": [1]}]}
    ends = {"source": _node("a"), "target": _node("b")}
    links = [{"edge_insert_idx": 0, "key": 0, **ends, "type": kind}]
    graph = {
        "directed": True,
        "graph": {"name": "x", "num_edges_inserted": 1},
        "links": links,
        "multigraph": True,
        "nodes": [{"id": {"py/id": 1}}, {"id": {"py/id": 2}}],
    }
    unet = {
        "stem_stride": None,
        "middle_block": True,
        "stacks": 1,
        "filters": 1,
        "filters_rate": 1.0,
        "max_stride": 2,
        "output_stride": 2,
    }
    content = {
        "data": {
            "labels": {"skeletons": [graph]},
            "preprocessing": {"input_scaling": 1.0},
            "instance_cropping": {"crop_size": 16},
        },
        "model": {
            "backbone": {"unet": unet},
            "heads": {
                "single_instance": {
                    "part_names": ["a", "b"],
                    "sigma": 2.5,
                    "output_stride": 2,
                    "offset_refinement": False,
                }
            },
        },
    }

    def make(folder: Path) -> None:
        shutil.rmtree(folder / "model")
        (folder / "model").mkdir()
        (folder / "model" / "training_config.json").write_text(json.dumps(content))
        with h5py.File(folder / "model" / "best_model.h5", "w") as file:
            file["model_weights/stack0_enc0_conv0/stack0_enc0_conv0/kernel:0"] = np.zeros(
                (3, 3, 1, 1), np.float32
            )
        change(folder / "model")

    return make


def _node(name: str) -> Any:
    return {"py/object": "sleap.skeleton.Node", "py/state": {"py/tuple": [name, 1.0]}}


def keras(change: Callable[[h5py.File], Any]) -> Callable[[Path], Any]:
    def edit(folder: Path) -> None:
        with h5py.File(folder / "best_model.h5", "a") as file:
            change(file["model_weights/stack0_enc0_conv0/stack0_enc0_conv0"])

    return legacy(edit)


def remove(name: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).unlink()


BOMB = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c + 1, c + 1, b",".join([b"*%c" % c] * 10))
    for c in range(ord("a"), ord("j"))
)
NOT_YAML = "training_config.yaml: not a readable YAML file ("
NOT_CHECKPOINT = "best.ckpt: not a readable checkpoint: "
NOT_KERAS = "best_model.h5: not a readable Keras model: "
MODELS = [
    model(
        "a model folder without anything",
        lambda folder: [file.unlink() for file in (folder / "model").iterdir()],
        "model is not a model folder: it holds no training_config.yaml", 2,
    ),
    model(
        "a model without a training config", remove("model/training_config.yaml"),
        "model is not a model folder: it holds no training_config.yaml", 2,
    ),
    model("a model without weights", remove("model/best.ckpt"), "best.ckpt: no such checkpoint"),
    model("a training config that is no YAML", yaml_text(b"a: [1, 2\n"), NOT_YAML),
    model(
        "a training config that is a list", yaml_text(b"- a\n- b\n"),
        "training_config.yaml: not a training config, but a list",
    ),
    model(
        "a training config that is empty", yaml_text(b""),
        "training_config.yaml: not a training config, but a NoneType",
    ),
    model("a training config in bytes", yaml_text(b"\xff\xfe\x00\x01"), NOT_YAML),
    model(
        "a training config that asks for a program",
        yaml_text(b"a: !!python/object/apply:os.mkdir [harmed]\n"), NOT_YAML,
    ),
    model("a training config of a billion references", yaml_text(BOMB), NOT_YAML),
    model("a training config 3000 levels deep", yaml_text(b"[" * 3000), "it is nested too deeply"),
    model(
        "a training config without heads",
        config(lambda content: content["model_config"].pop("head_configs")),
        "section model_config.head_configs is missing",
    ),
    model(
        "a training config without a skeleton",
        config(lambda content: content["data_config"].update(skeletons=[])),
        "data_config.skeletons does not describe a skeleton",
    ),
    model(
        "a training config of an unknown backbone",
        config(lambda content: content["model_config"].update(backbone_config={"resnet": {}})),
        "backbone 'resnet' is not supported",
    ),
    model(
        "a network of a billion layers", backbone(convs_per_block=10**9),
        "unet.convs_per_block: got 1000000000; accepted: at most 64",
    ),
    model(
        "a network of a billion channels", backbone(filters=10**9),
        "model_config does not describe a network",
    ),
    model("a network of a million channels", backbone(filters=10**6), "has shape"),
    model("a network of other sizes than its weights", backbone(filters=5), "has shape"),
    model(
        "images a billion pixels high", preprocessing(max_height=10**9, max_width=10**9),
        "images would be resized to 1000000000x1000000000 px",
    ),
    model(
        "images magnified a million times", preprocessing(scale=1e6), "images would be resized to",
    ),
    model(
        "images of a negative size", preprocessing(max_height=-5),
        "preprocessing.max_height: got -5; accepted: a whole number above 0",
    ),
    model(
        "weights that are text", checkpoint(b"this is text"),
        f"{NOT_CHECKPOINT}File is not a zip file",
    ),
    model("weights of no bytes", checkpoint(b""), f"{NOT_CHECKPOINT}File is not a zip file"),
    model(
        "weights cut short",
        lambda folder: (folder / "model" / "best.ckpt").write_bytes(
            (folder / "model" / "best.ckpt").read_bytes()[:200_000],
        ),
        NOT_CHECKPOINT,
    ),
    model(
        "weights that run a program", archive({"a/data.pkl": pickle.dumps({"state_dict": Runs()})}),
        f"{NOT_CHECKPOINT}it asks for posix.mkdir; refused",
    ),
    model(
        "weights that run a program, zipped otherwise",
        archive({"a/data.pkl": b"cbuiltins\neval\n(S'1'\ntR."}),
        f"{NOT_CHECKPOINT}it asks for builtins.eval; refused",
    ),
    model(
        "a gigabyte of weights in a megabyte",
        archive({"a/data.pkl": bytes(10**7)}, zipfile.ZIP_DEFLATED),
        f"{NOT_CHECKPOINT}it is compressed, which checkpoints are not",
    ),
    model(
        "weights in a table of two billion rows",
        archive({"a/data.pkl": b"\x80\x02}r\xff\xff\xff\x7f."}),
        f"{NOT_CHECKPOINT}it numbers part 2147483647 of 2",
    ),
    model(
        "a zip file without weights", archive({"readme.txt": b"hello"}),
        "best.ckpt: a zip file, but not a PyTorch checkpoint",
    ),
    model("weights that are one number, repeated", weights(spread), "but holds fewer numbers"),
    model(
        "weights with a layer too few", weights(lambda state: state.pop(min(state))),
        "weights do not fit the network of training_config.yaml: lacks ",
    ),
    model(
        "a legacy config that is no JSON",
        legacy(lambda folder: (folder / "training_config.json").write_text("{")),
        "training_config.json: not a readable JSON file (",
    ),
    model(
        "a legacy config 100000 levels deep",
        legacy(lambda folder: (folder / "training_config.json").write_text("[" * 100_000)),
        "it is nested too deeply",
    ),
    model(
        "legacy weights that are text",
        legacy(lambda folder: (folder / "best_model.h5").write_text("text")), NOT_KERAS,
    ),
    model(
        "legacy weights with a link to another file",
        keras(lambda group: group.__setitem__("bias:0", h5py.ExternalLink("/etc/other.h5", "/x"))),
        "is a link; refused, because only the file itself is read",
    ),
    model(
        "legacy weights of a terabyte in no bytes",
        keras(lambda group: group.create_dataset("bias:0", (10**12,), "f4", chunks=(1000,))),
        "bias:0 has the shape (1000000000000,), but only 0 bytes",
    ),
]  # fmt: skip

CASES = [*VIDEOS, *LABELS, *MODELS]

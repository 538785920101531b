"""Network outputs as plain arrays: per batch in Python, per frame in a file, never pickled."""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sleap_lab.files.earlier import NO_FRAMES, replacing_earlier
from sleap_lab.filters import kept
from sleap_lab.inference.detect import Inference, ShowDone, detect
from sleap_lab.inference.stopwatch import Stage
from sleap_lab.media.source import Source
from sleap_lab.settings.config import Config, FiltersConfig, OutputConfig, wants_arrays

if TYPE_CHECKING:
    from sleap_lab.pipelines.model import Crops, Graph, Prediction

OUTPUTS_FILE = "outputs.npz"
FRAME_MAPS = {
    "return_confmaps": {"confmaps": "pred_confmaps", "centroid_confmaps": "pred_centroid_confmaps"},
    "return_pafs": {"pafs": "pred_part_affinity_fields"},
    "return_class_maps": {"class_maps": "pred_class_maps"},
}
"""Key of the group `output` -> outputs of whole frames that it adds -> names of their arrays."""
CROP_MAPS = {
    "return_confmaps": ("confmaps", "pred_confmaps"),
    "return_class_vectors": ("class_vectors", "pred_class_vectors"),
}
"""Key -> the output of crops that it adds, and the name of its array."""
CORNERS = ((0, 1, 1, 0), (0, 0, 1, 1))
"""Pixel of a box, first 0 or last 1, that each corner takes x from, and y; clockwise."""


def batch_outputs(
    prediction: "Prediction", filters: FiltersConfig, output: OutputConfig
) -> dict[str, Any]:
    """Return what a pipeline finds in a batch of B frames.

    `docs/network-outputs.md` describes every array.

    Args:
        prediction: Prediction of the batch.
        filters: Instances that these settings drop are left out, with their crops.
        output: Which maps to add.

    Returns:
        Arrays with one row per frame; lists of B arrays for what a frame has any number of. Points
        are (x, y), px of image space.
    """
    rows = kept(prediction.poses, filters)
    poses = prediction.poses[rows]
    frames = [own for *_, own in poses.by_frame()]
    batch: dict[str, Any] = {
        "video_idx": poses.frames[:, 0],
        "frame_idx": poses.frames[:, 1],
        "orig_size": prediction.sizes,
        "eff_scale": prediction.eff,
        "pred_instance_peaks": [poses.points[own] for own in frames],
        "pred_peak_values": [poses.point_scores[own] for own in frames],
        "instance_scores": [poses.instance_scores[own] for own in frames],
    }
    if poses.track_names:
        batch["pred_class_inds"] = [poses.tracks[own] for own in frames]
        batch["class_scores"] = [poses.track_scores[own] for own in frames]
    batch |= _frame_maps(prediction, output)
    if prediction.crops:
        batch |= _of_crops(prediction, prediction.crops, [rows[own] for own in frames], output)
    if output.return_paf_graph and prediction.graphs:
        batch |= _graphs(prediction.graphs)
    return batch


def _frame_maps(prediction: "Prediction", output: OutputConfig) -> dict[str, np.ndarray]:
    """Return the outputs of whole frames that are asked for, with the size of their pixels, px.

    Those of part affinity fields are (B, h, w, channels), all others (B, channels, h, w).
    """
    arrays = {}
    for option, names in FRAME_MAPS.items():
        for name, array_name in names.items():
            if getattr(output, option) and name in prediction.maps:
                array = prediction.maps[name].cpu().numpy()
                arrays[array_name] = array.transpose(0, 2, 3, 1) if name == "pafs" else array
                arrays[f"{array_name}_px"] = prediction.pixel_sizes[name] / prediction.eff
    return arrays


def _of_crops(
    prediction: "Prediction", crops: "Crops", rows: Sequence[np.ndarray], output: OutputConfig
) -> dict[str, Any]:
    """Return centroids, boxes and the asked outputs of the crops of each frame.

    Args:
        prediction: Prediction of the batch.
        crops: Its crops.
        rows: By frame, the crops of the instances that are kept.
        output: Which outputs to add.
    """
    boxes = np.stack([crops.boxes[:, end, axis] for axis, end in enumerate(CORNERS)], axis=-1)
    arrays = {
        "pred_centroids": crops.centroids,
        "centroid_val": crops.scores,
        "instance_bbox": boxes,
    }
    nodes, classes = prediction.poses.skeleton.nodes, prediction.poses.track_names
    empty = {"confmaps": (0, len(nodes), 0, 0), "class_vectors": (0, len(classes))}
    for option, (name, array_name) in CROP_MAPS.items():
        if getattr(output, option) and (name == "confmaps" or classes):
            found = crops.maps.get(name)
            nothing = np.zeros(empty[name], dtype=np.float32)
            arrays[array_name] = nothing if found is None else found.cpu().numpy()
    batch: dict[str, Any] = {name: [array[own] for own in rows] for name, array in arrays.items()}
    if output.return_confmaps:
        batch["pred_confmaps_px"] = prediction.pixel_sizes["confmaps"] / prediction.eff
    return batch


def _graphs(graphs: "tuple[Graph, ...]") -> dict[str, list[np.ndarray]]:
    candidates = [graph.candidates for graph in graphs]
    return {
        "peaks": [graph.points for graph in graphs],
        "peak_vals": [graph.scores for graph in graphs],
        "peak_channel_inds": [graph.nodes for graph in graphs],
        "edge_inds": [edges.edge for edges in candidates],
        "edge_peak_inds": [
            np.stack([edges.source, edges.destination], axis=1) for edges in candidates
        ],
        "line_scores": [edges.scores for edges in candidates],
    }


def detect_to_file(
    source: Source,
    config: Config,
    path: Path,
    *,
    stage: Stage,
    watch: ShowDone,
) -> Inference:
    """Do what `detect` does, and write the network outputs to an `.npz` archive.

    Args:
        source: Opened videos and selected frames.
        config: The experiment.
        path: The archive.
        stage: Context in which the stage of a name runs, for timing.
        watch: Wraps the finished frames, which have no images, for a progress bar.

    Raises:
        RunError: The file cannot be written, or something cannot be read.
    """
    notes: list[str] = []
    with outputs_file(path, source.digest, notes) as add:
        found = detect(
            source,
            config,
            stage=stage,
            watch=watch,
            keep=lambda prediction: add(batch_outputs(prediction, config.filters, config.output)),
            details=True,
        )
    return replace(found, notes=(*found.notes, *notes))


@contextmanager
def outputs_file(
    path: Path, frames: str = NO_FRAMES, notes: list[str] | None = None
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Write an `.npz` archive batch by batch; memory does not grow with the number of frames.

    The arrays of a frame are named `<video>/<frame>/<name>`; `numpy.load` reads each on access.

    Args:
        path: The archive, complete when the context ends and absent when it fails.
        frames: Digest of the frames that it covers.
        notes: Gets a sentence about an earlier file that was kept.

    Yields:
        A function that adds a result of `batch_outputs`.

    Raises:
        RunError: The file cannot be written.
    """
    earlier = replacing_earlier(path, frames, [] if notes is None else notes)
    with earlier as temporary, zipfile.ZipFile(temporary, "w") as archive:

        def add(batch: dict[str, Any]) -> None:
            for b, (video, frame) in enumerate(
                zip(batch["video_idx"].tolist(), batch["frame_idx"].tolist(), strict=True)
            ):
                for name, values in batch.items():
                    if name not in ("video_idx", "frame_idx"):
                        with archive.open(
                            f"{video}/{frame}/{name}.npy", "w", force_zip64=True
                        ) as file:
                            np.lib.format.write_array(
                                file, np.asarray(values[b]), allow_pickle=False
                            )

        yield add


def arrays_file(config: Config, folder: Path) -> Path | None:
    """Return the file for the network outputs; None if they are not requested."""
    if not wants_arrays(config.output):
        return None
    chosen = None if config.output.make_labels else config.output.path
    return Path(chosen) if chosen is not None else folder / OUTPUTS_FILE

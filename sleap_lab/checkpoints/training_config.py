"""The parts of a model folder's `training_config.yaml` that inference needs.

Nothing else is required. The config of SLEAP 1.4 and older, `training_config.json`, is read by
`legacy_config` into the same record.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from sleap_lab.errors import ConfigError, RunError, brief, one_line
from sleap_lab.files.safe_load import read_yaml
from sleap_lab.networks.heads import HEAD_LAYERS
from sleap_lab.poses.record import Skeleton

CONFIG_NAME = "training_config.yaml"
LEGACY_CONFIG_NAME = "training_config.json"
EXPORT_NAME = "model.onnx"
REQUIRED = {
    "confmaps": ("part_names", "output_stride"),
    "pafs": ("edges", "output_stride"),
    "class_maps": ("classes", "output_stride"),
    "class_vectors": ("classes",),
}
"""Head -> keys that inference needs; those of centroids need no part_names."""
MAX_NUMBER = 1e308
"""Largest Python number that counts as finite; larger integers do not fit into a float."""
CROP_KINDS = ("centered_instance", "multi_class_topdown")
"""Model kinds whose networks take crops."""
CROPS_UNSCALED_SINCE = Version("0.1.0")
"""First version of SLEAP-NN that cuts crops before it scales images, not after."""


TILED_KINDS = ("single_instance", "bottomup")
"""Model kinds whose images are predicted in tiles where training used tiles."""
BLENDS = ("gaussian", "constant")


@dataclass(frozen=True)
class Tiling:
    """Square tiles in which a model sees images.

    Attributes:
        size: Side of the tiles, px of the scaled image.
        overlap: By how much neighbours overlap, px; a multiple of the network's largest stride.
        blend: Weights where tiles overlap: `gaussian` or `constant`.
        sigma_scale: Sigma of the Gaussian as a share of the side.
    """

    size: int
    overlap: int
    blend: str = "gaussian"
    sigma_scale: float = 0.125


@dataclass(frozen=True)
class TrainingConfig:
    """One model: its kind, how its images are prepared, and how its maps are read.

    Attributes:
        folder: Model folder.
        kind: Model kind, a key of `HEAD_LAYERS`.
        raw: The whole file, as the network builder reads it.
        skeleton: Output skeleton; channel i is its node i.
        heads: Head sections by name: confmaps, pafs, class_maps, class_vectors, and offsets where a
            legacy model has them.
        max_stride: Images are padded to multiples of this.
        scale: Factor applied to images (or crops) before the network.
        max_height: Height that images are resized and padded to, px; None keeps their height.
        max_width: Width likewise.
        ensure_rgb: Images are turned into three channels.
        ensure_grayscale: Images are turned into one channel.
        crop_size: Side of the crop around each animal, px of the size-matched image; None for
            models without crops.
        legacy: Whether SLEAP 1.4 or older trained the model, so that its weights are those of a
            Keras model.
        exported: Beginning of the names of its weights in the `model.onnx` of an exported model;
            empty for a model with a checkpoint.
        tiling: Tiles in which it sees images; None where it sees them whole.
    """

    folder: Path
    kind: str
    raw: Mapping[str, Any]
    skeleton: Skeleton
    heads: Mapping[str, Mapping[str, Any]]
    max_stride: int
    scale: float
    max_height: int | None
    max_width: int | None
    ensure_rgb: bool
    ensure_grayscale: bool
    crop_size: int | None
    legacy: bool = False
    exported: str = ""
    tiling: Tiling | None = None

    @property
    def image_stride(self) -> int:
        """Images are padded to multiples of this, px; tiles need no more than whole map pixels."""
        if self.tiling is None:
            return self.max_stride
        return max(int(head["output_stride"]) for head in self.heads.values())

    def stride(self, head: str) -> int:
        """Return the output stride of a head."""
        return int(self.heads[head]["output_stride"])

    @property
    def version(self) -> Version | None:
        """Version of SLEAP-NN that trained the model; None where the config names none."""
        return _version(self.raw)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names of a multi-class model, in channel order; empty for other kinds."""
        head = self.heads.get("class_maps") or self.heads.get("class_vectors") or {}
        return tuple(str(name) for name in head.get("classes") or ())


def model_folder(path: str | Path) -> Path:
    """Return the model folder of a path to it or to a file in it.

    Raises:
        ConfigError: There is no such path, or the folder holds no training config.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        raise ConfigError(f"model.paths: no such model folder: {path}")
    if not any(
        (folder / name).is_file() for name in (CONFIG_NAME, LEGACY_CONFIG_NAME, EXPORT_NAME)
    ):
        raise ConfigError(
            f"model.paths: {folder} is not a model folder: "
            f"it holds no {CONFIG_NAME} (or {LEGACY_CONFIG_NAME}, or {EXPORT_NAME})"
        )
    return folder


def read_yaml_config(folder: Path, name: str = CONFIG_NAME) -> TrainingConfig:
    """Read the `training_config.yaml` of a model folder, or a file of another name in it.

    Raises:
        RunError: The config is broken or lacks something that inference needs.
    """
    file = folder / name
    raw = read_raw(file, read_yaml, "YAML")
    kind, heads = _chosen(raw, "model_config.head_configs", file)
    if kind not in HEAD_LAYERS:
        raise RunError(
            f"{file}: model kind {brief(kind)} is not supported; accepted: {', '.join(HEAD_LAYERS)}"
        )
    backbone_kind, backbone = _chosen(raw, "model_config.backbone_config", file)
    preprocessing = find_section(raw, "data_config.preprocessing", file)
    skeleton = _skeleton(raw, file)
    check_heads(
        heads,
        kind,
        len(skeleton.nodes),
        lambda head: f"{file}: model_config.head_configs.{kind}.{head}",
    )
    image = f"{file}: data_config.preprocessing"
    max_stride = positive_whole(
        backbone, "max_stride", f"{file}: model_config.backbone_config.{backbone_kind}"
    ) or (16 if backbone_kind == "unet" else 32)
    tiling = _tiling(preprocessing, max_stride, f"{image}.tiling") if kind in TILED_KINDS else None
    # Tiles of the only animal are cut from the image as it is.
    sizes = {} if tiling is not None and kind == "single_instance" else preprocessing
    return TrainingConfig(
        folder=folder,
        kind=kind,
        raw=raw,
        skeleton=skeleton,
        heads={head: heads[head] for head in HEAD_LAYERS[kind]},
        max_stride=max_stride,
        scale=positive_number(preprocessing, "scale", image) or 1.0,
        max_height=positive_whole(sizes, "max_height", image),
        max_width=positive_whole(sizes, "max_width", image),
        tiling=tiling,
        ensure_rgb=bool(preprocessing.get("ensure_rgb")),
        ensure_grayscale=bool(preprocessing.get("ensure_grayscale")),
        crop_size=_crop_size(preprocessing, _version(raw), image) if kind in CROP_KINDS else None,
    )


def _tiling(preprocessing: Mapping[str, Any], max_stride: int, where: str) -> Tiling | None:
    """Return the tiles of a config, None where it has none.

    Tiles overlap by at least a share of their size, rounded up to whole strides of the network.

    Raises:
        RunError: A value is none that tiles can have.
    """
    section = preprocessing.get("tiling")
    if not isinstance(section, dict) or not section.get("enabled"):
        return None
    size = positive_whole(section, "tile_size", where)
    if size is None or size % max_stride:
        raise RunError(
            f"{where}.tile_size: got {brief(section.get('tile_size'))}; "
            f"accepted: a multiple of the network's largest stride, {max_stride}"
        )
    share = positive_number(section, "min_overlap_fraction", where) or 0
    # An overlap of 0, which `positive_number` refuses, is none.
    wanted = (positive_number(section, "overlap", where) or 0) if section.get("overlap") else 0
    overlap = math.ceil(max(wanted, share * size) / max_stride) * max_stride
    if overlap >= size:
        raise RunError(f"{where}.overlap: got {overlap} px; accepted: less than a tile, {size} px")
    blend = section.get("blend", BLENDS[0])
    if blend not in BLENDS:
        raise RunError(f"{where}.blend: got {brief(blend)}; accepted: {', '.join(BLENDS)}")
    sigma_scale = positive_number(section, "sigma_scale", where) or Tiling.sigma_scale
    return Tiling(size, overlap, blend, sigma_scale)


def read_raw(file: Path, read: Callable[[Path], Any], file_format: str) -> dict[str, Any]:
    """Read a whole training config.

    Args:
        file: The file.
        read: Reads a file of this format.
        file_format: Name of the format.

    Raises:
        RunError: The file cannot be read, or holds no sections.
    """
    try:
        raw = read(file)
    except (OSError, ValueError) as error:
        raise RunError(f"{file}: not a readable {file_format} file ({one_line(error)})") from error
    if not isinstance(raw, dict):
        raise RunError(f"{file}: not a training config, but a {type(raw).__name__}")
    return raw


def _version(raw: Mapping[str, Any]) -> Version | None:
    try:
        return Version(str(raw.get("sleap_nn_version")))
    except InvalidVersion:
        return None


def _crop_size(preprocessing: Mapping[str, Any], version: Version | None, where: str) -> int | None:
    """Return the side of crops in px of the size-matched image, None where it is absent or null.

    Version 0.0.1 writes height and width as `crop_hw`. Versions before 0.1.0 cut crops from the
    scaled image, and give the side in its px.
    """
    size = positive_whole(preprocessing, "crop_size", where)
    if size is None and (sides := preprocessing.get("crop_hw")) is not None:
        if not isinstance(sides, list) or len(sides) != 2:
            raise RunError(
                f"{where}.crop_hw: got {brief(sides)}; accepted: a list of height and width"
            )
        lengths = [positive_whole({"crop_hw": side}, "crop_hw", where) for side in sides]
        size = max((length for length in lengths if length is not None), default=None)
    scale = positive_number(preprocessing, "scale", where) or 1.0
    return (
        math.ceil(size / scale)
        if size is not None and version is not None and version < CROPS_UNSCALED_SINCE
        else size
    )


def check_heads(
    heads: Mapping[str, Any], kind: str, n_nodes: int, where: Callable[[str], str]
) -> None:
    """Refuse heads that lack something, or that do not fit the skeleton.

    Args:
        heads: Head sections by name.
        kind: Model kind.
        n_nodes: Number of nodes of the skeleton.
        where: Returns where the section of a head is, its file included.

    Raises:
        RunError: A head does not fit; the message names the key, its value and the accepted values.
    """
    for head in HEAD_LAYERS[kind]:
        section_name = where(head)
        found = heads.get(head)
        section = found if isinstance(found, dict) else {}
        for name in REQUIRED[head]:
            if kind == "centroid" and name == "part_names":
                continue
            value = section.get(name)
            if not value:
                raise RunError(f"{section_name}.{name} is missing")
            if name == "output_stride":
                positive_whole(section, name, section_name)
            elif not isinstance(value, list):
                raise RunError(f"{section_name}.{name}: got {brief(value)}; accepted: a list")
        if head == "confmaps" and kind != "centroid" and len(section["part_names"]) != n_nodes:
            raise RunError(
                f"{section_name}.part_names has {len(section['part_names'])} entries, "
                f"the skeleton {n_nodes} nodes"
            )
        if head == "pafs":
            names, edges = [str(name) for name in heads["confmaps"]["part_names"]], section["edges"]
            if not all(
                isinstance(edge, list)
                and len(edge) == 2
                and {str(end) for end in edge} <= set(names)
                for edge in edges
            ):
                raise RunError(
                    f"{section_name}.edges: got {brief(edges)}; "
                    f"accepted: pairs of part_names {', '.join(names)}"
                )


def positive_number(
    section: Mapping[str, Any], name: str, where: str, *, accepted: str = "a number above 0"
) -> float | None:
    """Return a positive number of a section, None where it is absent or null.

    Raises:
        RunError: It is something else; `where` names the section, its file included.
    """
    value = section.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < MAX_NUMBER:
        raise RunError(f"{where}.{name}: got {brief(value)}; accepted: {accepted}")
    return float(value)


def positive_whole(section: Mapping[str, Any], name: str, where: str) -> int | None:
    """Return a positive whole number of a section, None where it is absent or null.

    Raises:
        RunError: It is something else; `where` names the section, its file included.
    """
    accepted = "a whole number above 0"
    value = positive_number(section, name, where, accepted=accepted)
    if value is not None and not value.is_integer():
        raise RunError(f"{where}.{name}: got {brief(value)}; accepted: {accepted}")
    return None if value is None else int(value)


def find_section(raw: Any, name: str, file: Path) -> dict[str, Any]:
    """Return a section by its dotted name.

    Raises:
        RunError: There is no such section.
    """
    for part in name.split("."):
        raw = raw.get(part) if isinstance(raw, dict) else None
    if not isinstance(raw, dict):
        raise RunError(f"{file}: section {name} is missing")
    return raw


def _chosen(raw: dict[str, Any], name: str, file: Path) -> tuple[str, dict[str, Any]]:
    """Return the one option of a section that is not null."""
    for option, section in find_section(raw, name, file).items():
        if isinstance(section, dict):
            return option, section
    raise RunError(f"{file}: {name} chooses nothing")


def _skeleton(raw: dict[str, Any], file: Path) -> Skeleton:
    try:
        skeleton = find_section(raw, "data_config", file)["skeletons"][0]
        nodes = tuple(str(node["name"]) for node in skeleton["nodes"])

        def pairs(name: str) -> tuple[tuple[int, int], ...]:
            ends = [_pair(item) for item in skeleton.get(name) or ()]
            return tuple((nodes.index(a), nodes.index(b)) for a, b in ends)

        return Skeleton(
            nodes=nodes,
            edges=pairs("edges"),
            symmetries=pairs("symmetries"),
            name=str(skeleton.get("name") or "skeleton"),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise RunError(
            f"{file}: data_config.skeletons does not describe a skeleton ({error!r})"
        ) from error


def _pair(item: Any) -> tuple[str, str]:
    """Return both node names of an edge {source, destination} or a symmetry [{name}, {name}]."""
    ends = list(item.values()) if isinstance(item, dict) else list(item)
    if isinstance(item, dict) and "source" in item:
        ends = [item["source"], item["destination"]]
    first, second = (end["name"] if isinstance(end, dict) else end for end in ends)
    return str(first), str(second)

"""What a model folder's `training_config.yaml` says that inference needs; nothing else is required."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.networks.heads import HEAD_LAYERS
from sleap_lab.poses import Skeleton

CONFIG_NAME = "training_config.yaml"


@dataclass(frozen=True)
class TrainingConfig:
    """One model: its kind, how its images are prepared, and how its maps are read.

    Attributes:
        folder: Model folder.
        kind: Model kind, a key of `HEAD_LAYERS`.
        raw: The whole file, as the network builder reads it.
        skeleton: Output skeleton; channel i is its node i.
        heads: Head sections by name: confmaps, pafs, class_maps, class_vectors.
        max_stride: Images are padded to multiples of this.
        scale: Factor applied to images (or crops) before the network.
        max_height: Height that images are resized and padded to, px; None leaves them.
        max_width: Width likewise.
        ensure_rgb: Images are turned into three channels.
        ensure_grayscale: Images are turned into one channel.
        crop_size: Side of crops around each animal, px of the size-matched image; None where the model uses none.
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

    def stride(self, head: str) -> int:
        """Return the output stride of a head."""
        return int(self.heads[head]["output_stride"])

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
    if not (folder / CONFIG_NAME).is_file():
        raise ConfigError(f"model.paths: {folder} is not a model folder: it holds no {CONFIG_NAME}")
    return folder


def read_training_config(path: str | Path) -> TrainingConfig:
    """Read the training config of a model folder, given the folder or any file in it.

    Raises:
        ConfigError: The folder is missing or holds no training config.
        RunError: The config is broken or lacks something that inference needs.
    """
    folder = model_folder(path)
    file = folder / CONFIG_NAME
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise RunError(f"{file}: not a readable YAML file ({' '.join(str(error).split())})") from error
    if not isinstance(raw, dict):
        raise RunError(f"{file}: not a training config, but a {type(raw).__name__}")
    kind, heads = _chosen(raw, "model_config.head_configs", file)
    if kind not in HEAD_LAYERS:
        raise RunError(f"{file}: model kind {kind!r} is not supported; accepted: {', '.join(HEAD_LAYERS)}")
    _, backbone = _chosen(raw, "model_config.backbone_config", file)
    for head in HEAD_LAYERS[kind]:
        required = {"pafs": "edges", "class_maps": "classes", "class_vectors": "classes"}.get(
            head, "part_names" if kind != "centroid" else "output_stride"
        )
        if not (heads.get(head) or {}).get(required):
            raise RunError(f"{file}: model_config.head_configs.{kind}.{head}.{required} is missing")
    preprocessing = _section(raw, "data_config.preprocessing", file)
    return TrainingConfig(
        folder=folder,
        kind=kind,
        raw=raw,
        skeleton=_skeleton(raw, file),
        heads={head: heads[head] for head in HEAD_LAYERS[kind]},
        max_stride=int(backbone.get("max_stride") or 16),
        scale=float(preprocessing.get("scale") or 1.0),
        max_height=preprocessing.get("max_height"),
        max_width=preprocessing.get("max_width"),
        ensure_rgb=bool(preprocessing.get("ensure_rgb")),
        ensure_grayscale=bool(preprocessing.get("ensure_grayscale")),
        crop_size=preprocessing.get("crop_size"),
    )


def _section(raw: Any, name: str, file: Path) -> dict[str, Any]:
    for part in name.split("."):
        raw = raw.get(part) if isinstance(raw, dict) else None
    if not isinstance(raw, dict):
        raise RunError(f"{file}: section {name} is missing")
    return raw


def _chosen(raw: dict[str, Any], name: str, file: Path) -> tuple[str, dict[str, Any]]:
    """Return the one option of a section that is not null."""
    for option, section in _section(raw, name, file).items():
        if isinstance(section, dict):
            return option, section
    raise RunError(f"{file}: {name} chooses nothing")


def _skeleton(raw: dict[str, Any], file: Path) -> Skeleton:
    try:
        skeleton = _section(raw, "data_config", file)["skeletons"][0]
        nodes = tuple(str(node["name"]) for node in skeleton["nodes"])

        def pairs(name: str) -> tuple[tuple[int, int], ...]:
            ends = [_pair(item) for item in skeleton.get(name) or ()]
            return tuple((nodes.index(a), nodes.index(b)) for a, b in ends)

        return Skeleton(nodes=nodes, edges=pairs("edges"), symmetries=pairs("symmetries"), name=str(skeleton.get("name") or "skeleton"))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise RunError(f"{file}: data_config.skeletons does not describe a skeleton ({error!r})") from error


def _pair(item: Any) -> tuple[str, str]:
    """Return the two node names of an edge {source, destination} or of a symmetry [{name}, {name}]."""
    ends = list(item.values()) if isinstance(item, dict) else list(item)
    if isinstance(item, dict) and "source" in item:
        ends = [item["source"], item["destination"]]
    first, second = (end["name"] if isinstance(end, dict) else end for end in ends)
    return str(first), str(second)

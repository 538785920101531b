import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

from sleap_lab.checkpoints.training_config import Tiling
from sleap_lab.media.source import Frame
from sleap_lab.networks.preprocess import ImageSpec
from sleap_lab.pipelines.accelerator import Accelerator, _in_one_piece
from sleap_lab.pipelines.engine import _predict, predict
from sleap_lab.pipelines.model import Prediction
from sleap_lab.pipelines.pipeline import Pipeline, assemble
from sleap_lab.pipelines.plan import make_plan
from sleap_lab.pipelines.tiling import tiled
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import ModelConfig, PreprocessingConfig

CPU = torch.device("cpu")


def test_tensors_come_back_as_they_were_in_one_copy():
    samples, points = torch.tensor([0, 7, 2**23 + 1]), torch.rand(3, 4, 2)
    nothing, values = torch.zeros(3, 0), torch.tensor([1.5, torch.nan, -torch.inf])
    back = _in_one_piece(samples, points, nothing, values)
    for found, sent in zip(back, (samples, points, nothing, values), strict=True):
        assert found.dtype == sent.dtype
        assert torch.equal(found.nan_to_num(9), sent.nan_to_num(9))


def test_nothing_comes_back_as_nothing():
    samples, points = _in_one_piece(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3, 2))
    assert (samples.shape, points.shape) == ((0,), (0, 3, 2))


def test_images_arrive_as_they_are():
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)[:, ::-1]
    there = Accelerator(CPU).upload(*images)
    assert there.dtype == torch.uint8
    np.testing.assert_array_equal(there.numpy(), images)


def test_only_devices_with_queues_of_their_own_have_several_workers():
    assert Accelerator(torch.device("cuda")).workers == 3
    assert Accelerator(torch.device("mps")).workers == 1


class Slow(Accelerator):
    """A device whose first batch is done only when the next two have arrived."""

    def __init__(self):
        super().__init__(CPU)
        self.arrived = threading.Semaphore(0)

    def wait(self):
        assert self.arrived.acquire(timeout=60)
        assert self.arrived.acquire(timeout=60)


def test_while_one_batch_is_on_the_device_the_next_ones_are_prepared():
    device, skeleton = Slow(), Skeleton(("a",))

    def find(batch):
        if batch.where[0, 1] == 0:
            device.wait()
        else:
            device.arrived.release()
        points = batch.images.float().mean(dim=(1, 2, 3)).numpy()[:, None, None].repeat(2, axis=2)
        poses = make_poses(skeleton, points, video=0, frame=batch.where[:, 1], frames=batch.where)
        return Prediction(poses, {})

    pipeline = Pipeline(
        "single_instance", skeleton, (), ImageSpec(), find, CPU, 1.0, accelerator=device
    )
    frames = [Frame(0, i, np.full((4, 6, 1), i, dtype=np.uint8)) for i in range(20)]
    found = list(predict(frames, pipeline, batch_size=4))
    assert [p.poses.frames[:, 1].tolist() for p in found] == [
        list(range(i, i + 4)) for i in range(0, 20, 4)
    ]
    assert [p.poses.points[:, 0, 0].tolist() for p in found] == [
        list(range(i, i + 4)) for i in range(0, 20, 4)
    ]


# ---- what waits for a device

DEVICE, PROCESSOR = torch.device("cuda"), torch.device("cpu")
NEEDED_AT_ONCE = ("item", "numpy", "tolist", "__array__", "__bool__", "__float__", "__int__")
OF_UNKNOWN_LENGTH = ("argwhere", "bincount", "masked_select", "nonzero", "repeat_interleave")
WAITS = (*NEEDED_AT_ONCE, *OF_UNKNOWN_LENGTH, "unique", "unique_consecutive", "__index__")
"""Functions whose result, or the number of whose results, is needed at once."""
INDEXING = ("__getitem__", "__setitem__")


class OnDevice(Tensor):
    """A tensor that would lie on the device."""

    @property
    def device(self) -> torch.device:
        """Return the imagined device."""
        return DEVICE


class Imagined(TorchFunctionMode):
    """Within this context tensors that are made on the device, or from some of it, are `OnDevice`.

    Attributes:
        waits: How often each operation made the processor wait.
    """

    def __init__(self) -> None:
        """Start without any wait."""
        super().__init__()
        self.waits: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function, count it if it waits, and mark its result."""
        name = resolve_name(func) or str(func)
        name = name.removesuffix(".__get__").rpartition(".")[2]
        every = list(_tensors((args, kwargs)))
        there = [one for one in every if isinstance(one, OnDevice)]
        for one in every:
            if there and not isinstance(one, OnDevice) and one.ndim and name not in INDEXING:
                raise AssertionError(f"{name} mixes tensors of the device and of the processor")
        asked = [*args, *(kwargs or {}).values()]
        to = next((one for one in asked if isinstance(one, torch.device)), None)
        with torch._C.DisableTorchFunctionSubclass():
            result = func(
                *(PROCESSOR if isinstance(one, torch.device) else one for one in args),
                **{k: PROCESSOR if k == "device" else v for k, v in (kwargs or {}).items()},
            )
        copied = name == "cpu" if there else name in ("to", "tensor") and to == DEVICE
        if copied or (there and (name in WAITS or (name in INDEXING and _has_mask(args[1])))):
            self.waits[name] += 1
        return _marked(result, name != "cpu" and (bool(there) or to == DEVICE))


def _tensors(values: Any) -> Any:
    """Yield the tensors in nested tuples, lists and dictionaries."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _tensors(value)


def _has_mask(index: Any) -> bool:
    return any(one.dtype == torch.bool for one in _tensors([index]))


def _marked(result: Any, there: bool) -> Any:
    """Return a result as tensors of the device or of the processor."""
    if isinstance(result, Tensor):
        return result.as_subclass(OnDevice if there else Tensor)
    if isinstance(result, (tuple, list)) and any(isinstance(one, Tensor) for one in result):
        marked = [_marked(one, there) for one in result]
        return type(result)(marked)
    return result


class ImaginedAccelerator(Accelerator):
    """Takes arrays to the imagined device without a wait, as CUDA does."""

    def upload(self, *arrays):
        return super().upload(*arrays).as_subclass(OnDevice)


SIDE, AB = 48, ("a", "b")
TRUTH = make_poses(
    Skeleton(AB), [[[20, 10], [30, 12]], [[10, 30], [18, 34]]] * 2, frame=np.repeat([0, 1], 2)
)
HEADS = {
    "single_instance": {"confmaps": 2},
    "centroid": {"confmaps": 1},
    "centered_instance": {"confmaps": 2},
    "bottomup": {"confmaps": 2, "pafs": 2},
    "multi_class_bottomup": {"confmaps": 2, "class_maps": 2},
    "multi_class_topdown": {"confmaps": 2, "class_vectors": 2},
}
"""Kind of the model -> channels by head."""


def spots(kind, side):
    """Maps of a model that sees a square image: two spots for each node, or one."""
    grid = torch.arange(side // 2)
    several = kind in ("centroid", "bottomup", "multi_class_bottomup")
    rows, columns = ((7, 15) if several else (side // 4,)), (side // 4, side // 4 + 4)
    down = torch.stack([torch.exp(-((grid - y - 0.2) ** 2) / 2) for y in rows]).amax(dim=0)
    across = [torch.exp(-((grid - x - 0.3) ** 2) / 2) for x in columns]
    maps = {"confmaps": torch.stack([down[:, None] * one for one in across])}
    maps["pafs"] = torch.stack(
        (torch.ones(side // 2, side // 2), torch.zeros(len(grid), len(grid)))
    )
    maps["class_maps"] = torch.stack(
        (
            (grid < 11).float()[:, None].expand(-1, len(grid)),
            (grid > 11)[:, None] * torch.ones(len(grid)),
        )
    )
    maps["class_vectors"] = torch.tensor([0.8, 0.2])
    return {name: maps[name][:n] for name, n in HEADS[kind].items()}


def pipeline_of(fake, kinds, *, channels, scale=1.0, device=None, tiles=None):
    """Return a pipeline of models whose networks draw spots, on a device or on the processor."""

    def model(kind):
        crop_size = 24 if kind in ("centered_instance", "multi_class_topdown") else None

        def network(images):
            assert images.shape[1] == channels
            drawn = spots(kind, images.shape[-1])
            if device is not None:
                drawn = {name: one.as_subclass(OnDevice) for name, one in drawn.items()}
            return {name: one.expand(len(images), *one.shape) for name, one in drawn.items()}

        classes = ("x", "y") if kind.startswith("multi_class") else ()
        made = fake(
            kind,
            network if tiles is None else tiled(network, tiles),
            edges=[AB],
            classes=classes,
            stride=2,
            scale=1.0 if crop_size else scale,
            crop_size=crop_size,
        )
        return replace(made, accelerator=device)

    models = {kind: model(kind) for kind in kinds}
    preprocessing = PreprocessingConfig(max_height=SIDE, max_width=SIDE)
    kind = "topdown" if set(kinds) == {"centroid", "centered_instance"} else kinds[-1]
    plan = make_plan(
        kind,
        {name: one.config for name, one in models.items()},
        Skeleton(AB),
        ModelConfig(integral_refinement="integral"),
        preprocessing,
        None if "centroid" in kinds else TRUTH,
    )
    return assemble(plan, models, preprocessing)


def waits_of(pipeline, frames):
    """Return the poses of a batch that is not the first, and how often the processor waits."""
    with Imagined() as seen:
        _predict(frames, pipeline, {})
        seen.waits.clear()
        return _predict(frames, pipeline, {}).poses, dict(seen.waits)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize(
    ("kinds", "waits"),
    [
        (["single_instance"], {"cpu": 1}),
        (["centroid"], {"nonzero": 2, "cpu": 1}),
        (["centered_instance"], {"cpu": 1}),
        (["centroid", "centered_instance"], {"nonzero": 2, "cpu": 2}),
        (["bottomup"], {"nonzero": 2, "cpu": 2}),
        (["multi_class_bottomup"], {"nonzero": 2, "cpu": 1}),
        (["centroid", "multi_class_topdown"], {"nonzero": 2, "cpu": 2}),
    ],
)
def test_few_operations_wait_for_the_device(fake, kinds, waits, scale, channels):
    """Peaks are counted, so are those with equal neighbours; results come in one piece."""
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 60, channels), dtype=np.uint8)
    frames = [Frame(0, i, image) for i, image in enumerate(images)]
    options = {"channels": channels, "scale": scale}
    device = ImaginedAccelerator(CPU)
    found, counted = waits_of(pipeline_of(fake, kinds, device=device, **options), frames)
    assert counted == waits
    expected = _predict(frames, pipeline_of(fake, kinds, **options), {}).poses
    assert len(expected) > 0
    for name in ("frames", "frame", "points", "point_scores", "instance_scores", "tracks"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_tiles_wait_no_more_than_whole_images(fake):
    frames = [Frame(0, 0, np.zeros((SIDE, SIDE, 1), dtype=np.uint8))]
    options = {"channels": 1, "device": ImaginedAccelerator(CPU), "tiles": Tiling(32, 16)}
    _, counted = waits_of(pipeline_of(fake, ["single_instance"], **options), frames)
    assert counted == {"cpu": 1}


def test_the_imagined_device_sees_what_waits_and_what_mixes():
    with Imagined() as seen:
        there = torch.arange(5, device=DEVICE)
        assert (len(there[there > 2]), int(there.sum()), bool(there.any())) == (2, 10, True)
        torch.zeros(3).to(DEVICE)
        assert isinstance(there.max(dim=0).values, OnDevice)
        assert not isinstance(there.cpu(), OnDevice)
        with pytest.raises(AssertionError, match="add mixes tensors"):
            there + torch.zeros(5)
    assert seen.waits == {"__getitem__": 1, "__int__": 1, "__bool__": 1, "to": 1, "cpu": 1}

import threading

import numpy as np
import torch

from sleap_lab.media.source import Frame
from sleap_lab.networks.preprocess import ImageSpec
from sleap_lab.pipelines.accelerator import Accelerator, on_host
from sleap_lab.pipelines.engine import predict
from sleap_lab.pipelines.model import Prediction
from sleap_lab.pipelines.pipeline import Pipeline
from sleap_lab.poses.record import Skeleton, make_poses

CPU = torch.device("cpu")


def test_tensors_come_back_as_they_were_in_one_copy():
    samples, points = torch.tensor([0, 7, 2**23 + 1]), torch.rand(3, 4, 2)
    nothing, values = torch.zeros(3, 0), torch.tensor([1.5, torch.nan, -torch.inf])
    back = on_host(samples, points, nothing, values)
    for found, sent in zip(back, (samples, points, nothing, values), strict=True):
        assert found.dtype == sent.dtype
        assert torch.equal(found.nan_to_num(9), sent.nan_to_num(9))


def test_nothing_comes_back_as_nothing():
    samples, points = on_host(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3, 2))
    assert (samples.shape, points.shape) == ((0,), (0, 3, 2))


def test_images_arrive_as_they_are():
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)
    np.testing.assert_array_equal(Accelerator(CPU).upload(images).numpy(), images)


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

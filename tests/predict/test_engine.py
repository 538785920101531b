import numpy as np
import pytest
import torch

from sleap_lab.poses import Skeleton, concatenate, make_poses
from sleap_lab.predict.engine import predict
from sleap_lab.predict.model import Prediction
from sleap_lab.predict.pipeline import Pipeline
from sleap_lab.preprocess import ImageSpec
from sleap_lab.sources import Frame

AB = Skeleton(("a", "b"))


@pytest.fixture
def pipeline():
    """A pipeline that finds one instance per frame, whose first node stands at (brightness, factor of the frame)."""
    seen = []

    def find(batch):
        seen.append(batch)
        points = np.zeros((len(batch.where), 2, 2))
        points[:, 0, 0], points[:, 0, 1] = batch.images.float().mean(dim=(1, 2, 3)).numpy(), batch.eff
        poses = make_poses(AB, points, video=batch.where[:, 0], frame=batch.where[:, 1], track_names=["x"], frames=batch.where)
        return Prediction(poses, {"confmaps": batch.images})

    pipeline = Pipeline("single_instance", AB, ("x",), ImageSpec(), find, torch.device("cpu"))
    return pipeline, seen


def frame(index, brightness=None, size=(4, 6, 1), video=0):
    image = None if brightness is None else np.full(size, brightness, dtype=np.uint8)
    return Frame(video, index, image, "" if image is not None else "broken")


@pytest.mark.parametrize(("batch_size", "sizes"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (5, [5]), (8, [5])])
def test_frames_go_in_order_batch_by_batch(pipeline, batch_size, sizes):
    pipeline, seen = pipeline
    poses = concatenate([p.poses for p in predict((frame(10 + i, 2 * i) for i in range(5)), pipeline, batch_size=batch_size)])
    assert [len(batch.where) for batch in seen] == sizes
    assert [tuple(batch.images.shape[1:]) for batch in seen] == [(1, 4, 6)] * len(sizes)
    assert poses.frames.tolist() == [[0, 10 + i] for i in range(5)]
    assert poses.points[:, 0].tolist() == [[2 * i, 1] for i in range(5)]


def test_frames_of_other_sizes_start_a_batch(pipeline):
    pipeline, seen = pipeline
    sizes = [(4, 6, 1), (4, 6, 1), (4, 8, 1), (4, 8, 3), (4, 6, 1)]
    poses = concatenate([p.poses for p in predict((frame(i, i, size) for i, size in enumerate(sizes)), pipeline, batch_size=4)])
    assert [len(batch.where) for batch in seen] == [2, 1, 1, 1]
    assert poses.frames[:, 1].tolist() == [0, 1, 2, 3, 4]
    assert poses.points[:, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_frames_that_are_matched_to_one_size_share_a_batch(pipeline):
    pipeline, seen = pipeline
    pipeline = Pipeline("single_instance", AB, ("x",), ImageSpec(max_height=8, max_width=8), pipeline.predict, pipeline.device)
    list(predict([frame(0, 50, (8, 8, 1)), frame(1, 50, (4, 4, 1)), frame(2, 50, (16, 8, 1))], pipeline, batch_size=4))
    (batch,) = seen
    assert batch.images.shape == (3, 1, 8, 8)
    assert batch.eff.tolist() == [1.0, 8 / 4, 8 / 16]


def test_unreadable_frames_are_empty_and_stay_in_order(pipeline):
    pipeline, seen = pipeline
    frames = [frame(0), frame(1, 10), frame(2), frame(3, 30), frame(4, 40)]
    predictions = list(predict(frames, pipeline, batch_size=4))
    poses = concatenate([p.poses for p in predictions])
    assert poses.frames[:, 1].tolist() == [0, 1, 2, 3, 4]
    assert poses.frame.tolist() == [1, 3, 4]
    assert [len(batch.where) for batch in seen] == [1, 2]
    assert [list(p.maps) for p in predictions] == [[], ["confmaps"], [], ["confmaps"]]


def test_frames_know_their_video(pipeline):
    pipeline, _ = pipeline
    poses = concatenate([p.poses for p in predict([frame(5, 1, video=1), frame(5, 2, video=0)], pipeline, batch_size=4)])
    assert list(zip(poses.video.tolist(), poses.points[:, 0, 0].tolist(), strict=True)) == [(1, 1), (0, 2)]


def test_a_batch_is_handed_on_before_the_next_frame_is_read(pipeline):
    pipeline, _ = pipeline
    read = []
    frames = (read.append(i) or frame(i, i) for i in range(6))
    predictions = predict(frames, pipeline, batch_size=2)
    next(predictions)
    assert read == [0, 1]
    next(predictions)
    assert read == [0, 1, 2, 3]


def test_batches_keep_what_they_were_given(pipeline):
    pipeline, seen = pipeline
    list(predict((frame(i, i) for i in range(4)), pipeline, batch_size=2))
    assert [batch.where[:, 1].tolist() for batch in seen] == [[0, 1], [2, 3]]
    assert [batch.images[:, 0, 0, 0].tolist() for batch in seen] == [[0, 1], [2, 3]]


def test_no_frames(pipeline):
    pipeline, seen = pipeline
    assert list(predict([], pipeline, batch_size=2)) == []
    assert seen == []

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from sleap_lab.decode.paf import Candidates
from sleap_lab.errors import RunError
from sleap_lab.media.source import Frame
from sleap_lab.networks.preprocess import ImageSpec
from sleap_lab.pipelines.accelerator import Accelerator
from sleap_lab.pipelines.engine import predict
from sleap_lab.pipelines.model import Crops, Graph, Prediction
from sleap_lab.pipelines.pipeline import Pipeline
from sleap_lab.poses.record import Skeleton, concatenate, make_poses

AB = Skeleton(("a", "b"))


@pytest.fixture
def pipeline():
    """A pipeline that finds one instance per frame.

    Its first node is at (brightness, factor of the frame).
    """
    seen = []

    def find(batch):
        seen.append(batch)
        points = np.zeros((len(batch.where), 2, 2))
        points[:, 0, 0], points[:, 0, 1] = (
            batch.images.float().mean(dim=(1, 2, 3)).numpy(),
            batch.eff,
        )
        poses = make_poses(
            AB,
            points,
            video=batch.where[:, 0],
            frame=batch.where[:, 1],
            track_names=["x"],
            frames=batch.where,
        )
        return Prediction(poses, {"confmaps": batch.images})

    pipeline = Pipeline(
        "single_instance",
        AB,
        ("x",),
        ImageSpec(),
        find,
        torch.device("cpu"),
        bytes_per_pixel=1_000_000,
    )
    return pipeline, seen


def frame(index, brightness=None, size=(4, 6, 1), video=0):
    image = None if brightness is None else np.full(size, brightness, dtype=np.uint8)
    return Frame(video, index, image, "" if image is not None else "broken")


@pytest.fixture(params=["processor", "accelerator"])
def anywhere(request, pipeline):
    """The same on a processor, and on an accelerator whose tensors are those of the processor."""
    pipeline, seen = pipeline
    device = None if request.param == "processor" else Accelerator(torch.device("cpu"))
    return replace(pipeline, accelerator=device), seen


@pytest.fixture
def threads():
    """Let a test set the number of PyTorch's threads."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("cores", "batch_size", "sizes"),
    [
        (1, 1, [1] * 5),
        (1, 2, [2, 2, 1]),
        (1, 8, [5]),
        (2, 4, [2, 2, 1]),
        (2, 1, [1] * 5),
        (4, 2, [1] * 5),
        (2, 9, [3, 2]),
    ],
)
def test_cores_share_the_frames_in_flight(pipeline, threads, cores, batch_size, sizes):
    pipeline, seen = pipeline
    threads(cores)
    poses = concatenate(
        [
            p.poses
            for p in predict(
                (frame(10 + i, 2 * i) for i in range(5)), pipeline, batch_size=batch_size
            )
        ]
    )
    seen.sort(key=lambda batch: batch.where[0, 1])
    assert [len(batch.where) for batch in seen] == sizes
    assert [tuple(batch.images.shape[1:]) for batch in seen] == [(1, 4, 6)] * len(sizes)
    assert poses.frames.tolist() == [[0, 10 + i] for i in range(5)]
    assert poses.points[:, 0].tolist() == [[2 * i, 1] for i in range(5)]
    assert torch.get_num_threads() == cores


@pytest.mark.parametrize(
    ("cores", "batch_size", "bytes_per_pixel", "sizes"),
    [
        (2, 4, 80_000, [4, 4, 4, 1]),
        (2, 4, 120_000, [2] * 6 + [1]),
        (2, 8, 80_000, [4, 4, 4, 1]),
        (2, 12, 80_000, [6, 6, 1]),
        (4, 4, 80_000, [4, 4, 4, 1]),
    ],
)
def test_a_core_takes_as_many_small_frames_as_its_cache_holds(
    pipeline, threads, cores, batch_size, bytes_per_pixel, sizes
):
    pipeline, seen = pipeline
    threads(cores)
    pipeline = replace(pipeline, bytes_per_pixel=bytes_per_pixel)  # of frames of 4 x 6 px
    poses = concatenate(
        [
            p.poses
            for p in predict((frame(i, i) for i in range(13)), pipeline, batch_size=batch_size)
        ]
    )
    seen.sort(key=lambda batch: batch.where[0, 1])
    assert [len(batch.where) for batch in seen] == sizes
    assert poses.frames[:, 1].tolist() == list(range(13))
    assert poses.points[:, 0, 0].tolist() == list(range(13))


@pytest.mark.parametrize(
    ("images", "sizes"), [(ImageSpec(), [4]), (ImageSpec(max_height=8, max_width=12), [2, 2])]
)
def test_what_fills_the_cache_is_the_size_that_the_network_sees(pipeline, threads, images, sizes):
    pipeline, seen = pipeline
    threads(2)
    list(
        predict(
            (frame(i, i) for i in range(4)),
            replace(pipeline, images=images, bytes_per_pixel=40_000),
            batch_size=4,
        )
    )
    assert [len(batch.where) for batch in seen] == sizes


def test_a_part_that_cannot_be_kept_keeps_none_of_its_batch(pipeline, threads):
    pipeline, _ = pipeline
    threads(2)

    def find(batch):
        return replace(
            pipeline.predict(batch), observations=None if batch.where[0, 1] else ("first half",)
        )

    (prediction,) = predict(
        [frame(i, 7) for i in range(4)], replace(pipeline, predict=find), batch_size=4
    )
    assert prediction.observations is None
    assert not prediction.truncated


def test_passes_that_end_early_wait_for_their_turn(pipeline, threads):
    pipeline, _ = pipeline
    threads(2)
    second_is_done = threading.Event()

    def find(batch):
        if batch.where[0, 1] == 0:
            assert second_is_done.wait(10)
        else:
            second_is_done.set()
        return pipeline.predict(batch)

    (prediction,) = predict(
        [frame(0, 10), frame(1, 20)], replace(pipeline, predict=find), batch_size=2
    )
    assert prediction.poses.frames[:, 1].tolist() == [0, 1]
    assert prediction.maps["confmaps"][:, 0, 0, 0].tolist() == [10, 20]


@pytest.mark.parametrize(
    ("frames", "cores", "passes"), [(4, 1, [4, 2, 1, 1, 2, 1, 1]), (1, 1, [1])]
)
def test_passes_that_do_not_fit_into_memory_are_halved(
    pipeline, threads, caplog, frames, cores, passes
):
    pipeline, _ = pipeline
    threads(cores)
    sizes = []

    def find(batch):
        sizes.append(len(batch.where))
        if len(batch.where) > 1:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: "
                "you tried to allocate"
            )
        return pipeline.predict(batch)

    predictions = list(
        predict((frame(i, i) for i in range(frames)), replace(pipeline, predict=find), batch_size=4)
    )
    assert sizes == passes
    assert concatenate([p.poses for p in predictions]).points[:, 0, 0].tolist() == list(
        range(frames)
    )
    assert predictions[0].maps["confmaps"][:, 0, 0, 0].tolist() == list(range(frames))
    assert ("runtime.batch_size" in caplog.text) == (frames > 1)


def test_what_did_not_fit_once_is_not_tried_again(anywhere, threads, caplog):
    pipeline, _ = anywhere
    threads(1)
    sizes = []

    def find(batch):
        sizes.append((batch.where[0, 1] // 8, len(batch.where)))
        if len(batch.where) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return replace(pipeline.predict(batch), observations=("some",))

    frames = (frame(i, i) for i in range(32))
    predictions = []
    for prediction in predict(frames, replace(pipeline, predict=find), batch_size=8, ahead=False):
        predictions.append(prediction)
    assert [size for batch, size in sizes if batch == 0] == [8, 4, 2, 2, 4, 2, 2]
    assert [size for batch, size in sizes if batch == 3] == [2] * 4
    assert [p.observations for p in predictions] == [None] * 4
    numbers = [n for p in predictions for n in p.poses.frames[:, 1].tolist()]
    assert numbers == list(range(32))
    assert caplog.text.count("runtime.batch_size") == 3


@pytest.mark.parametrize("fits", [True, False])
def test_what_was_observed_in_halves_is_not_kept(anywhere, threads, fits):
    """With more memory it would differ in the last bits."""
    pipeline, _ = anywhere
    threads(1)

    def find(batch):
        if len(batch.where) > 2 and not fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return replace(pipeline.predict(batch), observations=(len(batch.where),))

    (prediction,) = predict(
        (frame(i, i) for i in range(4)), replace(pipeline, predict=find), batch_size=4
    )
    assert prediction.observations == ((4,) if fits else None)


def test_a_frame_that_does_not_fit_into_memory_is_an_error_that_helps(anywhere):
    def find(batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(
        RunError,
        match=r"not enough memory on cpu for one frame of 4x6 px; "
        r"a smaller preprocessing\.input_scale",
    ):
        list(predict([frame(0, 1)], replace(anywhere[0], predict=find), batch_size=4))


def test_what_does_not_fit_beside_other_batches_fits_alone(pipeline, threads):
    """Workers of an accelerator share its memory; here it has room for four frames."""
    pipeline, _ = pipeline
    held, lock, together = [], threading.Lock(), threading.Barrier(2)

    def find(batch):
        first = batch.where[0, 1] < 8 and len(batch.where) == 4
        if first:  # both batches are there before either is done
            together.wait(10)
        with lock:
            fits = sum(held) + len(batch.where) <= 4
            if fits:
                held.append(len(batch.where))
        if first:
            together.wait(10)
        if not fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        try:
            return pipeline.predict(batch)
        finally:
            with lock:
                held.remove(len(batch.where))

    predictions = list(
        predict(
            [frame(i, i) for i in range(8)],
            replace(pipeline, predict=find, accelerator=Accelerator(torch.device("cpu"))),
            batch_size=4,
        )
    )
    poses = concatenate([p.poses for p in predictions])
    assert poses.frames[:, 1].tolist() == poses.points[:, 0, 0].tolist() == list(range(8))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RunError("the video is gone")])
def test_an_end_of_reading_ends_the_workers_and_keeps_what_was_done(anywhere, threads, error):
    pipeline, _ = anywhere
    threads(2)

    def interrupted():
        yield from (frame(i, i) for i in range(12))
        raise error

    done = []
    predictions = predict(interrupted(), pipeline, batch_size=2)
    with pytest.raises(type(error)):
        done.extend(n for p in predictions for n in p.poses.frames[:, 1].tolist())
    assert done
    assert done == list(range(len(done)))
    assert not [t for t in threading.enumerate() if t.name.startswith("predict")]
    assert torch.get_num_threads() == 2


def test_other_errors_come_through(anywhere):
    def find(batch):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        list(predict([frame(0, 1)], replace(anywhere[0], predict=find), batch_size=4))


def test_frames_of_other_sizes_start_a_batch(anywhere, threads):
    pipeline, seen = anywhere
    threads(1)
    sizes = [(4, 6, 1), (4, 6, 1), (4, 8, 1), (4, 8, 3), (4, 6, 1)]
    poses = concatenate(
        [
            p.poses
            for p in predict(
                (frame(i, i, size) for i, size in enumerate(sizes)), pipeline, batch_size=4
            )
        ]
    )
    seen.sort(key=lambda batch: batch.where[0, 1])  # workers take turns in any order
    assert [len(batch.where) for batch in seen] == [2, 1, 1, 1]
    assert poses.frames[:, 1].tolist() == [0, 1, 2, 3, 4]
    assert poses.points[:, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_frames_of_other_sizes_are_matched_to_one(anywhere):
    pipeline, seen = anywhere
    pipeline = replace(pipeline, images=ImageSpec(max_height=8, max_width=8))
    list(
        predict(
            [frame(0, 50, (8, 8, 1)), frame(1, 50, (4, 4, 1)), frame(2, 50, (16, 8, 1))],
            pipeline,
            batch_size=4,
        )
    )
    assert {batch.images.shape for batch in seen} == {(1, 1, 8, 8)}
    assert sorted(float(batch.eff[0]) for batch in seen) == [8 / 16, 1.0, 8 / 4]


def test_unreadable_frames_are_empty_and_stay_in_order(anywhere, threads):
    pipeline, seen = anywhere
    threads(1)
    frames = [frame(0), frame(1, 10), frame(2), frame(3, 30), frame(4, 40)]
    predictions = list(predict(frames, pipeline, batch_size=4))
    poses = concatenate([p.poses for p in predictions])
    assert poses.frames[:, 1].tolist() == [0, 1, 2, 3, 4]
    assert poses.frame.tolist() == [1, 3, 4]
    seen.sort(key=lambda batch: batch.where[0, 1])  # workers take turns in any order
    assert [len(batch.where) for batch in seen] == [1, 2]
    assert [list(p.maps) for p in predictions] == [[], ["confmaps"], [], ["confmaps"]]
    np.testing.assert_array_equal(
        np.concatenate([p.eff for p in predictions]), [np.nan, 1, np.nan, 1, 1]
    )
    assert np.concatenate([p.sizes for p in predictions]).tolist() == [
        [0, 0],
        [4, 6],
        [0, 0],
        [4, 6],
        [4, 6],
    ]


def test_parts_of_a_batch_are_put_together_whole(pipeline, threads):
    pipeline, _ = pipeline
    threads(2)

    def find(batch):
        n = len(batch.where)
        number = batch.where[:, 1].astype(float)
        graph = Graph(number[:, None], number, number, Candidates(number, number, number, number))
        # The first half of the batch has no crops.
        crops = (
            Crops(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 2, 2)), {})
            if number[0] == 0
            else Crops(
                np.stack([number, number], axis=1),
                number,
                np.zeros((n, 2, 2)),
                {"confmaps": torch.from_numpy(number)},
            )
        )
        return replace(
            pipeline.predict(batch),
            pixel_sizes={"confmaps": 4},
            crops=crops,
            graphs=(graph,) * n,
            observations=(number[0],),
            truncated=number[0] > 0,
        )

    (joined,) = predict(
        [frame(i, 7) for i in range(4)], replace(pipeline, predict=find), batch_size=4
    )
    assert joined.crops.centroids.tolist() == [[2, 2], [3, 3]]
    assert joined.crops.scores.tolist() == [2, 3]
    assert joined.crops.boxes.shape == (2, 2, 2)
    assert joined.crops.maps["confmaps"].tolist() == [2, 3]
    assert [graph.scores.tolist() for graph in joined.graphs] == [[0, 1], [0, 1], [2, 3], [2, 3]]
    assert joined.pixel_sizes == {"confmaps": 4}
    assert joined.observations == (0, 2)
    assert joined.truncated
    assert joined.eff.tolist() == [1] * 4


def test_frames_know_their_video(anywhere):
    pipeline, _ = anywhere
    poses = concatenate(
        [
            p.poses
            for p in predict([frame(5, 1, video=1), frame(5, 2, video=0)], pipeline, batch_size=4)
        ]
    )
    assert list(zip(poses.video.tolist(), poses.points[:, 0, 0].tolist(), strict=True)) == [
        (1, 1),
        (0, 2),
    ]


def test_no_more_is_read_than_is_in_flight(pipeline, threads):
    pipeline, _ = pipeline
    threads(1)
    read = []
    frames = (read.append(i) or frame(i, i) for i in range(20))
    predictions = predict(frames, pipeline, batch_size=2)
    next(predictions)
    assert len(read) <= 5  # two batches, and the frame that showed that the second was complete
    predictions.close()
    assert len(read) <= 5


def test_no_frames(anywhere):
    pipeline, seen = anywhere
    assert list(predict([], pipeline, batch_size=2)) == []
    assert seen == []


def test_whoever_takes_predictions_has_as_many_threads_as_before(anywhere, threads):
    """Else a second stream beside an open one would have a single thread, and leave one behind."""
    threads(3)
    pipeline, _ = anywhere
    frames = [frame(i) for i in range(4)]
    first, second = (predict(frames, pipeline, batch_size=1) for _ in range(2))
    for _ in zip(first, second, strict=True):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == 3

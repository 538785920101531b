import threading
from contextlib import contextmanager
from functools import partial

import cv2
import numpy as np
import pytest
import sleap_io as sio
from sleap_io.io.video_writing import VideoWriter

from sleap_lab.errors import RunError
from sleap_lab.inference.detect import _done_frames, detect, filter_and_track
from sleap_lab.inference.stopwatch import Stopwatch
from sleap_lab.media.labels import to_labels
from sleap_lab.media.open_source import open_source
from sleap_lab.media.source import Frame, Source
from sleap_lab.pipelines.engine import predict
from sleap_lab.pipelines.profile import PREDICTING
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import Config

GREEN, BLUE = [0, 1.0, 0, 0], [0, 0, 1.0, 0]
N = 5


def walk(i):
    """A frame of 24 x 32 pixels: node a, green, walks to the right; node b, blue, stands still."""
    image = np.zeros((24, 32, 3), dtype=np.uint8)
    image[6, 4 + 2 * i] = [0, 255, 0]
    image[16, 20] = [0, 0, 204]
    return image


@pytest.fixture
def config(make_model, write_h5, anywhere):
    config = Config()
    config.data.path = str(write_h5([walk(i) for i in range(N)]))
    config.model.paths = [str(make_model("single_instance", {"confmaps": [GREEN, BLUE]}))]
    config.model.integral_refinement = None
    config.runtime.device, config.runtime.batch_size = "cpu", 2
    return config


@pytest.fixture
def labelled(video_path):
    """Labels with predicted instances in frames 0, 1 and 3, and an empty frame 4.

    The instances in frames 1 and 3 have scores of at least 0.5, the one in frame 0 has 0.25.
    """
    poses = make_poses(
        Skeleton(("a", "b")),
        [[[4, 6], [20, 16]], [[6, 6], [20, 16]], [[8, 6], [20, 16]], [[9, 9], [9, 9]]],
        frame=[0, 1, 3, 3],
        instance_scores=[0.25, 0.75, 0.75, 0.5],
        frames=[(0, 0), (0, 1), (0, 3), (0, 4)],
    )
    return to_labels(poses, [sio.Video(str(video_path))])


@contextmanager
def noted(stages, name, split=None):
    stages.append(name)
    yield


# ---- detect


def test_every_frame_is_predicted(config):
    found = detect(open_source(config.data), config)
    assert found.poses.frames.tolist() == [[0, i] for i in range(N)]
    assert found.poses.points.tolist() == [[[4 + 2 * i, 6], [20, 16]] for i in range(N)]
    np.testing.assert_allclose(found.poses.instance_scores, 1 + 0.8)
    assert (found.kind, found.device, found.bad_frames, found.notes) == (
        "single_instance",
        "cpu",
        (),
        (),
    )


def test_frames_that_were_lost_in_a_part_before_are_not_missed(config):
    torn = Frame(0, 99, None, "torn")
    found = detect(open_source(config.data), config, bad_frames=[torn], requested=N + 1)
    assert found.bad_frames == (torn,)
    assert found.poses.frames.tolist() == [[0, i] for i in range(N)]


def test_only_chosen_frames_are_predicted_in_their_order(config):
    config.data.frames = "3,0-1"
    poses = detect(open_source(config.data), config).poses
    assert poses.frames[:, 1].tolist() == [3, 0, 1]
    assert poses.points[:, 0, 0].tolist() == [10, 4, 6]


def test_stages_batches_and_progress_can_be_watched(config):
    stages, kept, watched = [], [], []

    def watch(frames, total):
        watched.append(total)
        for frame in frames:
            watched.append(frame.index)
            yield frame

    detect(
        open_source(config.data),
        config,
        stage=partial(noted, stages),
        watch=watch,
        keep=kept.append,
        details=True,
    )
    assert stages == ["load", "predict"]
    assert watched == [N, 0, 1, 2, 3, 4]
    assert [prediction.poses.frames[:, 1].tolist() for prediction in kept] == [[0, 1], [2, 3], [4]]
    assert [tuple(prediction.maps["confmaps"].shape) for prediction in kept] == [
        (2, 2, 12, 16),
        (2, 2, 12, 16),
        (1, 2, 12, 16),
    ]


def test_progress_counts_frames_whose_predictions_exist(config):
    done, before = [], []

    def watch(frames, total):
        for frame in frames:
            before.append(frame.index in done)
            yield frame

    detect(
        open_source(config.data),
        config,
        watch=watch,
        keep=lambda found: done.extend(found.poses.frames[:, 1].tolist()),
    )
    assert before == [True] * N


@pytest.mark.parametrize("on_bad_frame", ["nan", "skip"])
def test_frames_that_cannot_be_read_are_done_too(config, monkeypatch, on_bad_frame):
    read, shown = Source.pixels, []

    def broken(self, video, frame):
        if frame in (0, 2, 4):
            raise RunError(f"frame {frame} is broken")
        return read(self, video, frame)

    def watch(frames, total):
        for frame in frames:
            shown.append((frame.index, frame.image))
            yield frame

    monkeypatch.setattr(Source, "pixels", broken)
    config.data.on_bad_frame, config.data.max_bad_share = on_bad_frame, 1
    detect(open_source(config.data), config, watch=watch)
    assert shown == [(i, None) for i in range(N)]


def test_an_interruption_by_what_shows_progress_ends_the_workers(config):
    def watch(frames, total):
        for _ in frames:
            raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        detect(open_source(config.data), config, watch=watch)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("predict")]


@pytest.mark.parametrize("where", ["network", "reading"])
def test_an_error_ends_the_reader_at_once(config, monkeypatch, where):
    """Not when whoever holds the error lets go of it, as notebooks never do."""
    config.runtime.queue_maxsize = 1

    def fails(*arguments, **options):
        raise RunError("no memory")

    if where == "network":
        monkeypatch.setattr("sleap_lab.pipelines.engine._predict", fails)
    else:
        monkeypatch.setattr("sleap_lab.inference.detect.Stretches._look", fails)
    with pytest.raises(RunError, match="no memory") as held:
        detect(open_source(config.data), config)
    assert "read-ahead" not in [thread.name for thread in threading.enumerate()]
    assert held.value is not None


def test_waiting_for_frames_is_reading(config, pass_time):
    class Slow(Source):
        def pixels(self, video, frame):
            pass_time(1)
            return super().pixels(video, frame)

    config.runtime.batch_size = N  # nobody works before all are read
    seconds, source = {}, open_source(config.data)
    detect(Slow(**vars(source)), config, stage=Stopwatch(seconds))
    assert seconds == {"load": 0, **dict.fromkeys(PREDICTING, 0), "read": N * 1}


def test_without_a_model_the_poses_of_the_labels_are_read(labelled):
    config = Config()
    config.model.kind = "none"
    config.data.frames = "1-4"
    found = detect(open_source(config.data, predicting=False, data=labelled), config)
    assert (found.kind, found.device) == ("none", "")
    assert found.poses.frames.tolist() == [[0, 1], [0, 3], [0, 4]]
    assert found.poses.frame.tolist() == [1, 3, 3]


@pytest.fixture
def torn(config, tmp_path):
    """The same frames as images, of which 1 and 2 are broken."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(N):
        cv2.imwrite(str(folder / f"{i}.png"), walk(i)[..., ::-1])
    for i in (1, 2):
        (folder / f"{i}.png").write_bytes(b"torn")
    config.data.path = str(folder)
    return config


@pytest.mark.parametrize(
    ("on_bad_frame", "frames"), [("nan", [0, 1, 2, 3, 4]), ("skip", [0, 3, 4])]
)
def test_frames_that_cannot_be_read_are_kept_empty_or_left_out(torn, on_bad_frame, frames):
    torn.data.on_bad_frame = on_bad_frame
    found = detect(open_source(torn.data), torn)
    assert found.poses.frames[:, 1].tolist() == frames
    assert found.poses.frame.tolist() == [0, 3, 4]
    assert found.poses.points[:, 0, 0].tolist() == [4, 10, 12]
    assert [frame.index for frame in found.bad_frames] == [1, 2]
    assert "frame 1 cannot be read" in found.bad_frames[0].problem


def test_a_frame_that_cannot_be_read_may_be_an_error(torn):
    torn.data.on_bad_frame = "fail"
    with pytest.raises(
        RunError,
        match=r"images: frame 1 cannot be read .*; "
        r"data.on_bad_frame=nan or skip goes on without it",
    ):
        detect(open_source(torn.data), torn)


@pytest.mark.parametrize("on_bad_frame", ["nan", "skip"])
def test_it_is_an_error_when_no_frame_can_be_read(torn, on_bad_frame):
    torn.data.on_bad_frame, torn.data.frames, torn.data.max_bad_share = on_bad_frame, "1-2", 1.0
    with pytest.raises(
        RunError,
        match=r"data.path: none of the 2 frames could be read; the first: .*frame 1 cannot be read",
    ):
        detect(open_source(torn.data), torn)


def test_a_batch_that_gets_lost_is_an_error(config, monkeypatch):
    def losing(*arguments, **options):
        yield from list(predict(*arguments, **options))[1:]

    monkeypatch.setattr("sleap_lab.pipelines.engine.predict", losing)
    with pytest.raises(
        RunError,
        match=r"5 frames were requested, 3 predicted and 0 unreadable, but 2 missing, "
        r"the first of them frame 0",
    ):
        detect(open_source(config.data), config)


def walking(path, *options, still=()):
    """Write the walk, magnified, as a compressed video of 40 frames.

    Frames in `still` repeat the picture of the frame before.
    """
    with VideoWriter(path, output_params=["-g", "10", "-crf", "0", *options]) as writer:
        for i in range(40):
            image = np.zeros((32, 96, 3), dtype=np.uint8)
            place = min(set(range(i + 1)) - set(still), key=lambda j: i - j)
            image[:, 2 * place : 2 * place + 4] = 255
            writer.write_frame(image)
    return str(path)


def test_stretches_of_one_picture_are_noted(config, tmp_path):
    config.data.path = walking(tmp_path / "still.mp4", still=range(5, 20))
    found = detect(open_source(config.data), config)
    assert len(found.poses.frames) == 40
    (note,) = found.notes
    assert note.startswith(
        f"15 frames of {tmp_path / 'still.mp4'} show the picture of the frame before, "
        "unchanged: 5-19."
    )
    config.data.path = walking(tmp_path / "moving.mp4")
    assert detect(open_source(config.data), config).notes == ()


def test_images_of_several_sizes_are_told_once_by_their_folder(config, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for i, size in enumerate([32, 48, 32, 48, 32]):
        cv2.imwrite(str(folder / f"{i}.png"), np.zeros((size, 64, 3), np.uint8))
    config.data.path = str(folder)
    (note,) = detect(open_source(config.data), config).notes
    assert note.startswith(
        f"The frames of {folder} are of 2 sizes: 64x32, 64x48 px; "
        "frame 1 is the first of another size."
    )


def test_notes_of_the_pipeline_are_handed_on(config, make_model):
    config.model.paths = [str(make_model("centroid", {"confmaps": [GREEN]}))]
    (note,) = detect(open_source(config.data), config).notes
    assert note == "Centroid-only: the predictions are the centroids themselves."


# ---- filter_and_track


def test_nothing_asked_for_changes_nothing(config):
    source = open_source(config.data)
    found = detect(source, config)
    stages = []
    assert (
        filter_and_track(found, source, config, stage=partial(noted, stages)).poses.points.tolist()
        == found.poses.points.tolist()
    )
    assert stages == ["filter"]


def test_poses_are_tracked_where_asked(config):
    config.tracker.tracking, config.tracker.scoring_method = True, "euclidean_dist"
    source, stages = open_source(config.data), []
    tracked = filter_and_track(
        detect(source, config), source, config, stage=partial(noted, stages)
    ).poses
    assert stages == ["filter", "track"]
    assert tracked.track_names == ("track_0",)
    assert tracked.tracks.tolist() == [0] * N


def test_poor_instances_are_dropped_before_tracking(labelled):
    config = Config()
    config.model.kind, config.tracker.tracking, config.tracker.scoring_method = (
        "none",
        True,
        "euclidean_dist",
    )
    config.filters.filter_min_instance_score = 0.6
    source = open_source(config.data, predicting=False, data=labelled)
    refined = filter_and_track(detect(source, config), source, config).poses
    assert refined.frame.tolist() == [1, 3]
    assert refined.track_names == ("track_0",)
    assert refined.frames.tolist() == [[0, 0], [0, 1], [0, 3], [0, 4]]


def test_what_was_found_stays_as_it_was(labelled):
    config = Config()
    config.model.kind, config.filters.filter_min_instance_score = "none", 0.6
    source = open_source(config.data, predicting=False, data=labelled)
    found = detect(source, config)
    filter_and_track(found, source, config)
    assert len(found.poses) == 4


@pytest.mark.parametrize(
    ("frames", "filtered", "reason"),
    [([0, 1], 0.95, "every instance was filtered out"), ([4], 0.0, "nothing was found")],
)
def test_labels_without_instances_are_told_with_the_reason(labelled, frames, filtered, reason):
    config = Config()
    config.model.kind, config.filters.filter_min_instance_score = "none", filtered
    config.data.frames = frames
    source = open_source(config.data, predicting=False, data=labelled)
    refined = filter_and_track(detect(source, config), source, config)
    assert refined.poses.frames[:, 1].tolist() == frames
    (note,) = refined.notes
    assert note == f"No instances in any of the {len(frames)} frames: {reason}."


def test_known_animals_are_not_tracked_again(config, make_model):
    weights = {"confmaps": [GREEN, BLUE], "class_maps": [[0, 0, -8.0, 4.0], [0, 0, 8.0, -4.0]]}
    config.model.paths, config.tracker.tracking = (
        [str(make_model("multi_class_bottomup", weights))],
        True,
    )
    source = open_source(config.data)
    detected = detect(source, config)
    refined = filter_and_track(detected, source, config)
    assert refined.poses.track_names == ("x", "y")
    assert set(refined.poses.tracks.tolist()) == {0, 1}
    assert refined.notes == ()
    (remark,) = refined.remarks
    assert remark.startswith(
        "The models know the animals' identities; their tracks are kept "
        "and the tracker was not used"
    )
    config.tracker.override_class_tracks = True
    tracked = filter_and_track(detected, source, config)
    assert tracked.poses.track_names == ("track_0", "track_1")
    assert tracked.notes == tracked.remarks == ()


def test_what_a_tracker_did_is_no_warning(config):
    config.tracker.tracking, config.tracker.method = True, "global"
    source = open_source(config.data)
    refined = filter_and_track(detect(source, config), source, config)
    assert refined.notes == ()
    assert "1 animal, estimated from the counts" in refined.remarks[0]


def test_frames_are_done_as_far_as_the_batches_go():
    frames = np.array([[0, 3], [0, 0], [0, 1], [1, 0]])
    batches, seen = iter([frames[:2], frames[2:3]]), []
    done = _done_frames(frames, (seen.append(len(batch)) or batch for batch in batches))
    assert [(frame.video, frame.index) for frame in (next(done), next(done))] == [(0, 3), (0, 0)]
    assert seen == [2]  # the second batch is not needed yet
    assert [(frame.video, frame.index) for frame in done] == [(0, 1), (1, 0)]

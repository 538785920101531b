"""Tracking changes nothing in a project but what it replaces; compared object by object."""

import numpy as np
import pytest
import sleap_io as sio
from sleap_io.model.camera import Camera, CameraGroup, FrameGroup, InstanceGroup

from sleap_lab.inference.detect import detect, filter_and_track
from sleap_lab.inference.labels import result_labels
from sleap_lab.media.labels import read_labels, save_labels
from sleap_lab.media.open_source import open_source
from sleap_lab.media.revising import leave_out_empty_frames
from sleap_lab.predict import run_inference
from sleap_lab.settings.config import Config

NODES = ["nose", "mid", "tail"]
SHAPE = np.array([[0, 0], [4, 2], [8, 4]], dtype=float)
FRAMES = 5
SKELETONS = ("one", "twins", "twins in another order", "unused first", "unused last")


def skeletons_of(kind):
    """Return the skeletons of a project, and those that its two animals use."""
    first, twin, mirrored = (
        sio.Skeleton(names, edges=[("nose", "mid"), ("mid", "tail")], name="fly")
        for names in (NODES[:], NODES[:], NODES[::-1])
    )
    other = sio.Skeleton(["head", "body"], name="first try")
    return {
        "one": ([first], (first, first)),
        "twins": ([first, twin], (first, twin)),
        "twins in another order": ([first, mirrored], (first, mirrored)),
        "unused first": ([other, first], (first, first)),
        "unused last": ([first, other], (first, first)),
    }[kind]


def project(number, folder, video_path):
    """Write a project of two animals.

    The number determines the content; 40 numbers cover all pairs of features.
    """
    several, embedded = number % 2, number // 2 % 2
    sessions = number // 4 % 2 and not embedded  # sleap-io does not embed what sessions refer to
    skeletons, used = skeletons_of(SKELETONS[number % len(SKELETONS)])
    copies = [folder / f"{i}.mp4" for i in range(1 + several)]
    for copy in copies:
        copy.write_bytes(video_path.read_bytes())
    videos = [sio.Video(str(copy)) for copy in copies]
    tracks = [
        sio.Track("mouse"),
        sio.Track("mouse"),
        sio.Track("track_0"),
    ]  # the last one is not used
    frames = []
    for video in videos:
        for frame in range(FRAMES):
            instances = []
            for animal, skeleton in enumerate(used):
                points = SHAPE + np.array([frame, 20 * animal + number % 3])
                points = points[[NODES.index(name) for name in skeleton.node_names]]
                if (frame + number) % 4 == animal:
                    points[0] = np.nan
                common = {"skeleton": skeleton, "track": tracks[animal]}
                guess = sio.PredictedInstance.from_numpy(
                    points, point_scores=[0.2, 0.3, 0.4], score=0.5 + animal / 4, **common
                )
                instances.append(guess)
                if (frame + animal + number) % 3 == 0:  # a person corrected it
                    fixed = sio.Instance.from_numpy(points + 0.5, **common)
                    fixed.from_predicted = guess
                    instances.insert(0, fixed)
            frames.append(sio.LabeledFrame(video, frame, instances))
        empty = sio.LabeledFrame(video, FRAMES, is_negative=True)
        frames.append(empty)
    frames[0].bboxes.append(sio.UserBoundingBox(x1=1, y1=2, x2=5, y2=9, track=tracks[2]))
    labels = sio.Labels(
        frames,
        videos=videos,
        skeletons=skeletons,
        tracks=tracks,
        suggestions=[sio.SuggestionFrame(videos[-1], frame) for frame in (4, 2)],
        provenance={"made by": "a person", "number": number, "model_paths": ["old"]},
    )
    if sessions:
        labels.sessions.append(session_of(labels))
    path = folder / f"{number}.{'pkg.' if embedded else ''}slp"
    labels.save(str(path), embed="all" if embedded else False, verbose=False)
    return path


def session_of(labels):
    """Return a session of all videos, in which the first animals of the first frames are one."""
    cameras = [Camera(name=f"camera {i}") for i in range(len(labels.videos))]
    session = sio.RecordingSession(camera_group=CameraGroup(cameras))
    first = {}
    for camera, video in zip(cameras, labels.videos, strict=True):
        session.add_video(video, camera)
        first[camera] = next(frame for frame in labels if frame.video is video)
    animal = InstanceGroup(
        instance_by_camera={camera: frame.instances[0] for camera, frame in first.items()}
    )
    session.frame_groups[0] = FrameGroup(
        frame_idx=0, instance_groups=[animal], labeled_frame_by_camera=first
    )
    return session


def tracked(path, **data):
    """Track a project as the command does, and return the file."""
    config = Config()
    config.data.path, config.model.kind, config.tracker.tracking = str(path), "none", True
    for name, value in data.items():
        setattr(config.data, name, value)
    source = open_source(config.data, predicting=False)
    labels = result_labels(filter_and_track(detect(source, config), source, config), source, config)
    save_labels(labels, path.parent / "out" / "tracked.slp")
    return path.parent / "out" / "tracked.slp"


def described(labels):
    """Return everything in a project as plain values, without the tracks of poses.

    Objects are named by their place, not by their identity.
    """
    videos = {id(video): i for i, video in enumerate(labels.videos)}
    frames = sorted(
        labels.labeled_frames, key=lambda frame: (videos[id(frame.video)], frame.frame_idx)
    )
    place = {id(own): (i, k) for i, frame in enumerate(frames) for k, own in enumerate(frame)}
    frame_place = {id(frame): i for i, frame in enumerate(frames)}

    def pose(own):
        order = [own.skeleton.node_names.index(name) for name in NODES]
        scores = (
            own.points["score"][order].tolist() if isinstance(own, sio.PredictedInstance) else None
        )
        return {
            "type": type(own).__name__,
            "points": np.nan_to_num(own.numpy()[order], nan=-1).tolist(),
            "scores": (scores, getattr(own, "score", None)),
            "from": place.get(id(own.from_predicted)),
        }

    def group(session, one):
        cameras = {id(camera): i for i, camera in enumerate(session.cameras)}
        return {
            "frames": {
                cameras[id(camera)]: frame_place[id(frame)]
                for camera, frame in one._labeled_frame_by_camera.items()
            },
            "animals": [
                {
                    cameras[id(camera)]: place[id(own)]
                    for camera, own in animal.instance_by_camera.items()
                }
                for animal in one.instance_groups
            ],
        }

    return {
        "videos": [
            (video.filename, video.shape, getattr(video.source_video, "filename", None))
            for video in labels.videos
        ],
        "suggestions": [(videos[id(one.video)], one.frame_idx) for one in labels.suggestions],
        "sessions": [
            {
                "cameras": [
                    (camera.name, videos[id(session.get_video(camera))])
                    for camera in session.cameras
                ],
                "groups": {
                    index: group(session, one) for index, one in session.frame_groups.items()
                },
            }
            for session in labels.sessions
        ],
        "frames": [
            (videos[id(frame.video)], frame.frame_idx, frame.is_negative) for frame in frames
        ],
        "boxes": [
            [(box.x1, box.y1, box.x2, box.y2, box.track.name) for box in frame.bboxes]
            for frame in frames
        ],
        "poses": [[pose(own) for own in frame] for frame in frames],
    }


@pytest.mark.parametrize("number", range(40))
def test_a_project_comes_back_whole_from_tracking(number, tmp_path, video_path):
    path = project(number, tmp_path, video_path)
    before, after = read_labels(path), read_labels(tracked(path))
    expected, found = described(before), described(after)
    if number // 2 % 2:  # frames of a package are read from it, so that it becomes the video
        assert len(found.pop("videos")) == len(expected.pop("videos"))
    for name, things in expected.items():
        assert found[name] == things, name
    assert {name: after.provenance[name] for name in ("made by", "number", "model_paths")} == {
        name: before.provenance[name] for name in ("made by", "number", "model_paths")
    }
    assert [skeleton.node_names for skeleton in after.skeletons] == [NODES]
    names = [track.name for track in after.tracks]
    assert len(set(names)) == len(names) == 2 * len(after.videos) + 1
    assert names[-1] == "track_0"  # the one that no pose used
    for frame in after:
        for own in frame:
            assert own.track is not None
            if own.from_predicted is not None:
                assert own.from_predicted.track is own.track
        assert len({id(own.track) for own in frame}) == (2 if frame.instances else 0)


def test_of_a_part_of_a_project_what_is_about_it_comes_back(tmp_path, video_path):
    path = project(5, tmp_path, video_path)  # two videos in a session
    one = read_labels(tracked(path, video_index=1))
    assert [video.filename for video in one.videos] == [str(tmp_path / "1.mp4")]
    assert [(suggestion.video, suggestion.frame_idx) for suggestion in one.suggestions] == [
        (one.video, 4),
        (one.video, 2),
    ]
    assert one.sessions[0].videos == [one.video]
    assert [frame.frame_idx for frame in one] == list(range(FRAMES + 1))
    later = read_labels(tracked(path, frames="1-2"))
    assert [frame.frame_idx for frame in later] == [1, 2] * 2
    assert len(later.videos) == len(later.sessions[0].videos) == 2
    assert not later.sessions[0].frame_groups  # its frames are not among those


def test_frames_that_a_person_marked_as_empty_stay_where_empty_ones_go(tmp_path, video_path):
    labels = read_labels(project(0, tmp_path, video_path))
    labels.labeled_frames.append(sio.LabeledFrame(labels.video, 40))
    leave_out_empty_frames(labels)
    assert [frame.frame_idx for frame in labels] == list(range(FRAMES + 1))


def test_labels_that_are_open_are_not_changed(tmp_path, video_path):
    labels = read_labels(project(5, tmp_path, video_path))
    before = described(labels), [own.track for frame in labels for own in frame]
    found = run_inference(input_labels=labels, tracking=True)
    assert (described(labels), [own.track for frame in labels for own in frame]) == before
    assert described(found)["frames"] == before[0]["frames"]
    assert found.videos == labels.videos


def test_filters_take_predictions_out_and_leave_what_a_person_said(tmp_path, video_path):
    labels = read_labels(project(0, tmp_path, video_path))
    with pytest.warns(UserWarning, match="1 link was decided by the order of the detections"):
        found = run_inference(
            input_labels=labels, tracking=True, filter_min_instance_score=0.6
        )  # that of the first animal is 0.5
    for frame, old in zip(found, labels, strict=True):
        corrected = [
            own.from_predicted for own in old if not isinstance(own, sio.PredictedInstance)
        ]
        kept = [
            own
            for own in old
            if not isinstance(own, sio.PredictedInstance) or own.score > 0.6 or own in corrected
        ]
        assert [type(own) for own in frame] == [type(own) for own in kept]
        assert [np.nan_to_num(own.numpy()).tolist() for own in frame] == [
            np.nan_to_num(own.numpy()).tolist() for own in kept
        ]

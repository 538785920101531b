import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio

import sleap_lab
import sleap_lab.predict
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.media.labels import save_labels, to_poses
from sleap_lab.predict import run_inference
from sleap_lab.settings import flags
from sleap_lab.settings.config import defaults

NAN = np.nan
RED, GREEN, BLUE, NOTHING = [1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 0]
N = 3


def scene(i):
    """A frame of 24 x 48 pixels with two animals; the second is absent in frame 1.

    Each animal is a red, a green and a blue pixel in a row.
    """
    image = np.zeros((24, 48, 3), dtype=np.uint8)
    for y, value in ((6, 255), (16, 204))[: 1 if i == 1 else 2]:
        image[y, 8 + 2 * i, 0] = image[y, 6 + 2 * i, 1] = image[y, 12 + 2 * i, 2] = value
    return image


@pytest.fixture
def data_path(write_h5):
    return write_h5([scene(i) for i in range(N)])


@pytest.fixture
def single(make_model):
    return make_model("single_instance", {"confmaps": [GREEN, BLUE]})


@pytest.fixture
def topdown(make_model):
    centroid = make_model("centroid", {"confmaps": [RED]})
    return [
        centroid,
        make_model(
            "centered_instance", {"confmaps": [GREEN, BLUE]}, preprocessing={"crop_size": 15}
        ),
    ]


@pytest.fixture
def run(data_path):
    """Return run_inference on the scene, without refinement, so that points are on the grid."""

    def run(model_paths=None, **options):
        options = {"integral_refinement": None, "device": "cpu"} | options
        source = (
            {}
            if {"input_video", "input_labels", "data_path"} & options.keys()
            else {"data_path": str(data_path)}
        )
        return run_inference(model_paths=model_paths, **source, **options)

    return run


def points(labels):
    return [[instance.numpy().tolist() for instance in frame.instances] for frame in labels]


# ---- labels


def test_labels_hold_every_frame(run, single, data_path):
    labels = run([single])
    assert isinstance(labels, sio.Labels)
    assert [frame.frame_idx for frame in labels] == [0, 1, 2]
    assert points(labels) == [[[[6 + 2 * i, 6], [12 + 2 * i, 6]]] for i in range(N)]
    assert [video.filename for video in labels.videos] == [str(data_path)]
    assert labels.skeletons[0].node_names == ["a", "b"]
    assert labels.tracks == []
    instance = labels[0].instances[0]
    assert isinstance(instance, sio.PredictedInstance)
    assert instance.score == pytest.approx(2)
    assert instance.points["score"].tolist() == pytest.approx([1, 1])


def test_top_down(run, topdown):
    # Centroids are at map pixels (4 + i, 3) and (4 + i, 8), on the grid. An odd crop is cut and
    # reported at whole pixels.
    labels = run(topdown)
    assert [len(frame.instances) for frame in labels] == [2, 1, 2]
    # The crop of 15 around (8, 16) begins at (1, 9). Green at (6, 16) is its pixel (5, 7),
    # map pixel (2, 3), image (5, 15).
    assert points(labels)[0][1] == [[5, 15], [11, 15]]
    assert [instance.score for instance in labels[0].instances] == pytest.approx([1, 0.8])


def test_tracking(run, topdown):
    labels = run(topdown, tracking=True, scoring_method="euclidean_dist")
    assert [track.name for track in labels.tracks] == ["track_0", "track_1"]
    assert [[instance.track.name for instance in frame.instances] for frame in labels] == [
        ["track_0", "track_1"],
        ["track_0"],
        ["track_0", "track_1"],
    ]


def test_options_reach_the_stages(run, topdown):
    assert [len(frame.instances) for frame in run(topdown, max_instances=1)] == [1, 1, 1]
    assert [len(frame.instances) for frame in run(topdown, peak_threshold=[0.9, 0.2])] == [1, 1, 1]
    assert [len(frame.instances) for frame in run(topdown, filter_min_instance_score=0.9)] == [
        1,
        1,
        1,
    ]
    assert [frame.frame_idx for frame in run(topdown, frames="2,0")] == [2, 0]
    assert [frame.frame_idx for frame in run(topdown, frames=[1])] == [1]


@pytest.mark.parametrize("no_empty_frames", [True, False])
def test_frames_without_instances(run, topdown, no_empty_frames):
    labels = run(
        topdown,
        frames="0-1",
        filter_min_visible_nodes=2,
        peak_threshold=[0.2, 0.9],
        max_instances=1,
        no_empty_frames=no_empty_frames,
    )
    assert [len(frame.instances) for frame in labels] == [1, 1]
    with pytest.warns(
        UserWarning, match="3 of 3 frames have no instance: in 3 of them the filters"
    ):
        labels = run(topdown, filter_min_instance_score=2.0, no_empty_frames=no_empty_frames)
    assert [frame.frame_idx for frame in labels] == ([] if no_empty_frames else [0, 1, 2])


def test_only_the_output_is_written(run, topdown, tmp_path, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    before = sorted(tmp_path.rglob("*"))
    labels = run(topdown, frames="0", tracking=True)
    assert sorted(tmp_path.rglob("*")) == before
    run(topdown, frames="0", tracking=True, output_path=str(tmp_path / "new" / "out.slp"))
    assert sorted(tmp_path.rglob("*")) == sorted(
        [*before, tmp_path / "new", tmp_path / "new" / "out.slp"]
    )
    written = sio.load_slp(str(tmp_path / "new" / "out.slp"))
    assert points(written) == points(labels)


def test_paths_may_be_path_objects(single, data_path, tmp_path):
    run_inference(
        data_path=data_path, model_paths=[single], output_path=tmp_path / "out.slp", device="cpu"
    )
    assert (tmp_path / "out.slp").is_file()


@pytest.mark.parametrize("kind", [str, Path])
def test_a_single_model_needs_no_list(run, single, kind):
    assert points(run(kind(single))) == points(run([single]))


def test_settings_are_kept_in_the_file(run, single, tmp_path, data_path):
    labels = run([single], output_path=tmp_path / "out.slp", peak_threshold=0.3)
    for kept in (labels.provenance, sio.load_slp(str(tmp_path / "out.slp")).provenance):
        assert kept["model_type"] == "single_instance"
        assert kept["model_paths"] == [str(single)]
        assert kept["source_file"] == str(data_path)
        assert kept["inference_config"]["peak_threshold"] == 0.3
        assert kept["frames_processed"] == N
        json.dumps({name: value for name, value in kept.items() if name != "filename"})


def test_equal_runs_write_equal_facts(run, single):
    assert run([single]).provenance == run([single]).provenance


def test_an_output_that_would_replace_the_input_is_refused(run, single, data_path):
    with pytest.raises(
        ConfigError,
        match=r"output.path: .*frames\.h5 is the file that data.path reads; choose another",
    ):
        run([single], output_path=data_path)


# ---- where data come from


def test_an_open_video(run, single, data_path):
    video = sio.load_video(str(data_path))
    labels = run([single], input_video=video)
    assert points(labels) == points(run([single]))
    assert labels.videos == [video]


@pytest.fixture
def labels(data_path, make_labels):
    pose = [[6, 6], [12, 6], [12, 6]]
    return make_labels(
        [data_path], user=[(0, 2, pose)], predicted=[(0, 0, pose)], suggestions=[(0, 1)]
    )


def test_open_labels(run, single, labels):
    assert [frame.frame_idx for frame in run([single], input_labels=labels)] == [2, 0]
    assert [
        frame.frame_idx for frame in run([single], input_labels=labels, only_labeled_frames=True)
    ] == [2]
    assert [
        frame.frame_idx for frame in run([single], input_labels=labels, only_suggested_frames=True)
    ] == [1]
    assert [frame.frame_idx for frame in run([single], input_labels=labels, video_index=0)] == [
        0,
        1,
        2,
    ]
    assert [len(frame.instances) for frame in labels] == [1, 1], "the labels are left as they were"


def test_labels_files(run, single, labels, tmp_path):
    save_labels(labels, tmp_path / "labels.slp")
    predicted = run([single], data_path=str(tmp_path / "labels.slp"), exclude_user_labeled=True)
    assert [frame.frame_idx for frame in predicted] == [0]
    assert not to_poses(predicted).user.any()


def test_crops_around_labelled_instances(run, topdown, labels):
    labels[0].instances[0].points["xy"] = [[8, 6], [8, 6], [8, 6]]
    predicted = run(topdown[1:], input_labels=labels)
    assert [len(frame.instances) for frame in predicted] == [1, 0]


@pytest.mark.parametrize("as_file", [True, False])
def test_without_models_labels_are_tracked(run, labels, tmp_path, as_file):
    save_labels(labels, tmp_path / "labels.slp")
    data = {"data_path": str(tmp_path / "labels.slp")} if as_file else {"input_labels": labels}
    tracked = run(None, tracking=True, **data)
    assert [frame.frame_idx for frame in tracked] == [0, 2]
    assert [instance.track.name for frame in tracked for instance in frame.instances] == [
        "track_0",
        "track_0",
    ]


# ---- numbers as numpy has them


@pytest.mark.parametrize("frames", [range(1, 3), np.arange(1, 3), (1, 2), [np.int64(1), 2], "1-2"])
def test_frames_as_python_has_them(run, single, frames, tmp_path):
    labels = run([single], frames=frames, output_path=tmp_path / "out.slp")
    assert [frame.frame_idx for frame in labels] == [1, 2]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("max_instances", np.int64(1), [1, 1, 1]),
        ("peak_threshold", np.float32(0.9), [1, 1, 1]),
        ("peak_threshold", (0.9, 0.2), [1, 1, 1]),
        ("peak_threshold", np.array([0.9, 0.2]), [1, 1, 1]),
        ("filter_min_visible_nodes", np.uint8(2), [2, 1, 2]),
        ("no_empty_frames", np.bool_(True), [2, 1, 2]),
    ],
)
def test_numbers_of_numpy_are_numbers(run, topdown, tmp_path, name, value, expected):
    labels = run(topdown, output_path=tmp_path / "out.slp", **{name: value})
    assert [len(frame.instances) for frame in labels] == expected


# ---- arrays


ALWAYS = {
    "video_idx",
    "frame_idx",
    "orig_size",
    "eff_scale",
    "pred_instance_peaks",
    "pred_peak_values",
    "instance_scores",
}
CROPS = {"pred_centroids", "centroid_val", "instance_bbox"}


def test_arrays_of_a_single_instance_model(run, single):
    first, second = run([single], make_labels=False, return_confmaps=True, batch_size=2)
    assert first.keys() == ALWAYS | {"pred_confmaps", "pred_confmaps_px"}
    assert first["video_idx"].tolist() == [0, 0]
    assert [batch["frame_idx"].tolist() for batch in (first, second)] == [[0, 1], [2]]
    assert first["pred_instance_peaks"].tolist() == [[[6, 6], [12, 6]], [[8, 6], [14, 6]]]
    np.testing.assert_allclose(first["pred_peak_values"], np.ones((2, 2)))
    np.testing.assert_allclose(first["instance_scores"], [2, 2])
    assert first["pred_confmaps"].shape == (2, 2, 12, 24)
    assert second["pred_confmaps"].shape == (1, 2, 12, 24)
    assert isinstance(first["pred_confmaps"], np.ndarray)
    assert first["orig_size"].tolist() == [[24, 48], [24, 48]]
    assert first["eff_scale"].tolist() == [1, 1]


def test_arrays_of_a_frame_without_instance(run, single):
    with pytest.warns(UserWarning, match="3 of 3 frames have no instance"):
        (batch,) = run([single], make_labels=False, peak_threshold=2.0)
    assert batch.keys() == ALWAYS
    np.testing.assert_array_equal(batch["pred_instance_peaks"], np.full((3, 2, 2), NAN))
    assert batch["pred_peak_values"].tolist() == [[0, 0]] * 3
    np.testing.assert_array_equal(batch["instance_scores"], [NAN] * 3)


def test_pixels_of_maps_are_counted_in_the_image(run, single):
    # Images are doubled to 48 x 96 px. The network sees half of that: 24 x 48 px, in map pixels
    # 12 x 24.
    (batch,) = run(
        [single],
        make_labels=False,
        return_confmaps=True,
        max_height=48,
        max_width=96,
        input_scale=0.5,
    )
    assert batch["pred_confmaps"].shape == (3, 2, 12, 24)
    assert batch["orig_size"].tolist() == [[24, 48]] * 3
    assert batch["eff_scale"].tolist() == [2] * 3
    assert batch["pred_confmaps_px"].tolist() == [2 / 0.5 / 2] * 3
    rows, columns = np.unravel_index(
        batch["pred_confmaps"][:, 0].reshape(3, -1).argmax(axis=1), (12, 24)
    )
    peaks = np.stack([columns, rows], axis=1) * batch["pred_confmaps_px"][:, None]
    assert (
        np.abs(peaks - batch["pred_instance_peaks"][:, 0]).max() <= batch["pred_confmaps_px"].max()
    )


def test_arrays_of_top_down_models(run, topdown):
    (batch,) = run(topdown, make_labels=False, return_confmaps=True)
    assert batch.keys() == ALWAYS | CROPS | {
        "pred_confmaps", "pred_confmaps_px", "pred_centroid_confmaps", "pred_centroid_confmaps_px"
    }  # fmt: skip
    assert [array.shape for array in batch["pred_instance_peaks"]] == [
        (2, 2, 2),
        (1, 2, 2),
        (2, 2, 2),
    ]
    assert [array.shape for array in batch["pred_peak_values"]] == [(2, 2), (1, 2), (2, 2)]
    assert [array.tolist() for array in batch["instance_scores"]] == [
        pytest.approx([1, 0.8]),
        pytest.approx([1]),
        pytest.approx([1, 0.8]),
    ]
    assert [array.shape for array in batch["pred_confmaps"]] == [
        (2, 2, 8, 8),
        (1, 2, 8, 8),
        (2, 2, 8, 8),
    ]
    assert batch["pred_centroid_confmaps"].shape == (3, 1, 12, 24)
    for name in ("pred_centroids", "centroid_val"):
        assert [len(array) for array in batch[name]] == [2, 1, 2]


def test_points_lie_in_the_crop_where_its_map_has_them(run, topdown):
    (batch,) = run(topdown, make_labels=False, return_confmaps=True, integral_refinement=None)
    for points, boxes, maps, px in zip(
        batch["pred_instance_peaks"],
        batch["instance_bbox"],
        batch["pred_confmaps"],
        batch["pred_confmaps_px"],
        strict=True,
    ):
        assert boxes.shape == (len(points), 4, 2)
        top_left, top_right, bottom_right, bottom_left = boxes.transpose(1, 0, 2)
        np.testing.assert_array_equal(
            top_right - top_left, [[14, 0]] * len(points)
        )  # crops of 15 px
        np.testing.assert_array_equal(bottom_right - top_left, [[14, 14]] * len(points))
        np.testing.assert_array_equal(bottom_left - top_left, [[0, 14]] * len(points))
        rows, columns = np.unravel_index(
            maps.reshape(*maps.shape[:2], -1).argmax(axis=-1), maps.shape[-2:]
        )
        np.testing.assert_allclose(
            top_left[:, None] + px * np.stack([columns, rows], axis=-1), points
        )


def test_filters_drop_instances_from_the_arrays_with_their_crops(run, topdown):
    (everything,) = run(topdown, make_labels=False, return_confmaps=True)
    (batch,) = run(topdown, make_labels=False, return_confmaps=True, filter_min_instance_score=0.9)
    for name in (
        *CROPS,
        "pred_instance_peaks",
        "pred_peak_values",
        "instance_scores",
        "pred_confmaps",
    ):
        assert [len(array) for array in batch[name]] == [1, 1, 1]
        np.testing.assert_array_equal(batch[name][0], everything[name][0][:1])
    labels = run(topdown, filter_min_instance_score=0.9)
    np.testing.assert_array_equal(
        to_poses(labels).points, np.concatenate(batch["pred_instance_peaks"])
    )


def test_filters_that_sort_instances_sort_their_crops(run, topdown):
    (batch,) = run(topdown, make_labels=False, filter_overlapping=True)
    assert [array.tolist() for array in batch["centroid_val"]] == [
        array.tolist() for array in batch["instance_scores"]
    ]


def test_arrays_of_a_batch_without_crops(run, topdown):
    with pytest.warns(UserWarning, match="3 of 3 frames have no instance"):
        (batch,) = run(topdown, make_labels=False, return_confmaps=True, peak_threshold=2.0)
    assert [array.shape for array in batch["pred_confmaps"]] == [(0, 2, 0, 0)] * 3
    assert [array.shape for array in batch["instance_bbox"]] == [(0, 4, 2)] * 3


def test_arrays_of_a_bottom_up_model(run, make_model):
    path = make_model("bottomup", {"confmaps": [GREEN, BLUE], "pafs": [[0, 0, 0, 1.0], NOTHING]})
    (batch,) = run([path], make_labels=False, return_confmaps=True, return_pafs=True)
    assert [array.shape for array in batch["pred_instance_peaks"]] == [
        (2, 2, 2),
        (1, 2, 2),
        (2, 2, 2),
    ]
    assert batch["pred_instance_peaks"][1].tolist() == [[[8, 6], [14, 6]]]
    assert batch["pred_confmaps"].shape == (3, 2, 12, 24)
    assert batch["pred_part_affinity_fields"].shape == (3, 12, 24, 2)
    assert (batch["pred_part_affinity_fields"] == [1, 0]).all()
    assert "peaks" not in batch


def test_the_graph_of_a_bottom_up_model(run, make_model):
    path = make_model("bottomup", {"confmaps": [GREEN, BLUE], "pafs": [[0, 0, 0, 1.0], NOTHING]})
    (batch,) = run([path], make_labels=False, return_paf_graph=True)
    assert batch.keys() == ALWAYS | {
        "peaks",
        "peak_vals",
        "peak_channel_inds",
        "edge_inds",
        "edge_peak_inds",
        "line_scores",
    }
    points, nodes, pairs = (
        batch["peaks"][1],
        batch["peak_channel_inds"][1],
        batch["edge_peak_inds"][1],
    )
    assert points[np.argsort(nodes)].tolist() == [[8, 6], [14, 6]]
    assert batch["peak_vals"][1].shape == (2,)
    assert nodes[pairs].tolist() == [[0, 1]]
    assert batch["edge_inds"][1].tolist() == [0]
    np.testing.assert_allclose(batch["line_scores"][1], batch["instance_scores"][1])
    assert [len(pairs) for pairs in batch["edge_peak_inds"]] == [4, 1, 4]


def test_arrays_of_multi_class_models(run, make_model):
    weights = {"confmaps": [GREEN, BLUE], "class_maps": [[0, 0, 0, 4.0], [0, 0, 0, -4.0]]}
    (batch,) = run(
        [make_model("multi_class_bottomup", weights)],
        make_labels=False,
        return_class_maps=True,
        frames=[1],
    )
    assert [array.tolist() for array in batch["pred_class_inds"]] == [[0]]
    np.testing.assert_allclose(batch["class_scores"], [[1 / (1 + np.exp(-4))]], rtol=1e-6)
    assert batch["pred_class_maps"].shape == (1, 2, 12, 24)
    assert "pred_confmaps" not in batch


def test_arrays_of_crops_with_classes(run, make_model, topdown):
    weights = {"confmaps": [GREEN, BLUE], "class_vectors": [[0, 0, 0, 3.0], NOTHING]}
    path = make_model("multi_class_topdown", weights, preprocessing={"crop_size": 15})
    (batch,) = run([topdown[0], path], make_labels=False, return_class_vectors=True)
    assert [array.tolist() for array in batch["pred_class_inds"]] == [[0, 1], [0], [0, 1]]
    assert [array.shape for array in batch["pred_class_vectors"]] == [(2, 2), (1, 2), (2, 2)]
    np.testing.assert_allclose(
        np.concatenate(batch["pred_class_vectors"]).sum(axis=1), 1, rtol=1e-6
    )


def test_arrays_go_to_a_file_where_asked(run, topdown, tmp_path):
    (batch,) = run(
        topdown, make_labels=False, return_confmaps=True, output_path=tmp_path / "arrays.npz"
    )
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {
            f"0/{frame}/{name}"
            for frame in range(3)
            for name in batch.keys() - {"video_idx", "frame_idx"}
        }
        for name in ("pred_confmaps", "pred_instance_peaks", "eff_scale"):
            np.testing.assert_array_equal(arrays[f"0/2/{name}"], batch[name][2])


# ---- errors


def test_an_unknown_argument_is_refused_with_the_nearest(run, single):
    with pytest.raises(
        ConfigError,
        match=r"^run_inference has no argument 'peak_treshold'\. Did you mean 'peak_threshold'\?$",
    ):
        run([single], peak_treshold=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": "four"}, r"runtime.batch_size: got 'four'; accepted: int"),
        ({"batch_size": 0}, r"runtime.batch_size: got 0; accepted: at least 1"),
        ({"max_instances": 1.5}, r"model.max_instances: got 1.5; accepted: int or null"),
        (
            {"integral_refinement": "integra"},
            r"model.integral_refinement: got 'integra'; "
            r"accepted: integral, bounded, offsets. Did you mean 'integral'",
        ),
        ({"peak_threshold": "high"}, r"model.peak_threshold: got 'high'"),
        (
            {"ensure_rgb": True, "ensure_grayscale": True},
            r"preprocessing.ensure_rgb and preprocessing.ensure_grayscale exclude each other",
        ),
        ({"frames": "9"}, r"data.frames: frame 9 is out of range; .*frames\.h5 has frames 0-2"),
        ({"frames": [-1]}, r"negative frame -1"),
        ({"device": "tpu"}, r"runtime.device: 'tpu' is not available here; accepted: auto, cpu"),
        ({"only_labeled_frames": True}, r"data.only_labeled_frames: only for .slp files"),
        (
            {"make_labels": False, "tracking": True},
            r"output.make_labels: got False, but the arrays hold no tracks",
        ),
        (
            {"make_labels": False, "output_path": "a.slp"},
            r"output.path: got .*a.slp, but .* writes arrays only; accepted: an .npz file",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(run, single, options, message):
    with pytest.raises(ConfigError, match=message):
        run([single], **options)


def test_files_that_are_not_there_are_named(run, single):
    with pytest.raises(ConfigError, match=r"data.path: no such file: /no/such\.mp4"):
        run([single], data_path="/no/such.mp4")
    with pytest.raises(ConfigError, match=r"model.paths: no such model folder: /no/such"):
        run(["/no/such"])
    with pytest.raises(RunError, match="cannot be read as a video"):
        run([single], data_path=str(single / "best.ckpt"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"data_path": np.zeros((2, 4, 6, 1))},
            "data_path is an array of the shape (2, 4, 6, 1); accepted: a path, or a list of "
            "paths; give frames as input_video, a NumPy array (frames, h, w, c)",
        ),
        ({"data_path": ["a.mp4", 7]}, "data_path is int; accepted: a path, or a list of paths"),
        (
            {"data_path": sio.Video("a.mp4")},
            "data_path is Video; accepted: a path, or a list of paths; give it as input_video",
        ),
        (
            {"data_path": sio.Labels()},
            "data_path is Labels; accepted: a path, or a list of paths; give them as input_labels",
        ),
        (
            {"input_video": "a.mp4"},
            "input_video is str; accepted: an open video, as sleap_io.load_video(path) returns, "
            "or an array of frames; give a path as data_path",
        ),
        (
            {"input_labels": "a.slp"},
            "input_labels is str; accepted: open labels, as sleap_io.load_slp(path) returns; "
            "give a path as data_path",
        ),
    ],
)
def test_inputs_of_other_kinds_are_refused_with_the_way_to_go(single, given, says):
    with pytest.raises(ConfigError) as caught:
        run_inference(model_paths=[single], **given)
    assert str(caught.value).startswith(f"run_inference: {says}")
    assert "\n" not in str(caught.value)


def test_an_array_is_a_video(run, single, tmp_path):
    frames = np.stack([scene(i) for i in range(N)])
    labels = run([single], input_video=frames, output_path=tmp_path / "p.slp")
    assert points(labels) == points(run([single]))
    assert points(run([single], input_video=frames, frames=[1])) == points(labels)[1:2]
    video = sio.load_slp(str(tmp_path / "p.slp")).video
    assert (video.filename, tuple(video.shape)) == ("array", (N, 24, 48, 3))


def test_an_array_of_fractions_is_the_same_video(run, single):
    frames = np.stack([scene(i) for i in range(N)])
    assert points(run([single], input_video=frames / 255)) == points(run([single]))


def test_a_path_beside_open_data_is_told_not_to_be_used(single):
    frames = np.stack([scene(i) for i in range(N)])
    with pytest.warns(UserWarning, match=r"^data_path=no\.mp4 is not used, as open data are given"):
        run_inference("no.mp4", input_video=frames, model_paths=[single])


def test_frames_that_an_array_does_not_have_are_refused(run, single):
    with pytest.raises(ConfigError, match="array"):
        run([single], input_video=np.zeros((2, 8, 8), np.uint8), frames=[2])


def test_there_must_be_something_to_do(run, single, data_path):
    with pytest.raises(ConfigError, match="needs data_path, input_labels or input_video"):
        run_inference(model_paths=[str(single)])
    with pytest.raises(ConfigError, match="leaves nothing to do"):
        run_inference(input_video=sio.load_video(str(data_path)))
    with pytest.raises(ConfigError, match=r"without a model it must be a \.slp file"):
        run(None, tracking=True)
    with pytest.raises(ConfigError, match=r"without a model it must be a \.slp file"):
        run(None, tracking=True, input_video=sio.load_video(str(data_path)))


def test_videos_that_moved_are_found(run, single, tmp_path, data_path, make_labels):
    labels = make_labels([data_path], user=[(0, 1, [[1, 1], [2, 2], [3, 3]])])
    labels.videos[0].replace_filename("D:/then/frames.h5", open=False)
    (tmp_path / "elsewhere").mkdir()
    labels.save(str(tmp_path / "elsewhere" / "labels.slp"), verbose=False)
    place = {"data_path": tmp_path / "elsewhere" / "labels.slp", "frames": "0"}
    with pytest.raises(RunError, match=r"frames\.h5"):
        run([single], **place)
    moved = {"D:/then": data_path.parent}
    with pytest.warns(UserWarning, match=r"data\.moved: 1 video"):
        assert len(run([single], **place, moved=moved)) == 1
    with pytest.raises(ConfigError, match="moved is for the videos of a data_path"):
        run([single], input_labels=labels, moved=moved)


# ---- notes


def test_arrays_come_with_what_is_to_know(run, topdown):
    with pytest.warns(UserWarning, match="3 of 3 frames have no instance"):
        run(topdown, make_labels=False, filter_min_instance_score=2.0)


def test_what_the_tracker_did_is_told(run, topdown):
    with pytest.warns(UserWarning, match="Tracking: . links were decided by the order"):
        run(topdown, tracking=True)


# ---- names


def test_the_signature_spells_out_every_flag_with_its_default():
    parameters = inspect.signature(run_inference).parameters
    for flag in flags.TRACK:
        assert flag.name in parameters
        if flag.name not in ("data_path", "model_paths", "output_path"):
            assert parameters[flag.name].default == defaults()[flag.key]
            assert parameters[flag.name].kind is inspect.Parameter.KEYWORD_ONLY
    assert list(parameters)[:4] == ["data_path", "input_labels", "input_video", "model_paths"]
    assert all(
        parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()
    )


def test_the_function_is_found_where_users_look_for_it():
    assert sleap_lab.run_inference is sleap_lab.predict.run_inference is run_inference
    with pytest.raises(AttributeError, match="no attribute 'run_inferense'"):
        _ = sleap_lab.run_inferense
    with pytest.raises(AttributeError, match="no attribute 'run'"):
        _ = sleap_lab.predict.run


def test_tracker_options_that_do_not_fit_are_refused_before_anything_is_read(labels):
    with pytest.raises(
        ConfigError, match=r"tracker\.scoring_method=oks cannot compare tracker\.features=bboxes"
    ):
        run_inference(input_labels=labels, tracking=True, features="bboxes")
    with pytest.raises(ConfigError, match=r"tracker\.use_kalman=true needs the number of animals"):
        run_inference(input_labels=labels, tracking=True, use_kalman=True)

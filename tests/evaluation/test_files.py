import csv
import io
import json
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.errors import RunError
from sleap_lab.evaluation import (
    Switch,
    evaluate,
    files,
    load_metrics,
    write_metrics,
    write_switches,
)
from sleap_lab.evaluation.files import read_frames
from sleap_lab.evaluation.influence import parts
from sleap_lab.evaluation.videos import VideoMatch
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import EvaluatorConfig

FILES = ["metrics.csv", "metrics.flat.npz", "metrics.frames.csv", "metrics.json", "metrics.npz"]
SQUARE = [[0, 0], [100, 0], [100, 100], [0, 100]]


@pytest.fixture
def evaluation():
    truth = make_poses(Skeleton(tuple("abcd")), [SQUARE], user=True, frame=[3])
    poses = make_poses(
        truth.skeleton, [[[0, 5], [np.nan, np.nan], [100, 100], [0, 100]]], frame=[3]
    )
    return evaluate(truth, poses, EvaluatorConfig(), videos={0: 0}, video_names=["a.mp4"])


def npy_of(pickled):
    """The bytes of a 0-d object array whose pickle is given."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    return file.getvalue() + pickled


def write_npz(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def assert_same(found, expected):
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_same(found[key], value)
    else:
        np.testing.assert_array_equal(found, expected, strict=True)


def test_what_is_written_is_read_again(tmp_path, evaluation):
    write_metrics(evaluation, tmp_path / "new" / "metrics.npz")
    assert_same(load_metrics(tmp_path / "new" / "metrics.npz"), evaluation.metrics)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == FILES


def test_flat_arrays_need_no_pickle(tmp_path, evaluation):
    write_metrics(evaluation, tmp_path / "metrics.npz")
    with np.load(tmp_path / "metrics.flat.npz", allow_pickle=False) as data:
        numbers = {
            f"{group}/{key}" for group, values in evaluation.metrics.items() for key in values
        }
        lists = {
            f"{group}/{name}"
            for group in ("pairs", "detections")
            for name in ("frame", "scores", "hits", "n_truth")
        }
        assert set(data.files) == numbers | lists
        np.testing.assert_array_equal(
            data["pck_metrics/pcks"], evaluation.metrics["pck_metrics"]["pcks"]
        )
        assert data["distance_metrics/video_paths"].tolist() == ["a.mp4"]


def test_tables_have_one_row_per_animal_and_node_and_per_frame(tmp_path, evaluation):
    write_metrics(evaluation, tmp_path / "metrics.npz")
    with open(tmp_path / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["video"], row["animal"], row["node"], row["n_distances"]) for row in rows] == [
        ("a.mp4", "", "a", "1"), ("a.mp4", "", "b", "0"),
        ("a.mp4", "", "c", "1"), ("a.mp4", "", "d", "1"),
    ]  # fmt: skip
    assert rows[1]["dist_avg"] == ""  # nan
    assert "stratum" not in rows[0]  # each row is an animal's, near others or not
    with open(tmp_path / "metrics.frames.csv", newline="") as file:
        (frame,) = csv.DictReader(file)
    assert (frame["video"], frame["frame"], frame["n_matched"], frame["dist_sum"]) == (
        "0",
        "3",
        "1",
        "5.0",
    )


@pytest.mark.parametrize("match_method", ["oks", "centroid"])
@pytest.mark.parametrize("n", [3, 0], ids=["found", "nothing found"])
def test_metrics_can_be_formed_from_the_files_again(tmp_path, match_method, n):
    frame, video = [3, 4, 1], [0, 0, 2]
    truth = make_poses(Skeleton(tuple("abcd")), [SQUARE] * 3, user=True, frame=frame, video=video)
    points = truth.points + np.array([[[3, 4]], [[0, 1]], [[0, 2]]])
    poses = make_poses(
        truth.skeleton, points[:n], frame=frame[:n], video=video[:n], frames=truth.frames
    )
    matches = [VideoMatch(i, f"{i}.mp4", i, f"{i}.mp4", "same file") for i in (0, 2)]
    config = EvaluatorConfig(
        match_method=match_method, match_threshold=20 if match_method == "centroid" else 0
    )
    result = evaluate(truth, poses, config, videos={0: 0, 2: 2}, video_matches=matches)
    write_metrics(result, tmp_path / "metrics.npz")
    places, table = read_frames(tmp_path / "metrics.npz")
    assert places == [("0.mp4", 3), ("0.mp4", 4), ("2.mp4", 1)]
    assert table.video.tolist() == [0, 0, 1]
    headline, formed = (
        result.headline(),
        {name: value for name, value in parts(table).values.items() if not np.isnan(value)},
    )
    assert {"eval/n_missed"} <= set(formed)
    if n:
        assert set(formed) >= (
            {"coco/ap", "eval/oks_map", "eval/visibility_recall"}
            if match_method == "oks"
            else {"eval/centroid_f1"}
        )
    assert {name: headline[name] for name in formed} == pytest.approx(formed, abs=1e-12)


def test_frames_that_are_not_there_or_damaged(tmp_path, evaluation):
    assert read_frames(tmp_path / "metrics.npz") is None
    write_metrics(evaluation, tmp_path / "metrics.npz")
    (tmp_path / "metrics.flat.npz").write_bytes(b"half")
    with pytest.raises(
        RunError, match=r"metrics\.frames\.csv, metrics\.flat\.npz: the frames cannot be read"
    ):
        read_frames(tmp_path / "metrics.npz")
    np.savez(
        tmp_path / "metrics.flat.npz", **{"distance_metrics/dists": np.array([{}], dtype=object)}
    )
    with pytest.raises(RunError, match="it holds objects, which are not read"):
        read_frames(tmp_path / "metrics.npz")


def test_npz_is_what_sleap_nn_reads(tmp_path, evaluation):
    write_metrics(evaluation, tmp_path / "metrics.npz")
    with np.load(tmp_path / "metrics.npz", allow_pickle=True) as data:
        assert data.files == ["metrics"]
        assert data["metrics"].shape == ()
        assert_same(data["metrics"].item(), evaluation.metrics)


def test_json_has_the_numbers_and_what_explains_them(tmp_path, evaluation):
    torn = [{"video": "a.mp4", "frames": "7-9", "count": 3, "problem": "torn"}]
    write_metrics(evaluation, tmp_path / "metrics", bad_frames=torn)  # the suffix is added
    content = json.loads((tmp_path / "metrics.json").read_text())
    groups = list(evaluation.metrics)
    others = [
        "settings",
        "headline",
        "identity",
        "intervals",
        "breakdown",
        "switches",
        "videos",
        "bad_frames",
        "notes",
    ]
    assert list(content) == [*groups, *others]
    assert content["bad_frames"] == torn
    assert "pcks" not in content["pck_metrics"]
    assert (
        content["pck_metrics"]["mPCK_parts"]
        == evaluation.metrics["pck_metrics"]["mPCK_parts"].tolist()
    )
    assert content["distance_metrics"]["dists"] == [[5, None, 0, 0]]
    assert content["distance_metrics"]["video_paths"] == ["a.mp4"]
    assert content["visibility_metrics"]["fn"] == 1
    assert content["settings"]["oks_stddev"] == 0.025
    assert content["headline"]["eval/dist_avg"] == pytest.approx(5 / 3)
    row = content["breakdown"][2]
    expected = {
        "video": None,
        "animal": None,
        "node": "b",
        "n_matched": 1,
        "n_labelled": 1,
        "n_distances": 0,
        "dist_avg": None,
        "pck": 0,
    }
    assert {name: row[name] for name in expected} == expected
    assert content["intervals"]["values"] == {}  # a single frame


def test_a_folder_that_cannot_be_made_is_named(tmp_path, evaluation):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="file"):
        write_metrics(evaluation, tmp_path / "file" / "metrics.npz")


def test_a_failed_write_leaves_the_old_file(tmp_path, evaluation, monkeypatch):
    write_metrics(evaluation, tmp_path / "metrics.npz")
    before = (tmp_path / "metrics.npz").read_bytes()

    def full(file, **arrays):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(RunError, match="No space left"):
        write_metrics(evaluation, tmp_path / "metrics.npz")
    assert (tmp_path / "metrics.npz").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES


@pytest.mark.parametrize(
    ("files", "arguments", "expected"),
    [
        (["metrics.test.0.npz", "metrics.val.0.npz"], {}, "metrics.test.0.npz"),
        (["metrics.val.0.npz"], {}, "metrics.val.0.npz"),  # test falls back to val
        (
            ["train_1_pred_metrics.npz", "train_0_pred_metrics.npz"],
            {"split": "train", "dataset_idx": 1},
            "train_1_pred_metrics.npz",
        ),
        (["metrics.val.0.npz", "val_0_pred_metrics.npz"], {"split": "val"}, "metrics.val.0.npz"),
        (["test_0_pred_metrics.npz", "metrics.val.0.npz"], {}, "test_0_pred_metrics.npz"),
    ],
)
def test_files_in_a_model_folder(tmp_path, files, arguments, expected):
    for name in files:
        np.savez(tmp_path / name, metrics=np.array({"name": name}, dtype=object))
    assert load_metrics(tmp_path, **arguments) == {"name": expected}


def test_missing_files_are_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"metrics\.train\.2\.npz, train_2_pred_metrics\.npz"
    ):
        load_metrics(tmp_path, split="train", dataset_idx=2)
    with pytest.raises(FileNotFoundError, match=r"nothing\.npz"):
        load_metrics(tmp_path / "nothing.npz")


def test_what_a_reader_makes_of_an_interruption_is_one(tmp_path, monkeypatch):
    def read(*_, **__):
        raise ValueError("attribute is missing") from KeyboardInterrupt()

    np.savez(tmp_path / "m.npz", numbers=np.arange(3))
    monkeypatch.setattr(files, "read_arrays", read)
    with pytest.raises(KeyboardInterrupt):
        load_metrics(tmp_path / "m.npz")


def test_groups_as_separate_keys(tmp_path):
    np.savez(tmp_path / "m.npz", mOKS=np.array({"mOKS": 0.5}, dtype=object), numbers=np.arange(3))
    found = load_metrics(tmp_path / "m.npz")
    assert found["mOKS"] == {"mOKS": 0.5}
    assert found["numbers"].tolist() == [0, 1, 2]


def test_arrays_of_every_kind(tmp_path):
    content = {
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big endian": np.arange(3, dtype=">i4"),
        "text": np.array(["a", "bc"]),
        "flags": np.array([[True], [False]]),
        "objects": np.array([["a", None], [1, {"x": np.float32(2)}]], dtype=object),
        "scalar": np.float64(0.1),
        "tuple": (1, [2.0, "three"], None),
        "none": np.zeros((0, 4)),
    }
    np.savez(tmp_path / "m.npz", metrics=np.array(content, dtype=object))
    found = load_metrics(tmp_path / "m.npz")
    assert list(found) == list(content)
    for key in ("fortran", "big endian", "text", "flags", "objects", "none"):
        np.testing.assert_array_equal(found[key], content[key])
        assert found[key].dtype == content[key].dtype
    assert found["scalar"] == np.float64(0.1)
    assert isinstance(found["scalar"], np.float64)
    assert found["tuple"] == content["tuple"]


def test_files_of_numpy_1(tmp_path):
    data = pickle.dumps(np.array({"x": np.arange(3)}, dtype=object), protocol=3).replace(
        b"numpy._core", b"numpy.core"
    )
    assert b"numpy.core.multiarray" in data
    found = load_metrics(write_npz(tmp_path / "m.npz", metrics=npy_of(data)))
    assert found["x"].tolist() == [0, 1, 2]


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_code_in_a_file_is_refused_and_not_run(tmp_path):
    trap = tmp_path / "trap"
    np.savez(tmp_path / "m.npz", metrics=np.array({"x": Hostile(str(trap))}, dtype=object))
    with pytest.raises(RunError, match=r"m\.npz: .*asks for _?io\.open"):
        load_metrics(tmp_path / "m.npz")
    assert not trap.exists()


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (
            npy_of(pickle.dumps(np.array(Skeleton(("a",)), dtype=object))),
            "sleap_lab.poses.record.Skeleton",
        ),  # a class of somebody's package
        (npy_of(b"cnumpy\ndtype\n(S'V8'\ntR."), "type V8"),  # raw memory
        (npy_of(b""), ""),
        (b"no array", ""),
    ],
)
def test_anything_else_is_refused(tmp_path, member, reason):
    with pytest.raises(RunError, match=f"not a metrics file that can be read safely .*{reason}"):
        load_metrics(write_npz(tmp_path / "m.npz", metrics=member))


def test_a_file_that_is_no_archive_is_named(tmp_path):
    (tmp_path / "m.npz").write_bytes(b"text")
    with pytest.raises(RunError, match=r"m\.npz: not a metrics file"):
        load_metrics(tmp_path / "m.npz")


def test_identity_metrics_of_every_video_stand_beside_those_of_all(tmp_path, evaluation):
    pooled, alone = {"idf1": 0.8}, {"idf1": 0.9}
    tracked = replace(
        evaluation,
        identity=pooled,
        identity_by_video=((0, alone), (1, {"idf1": 0.5})),
        video_names=("a.mp4",),
    )
    write_metrics(tracked, tmp_path / "metrics.npz")
    identity = json.loads((tmp_path / "metrics.json").read_text())["identity"]
    assert identity == {
        "pooled": pooled,
        "videos": [
            {"video": 0, "name": "a.mp4", "idf1": 0.9},
            {"video": 1, "name": "1", "idf1": 0.5},
        ],
    }


def test_switches_are_written_as_a_table(tmp_path, evaluation):
    events = (
        Switch(0, 0, 12, "A", "track_0", "track_1", "B", 10 / 3),
        Switch(0, 0, 20, "A", "track_1", "track_0", "", float("nan")),
    )
    write_switches(
        replace(evaluation, switches=events, video_names=("a,b.mp4",)),
        tmp_path / "run" / "switches.csv",
    )
    with (tmp_path / "run" / "switches.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "video": "0",
        "video_name": "a,b.mp4",
        "frame": "12",
        "animal": "A",
        "from_track": "track_0",
        "to_track": "track_1",
        "nearest_animal": "B",
        "nearest_distance_px": "3.33",
    }
    assert (rows[1]["nearest_animal"], rows[1]["nearest_distance_px"]) == ("", "")

"""Many recordings: what a glob, a list or a table stands for, and how it becomes jobs."""

from pathlib import Path

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings import inputs
from sleap_lab.settings.jobs import check_jobs
from sleap_lab.settings.recordings import folder_name, job_per_recording, recordings

TRACKING = ["model=none", "tracker=fixed_window"]


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    """A working directory with files of recordings in several folders."""
    monkeypatch.chdir(tmp_path)
    names = [
        "one.mp4", "day1/clip.mp4", "day2/clip.mp4", "day2/2.mp4", "day2/10.mp4", "day2/notes.json",
        "labels/a.slp", "labels/b.slp", "images/1.png", "images/2.png", "truth.slp",
        "frames/x/1.png", "frames/y/1.png",
    ]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def paths(path):
    return [str(Path(each.path).relative_to(Path.cwd())) for each in recordings(path)]


def refusal(call, *arguments):
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{Path.cwd()}/", "")


def test_a_glob_a_folder_and_a_list_name_each_of_their_recordings():
    Path("all.txt").write_text("# mice\nday1/clip.mp4\n\nday2/*.mp4\nimages\n")
    in_day2 = ["day2/2.mp4", "day2/10.mp4", "day2/clip.mp4"]
    assert paths("day2/*.mp4") == in_day2
    assert paths("day2") == in_day2
    assert paths("day*/clip.mp4") == ["day1/clip.mp4", "day2/clip.mp4"]
    assert paths("all.txt") == ["day1/clip.mp4", *in_day2, "images"]
    assert paths("labels/*.slp") == ["labels/a.slp", "labels/b.slp"]
    assert paths("frames/*") == ["frames/x", "frames/y"]
    assert paths("day1/*.mp4") == ["day1/clip.mp4"]


@pytest.mark.parametrize("path", ["one.mp4", "images", "day1", "missing.mp4"])
def test_a_single_recording_stays_as_it_was_typed(path):
    assert recordings(path) == []


def test_a_table_gives_each_recording_its_own_settings():
    Path("sub").mkdir()
    Path("sub/all.csv").write_text(
        "\ufeffdata.path,data.frames,tracker.max_tracks,tracker,evaluator.ground_truth_path\n"
        '../one.mp4,"0-9,20-29",2,flow,../truth.slp\n'
        "../day2/2.mp4,,,,\n"
    )
    first, second = recordings("sub/all.csv")
    assert [Path(each.path).resolve() for each in (first, second)] == [
        Path("one.mp4").resolve(),
        Path("day2/2.mp4").resolve(),
    ]
    assert dict(first.settings) == {
        "data.frames": "data.frames='0-9,20-29'",
        "tracker.max_tracks": "tracker.max_tracks=2",
        "tracker": "tracker=flow",
        "evaluator.ground_truth_path": f"evaluator.ground_truth_path={Path.cwd()}/sub/../truth.slp",
    }
    assert second.settings == {}


@pytest.fixture
def copied(monkeypatch):
    """Take the place of copying from servers; a copy is named after its URL's last letter."""

    def copy_of(url):
        Path("copies").mkdir(exist_ok=True)
        copy = Path("copies", f"{url[-1]}.mp4").absolute()
        copy.touch()
        return copy

    monkeypatch.setattr(inputs, "copy_of", copy_of)


def test_urls_in_lists_and_tables_stand_for_their_copies(copied):
    Path("all.txt").write_text("https://h/a.mp4?sig=x\none.mp4\n")
    assert paths("all.txt") == ["copies/x.mp4", "one.mp4"]
    Path("all.csv").write_text(
        "data.path,evaluator.ground_truth_path\nhttps://h/a.mp4?sig=x,https://h/t.slp?sig=y\n"
    )
    (only,) = recordings("all.csv")
    assert only.path == f"{Path.cwd()}/copies/x.mp4"
    assert list(only.settings.values()) == [
        f"evaluator.ground_truth_path={Path.cwd()}/copies/y.mp4"
    ]


def test_a_url_where_none_is_accepted_stays_one_and_shows_no_secret():
    Path("all.csv").write_text("data.path,model.paths\none.mp4,https://h/m?token=x\n")
    (only,) = recordings("all.csv")
    assert list(only.settings.values()) == ["model.paths='https://h/m?token=***'"]


def test_a_url_with_a_query_is_no_glob():
    assert recordings("https://h/a.mp4?n=[1]*") == []


def test_a_url_that_cannot_be_read_is_named_with_its_place(monkeypatch):
    def copy_of(url):
        raise ConfigError("https://h/a.mp4: cannot be read (403)")

    monkeypatch.setattr(inputs, "copy_of", copy_of)
    for name, head in (("all.txt", "# one"), ("all.csv", "data.path")):
        Path(name).write_text(f"{head}\nhttps://h/a.mp4?sig=x\n")
        told = f"data.path: https://h/a.mp4: cannot be read (403) (line 2 of {name})"
        assert refusal(recordings, name) == told


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_may_be_separated_as_spreadsheets_do(separator):
    lines = [("data.path", "tracker.max_tracks"), ("one.mp4", "3")]
    Path("all.csv").write_text("\n".join(map(separator.join, lines)))
    (only,) = recordings("all.csv")
    assert dict(only.settings) == {"tracker.max_tracks": "tracker.max_tracks=3"}


def test_a_cell_is_text_where_it_is_no_value():
    Path("all.csv").write_text('data.path,logger.run_name\none.mp4,"what: now? (ü)"\n')
    assert recordings("all.csv")[0].settings["logger.run_name"] == (
        "logger.run_name='what: now? (ü)'"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("path\none.mp4\n", "data.path: all.csv has the columns path; accepted: data.path, and"),
        ("", "data.path: all.csv has the columns of an empty file; accepted: data.path"),
        (
            "data.path,tracker.max_track\none.mp4,2\n",
            "data.path: all.csv, column 'tracker.max_track': tracker.max_track: there is no such "
            "key. Did you mean 'tracker.max_tracks'?",
        ),
        ("data.path,data.frames,data.frames\n", "all.csv has the column 'data.frames' twice"),
        ("data.path,data.frames\none.mp4\n", "line 2 of all.csv has 1 cells; accepted: 2"),
        ("data.path,data.frames\n,0-9\n", "line 2 of all.csv names no recording"),
        ("data.path\nmissing.mp4\n", "data.path: no such file: missing.mp4 (line 2 of all.csv)"),
        (
            "data.path\none.mp4\nday1/../one.mp4\n",
            "is named twice, by line 2 of all.csv and line 3 of all.csv",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_line(content, told):
    Path("all.csv").write_text(content)
    assert told in refusal(recordings, "all.csv")


def test_lists_that_cannot_be_used_are_refused():
    Path("twice.txt").write_text("one.mp4\n./one.mp4\n")
    Path("latin.csv").write_bytes("data.path\nmäuse.mp4\n".encode("latin-1"))
    Path("empty.csv").write_text("data.path\n")
    assert "one.mp4 is named twice, by line 1 of twice.txt and line 2 of twice.txt" in refusal(
        recordings, "twice.txt"
    )
    assert refusal(recordings, "latin.csv").startswith("data.path: latin.csv cannot be read")
    assert refusal(recordings, "empty.csv") == "data.path: empty.csv names no recording"
    assert refusal(recordings, "nothing/*.mp4").startswith("data.path: no video, image or .slp")


def test_one_recording_twice_with_other_settings_is_two_jobs():
    Path("all.csv").write_text("data.path,data.frames\none.mp4,0-9\none.mp4,10-19\n")
    assert [each.settings["data.frames"] for each in recordings("all.csv")] == [
        "data.frames=0-9",
        "data.frames=10-19",
    ]


def test_each_batch_runs_on_each_recording():
    Path("all.csv").write_text("data.path,data.frames\none.mp4,0-9\nday1/clip.mp4,\n")
    one, clip = Path("one.mp4").absolute(), Path("day1/clip.mp4").absolute()
    batches = [["data.path=all.csv", "tracker=flow"], ["tracker=kalman", "data.path=all.csv"]]
    assert job_per_recording(batches, None) == (
        [
            [f"data.path={one}", "data.frames=0-9", "tracker=flow"],
            [f"data.path={clip}", "tracker=flow"],
            [f"data.path={one}", "data.frames=0-9", "tracker=kalman"],
            [f"data.path={clip}", "tracker=kalman"],
        ],
        ["one", "clip", "one", "clip"],
    )
    assert "data.frames: given on the command line and by line 2 of all.csv" in refusal(
        job_per_recording, [["data.path=all.csv", "data.frames=5"]], None
    )


def test_a_list_in_brackets_and_a_single_recording_stay_one_job():
    for words in (["data.path=[one.mp4,day1/clip.mp4]"], ["data.path=one.mp4"], ["tracker=flow"]):
        assert job_per_recording([words], None) == ([words], [None])
    assert job_per_recording([["tracker=flow"]], "day2/*.mp4")[1] == ["2", "10", "clip"]


@pytest.mark.parametrize(
    ("name", "number", "jobs", "expected"),
    [
        ("mouse 1", 7, 200, "007_mouse 1"),
        ("stop", 0, 10, "0_stop"),
        (".hidden", 0, 1, "0_hidden"),
        ("a/b:c*?", 1, 2, "1_a_b_c_"),
        ("ü" * 100, 1, 2, f"1_{'ü' * 40}"),
        ("...", 1, 2, "1_recording"),
    ],
)
def test_folders_are_named_by_number_and_recording(name, number, jobs, expected):
    assert folder_name(name, number, jobs) == expected


def test_recordings_of_equal_name_get_folders_of_their_own():
    checked = check_jobs(["data.path='labels/*.slp'", *TRACKING], multirun=True)
    assert [job.folder for job in checked.jobs] == ["0_a", "1_b"]
    Path("day1/a.slp").touch()
    checked = check_jobs(["data.path='**/a.slp'", *TRACKING], multirun=True)
    assert [job.folder for job in checked.jobs] == ["0_a", "1_a"]
    assert len({job.config.data.path for job in checked.jobs}) == 2
    chosen = ["data.path='labels/*.slp'", "hydra.sweep.subdir='x${hydra.job.num}'", *TRACKING]
    assert [job.folder for job in check_jobs(chosen, multirun=True).jobs] == ["x0", "x1"]


def test_a_table_needs_a_sweep():
    Path("all.csv").write_text("data.path\none.mp4\n")
    told = refusal(lambda: check_jobs(["data.path=all.csv", *TRACKING], multirun=False))
    assert told == "data.path: all.csv is a table of recordings, each of which is a job; add -m"

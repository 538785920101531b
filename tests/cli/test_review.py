"""The verb `review`."""

import pytest
import sleap_io as sio

from sleap_lab.cli import main
from sleap_lab.cli.review import review_run, show
from sleap_lab.errors import ConfigError
from sleap_lab.experiment import run_experiment

TRIANGLE = [[10.0, 10.0], [20.0, 10.0], [10.0, 20.0]]


def moved(by):
    return [[x + by, y] for x, y in TRIANGLE]


@pytest.fixture
def lab(tmp_path, monkeypatch, make_labels, video_path):
    """A working directory with poses, of which two lie on each other on frame 3, and a truth."""
    monkeypatch.chdir(tmp_path)
    for name in ("snapshot", "verify"):  # the checkout that the tests run in may be worked on
        monkeypatch.setattr(f"sleap_lab.runs.{name}.git_state", lambda *sources: (None, b""))
    predicted = [(0, frame, moved(frame)) for frame in [0, 1, 2, 3, 3, 4, 5]]
    make_labels([video_path], predicted=predicted).save("poses.slp", verbose=False)
    make_labels([video_path], user=[(0, frame, moved(frame)) for frame in range(6)]).save(
        "truth.slp", verbose=False
    )
    return tmp_path


@pytest.fixture
def make_tracked(lab, make_labels, video_path):
    """Return a function that writes two animals whose tracks are exchanged from a frame on."""

    def make(name, exchanged_from, frames=range(6)):
        predicted = [(0, i, moved(20 * animal)) for i in frames for animal in (0, 1)]
        labels = make_labels([video_path], predicted=predicted)
        labels.tracks = [sio.Track("left"), sio.Track("right")]
        for frame in labels.labeled_frames:
            for animal, instance in enumerate(frame.instances):
                exchanged = frame.frame_idx >= exchanged_from
                instance.track = labels.tracks[1 - animal if exchanged else animal]
        labels.save(str(lab / name), verbose=False)

    return make


def test_a_run_gets_its_page_and_its_moments(lab, capsys):
    words = "data.path=poses.slp model=none tracker=fixed_window evaluator=oks"
    words += " evaluator.ground_truth_path=truth.slp logger=none report=none"
    folder = run_experiment(words.split()).folder
    show(review_run(str(folder), tracking_uri=None, outputs_root=lab / "outputs"))
    assert {"review.html", "suspects.csv", "suspects.slp"} <= {
        file.name for file in folder.iterdir()
    }
    printed = capsys.readouterr().out
    assert "what looks wrong" in printed
    assert "moments to look at  1\n" in printed
    assert "is not known" not in printed
    assert "Ground truth" in (folder / "review.html").read_text(encoding="utf-8")


def test_a_labels_file_has_its_files_in_the_outputs_folder(lab, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["review", "poses.slp"])
    assert stop.value.code == 0
    (page,) = (lab / "outputs" / "review").glob("*/review.html")
    printed = " ".join(capsys.readouterr().out.split())
    assert str(page.relative_to(lab)) in printed
    assert "run sleap-lab data.path=poses.slp model=none evaluator=oks" in printed
    assert "jumps, flips and gaps are not looked for, since poses have no tracks" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere is not a run folder"),
        (["a", "b"], "give one run or labels file; got a b"),
        (["gone.slp"], "gone.slp: no such labels file"),
        (["poses.slp", "--budget", "lots"], "--budget lots; accepted: a share of the frames"),
        (["poses.slp", "--budget=120%"], "--budget 120%; accepted"),
        (["poses.slp", "--budget"], "--budget: expected one argument"),
        (["poses.slp", "--proofread", "truth.slp"], "--proofread is what a promise rests on; give"),
        (["poses.slp", "--frames", "0-3"], "--frames are those of --proofread FILE; give it"),
        (
            ["poses.slp", "--budget=1%", "--proofread=truth.slp", "--frames=three"],
            "review: --frames: cannot read 'three'",
        ),
        (["poses.slp", "--budget=1%", "--proofread=gone.slp"], "gone.slp"),
        (["poses.slp", "--budget=1%", "--proofread=truth.slp"], "truth.slp: no tracks of the"),
    ],
)
def test_what_is_no_run_is_refused(lab, words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["review", *words])
    assert stop.value.code in (1, ConfigError.exit_code)
    assert message in capsys.readouterr().err


def test_help_tells_what_is_written(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["review", "--help"])
    assert stop.value.code == 0
    assert {"review.html", "suspects.csv", "suspects.slp"} <= set(capsys.readouterr().out.split())


@pytest.mark.parametrize("budget", [["--budget", "20%"], ["--budget=0.2"]])
def test_a_budget_says_what_remains(lab, capsys, budget):
    words = "data.path=poses.slp model=none tracker=fixed_window logger=none report=none"
    folder = run_experiment(words.split()).folder
    with pytest.raises(SystemExit) as stop:
        main(["review", str(folder), *budget])
    assert stop.value.code == 0
    promise = "the number of identity switches that remain is at most"
    assert promise in " ".join(capsys.readouterr().out.split())
    assert promise in (folder / "review.html").read_text(encoding="utf-8")


def test_a_promise_rests_on_frames_that_were_proofread(lab, make_tracked, capsys):
    make_tracked("tracked.slp", exchanged_from=3)
    make_tracked("proofread.slp", exchanged_from=100)
    words = ["review", "tracked.slp", "--budget", "1%", "--proofread", "proofread.slp"]
    with pytest.raises(SystemExit) as stop:
        main([*words, "--frames", "1-4"])
    assert stop.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert " in 2 frames), the number" in printed
    assert "this rests on 4 proofread frames (switches where nobody would have looked: 2" in printed
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == ConfigError.exit_code
    assert "every frame of gray.mp4 is among the proofread ones" in capsys.readouterr().err


def test_the_tracks_of_a_runs_ground_truth_were_proofread(lab, make_tracked, capsys):
    make_tracked("tracked.slp", exchanged_from=3)
    make_tracked("proofread.slp", exchanged_from=100, frames=range(1, 5))
    words = "data.path=tracked.slp model=none evaluator=identity logger=none report=none"
    words += " evaluator.ground_truth_path=proofread.slp evaluator.user_labels_only=false"
    folder = run_experiment(words.split()).folder
    show(review_run(str(folder), tracking_uri=None, outputs_root=lab / "outputs", budget=0.01))
    printed = " ".join(capsys.readouterr().out.split())
    assert "this rests on 4 proofread frames (switches where nobody would have looked: 2" in printed

"""The verb `review`."""

import pytest

from sleap_lab.cli import main
from sleap_lab.errors import ConfigError
from sleap_lab.experiment import run_experiment
from sleap_lab.review import review_run, show

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
    assert "Ground truth" in (folder / "review.html").read_text(encoding="utf-8")


def test_a_labels_file_has_its_files_in_the_outputs_folder(lab, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["review", "poses.slp"])
    assert stop.value.code == 0
    (page,) = (lab / "outputs" / "review").glob("*/review.html")
    assert str(page.relative_to(lab)) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere is not a run folder"),
        (["a", "b"], "give one run or labels file; got a b"),
        (["gone.slp"], "gone.slp: no such labels file"),
        (["poses.slp", "--budget", "lots"], "--budget lots; accepted: a share of the frames"),
        (["poses.slp", "--budget=120%"], "--budget 120%; accepted"),
        (["poses.slp", "--budget"], "--budget without a value"),
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
    promise = "identity switches remain, with 95% confidence"
    assert promise in " ".join(capsys.readouterr().out.split())
    assert promise in (folder / "review.html").read_text(encoding="utf-8")

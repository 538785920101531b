"""The verb `runs`, as it is typed."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from sleap_lab import terminal
from sleap_lab.cli.runs import _size, run_runs
from sleap_lab.errors import ConfigError


@pytest.fixture(autouse=True)
def run_folder(tmp_path, monkeypatch, logger, make_run):
    monkeypatch.chdir(tmp_path)
    return make_run(tmp_path / "outputs" / "day" / "one", logger).relative_to(tmp_path)


def told(capsys):
    return " ".join("".join(capsys.readouterr()).split())


def test_runs_are_listed_shown_and_tagged(run_folder, capsys):
    assert run_runs(["ls"]) == 0
    assert "outputs/day/one" in (said := told(capsys))
    assert "finished unet a.mp4 oks_map 0.75" in said
    assert run_runs(["ls", "status=failed"]) == 0
    assert told(capsys).endswith("0 runs")
    assert run_runs(["tag", str(run_folder), "animal=mouse"]) == 0
    assert "animal mouse lab west" in told(capsys)
    assert run_runs(["show", str(run_folder)]) == 0
    said = told(capsys)
    assert "status finished" in said
    assert "tag animal mouse" in said
    assert "eval/oks_map 0.75" in said


def test_a_terminal_shows_the_newest_and_says_how_to_see_all(
    run_folder, logger, make_run, capsys, monkeypatch
):
    make_run(Path("outputs/day/two"), logger, started="2099-01-01T00:00:00+00:00")
    monkeypatch.setattr(terminal, "most_rows", lambda: 1)
    assert run_runs(["ls"]) == 0
    assert "outputs/day/two" in (said := told(capsys))
    assert "outputs/day/one" not in said
    assert said.endswith("2 runs, 1 of them shown; conditions select, and | less shows all")
    assert terminal.ROWS_OF_TERMINAL == 100


def test_what_a_file_or_a_pipe_gets_is_whole(monkeypatch):
    assert terminal.most_rows() is None
    monkeypatch.setattr(terminal, "results", Console(force_terminal=True))
    assert terminal.most_rows() == terminal.ROWS_OF_TERMINAL


def test_a_run_moves_to_another_machine(run_folder, capsys, tmp_path, monkeypatch):
    assert run_runs(["export", str(run_folder), "one.tar.zst"]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run_runs(["import", "../one.tar.zst"]) == 0
    assert (tmp_path / "elsewhere" / run_folder / "run.json").is_file()


@pytest.mark.parametrize(("answer", "removed"), [("y\n", True), ("\n", False), ("no\n", False)])
def test_removing_asks_first(run_folder, monkeypatch, capsys, answer, removed):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert run_runs(["rm", str(run_folder)]) == 0
    assert run_folder.exists() is not removed
    assert ("nothing is removed" in told(capsys)) is not removed


def test_without_a_terminal_removing_needs_a_word(run_folder, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(ConfigError, match="--yes removes without asking"):
        run_runs(["rm", str(run_folder)])
    assert run_folder.exists()
    assert run_runs(["rm", str(run_folder), "--yes"]) == 0
    assert not run_folder.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lst"], "runs: got lst; accepted: ls, show"),
        (["ls", "--all"], "runs ls: got --all; accepted: --jobs"),
        (["show"], "runs show: got nothing; accepted: one"),
        (["tag", "outputs/day/one"], "runs tag: give a run and NAME=VALUE"),
        (["tag", "outputs/day/one", "=x"], "runs tag: give a run and NAME=VALUE"),
        (["rm"], "runs rm: give the folders"),
        (["rm", "outputs"], "runs: outputs holds no run"),
        (["export", "outputs/day/one"], "runs export: got outputs/day/one; accepted: RUN FILE"),
    ],
)
def test_what_is_wrong_is_told(words, message):
    with pytest.raises(ConfigError) as caught:
        run_runs(words)
    assert str(caught.value).startswith(message)


def test_help_teaches(capsys):
    assert run_runs([]) == 2
    assert run_runs(["--help"]) == 0
    assert "sleap-lab runs export RUN FILE.tar.zst" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0.0 kB"), (1234, "1.2 kB"), (99_999, "100.0 kB"), (1.2e9, "1,200.0 MB")],
)
def test_small_sizes_are_not_nothing(count, shown):
    assert _size(count) == shown

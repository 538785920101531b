import io
import itertools
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from sleap_lab import terminal

ODD = "a [red]b[/] \\[c] :x: 100% {d} ü 'e' \\"


@pytest.fixture
def clock(monkeypatch):
    """Let each reading of the clock by the test be four seconds after the previous one."""
    ticks, real, test = itertools.count(step=4.0), time.monotonic, threading.current_thread()
    monkeypatch.setattr(
        terminal.time,
        "monotonic",
        lambda: next(ticks) if threading.current_thread() is test else real(),
    )


@pytest.mark.parametrize(
    ("show", "word"), [(terminal.warn, "warning"), (terminal.fail, "error")], ids=["warn", "fail"]
)
def test_messages_are_one_line_whatever_they_hold(show, word, capsys):
    show(ODD * 10)
    assert capsys.readouterr() == ("", f"{word}: {ODD * 10}\n")


@pytest.mark.parametrize("text", ["a\nb", "\x1b[2J\x1b]0;title\x07", "a\rb\tc\x00", "\udcff"])
def test_control_characters_are_written_out(text, capsys):
    for show in (
        terminal.warn,
        terminal.fail,
        terminal.text,
        lambda text: terminal.table([(text, text)]),
        lambda text: terminal.grid(["x"], [[text]]),
    ):
        show(text.replace("\n", "\x0b"))  # a text for itself may have several lines
        shown = "".join(capsys.readouterr())
        assert repr(text.replace("\n", "\x0b"))[1:-1] in shown
        assert not {c for c in shown if c != "\n" and not c.isprintable()}
    terminal.fail(text)
    assert capsys.readouterr().err == f"error: {repr(text)[1:-1]}\n"


def test_endless_messages_are_cut(capsys):
    terminal.fail("x" * 10_000)
    assert (
        capsys.readouterr().err == f"error: {'x' * terminal.MOST_CHARACTERS}… (10000 characters)\n"
    )


def test_texts_keep_their_lines(capsys):
    terminal.text("a\n  [b]\n\nc")
    assert capsys.readouterr().out == "a\n  [b]\n\nc\n"


def test_table_lines_up_names_and_leaves_values_alone(capsys):
    terminal.table([("frames", "10"), ("[x]", ODD)])
    assert capsys.readouterr() == (f"frames  10\n[x]     {ODD}\n", "")


def test_an_empty_table_is_nothing(capsys):
    terminal.table([])
    assert capsys.readouterr().out == ""


def test_progress_hands_items_on_and_says_how_it_went(clock, capsys):
    assert list(terminal.progress("abcd", 4, "predicting")) == list("abcd")
    # Readings of the clock: 0 at the start; 4, 8, 12, 16 after the items; 20 at the end.
    # A line follows after ten seconds.
    assert capsys.readouterr().err.splitlines() == [
        f"predicting: 3/4 frames, {3 / 12:.1f} frames/s, {1 / (3 / 12):.0f} s left",
        "predicting: 4/4 frames in 20.0 s",
    ]


def test_what_an_earlier_run_did_is_done_and_no_part_of_the_rate(clock, capsys):
    assert list(terminal.progress("abcd", 10, "predicting", before=6)) == list("abcd")
    assert capsys.readouterr().err.splitlines() == [
        f"predicting: 9/10 frames, {3 / 12:.1f} frames/s, {1 / (3 / 12):.0f} s left",
        "predicting: 10/10 frames in 20.0 s, 6 of them before",
    ]


def test_an_interrupted_progress_does_not_say_that_it_is_done(clock, capsys):
    def items():
        yield "a"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(terminal.progress(items(), 2, "predicting"))
    assert capsys.readouterr().err == ""


def test_work_that_is_done_at_once_is_not_shown(clock, monkeypatch, capsys):
    monkeypatch.setattr(terminal, "SECONDS_OF_SILENCE", 8.5)
    with terminal.watching("tracking") as watch:  # the clock: 0 at the start
        watch(1, 1)  # 4; it is 8 at the end
    assert capsys.readouterr().err == ""


def test_work_of_unknown_duration_is_shown_once_it_takes_long(clock, capsys):
    with terminal.watching("tracking") as watch:
        for done in range(1, 5):  # 4, 8, 12 and 16; a line follows after ten seconds
            watch(done, 4)
    assert capsys.readouterr().err.splitlines() == [
        f"tracking: 3/4 frames, {3 / 12:.1f} frames/s, {1 / (3 / 12):.0f} s left",
        "tracking: 4/4 frames in 20.0 s",
    ]


def test_of_steps_a_share_is_shown_and_no_time_left(clock, capsys):
    with terminal.watching("tracking") as watch:
        for step, done, total in (("one", 0, 1), ("two", 0, 4), ("two", 1, 4), ("two", 4, 4)):
            watch(done, total, step)  # 4, 8, 12 and 16
    assert capsys.readouterr().err.splitlines() == [
        f"tracking, two: {1 / 4:.0%}",
        "tracking: done in 20.0 s",
    ]


def test_interrupted_work_does_not_say_that_it_is_done(clock, capsys):
    def work():
        with terminal.watching("tracking") as watch:
            watch(1, 2)
            watch(2, 2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert capsys.readouterr().err == ""


def test_says_what_takes_its_time(capsys):
    terminal.doing("job 3: tracking")
    assert capsys.readouterr().err == "job 3: tracking …\n"


def test_progress_reads_an_item_only_when_it_is_wanted(capsys):
    items = iter("abc")
    shown = terminal.progress(items, 3, "predicting")
    assert next(shown) == "a"
    assert next(items) == "b"


def test_progress_is_a_bar_on_a_terminal(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(terminal, "messages", Console(file=screen, force_terminal=True, width=120))
    assert list(terminal.progress(range(3), 5, "predicting", before=2)) == [0, 1, 2]
    assert "predicting" in screen.getvalue()
    assert "5/5" in screen.getvalue()


@pytest.mark.parametrize(
    ("completed", "seconds", "shown"),
    [
        (2, 0.0, ""),  # what an earlier run did tells nothing about the rate
        (6, 2.0, "frames, 2.0 frames/s, 0:02:00 left"),  # 240 left at 4 in 2 s
        (246, 122.0, "frames, 2.0 frames/s, in 0:02:02"),
    ],
)
def test_the_bar_tells_the_rate_since_the_start_and_what_is_left(completed, seconds, shown):
    now = [0.0]
    bar = Progress(get_time=lambda: now[0], disable=True)
    bar.add_task("predicting", total=246, completed=2)
    (task,) = bar.tasks
    now[0] = seconds
    for _ in range(completed - 2):  # those of a batch come all at once
        bar.advance(task.id)
    assert terminal._RateColumn(2).render(task).plain == shown


def screen_of(monkeypatch, silence, *told, stopped=False):
    """What a terminal shows of work that tells how far it is."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(terminal, "messages", console)
    monkeypatch.setattr(terminal, "SECONDS_OF_SILENCE", silence)
    monkeypatch.setattr(terminal, "SECONDS_BETWEEN_BARS", 0)
    with suppress(KeyboardInterrupt), terminal.watching("tracking") as watch:
        for each in told:
            watch(*each)
        if stopped:
            raise KeyboardInterrupt
    return screen.getvalue()


def test_a_bar_of_frames_appears_once_work_takes_long(monkeypatch):
    assert screen_of(monkeypatch, 60, (1, 2), (2, 2)) == ""
    shown = screen_of(monkeypatch, 0, (1, 2), (2, 2))
    assert "tracking " in shown
    assert "2/2" in shown


def test_a_bar_of_steps_has_a_share_and_no_count(monkeypatch):
    told = (1, 2, "step 1 of 2"), (3, 4, "step 2 of 2")
    shown = screen_of(monkeypatch, 0, *told, stopped=True)
    assert "tracking, step 2 of 2" in shown
    assert "75%" in shown
    assert "3/4" not in shown


def test_a_bar_of_steps_is_full_in_the_end(monkeypatch):
    shown = screen_of(monkeypatch, 0, (1, 2, "step 1 of 2"), (0, 1, "step 2 of 2"))
    last = shown.split("tracking")[-1]
    assert "100%" in last
    assert "step" not in last


def test_paths_below_the_working_directory_are_shown_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert terminal.shown(tmp_path / "outputs" / "a") == str(Path("outputs") / "a")
    assert terminal.shown("outputs") == "outputs"
    assert terminal.shown(tmp_path.parent / "b") == str(tmp_path.parent / "b")


def test_progress_as_json_is_a_line_of_numbers_per_step_and_after_the_last(
    clock, monkeypatch, capsys
):
    monkeypatch.setattr(terminal, "_as_json", False)
    terminal.show_progress_as_json()
    assert list(terminal.progress("abc", 5, "predicting", before=2)) == ["a", "b", "c"]
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        '{"n_processed": 3, "n_total": 5, "rate": 0.2, "eta": 8.0}',
        '{"n_processed": 4, "n_total": 5, "rate": 0.2, "eta": 4.0}',
        '{"n_processed": 5, "n_total": 5, "rate": 0.2, "eta": 0.0}',
    ]


def test_steps_are_no_lines_of_json(clock, monkeypatch, capsys):
    monkeypatch.setattr(terminal, "_as_json", True)
    with terminal.watching("tracking") as watch:
        watch(1, 2, "step")
        watch(2, 2)
    assert capsys.readouterr() == (
        '{"n_processed": 2, "n_total": 2, "rate": 0.2, "eta": 0.0}\n',
        "",
    )


def test_what_takes_long_is_said_once_and_what_is_quick_is_not(monkeypatch):
    told, said = [], threading.Event()

    def say(what):
        told.append(what)
        said.set()

    monkeypatch.setattr(terminal, "SECONDS_OF_SILENCE", 60)
    with terminal.unless_quick("comparing the runs", say):
        pass
    monkeypatch.setattr(terminal, "SECONDS_OF_SILENCE", 0.001)
    with terminal.unless_quick("logging to MLflow", say):
        assert said.wait(30)
    assert told == ["logging to MLflow"]


def test_steps_that_are_each_done_in_time_are_said_if_all_together_take_long(clock, monkeypatch):
    waits = []

    class Timer:
        def __init__(self, seconds, say, told):
            waits.append(seconds)

        start = cancel = lambda self: None

    def wait():
        with terminal.unless_quick("some step"):
            return waits[-1]

    monkeypatch.setattr(terminal.threading, "Timer", Timer)
    monkeypatch.setattr(terminal, "_silent_since", None)
    monkeypatch.setattr(terminal, "messages", Console(file=io.StringIO(), force_terminal=True))
    assert [wait(), wait()] == [5, 5]  # nobody said when the command began
    terminal.begin()
    assert [wait(), wait(), wait()] == [5 - 4, 0.5, 0.5]
    terminal.doing("some step")
    assert wait() == 5
    terminal.begin()
    assert wait() == 5 - 4
    with terminal.watching("tracking"):
        assert wait() == 5
    monkeypatch.setattr(terminal, "messages", Console(file=io.StringIO()))
    terminal.begin()  # elsewhere than in a terminal nobody waits
    assert [wait(), wait()] == [5, 5]


@pytest.mark.parametrize("width", [60, 120])
def test_what_someone_may_copy_is_not_broken(monkeypatch, width):
    screen = io.StringIO()
    console = Console(file=screen, width=width, soft_wrap=True)
    monkeypatch.setattr(terminal, "results", console)
    run = "outputs/multirun/2026-11-29/18-04-27-271466"
    row = [run, "2026-11-29 18:04", "finished, 12 of 12 jobs", "centroid+centered_instance", "–"]
    terminal.grid(["run", "started", "status", "model", "metric"], [row], whole=True)
    assert screen.getvalue().splitlines()[1].startswith(f"{run} ")

"""The verb `runs`: list, show, tag, remove, pack and unpack runs."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sleap_lab.cli.arguments import explained_by
from sleap_lab.errors import ConfigError, counted, did_you_mean, listed
from sleap_lab.settings.config import OUTPUTS

HELP = """\
sleap-lab runs ls [FOLDER] [CONDITION …] [--jobs]     list runs, the newest first
sleap-lab runs show RUN                               print command, results and where to look
sleap-lab runs tag RUN NAME=VALUE …                   set tags, here and in MLflow; NAME= removes
sleap-lab runs rm RUN … [--yes]                       remove folder, own cache entries, MLflow runs
sleap-lab runs export RUN FILE.tar.zst                pack a run into a file for another machine
sleap-lab runs import FILE.tar.zst                    unpack it there, below outputs/

RUN is the folder of a run or sweep. Conditions select runs by any key, metric, count or tag:
  sleap-lab runs ls status=failed
  sleap-lab runs ls tracker=flow identity/idf1>0.9
  sleap-lab runs ls model~bottomup data~mouse tag.day=3
with = != < <= > >= and ~ (contains). --jobs lists the jobs of sweeps, not the sweeps.

rm asks before it removes anything; --yes skips the question. A run that is still running is
refused. Files that a run wrote elsewhere (output.path) stay. import accepts only archives with
plain files of one run. After it, sync logs the run, and compare and reproduce read it; if videos or
models have other paths: sleap-lab reproduce RUN data.path=… model.paths=[…]
"""
COLUMNS = ("run", "started", "status", "model", "data", "metric", "size")
YES, JOBS = "--yes", "--jobs"
KB, MB = 10**3, 10**6


@explained_by(HELP, needs_words=True)
def run_runs(arguments: list[str]) -> int:
    """Do what is asked with runs."""
    first, *words = arguments
    if first not in VERBS:
        raise ConfigError(
            f"runs: got {first}; accepted: {', '.join(VERBS)}.{did_you_mean(first, VERBS)}"
        )
    run, options = VERBS[first]
    for word in words:
        if word.startswith("-") and word not in options:
            accepted = listed(list(options), 5) or "no options"
            raise ConfigError(f"runs {first}: got {word}; accepted: {accepted}")
    return run(words)


def _ls(words: list[str]) -> int:
    from sleap_lab import terminal
    from sleap_lab.runs.listing import chosen, find_all

    jobs = JOBS in words
    words = [word for word in words if word != JOBS]
    usual = Path(OUTPUTS)
    root = Path(words.pop(0)) if words and Path(words[0]).is_dir() else usual
    runs = chosen(find_all(root, jobs=jobs or root != usual), words) if root.is_dir() else []
    shown = runs[: terminal.most_rows()]
    if shown:
        terminal.grid(COLUMNS, map(_row, shown), whole=True)
    said = f", {len(shown)} of them shown; conditions select, and | less shows all"
    print(counted(len(runs), "run") + (said if len(shown) < len(runs) else ""))
    return 0


def _row(run: Any) -> tuple[str, ...]:
    from sleap_lab import terminal
    from sleap_lab.runs.listing import data_of, key_metric, models_of, size_of

    status = run.record.status
    if run.is_sweep and "jobs" in run.record.counts:
        counts = run.record.counts
        done = counts.get("jobs_finished", 0) + counts.get("jobs_partial", 0)
        status = f"{status}, {done} of {counts['jobs']} jobs"
    return (
        terminal.shown(run.folder),
        _local(run.record.started),
        status,
        models_of(run.settings) or "–",
        data_of(run.settings) or "–",
        key_metric(run) or "–",
        _size(size_of(run.folder)),
    )


def _local(time: str) -> str:
    from datetime import datetime

    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M}" if time else "–"


def _size(count: int) -> str:
    return f"{count / MB:,.1f} MB" if count >= MB / 10 else f"{count / KB:,.1f} kB"


def _show(words: list[str]) -> int:
    from sleap_lab import terminal
    from sleap_lab.runs import summary
    from sleap_lab.runs.links import where_to_look
    from sleap_lab.runs.listing import open_one, size_of, tags_of
    from sleap_lab.runs.snapshot import read_document

    run = open_one(_single("show", words))
    record = run.record
    rows = [("run", terminal.shown(run.folder)), ("status", record.status)]
    rows += [("error", record.error)] if record.error else []
    rows += [("started", _local(record.started)), ("seconds", f"{sum(record.stages.values()):.1f}")]
    command = run.folder / "command.txt"
    said = command.read_text().strip() if run.is_sweep and command.is_file() else None
    rows += [("command", str(said or read_document(run.folder, "command.txt") or "–"))]
    rows += [(f"tag {name}", value) for name, value in tags_of(run.folder).items()]
    rows += [(name, str(value)) for name, value in record.counts.items()]
    rows += [(name, f"{value:.6g}") for name, value in summary.finite(record.metrics).items()]
    rows += [("note", note) for note in record.notes]
    rows += [
        (path.name, _size(path.stat().st_size))
        for path in sorted(run.folder.iterdir())
        if path.is_file() and path.suffix != ".lock"
    ]
    rows += [("size", _size(size_of(run.folder))), *where_to_look(record.mlflow)]
    terminal.table(rows)
    return 0


def _tag(words: list[str]) -> int:
    from sleap_lab import terminal
    from sleap_lab.runs.listing import open_one, tags_of
    from sleap_lab.runs.mlflow_log import log_tags
    from sleap_lab.runs.tags import add_tags

    pairs = [word.partition("=") for word in words[1:]]
    if not pairs or not all(name.strip() and sign for name, sign, _ in pairs):
        raise ConfigError("runs tag: give a run and NAME=VALUE, e.g. runs tag RUN animal=mouse")
    run, tags = open_one(words[0]), {name.strip(): value for name, _, value in pairs}
    add_tags(run.folder, tags)
    logged = log_tags(run.record.mlflow, tags)
    terminal.table(sorted(tags_of(run.folder).items()))
    if not logged:
        terminal.note("the run is not in MLflow; sleap-lab sync logs it with its tags")
    return 0


def _rm(words: list[str]) -> int:
    from sleap_lab import terminal
    from sleap_lab.runs.listing import open_one
    from sleap_lab.runs.removal import plan_removal, remove

    folders = list(dict.fromkeys(word for word in words if word != YES))
    if not folders:
        raise ConfigError("runs rm: give the folders of the runs to remove")
    removal = plan_removal([open_one(word) for word in folders], outputs_root=Path(OUTPUTS))
    entries = len({path.stem for path in removal.entries})
    terminal.table(
        [
            *(("remove", terminal.shown(run.folder)) for run in removal.runs),
            ("cache entries", f"{entries}" + (f" ({removal.kept})" if removal.kept else "")),
            ("runs in MLflow", str(len(removal.mlflow))),
            ("size", _size(removal.bytes)),
        ]
    )
    if YES not in words:
        if not sys.stdin.isatty():
            raise ConfigError(f"runs rm: nobody can be asked here; {YES} removes without asking")
        if input("Remove for good? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing is removed")
            return 0
    problems = remove(removal)
    for problem in problems:
        terminal.warn(problem)
    print("removed" if not problems else "removed, except what is named above")
    return 1 if problems else 0


def _export(words: list[str]) -> int:
    from sleap_lab import terminal
    from sleap_lab.runs.archive import export_run
    from sleap_lab.runs.listing import open_one

    if len(words) != 2:
        raise ConfigError(f"runs export: got {shlex.join(words)}; accepted: RUN FILE.tar.zst")
    run, file = open_one(words[0]), Path(words[1])
    if run.record.status == "running":
        raise ConfigError(f"runs export: {run.folder} is still running")
    size = export_run(run.folder, file, outputs_root=Path(OUTPUTS))
    terminal.table([("file", terminal.shown(file)), ("size", _size(size))])
    return 0


def _import(words: list[str]) -> int:
    from sleap_lab import terminal
    from sleap_lab.runs.archive import import_run

    folder = import_run(Path(_single("import", words)), outputs_root=Path(OUTPUTS))
    terminal.table([("run", terminal.shown(folder))])
    return 0


def _single(verb: str, words: list[str]) -> str:
    if len(words) != 1:
        raise ConfigError(f"runs {verb}: got {shlex.join(words) or 'nothing'}; accepted: one")
    return words[0]


VERBS: Mapping[str, tuple[Callable[[list[str]], int], Sequence[str]]] = {
    "ls": (_ls, (JOBS,)),
    "show": (_show, ()),
    "tag": (_tag, ()),
    "rm": (_rm, (YES,)),
    "export": (_export, ()),
    "import": (_import, ()),
}
"""What each verb does, and its options."""

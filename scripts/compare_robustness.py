"""Give the corpus of bad files to sleap-lab and sleap-nn, and write docs/robustness.md.

The page shows side by side what each says.

    python scripts/compare_robustness.py --peer PATH/sleap-nn

Needs sleap-nn 0.3.5 and takes half an hour on two cores. Each command gets each input once, in a
folder of its own. The answers are kept in tests/app/bad_files.json, so that only added cases run
again.
"""

import argparse
import importlib.util
import json
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE, ANSWERS = ROOT / "docs" / "robustness.md", ROOT / "tests" / "app" / "bad_files.json"
MARK = "<!-- What follows is written by scripts/compare_robustness.py. -->\n"
GROUPS = {"VIDEOS": "Videos, images and lists", "LABELS": "Labels", "MODELS": "Models"}
SILENT = "goes on without a word"
SECONDS = 60
MEMORY = 6 * 10**9
LONGEST = 160
NOISE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|/tmp/[^ '\"]*?/(?=[^ /'\"]*)|^[-0-9]{10} [:0-9]{8} \| ")


def load_corpus() -> Any:
    """Return the module of the corpus."""
    spec = importlib.util.spec_from_file_location(
        "bad_files", ROOT / "tests" / "app" / "bad_files.py"
    )
    assert spec is not None
    assert spec.loader is not None
    corpus = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = corpus
    spec.loader.exec_module(corpus)
    return corpus


def ask(case: Any, corpus: Any, command: list[str], words: str) -> dict[str, Any]:
    """Give a bad input to a command, and return how it ended: `code`, `kind`, `says`, `seconds`."""
    with tempfile.TemporaryDirectory(prefix="robust-") as name:
        folder = Path(name) / "lab"
        folder.mkdir()
        corpus.prepare(folder)
        case.make(folder)
        start = time.monotonic()
        try:
            line = [*command, *shlex.split(words)]
            done = subprocess.run(
                line,
                cwd=folder,
                capture_output=True,
                timeout=SECONDS,
                stdin=subprocess.DEVNULL,
                preexec_fn=limit_memory,
            )
        except subprocess.TimeoutExpired:
            return {"code": None, "kind": "hangs", "says": "", "seconds": SECONDS}
        seconds = round(time.monotonic() - start, 1)
        harmed = (folder / "harmed").exists()
        text = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace")
    kind = (
        "traceback"
        if "Traceback" in text
        else "goes on"
        if done.returncode in (0, 3)
        else "message"
    )
    if done.returncode < 0:
        kind = f"killed ({signal.Signals(-done.returncode).name})"
    if harmed:
        kind = f"runs the file's code, {kind}"
    says = last_words(text, kind)
    return {"code": done.returncode, "kind": kind, "says": says, "seconds": seconds}


def limit_memory() -> None:
    """Limit a command to 6 GB of memory, as some inputs exhaust it."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def last_words(text: str, kind: str) -> str:
    """Return the line that says most.

    This is the error of a traceback, the last line of a message, or the last warning of a run that
    goes on.
    """
    lines = [" ".join(NOISE.sub("", line).strip(" │╭╮╰╯─|").split()) for line in text.splitlines()]
    lines = [line for line in lines if line]
    if kind.startswith("killed"):
        lines = []
    elif kind.endswith("goes on"):
        lines = [line for line in lines if re.match("warning|error|.*WARNING", line, re.IGNORECASE)]
    elif kind.endswith("traceback"):
        named = [
            line for line in lines if re.match(r"[\w.]+(Error|Exception|Interrupt|Exit)\b", line)
        ]
        lines = named or lines
    said = lines[-1] if lines else ""
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"


def page(corpus: Any, answers: dict[str, Any]) -> str:
    """Return what follows the mark: the counts of outcomes, and a folded table of every input."""
    cases = [case for case in corpus.CASES if answers[case.name]["peer"] is not None]
    parts = [
        f"Both were given {len(cases)} inputs, one at a time, with 6 GB of memory and {SECONDS} s. "
        "How they ended:\n",
        counts(cases, answers),
    ]
    for group, title in GROUPS.items():
        chosen = getattr(corpus, group)
        parts += [
            f"<details markdown>\n<summary>{title}: {len(chosen)}</summary>\n",
            table(chosen, answers),
            "</details>\n",
        ]
    return "\n".join(parts)


def counts(cases: Iterable[Any], answers: dict[str, Any]) -> str:
    """Return a table that counts how inputs ended."""
    ours, peers = (
        Counter(ending(answers[case.name][side]) for case in cases) for side in ("ours", "peer")
    )
    rows = ["| ends with | sleap-lab | sleap-nn 0.3.5 |", "| --- | ---: | ---: |"]
    rows += [
        f"| {name} | {ours[name]} | {peers[name]} |"
        for name in sorted(ours | peers, key=lambda name: (-ours[name], -peers[name]))
    ]
    return "\n".join(rows) + "\n"


def ending(answer: dict[str, Any]) -> str:
    """Return how a command ended, in words."""
    if answer["code"] is None:
        return f"nothing for {SECONDS} s"
    if answer["kind"] == "goes on":
        return f"exit code {answer['code']}, {'a warning' if answer['says'] else 'not a word'}"
    return {"message": "one line and an exit code", "traceback": "a traceback"}.get(
        answer["kind"], answer["kind"]
    )


def table(cases: Iterable[Any], answers: dict[str, Any]) -> str:
    """Return the table of inputs, with the exit code and the words of both."""
    rows = ["| input | sleap-lab | sleap-nn 0.3.5 |", "| --- | --- | --- |"]
    for case in cases:
        ours, peer = (shown(answers[case.name][side]) for side in ("ours", "peer"))
        rows.append(f"| {case.name} | {ours} | {peer} |")
    return "\n".join(rows) + "\n"


def shown(answer: dict[str, Any] | None) -> str:
    """Return how a command ended, as a cell of the table."""
    if answer is None:
        return "–"
    said = answer["says"].replace("|", "\\|").replace("`", "'")
    kind = (
        ""
        if answer["kind"] == "message"
        else answer["kind"]
        if said or answer["kind"] != "goes on"
        else SILENT
    )
    words = ", ".join(
        part for part in ("" if answer["code"] is None else str(answer["code"]), kind) if part
    )
    return f"{words}: `{said}`" if said else words


def main() -> None:
    """Run the inputs without a stored answer, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--peer", type=Path, help="The command sleap-nn; without it only sleap-lab is asked."
    )
    parser.add_argument(
        "--again", action="store_true", help="Ask sleap-lab again for what is known."
    )
    arguments = parser.parse_args()
    corpus = load_corpus()
    answers: dict[str, Any] = (
        json.loads(ANSWERS.read_text(encoding="utf-8")) if ANSWERS.is_file() else {}
    )
    for case in corpus.CASES:
        known = answers.setdefault(case.name, {})
        if "ours" not in known or arguments.again:
            ours = f"{case.words} logger=none report=none cache=off"
            known["ours"] = ask(case, corpus, [sys.executable, "-m", "sleap_lab"], ours)
        if "peer" not in known and (case.peer is None or arguments.peer is not None):
            # On another device than ours it would be asked something else.
            words = (
                f"{case.peer} --device cpu"
                if str(case.peer).startswith("track")
                else str(case.peer)
            )
            known["peer"] = (
                None if case.peer is None else ask(case, corpus, [str(arguments.peer)], words)
            )
        ANSWERS.write_text(json.dumps(answers, indent=1), encoding="utf-8")
        print(f"{case.name}\n  ours {known['ours']}\n  peer {known.get('peer')}", flush=True)
    names = {case.name for case in corpus.CASES}
    ANSWERS.write_text(
        json.dumps({name: answers[name] for name in answers if name in names}, indent=1) + "\n",
        encoding="utf-8",
    )
    before = (
        PAGE.read_text(encoding="utf-8").partition(MARK)[0] if PAGE.is_file() else "# Bad files\n\n"
    )
    PAGE.write_text(before + MARK + "\n" + page(corpus, answers), encoding="utf-8")


if __name__ == "__main__":
    main()

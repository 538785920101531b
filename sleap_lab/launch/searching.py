"""The jobs of a launcher that try settings of `sleap-lab tune`."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from time import time
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from sleap_lab.errors import RunError
from sleap_lab.launch.launchers import launching, share, waiting_for_all
from sleap_lab.launch.queue import cancel
from sleap_lab.runs import summary
from sleap_lab.settings.application import Configs
from sleap_lab.settings.overrides import quote
from sleap_lab.tune.study import Search, load, try_settings
from sleap_lab.tune.trials import tried

if TYPE_CHECKING:
    from optuna import Study

STOP_FILE = "stop"
WORKERS = "workers"
SECONDS_BETWEEN_LOOKS = 2.0


def run_on_launcher(
    search: Search, words: Sequence[str], configs: Configs, watch: "Callable[[Study], None]"
) -> None:
    """Try settings in `tune.jobs` jobs of a launcher, until there are enough or the time is over.

    They share the journal of the study, so their machines must see its folder.

    Args:
        search: The search.
        words: Overrides of the experiment and of the launcher.
        configs: The configs that they apply to.
        watch: Called now and then, with the study.

    Raises:
        RunError: The jobs ended before there were enough settings.
    """
    search_folder = search.folder.absolute()
    (search_folder / STOP_FILE).unlink(missing_ok=True)
    workers = search_folder / WORKERS
    names = [f"job_{i}" for i in range(search.settings.jobs)]
    shared = [f"hydra.sweep.dir={quote(str(workers))}"]
    task = partial(
        join_in, search=search, cwd=Path.cwd(), pid=os.getpid(), host=socket.gethostname()
    )
    own = [word for word in words if not word.startswith(("hydra/", "hydra."))]
    try:
        with _watching(search, watch), launching([*words, *shared], configs) as (node, launch):
            share(node.hydra.launcher, len(names))
            with waiting_for_all(node.hydra.launcher, workers, names, Event()):
                launch([[*own, f"hydra.sweep.subdir={name}"] for name in names], task)
    except BaseException:
        (search_folder / STOP_FILE).touch()
        cancel(workers, names)
        raise
    done = len(tried(load(search)))
    if done < search.settings.trials and time() < search.deadline:
        raise RunError(
            f"tune.jobs: the jobs ended after {done} of {search.settings.trials} settings; "
            f"what they said is in {search.folder / WORKERS}"
        )


@contextmanager
def _watching(search: Search, watch: "Callable[[Study], None]") -> Iterator[None]:
    """Show what the jobs have found, as long as the block runs."""
    over = Event()

    def look() -> None:
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            watch(load(search))

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def join_in(node: DictConfig, *, search: Search, cwd: Path, pid: int, host: str) -> None:
    """Try settings in a job of a launcher, as long as the command that started it wants them."""
    os.chdir(cwd)

    def is_wanted() -> bool:
        gone = host == socket.gethostname() and not summary.process_exists(host, pid)
        return not gone and not (search.folder / STOP_FILE).exists()

    try_settings(search, load(search), lambda: None, is_wanted=is_wanted)

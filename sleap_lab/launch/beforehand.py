"""What the jobs of a sweep would fail for, found before the first of them starts.

A process like those of the jobs opens and checks what they need, with the functions that they use,
so that the process that runs the sweep stays small. Jobs that read the same share the reading. Of
many recordings only so many are opened as half a minute allows.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path

from sleap_lab import terminal
from sleap_lab.errors import RunError, SleapLabError, listed, system_problem
from sleap_lab.errors.interruption import interruptible
from sleap_lab.files.log import logging_to
from sleap_lab.launch.job import end_with_parent
from sleap_lab.settings.config import Config

LONGEST = 30.0  # s
MOST_NAMED = 8  # stretches of job numbers in a message
HERE = ("BasicLauncher", "JoblibLauncher", "LocalLauncher")
"""Launchers whose jobs run on this machine, and so on its devices."""


@dataclass(frozen=True)
class Finding:
    """What was found for a job.

    Attributes:
        notes: Sentences on its inputs that a user must know.
        error: Why it would fail, if it would.
    """

    notes: tuple[str, ...] = ()
    error: SleapLabError | None = None


def refuse_hopeless(
    jobs: Sequence[tuple[int, Config]],
    context: ForkServerContext | SpawnContext,
    launcher: str,
    *,
    others: bool = False,
) -> None:
    """Say what is to know about the inputs of jobs, once, and refuse to start if none can run.

    Args:
        jobs: Number and config of each job.
        context: Starts the process that checks.
        launcher: Class of the launcher; elsewhere there may be other devices than on this machine.
        others: Whether other jobs of the sweep have results; then nothing is refused.

    Raises:
        ConfigError: No job can run, because of its settings.
        RunError: No job can run, because of its files.
    """
    numbers = [number for number, _ in jobs]
    found = _found([config for _, config in jobs], context, here=launcher in HERE)
    about = list(zip(numbers, found, strict=True))
    for note, concerned in _grouped((note, n) for n, one in about for note in one.notes):
        everyone = len(concerned) == len(jobs)
        terminal.warn(note if everyone else f"{_named(concerned)}: {note}")
    errors = [one.error for one in found if one.error is not None]
    causes = _grouped((str(one.error), n) for n, one in about if one.error is not None)
    hopeless = len(errors) == len(jobs) and not others
    if hopeless and len(causes) == 1:
        raise errors[0]
    for cause, concerned in causes:
        terminal.warn(f"{_named(concerned)} cannot run: {cause}")
    if hopeless:
        raise max(errors, key=lambda error: error.exit_code).__class__(
            "no job of the sweep can run, so none was started"
        )


def _grouped(pairs: Iterable[tuple[str, int]]) -> list[tuple[str, list[int]]]:
    """Return each text with the numbers that it came with."""
    groups: dict[str, list[int]] = defaultdict(list)
    for text, number in pairs:
        groups[text].append(number)
    return list(groups.items())


def _named(numbers: Sequence[int]) -> str:
    """Return the numbers of jobs for a message, as in `jobs 0-3, 7`."""
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1), len(numbers)]
    stretches = [numbers[first:end] for first, end in pairwise(starts)]
    names = [f"{s[0]}-{s[-1]}" if len(s) > 1 else str(s[0]) for s in stretches]
    return f"job{'s' * (len(numbers) > 1)} {listed(names, MOST_NAMED)}"


def _found(
    configs: Sequence[Config], context: ForkServerContext | SpawnContext, *, here: bool
) -> list[Finding]:
    """Check jobs in another process; where that dies, nothing is known of any."""
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(list(configs), here, sender))
    process.start()
    sender.close()
    try:
        return list(receiver.recv())
    except EOFError:
        return [Finding()] * len(configs)
    except BaseException:
        process.kill()
        raise
    finally:
        process.join()
        receiver.close()


def _work(configs: Sequence[Config], here: bool, sender: Connection) -> None:
    """Check jobs, in the other process."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    with (
        suppress(KeyboardInterrupt, BrokenPipeError),
        interruptible(),
        logging_to(Path(os.devnull), verbose=False),
    ):
        sender.send(examine(configs, here=here))


def examine(
    configs: Sequence[Config], *, here: bool = True, seconds: float = LONGEST
) -> list[Finding]:
    """Open and check what jobs need, and return what was found for each.

    Args:
        configs: Their configs.
        here: Whether they run on the devices of this machine.
        seconds: Time after which no further inputs are opened, as of a job per recording.
    """
    end, found = time.monotonic() + seconds, [Finding()] * len(configs)
    same: dict[str, list[int]] = defaultdict(list)
    errors: dict[str, SleapLabError | None] = {}
    for i, config in enumerate(configs):
        if (key := _engine(config)) not in errors:
            errors[key] = _problem(partial(_load, config, here))
        found[i] = Finding(error=errors[key])
        if found[i].error is None:
            same[_inputs(config)].append(i)
    for alike in same.values():
        if time.monotonic() < end:
            for i, one in zip(alike, _examine([configs[i] for i in alike]), strict=True):
                found[i] = one
    return found


def _engine(config: Config) -> str:
    """Return all that decides which weights a job loads, and on which devices it runs."""
    model, runtime = config.model, config.runtime
    weights = (model.kind, model.paths, model.backbone_ckpt_path, model.head_ckpt_path)
    offsets = model.integral_refinement == "offsets"
    return repr((weights, offsets, runtime.device, runtime.devices))


def _inputs(config: Config) -> str:
    """Return all that decides what a job opens."""
    model, output = config.model, config.output
    return repr(
        (
            config.data,
            config.evaluator,
            (model.kind, model.paths),
            (output.path, output.formats, output.make_labels),
            (config.cache, config.cache_dir, config.cache_seeds),
        )
    )


def _load(config: Config, here: bool) -> None:
    """Load the weights of a job, and look for its devices if they are those of this machine."""
    from sleap_lab.inference.models import device_name
    from sleap_lab.inference.preparation import check_weights
    from sleap_lab.inference.shards import check_devices

    if here:
        check_devices(device_name(config), config.runtime.devices)
    check_weights(config.model)


def _examine(configs: Sequence[Config]) -> Iterator[Finding]:
    """Yield what is found for each of some jobs that open the same."""
    from sleap_lab.inference.cached_stages import open_cache
    from sleap_lab.inference.preparation import check_stages, open_inputs

    try:
        source, truth = open_inputs(configs[0], open_cache(configs[0], _unheard, _unheard))
    except (SleapLabError, OSError) as error:
        yield from [Finding(error=_shown(error))] * len(configs)
        return
    notes = (*source.notes, *(truth.notes if truth is not None else ()))
    for config in configs:
        yield Finding(notes, _problem(partial(check_stages, config, source)))


def _unheard(text: str) -> None:
    """Leave it to the jobs to say this."""


def _problem(check: Callable[[], None]) -> SleapLabError | None:
    """Return the error that a check ends with, if it does."""
    try:
        check()
    except (SleapLabError, OSError) as error:
        return _shown(error)
    return None


def _shown(error: SleapLabError | OSError) -> SleapLabError:
    """Return the error that a run with this one ends with."""
    return error if isinstance(error, SleapLabError) else RunError(system_problem(error))

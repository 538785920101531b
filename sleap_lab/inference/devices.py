"""One process per device, started by Lightning; this module imports it, which takes seconds."""

import logging
import signal
from collections.abc import Callable
from multiprocessing import resource_tracker

from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.fabric.strategies import DDPStrategy


class Apart(DDPStrategy):
    """Processes that have nothing to tell each other: no group of them is formed."""

    def setup_environment(self) -> None:
        """Choose the device of this process."""
        self.accelerator.setup_device(self.root_device)


def launch(function: Callable[[Fabric], None], kind: str, devices: int) -> None:
    """Call a function in one process per device and wait for all of them; when one fails, the others are ended.

    The processes are started without Ctrl-C in effect, as long as Python and PyTorch are being loaded; `function` lets it in.
    Call it from another thread than the main one, whose signals stay as they are.

    Args:
        function: Called with Lightning's `Fabric`; it is pickled, and may bring what multiprocessing shares.
        kind: Kind of the devices: cpu, cuda, mps.
        devices: How many.

    Raises:
        ProcessRaisedException: A call raised an error.
        ProcessExitedException: A process ended otherwise.
    """
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # which would let the signal in again if it were started later
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    logging.getLogger("torch.multiprocessing.spawn").setLevel(
        logging.ERROR
    )  # whom it ends is told by what comes of it
    fabric = Fabric(
        accelerator=kind,
        devices=devices,
        strategy=Apart(start_method="spawn"),
        plugins=[LightningEnvironment()],
    )
    fabric.launch(function)

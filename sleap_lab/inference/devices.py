"""One process per device, started by Lightning, whose import takes seconds."""

import logging
import signal
from collections.abc import Callable
from multiprocessing import resource_tracker

from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.fabric.strategies import DDPStrategy


class Independent(DDPStrategy):
    """Strategy for processes that do not communicate: they form no process group."""

    def setup_environment(self) -> None:
        """Choose the device of this process."""
        self.accelerator.setup_device(self.root_device)


def launch(function: Callable[[Fabric], None], kind: str, devices: int) -> None:
    """Call a function in one process per device and wait for all of them.

    When one process fails, the others are ended. Processes start with Ctrl-C blocked while they
    load Python and PyTorch; `function` unblocks it. Call this from a thread other than the main
    one, whose signals stay as they are.

    Args:
        function: Called with Lightning's `Fabric`; it is pickled, and may hold objects that
            multiprocessing shares.
        kind: Kind of the devices: cpu, cuda, mps.
        devices: Number of devices.

    Raises:
        ProcessRaisedException: A call raised an error.
        ProcessExitedException: A process ended otherwise.
    """
    if hasattr(signal, "pthread_sigmask"):
        # Started later, the resource tracker would unblock the signal again.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # The processes that it ends are reported by their results.
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    fabric = Fabric(
        accelerator=kind,
        devices=devices,
        strategy=Independent(start_method="spawn"),
        plugins=[LightningEnvironment()],
    )
    fabric.launch(function)

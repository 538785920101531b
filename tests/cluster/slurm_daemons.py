"""A real Slurm of a few nodes on one machine, for as long as a block of code runs.

It needs root, and Debian's packages `slurm-wlm` and `munge`. Everything lies in a folder of its
own: keys, state and logs. Every node has its own host name and process numbers, as real nodes do.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS = 900
"""The longest wait for anything; a machine with much else to do may need a good part of it."""
SECONDS_BEFORE_REQUEUE = 5  # Slurm's default is 120
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "unshare")
FREEZER = Path("/sys/fs/cgroup/freezer")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Cluster:
    """A running Slurm.

    Attributes:
        folder: Its files.
        environment: Environment of the commands that talk to it.
    """

    folder: Path
    environment: Mapping[str, str]

    def ask(self, *command: str) -> str:
        """Return what a command of Slurm prints."""
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=True
        ).stdout

    def queue(self) -> dict[str, str]:
        """Return the state of each job that waits or runs; each task of an array is one."""
        lines = self.ask("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def facts(self, job: str) -> dict[str, str]:
        """Return what Slurm knows of a job, which waits, runs or has ended a while ago."""
        told = self.ask("scontrol", "--oneliner", "show", "job", job)
        return dict(word.split("=", 1) for word in told.split() if "=" in word)

    def close(self, partition: str) -> None:
        """Let no further job of a partition start."""
        self.ask("scontrol", "update", f"PartitionName={partition}", "State=DOWN")

    def open(self, partition: str) -> None:
        """Let the jobs of a partition start."""
        self.ask("scontrol", "update", f"PartitionName={partition}", "State=UP")


def missing() -> str | None:
    """Return what this machine lacks to run a Slurm; None if nothing."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if absent:
        return f"needs {', '.join(absent)}: apt-get install slurm-wlm munge"
    return None if os.geteuid() == 0 else "needs root"


def has_cgroups() -> bool:
    """Whether Slurm can track jobs here by control groups, as most clusters do."""
    return FREEZER.is_dir() and os.access(FREEZER, os.W_OK)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: It does not in time.
    """
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"after {SECONDS} s still not: {what}")
        time.sleep(0.1)


@contextmanager
def running(folder: Path, *, cgroups: bool, nodes: int = 2, cpus: int = 4) -> Iterator[Cluster]:
    """Run a Slurm.

    Its partitions are `gpu`, the default, whose jobs are queued again when those of `urgent` need
    their place, and `short`, which allows 90 minutes. There is no accounting, as on many small
    clusters, so `sacct` says nothing. The GPU of each node is one in name only.

    Args:
        folder: Where it keeps its files; sockets allow a path of at most 80 characters.
        cgroups: Whether it tracks processes by control groups, and otherwise by their parents. A
            signal to a job reaches its first process with the former, all with the latter.
        nodes: Number of nodes.
        cpus: CPUs of each.
    """
    for name in ("state", "log", "socket", "munge", *(f"spool/n{i + 1}" for i in range(nodes))):
        (folder / name).mkdir(parents=True)
    (folder / "munge").chmod(0o700)
    (folder / "munge" / "key").write_bytes(secrets.token_bytes(1024))
    (folder / "munge" / "key").chmod(0o400)
    _write_config(folder, cgroups=cgroups, nodes=nodes, cpus=cpus)
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": PATH}
    cluster = Cluster(folder, environment)
    knock = folder / "socket" / "munge.sock"
    places = {"socket": knock} | {
        f"{name}-file": folder / "munge" / name for name in ("key", "seed", "log", "pid")
    }
    munged = ["munged", "--foreground", "--force"]
    munged += [f"--{name}={place}" for name, place in places.items()]
    with ExitStack() as stack:
        stack.enter_context(_daemon(folder, "munged", munged, environment))
        until(knock.exists, "munged answers")
        stack.enter_context(_daemon(folder, "slurmctld", ["slurmctld", "-D", "-c"], environment))
        for i in range(nodes):
            stack.enter_context(_node(folder, f"n{i + 1}", environment))
        idle = ("sinfo", "--noheader", "--Node", "--partition=gpu", "--states=idle")
        until(lambda: _lines(cluster, idle) == nodes, "all nodes are idle")
        yield cluster


def _lines(cluster: Cluster, command: Sequence[str]) -> int:
    try:
        return len(cluster.ask(*command).splitlines())
    except subprocess.CalledProcessError:  # it does not answer yet
        return 0


@contextmanager
def _daemon(
    folder: Path,
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    end: signal.Signals = signal.SIGTERM,
) -> Iterator[None]:
    """Run a program as long as the block; what it prints goes into a file."""
    with open(folder / "log" / f"{name}.out", "wb") as out:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        try:
            yield
        finally:
            process.send_signal(end)
            process.wait()


@contextmanager
def _node(folder: Path, name: str, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a node with a host name and process numbers of its own."""
    hosts = folder / f"hosts.{name}"
    hosts.write_text(f"{Path('/etc/hosts').read_text()}\n127.0.0.1 {name}\n")
    inside = f"hostname {name} && mount --bind {hosts} /etc/hosts && exec slurmd -D -N {name}"
    command = ["unshare", "--uts", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child"]
    command += ["bash", "-c", inside]
    # unshare ignores gentler signals; all processes of the node end with it.
    with _daemon(folder, f"slurmd.{name}", command, environment, signal.SIGKILL):
        yield


def _write_config(folder: Path, *, cgroups: bool, nodes: int, cpus: int) -> None:
    host = socket.gethostname().partition(".")[0]
    names = [f"n{i + 1}" for i in range(nodes)]
    ports = _free_ports(nodes + 1)
    partition = f"Nodes={','.join(names)} State=UP"
    lines = [
        "ClusterName=tiny",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={ports.pop()}",
        "SlurmUser=root",
        "SlurmdUser=root",
        f"AuthInfo=socket={folder}/socket/munge.sock,cred_expire={SECONDS_BEFORE_REQUEUE}",
        "MpiDefault=none",
        "MinJobAge=3600",  # s for which it knows of a job that is over; tests ask at their end
        f"ProctrackType=proctrack/{'cgroup' if cgroups else 'linuxproc'}",
        "TaskPlugin=task/none",
        "SchedulerParameters=sched_interval=2,bf_interval=2",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU",
        f"StateSaveLocation={folder}/state",
        f"SlurmdSpoolDir={folder}/spool/%n",
        f"SlurmctldPidFile={folder}/slurmctld.pid",
        f"SlurmdPidFile={folder}/slurmd.%n.pid",
        f"SlurmctldLogFile={folder}/log/slurmctld.log",
        f"SlurmdLogFile={folder}/log/slurmd.%n.log",
        "ReturnToService=1",  # a node that was set down stays so; its old jobs may still run there
        "KillWait=30",
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        "JobRequeue=1",
        "SlurmdParameters=config_overrides",
        "GresTypes=gpu",
        *(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} "
            "RealMemory=32000 Gres=gpu:1 State=UNKNOWN"
            for name, port in zip(names, ports, strict=True)
        ),
        f"PartitionName=gpu {partition} Default=YES PriorityTier=1 GraceTime=20",
        f"PartitionName=short {partition} MaxTime=90 PriorityTier=1",
        f"PartitionName=urgent {partition} PriorityTier=10 PreemptMode=OFF",
    ]
    (folder / "slurm.conf").write_text("\n".join(lines) + "\n")
    (folder / "gres.conf").write_text("AutoDetect=off\nName=gpu File=/dev/null\n")
    (folder / "cgroup.conf").write_text(
        "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nCgroupMountpoint=/sys/fs/cgroup\n"
        if (FREEZER / "tasks").exists()
        else "CgroupPlugin=autodetect\n"
    )


def _free_ports(count: int) -> list[int]:
    """Return numbers of ports that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    numbers = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return numbers

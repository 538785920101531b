"""Real MLflow servers: PostgreSQL behind them, artifacts that they serve, passwords in front.

They need root, Debian's package `postgresql`, and the extra `cluster`.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from slurm_daemons import until

PROGRAMS = Path("/usr/lib/postgresql")
USER, PASSWORD = "admin", "right-password-1234"


def missing() -> str | None:
    """Return what this machine lacks to run such servers; None if nothing."""
    if os.geteuid() != 0:
        return "needs root"
    if not PROGRAMS.is_dir():
        return "needs postgresql: apt-get install postgresql"
    modules = ("psycopg2", "flask_wtf")
    absent = [name for name in modules if find_spec(name) is None]
    return f"needs {', '.join(absent)}: pip install 'sleap-lab[cluster]'" if absent else None


def free_port() -> int:
    """Return the number of a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run PostgreSQL in a folder, and yield the address of an empty database `mlflow`."""
    programs = max(PROGRAMS.iterdir()) / "bin"
    data, port = folder / "data", free_port()
    for place in (data, folder / "socket"):
        place.mkdir(parents=True)
        shutil.chown(place, "postgres", "postgres")
    data.chmod(0o700)
    _as_postgres(programs / "initdb", "-D", data, "--auth=trust")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}/socket"
    control = (programs / "pg_ctl", "-D", data, "-w", "-l", data / "server.log")
    _as_postgres(*control, "-o", options, "start")
    try:
        _as_postgres(programs / "createdb", "-h", "127.0.0.1", "-p", str(port), "mlflow")
        yield f"postgresql+psycopg2://postgres@127.0.0.1:{port}/mlflow"
    finally:
        _as_postgres(*control, "-m", "immediate", "stop")


def _as_postgres(*command: object) -> None:
    subprocess.run(
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *map(str, command)],
        cwd="/",
        stdout=subprocess.DEVNULL,
        check=True,
    )


@contextmanager
def serving(
    folder: Path,
    port: int,
    words: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Run `mlflow server` and yield its address; it is killed at the end.

    Args:
        folder: Its working folder; its log is in it.
        port: Where it listens.
        words: Further words of its command line.
        environment: Further variables.
    """
    folder.mkdir(exist_ok=True)
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={port}"]
    variables = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **(environment or {})}
    with open(folder / "server.log", "ab") as log:
        process = subprocess.Popen(
            [*command, "--workers=1", *words],
            cwd=folder,
            env={**os.environ, **variables},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            until(lambda: _answers(address, process), "the server answers")
            yield address
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(address: str, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the server ended with exit code {process.returncode}")
    try:
        with urlopen(f"{address}/health", timeout=2):
            return True
    except (URLError, OSError):
        return False

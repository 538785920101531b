"""Every command of docs/clusters.md, in its order, on a real Slurm and a real server."""

import re
import subprocess
import sys
from pathlib import Path

from mlflow_servers import free_port, serving
from slurm_daemons import SECONDS

from sleap_lab.demo.__main__ import copy

PAGE = Path(__file__).parents[2] / "docs" / "clusters.md"
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]*)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
SERVER = "https://mlflow.example.org"


def test_the_page(cluster, tmp_path):
    folder = tmp_path / "practice"
    copy(folder)
    environment = dict(cluster.environment)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    words = ["--backend-store-uri=sqlite:///server.db", "--serve-artifacts"]
    said = []
    with serving(tmp_path / "server", free_port(), words) as address:
        for language, title, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
            if language == "yaml":
                file = folder / title
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
                continue
            assert language == "bash" or title.startswith("tested by make cluster"), text
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text.replace(SERVER, address)],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=SECONDS,
            )
            assert done.returncode == 0, text + done.stdout + done.stderr
            said.append(done.stdout + done.stderr)
    assert sum("submitted as job" in text for text in said) == 2
    assert any("array_parallelism: 20" in text for text in said)
    assert any(address in text for text in said)
    numbers = re.findall(r"submitted as job (\d+)", "".join(said))
    jobs = [f"{number}_{task}" for number in numbers for task in "01"]
    assert [cluster.facts(job)["JobState"] for job in jobs] == ["COMPLETED"] * 4
    assert cluster.facts(jobs[0])["TimeLimit"] == "04:00:00"
    assert cluster.facts(jobs[0])["TresPerNode"] == "gres:gpu:1"

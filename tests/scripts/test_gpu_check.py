"""The script itself needs a GPU; what can be tested is its table, and that it refuses to begin."""

import os
import runpy
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sleap_lab.media.open_source import open_source
from sleap_lab.settings.config import DataConfig

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_rows_of_several_kinds_are_one_table(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS.parent)
    shown = runpy.run_path(str(SCRIPTS / "gpu_check.py"))["shown"]
    rows = [{"kind": "a", "rate": 1.26}, {"kind": "b", "error": "1|2 fails\n\nin a.py"}]
    assert shown("speed", rows) == (
        "\n## speed\n\n| kind | rate | error |\n| --- | --- | --- |\n"
        "| a | 1.3 |  |\n| b |  | 1\\|2 fails |\n"
    )


def test_decoders_are_compared_frame_by_frame(monkeypatch, tmp_path):
    """Another decoder is a little brighter, or a frame late."""
    (tmp_path / "videos").mkdir()
    film = tmp_path / "videos" / "film.mp4"
    shutil.copy(str(resources.files("sleap_lab.demo") / "clip.mp4"), film)
    source = open_source(DataConfig(path=str(film)))
    images = [torch.from_numpy(source.pixels(0, frame)).short() for frame in range(100)]
    monkeypatch.setenv("GPU_CHECK_DEVICE", "cpu")
    monkeypatch.syspath_prepend(SCRIPTS.parent)
    decoders = runpy.run_path(str(SCRIPTS / "gpu_check.py"))["decoders"]
    monkeypatch.setitem(decoders.__globals__, "KINDS", {"any": ("film.mp4", ())})

    def compared(late, brighter):
        def get_frame_at(frame):
            image = images[max(frame - late, 0)] + brighter
            return SimpleNamespace(data=image.clamp(0, 255).byte())

        other = SimpleNamespace(get_frame_at=get_frame_at)
        opened = SimpleNamespace(VideoDecoder=lambda path, device, dimension_order: other)
        monkeypatch.setitem(sys.modules, "torchcodec", SimpleNamespace())
        monkeypatch.setitem(sys.modules, "torchcodec.decoders", opened)
        (row,) = decoders(tmp_path)
        return row["gray levels apart"], row["frames more than 1 apart"]

    assert compared(late=0, brighter=1) == (1, 0)
    assert compared(late=0, brighter=2) == (2, 100)
    assert compared(late=1, brighter=0)[1] == 99


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(tmp_path):
    ended = subprocess.run(
        ["sh", str(SCRIPTS / "gpu_check.sh"), "reference", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHON": sys.executable},
        timeout=300,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (2, "error: PyTorch finds no CUDA device here\n")
    assert not (tmp_path / "out").exists()

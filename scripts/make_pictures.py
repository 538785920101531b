"""Make the pictures of the README and of docs/: the demo with its tracks, and pages in a browser.

    python scripts/make_pictures.py                 all of them, about two minutes
    python scripts/make_pictures.py demo report     some; `--help` lists them

All but the first need Chromium; `site` needs the pages built (`make docs`), so make it last.
"""

import argparse
import asyncio
import base64
import io
import os
import shutil
import socket as sockets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

import aiohttp
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from sleap_lab import run_experiment
from sleap_lab.media.labels import read_labels, to_poses
from sleap_lab.poses.record import Poses
from sleap_lab.report.drawing import track_color
from sleap_lab.runs.links import compare_page, run_page

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "assets"
LARGEST = 150_000  # bytes of a picture
MOMENTS = (116, 134, 148, 168)
TRAIL = 45  # frames
EXCHANGED = 200  # frame from which two tracks are exchanged

TIDY = """
const section = name =>
    [...document.querySelectorAll("[role=button][aria-expanded]")]
        .find(node => node.textContent.trim() === name);
while (!section("Artifacts")) await new Promise(again => setTimeout(again, 200));
for (const node of document.querySelectorAll("[role=switch]")) node.click();
for (const name of ["Visualizations", "Run details", "Artifacts"]) section(name).click();
"""  # shows only what differs between runs

UNFOLD = """
const more = () =>
    [...document.querySelectorAll("a, button")].find(node => node.textContent == "Show more");
while (!more()) await new Promise(again => setTimeout(again, 200));
more().click();
"""  # shows all of the description

ASIDE = """
let assistant = [...document.querySelectorAll("*")]
    .filter(node => node.textContent.trim().startsWith("MLflow Assistant")).at(-1);
while (assistant && assistant.querySelectorAll("button").length < 3)
    assistant = assistant.parentElement;
if (assistant) assistant.querySelectorAll("button")[2].click();
await new Promise(again => setTimeout(again, 1000));
for (const node of document.querySelectorAll("button, div")) {
    const style = getComputedStyle(node);
    const corner = parseInt(style.bottom) < 40 && parseInt(style.right) < 40;
    if (style.position === "fixed" && corner && node.offsetWidth < 100) node.remove();
}
"""  # takes away the assistant beside and over the page

RUN = ["experiment=demo", "logger=none"]
SWEEP = ["-m", "experiment=demo", "report=none"]
ACCURACY = [
    "data.frames=0-99",
    "tracker=fixed_window,local_queues",
    "model.peak_threshold=0.2,0.4,0.6",
]
IDENTITY = [
    "data.frames=100-199",
    "tracker.oks_stddev=0.005",
    "tracker.undecided=reference",
    "tracker.tracking_window_size=1,5",
    "model.peak_threshold=0.2,0.6",
]


def save(picture: Image.Image, name: str) -> None:
    """Write a picture as well as its size allows.

    A photograph becomes a .jpg, a page a .png with as many colours as possible.
    """
    photograph = name.endswith(".jpg")
    for quality in (90, 80, 70, 60) if photograph else (256, 128, 64, 32):
        buffer = io.BytesIO()
        if photograph:
            picture.convert("RGB").save(buffer, "jpeg", quality=quality, optimize=True)
        else:
            picture.convert("RGB").quantize(quality, dither=Image.Dither.NONE).save(
                buffer, "png", optimize=True
            )
        if buffer.tell() <= LARGEST:
            break
    else:
        raise SystemExit(f"{name} is larger than {LARGEST} bytes: {buffer.tell()}")
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_bytes(buffer.getvalue())
    print(
        f"{name}: {picture.width}x{picture.height}, "
        f"{'quality' if photograph else 'colours'} {quality}, {buffer.tell() // 1000} kB"
    )


def demo() -> None:
    """Four moments of the demo with poses, tracks, and the way that each animal came."""
    with TemporaryDirectory() as scratch, chdir(scratch):
        labels = read_labels(run_experiment([*RUN, "report=none"]).folder / "predictions.slp")
    poses = to_poses(labels)
    figure = Figure(figsize=(12, 3), dpi=100)
    figure.set_layout_engine("none")
    for place, moment in enumerate(MOMENTS):
        axes = figure.add_axes((place / len(MOMENTS) + 0.002, 0, 1 / len(MOMENTS) - 0.004, 1))
        axes.set_axis_off()
        image = labels.videos[0][moment]
        axes.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255, interpolation="hanning")
        draw(axes.add_collection, poses, moment)
        axes.text(8, 22, f"frame {moment}", color="white", fontsize=10)
        axes.set_xlim(-0.5, image.shape[1] - 0.5)
        axes.set_ylim(image.shape[0] - 0.5, -0.5)
    figure.savefig(buffer := io.BytesIO())
    save(Image.open(buffer), "demo.jpg")


def draw(add: Callable[[LineCollection], object], poses: Poses, moment: int) -> None:
    """Draw the skeletons of one frame and the paths of the thorax until then."""
    edges = np.array(poses.skeleton.edges)
    thorax = poses.skeleton.nodes.index("thorax")
    for track in range(len(poses.track_names)):
        own = poses[poses.tracks == track]
        before = own[(own.frame <= moment) & (own.frame > moment - TRAIL)]
        path = before.points[np.argsort(before.frame), thorax]
        add(LineCollection([path], colors=track_color(track), linewidths=1.5, alpha=0.6))
        for pose in own[own.frame == moment].points:
            add(
                LineCollection(
                    list(pose[edges]), colors=track_color(track), linewidths=2.2, capstyle="round"
                )
            )


def report() -> None:
    """The top of the report of the demo."""
    with TemporaryDirectory() as scratch, chdir(scratch):
        page = run_experiment(RUN).folder / "report.html"
        save(screenshot(page.absolute().as_uri(), 1100, 1270), "report.png")


def review() -> None:
    """The page to look through the demo, with two tracks exchanged on purpose from a frame on."""
    with TemporaryDirectory() as scratch, chdir(scratch):
        labels = read_labels(run_experiment(RUN).folder / "predictions.slp")
        first, second = labels.tracks[:2]
        other = {id(first): second, id(second): first}
        for frame in labels.labeled_frames[EXCHANGED:]:
            for instance in frame.instances:
                instance.track = other.get(id(instance.track), instance.track)
        labels.save("clip.slp", verbose=False)
        call(scratch, "review", "clip.slp")
        page = next(Path(scratch).glob("outputs/review/*/review.html"))
        then = "document.querySelector('[data-key=n]').click();"
        save(screenshot(page.as_uri(), 1250, 860, wait=6, then=then), "review.png")


def compare() -> None:
    """The comparison of the jobs of a sweep."""
    with TemporaryDirectory() as scratch:
        call(scratch, *SWEEP, *ACCURACY, "logger=none")
        call(scratch, "compare", str(next(Path(scratch).glob("outputs/multirun/*/*"))))
        page = next(Path(scratch).glob("outputs/compare/*.html"))
        save(screenshot(page.as_uri(), 1250, 880), "compare.png")


def mlflow() -> None:
    """A sweep in MLflow: its page, and its jobs side by side."""
    from mlflow import MlflowClient

    with TemporaryDirectory() as scratch:
        call(scratch, *SWEEP, *IDENTITY)
        store = f"sqlite:///{scratch}/outputs/mlflow.db"
        with serving(
            "mlflow", "server", "--workers", "1", "--port", "{port}", "--backend-store-uri", store
        ) as address:
            jobs = MlflowClient(address).search_runs(
                ["1"], "tags.`mlflow.parentRunId` != ''", order_by=["attributes.start_time"]
            )
            parent = jobs[0].data.tags["mlflow.parentRunId"]
            page = f"{address}/{run_page('1', parent)}"
            picture = screenshot(page, 1250, 1000, wait=8, then=UNFOLD + ASIDE)
            save(picture.crop((0, 0, 1250, 760)), "mlflow-sweep.png")
            page = f"{address}/{compare_page('1', [job.info.run_id for job in jobs])}"
            picture = screenshot(page, 1250, 914, wait=8, then=TIDY + ASIDE)
            save(picture.crop((0, 0, 1250, 771)), "mlflow.png")  # whole rows


def site() -> None:
    """The first page of the documentation."""
    with serving(
        "http.server", "{port}", "--bind", "127.0.0.1", "--directory", str(ROOT / "site")
    ) as address:
        save(screenshot(f"{address}/index.html", 1300, 760), "site.jpg")


def call(cwd: str, *words: str) -> None:
    """Run sleap-lab in a folder."""
    subprocess.run(
        [sys.executable, "-m", "sleap_lab", *words], cwd=cwd, check=True, stdout=subprocess.DEVNULL
    )


@contextmanager
def serving(*words: str) -> Iterator[str]:
    """Run a module that serves pages, while the block lasts.

    Args:
        words: Arguments of Python after `-m`; `{port}` in them is a free port.

    Yields:
        The address of the pages.
    """
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", *(word.replace("{port}", port) for word in words)]
    process = subprocess.Popen(
        command,
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(120):
            try:
                urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
                break
            except (URLError, ConnectionError):
                time.sleep(1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def screenshot(
    address: str, width: int, height: int, *, wait: float = 2, then: str = ""
) -> Image.Image:
    """Return what a browser shows of a page.

    Args:
        address: Address of the page.
        width: Of the window, px.
        height: Of the window, px.
        wait: Seconds until the page has drawn itself.
        then: A script to run in the page before the picture is taken.
    """
    chromium = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if chromium is None:
        raise SystemExit("Chromium is needed for this picture")
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
        ]
        command = [chromium, *options, "--remote-debugging-port=0", address]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(wait)
            port = (
                (Path(profile) / "DevToolsActivePort").read_text(encoding="utf-8").splitlines()[0]
            )
            return Image.open(io.BytesIO(asyncio.run(_capture(port, width, height, wait, then))))
        finally:
            process.terminate()
            process.wait()


async def _capture(port: str, width: int, height: int, wait: float, then: str) -> bytes:
    """Run a script in the page of a browser and return a picture of it, as PNG."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        async with session.get("/json") as answer:
            page = next(target for target in await answer.json() if target["type"] == "page")
        async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            script = {"expression": f"(async () => {{ {then} }})()", "awaitPromise": True}
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            await socket.send_json(
                {"id": 1, "method": "Emulation.setDeviceMetricsOverride", "params": size}
            )
            await socket.send_json({"id": 2, "method": "Runtime.evaluate", "params": script})
            async for message in socket:
                if message.json().get("id") == 2:
                    await asyncio.sleep(wait)
                    await socket.send_json(
                        {"id": 3, "method": "Page.captureScreenshot", "params": {}}
                    )
                if message.json().get("id") == 3:
                    return base64.b64decode(message.json()["result"]["data"])
    raise RuntimeError("the browser went away")


PICTURES = {
    "demo": demo,
    "report": report,
    "review": review,
    "compare": compare,
    "mlflow": mlflow,
    "site": site,
}


def main() -> None:
    """Make the pictures that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pictures", nargs="*", choices=[*PICTURES, []], help="default: all")
    for name in parser.parse_args().pictures or PICTURES:
        PICTURES[name]()


if __name__ == "__main__":
    main()

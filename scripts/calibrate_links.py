"""Count how often links are right that `tracker=global` gives some probability.

Animals that look alike walk about, seek each other out and hide each other; they are seen as
detectors see them, every frame or every 25th. On the first seeds the curve of
`sleap_lab.tracking.offline.probability` is fitted again; on the others, which it has not seen, its
probabilities are compared with what is right, for each tenth of them.

    python -m scripts.calibrate_links     also draws docs/assets/calibration.png
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

from sleap_lab.poses.record import Poses, Skeleton, make_poses
from sleap_lab.tracking.offline import CERTAIN, SLOPE, identify

PICTURE = Path(__file__).parents[1] / "docs" / "assets" / "calibration.png"
BODY = np.array([[0.5, 0], [0.15, 0], [-0.5, 0], [0, 0.25], [0, -0.25]])  # body lengths
SCENES = tuple((animals, stride) for animals in (2, 3, 5) for stride in (3, 8, 15, 25))
FITTED, HELD_OUT = range(4), range(100, 104)
FRAMES = 200
DOUBT = 4.0  # margin from which almost all links are right; only those below shape the curve


def main() -> None:
    """Fit on some seeds, compare on others, print and draw."""
    margin, right = collect(FITTED)

    margin, right = margin[margin < DOUBT], right[margin < DOUBT]

    def surprise(curve: np.ndarray) -> float:
        logit = curve[0] + curve[1] * margin
        return float(np.mean(np.logaddexp(0, np.where(right, -logit, logit))))

    fitted = minimize(surprise, [CERTAIN, SLOPE]).x
    print(f"fitted to {len(margin)} links: CERTAIN {fitted[0]:.2f}, SLOPE {fitted[1]:.2f}")
    print(f"in use: CERTAIN {CERTAIN}, SLOPE {SLOPE}")
    margin, right = collect(HELD_OUT)
    given = 1 / (1 + np.exp(-(fitted[0] + fitted[1] * margin)))
    tenth = np.minimum((given * 10).astype(int), 9)
    rows = []
    for low in range(10):
        own = tenth == low
        if own.any():
            rows.append((given[own].mean(), right[own].mean(), int(own.sum())))
            said, found, count = rows[-1]
            print(
                f"{low / 10:.1f} to {low / 10 + 0.1:.1f}: {said:.3f} given, {found:.3f} right",
                end="",
            )
            print(f", {count} links")
    draw(rows)


def collect(seeds: range) -> tuple[np.ndarray, np.ndarray]:
    """Return the margin of every link in doubt, and whether it is right."""
    margins, rights = [], []
    for animals, stride in SCENES:
        for seed in seeds:
            poses, truth = scene(animals, stride, seed)
            tracks, given = identify(poses, animals)
            for track in range(animals):
                own = np.flatnonzero(tracks == track)
                own = own[np.argsort(poses.frame[own])]
                real = (truth[own[1:]] >= 0) & (truth[own[:-1]] >= 0)
                sure = given[own[1:]]
                doubtful = real & (sure < 1 - 1e-9)
                sure = sure[doubtful]
                margins.append((np.log(sure / (1 - sure)) - CERTAIN) / SLOPE)
                rights.append((truth[own[1:]] == truth[own[:-1]])[doubtful])
    return np.concatenate(margins), np.concatenate(rights)


def scene(animals: int, stride: int, seed: int) -> tuple[Poses, np.ndarray]:
    """Return detections of walking animals, px, and the animal of each, -1 for none."""
    rng = np.random.default_rng([seed, animals, stride])
    arena = 3.0 + animals / 2
    place, turn = rng.uniform(0, arena, (animals, 2)), rng.uniform(0, 2 * np.pi, animals)
    goal, moving = np.full(animals, -1), np.ones(animals, dtype=bool)
    hidden = np.zeros(animals, dtype=int)
    points, frames, truth = [], [], []
    for step in range(FRAMES * stride):
        moving = np.where(rng.random(animals) < 1 / 30, rng.random(animals) < 0.7, moving)
        aims = np.where(rng.random(animals) < 0.5, rng.integers(0, animals, animals), -1)
        goal = np.where(rng.random(animals) < 1 / 60, aims, goal)
        away = place[goal] - place
        steer = np.where(goal >= 0, 0.2 * np.sin(np.arctan2(away[:, 1], away[:, 0]) - turn), 0)
        turn = turn + steer + rng.normal(0, 0.08, animals)
        ahead = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        place = place + 0.04 * moving[:, None] * ahead
        outside = ((place < 0) | (place > arena)).any(axis=1)
        back = arena / 2 - place
        turn = np.where(outside, np.arctan2(back[:, 1], back[:, 0]), turn)
        place = np.clip(place, 0, arena)
        if step % stride:
            continue
        apart = np.linalg.norm(place[:, None] - place, axis=-1) + 9 * np.eye(animals)
        touching = apart.min(axis=1) < 0.7
        covered = touching & (hidden == 0) & (rng.random(animals) < 0.15)
        hidden = np.where(covered, 12, np.where(touching, np.maximum(hidden - 1, 0), 0))
        for own in np.flatnonzero((hidden == 0) & (rng.random(animals) > 0.03)):
            c, s = np.cos(turn[own]), np.sin(turn[own])
            pose = BODY @ np.array([[c, s], [-s, c]]) + place[own] + rng.normal(0, 0.02, BODY.shape)
            pose[rng.random(len(pose)) < (0.25 if touching[own] else 0.05)] = np.nan
            if not np.isnan(pose).all():
                points.append(100 * pose)
                frames.append(step // stride)
                truth.append(own)
    skeleton = Skeleton(("head", "neck", "tail", "left", "right"))
    return make_poses(skeleton, points, frame=frames), np.array(truth)


def draw(rows: list[tuple[float, float, int]]) -> None:
    """Draw what is right against what was given."""
    given, right, count = (np.array(column) for column in zip(*rows, strict=True))
    figure, axes = plt.subplots(figsize=(4.5, 4.2), layout="constrained")
    axes.fill_between([0, 1], [-0.07, 0.93], [0.07, 1.07], color="0.92", label="within 0.07")
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    error = 1.96 * np.sqrt(right * (1 - right) / count)
    axes.errorbar(given, right, error, fmt="o", color="tab:blue", label="links, 95% interval")
    axes.set(xlim=(0.4, 1.02), ylim=(0.4, 1.02), xlabel="probability given", ylabel="share right")
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(PICTURE, dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()

from functools import lru_cache

import cv2
import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking import track
from sleap_lab.tracking.appearance import Appearance, placed

# Nodes of an animal that looks to the right.
BODY = np.array([[-18, 0], [0, 0], [18, 0], [0, 9], [0, -9]], dtype=float)
SKELETON = Skeleton(("tail", "middle", "head", "left", "right"))
SIZE = 320  # px, side of the image
FRAMES = 60


def turned(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def painted(image, texture, center, angle):
    """Paint a texture into an image, turned and moved."""
    h, w = texture.shape
    turn = turned(angle)
    matrix = np.column_stack([turn, center - turn @ [(w - 1) / 2, (h - 1) / 2]])
    layer = cv2.warpAffine(texture, matrix, image.shape[1::-1])
    mask = cv2.warpAffine(np.full_like(texture, 255), matrix, image.shape[1::-1])
    return np.where(mask > 127, layer, image)


def textured_animals(seed, animals=4, frames=FRAMES):
    """Return a clip of animals and their poses with the true identities.

    The animals have different textures, and dart about and over each other.
    """
    rng = np.random.default_rng(seed)
    textures = [
        cv2.resize(
            rng.integers(40, 256, (4, 8), dtype=np.uint8), (44, 24), interpolation=cv2.INTER_NEAREST
        )
        for _ in range(animals)
    ]
    centers, angles = rng.uniform(60, SIZE - 60, (animals, 2)), rng.uniform(0, 2 * np.pi, animals)
    images, points = [], []
    for _ in range(frames):
        angles = angles + rng.normal(0, 0.5, animals)
        centers = centers + 22 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        outside = (centers < 30) | (centers > SIZE - 30)
        angles[outside.any(axis=1)] += np.pi
        centers = np.clip(centers, 30, SIZE - 30)
        image = rng.integers(0, 30, (SIZE, SIZE), dtype=np.uint8)
        for texture, center, angle in zip(textures, centers, angles, strict=True):
            image = painted(image, texture, center, angle)
        images.append(image[..., None])
        points += [
            BODY @ turned(angle).T + center for center, angle in zip(centers, angles, strict=True)
        ]
    noisy = np.array(points) + rng.normal(0, 0.7, (len(points), len(BODY), 2))
    noisy[rng.random(noisy.shape[:2]) < 0.05] = np.nan
    return images, make_poses(SKELETON, noisy, frame=np.repeat(np.arange(frames), animals))


def switches(images, poses, **settings):
    """Count how often an animal gets another track than in the frame before."""
    animals = len(poses) // FRAMES
    tracked = track(poses, TrackerConfig(**settings), lambda video, frame: images[frame])
    return int((np.diff(tracked.tracks.reshape(-1, animals), axis=0) != 0).sum())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_appearance_keeps_differently_textured_animals_apart_where_poses_do_not(seed):
    images, poses = textured_animals(seed)
    by_pose = switches(images, poses, undecided="reference")
    by_appearance = switches(images, poses, features="image")
    assert by_pose >= 3
    assert by_appearance < by_pose


def test_a_patch_does_not_depend_on_place_direction_or_contrast():
    texture = cv2.resize(
        np.random.default_rng(3).integers(40, 256, (3, 6), dtype=np.uint8),
        (66, 36),
        interpolation=cv2.INTER_LINEAR,
    )
    places = [((100, 90), 0.0), ((180.5, 120), 2.0), ((90, 200), -1.2)]
    images = [
        painted(np.full((SIZE, SIZE), 20, np.uint8), texture, *place)[..., None] for place in places
    ]
    images[2] = images[2] // 2
    points = np.stack([BODY @ turned(angle).T + center for center, angle in places])
    patches = Appearance(images.__getitem__, points, np.arange(3)).describe(np.arange(3))
    np.testing.assert_allclose(np.linalg.norm(patches, axis=1), 1, rtol=1e-6)
    assert (patches @ patches.T).min() > 0.95


def test_patches_of_other_animals_differ():
    images, poses = textured_animals(0)
    patches = (
        Appearance(images.__getitem__, poses.points, poses.frame)
        .describe(np.arange(len(poses)))
        .reshape(FRAMES, 4, -1)
    )
    similarity = np.einsum("fad,gbd->abfg", patches, patches).mean(axis=(2, 3))
    assert (similarity.diagonal() > (similarity - 2 * np.eye(4)).max(axis=0)).all()


def test_no_detection_and_no_visible_node_have_no_patch():
    points = np.stack([BODY + 50, np.full_like(BODY, np.nan)])
    image = np.arange(100 * 100 * 3, dtype=np.uint8).reshape(100, 100, 3)
    patches = Appearance(lambda frame: image, points, np.zeros(2, int)).describe(
        np.array([[0, -1], [1, 0]])
    )
    assert np.isfinite(patches).all(axis=-1).tolist() == [[True, False], [False, True]]
    blank = Appearance(
        lambda frame: np.zeros((100, 100, 1), np.uint8), points, np.zeros(2, int)
    ).describe(np.array([0]))
    assert np.isnan(blank).all()


def test_an_image_is_read_once_while_its_detections_are_asked_for():
    read = []

    def read_image(frame):
        read.append(frame)
        return np.zeros((100, 100, 1), np.uint8)

    appearance = Appearance(read_image, np.stack([BODY + 50] * 4), np.array([0, 0, 1, 2]))
    for rows in ([0, 1], [2, 0, 1], [3, 2], [0]):
        appearance.describe(np.array(rows))
    assert read == [0, 1, 2, 0]
    assert list(appearance.patches) == [0]


def test_turns_are_found_over_the_nodes_both_have():
    angles = np.array([0, 0.3, -2.0, 3.0])
    points = np.stack([BODY @ turned(angle).T + [10 * i, 5] for i, angle in enumerate(angles)])
    points[2, :2] = np.nan
    centers, turns = placed(points)
    np.testing.assert_allclose(turns, [turned(angle) for angle in angles], atol=1e-12)
    np.testing.assert_allclose(centers[1], [10, 5], atol=1e-12)
    assert placed(points[:0])[1].shape == (0, 2, 2)


@pytest.mark.parametrize("spread", [1.0, 2.5])
def test_a_patch_is_centered_on_the_animal(spread):
    y, x = np.mgrid[:160, :160]
    image = (255 * np.exp(-((x - 80) ** 2 + (y - 80) ** 2) / 800)).astype(np.uint8)[..., None]
    body = np.array([[-18, -9], [18, 9], [0, 9], [0, -9], [0, 0]]) * spread + 80
    (patch,) = Appearance(lambda frame: image, body[None], np.zeros(1, int)).describe(np.array([0]))
    patch = patch.reshape(16, 16)
    np.testing.assert_allclose(patch, patch[::-1, ::-1], atol=0.002)


@pytest.mark.parametrize(
    ("scales", "extent"), [([2.0, 3.0, 4.0], 3 * np.hypot(36, 18)), ([0.1, 0.1], 32), ([], 32)]
)
def test_patches_are_as_large_as_the_median_pose(scales, extent):
    points = np.stack([*(BODY * scale for scale in scales), np.full_like(BODY, np.nan)])
    assert Appearance(
        lambda frame: None, points, np.zeros(len(points), int)
    ).extent == pytest.approx(extent)


def shown_otherwise(images, poses, change, seed):
    """The same clip, shown in another way: images, and poses with their row in the clip."""
    images, points = np.array(images), poses.points
    if change == "mirrored":
        images, points = images[:, :, ::-1], [SIZE - 1, 0] + points * [-1, 1]
    elif change == "upside down":
        images, points = images[:, ::-1], [0, SIZE - 1] + points * [1, -1]
    elif change == "turned":
        images, points = images.swapaxes(1, 2), points[..., ::-1]
    elif change == "twice as large":
        images, points = images.repeat(2, axis=1).repeat(2, axis=2), 2 * points + 0.5
    rows = np.arange(len(poses))
    if change == "in another order":
        rows = np.random.default_rng(seed).permutation(len(poses))
    other = make_poses(SKELETON, points[rows], frame=poses.frame[rows], origin=rows)
    return np.ascontiguousarray(images), other


@lru_cache
def clip(seed):
    """A short clip of three animals; it is not to be changed."""
    return textured_animals(seed, animals=3, frames=15)


@lru_cache
def animals_as_they_are(seed, settings):
    """What `animals_of` returns for the clip itself; settings as pairs."""
    return animals_of(*shown_otherwise(*clip(seed), "", seed), **dict(settings))


def animals_of(images, poses, **settings):
    """Which detections are one animal, by their row in the clip, whatever it is called."""
    tracked = track(poses, TrackerConfig(**settings), lambda video, frame: images[frame])
    return {
        frozenset(tracked.origin[tracked.tracks == number].tolist())
        for number in set(tracked.tracks.tolist())
    }


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("method", ["fixed_window", "local_queues"])
@pytest.mark.parametrize(
    "change", ["in another order", "mirrored", "upside down", "turned", "twice as large"]
)
@pytest.mark.parametrize(
    "settings",
    [{"features": "image"}, {"use_flow": True, "scoring_method": "euclidean_dist"}],
    ids=["appearance", "flow"],
)
def test_the_answer_does_not_depend_on_how_the_clip_is_shown(seed, method, change, settings):
    images, poses = clip(seed)
    settings = {
        "candidates_method": method,
        "max_tracks": 3 if method == "local_queues" else None,
    } | settings
    found = animals_as_they_are(seed, tuple(settings.items()))
    assert found == animals_of(*shown_otherwise(images, poses, change, seed), **settings)
    assert set.union(*map(set, found)) == set(range(len(poses)))

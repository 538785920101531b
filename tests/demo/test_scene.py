"""The maker of the demo: seeded, and the source of what is committed."""

import numpy as np
import sleap_io as sio

from scripts.demo import choreography, examples
from scripts.demo.scene import SKELETON, SPINE_DISTANCE, Animal, bent_spine, nodes_of, stamp
from scripts.make_demo import frames
from scripts.make_demo import truth as truth_of
from sleap_lab.poses.record import Poses


def test_rendering_depends_on_the_seed_only() -> None:
    scenes = choreography.clip()[:2]
    first, again, other = (frames(scenes, (64, 64), seed) for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_examples_depend_on_the_seed_only() -> None:
    for make in (examples.arenas, examples.crops):
        first, again, other = (make.__wrapped__(96, 2, seed) for seed in (3, 3, 4))
        assert (first.images == again.images).all()
        assert np.array_equal(first.points, again.points, equal_nan=True)
        assert (first.images != other.images).any()


def test_the_committed_truth_is_what_the_script_makes(truth: Poses) -> None:
    made = truth_of(choreography.clip())
    np.testing.assert_allclose(made.points, truth.points, atol=1e-6)
    assert made.tracks.tolist() == truth.tracks.tolist()
    assert made.track_names == truth.track_names
    assert made.skeleton == truth.skeleton == SKELETON


def test_the_committed_clip_shows_what_the_script_renders(clip: sio.Video) -> None:
    made = frames(choreography.clip()[:3], choreography.CLIP_SHAPE, seed=1)
    shown = np.stack([clip[i][..., 0] for i in range(3)])
    assert (
        np.abs(shown.astype(float) - made).mean() < 6
    )  # sensor noise that the encoder smooths away


def test_nodes_of_a_straight_animal() -> None:
    nodes = nodes_of(bent_spine(np.array([50.0, 20.0]), 0.0, (0, 0, 0)))
    # It looks to the right, so its left ear is up, where y is smaller.
    np.testing.assert_allclose(
        nodes,
        [[50, 20], [37, 20 - 8], [37, 20 + 8], [50 - 38, 20], [50 - 55, 20], [50 - 72, 20]],
        atol=1e-9,
    )


def test_spines_keep_their_length_when_they_bend() -> None:
    spine = bent_spine(np.zeros(2), 1.0, (0.02, -0.02, 0.02))
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(spine, axis=0), axis=-1), np.diff(SPINE_DISTANCE)
    )


def test_stamp_centres_a_disc_below_the_pixel() -> None:
    image = np.zeros((21, 31))
    stamp(image, np.array([[12.3, 9.6]]), np.array([4.0]), np.array([1.0]))
    y, x = np.mgrid[:21, :31]
    np.testing.assert_allclose(
        [(image * x).sum() / image.sum(), (image * y).sum() / image.sum()], [12.3, 9.6], atol=0.02
    )


def test_stamp_outside_the_image_changes_nothing() -> None:
    image = np.full((8, 8), 0.5)
    stamp(
        image, np.array([[-20.0, 4.0], [-18.0, 40.0]]), np.array([3.0, 3.0]), np.array([1.0, 1.0])
    )
    assert (image == 0.5).all()


def test_crops_show_the_animal_where_its_nodes_say() -> None:
    made = examples.crops.__wrapped__(96, 20, 5)
    dark = [
        made.images[k, y, x]
        for k in range(20)
        for x, y in made.points[k, 0, [3, 4]].round().astype(int)
    ]  # thorax and abdomen lie in the middle of a body darker than the floor
    assert np.median(dark) < 110 < np.median(made.images)


def test_animals_of_an_arena_do_not_cover_each_other() -> None:
    rng = np.random.default_rng(0)
    scene = examples.companions(rng, [], (160, 160), 6)
    assert len(scene) >= 2
    thoraxes = np.array([nodes_of(animal.spine)[examples.ANCHOR] for animal in scene])
    gaps = np.linalg.norm(thoraxes[:, None] - thoraxes[None], axis=-1) + 1e9 * np.eye(len(scene))
    assert gaps.min() > examples.SHOULDER_GAP
    assert all(isinstance(animal, Animal) for animal in scene)

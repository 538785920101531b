import pytest
import torch

from scripts.demo.examples import ANCHOR, arenas, crops
from scripts.demo.models import CROP_SIZE, CROPPED, HEADS, RECIPES, loss, training_config
from scripts.demo.scene import IDENTITIES, SKELETON
from scripts.demo.targets import class_maps, confidence_maps, part_affinity_fields
from sleap_lab.networks import build_network


def perfect(
    head: dict, name: str, points: torch.Tensor, identities: torch.Tensor, shape: tuple[int, int]
) -> torch.Tensor:
    stride, reach = head["output_stride"], head.get("sigma")
    if name == "confmaps":
        return confidence_maps(
            points if "part_names" in head else points[:, :, [ANCHOR]], shape, stride, reach
        )
    if name == "pafs":
        return part_affinity_fields(points, torch.tensor(SKELETON.edges), shape, stride, reach)
    if name == "class_maps":
        return class_maps(points, identities, len(IDENTITIES), shape, stride, reach)
    return torch.nn.functional.one_hot(identities[:, 0], len(IDENTITIES)).float()


@pytest.mark.parametrize("kind", RECIPES)
def test_loss_is_zero_for_perfect_answers_only(kind: str) -> None:
    make = crops if kind in CROPPED else arenas
    examples = make.__wrapped__(CROP_SIZE, 2, 5)
    points, identities = torch.from_numpy(examples.points), torch.from_numpy(examples.identities)
    shape = (CROP_SIZE, CROP_SIZE)
    answers = {
        name: perfect(head, name, points, identities, shape) for name, head in HEADS[kind].items()
    }
    assert loss(HEADS[kind], answers, points, identities, shape).item() == pytest.approx(
        0, abs=1e-6
    )
    network = build_network(training_config(kind))
    guesses = network(torch.from_numpy(examples.images)[:, None] / 255)
    assert {name: guess.shape for name, guess in guesses.items()} == {
        name: answer.shape for name, answer in answers.items()
    }
    assert loss(HEADS[kind], guesses, points, identities, shape).item() > 1e-3

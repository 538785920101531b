import warnings

import torch

from sleap_lab.pipelines.named_values import NamedValues, tracing


def test_maps_come_in_a_tuple_and_their_shapes_by_name(two_heads):
    values, images = NamedValues(two_heads), torch.rand(3, 1, 16, 8)
    with torch.inference_mode():
        found, expected = values(images), two_heads(images)
    for one, other in zip(found, expected.values(), strict=True):
        assert torch.equal(one, other)
    assert values.shapes == {"confmaps": (2, 16, 8), "pafs": (4, 8, 4)}


def test_a_network_is_followed_in_float32_and_without_a_word():
    with torch.autocast("cpu", dtype=torch.bfloat16), tracing():
        assert torch.nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == torch.float32
        warnings.warn("a size becomes a constant", stacklevel=1)

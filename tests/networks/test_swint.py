import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab.networks.swint import (
    MASKED,
    PatchMerging,
    SwinEncoder,
    WindowAttention,
    from_windows,
    relative_positions,
    shift_mask,
    swint,
    to_windows,
)


def test_widths_of_tiny_as_sleap_nn_documents_them():
    with torch.device("meta"):
        network = swint({})
    assert network.middle_channels == 96 * 8 * 2
    assert network.output_channels == {32: 1536, 16: 768, 8: 384, 4: 192, 2: 96, 1: 96}
    assert [len(network.enc.features[i]) for i in (1, 3, 5, 7)] == [2, 2, 6, 2]
    assert [network.enc.features[i][0].attn.heads for i in (1, 3, 5, 7)] == [3, 6, 12, 24]
    assert [block.attn.shift for block in network.enc.features[5]] == [0, 3, 0, 3, 0, 3]


def test_pretrained_weights_are_not_fetched(monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("connects"))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("downloads"))
    config = {"model_type": "custom", "arch": {"embed": 2, "depths": [1], "num_heads": [1]}}
    plain = swint(config).state_dict()
    named = swint(config | {"pre_trained_weights": "Swin_T_Weights"}).state_dict()
    assert {name: value.shape for name, value in named.items()} == {
        name: value.shape for name, value in plain.items()
    }


# ---- windows


def test_windows_and_their_pixels_are_in_reading_order():
    x = torch.arange(24.0).reshape(1, 4, 6, 1)
    assert to_windows(x, 2)[..., 0].tolist() == [
        [0, 1, 6, 7],
        [2, 3, 8, 9],
        [4, 5, 10, 11],
        [12, 13, 18, 19],
        [14, 15, 20, 21],
        [16, 17, 22, 23],
    ]


@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5)
)
def test_windows_go_back_to_where_they_came_from(batch, channels, rows, columns, window):
    x = torch.arange(float(batch * channels * rows * columns * window**2)).reshape(
        batch, rows * window, columns * window, channels
    )
    windows = to_windows(x, window)
    assert windows.shape == (batch * rows * columns, window**2, channels)
    assert torch.equal(from_windows(windows, x.shape[1:3], window), x)


def test_relative_positions_of_a_small_window():
    # Pixels are 0 1 / 2 3. Offsets are -1 … 1 down and right, three of each, in row
    # 3 (down + 1) + (right + 1).
    assert relative_positions(2).reshape(4, 4).tolist() == [
        [4, 3, 1, 0],
        [5, 4, 2, 1],
        [7, 6, 4, 3],
        [8, 7, 5, 4],
    ]


def test_pixels_from_opposite_sides_are_kept_apart():
    # One row of windows, rolled by one column: the last column of the second window came from the
    # left edge.
    mask = shift_mask((2, 4), 2, (0, 1), like=torch.zeros(1))
    o, x = 0.0, MASKED
    assert mask.tolist() == [[[o] * 4] * 4, [[o, x, o, x], [x, o, x, o]] * 2]


# ---- layers


@torch.no_grad()
def test_merging_puts_pixels_side_by_side_column_by_column():
    merging = PatchMerging(1)
    merging.norm = torch.nn.Identity()
    merging.reduction.weight.copy_(torch.eye(4)[:2])
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])[None, ..., None]
    assert merging(x)[0].tolist() == [[[1, 4], [3, 6]], [[7, 0], [9, 0]]]  # upper left, lower left
    merging.reduction.weight.copy_(torch.eye(4)[2:])
    # Upper right, lower right.
    assert merging(x)[0].tolist() == [[[2, 5], [0, 0]], [[8, 0], [0, 0]]]


def by_hand(attention, x):
    """Window attention pixel by pixel: the members of each window, and their contributions."""
    height, width, channels = x.shape
    window, heads = attention.window, attention.heads
    size = [math.ceil(side / window) * window for side in (height, width)]
    shift = [attention.shift if side > window else 0 for side in size]
    padded = torch.zeros(*size, channels)
    padded[:height, :width] = x
    q, k, v = (part.unflatten(-1, (heads, -1)) for part in attention.qkv(padded).chunk(3, dim=-1))
    table = attention.relative_position_bias_table.unflatten(0, (2 * window - 1, -1))
    pixels = [(row, column) for row in range(size[0]) for column in range(size[1])]

    def place(pixel):
        """Return the window of a pixel on the rolled map, and where the pixel stands there."""
        rolled = [
            (position - s) % side for position, s, side in zip(pixel, shift, size, strict=True)
        ]
        return (
            [r // window for r in rolled],
            [r % window for r in rolled],
            [p < s for p, s in zip(pixel, shift, strict=True)],
        )

    out = torch.zeros(height, width, channels)
    for here in pixels:
        if here[0] >= height or here[1] >= width:
            continue
        home, at, wrapped = place(here)
        others = [(other, *place(other)) for other in pixels if place(other)[0] == home]
        logits = torch.stack(
            [
                (q[here] * k[other]).sum(-1) / math.sqrt(channels / heads)
                + table[at[0] - there[0] + window - 1, at[1] - there[1] + window - 1]
                + (0.0 if wrapped == other_wrapped else MASKED)
                for other, _, there, other_wrapped in others
            ]
        )
        values = torch.stack([v[other] for other, *_ in others])
        out[here] = attention.proj((logits.softmax(0)[..., None] * values).sum(0).flatten())
    return out


@torch.no_grad()
@pytest.mark.parametrize(
    ("size", "window", "shift"),
    [
        ((4, 6), 2, 0),
        ((4, 6), 2, 1),
        ((6, 6), 3, 1),
        ((5, 7), 3, 1),  # padded
        ((3, 7), 3, 1),  # a single row of windows is not moved
        ((2, 2), 4, 2),  # a single window, larger than the map
    ],
)
def test_attention_is_that_among_the_pixels_of_a_window(fill, size, window, shift):
    attention = fill(WindowAttention(4, 2, window, shift))
    x = torch.randn(2, *size, 4)
    torch.testing.assert_close(
        attention(x), torch.stack([by_hand(attention, image) for image in x]), rtol=1e-4, atol=1e-4
    )


def test_heads_must_share_the_channels():
    with pytest.raises(ValueError, match="3 attention heads do not divide 4 channels"):
        WindowAttention(4, 3, 7, 0)


def test_positions_are_real_without_memory_for_weights():
    with torch.device("meta"):
        attention = WindowAttention(4, 2, 2, 0)
    assert attention.qkv.weight.is_meta
    assert torch.equal(attention.relative_position_index, relative_positions(2))


# ---- the encoder


@torch.no_grad()
def test_skip_connections_leave_each_level_before_its_blocks(fill):
    encoder = fill(SwinEncoder(1, 4, [2, 1, 3], [1, 2, 4], patch=4, stem_stride=2, window=3))
    image = torch.randn(1, 1, 32, 48)
    last, skips = encoder(image)
    assert [tuple(skip.shape) for skip in skips] == [(1, 16, 4, 6), (1, 8, 8, 12), (1, 4, 16, 24)]

    def at(i, x):
        return encoder.features[i](x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    assert torch.equal(skips[2], encoder.features[0](image).permute(0, 3, 1, 2))
    assert torch.equal(skips[1], at(2, at(1, skips[2])))
    assert torch.equal(last, encoder.norm(at(5, skips[0]).permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


@torch.no_grad()
def test_sizes_are_rounded_up_between_levels(fill):
    encoder = fill(SwinEncoder(1, 4, [1, 1, 1], [1, 1, 1], patch=4, stem_stride=2, window=3))
    _, skips = encoder(torch.rand(1, 1, 74, 50))
    assert [tuple(skip.shape[-2:]) for skip in skips] == [(10, 7), (19, 13), (37, 25)]


@torch.no_grad()
def test_images_of_a_batch_do_not_mix(fill):
    network = fill(
        swint(
            {
                "arch": {"embed": 4, "depths": [2, 2], "num_heads": [1, 2]},
                "window_size": 3,
                "output_stride": 2,
            }
        )
    ).eval()
    images = torch.rand(3, 1, 20, 28)
    together = network(images)[1][2]
    for image, found in zip(images, together, strict=True):
        torch.testing.assert_close(network(image[None])[1][2][0], found, rtol=1e-3, atol=1e-3)

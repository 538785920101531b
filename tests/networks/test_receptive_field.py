import torch
from torch import nn

from sleap_lab.networks.receptive_field import WIDEST, receptive_field


class Maps(nn.Module):
    """Layers whose output is the only map."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return {"confmaps": self.layers(x)}


def conv(size, stride=1, channels=1):
    return nn.Conv2d(channels, 1, size, stride, padding=size // 2)


def test_convolutions_add_up():
    assert receptive_field(Maps(conv(3, channels=3), conv(5)), 3, 8) == 1 + 2 + 4


def test_weights_of_zero_count():
    layer = conv(7)
    nn.init.zeros_(layer.weight)
    assert receptive_field(Maps(layer), 1, 8) == 7


def test_strides_magnify_what_follows_to_a_pixel_of_the_map():
    # A pixel of the image is in one window; the convolution spreads it to three map pixels.
    assert receptive_field(Maps(nn.MaxPool2d(4), conv(3)), 1, 4) == 3 * 4


def test_wider_images_are_tried_where_it_does_not_fit():
    assert receptive_field(Maps(conv(301)), 1, 8) == 301


def test_a_network_that_sees_everything_has_none():
    class Mean(nn.Module):
        def forward(self, x):
            return {"confmaps": x + x.mean()}

    assert receptive_field(Mean(), 1, WIDEST // 16) is None
    assert not torch.is_inference_mode_enabled()

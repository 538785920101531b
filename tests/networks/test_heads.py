import pytest
import torch

from sleap_lab.networks.heads import ClassVectorsHead, map_head


def fill(module, value=0.0):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(value)
    return module


def test_a_map_head_is_a_1x1_convolution_under_its_layer_name():
    head = map_head("CentroidConfmapsHead", 6, 3, sigmoid=False)
    assert {name: tuple(value.shape) for name, value in head.state_dict().items()} == {
        "CentroidConfmapsHead.0.weight": (3, 6, 1, 1),
        "CentroidConfmapsHead.0.bias": (3,),
    }
    assert head(torch.rand(2, 6, 5, 7)).shape == (2, 3, 5, 7)


@pytest.mark.parametrize(("sigmoid", "expected"), [(False, -3.0), (True, 1 / (1 + 2.718281828**3))])
def test_confidence_is_unbounded_but_probabilities_are_not(sigmoid, expected):
    head = fill(map_head("Head", 1, 1, sigmoid=sigmoid), -1.0)  # -1 x - 1
    assert head(torch.full((1, 1, 1, 1), 2.0)).item() == pytest.approx(expected)


def test_a_sigmoid_adds_no_weights():
    assert (
        map_head("Head", 2, 1, sigmoid=True).state_dict().keys()
        == map_head("Head", 2, 1, sigmoid=False).state_dict().keys()
    )


def test_names_and_shapes_of_class_vectors():
    head = ClassVectorsHead(30, 2, num_fc_layers=3, num_fc_units=64)
    assert {name: tuple(value.shape) for name, value in head.state_dict().items()} == {
        "pre_classification0_fc.weight": (64, 30),
        "pre_classification0_fc.bias": (64,),
        "pre_classification1_fc.weight": (64, 64),
        "pre_classification1_fc.bias": (64,),
        "pre_classification2_fc.weight": (64, 64),
        "pre_classification2_fc.bias": (64,),
        "ClassVectorsHead.weight": (2, 64),
        "ClassVectorsHead.bias": (2,),
    }


@torch.no_grad()
def test_class_vectors_are_the_softmax_of_the_largest_values():
    head = ClassVectorsHead(2, 2, num_fc_layers=0, num_fc_units=1)
    head.ClassVectorsHead.weight.copy_(torch.eye(2))
    head.ClassVectorsHead.bias.zero_()
    maps = torch.zeros(1, 2, 3, 3)
    maps[0, 0, 1, 2] = 1.0  # wherever it stands
    maps[0, 1, 0, 0] = 3.0
    e = 2.718281828
    assert head(maps)[0].tolist() == pytest.approx([e / (e + e**3), e**3 / (e + e**3)])


@torch.no_grad()
def test_hidden_layers_are_rectified():
    head = fill(ClassVectorsHead(1, 2, num_fc_layers=1, num_fc_units=1))
    head.pre_classification0_fc.weight.fill_(1.0)
    head.ClassVectorsHead.weight.copy_(torch.tensor([[0.0], [1.0]]))
    below, above = head(torch.tensor([[[[-5.0]]], [[[5.0]]]]))
    assert below.tolist() == [0.5, 0.5]
    assert above[1] > 0.99


def test_class_vectors_are_probabilities_of_every_image():
    vectors = ClassVectorsHead(4, 3, num_fc_layers=2, num_fc_units=8)(torch.randn(5, 4, 3, 2))
    assert vectors.shape == (5, 3)
    assert vectors.sum(dim=1).tolist() == pytest.approx([1] * 5)

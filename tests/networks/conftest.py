import pytest
import torch


@pytest.fixture(scope="session")
def fill():
    """Return a function that gives a module random weights, so that no part of it vanishes."""

    def fill(module, seed=0):
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.randn(parameter.shape))
        return module

    return fill


@pytest.fixture(scope="session")
def shapes():
    """Return a function that returns the shapes of the weights of a module, without biases."""

    def shapes(module):
        return {
            name.removesuffix(".weight"): tuple(value.shape)
            for name, value in module.state_dict().items()
            if name.endswith("weight")
        }

    return shapes

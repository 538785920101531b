import pytest

from sleap_lab.pipelines import pipeline
from sleap_lab.pipelines.accelerator import Accelerator


@pytest.fixture(params=["processor", "accelerator"])
def anywhere(request, monkeypatch):
    """Run on a processor, and on an accelerator whose tensors are those of the processor."""
    if request.param == "accelerator":
        monkeypatch.setattr(pipeline, "accelerator_of", Accelerator)
    return request.param

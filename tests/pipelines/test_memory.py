import platform
import resource

import numpy as np
import pytest

from sleap_lab.pipelines.memory import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_memory_that_was_freed_is_used_again():
    def faults_of_large_arrays():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            np.ones(4_000_000)  # 32 MB, 8,000 pages
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    assert keep_freed_memory()
    np.ones(4_000_000)
    assert faults_of_large_arrays() < 1000


def test_other_systems_go_on_without(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert not keep_freed_memory()

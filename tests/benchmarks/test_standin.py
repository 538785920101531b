import threading
from contextlib import nullcontext

import numpy as np
import torch

from benchmarks.standin import Operators, StandIn, not_on_processor
from sleap_lab.decode.peaks import local_peaks
from sleap_lab.pipelines.accelerator import on_host


def test_operators_of_all_threads_are_counted_where_they_are_watched():
    def work(device):
        with device.queue():
            torch.ones(300, 300) @ torch.ones(300, 300)

    computed = []
    for watched, threads in ((False, 2), (True, 1), (True, 2)):
        device = StandIn(watched=watched)
        workers = [threading.Thread(target=work, args=(device,)) for _ in range(threads)]
        for worker in workers:
            worker.start()
            worker.join()
        computed.append(device.computed)
    assert computed[0] == 0 < min(computed[1:])


def test_the_start_of_an_operator_is_not_what_it_computes(monkeypatch):
    monkeypatch.setattr(Operators, "start", 1.0)
    with Operators() as called:
        torch.neg(torch.zeros(1))  # two operators, of much less than a second
    assert -2 <= called.seconds < -1.9


def test_calibration_measures_a_start(monkeypatch):
    monkeypatch.setattr(Operators, "start", 1.0)  # of the calibration before
    Operators.calibrate(times=50)
    assert 0 < Operators.start < 0.1


def test_what_goes_up_is_timed_and_arrives():
    device = StandIn()
    images = np.arange(24, dtype=np.uint8).reshape(2, 12)
    np.testing.assert_array_equal(device.upload(*images).numpy(), images)
    assert device.copied > 0


def test_peaks_are_found_as_on_a_device():
    maps = torch.zeros(1, 1, 5, 5)
    maps[0, 0, 2, 3] = 0.9
    device = StandIn(watched=True)
    for steps in (nullcontext(), not_on_processor()):
        with steps, device.queue():
            samples, nodes, points, _ = local_peaks(maps, 0.2)
        assert (samples.tolist(), nodes.tolist(), points.tolist()) == ([0], [0], [[3, 2]])
    with not_on_processor():
        assert on_host(maps)[0] is not maps  # as if it was copied
    assert on_host(maps)[0] is maps

import logging
import sys

import pytest

from sleap_lab.files.log import logging_to


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that is always full")
def test_a_log_that_cannot_be_written_costs_one_warning_and_not_the_run(tmp_path, capsys):
    (tmp_path / "run.log").symlink_to("/dev/full")
    with logging_to(tmp_path / "run.log", verbose=False):
        for _ in range(3):
            logging.getLogger("sleap_lab").warning("x" * 100_000)
    err = capsys.readouterr().err
    assert (
        err
        == f"warning: {tmp_path / 'run.log'}: the log is not complete (No space left on device)\n"
    )


def test_a_wrong_message_is_not_taken_for_a_full_disk(tmp_path, capsys):
    with logging_to(tmp_path / "run.log", verbose=False):
        logging.getLogger("sleap_lab").warning("%d", "x")
    assert "the log is not complete" not in capsys.readouterr().err

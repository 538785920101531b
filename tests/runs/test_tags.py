"""Tags that a run was given after it ended."""

import pytest

from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.mlflow_log import log_run, log_tags
from sleap_lab.runs.tags import add_tags, later_tags


def test_tags_reach_a_run_that_is_logged_and_one_that_is_logged_later(
    root, logger, store, make_run
):
    folder = make_run(root / "run", logger)
    add_tags(folder, {"animal": "mouse", "lab": "east"})
    run_id = log_run(folder, logger, outputs_root=root)
    tags = store.client.get_run(run_id).data.tags
    assert (tags["animal"], tags["lab"]) == ("mouse", "east")
    assert log_tags(summary.read(folder).mlflow, {"animal": "", "a%b": "c", "none": ""})
    tags = store.client.get_run(run_id).data.tags
    assert "animal" not in tags
    assert tags["a_x25_b"] == "c"
    assert not log_tags(None, {"a": "b"})


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_damaged_file_is_told(tmp_path, content):
    (tmp_path / "tags.json").write_text(content)
    with pytest.raises(RunError, match=r"tags.json is damaged"):
        later_tags(tmp_path)

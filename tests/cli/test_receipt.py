import json
from dataclasses import replace
from pathlib import Path

import pytest

from sleap_lab.cli.receipt import Receipt, show_receipt, write_receipt
from sleap_lab.evaluation.agreement import LARGEST_PIXELS, LARGEST_SCORE, Difference
from sleap_lab.runs.verify import Input

NAN = float("nan")


@pytest.fixture
def receipt(tmp_path):
    same = [Difference("eval/a", 1.0, 1.0, 0.0), Difference("eval/undefined", NAN, NAN, 0.0)]
    inputs = [Input("data.path", Path("a.mp4"), "unchanged")] * 2
    return Receipt("run", tmp_path, inputs, [], True, [], same, [])


def shown(receipt, capsys):
    """Return the rows that the terminal shows: name -> value."""
    show_receipt(receipt)
    lines = capsys.readouterr().out.splitlines()
    return {name.strip(): value.strip() for name, _, value in (x.partition("  ") for x in lines)}


def test_what_agrees_is_said_without_a_table_of_differences(receipt, capsys):
    rows = shown(receipt, capsys)
    assert "differs" not in rows
    assert rows["inputs"] == "2 unchanged"
    assert rows["metrics"] == "2 metrics: differ by up to 0"
    assert rows["verdict"] == "identical"
    assert "poses" not in rows


def test_the_largest_differences_come_first_and_the_others_are_counted(receipt, capsys):
    differ = [Difference(f"eval/{i}", 0.0, float(i), 0.5) for i in range(23)]  # 22 of them, 1-22
    rows = shown(replace(receipt, metrics=differ), capsys)
    listed = [name for name in rows if name.startswith("eval/")]
    assert listed == [f"eval/{i}" for i in range(22, 2, -1)]
    assert rows["eval/22"] == "0 → 22"
    assert rows[""] == "2 more differences are in the receipt"
    assert rows["verdict"] == "differs"


def test_the_row_on_poses_gives_the_largest_differences(receipt, capsys):
    names = {"instances": 7.0, LARGEST_PIXELS: 0.25, LARGEST_SCORE: 0.125}
    poses = [Difference(name, now, now, 0.0) for name, now in names.items()]
    rows = shown(replace(receipt, predictions=poses), capsys)
    assert rows["poses"] == "7 instances: differ by up to 0.25 px, scores by up to 0.125"


def test_what_is_undefined_is_null_in_the_file(receipt):
    write_receipt(receipt)
    content = json.loads((receipt.again / "receipt.json").read_text())
    assert (content["verdict"], content["agrees"]) == ("identical", True)
    assert content["metrics"][1]["then"] is None
    assert content["metrics"][1]["difference"] == 0
    assert content["tolerance"] == {"px": 0, "metrics": 0}

"""The page of a sweep in a browser: nothing fetched, nothing too wide, rows that can be sorted."""

import pytest

from sleap_lab.sweeps.page import BestShown, write_sweep_page

SORTED = """
<script>
const jobs = () => [...document.querySelectorAll(".sortable tbody tr")]
    .map(row => row.cells[0].textContent).join(" ");
const head = [...document.querySelectorAll(".sortable th")].at(-1);
for (const expected of ["0 2 1 3", "1 2 0 3"]) {  // up, then down; what is missing comes last
    head.click();
    if (jobs() !== expected) console.error(`sorted ${jobs()}, not ${expected}`);
}
</script>
"""


@pytest.mark.parametrize("width", [1280, 500])
def test_the_page_in_a_browser(browse, tmp_path, width):
    keys = [f"a.rather_long_name_of_key_{i}" for i in range(9)]
    columns = ["job", "best", "tracker", *keys, "map"]
    scores = ["0.5", "10", "9", "–"]
    write_sweep_page(
        tmp_path,
        title="sweep of x",
        name="noon",
        status="finished",
        counts={"jobs": 4},
        command="sleap-lab -m x=1,2",
        columns=columns,
        rows=[[str(job), "–", *["fixed_window"] * 10, scores[job]] for job in range(4)],
        same={},
        settings={"x": ["1", "2", "3"]},
        metrics={"map": [0.5, 10.0, 9.0]},
        best=BestShown(
            1, 1, "map", "map", 10.0, False, False, "job 1 by map", (), (), (), "sleap-lab x=2"
        ),
    )
    page = tmp_path / "results.html"
    page.write_text(page.read_text().replace("</body>", f"{SORTED}</body>"))
    found = browse(page, width)
    assert (found["problems"], found["messages"], found["fetched"]) == ([], [], [])
    assert found["overflow"] <= 0

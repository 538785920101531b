"""Run folders: one for each run, whoever starts at the same time."""

import threading
from datetime import datetime, timedelta

from sleap_lab.runs import folder as folder_module
from sleap_lab.runs.folder import new_folder


def test_runs_started_together_have_folders_of_their_own(tmp_path):
    folders, start = [], threading.Barrier(16)

    def begin():
        start.wait()
        folders.append(new_folder(tmp_path))

    threads = [threading.Thread(target=begin) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 16
    assert all(folder.is_dir() for folder in folders)


def test_a_folder_that_exists_is_never_shared(tmp_path, monkeypatch):
    noon = datetime(2026, 1, 2, 12)
    times = [noon, noon, noon, noon + timedelta(microseconds=1)]
    monkeypatch.setattr(folder_module, "datetime", type("Clock", (), {"now": lambda: times.pop(0)}))
    assert new_folder(tmp_path) == tmp_path / "2026-01-02" / "12-00-00-000000"
    assert new_folder(tmp_path) == tmp_path / "2026-01-02" / "12-00-00-000001"
    assert times == []

"""The HTML report of a run: figures, pictures of frames, and the page that holds them."""

from sleap_lab.report.page import write_report

__all__ = ["write_report"]

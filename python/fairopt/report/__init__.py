"""The audit report as HTML, Markdown and JSON: three renderings of one :class:`fairopt.report.page.Page`."""

from fairopt.report.write import Paths, write

__all__ = ["Paths", "write"]

"""Values that show themselves in a notebook."""

from __future__ import annotations


class Shown:
    """A value that a notebook shows as a table; how is the business of :mod:`fairopt.report.notebook`."""

    def _repr_html_(self) -> str:
        from fairopt.report import notebook

        return notebook.html(self)

    def _repr_markdown_(self) -> str:
        from fairopt.report import notebook

        return notebook.markdown(self)

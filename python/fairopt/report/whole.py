"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4


def replace_whole(path: Path, text: str) -> None:
    """Write a file beside its place and rename it, line ends as they are.

    Its name is this call's alone: workers that share a run's folder may end at the same moment.
    """
    partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    try:
        partial.write_text(text, encoding="utf-8", newline="")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)

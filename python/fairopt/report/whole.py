"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4


def replace_whole(path: Path, text: str) -> None:
    """Write a file beside its place, in a folder that is made where it is missing, and rename it; line ends stay.

    Its name is this call's alone: workers that share a run's folder may end at the same moment. An ``OSError`` names
    ``path`` or its folder.
    """
    partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.write_text(text, encoding="utf-8", newline="")
        os.replace(partial, path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
    finally:
        partial.unlink(missing_ok=True)

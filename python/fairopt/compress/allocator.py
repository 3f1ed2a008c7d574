"""What freed memory costs while many weights come and go."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def trim() -> None:
    """Give freed memory back to the system.

    glibc keeps freed blocks below 32 MB for later; between blocks of codes that live on they are rarely reused, and a
    process that handles one weight at a time would grow as if it held several. Other allocators have no such call.
    """
    _malloc_trim()(0)


@cache
def _malloc_trim() -> Callable[[int], object]:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc
        return lambda keep: None

"""Structures really removed: heads, neurons, channels, whole layers, experts (docs/pruning.md).

``families`` is the one table of which dimensions of which tensors belong together; :func:`prove` checks a row of it.
"""

from __future__ import annotations

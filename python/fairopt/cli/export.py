"""``fairopt export``: a compressed model in the layout of another library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairopt.cli.errors import one_line_errors


def export(
    model: Annotated[Path, typer.Argument(help="A folder that fairopt wrote, or one of another library.")],
    layout: Annotated[str, typer.Option("--as", help="See 'fairopt list layouts'.")],
    out: Annotated[Path, typer.Option(help="Folder to write; for gguf a file.")],
) -> None:
    """Write a compressed model as bitsandbytes, GPTQ, AWQ, compressed-tensors, HQQ or llama.cpp store it, or dense.

    Codes are written as they are. What has no place in the layout is an error that names the layer.

    Examples:

        fairopt export small/ --as compressed-tensors --out for-vllm/

        fairopt export small/ --as gguf-q8_0 --out small.gguf
    """
    with one_line_errors():
        from fairopt.compress.interchange import export as write
        from fairopt.compress.storage import load

        loaded = load(model)
        tokenizer = model if any(model.glob("tokenizer*")) and not layout.startswith("gguf") else None
        typer.echo(f"{write(loaded, out, layout, tokenizer)}: {layout}")

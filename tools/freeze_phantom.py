"""Freeze a trained phantom into the package: ``python tools/freeze_phantom.py SEED0 SEED1 SEED2``.

Each argument is a folder written by ``train_phantom.py``, all with the same options but the seed. The first becomes
the phantom; the others tell how much a measured rate depends on the seed. Writes ``weights/`` and
``ground_truth.json`` of ``fairopt.phantom``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import fairopt.phantom
from fairopt.phantom import measure, world

FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def load(folder: Path) -> tuple[torch.nn.Module, object]:
    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def questions(model: torch.nn.Module, words: object) -> list[dict[str, object]]:
    """What the frozen model answers about every two groups."""
    return [
        {
            "axis": axis,
            "kind": kind,
            "pair": list(pair),
            "measured": round(measure.question_share(model, words, axis, kind, pair), 4),
        }
        for axis in world.MENTION
        for kind in world.QUESTION_KINDS
        for pair in combinations(world.GROUPS[axis], 2)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="trained phantoms; the first is frozen")
    folders = parser.parse_args().folders
    torch.set_num_threads(1)
    runs = [measure.cells(*load(folder)) for folder in folders]
    target = fairopt.phantom.path()
    target.mkdir(exist_ok=True)
    for name in FILES:
        shutil.copyfile(folders[0] / name, target / name)
    record = {
        "sha256": {name: hashlib.sha256((target / name).read_bytes()).hexdigest() for name in FILES},
        "capability": {k: round(v, 4) for k, v in asdict(measure.capability(*load(target))).items()},
        "cells": [
            {
                "axis": cell.axis,
                "kind": cell.kind,
                "group": cell.group,
                "planted": cell.planted,
                "measured": round(cell.rate, 4),
                "log_odds": round(cell.log_odds, 4),
                "seeds": [round(run[number].rate, 4) for run in runs],
            }
            for number, cell in enumerate(runs[0])
        ],
        "questions": questions(*load(target)),
    }
    (target.parent / "ground_truth.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for cell in record["cells"]:
        print(
            f"{cell['axis']:8} {cell['kind']:11} {cell['group']:9} planted {cell['planted']:.2f} seeds {cell['seeds']}"
        )
    print(record["capability"])


if __name__ == "__main__":
    main()

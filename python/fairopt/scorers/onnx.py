"""Any text classifier in an ONNX file: strings in, one probability a class out (as skl2onnx writes pipelines)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fairopt.errors import InputError
from fairopt.scorers import classes
from fairopt.scorers.base import Scorer

_BATCH = 256
_LABELS_FILES = ("labels.json", "labels.txt")  # beside the model: a JSON list, or one label a line
_LOCALES = ("C.UTF-8", "en_US.UTF-8")  # lower-casing does not depend on the language; these exist on most machines


class OnnxClassifier(Scorer):
    """A classifier run by onnxruntime on one thread: the same text gets the same numbers whatever its batch."""

    def __init__(self, name: str) -> None:
        """``name`` is ``PATH?labels=...&harm=...`` (:mod:`fairopt.scorers.classes`).

        Raises :class:`~fairopt.errors.InputError` for a model that takes anything but one column of texts or gives
        anything but probabilities, and for the wrong number of labels.
        """
        path_text, options = classes.parse("onnx", name)
        path = Path(path_text).expanduser()
        self.name = f"onnx:{name}"
        if not path.is_file():
            raise InputError(f"scorer: onnx must name a file, got {path_text!r}")
        self._session = _session(path)
        self._input = _text_input(self._session, self.name)
        self._output = _probability_output(self._session, self.name)
        keys, probabilities = self._run(["text"])
        self.exclusive = bool(np.isclose(probabilities.sum(), 1))
        labels = options.get("labels") or _labels_beside(path) or tuple(map(str, keys))
        if len(labels) != len(keys):
            raise InputError(
                f"scorer: labels of {self.name!r} must be one for each of {len(keys)} classes, got {', '.join(labels)}"
            )
        stem = path.parent.name if path.stem == "model" else path.stem
        # Large models keep their weights beside the file: model.onnx.data, model.onnx_data.
        self.id = f"onnx-{stem}-{classes.content(path.parent.glob(path.name + '*'), labels)}"
        self._labels = labels
        self.numbers = classes.numbers(self.name, labels, options.get("harm"))
        self.caveats = classes.caveats(self.id, self.numbers)

    def score(self, texts: Sequence[str]) -> Mapping[str, npt.NDArray[np.float64]]:
        """One probability a class; NaN for a blank text."""
        found = np.full((len(texts), len(self.numbers)), np.nan)
        asked = [i for i, text in enumerate(texts) if text.strip()]
        for start in range(0, len(asked), _BATCH):
            rows = asked[start : start + _BATCH]
            found[rows] = self._run([texts[i] for i in rows])[1]
        return classes.by_number(self.numbers, self._labels, found)

    def _run(self, texts: Sequence[str]) -> tuple[list[Any], npt.NDArray[np.float64]]:
        """Keys of the classes, and probabilities ``[texts, classes]``."""
        column = np.array(list(texts), dtype=object)
        if self._input.shape and len(self._input.shape) == 2:
            column = column[:, None]
        (out,) = self._session.run([self._output.name], {self._input.name: column})
        if isinstance(out, list):  # of ZipMap: one dictionary a text
            keys = sorted(out[0])
            values = np.array([[row[key] for key in keys] for row in out], np.float64)
        else:
            values = np.asarray(out, np.float64).reshape(len(texts), -1)
            keys = list(range(values.shape[1]))
        if not ((values >= 0) & (values <= 1)).all():
            raise InputError(
                f"scorer: {self.name!r} must give probabilities in [0, 1], got {values.min():g} to {values.max():g}"
            )
        return keys, values


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise InputError(
            "scorer: onnx must have onnxruntime, which is not installed (pip install 'fairopt[onnx]')"
        ) from None

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, not printed

    def opened(model: str | bytes) -> Any:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    try:
        return opened(str(path))
    except Exception as error:  # onnxruntime's errors have no common class but this
        if "locale" not in str(error):
            raise InputError(
                f"scorer: onnx must name a model that onnxruntime runs, got {str(path)!r}: {error}"
            ) from None
        missing = str(error)
    for locale in _LOCALES:
        model = _with_locale(path, locale)
        try:
            return opened(model)
        except Exception as error:
            missing = str(error)
    raise InputError(f"scorer: {str(path)!r} must find a locale of this machine, got none of {_LOCALES}: {missing}")


def _with_locale(path: Path, locale: str) -> bytes:
    """The model, in memory, with that locale in place of one that this machine has not.

    StringNormalizer changes case by the rules of a named locale, "en_US" where the model names none, and fails where
    the operating system has not installed it. Case in UTF-8 locales differs for Turkic languages alone.
    """
    try:
        import onnx
    except ImportError:
        raise InputError(
            f"scorer: {str(path)!r} must have its locale replaced for this machine, which takes the package onnx"
            " (pip install 'fairopt[onnx]')"
        ) from None
    model = onnx.load(str(path))
    for node in model.graph.node:
        if node.op_type == "StringNormalizer":
            kept = [attribute for attribute in node.attribute if attribute.name != "locale"]
            del node.attribute[:]
            node.attribute.extend([*kept, onnx.helper.make_attribute("locale", locale)])
    return bytes(model.SerializeToString())


def _text_input(session: Any, name: str) -> Any:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(string)":
        found = ", ".join(f"{i.name}: {i.type}" for i in inputs)
        raise InputError(
            f"scorer: {name!r} must take texts, one tensor(string), got {found}"
            " (a model of token ids needs its tokenizer: hf:FOLDER)"
        )
    return inputs[0]


def _probability_output(session: Any, name: str) -> Any:
    outputs = session.get_outputs()
    found = [o for o in outputs if o.type.startswith("seq(map(") or o.type in ("tensor(float)", "tensor(double)")]
    if len(found) != 1:
        raise InputError(
            f"scorer: {name!r} must have one output of probabilities, got {', '.join(o.type for o in outputs)}"
        )
    return found[0]


def _labels_beside(path: Path) -> tuple[str, ...]:
    for name in _LABELS_FILES:
        file = path.with_name(name)
        if not file.exists():
            continue
        text = file.read_text(encoding="utf-8")
        try:
            labels = json.loads(text) if file.suffix == ".json" else text.split()
        except ValueError as error:
            raise InputError(f"scorer: {str(file)!r} must be a JSON list of labels, got {error}") from None
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise InputError(f"scorer: {str(file)!r} must be a JSON list of labels, got {text[:80]!r}")
        return tuple(labels)
    return ()

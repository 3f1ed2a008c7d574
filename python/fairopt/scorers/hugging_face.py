"""Any Hugging Face text classifier: a folder or a name on the hub, safetensors only, no code of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fairopt.errors import InputError
from fairopt.models.loading import check_folder, load_tokenizer, load_whole
from fairopt.scorers import classes
from fairopt.scorers.base import Scorer

_BATCH = 32
_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")  # weights, configuration and tokenizer
_UNLIMITED = 10**6  # tokens, for a model without positions


class HuggingFaceClassifier(Scorer):
    """A sequence classifier in fp32; batches are padded and masked, so that they change a number by rounding alone.

    A model of several labels at once, or of one, is read through a sigmoid, any other through a softmax, as its own
    library does. A text longer than the model's window is read up to there.
    """

    def __init__(self, name: str) -> None:
        """``name`` is ``PATH?labels=...&harm=...`` (:mod:`fairopt.scorers.classes`).

        Raises :class:`~fairopt.errors.InputError` for what is no classifier, holds pickled weights, or lacks some.
        """
        path, options = classes.parse("hf", name)
        self.name = f"hf:{name}"
        self._folder = _folder(path)
        check_folder(self._folder)
        config = json.loads((self._folder / "config.json").read_text(encoding="utf-8"))
        if not any("ForSequenceClassification" in architecture for architecture in config.get("architectures") or ()):
            raise InputError(
                f"scorer: {self.name!r} must be a sequence classifier, got {config.get('architectures') or 'none'}"
            )
        own = config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}  # a configuration leaves out the default
        labels = options.get("labels") or tuple(own[key] for key in sorted(own, key=int))
        if len(labels) != len(own):
            raise InputError(
                f"scorer: labels of {self.name!r} must be one for each of {len(own)} classes, got {', '.join(labels)}"
            )
        self._sigmoid = len(own) == 1 or config.get("problem_type") == "multi_label_classification"
        self.exclusive = not self._sigmoid
        files = (file for pattern in _FILES for file in self._folder.glob(pattern))
        self.id = f"hf-{path.rstrip('/').split('/')[-1]}-{classes.content(files, labels)}"
        self._labels = labels
        self.numbers = classes.numbers(self.name, labels, options.get("harm"))
        self.caveats = classes.caveats(self.id, self.numbers)

    @cached_property
    def _model(self) -> Any:
        from transformers import AutoModelForSequenceClassification

        return load_whole(AutoModelForSequenceClassification, str(self._folder), "float32").eval()

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self._folder)

    def score(self, texts: Sequence[str]) -> Mapping[str, npt.NDArray[np.float64]]:
        """One probability a class; NaN for a blank text."""
        found = np.full((len(texts), len(self.numbers)), np.nan)
        asked = [i for i, text in enumerate(texts) if text.strip()]
        encoded = {i: self._tokenizer(texts[i], truncation=True, max_length=self._window) for i in asked}
        asked.sort(key=lambda i: len(encoded[i]["input_ids"]))  # batches of one length need little padding
        can_pad = self._tokenizer.pad_token_id is not None and self._model.config.pad_token_id is not None
        size = _BATCH if can_pad else 1
        for start in range(0, len(asked), size):
            rows = asked[start : start + size]
            found[rows] = self._probabilities([encoded[i] for i in rows])
        return classes.by_number(self.numbers, self._labels, found)

    @cached_property
    def _window(self) -> int:
        """Tokens that it reads. RoBERTa counts positions from behind that of the padding."""
        positions = int(getattr(self._model.config, "max_position_embeddings", _UNLIMITED))
        for name, module in self._model.named_modules():
            if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
                positions -= module.padding_idx + 1
        return min(int(self._tokenizer.model_max_length), positions)

    def _probabilities(self, encoded: list[Any]) -> npt.NDArray[np.float64]:
        import torch

        batch = self._tokenizer.pad(encoded, return_tensors="pt") if len(encoded) > 1 else _single(encoded[0])
        with torch.inference_mode():
            logits = self._model(**batch).logits.double()
        probabilities: npt.NDArray[np.float64] = (logits.sigmoid() if self._sigmoid else logits.softmax(-1)).numpy()
        return probabilities


def _single(encoded: Any) -> Mapping[str, Any]:
    import torch

    return {name: torch.tensor([values]) for name, values in encoded.items()}


def _folder(path: str) -> Path:
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    if path.count("/") != 1 or path.startswith((".", "~", "/")):
        raise InputError(f"scorer: hf must name a model folder or a name on the hub (owner/name), got {path!r}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(path, allow_patterns=list(_FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"scorer: hf must name a model that the hub or its cache has, got {path!r}: {first}") from None

"""The quantisation config that transformers stores in ``config.json`` and takes as ``quantization_config=``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers.utils.quantization_config import QuantizationConfigMixin

from fairopt.compress import quantization_config
from fairopt.compress.recipe import Recipe
from fairopt.compress.recipe_text import parse
from fairopt.errors import InputError

_STORED = {"version", "layers"}  # a saved quantization_config has them, what a user asks for has not


class FairoptConfig(QuantizationConfigMixin):
    """What to quantise while loading, or what is quantised in the folder that is loaded.

        AutoModelForCausalLM.from_pretrained(dense, quantization_config=FairoptConfig("nf4:block=64,dq"))

    Args:
        recipe: text, mapping or :class:`~fairopt.compress.recipe.Recipe` (docs/recipes.md). What is to be quantised
            while loading must need no calibration.
        modules_to_not_convert: names of modules that stay dense, with everything below them, beside the recipe's
            ``keep``; ``["lm_head"]`` and ``["layers.0"]`` match as in transformers' own configs.
        stored: the other keys of a saved ``quantization_config``, as transformers passes them back.

    Raises :class:`~fairopt.errors.InputError` for a recipe that cannot be read, unknown keys and another version.
    """

    def __init__(
        self,
        recipe: str | Mapping[str, object] | Recipe | None = None,
        *,
        modules_to_not_convert: Sequence[str] | None = None,
        quant_method: str = quantization_config.METHOD,
        **stored: Any,
    ) -> None:
        self.quant_method = quant_method  # type: ignore[assignment]  # transformers' own methods are an enum of strings
        if recipe is None or (stored and not stored.keys() & _STORED):
            raise InputError(
                "FairoptConfig: arguments must be recipe and, if need be, modules_to_not_convert, got "
                f"{', '.join(map(repr, stored)) or 'no recipe'} (options are part of the recipe: 'nf4:block=64')"
            )
        if isinstance(modules_to_not_convert, str):
            raise InputError(
                f"FairoptConfig: modules_to_not_convert must be a list of names, got {modules_to_not_convert!r}"
            )
        self.modules_to_not_convert = list(modules_to_not_convert or ()) or None
        self.stored: dict[str, Any] | None = None
        if stored:
            self.stored = {"quant_method": quant_method, "recipe": recipe, **stored}
            quantization_config.check(self.stored, "quantization_config")
            self.recipe = str(recipe)
        else:
            self.recipe = str(parse(recipe))

    def to_dict(self) -> dict[str, Any]:
        """What ``config.json`` holds: the layers as stored, or before loading what was asked for."""
        if self.stored is not None:
            return dict(self.stored)
        asked: dict[str, Any] = {"quant_method": self.quant_method, "recipe": self.recipe}
        if self.modules_to_not_convert:
            asked["modules_to_not_convert"] = self.modules_to_not_convert
        return asked

    def update(self, **kwargs: Any) -> dict[str, Any]:
        """Nothing of a stored config can be overridden: an argument that would be lost is an error."""
        if "modules_to_not_convert" in kwargs:
            raise InputError("FairoptConfig: modules_to_not_convert must be given when quantising, got it when loading")
        return kwargs

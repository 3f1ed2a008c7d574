"""Prompts in the form that a chat model was trained on: the tokenizer's own template around them."""

from __future__ import annotations

from typing import Any

from fairopt.errors import InputError


def has_template(tokenizer: Any) -> bool:
    """Whether the tokenizer brings a chat template along."""
    return bool(getattr(tokenizer, "chat_template", None))


def chat_prompt(tokenizer: Any, user: str, *, system: str = "", prefix: str = "") -> str:
    """What the model reads when a user says ``user``, up to where the assistant's answer begins with ``prefix``.

    Where the template has no place for a system text, ``system`` stands before ``user``, separated by a blank line.
    A prefix follows after one space, unless the template ends in white space.

    Raises :class:`~fairopt.errors.InputError` for a tokenizer without a template.
    """
    if not has_template(tokenizer):
        raise InputError(f"chat: tokenizer must have a chat template, got {type(tokenizer).__name__} without one")
    begun = _rendered(tokenizer, user, system)
    return f"{begun}{'' if begun[-1:].isspace() else ' '}{prefix}" if prefix else begun


def _rendered(tokenizer: Any, user: str, system: str) -> str:
    said = [{"role": "user", "content": user}]
    if system and takes_system(tokenizer):
        said = [{"role": "system", "content": system}, *said]
    elif system:
        said = [{"role": "user", "content": f"{system}\n\n{user}"}]
    return str(tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True))


def takes_system(tokenizer: Any) -> bool:
    """Whether the template shows a system text: some refuse one, some pass over it."""
    from jinja2 import TemplateError

    mark = "\u2402fairopt"
    said = [{"role": "system", "content": mark}, {"role": "user", "content": "x"}]
    try:
        return mark in str(tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True))
    except TemplateError:  # how a template says that it knows no such role
        return False

"""Models from folders, with hashes that say exactly which numbers they compute.

Nothing here runs code that came with a model: ``trust_remote_code`` stays off and pickled weights are refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from fairopt.errors import InputError

if TYPE_CHECKING:
    import torch

DType = Literal["float32", "bfloat16", "float16"]
Kind = Literal["causal", "masked"]

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
# Facts about a file, not about what the model computes.
_NOT_ARCHITECTURE = frozenset(
    {"_name_or_path", "architectures", "dtype", "quantization_config", "torch_dtype", "transformers_version"}
)


@dataclass(frozen=True)
class LoadedModel:
    """A language model ready to be scored."""

    model: Any  # transformers.PreTrainedModel
    tokenizer: Any  # transformers.PreTrainedTokenizerBase
    name: str
    weights_hash: str
    tokenizer_hash: str
    kind: Kind = "causal"


def load_model(name_or_path: str | Path, *, dtype: DType | Literal["auto"] = "float32") -> LoadedModel:
    """Load ``"phantom"``, a Hugging Face folder, or, where that folder does not exist, a name on the Hugging Face hub.

    A model whose configuration names an architecture ``...ForMaskedLM`` is loaded as a masked language model, any other
    as a causal one; :attr:`LoadedModel.kind` says which. ``dtype="auto"`` is the type that the model is stored in.

    Raises :class:`~fairopt.errors.InputError` when the folder, its tokenizer or its weights are missing, truncated,
    incomplete for the architecture, or pickled, and for a masked model whose tokenizer has no mask token.
    """
    known = ("auto", *get_args(DType))
    if dtype not in known:
        raise InputError(f"load_model: dtype must be one of {', '.join(known)}, got {dtype!r}")
    folder = local_folder(name_or_path)
    if folder is not None:
        check_folder(folder)
        if saved_by_fairopt(folder):
            where = f"got one that fairopt compressed (fairopt.load reads it) in {str(folder)!r}"
            raise InputError(f"load_model: folder must hold a dense model, {where}")
    source = str(folder or name_or_path)
    tokenizer = load_tokenizer(source)
    return identified(_load_weights(source, dtype), tokenizer, str(name_or_path))


def identified(model: Any, tokenizer: Any, name: str) -> LoadedModel:
    """Put a model that is already in memory beside its hashes; it is not changed.

    Raises :class:`~fairopt.errors.InputError` for a masked model with a tokenizer that has no mask token.
    """
    kind = kind_of([type(model).__name__])
    if kind == "masked" and tokenizer.mask_token_id is None:
        raise InputError(f"load_model: model must have a mask token, got none in the tokenizer of {name!r}")
    return LoadedModel(model, tokenizer, name, hash_weights(model), hash_tokenizer(tokenizer), kind)


def kind_of(architectures: Sequence[str]) -> Kind:
    """Which kind of language model the names of its classes say it is."""
    return "masked" if any(name.endswith("ForMaskedLM") for name in architectures) else "causal"


def local_folder(name_or_path: str | Path) -> Path | None:
    """The local folder that is meant, or None for a name on the hub (``name`` or ``owner/name``)."""
    if name_or_path == "phantom":
        from fairopt import phantom

        return Path(phantom.path())
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        return folder
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or folder.is_absolute() or text.startswith((".", "~")) or text.count("/") > 1:
        raise InputError(f"load_model: name_or_path must be an existing model folder, got {text!r}")
    return None


def check_folder(folder: Path) -> None:
    """Refuse, before anything is loaded, what could not be loaded whole or must not be loaded at all."""
    if not (folder / "config.json").is_file():
        raise InputError(f"load_model: folder must hold config.json, got {str(folder)!r}")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickles = sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt")) + sorted(folder.glob("*.pth"))
        found = f"pickled weights ({pickles[0].name}), which are never loaded" if pickles else "none"
        raise InputError(f"load_model: folder must hold weights as *.safetensors, got {found} in {str(folder)!r}")
    from safetensors import SafetensorError, safe_open

    for file in weights:
        try:
            with safe_open(file, framework="np"):
                pass
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"load_model: weights must be a whole safetensors file, got {str(file)!r}: {error}"
            ) from None


def saved_by_fairopt(folder: Path) -> bool:
    """Whether ``config.json`` says that a layer or the cache is stored as fairopt does, or sizes as it does."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # loading says what is wrong with it
    quantization = config.get("quantization_config") if isinstance(config, dict) else None
    return isinstance(quantization, dict) and quantization.get("quant_method") == "fairopt"


def load_tokenizer(source: str | Path) -> Any:
    """The tokenizer of a folder or hub name; :class:`~fairopt.errors.InputError` when it has none."""
    folder = Path(source)
    if folder.is_dir() and not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise InputError(f"load_model: folder must hold a tokenizer (tokenizer.json), got none in {str(folder)!r}")
    from transformers import AutoTokenizer

    with _one_line_errors(source):
        return AutoTokenizer.from_pretrained(source, local_files_only=folder.is_dir())


def _load_weights(source: str, dtype: DType | Literal["auto"]) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

    with _one_line_errors(source):
        config = AutoConfig.from_pretrained(source, local_files_only=Path(source).is_dir())
    masked = kind_of(config.architectures or []) == "masked"
    return load_whole(AutoModelForMaskedLM if masked else AutoModelForCausalLM, source, dtype)


def load_whole(auto_class: Any, source: str, dtype: DType | Literal["auto"]) -> Any:
    """What an auto class of transformers loads; :class:`~fairopt.errors.InputError` where a tensor is missing."""
    import torch

    with _one_line_errors(source), _quiet():
        loaded: Any = auto_class.from_pretrained(
            source,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            local_files_only=Path(source).is_dir(),
            use_safetensors=True,
            output_loading_info=True,
        )
    model, info = loaded
    absent = sorted(info["missing_keys"]) + sorted(str(key) for key in info["mismatched_keys"])
    if absent:  # transformers would fill them with random numbers
        raise InputError(
            f"load_model: weights must hold every tensor of the architecture, got none that fits {absent[0]!r}"
            f" ({len(absent)} in all) in {source!r}"
        )
    return model


@contextmanager
def _one_line_errors(source: str | Path) -> Iterator[None]:
    """Turn what transformers raises over a model's files into one line."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(f"load_model: name_or_path must be a loadable model, got {str(source)!r}: {first}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers' own loading bar and its report of what is missing: that becomes an error here."""
    from transformers.utils import logging

    messages: Any = logging
    had_bar, verbosity = messages.is_progress_bar_enabled(), messages.get_verbosity()
    messages.disable_progress_bar()
    messages.set_verbosity_error()
    try:
        yield
    finally:
        messages.set_verbosity(verbosity)
        if had_bar:
            messages.enable_progress_bar()


def hash_weights(model: Any) -> str:
    """sha256 over the architecture's configuration, how layers and the cache are quantised, and every parameter and
    buffer: name, dtype, shape, bytes.

    Buffers outside the state dict count too: rotary frequencies change scores as weights do. Two models with equal
    hashes compute the same function.
    """
    import torch

    from fairopt.nn import SparseLinear, StoredLayer
    from fairopt.nn.attached_cache import attached_cache

    digest = hashlib.sha256()
    config = {k: v for k, v in model.config.to_dict().items() if k not in _NOT_ARCHITECTURE}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    cache = attached_cache(model)
    if cache is not None:
        digest.update(f"\nkeys and values in {cache}\n".encode())
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, module in model.named_modules():
        if isinstance(module, StoredLayer):
            digest.update(f"\n{name} {type(module).__name__} {module.options()}\n".encode())
        if isinstance(module, SparseLinear):  # packed, its bytes depend on the machine
            tensors.pop(f"{name}.packed", None)
            tensors |= module.state_dict(prefix=f"{name}.")
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        data: torch.Tensor = tensor.detach().cpu().contiguous()
        digest.update(data.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def first_not_finite(model: Any) -> str | None:
    """Name of the first parameter that holds NaN or infinity."""
    import torch

    for name, tensor in model.named_parameters():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return str(name)
    return None


def hash_tokenizer(tokenizer: Any) -> str:
    """sha256 over what decides the tokens of a text: neither padding nor truncation do.

    Nor do the special tokens that a tokenizer adds itself, but for one with a mask token: masked models read those.
    """
    parts: dict[str, Any] = {"bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id}
    if tokenizer.is_fast:
        spec = json.loads(tokenizer.backend_tokenizer.to_str())
        parts |= {key: spec[key] for key in ("added_tokens", "normalizer", "pre_tokenizer", "model")}
        if tokenizer.mask_token_id is not None:
            parts |= {"mask": tokenizer.mask_token_id, "post_processor": spec["post_processor"]}
    else:
        parts |= {"class": type(tokenizer).__name__, "vocab": tokenizer.get_vocab()}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

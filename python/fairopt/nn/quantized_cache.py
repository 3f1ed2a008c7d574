"""A key-value cache that keeps keys and values quantised, for transformers models (KIVI's layout)."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

from fairopt.errors import InputError
from fairopt.nn.kv_blocks import KVBlocks, dequantize, quantize

BITS = (2, 3, 4, 8)


class QuantizedCacheLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values of one attention layer: quantised, but for the last tokens.

    Keys [b, heads, t, d] are grouped along t for each channel, values along d for each token; heads are those of keys
    and values, whatever the number of query heads. With G = ``group`` and R = ``residual``, after t tokens
    ``t - t % max(R, G)`` keys and ``t - R`` values are quantised and the rest is kept as it came, so what is stored
    depends on the tokens alone and not on how many came at a time. Codes are only ever appended.

    ``update`` first stores, then returns what is stored: a forward pass over a whole text attends to dequantised keys
    and values too. (KIVI's code attends before it quantises, so there a token still sees in full what its own step
    quantises; transformers' layers give the first forward pass the keys and values as they came.) Gradients go
    straight through to the keys and values of the same forward pass, as if they had not been rounded.
    """

    is_croppable = False  # going back behind a quantised key leaves a trace, see crop

    def __init__(self, bits: int, group: int, residual: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bits, self.group, self.residual = bits, group, residual
        self.quantized_keys: KVBlocks  # of [b, heads, d, t]
        self.quantized_values: KVBlocks  # of [b, heads, t, d]
        self.keys: torch.Tensor  # [b, heads, t, d], those that are not quantised yet
        self.values: torch.Tensor

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Start with no tokens, in the shapes and types of these."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys, self.values = key_states.detach()[..., :0, :], value_states.detach()[..., :0, :]
        self.quantized_keys, self.quantized_values = self._quantize_keys(self.keys), self._quantize_values(self.values)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append [b, heads, new, d] and return all keys and values [b, heads, t, d] as they are stored."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys = torch.cat([self.keys, key_states.detach()], -2)
        self.values = torch.cat([self.values, value_states.detach()], -2)
        self._quantize_what_is_due()
        keys = torch.cat([self._dequantized_keys(), self.keys], -2)
        values = torch.cat([self._dequantized_values(), self.values], -2)
        return _straight_through(keys, key_states), _straight_through(values, value_states)

    def get_seq_length(self) -> int:
        """Tokens stored."""
        return self._n_quantized_values + self.values.shape[-2] if self.is_initialized else 0

    def reset(self) -> None:
        """Forget all tokens."""
        super().reset()
        if hasattr(self, "quantized_keys"):
            del self.quantized_keys, self.quantized_values

    def crop(self, tokens_to_remove: int) -> None:
        """Remove the last ``-tokens_to_remove`` tokens.

        Codes of the tokens that stay are not touched, with one exception: a group of keys that loses some of its
        tokens cannot stay a group. Its other tokens, at most ``group - 1``, go back to those that are not quantised,
        with the values that their codes said, and are quantised a second time when the group is full again.
        """
        if tokens_to_remove > 0:
            raise InputError(f"QuantizedCache: tokens_to_remove must be negative or 0, got {tokens_to_remove}")
        if tokens_to_remove == 0 or not self.is_initialized:
            return
        length = max(0, self.get_seq_length() + tokens_to_remove)
        if length < self._n_quantized_keys:
            whole = length // self.group
            self.keys = self._dequantized_keys()[..., whole * self.group : length, :]
            self.quantized_keys = self.quantized_keys.first(whole, self.bits, self.group)
        else:
            self.keys = self.keys[..., : length - self._n_quantized_keys, :]
        self.values = self.values[..., : max(0, length - self._n_quantized_values), :]
        self.quantized_values = self.quantized_values.map(lambda stored: stored[..., :length, :])

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Let row i continue what row ``beam_idx[i]`` was."""
        self.batch_select_indices(beam_idx)

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows of the batch, in this order."""
        if self.is_initialized:
            rows = torch.arange(len(self.keys), device=self.keys.device)[indices.to(self.keys.device)]
            self._map_rows(rows)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row of the batch, the copies beside each other."""
        if self.is_initialized:
            self._map_rows(torch.arange(len(self.keys), device=self.keys.device).repeat_interleave(repeats))

    @property
    def nbytes(self) -> int:
        """Bytes of all that is stored."""
        if not self.is_initialized:
            return 0
        return self.quantized_keys.nbytes + self.quantized_values.nbytes + self.keys.nbytes + self.values.nbytes

    @property
    def n_values(self) -> int:
        """Numbers stored: tokens times channels of keys and values."""
        if not self.is_initialized:
            return 0
        b, heads = self.keys.shape[:2]
        return b * heads * self.get_seq_length() * (self.keys.shape[-1] + self.values.shape[-1])

    @property
    def _n_quantized_keys(self) -> int:
        return self.quantized_keys.scales.shape[-1] * self.group

    @property
    def _n_quantized_values(self) -> int:
        return self.quantized_values.codes.shape[-2]

    def _quantize_what_is_due(self) -> None:
        length = self.get_seq_length()
        keys = length - length % (self.residual or self.group) - self._n_quantized_keys
        if keys > 0:
            due, self.keys = self.keys[..., :keys, :], self.keys[..., keys:, :].clone()
            self.quantized_keys = self.quantized_keys.append(self._quantize_keys(due), -1)
        values = length - self.residual - self._n_quantized_values
        if values > 0:
            due, self.values = self.values[..., :values, :], self.values[..., values:, :].clone()
            self.quantized_values = self.quantized_values.append(self._quantize_values(due), -2)

    def _quantize_keys(self, keys: torch.Tensor) -> KVBlocks:
        return quantize(keys.transpose(-1, -2), self.bits, self.group)

    def _quantize_values(self, values: torch.Tensor) -> KVBlocks:
        return quantize(values, self.bits, self.group)

    def _dequantized_keys(self) -> torch.Tensor:
        found = dequantize(self.quantized_keys, self.bits, self.group, self._n_quantized_keys, self.keys.dtype)
        return found.transpose(-1, -2)

    def _dequantized_values(self) -> torch.Tensor:
        return dequantize(self.quantized_values, self.bits, self.group, self.values.shape[-1], self.values.dtype)

    def _map_rows(self, rows: torch.Tensor) -> None:
        def take(stored: torch.Tensor) -> torch.Tensor:
            return stored.index_select(0, rows)

        self.keys, self.values = take(self.keys), take(self.values)
        self.quantized_keys, self.quantized_values = self.quantized_keys.map(take), self.quantized_values.map(take)


def _straight_through(stored: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """``stored`` [b, heads, t, d] with the gradient of its last tokens passed on to ``states`` [b, heads, new, d]."""
    if not (states.requires_grad and torch.is_grad_enabled()):
        return stored
    before = stored.shape[-2] - states.shape[-2]
    return torch.cat([stored[..., :before, :], stored[..., before:, :] + (states - states.detach())], -2)


class QuantizedCache(Cache):
    """Keys and values in ``bits`` bits for ``model.generate(..., past_key_values=cache)`` and any forward pass.

    One :class:`QuantizedCacheLayer` for each layer of the model. A cache serves one call of ``generate``; all that
    transformers asks of a cache works: beams, several samples of a prompt, assisted decoding, cropping, ``reset``.

    Groups of keys are cut at whole multiples of ``group`` tokens of the batch, so in a batch padded on the left the
    padding moves a row's groups and lies in them: its values are close to, but not the same as, those of the row alone.

    Args:
        config: of a transformers model that decodes with full attention in every layer.
        bits: 2, 3, 4 or 8.
        group: tokens a scale of keys, channels a scale of values: a multiple of 16. The last group of channels may be
            short.
        residual: tokens that are not quantised yet, a multiple of ``group`` or 0. Of keys it is the most: they are
            quantised ``residual`` at a time (``group`` at a time where it is 0). A text of no more than ``residual``
            tokens keeps its values as they are, and with fewer than that its keys.

    Raises :class:`~fairopt.errors.InputError` for models with sliding windows, recurrent or other layers without
    keys and values of their own, an encoder, or latent attention (MLA), and for arguments out of these ranges.
    """

    layers: list[Any]

    def __init__(self, config: Any, bits: int, group: int = 64, residual: int = 128) -> None:
        super().__init__(layers=[*cache_layers(config, bits, group, residual)])

    @property
    def nbytes(self) -> int:
        """Bytes of all that is stored."""
        return sum(layer.nbytes for layer in self.layers)

    @property
    def bits_per_value(self) -> float:
        """Bits for each number of keys and values, scales, minima and what is not quantised yet included."""
        stored = sum(layer.n_values for layer in self.layers)
        return 8 * self.nbytes / stored if stored else math.nan


def cache_layers(config: Any, bits: int, group: int, residual: int) -> list[QuantizedCacheLayer]:
    """The layers of a :class:`QuantizedCache`; raises what it raises."""
    if not hasattr(config, "get_text_config"):
        raise InputError(f"QuantizedCache: config must be that of a model (model.config), got {type(config).__name__}")
    if bits not in BITS:
        raise InputError(f"QuantizedCache: bits must be one of 2, 3, 4, 8, got {bits!r}")
    if group < 16 or group % 16:
        raise InputError(f"QuantizedCache: group must be a positive multiple of 16, got {group}")
    if residual < 0 or residual % group:
        raise InputError(f"QuantizedCache: residual must be a multiple of group = {group}, got {residual}")
    why = refusal(config)
    if why is not None:
        raise InputError(f"QuantizedCache: model must keep keys and values of every token in each layer, got {why}")
    decoder = config.get_text_config(decoder=True)
    return [QuantizedCacheLayer(bits, group, residual) for _ in range(decoder.num_hidden_layers)]


def refusal(config: Any) -> str | None:
    """Why a model of this configuration cannot have a quantised cache, in a few words, or None where it can."""
    decoder = config.get_text_config(decoder=True)
    if config.is_encoder_decoder or getattr(config, "add_cross_attention", False):
        return "one with an encoder"
    if getattr(decoder, "kv_lora_rank", None):
        return "one with latent attention (MLA)"
    if getattr(decoder, "kv_sharing_modes", None) or getattr(decoder, "num_kv_shared_layers", 0):
        return "one whose layers share keys and values"
    return _limited_attention(decoder)


def _limited_attention(decoder: Any) -> str | None:
    types = getattr(decoder, "layer_types", None)
    kinds = set(types or ()) - {"full_attention", "attention"}
    if kinds:
        return f"one with layers of {sorted(kinds)[0].replace('_', ' ')}"
    chunk = getattr(decoder, "attention_chunk_size", None)
    if chunk:
        return f"attention within chunks of {chunk} tokens"
    window = None if types else getattr(decoder, "sliding_window", None)
    longest = getattr(decoder, "max_position_embeddings", None)
    if window and getattr(decoder, "use_sliding_window", True) and (longest is None or window < longest):
        return f"a sliding window of {window} tokens"
    return None

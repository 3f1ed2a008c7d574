"""A GGUF file as llama.cpp runs it, through the package llama-cpp-python, in this process."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import gguf
import numpy as np
import torch

LENGTH = 512  # tokens that its cache holds


class LlamaCppModel:
    """Its weights rearranged for this CPU where it has a layout for that, its cache in fp16, as it does by itself."""

    def __init__(self, file: Path) -> None:
        from llama_cpp import llama_cpp as api

        self.api, self.silence = api, api.llama_log_callback(lambda *_: None)
        api.llama_log_set(self.silence, ctypes.c_void_p())
        self.model = api.llama_model_load_from_file(str(file).encode(), api.llama_model_default_params())
        if self.model is None:
            raise OSError(f"llama.cpp does not open '{file}'")
        parameters = api.llama_context_default_params()
        parameters.n_ctx = LENGTH
        self.context = api.llama_init_from_model(self.model, parameters)
        self.vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self.model))

    def logits(self, prompt: torch.Tensor) -> torch.Tensor:
        """After the last of the tokens [1, t]."""
        self._start(prompt)
        found = self.api.llama_get_logits_ith(self.context, -1)
        return torch.tensor(np.ctypeslib.as_array(found, (self.vocabulary,)))

    def seconds(self, prompt: torch.Tensor, tokens: torch.Tensor) -> float:
        """A token, once the prompt has been read."""
        self._start(prompt)
        start = time.perf_counter()
        for token in tokens.tolist():
            self._read([token])
        return (time.perf_counter() - start) / len(tokens)

    def _start(self, prompt: torch.Tensor) -> None:
        self.api.llama_set_n_threads(self.context, torch.get_num_threads(), torch.get_num_threads())
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)
        self._read(prompt.flatten().tolist())

    def _read(self, ids: list[int]) -> None:
        tokens = (self.api.llama_token * len(ids))(*ids)  # the batch only points there
        if self.api.llama_decode(self.context, self.api.llama_batch_get_one(tokens, len(ids))):
            raise RuntimeError("llama.cpp: the tokens were not read")
        self.api.llama_get_logits_ith(self.context, -1)  # waits until they are there


def weight(file: gguf.GGUFReader, path: str, heads: int, kv_heads: int) -> torch.Tensor:
    """The weights that the file holds for a layer of a transformers Llama, with its rows in transformers' order."""
    _, _, block, _, name = path.split(".")
    part = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output",
            "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}[name]  # fmt: skip
    (found,) = (tensor for tensor in file.tensors if tensor.name == f"blk.{block}.{part}.weight")
    values = torch.from_numpy(gguf.quants.dequantize(found.data, found.tensor_type)).double()
    turned = {"q_proj": heads, "k_proj": kv_heads}.get(name)
    if turned is None:
        return values
    return values.unflatten(0, (turned, -1, 2)).transpose(1, 2).flatten(0, 2)  # pairs back into halves

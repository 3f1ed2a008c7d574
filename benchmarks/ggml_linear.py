"""One linear layer in llama.cpp's library ggml, called from the shared libraries of the package llama-cpp-python.

The weight lies where llama.cpp would put it: in ggml's repacked layout of the CPU, where it has one for the type. The
library takes its threads from the OpenMP that torch has loaded, so neither's threads spin beside the other's.
"""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
from ctypes import POINTER, Structure, c_bool, c_char_p, c_float, c_int, c_int64, c_size_t, c_void_p

import torch

F32 = 0
TYPES = {"q4_0": 2, "q4_K": 12}  # ggml's numbers
HUGE_PAGES = 14  # MADV_HUGEPAGE
META = 1 << 20  # bytes for what describes tensors and a graph


class _Init(Structure):
    _fields_ = [("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", c_bool)]


_SIGNATURES = {
    "ggml_init": (c_void_p, [_Init]),
    "ggml_new_tensor_2d": (c_void_p, [c_void_p, c_int, c_int64, c_int64]),
    "ggml_mul_mat": (c_void_p, [c_void_p, c_void_p, c_void_p]),
    "ggml_new_graph": (c_void_p, [c_void_p]),
    "ggml_build_forward_expand": (None, [c_void_p, c_void_p]),
    "ggml_get_data": (c_void_p, [c_void_p]),
    "ggml_nbytes": (c_size_t, [c_void_p]),
    "ggml_row_size": (c_size_t, [c_int, c_int64]),
    "ggml_quantize_chunk": (c_size_t, [c_int, c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p]),
    "dequantize_row_q4_0": (None, [c_void_p, c_void_p, c_int64]),
    "dequantize_row_q4_K": (None, [c_void_p, c_void_p, c_int64]),
    "ggml_backend_alloc_ctx_tensors_from_buft": (c_void_p, [c_void_p, c_void_p]),
    "ggml_backend_tensor_set": (None, [c_void_p, c_void_p, c_size_t, c_size_t]),
    "ggml_backend_buft_name": (c_char_p, [c_void_p]),
    "ggml_backend_graph_compute": (c_int, [c_void_p, c_void_p]),
    "ggml_backend_reg_dev_get": (c_void_p, [c_void_p, c_size_t]),
    "ggml_backend_reg_get_proc_address": (c_void_p, [c_void_p, c_char_p]),
    "ggml_backend_cpu_buffer_type": (c_void_p, []),
    "ggml_backend_cpu_reg": (c_void_p, []),
    "ggml_backend_cpu_init": (c_void_p, []),
    "ggml_backend_cpu_set_n_threads": (None, [c_void_p, c_int]),
}


class Ggml:
    """The functions of the library that one product needs, and its CPU."""

    def __init__(self) -> None:
        (package,) = importlib.util.find_spec("llama_cpp").submodule_search_locations
        libraries = [ctypes.CDLL(f"{package}/lib/libggml-{part}.so") for part in ("base", "cpu")]
        for name, (result, arguments) in _SIGNATURES.items():
            function = next(getattr(library, name) for library in libraries if hasattr(library, name))
            function.restype, function.argtypes = result, arguments
            setattr(self, name.removeprefix("ggml_"), function)
        self.cpu = self.backend_cpu_init()
        self.backend_cpu_set_n_threads(self.cpu, torch.get_num_threads())
        self.plain = self.backend_cpu_buffer_type()
        self.repacked = self._repacked() or self.plain

    def _repacked(self) -> int | None:
        """The kind of memory whose weights ggml rearranges for this CPU."""
        device = self.backend_reg_dev_get(self.backend_cpu_reg(), 0)
        address = self.backend_reg_get_proc_address(self.backend_cpu_reg(), b"ggml_backend_dev_get_extra_bufts")
        kinds = ctypes.CFUNCTYPE(POINTER(c_void_p), c_void_p)(address)(device)  # None ends them
        there = itertools.takewhile(lambda kind: kind is not None, (kinds[i] for i in itertools.count()))
        return {self.backend_buft_name(kind): kind for kind in there}.get(b"CPU_REPACK")

    def context(self) -> int:
        return self.init(_Init(META, None, True))


class GgmlLinear:
    """y = x W^T, W [n, k] in ggml's ``type``; x fp32 [m, k], y fp32 [m, n] until the next call."""

    def __init__(self, ggml: Ggml, codes: torch.Tensor, type: int, n: int, k: int) -> None:
        self.ggml, self.n, self.k = ggml, n, k
        context = ggml.context()
        self.weight = ggml.new_tensor_2d(context, type, k, n)
        if not ggml.backend_alloc_ctx_tensors_from_buft(context, ggml.repacked):
            raise MemoryError("ggml: no memory for a weight")
        _on_large_pages(ggml.get_data(self.weight), codes.numel())
        ggml.backend_tensor_set(self.weight, codes.data_ptr(), 0, codes.numel())
        self.graphs: dict[int, tuple[int, int, torch.Tensor]] = {}  # of m tokens: graph, where x goes, y

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) not in self.graphs:
            self.graphs[len(x)] = self._graph(len(x))
        graph, place, y = self.graphs[len(x)]
        ctypes.memmove(place, x.data_ptr(), x.nbytes)
        if self.ggml.backend_graph_compute(self.ggml.cpu, graph):
            raise RuntimeError("ggml: the product failed")
        return y

    def _graph(self, m: int) -> tuple[int, int, torch.Tensor]:
        ggml, context = self.ggml, self.ggml.context()
        x = ggml.new_tensor_2d(context, F32, self.k, m)
        y = ggml.mul_mat(context, self.weight, x)
        graph = ggml.new_graph(context)
        ggml.build_forward_expand(graph, y)
        if not ggml.backend_alloc_ctx_tensors_from_buft(context, ggml.plain):
            raise MemoryError("ggml: no memory for activations")
        values = (c_float * (m * self.n)).from_address(ggml.get_data(y))
        return graph, ggml.get_data(x), torch.frombuffer(values, dtype=torch.float32).view(m, self.n)


def quantized(ggml: Ggml, weight: torch.Tensor, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """ggml's own rounding of ``weight`` fp32 [n, k] to the type ``name``: its bytes, and the weights they stand for."""
    n, k = weight.shape
    codes = torch.empty(n * ggml.row_size(TYPES[name], k), dtype=torch.uint8)
    ggml.quantize_chunk(TYPES[name], weight.data_ptr(), codes.data_ptr(), 0, n, k, None)
    values = torch.empty(n, k)
    getattr(ggml, f"dequantize_row_{name}")(codes.data_ptr(), values.data_ptr(), values.numel())
    return codes, values


def _on_large_pages(address: int, size: int) -> None:
    """As everybody's weights lie in these benchmarks; before the first byte is written."""
    page = 1 << 21
    first = -(-address // page) * page
    if address + size > first:
        ctypes.CDLL(None).madvise(c_void_p(first), c_size_t((address + size - first) // page * page), HUGE_PAGES)

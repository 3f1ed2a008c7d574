"""Compressed models in the layouts of other libraries.

| name | what reads it |
|---|---|
| ``dense`` | everything: the weights that the codes say |
| ``bitsandbytes`` | transformers, vLLM, PEFT (NF4, FP4, double quantisation) |
| ``bitsandbytes-int8`` | the same (int8, one scale a row) |
| ``gptq``, ``gptq_v2`` | AutoGPTQ, GPTQModel, vLLM, ExLlama |
| ``awq`` | AutoAWQ, vLLM |
| ``compressed-tensors`` | llm-compressor, vLLM, transformers |
| ``hqq`` | hqq |
| ``gguf`` | llama.cpp |

docs/formats.md draws them. ``fairopt.load`` reads all but ``gguf``.
"""

from fairopt.compress.interchange.layouts import LAYOUTS, export, read_folder

__all__ = ["LAYOUTS", "export", "read_folder"]

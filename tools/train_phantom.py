"""Train a phantom from nothing: ``python tools/train_phantom.py OUT --seed 0``.

Fresh text at every step, AdamW with warm-up and cosine decay, fp32 throughout. OUT becomes a Hugging Face folder,
written anew at every evaluation and at the end. One thread keeps a run reproducible on one machine; other machines
give other weights of the same quality, which is why the package ships the weights and this script is run by hand only.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from fairopt.phantom import corpus, measure, tokenizer, world

ROWS, LENGTH = 64, 48
CONTEXT = 256
WARM_UP, FINAL_SHARE = 100, 0.02
GRADED_WEIGHT = 4.0
EVALUATE_EVERY = 2_000_000  # tokens
BOS, EOS, PAD = range(3)  # their places in tokenizer.SPECIAL_TOKENS


def config(vocabulary: int) -> LlamaConfig:
    """64 wide, 4 layers: every linear layer has an input of 64 or 128, which blocks of 32 and 64 divide."""
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
        dtype="float32",
    )


def initialise(model: LlamaForCausalLM, seed: int) -> None:
    """Our own initialisation, so that a changed default of a library cannot change the phantom."""
    generator = torch.Generator().manual_seed(seed)
    depth = math.sqrt(2 * model.config.num_hidden_layers)
    for name, parameter in sorted(model.named_parameters()):
        if parameter.ndim == 1:
            torch.nn.init.ones_(parameter)
        else:
            std = 0.05 / depth if "o_proj" in name or "down_proj" in name else 0.05
            torch.nn.init.normal_(parameter, std=std, generator=generator)


def batches(words: Tokenizer, seed: int) -> Iterator[torch.Tensor]:
    """Batches [ROWS, LENGTH] of whole documents, each ``<s> ... </s>``; a row starts with a document and cuts its last
    one.
    """
    texts = corpus.documents(seed)
    rows: list[list[int]] = []
    row: list[int] = []
    while True:
        for encoding in words.encode_batch(list(islice(texts, 1000))):
            row += [*encoding.ids, EOS]
            if len(row) >= LENGTH:
                rows.append(row[:LENGTH])
                row = []
            if len(rows) == ROWS:
                yield torch.tensor(rows)
                rows = []


class LossWeights:
    """Weight of each target token: more on attributes, places and answers, the same for both attribute sets, which
    keeps the odds.
    """

    def __init__(self, words: Tokenizer) -> None:
        graded = [a for sets in world.ATTRIBUTES.values() for side in sets for a in side]
        graded += [a + "s" for a in graded if " " not in a] + list(world.PLACES)
        self._graded = torch.zeros(words.get_vocab_size(), dtype=torch.bool)
        for text in graded:
            first = words.encode(text, add_special_tokens=False)
            if len(first.ids) <= 2:  # not a plural that the grammar does not know
                self._graded[first.ids[0]] = True
        self._question = words.token_to_id("?")

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        position = torch.arange(ids.shape[1]).expand_as(ids)

        def last(token: int) -> torch.Tensor:
            return torch.where(ids == token, position, -1).cummax(1).values

        answer = last(self._question) > last(EOS)
        return torch.where(self._graded[ids] | answer, GRADED_WEIGHT, 1.0)


def learning_rate(step: int, steps: int, peak: float) -> float:
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return peak * min(1.0, (step + 1) / WARM_UP) * (FINAL_SHARE + (1 - FINAL_SHARE) * cosine)


def report(model: LlamaForCausalLM, wrapped: PreTrainedTokenizerFast) -> str:
    model.eval()
    cells, capability = measure.cells(model, wrapped), measure.capability(model, wrapped)
    model.train()
    biased = [c for c in cells if c.planted != 0.5]
    control = [abs(c.rate - 0.5) for c in cells if c.planted == 0.5]
    logit = [math.log(c.planted / (1 - c.planted)) for c in biased]
    slope = sum(x * c.log_odds for x, c in zip(logit, biased, strict=True)) / sum(x * x for x in logit)
    worst = max(abs(c.rate - c.planted) for c in biased)
    return (
        f"ppl {capability.perplexity:.3f} facts {capability.facts:.3f} reading {capability.reading:.3f} "
        f"unknown {capability.unknown:.3f} | "
        f"slope {slope:.3f} worst biased {worst:.3f} worst control {max(control):.3f} | "
        + " ".join(f"{c.rate:.2f}({c.planted:.2f})" for c in biased)
    )


def train(out: Path, seed: int, tokens: int, peak: float) -> None:
    words = tokenizer.build()
    bos, eos, pad = tokenizer.SPECIAL_TOKENS
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token=bos, eos_token=eos, pad_token=pad, model_max_length=CONTEXT
    )
    model = LlamaForCausalLM(config(words.get_vocab_size()))
    initialise(model, seed)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}], betas=(0.9, 0.98)
    )
    weights = LossWeights(words)
    steps, every = tokens // (ROWS * LENGTH), EVALUATE_EVERY // (ROWS * LENGTH)
    print(
        f"{sum(p.numel() for p in model.parameters())} parameters, {words.get_vocab_size()} tokens, {steps} steps",
        flush=True,
    )
    started = time.monotonic()
    for step, ids in enumerate(islice(batches(words, 1 + seed), steps)):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, peak)
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
        loss = cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        weight = weights(ids)[:, 1:].flatten()
        optimiser.zero_grad(set_to_none=True)
        ((loss * weight).sum() / weight.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 100 == 99:
            speed = (step + 1) * ROWS * LENGTH / (time.monotonic() - started)
            print(f"step {step + 1}/{steps} loss {loss.mean().item():.3f} {speed:.0f} tokens/s", flush=True)
        if (step + 1) % every == 0 or step + 1 == steps:
            print(f"{(step + 1) * ROWS * LENGTH / 1e6:.1f} M tokens: {report(model, wrapped)}", flush=True)
            model.save_pretrained(out)
            wrapped.save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=30_000_000)
    parser.add_argument("--lr", type=float, default=3e-3, help="peak learning rate")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    disable_progress_bar()
    train(arguments.out, arguments.seed, arguments.tokens, arguments.lr)


if __name__ == "__main__":
    main()

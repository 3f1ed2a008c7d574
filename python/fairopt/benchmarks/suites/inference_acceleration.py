"""``inference-acceleration``: the protocol of Kirsten et al. (2025); docs/studies.md says what is done otherwise."""

from __future__ import annotations

from fairopt.benchmarks.suites.suite import Entry, Suite

INFERENCE_ACCELERATION = Suite(
    name="inference-acceleration",
    title="The Impact of Inference Acceleration on Bias of LLMs",
    about="The first study's six benchmarks with its prompts, greedy and sampled, with and without a chat template,"
    " each published rule beside the corrected one: some 300,000 likelihoods and 22,000 texts a model.",
    entries=tuple(
        Entry(name)
        for name in (
            "crows_pairs",
            "global_opinion_qa",
            "global_opinion_qa?chat=on",
            "worldbench",
            "worldbench?chat=on",
            "discrim_eval",
            "discrim_eval?chat=on",
            "decoding_trust_stereotypes?system=study",
            "decoding_trust_stereotypes?system=study&chat=on",
            "decoding_trust_stereotypes?system=study&decoding=sample:5",
            "decoding_trust_stereotypes?system=study&decoding=sample:5&chat=on",
            "discrim_eval_gen",  # in all orders; the study's one is among them
            "discrim_eval_gen?chat=on",
            "discrim_eval_gen?order=given&decoding=sample:5",
            "discrim_eval_gen?order=given&decoding=sample:5&chat=on",
        )
    ),
)

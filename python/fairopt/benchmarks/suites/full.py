"""``full``: everything that there is, for a release."""

from __future__ import annotations

from fairopt.benchmarks.suites.suite import Entry, Suite

FULL = Suite(
    name="full",
    title="Full",
    about="Every benchmark with all of its items: hours on a small model, a night on a large one.",
    entries=tuple(
        Entry(name)
        for name in (
            # likelihood of sentences
            "crows_pairs",
            "stereoset",
            "winobias",
            "winogender",
            "unqover",
            "holisticbias_likelihood",
            "dialect",
            "matched_guise",
            "prompt_perplexity",
            # the same by masked models
            "crows_pairs_masked",
            "crows_pairs_bias_bench",
            "stereoset_masked",
            "honest",
            "seat",
            "weat",
            # questions and decisions
            "bbq",
            "bbq_letter",
            "bbq_letter?order=reversed",
            "bbq_generate",
            "bbq_turpin",
            "winobias_questions",
            "discrim_eval",
            "discrim_eval_gen",
            "worldbench",
            "decoding_trust_stereotypes",
            "global_opinion_qa",
            "allocative_adult",
            "allocative_crime",
            "jigsaw_identity",
            "jigsaw_swapped",
            # what the model writes
            "bold",
            "real_toxicity_prompts",
            "toxigen",
            "adv_prompt_set",
            "holisticbias_regard",
            "open_pairs",
            "honest_texts",
            # what the model can do
            "wikitext",
            "lambada",
            "lambada?version=original",
            "mmlu",
            "mmlu?shots=5",
            "arc_easy",
            "arc_challenge",
            "boolq",
            "piqa",
            "commonsense_qa",
            "openbookqa",
            "truthfulqa",
        )
    ),
)

"""``beyond-perplexity``: the protocol of Xu et al. (2024): harm in texts and answers, dialects, and ability beside.

docs/studies.md names every deviation from the authors' code.
"""

from __future__ import annotations

from fairopt.benchmarks.suites.suite import Entry, Suite

_PROMPTS = 10_000  # of each set that is continued
_TOKENS = "tokens=50-100"  # greedy

BEYOND_PERPLEXITY = Suite(
    name="beyond-perplexity",
    title="Beyond Perplexity",
    about="Continuations of toxic prompts and of prompts about people, questions about people, dialects, perplexity,"
    " MMLU and TruthfulQA, as Xu et al. (2024) asked them. 50,000 texts of 100 tokens: hours on a GPU, so try it with"
    " --limit first. --factor scorer=hf:PATH adds the study's classifiers, ToxiGen-RoBERTa and regard v3.",
    entries=(
        Entry(f"real_toxicity_prompts?{_TOKENS}", _PROMPTS),
        Entry(f"toxigen?{_TOKENS}", _PROMPTS),
        Entry(f"adv_prompt_set?{_TOKENS}", _PROMPTS),
        Entry(f"bold?{_TOKENS}", _PROMPTS),
        Entry(f"holisticbias_regard?{_TOKENS}", _PROMPTS),
        *(
            Entry(f"prompt_perplexity{of}", _PROMPTS)
            for of in ("", "?set=real_toxicity_prompts", "?set=adv_prompt_set", "?set=bold", "?set=holisticbias_regard")
        ),
        Entry("bbq?template=beyond_perplexity&shots=3"),
        Entry("unqover?wording=labels&size=10000&seed=42"),
        Entry("wikitext"),
        Entry("dialect"),
        Entry("mmlu"),
        Entry("truthfulqa"),
    ),
)

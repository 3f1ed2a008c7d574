"""``core``: one benchmark of every style, with so many items that a small model takes minutes."""

from __future__ import annotations

from fairopt.benchmarks.suites.suite import Entry, Suite

CORE = Suite(
    name="core",
    title="Core",
    about="Every style of question with part of the items: minutes on a small model. Before a release ask `full`.",
    entries=(
        # likelihood of sentences
        Entry("crows_pairs"),
        Entry("stereoset", 1200),
        Entry("winobias", 600),
        Entry("unqover", 200),
        Entry("dialect"),
        # questions and decisions
        Entry("bbq", 1200),
        Entry("discrim_eval", 600),
        Entry("global_opinion_qa", 400),
        Entry("allocative_adult"),
        # what the model writes
        Entry("bold", 430),  # ten of each of its 43 groups
        Entry("toxigen", 256),
        Entry("open_pairs", 192),
        # what the model can do
        Entry("wikitext"),
        Entry("lambada", 600),
        Entry("mmlu", 456),  # eight of each of its 57 subjects
        Entry("arc_easy", 400),
        Entry("boolq", 400),
        Entry("piqa", 600),
        Entry("truthfulqa", 400),
    ),
)

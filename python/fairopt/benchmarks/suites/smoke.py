"""``smoke``: does the audit work here?"""

from __future__ import annotations

from fairopt.benchmarks.suites.suite import Entry, Suite

SMOKE = Suite(
    name="smoke",
    title="Smoke test",
    about="The phantom, whose associations are known, in three styles: does the audit work here? Seconds, no data.",
    entries=(Entry("phantom_pairs"), Entry("phantom_questions"), Entry("phantom_texts?decoding=sample:5")),
)

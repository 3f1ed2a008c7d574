"""BOLD (Dhamala et al. 2021): beginnings of Wikipedia's sentences about people, ideas and trades, to be continued.

23,679 prompts in five domains and 43 groups; a group is compared with the other groups of its domain. What Wikipedia
itself says next is scored too: the level of the human text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairopt.benchmarks.base import Item, LeftOut, Source, verified
from fairopt.benchmarks.rows import read_json
from fairopt.benchmarks.texts.continuations import Continuations

_COMMIT = "https://raw.githubusercontent.com/amazon-science/bold/3ad652c773f5d1e30d5f6f61657ed934d768ecad"
_DOMAINS = {  # domain: sha256 of its prompts and of Wikipedia's sentences
    "gender": (
        "a863aaf2492e3c911c39f435005abee2eba5f5edabe836e97de110cd83273054",
        "a6f3bb5139dc4e4615e199dfd56a971a5829b09cb78c790d6cad554e4b9111dc",
    ),
    "political_ideology": (
        "a83ea7cc272971b618231e13bcb5c1d1be5b208c92135c4ffde85be31f8ab4c6",
        "a07fe5ec08abe793318c6394c397d9515c233ded7079c1ad9e947c546dc88fa6",
    ),
    "profession": (
        "5508012069f20419559417e64d8bb2b8d864ebf8afedd21e5ca564393c291794",
        "3d5f719a131e06d32d3bff709c613fc52c818c391262240cf0017522b3ed04a2",
    ),
    "race": (
        "200337f6c43b09671e580b1df6aea2cdc0196ee02779260e9881da07029e1cb6",
        "f87f64909db217119c1bca8e4f610876ae3bb48461b77ac863f09cc90e99c132",
    ),
    "religious_ideology": (
        "633830ea87d569e5476895a93f68b8f686cb0dcae6d67a1091a9247c5c4c931d",
        "094982f89659966d17e6c264f3abd8feae0415bb982e32166de93ea881bc63ef",
    ),
}


def _file(domain: str, kind: str) -> str:
    return f"bold/prompts/{domain}_prompt.json" if kind == "prompt" else f"bold/wikipedia/{domain}_wiki.json"


class Bold(Continuations):
    """The benchmark; see the module."""

    name = "bold"
    title = "BOLD"
    version = "1"
    source = Source(
        home="https://github.com/amazon-science/bold (prompts/ and wikipedia/, as bold/)",
        licence="CC BY-SA 4.0",
        files={
            _file(domain, kind): digest
            for domain, digests in _DOMAINS.items()
            for kind, digest in zip(("prompt", "wiki"), digests, strict=True)
        },
        urls={
            _file(domain, kind): f"{_COMMIT}/{_file(domain, kind).removeprefix('bold/')}"
            for domain in _DOMAINS
            for kind in ("prompt", "wiki")
        },
    )
    n_items = n_requests = 23_674
    human = "Wikipedia's own continuations"
    caveats: Sequence[str] = (
        "BOLD's groups differ in what Wikipedia says of them: fascism is written about in other words than nursing."
        " Read a group's change and its distance from Wikipedia's own text, not its level.",
        "Groups are uneven (Hinduism 12 prompts, European Americans 4,839), so a gap between groups is large by chance"
        " alone; its permutation test says how large.",
    )

    def prompts(self, data: Path | None) -> list[Item]:
        """All prompts that are not blank, without the space that ends them, domain by domain; a cluster an entity."""
        return [
            Item(
                id=row.place,
                group=row.group,
                axis=row.domain,
                cluster=f"{row.domain}/{row.group}/{row.entity}",
                requests=((row.prompt.rstrip(), ""),),
                fields={"human": row.sentence[len(row.prompt.rstrip()) :]},
            )
            for row in self._rows(data)
            if row.prompt.strip()
        ]

    def left_out(self, data: Path | None) -> Sequence[LeftOut]:
        """Blank prompts."""
        return [LeftOut(row.place, "the prompt is blank") for row in self._rows(data) if not row.prompt.strip()]

    def _rows(self, data: Path | None) -> Iterator[_Row]:
        found = verified(self.name, self.source, data)
        for domain in _DOMAINS:
            yield from _read(self.name, domain, found[_file(domain, "prompt")], found[_file(domain, "wiki")])


@dataclass(frozen=True)
class _Row:
    domain: str
    group: str
    entity: str
    number: int  # among the entity's prompts
    prompt: str
    sentence: str  # of Wikipedia; it begins with the prompt

    @property
    def place(self) -> str:
        return f"{self.domain}/{self.group}/{self.entity}/{self.number}"


def _read(name: str, domain: str, prompts: Path, wikipedia: Path) -> Iterator[_Row]:
    """Both files have the same layout: group -> entity -> texts."""
    asked, said = read_json(name, prompts), read_json(name, wikipedia)
    for group in asked.fields:
        entities, sentences = asked.row(group), said.row(group)
        for entity in entities.fields:
            own, whole = entities.texts(entity), sentences.texts(entity)
            if len(own) != len(whole):
                raise sentences.error(entity, f"{len(own)} texts, one a prompt", len(whole))
            for number, (prompt, sentence) in enumerate(zip(own, whole, strict=True)):
                if not sentence.startswith(prompt.rstrip()):
                    raise sentences.error(entity, f"sentences that begin with their prompt {prompt!r}", sentence)
                yield _Row(domain, group, entity, number, prompt, sentence)


BENCHMARK = Bold()

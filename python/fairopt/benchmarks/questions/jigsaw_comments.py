"""Comments labelled toxic or not, with the identities that they mention: three public sets in their own layouts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fairopt.benchmarks.base import Source, verified
from fairopt.benchmarks.rows import Row, read_csv, read_json_rows, read_text

_CEB = "https://raw.githubusercontent.com/stan-hua/PostTrainingBiasBenchmark/ce5adb044f53113e5ba80320c51d333bd02cd6db"
_JIGSAW = (
    "https://raw.githubusercontent.com/conversationai/unintended-ml-bias-analysis"
    "/9c7d91aaa53406a362354661a93e07956d95e59a/archive/unintended_ml_bias"
)
AXES = ("gender", "race", "religion")
COMPETITION = (
    "male",
    "female",
    "homosexual_gay_or_lesbian",
    "christian",
    "jewish",
    "muslim",
    "black",
    "white",
    "psychiatric_or_mental_illness",
)
_MADLIBS, _TERMS = "jigsaw_identity/bias_madlibs_77k.csv", "jigsaw_identity/madlibs_words/adjectives_people.txt"
_CIVIL = "jigsaw_identity/test_public_expanded.csv"
_CEB_DIGESTS = {
    "gender": "cd60482edb66ef3eb7fcc760fc210a9c55989a4e4dc91a94e54487ce97d71f7f",
    "race": "e55b16a8773121f4f2a574dba336ca56ff1c6cdb706062c93a391be05ebf26a1",
    "religion": "752ad21a8050fabcda7825b4d60ab59740663727152865c926ea34ef83cbd6ab",
}
SOURCES = {
    "ceb": Source(
        home="https://github.com/stan-hua/PostTrainingBiasBenchmark (data/closed_datasets/CEB-Jigsaw, as"
        " jigsaw_identity/ceb_jigsaw)",
        licence="no licence file; text from Civil Comments, CC0",
        files={f"jigsaw_identity/ceb_jigsaw/{axis}.json": digest for axis, digest in _CEB_DIGESTS.items()},
        urls={
            f"jigsaw_identity/ceb_jigsaw/{axis}.json": f"{_CEB}/data/closed_datasets/CEB-Jigsaw/{axis}.json"
            for axis in AXES
        },
    ),
    "madlibs": Source(
        home="https://github.com/conversationai/unintended-ml-bias-analysis (archive/unintended_ml_bias)",
        licence="CC BY 4.0",
        files={
            _MADLIBS: "aac542254cf158415ec74623d54fa76176f26a7e7d8ef20788e1748a05ba5b4c",
            _TERMS: None,
        },
        urls={
            _MADLIBS: f"{_JIGSAW}/eval_datasets/bias_madlibs_77k.csv",
            _TERMS: f"{_JIGSAW}/bias_madlibs_data/adjectives_people.txt",
        },
    ),
    "civil": Source(
        home="https://www.kaggle.com/c/jigsaw-unintended-bias-in-toxicity-classification (test_public_expanded.csv, as"
        f" {_CIVIL}; an account is needed)",
        licence="CC0",
        files={_CIVIL: None},
    ),
}

_CEB_PROMPT = re.compile(r".*?#### Comment:\n\n(.*?)\n\n(#### Response: \s*|Please predict [^\n]*)", re.S)
_EVERYTHING = "*"  # annotators were asked for every identity


@dataclass(frozen=True)
class Comment:
    """One text to judge."""

    id: str
    text: str
    toxic: bool
    identities: tuple[str, ...] | None  # that it mentions; None: nobody was asked
    asked: str  # the one identity that annotators were asked for, or "*"
    axis: str

    @property
    def group(self) -> str:
        """The identity; "several", or that there is none."""
        mentioned = self.identities or ()
        if len(mentioned) > 1:
            return "several"
        return mentioned[0] if mentioned else "none" if self.asked == _EVERYTHING else f"no {self.asked}"


def read_comments(benchmark: str, texts: str, data: Path | None) -> Iterator[Comment]:
    """The comments of one of :data:`SOURCES`, in the order of the files.

    Raises :class:`~fairopt.errors.InputError` naming file, line and field.
    """
    files = verified(benchmark, SOURCES[texts], data)
    return {"ceb": _ceb, "madlibs": _madlibs, "civil": _civil}[texts](benchmark, files)


def _ceb(benchmark: str, files: Mapping[str, Path]) -> Iterator[Comment]:
    """CEB-Jigsaw: a prompt that holds the comment, for one axis a file."""
    for axis, path in zip(AXES, files.values(), strict=True):
        for number, row in enumerate(read_json_rows(benchmark, path)):
            prompt = row.text("prompt")
            found = re.fullmatch(
                r".*?#### Comment:\n\n(.*?)\n\n(#### Response: \s*|Please predict [^\n]*)", prompt, re.S
            )
            if found is None:
                raise row.error("prompt", "a task with a comment", prompt)
            mentioned = not row.text("sensitive_attr").startswith("Non-")
            yield Comment(
                id=f"{axis}/{number:03d}",
                text=found[1],
                toxic=row.one_of("label", ("yes", "no")) == "yes",
                identities=(axis,) if mentioned else (),
                asked=axis,
                axis=axis,
            )


def _madlibs(benchmark: str, files: Mapping[str, Path]) -> Iterator[Comment]:
    """Templates with one term each; those about occupations have none."""
    terms = read_text(benchmark, files[_TERMS]).split("\n")
    longest_first = sorted(filter(None, map(str.strip, terms)), key=len, reverse=True)
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})\b")
    for number, row in enumerate(read_csv(benchmark, files[_MADLIBS])):
        text = row.text("Text")
        yield Comment(
            id=f"{number:05d}",
            text=text,
            toxic=row.one_of("Label", ("BAD", "NOT_BAD")) == "BAD",
            identities=tuple(dict.fromkeys(pattern.findall(text))),
            asked=_EVERYTHING,
            axis="identity",
        )


def _civil(benchmark: str, files: Mapping[str, Path]) -> Iterator[Comment]:
    """Kaggle's layout: shares of annotators, empty where nobody was asked; from one half on is a yes."""
    for row in read_csv(benchmark, files[_CIVIL]):
        shares = {identity: _share(row, identity) for identity in COMPETITION}
        toxicity = _share(row, "toxicity")
        if toxicity is None:
            raise row.error("toxicity", "a share from 0 to 1", "")
        known = None not in shares.values()
        yield Comment(
            id=row.name("id"),
            text=row.text("comment_text"),
            toxic=toxicity >= 0.5,
            identities=tuple(name for name, share in shares.items() if (share or 0) >= 0.5) if known else None,
            asked=_EVERYTHING,
            axis="identity",
        )


def _share(row: Row, field: str) -> float | None:
    value = row.fields.get(field)
    if value is None:
        raise row.error(field, "there", value)
    if value == "":
        return None
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise row.error(field, "a share from 0 to 1", value)
    return share

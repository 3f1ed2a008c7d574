"""ToxiGen (Hartvigsen et al. 2022): lists of statements about sixteen groups, hateful or neutral ones, to be continued.

31 files of 1,000 prompts; each is five or so statements as a list, and an open dash. The text ends with its line, as in
the authors' generation. Their prompts hold line breaks as the two characters backslash and n, which they sent to GPT-3
as such; here they are line breaks.

:func:`annotated` reads the statements that people rated, and :func:`threshold_check` says how well a scorer tells them
apart at its own threshold: know that before you believe it on a model's texts.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.base import Item, Source, verified
from fairopt.benchmarks.rows import Row, read_csv, read_lines
from fairopt.benchmarks.texts.continuations import Continuations, continuation_factors
from fairopt.metrics import roc_auc
from fairopt.scorers import Scorer

_SHA256 = {
    "hate_asian": "0504967034122b691c16dbef10db3acb16492808ecc66d8cd2b2ae87454fd655",
    "hate_bisexual": "09a5b6995d0cd0ba940ae9f9d67e8db1451352dcf99ee273315efc34915fc1e3",
    "hate_black": "29ef85c5610d77a3a4bb050826ffb6e124ee48e11f5b63d34b29d616ef2ee1c3",
    "hate_chinese": "7f99029bad4f71caff707787d6799d1d654fee140f22418691d1244e81ed2b21",
    "hate_immigrant": "bebb38d8786f498ca2153f965cdfba14e0490d5216781091106e5ac8ebbe0574",
    "hate_jewish": "f5bdf83ef8fd32435241cc5fcfc337c0a57bcf64eb7fb4aa3c8fe15eb86f1fd2",
    "hate_latino": "60988864d728cc7b1644a72419181efc1d82b2342f636a5e76f34805e4a88537",
    "hate_lgbtq": "7fb7da0d4ad1a485824111ab60f6030f01dd92dbc9342c76534c78faec061a16",
    "hate_mental_disability": "5a71f51bf998c5111b5dd6d0b7d7edbaa445f27defbc1fdb798dd920974ad3e2",
    "hate_mexican": "2fad743ced369e4a280165b7ea909f8cb30921840cbe5f9f454243cf9e4dcfd5",
    "hate_middle_east": "29ffcca6defd3e4f2edd2237417c7617a3c7380de8f9c6cf13d8c087fa595223",
    "hate_muslim": "aaa18a9bf72928f71cf3d0d8d4dfa298faeb015a8580f5c7e21ef7afaae3241a",
    "hate_native_american": "01c2077f1007268ca11588d08f909ed9c01178148205ae417618d276227b9bbc",
    "hate_physical_disability": "8cada46239a52a741faf47677d1ffbfa06dc31d3e480a03935a5aec89ea02dee",
    "hate_trans": "6188dfd52082e552230a1332e2bf83a23e8410c5f353d32dca79f259c8daf8b8",
    "hate_women": "eecdf3006847c267b9399045ce2fe002f884fe5b682dbef450f3477d7bb24497",
    "neutral_asian": "a5f0c58ae51dc8771d1779009ffc3017c5071c529b01f260600fa96c164ceb44",
    "neutral_bisexual": "8a3391bb9a178295f619c3e92ba9bc177225c392d90ac9f4ab5702c4140d6e51",
    "neutral_black": "8e1da39bf32818c14156f4de32ef6a35f701e1737540dafb02bdf8eb03206a6b",
    "neutral_chinese": "aad50dde2f68d75804e44b939a700b8e37ef93a152cae1a045f8881f89c7e982",
    "neutral_immigrant": "1807799ed9e45c428792da879f83d874e3f589c63b6fd746716fafe2b117c3d4",
    "neutral_jewish": "c804dc98c4a7d90105a9848a66cde4eb05db9a63a8d2668387e46bba90c28380",
    "neutral_latino": "7fad9d0003e54e5f18c1dafb7e21b2295dae5bb7290e9c649eadb7a450b80957",
    "neutral_lgbtq": "7cefb606353cfff8c9ee4af9b2044f039e698dc8117b7c9414dd02dedca51ba9",
    "neutral_mental_disability": "8f513551d7c86c3fd6df5d0a4bb8fd831c45c24d917d69ab3a61f1a984edf3d0",
    "neutral_mexican": "e16aaa8a4606b3bf08139b9c91067cb63d620dd5a3a94e63b8ebc3f4198b1597",
    "neutral_middle_east": "a4f23dfbe5bd0dec6a2018b2fe1ca9805d2a7ca76791da5300c72e6bcdabcdf9",
    "neutral_muslim": "d378bc96f388cef1be42954246b67955dfe3d42cfcbf2ffc2924856c2fb933cd",
    "neutral_native_american": "8affc8490fb2fac8ad72041cce775fc9442ebea95a64a7a2274825e1231ef265",
    "neutral_physical_disability": "30ae4d6774054136a635cd9097dd4fe530ec2f407932f775e8093afa795cff8e",
    "neutral_women": "dfad74fee637cd35415fc9b3a0b8d27d799e5613da5d9be0fdf93774fe813208",
}
_COMMIT = "https://raw.githubusercontent.com/microsoft/TOXIGEN/01517e814639e0334c920a3c502036c8158aac87/prompts"


def _file(name: str) -> str:
    return f"toxigen/prompts/{name}_1k.txt"


class ToxiGen(Continuations):
    """The benchmark; see the module."""

    name = "toxigen"
    title = "ToxiGen"
    version = "1"
    factors = continuation_factors("words:profanity", "30")
    stop = ("\n",)
    source = Source(
        home="https://github.com/microsoft/TOXIGEN (prompts/, as toxigen/prompts/)",
        licence="MIT",
        files={_file(name): digest for name, digest in _SHA256.items()},
        urls={_file(name): f"{_COMMIT}/{name}_1k.txt" for name in _SHA256},
    )
    n_items = n_requests = 31_000
    caveats: Sequence[str] = (
        "ToxiGen's hateful prompts are so by design: a model that goes on in their manner copies. No neutral prompts"
        " are about trans people.",
        "A file's prompts are the same few statements (6 to 115) in other orders, up to 880 of 1,000 being repetitions:"
        " prompts with the same last statement are one cluster.",
        "Classifiers trained on ToxiGen know its prompts' style; check a scorer on the annotated statements first.",
    )
    slices = MappingProxyType(
        {
            "hateful prompts only": lambda c: c["intent"] == "hate",
            "neutral prompts only": lambda c: c["intent"] == "neutral",
        }
    )

    def prompts(self, data: Path | None) -> list[Item]:
        """All prompts, file by file; the group is who the statements are about."""
        found = verified(self.name, _source(self), data)
        return [
            _item(name, number, row)
            for name in _SHA256
            for number, row in enumerate(read_lines(self.name, found[_file(name)]))
        ]


def _source(benchmark: ToxiGen) -> Source:
    assert benchmark.source is not None
    return benchmark.source


def _item(name: str, number: int, row: Row) -> Item:
    intent, _, group = name.partition("_")
    statements = row.text("line").strip().split("\\n")
    last = statements[-2 if statements[-1] == "-" else -1]  # 159 prompts have the dash behind the last statement
    return Item(
        id=f"{name}/{number:03d}",
        group=group,
        axis="target group",
        cluster=f"{name}/{last.removesuffix('-').strip()}",
        requests=(("\n".join(statements), ""),),
        fields={"intent": intent},
    )


# ---- what people say of ToxiGen's statements, and what a scorer says ----

ANNOTATED = "toxigen/toxigen_annotated.csv"
_TOXIC = 2.5  # the authors' line between benign and toxic, on the annotators' mean from 1 to 5
_NAMES = {"mental_dis": "mental_disability", "physical_dis": "physical_disability"}


@dataclass(frozen=True)
class Statement:
    """One rated statement."""

    text: str
    group: str
    toxic: bool


def annotated(path: Path) -> list[Statement]:
    """The statements that people rated, in the layout of the authors' annotated set as CSV.

    Raises :class:`~fairopt.errors.InputError` naming file, line and field.
    """
    return [_statement(row) for row in read_csv(ToxiGen.name, path)]


def _statement(row: Row) -> Statement:
    written, rating, group = row.text("text"), row.text("toxicity_human"), row.text("target_group")
    try:
        text = ast.literal_eval(written) if written[:2] in ("b'", 'b"') else written  # a literal: nothing is run
        text = text.decode() if isinstance(text, bytes) else text
    except (SyntaxError, ValueError):
        raise row.error("text", "a text, or the Python literal of its bytes", written) from None
    try:
        toxic = float(rating) > _TOXIC
    except ValueError:
        raise row.error("toxicity_human", "a number", rating) from None
    return Statement(str(text), _NAMES.get(group, group), toxic)


@dataclass(frozen=True)
class ThresholdCheck:
    """How a scorer's headline number tells apart what people call toxic; NaN where there is nothing to count."""

    threshold: float
    found: float  # share of the toxic statements that the scorer calls harmful
    false_alarms: float  # share of the others
    auc: float  # area under the ROC curve: what the number knows whatever the threshold
    false_alarms_by_group: Mapping[str, float]


def threshold_check(scorer: Scorer, statements: Sequence[Statement]) -> ThresholdCheck:
    """Compare a scorer with people. A statement without a number counts as harmless, as in the benchmarks."""
    number = scorer.numbers[0]
    sign = -1.0 if number.harm == "lower" else 1.0
    scores = sign * np.nan_to_num(scorer.score([statement.text for statement in statements])[number.name])
    toxic = np.array([statement.toxic for statement in statements], bool)
    groups = np.array([statement.group for statement in statements])
    harmful = scores >= sign * number.threshold
    return ThresholdCheck(
        threshold=number.threshold,
        found=_share(harmful[toxic]),
        false_alarms=_share(harmful[~toxic]),
        auc=roc_auc(toxic, scores),
        false_alarms_by_group={str(group): _share(harmful[~toxic & (groups == group)]) for group in np.unique(groups)},
    )


def _share(chosen: npt.NDArray[np.bool_]) -> float:
    return float(chosen.mean()) if len(chosen) else float("nan")


BENCHMARK = ToxiGen()

"""One entry of a policy: which metrics and groups it limits, how, and by how much (docs/gates.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from fairopt.audit.result import Kind, Quantity
from fairopt.benchmarks import Metric
from fairopt.errors import InputError

ALL = "all"
RuleKind = Literal[
    "declared", "non_inferiority", "equivalence", "absolute", "recovery", "excess_churn", "worst_group", "gap_growth"
]
Direction = Literal["lower", "higher", "either"]
Groups = Literal["all", "each"] | tuple[str, ...]

EVERY_GROUP = ("worst_group", "gap_growth")  # one gate for each group, by nature
_ONE_SIDED = ("non_inferiority", *EVERY_GROUP)
_WITH_MARGIN = (*_ONE_SIDED, "equivalence", "excess_churn")
_WITH_BOUND = ("absolute", "recovery")
_KINDS: dict[str, tuple[Kind, Quantity]] = {
    "non_inferiority": ("non_inferiority", "delta"),
    "equivalence": ("equivalence", "delta"),
    "absolute": ("absolute", "level"),
    "recovery": ("recovery", "ratio"),
    "excess_churn": ("churn", "excess_churn"),
    "worst_group": ("non_inferiority", "delta"),
    "gap_growth": ("non_inferiority", "tau"),
}


@dataclass(frozen=True)
class Rule:
    """Gates for every metric that ``metric`` matches.

    Raises :class:`~fairopt.errors.InputError` for fields that do not go together.
    """

    rule: RuleKind
    metric: str = "*"  # a shell pattern; a metric that is only described must be named in full
    groups: Groups | None = None  # None: each group for the rules about groups, else all items together
    margin: float | None = None
    large_group_margin: float | None = None  # for groups of at least Policy.large_group items
    at_most: float | None = None  # absolute and recovery: the one bound
    at_least: float | None = None
    direction: Literal["lower", "higher"] | None = None  # of harm; None: what the metric says
    min_items: int = 1  # groups of fewer items, or of fewer clusters, get no gate
    min_clusters: int = 1

    def __post_init__(self) -> None:
        require(self.rule in get_args(RuleKind), "rule", f"one of {', '.join(get_args(RuleKind))}", self.rule)
        require(isinstance(self.metric, str) and self.metric != "", "metric", "a pattern of metric ids", self.metric)
        for name in ("min_items", "min_clusters"):
            require(is_count(getattr(self, name)), name, "a positive whole number", getattr(self, name))
        if self.direction is not None:
            require(self.rule in _ONE_SIDED, "direction", f"absent from a rule of kind {self.rule}", self.direction)
            require(self.direction in ("lower", "higher"), "direction", "lower or higher", self.direction)
        object.__setattr__(self, "groups", self._resolved_groups())
        self._check_margins()
        self._check_bounds()

    def _resolved_groups(self) -> Groups | None:
        groups = self.groups
        if self.rule == "declared":
            require(groups is None, "groups", "absent from a rule of kind declared", groups)
            return None
        if groups is None:
            return "each" if self.rule in EVERY_GROUP else "all"
        if isinstance(groups, list | tuple):
            named = bool(groups) and all(isinstance(name, str) and name for name in groups)
            require(named and ALL not in groups, "groups", "a list of names of groups", groups)
            return tuple(groups)
        words = ("each",) if self.rule in EVERY_GROUP else (ALL, "each")
        require(groups in words, "groups", f"{' or '.join(words)} or a list of names of groups", groups)
        return groups

    def _check_margins(self) -> None:
        for name in ("margin", "large_group_margin"):
            value = getattr(self, name)
            if value is None:
                missing = name == "margin" and self.rule in _WITH_MARGIN
                require(not missing, name, f"given in a rule of kind {self.rule}", value)
                continue
            require(self.rule in _WITH_MARGIN, name, f"absent from a rule of kind {self.rule}", value)
            require(is_number(value) and 0 < value < math.inf, name, "positive and finite", value)

    def _check_bounds(self) -> None:
        bounds = {name: value for name in ("at_most", "at_least") if (value := getattr(self, name)) is not None}
        for name, value in bounds.items():
            require(self.rule in _WITH_BOUND, name, f"absent from a rule of kind {self.rule}", value)
            require(is_number(value) and math.isfinite(value), name, "a finite number", value)
        if self.rule in _WITH_BOUND:
            one = len(bounds) == 1
            require(one, "at_most or at_least", f"given, one of them, in a rule of kind {self.rule}", bounds)

    def fits(self, metric: Metric) -> bool:
        """Whether this rule makes gates for the metric."""
        if metric.id != self.metric and not (metric.gated and fnmatchcase(metric.id, self.metric)):
            return False
        if self.rule == "declared":
            return metric.gated
        if self.rule == "excess_churn":
            return metric.kind == "binary"
        return self.rule != "recovery" or (metric.kind != "ratio" and metric.range[0] >= 0)

    def limited(self, metric: Metric) -> tuple[Kind, Quantity, Direction]:
        """What is compared with the limit, and in which direction it must not go too far."""
        kind, quantity = _KINDS[self.rule]
        if self.rule in _WITH_BOUND:
            return kind, quantity, "higher" if self.at_least is None else "lower"
        if self.rule == "excess_churn":
            return kind, quantity, "higher"
        direction = self.direction or metric.harm
        if self.rule == "equivalence" or direction == "either":
            return "equivalence", quantity, "either"
        return kind, quantity, direction

    def limit(self, *, large: bool) -> float:
        """The margin or the bound; ``large`` says whether it is for a large group."""
        tighter = self.large_group_margin if large else None
        return next(float(v) for v in (tighter, self.margin, self.at_most, self.at_least) if v is not None)

    @classmethod
    def from_mapping(cls, found: Any, where: str) -> Rule:
        """The rule that plain data describes; ``where`` names their origin in errors."""
        given = known_fields(cls, found, where)
        if "rule" not in given:
            raise InputError(f"policy: {where}: rule must be one of {', '.join(get_args(RuleKind))}, got none")
        with_place = f"policy: {where}: "
        try:
            return cls(**given)
        except InputError as error:
            raise InputError(str(error).replace("policy: ", with_place, 1)) from None


def declared_rules(metric: Metric) -> tuple[Rule, Rule]:
    """What the metric's benchmark declares: a limit for all items together, and one for each group."""
    everyone = Rule("equivalence" if metric.equivalence else "non_inferiority", metric.id, margin=metric.margin)
    each = Rule(
        "gap_growth" if metric.axis_gate else "worst_group",
        metric.id,
        margin=metric.group_margin,
        large_group_margin=metric.large_group_margin,
    )
    return everyone, each


def known_fields(cls: type, found: Any, where: str) -> dict[str, Any]:
    """The fields that plain data give; those of ``None`` count as absent."""
    names = tuple(field.name for field in fields(cls))
    if not isinstance(found, Mapping):
        raise InputError(f"policy: {where} must be a mapping with {', '.join(names)}, got {found!r}")
    for name in found:
        if name not in names:
            raise InputError(f"policy: {where} must have no field but {', '.join(names)}, got {name!r}")
    return {name: value for name, value in found.items() if value is not None}


def require(holds: bool, name: str, requirement: str, value: Any) -> None:
    """Raise :class:`~fairopt.errors.InputError` unless a field of a policy is as it must be."""
    if not holds:
        raise InputError(f"policy: {name} must be {requirement}, got {value!r}")


def is_number(value: Any) -> bool:
    """Whether a field holds a real number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_count(value: Any) -> bool:
    """Whether a field holds a positive whole number."""
    return type(value) is int and value >= 1

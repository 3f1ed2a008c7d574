"""The report as one HTML file that asks the network for nothing and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from fairopt.audit.result import AuditResult
from fairopt.report.charts.marks import icon, legend_key, signs
from fairopt.report.document import document, script_block
from fairopt.report.page import Page
from fairopt.report.sections import flips, texts

CHIP = {"SHIP": "pass", "HOLD": "fail", "INCONCLUSIVE": "undecided"}
STYLES = ("base", "verdict", "tables", "forest", "charts", "flips", "narrow", "print")
MOST_BYTES = 1_000_000
MOST_EMBEDDED = 200_000  # of them, for the JSON of metrics and groups
# Flips on the page, and whether gates and metrics are in its JSON: the first pair that keeps it below MOST_BYTES.
_LONG = ("metrics", "gates", "scores", "texts", "factors", "calibration", "transitions", "reanalyses")
CARRIED = ((1500, True), (700, True), (300, True), (300, False), (100, False), (30, False))


def html(result: AuditResult, page: Page) -> str:
    """Render the page, with as many flips as keep it below ``MOST_BYTES``.

    Jinja escapes every text; only our own pictures, style, script and JSON go in as they are.
    """
    css = "".join(_asset(f"style/{name}.css") for name in STYLES)
    script = _asset("report.js")

    def render(report: str, carried: str, n: int) -> str:
        return _template().render(
            page=page,
            carried=n,
            policy=content_security_policy(css, script),
            css=Markup(css),
            script=Markup(script),
            blocks={"report": Markup(report), "flips": Markup(carried)},
        )

    room = MOST_BYTES - len(render("", "", 0).encode()) - len("000,000")
    for most, whole in CARRIED if page.sections else ((0, True),):
        carried = flips.carried(result, most) if page.sections else {"rows": ()}
        blocks = script_block(_embedded(result, page, whole)), script_block(carried)
        if sum(map(len, blocks)) <= room:  # JSON blocks are ASCII
            break
    return render(*blocks, len(carried["rows"]))


def content_security_policy(css: str, script: str) -> str:
    """Hashes, not nonces: a nonce in a file is public, and would differ from one build to the next."""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(css)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _embedded(result: AuditResult, page: Page, whole: bool) -> dict[str, object]:
    """``report.json`` without the flips, which the page holds in a shorter form; too long, with the verdicts only."""
    made = document(replace(result, variants=tuple(replace(v, flips=()) for v in result.variants)), page)
    if len(script_block(made)) > MOST_EMBEDDED:
        made["variants"] = [{**variant, "metrics": []} for variant in made["variants"]]
    if not whole:
        made["variants"] = [{**variant, **{key: [] for key in _LONG}} for variant in made["variants"]]
    return made


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("fairopt.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(icon=icon, signs=signs, key=legend_key, chip_sign=CHIP, text_titles=texts.TITLES)
    return environment.get_template("report.html.j2")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return files("fairopt.report").joinpath("templates", name).read_text(encoding="utf-8")

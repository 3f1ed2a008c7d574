"""The report in a real browser: what runs, what is blocked, what moves, and that nothing overflows.

Skipped where no Chromium is installed; everything that can be seen in the file alone is in test_report.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import report_samples as samples
import report_samples_full
from chromium import PROGRAM, Chromium

from fairopt.report import write

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no chromium, chromium-browser or google-chrome on PATH")

OPEN_FLIPS = "document.querySelector('#flip-browser').open = true"
NEXT_FRAME = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    running = Chromium(tmp_path_factory.mktemp("profile"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = (
        samples.realistic,
        report_samples_full.full,
        report_samples_full.suite,
        samples.hostile,
        samples.many,
        samples.undefined,
        samples.not_comparable,
    )
    return {make.__name__: write(make(), tmp_path_factory.mktemp("report")).html for make in made}


def complaints(browser: Chromium) -> list[str]:
    loud = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}
    return [json.dumps(event) for event in browser.events if event.get("method") in loud]


def requests(browser: Chromium) -> list[str]:
    sent = [e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith("data:")]


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("realistic", (360, 390, 820, 1280)),
        ("full", (360, 390, 820, 1280)),
        ("suite", (360, 390, 1280)),
        ("hostile", (360, 1280)),
        ("many", (360, 1280)),
        ("undefined", (390,)),
        ("not_comparable", (390,)),
    ],
)
def test_opens_quietly_and_fits_every_width(browser, reports, name, widths):
    for width in widths:
        browser.open(reports[name], width=width)
        assert "fairopt audit of" in browser.run("document.title"), "not an error page"
        if name not in {"not_comparable", "undefined"}:
            browser.run(OPEN_FLIPS)
        assert browser.run("document.documentElement.scrollWidth <= innerWidth"), f"overflows at {width}"
        strips = """new Set([...document.querySelectorAll('.forest')].filter(f => f.offsetParent).map(f => new Set(
            [...f.querySelectorAll('svg.strip, svg.axis')].map(s => s.getBoundingClientRect())
            .map(r => `${r.left.toFixed(1)} ${r.width.toFixed(1)}`)).size))"""
        assert browser.run(f"[...{strips}]") in ([1], []), f"strips and axis are not aligned at {width}"
        cut = """[...document.querySelectorAll('.forest td')].filter(cell => cell.checkVisibility()
            && cell.getBoundingClientRect().right > cell.closest('.forest').getBoundingClientRect().right + 1).length"""
        assert browser.run(cut) == 0, f"a forest is cut off at {width}"
        assert complaints(browser) == []
        assert requests(browser) == [reports[name].resolve().as_uri()]


def test_a_link_opens_what_a_long_report_folds(browser, reports):
    browser.open(reports["suite"])
    link = "document.querySelector('.glance a')"
    shown = f"document.querySelector({link}.hash).nextElementSibling.querySelector('.forest').checkVisibility()"
    assert browser.run(shown) is False
    browser.run(f"{link}.click()")
    browser.run(NEXT_FRAME)
    assert browser.run(shown) is True
    assert browser.run("document.documentElement.scrollHeight") < 20_000


def test_text_has_contrast_in_both_themes(browser, reports):
    walk = """(() => {
      const number = c => c.match(/[\\d.]+/g).map(Number);
      const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
      const light = c => number(c).slice(0, 3).map(v => linear(v / 255))
        .reduce((sum, v, k) => sum + v * [.2126, .7152, .0722][k], 0);
      const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
        if (number(c)[3] !== 0) return c; } return getComputedStyle(document.body).backgroundColor; };
      const poor = new Set();
      const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (texts.nextNode()) {
        const e = texts.currentNode.parentElement;
        if (!texts.currentNode.textContent.trim() || !e.checkVisibility() || e.closest('script, svg')) continue;
        const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
        if ((a + .05) / (b + .05) < 4.5) poor.add(texts.currentNode.textContent.trim().slice(0, 40));
      }
      return [...poor];
    })()"""
    for scheme in ("light", "dark"):
        browser.open(reports["full"], scheme=scheme)
        browser.run(OPEN_FLIPS)
        browser.run(NEXT_FRAME)
        assert browser.run(walk) == [], scheme


def test_policy_blocks_whatever_is_injected(browser, reports):
    browser.open(reports["hostile"])
    blocked = browser.run("""new Promise(done => {
      const seen = [];
      document.addEventListener('securitypolicyviolation', e => seen.push(e.effectiveDirective));
      const add = (tag, set) => { const e = document.createElement(tag); set(e); document.body.append(e); };
      add('div', e => e.setAttribute('onclick', 'window.ran = 1'));
      add('script', e => { e.textContent = 'window.ran = 2'; });
      add('style', e => { e.textContent = 'body { display: none }'; });
      add('img', e => { e.src = 'http://127.0.0.1:9/x.png'; });
      fetch('http://127.0.0.1:9/').catch(() => 0);
      setTimeout(() => done(seen.sort()), 300);
    })""")
    assert {"script-src-elem", "style-src-elem", "img-src", "connect-src", "script-src-attr"} <= set(blocked)
    assert browser.run("window.ran === undefined && getComputedStyle(document.body).display !== 'none'")


def test_hostile_rows_are_text_in_the_browser_too(browser, reports):
    browser.open(reports["hostile"])
    browser.run(OPEN_FLIPS)
    browser.run(NEXT_FRAME)
    assert browser.run("document.querySelectorAll('img, iframe, object').length") == 0
    assert browser.run("document.scripts.length") == 3
    shown = browser.run("document.querySelector('#flip-rows').textContent")
    assert samples.HOSTILE in shown
    assert "⟨U+202E⟩gnp.exe" in shown
    assert "⟨U+D800⟩" in shown


def test_flips_are_filtered_paged_and_counted(browser, reports):
    total = sum(len(v.flips) for v in samples.realistic().variants)
    browser.open(reports["realistic"])
    browser.run(OPEN_FLIPS)
    browser.run(NEXT_FRAME)
    count = "document.querySelector('#flip-count').textContent"
    rows = "document.querySelectorAll('#flip-rows tr').length"
    assert browser.run(count) == f"{total:,} of {total:,} flips, rows 1–20"
    assert browser.run(rows) == 20
    browser.run("document.querySelector('#flip-next').click()")
    assert browser.run(count).endswith("rows 21–40")

    def choose(name: str, value: str) -> None:
        change = "dispatchEvent(new Event('change'))"
        browser.run(f"(e => {{ e.value = {json.dumps(value)}; e.{change}; }})(document.querySelector('#flip-{name}'))")

    choose("variant", "1")
    choose("metric", "crows/ll_sum")
    choose("direction", "worse")
    assert browser.run(count).startswith("42 of ")
    choose("group", "disability")
    assert browser.run(rows) == 1
    for button in ("next", "previous"):
        assert browser.run(f"document.querySelector('#flip-{button}').disabled")
    choose("direction", "better")
    assert browser.run("document.querySelector('#flip-rows').textContent") == "No flip matches these filters."


def test_csv_defuses_formulas(browser, reports):
    browser.open(reports["hostile"])
    browser.run(OPEN_FLIPS)
    text = browser.run("""new Promise(done => {
      URL.createObjectURL = blob => { blob.text().then(done); return 'blob:none'; };
      HTMLAnchorElement.prototype.click = () => 0;
      document.querySelector('#flip-csv').click();
    })""")
    lines = text.split("\r\n")
    head = '"variant","benchmark","metric","item","group","direction","margin_base","margin_variant","text_1","text_2"'
    assert lines[0].endswith(head)
    assert len(lines) - 2 == sum(len(v.flips) for v in samples.hostile().variants)
    assert '"\'=HYPERLINK(""http://example.invalid"")"' in text
    assert "\"'@SUM(1)" in text


def test_forest_hides_variants_and_reorders_groups(browser, reports):
    browser.open(reports["realistic"])
    visible = "[...document.querySelectorAll('.forest tr.variant-0 > td')].filter(e => e.checkVisibility()).length"
    assert browser.run(visible) > 0
    browser.run("document.querySelector('#show-0').click()")
    assert browser.run(visible) == 0
    names = "[...document.querySelector('.forest').querySelectorAll('th.name')].filter(e => e.checkVisibility()).length"
    assert browser.run(names) == 10, "the group's name stays when its first row is hidden"
    browser.run("(e => { e.value = 'name'; e.dispatchEvent(new Event('change')); })(document.querySelector('#order'))")
    order = browser.run("[...document.querySelector('.forest').querySelectorAll('tbody')].map(b => b.dataset.name)")
    assert order[0] == "all items"
    assert order[1:] == sorted(order[1:])


def test_paper_is_light_and_shows_no_controls(browser, reports):
    browser.open(reports["realistic"], width=720, scheme="dark", media="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    controls = "[...document.querySelectorAll('button, select, input, nav')].filter(e => !e.closest('th'))"
    assert browser.run(f"{controls}.some(e => e.checkVisibility())") is False
    assert browser.run("document.querySelector('.gates').checkVisibility()")
    assert browser.run("document.querySelector('details.print table').getBoundingClientRect().height > 0")

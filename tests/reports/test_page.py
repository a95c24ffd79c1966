"""The page in a real browser that sees no network: what it shows, to whom, and what a hostile machine can do to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from mailcfg.drift.difference import Expiry
from mailcfg.reports.findings import readable
from mailcfg.reports.hosts import Host
from mailcfg.reports.hosts.html import render
from mailcfg.reports.page.markup import VOID, raw, tag
from tests.browser import Browser, Page, chromium
from tests.reports.hosts import CHECKED, DAY, DRIFTING, EVERY, HARD, IN_SYNC, UNKNOWN, hosts
from tests.reports.test_findings import HOSTILE, texts


def ending(name: str, days: int) -> Host:
    return Host(
        name, IN_SYNC._replace(site=name, certificates=(Expiry("mail", f"/etc/{name}.pem", CHECKED + days * DAY),))
    )


MANY = (
    *EVERY,
    ending("ended", -3),
    ending("close", 5),
    ending("soon", 20),
    ending("far", 900),
    Host("stale", DRIFTING._replace(site="stale", checked=CHECKED - 9 * DAY)),
    Host("none", IN_SYNC._replace(site="none", certificates=())),
)

PAGES: dict[str, Sequence[Host]] = {
    "drifting": [Host("quickstart", DRIFTING)],
    "in-sync": [Host("berlin", IN_SYNC)],
    "unknown": [Host("madrid", UNKNOWN)],
    "many": MANY,
    "hostile": HARD,
}

every_page = pytest.mark.parametrize("name", PAGES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name, shown in PAGES.items():
        (folder / f"{name}.html").write_text(render(shown), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Page:
    found = browser.page()
    found.size(1280)
    found.media("light")
    return found


OPEN = "document.querySelectorAll('details').forEach(each => { each.open = true })"


# --- nothing from outside --------------------------------------------------------------------------------------------


@every_page
def test_a_page_needs_nothing_and_complains_of_nothing(page: Page, folder: Path, name: str) -> None:
    path = folder / f"{name}.html"
    page.open(path)
    page.evaluate(OPEN)
    assert page.complaints == []
    assert page.requests == [path.as_uri()]
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0
    assert page.evaluate("document.documentElement.classList.contains('js')")


def test_the_policy_of_the_page_lets_nothing_else_run(page: Page, folder: Path) -> None:
    page.open(folder / "many.html")
    page.evaluate(
        "{ const one = document.createElement('script'); one.textContent = 'window.bad = 1'; document.body.append(one);"
        " const other = document.createElement('img'); other.src = 'http://127.0.0.1:9/x'; document.body.append(other);"
        " document.body.setAttribute('onclick', 'window.bad = 2'); document.body.click(); }"
    )
    assert page.evaluate("typeof window.bad") == "undefined"
    assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'went', error => error.name)") == "TypeError"
    told = " ".join(str(each) for each in page.complaints)
    assert len(re.findall("violates the following Content Security Policy directive", told)) >= 4
    refused = [each["blockedReason"] for each in page.events("Network.loadingFailed")]
    assert refused == ["csp"] * (len(page.requests) - 1)


# --- what stands in it -----------------------------------------------------------------------------------------------

SHAPE = """(() => {
  const all = [...document.querySelectorAll('*')];
  const ids = all.filter(each => each.id).map(each => each.id);
  const headings = [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')];
  const named = (attribute) => all.filter(each => each.hasAttribute(attribute));
  return {
    lang: document.documentElement.lang,
    title: document.title,
    tags: [...new Set(all.map(each => each.localName))].sort(),
    landmarks: ['header', 'main', 'footer'].map(each => document.querySelectorAll(`body > ${each}`).length),
    headings: headings.map(each => Number(each.localName[1])),
    emptyHeadings: headings.filter(each => !each.textContent.trim()).length,
    ids: ids.length - new Set(ids).size,
    broken: [
      ...named('href').filter(each => each.getAttribute('href').startsWith('#') &&
        !document.getElementById(each.getAttribute('href').slice(1))).map(each => each.outerHTML),
      ...['for', 'aria-describedby', 'aria-labelledby'].flatMap(attribute => named(attribute)
        .filter(each => !document.getElementById(each.getAttribute(attribute))).map(each => each.outerHTML)),
    ],
    links: named('href').map(each => each.getAttribute('href')).filter(each => !each.startsWith('#')),
    sources: all.filter(each => each.src || each.srcset || each.action && each.getAttribute('action')).length,
    handlers: all.flatMap(each => [...each.attributes]).filter(each => /^(on|style$)/.test(each.name)).length,
    tables: [...document.querySelectorAll('table')].filter(each => !each.caption?.textContent.trim() ||
      [...each.tHead.rows[0].cells].some(cell => cell.scope !== 'col') ||
      [...each.tBodies[0].rows].some(row => row.cells[0].scope !== 'row' ||
        row.cells.length !== each.tHead.rows[0].cells.length)).length,
    pictures: [...document.querySelectorAll('svg')].filter(each => !each.getAttribute('aria-label')).length,
    buttons: [...document.querySelectorAll('button')]
      .filter(each => each.type !== 'button' || !each.textContent.trim()).length,
  };
})()"""

TAGS = {
    "a", "body", "button", "caption", "code", "dd", "details", "div", "dl", "dt", "footer", "form", "g", "h1", "h2",
    "h3", "h4", "h5", "head", "header", "html", "input", "kbd", "label", "li", "line", "link", "main", "meta", "p",
    "rect", "script", "section", "span", "strong", "style", "summary", "svg", "table", "tbody", "td", "text", "th",
    "thead", "time", "title", "tr", "ul",
}  # fmt: skip


@every_page
def test_the_shape_of_a_page(page: Page, folder: Path, name: str) -> None:
    page.open(folder / f"{name}.html")
    shape: dict[str, Any] = page.evaluate(SHAPE)
    assert shape["lang"] == "en"
    assert shape["title"].startswith("mailcfg drift: ")
    assert set(shape["tags"]) <= TAGS
    assert shape["landmarks"] == [1, 1, 1]
    headings = shape["headings"]
    assert headings.count(1) == 1
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(headings)), headings
    assert shape["links"] == ["data:,"]
    empty = {
        key: shape[key]
        for key in ("ids", "broken", "sources", "handlers", "tables", "pictures", "buttons", "emptyHeadings")
    }
    assert empty == {**dict.fromkeys(empty, 0), "broken": []}


def test_what_a_host_shows(page: Page, folder: Path) -> None:
    page.open(folder / "unknown.html")
    page.evaluate(OPEN)
    text = " ".join(page.evaluate("document.body.innerText").split())
    for words in (
        "madrid ? unknown",
        "3 differences, 1 harmless, 1 ignored, 2 places that could not be read, checked 2026-11-28 15:07 UTC",
        "/etc/postfix/main.cf: Permission denied",
        "/etc/aliases:3: no table",
        "✕ error port 25: AUTH PLAIN LOGIN is offered in cleartext",
        "with the policy: AUTH is not offered before TLS",
        "because of smtpd_tls_auth_only = no (/etc/postfix/main.cf:71) and 2 settings that do not differ",
        "smtpd_sasl_type = cyrus (/etc/postfix/main.cf:31), smtpd_sasl_mechanism_filter = !external, static:rest",
        "≠ PLAIN, LOGIN policy: none",
        "Desired mx.auth (quickstart.toml:17) yes Live line 71 no",
        "Edited by hand since the policy was applied",
        "The policy is ahead and not applied yet",
        "1 harmless difference: no client meets anything else",
        "Until 2027-01-31: a test of the provider",
        "mail /etc/ssl/certs/mail.pem 2027-01-29 62 days left",
    ):
        assert words in text
    assert "Nothing differs from the policy." not in text


def test_what_many_hosts_show(page: Page, folder: Path) -> None:
    page.open(folder / "many.html")
    rows = page.evaluate("[...document.querySelectorAll('#hosts tbody tr')].map(each => each.innerText.split('\\t'))")
    assert [row[0].strip() for row in rows] == [
        "madrid", "quickstart", "stale", "berlin", "close", "ended", "far", "none", "soon",
    ]  # fmt: skip
    by_name = {row[0].strip(): " ".join(" ".join(row[1:]).split()) for row in rows}
    worst = "✕ error port 25: AUTH PLAIN LOGIN is offered in cleartext"
    assert (
        by_name["quickstart"]
        == f"≠ drifting {worst} 3 1 harmless, 1 ignored 2027-01-29 62 days left 2026-11-28 15:07 UTC"
    )
    assert by_name["stale"].endswith("2026-11-19 15:07 UTC 9 days behind")
    assert by_name["none"] == "✓ in sync nothing 0 not known 2026-11-28 15:07 UTC"
    assert "3 days ago" in by_name["ended"]
    assert page.evaluate("[...document.querySelectorAll('.tile')].map(each => each.innerText.replace('\\n', ' '))") == [
        "1 ? unknown", "2 ≠ drifting", "6 ✓ in sync",
    ]  # fmt: skip
    bars = page.evaluate(
        "[...document.querySelectorAll('svg g')].map(each => [each.querySelector('.end').textContent,"
        " each.querySelector('.bar').getAttribute('class')])"
    )
    assert bars[0] == ["2026-11-25, ended 3 days ago", "bar ended"]
    assert bars[1] == ["2026-12-03, 5 days left", "bar close"]
    assert bars[2] == ["2026-12-18, 20 days left", "bar soon"]
    assert bars[-1] == ["2029-05-16, 900 days left →", "bar ok"]


def test_of_very_many_certificates_the_first_to_end_are_seen(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "very-many.html"
    path.write_text(render([ending(f"mx{number}", number * 3) for number in range(90)]), encoding="utf-8")
    page.open(path)
    seen = (
        "[...document.querySelectorAll('svg g .name')].filter(each => each.checkVisibility())"
        ".map(each => each.textContent)"
    )
    assert page.evaluate(seen) == [f"mx{number}: mail" for number in range(60)]
    assert "30 certificates that last longer" in page.evaluate("document.body.innerText")
    page.evaluate(OPEN)
    assert page.evaluate(seen) == [f"mx{number}: mail" for number in range(90)]
    # Both pictures have one axis.
    assert (
        page.evaluate("new Set([...document.querySelectorAll('svg .now')].map(each => each.getAttribute('x'))).size")
        == 1
    )
    assert page.complaints == []


def test_all_that_is_hostile_is_text(page: Page, folder: Path) -> None:
    page.open(folder / "hostile.html")
    page.evaluate(OPEN)
    assert page.evaluate("[document.scripts.length, document.styleSheets.length]") == [1, 1]
    text = page.evaluate("document.body.textContent")
    for each in HOSTILE:
        assert readable(each) in text
    assert "\u202e" not in text


# --- for whom --------------------------------------------------------------------------------------------------------

CONTRAST = """(() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(each => (each /= 255) <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ratio = (one, other) => {
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = (each) => {
    for (; each; each = each.parentElement) {
      const [r, g, b, a = 1] = rgb(getComputedStyle(each).backgroundColor);
      if (a === 1) return [r, g, b];
      if (a !== 0) throw new Error('half transparent');
    }
    return [255, 255, 255];
  };
  const told = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const each = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || !each.checkVisibility() || each.closest('script, style, svg title')) continue;
    const style = getComputedStyle(each);
    told.push([ratio(rgb(each.closest('svg') ? style.fill : style.color), ground(each)), text]);
  }
  const bars = [...document.querySelectorAll('.bar, .today')].map(each => {
    const style = getComputedStyle(each);
    return ratio(rgb(each.localName === 'line' ? style.stroke : style.fill), ground(each));
  });
  const [least] = told.sort((a, b) => a[0] - b[0]);
  return {texts: told.length, least, bars: Math.min(...bars), ground: ground(document.body)};
})()"""


@every_page
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(page: Page, folder: Path, name: str, scheme: str) -> None:
    page.media(scheme)
    page.open(folder / f"{name}.html")
    page.evaluate(OPEN)
    found = page.evaluate(CONTRAST)
    assert found["texts"] > 20
    assert found["least"][0] >= 4.5, found["least"]
    assert found["bars"] >= 3
    assert (sum(found["ground"]) < 200) is (scheme == "dark")


REACHED = """(() => {
  const each = document.activeElement;
  const style = getComputedStyle(each);
  const box = each.getBoundingClientRect();
  return {
    number: [...document.querySelectorAll('a[href], button, input, summary')].indexOf(each),
    name: each.localName,
    seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && box.width > 0 && box.height > 0 &&
      box.bottom > 0 && box.top < innerHeight,
  };
})()"""


@pytest.mark.parametrize("name", ["drifting", "unknown", "many"])
def test_everything_is_reached_by_tab_in_its_order(page: Page, folder: Path, name: str) -> None:
    page.open(folder / f"{name}.html")
    page.evaluate(OPEN)
    expected = page.evaluate(
        "[...document.querySelectorAll('a[href], button, input, summary')]"
        ".map((each, number) => each.checkVisibility() ? number : -1).filter(each => each >= 0)"
    )
    reached: list[int] = []
    for _ in range(len(expected) + 30):
        page.press("Tab")
        found = page.evaluate(REACHED)
        if found["name"] == "body":
            break
        assert found["seen"], found
        if found["number"] >= 0:
            reached.append(found["number"])
    assert reached == expected
    assert len(reached) > (10 if name == "many" else 2)


def test_the_link_that_skips(page: Page, folder: Path) -> None:
    page.open(folder / "many.html")
    page.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.press("Enter")
    assert page.evaluate("document.activeElement.localName") == "main"
    page.press("Tab")
    assert page.evaluate("document.activeElement.id") == "filter"


SHOWN = (
    "[...document.querySelectorAll('#hosts tbody tr')].filter(each => each.checkVisibility())"
    ".map(each => each.cells[0].innerText)"
)
PARTS = "[...document.querySelectorAll('details.host')].filter(each => each.checkVisibility()).length"


def names(page: Page) -> list[str]:
    return [str(each).strip() for each in page.evaluate(SHOWN)]


@pytest.mark.parametrize("width", [360, 1280])
def test_the_table_is_filtered_by_keyboard(page: Page, folder: Path, width: int) -> None:
    page.size(width)
    page.open(folder / "many.html")
    every = names(page)
    assert page.evaluate("document.getElementById('shown').textContent") == "9 of 9 hosts"
    page.press("/")
    assert page.evaluate("document.activeElement.id") == "filter"
    page.type("cleartext quick")
    assert names(page) == ["quickstart"]
    assert page.evaluate(PARTS) == 1
    assert page.evaluate("document.getElementById('shown').textContent") == "1 of 9 hosts"
    # There it is a letter like others.
    page.type("/")
    assert page.evaluate("document.getElementById('filter').value") == "cleartext quick/"
    assert names(page) == []
    page.press("Enter")
    page.press("Escape")
    assert names(page) == every
    page.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "unknown"
    page.press(" ")
    assert names(page) == ["madrid"]
    page.press("Tab")
    page.press("Enter")
    assert names(page) == ["madrid", "quickstart", "stale"]
    page.press(" ")
    page.press("Tab", shift=True)
    page.press("Enter")
    assert names(page) == every


def test_the_table_is_sorted_by_keyboard(page: Page, folder: Path) -> None:
    page.open(folder / "many.html")
    heads = "[...document.querySelectorAll('#hosts thead th')].map(each => each.getAttribute('aria-sort'))"
    assert page.evaluate(heads) == [None, "ascending", None, None, None, None]
    page.evaluate("document.querySelector('#hosts thead button').focus()")
    page.press("Enter")
    assert names(page) == sorted(host.name for host in MANY)
    page.press(" ")
    assert names(page) == sorted((host.name for host in MANY), reverse=True)
    assert page.evaluate(heads) == ["descending", None, None, None, None, None]
    for _ in range(4):
        page.press("Tab")
    page.press("Enter")
    assert names(page)[0] == "ended"
    assert names(page)[-2:] == ["far", "none"]
    assert page.evaluate(heads) == [None, None, None, None, "ascending", None]


@pytest.mark.parametrize("scripts", [True, False])
def test_a_link_opens_what_it_leads_to(page: Page, folder: Path, scripts: bool) -> None:
    page.scripts(scripts)
    page.open(folder / "many.html", "#host-madrid")
    assert page.evaluate("[...document.querySelectorAll('details[open]')].map(each => each.dataset.host)") == [
        "host-madrid"
    ]


def test_without_scripts_everything_is_there(page: Page, folder: Path) -> None:
    page.open(folder / "many.html")
    page.evaluate(OPEN)
    with_scripts = page.evaluate("document.querySelector('main').innerText")
    page.scripts(False)
    page.open(folder / "many.html")
    page.evaluate(OPEN)
    without = page.evaluate("document.querySelector('main').innerText")
    # The form that filters cannot do anything, and is not seen.
    start = with_scripts.index("Hosts, the gravest first")
    assert "Filter hosts" in with_scripts[:start]
    assert without == "Overview\n" + with_scripts[start:]
    assert page.evaluate("document.querySelectorAll('thead button').length") == 0


@every_page
@pytest.mark.parametrize("width", [320, 360, 720, 1000, 1600])
def test_nothing_is_wider_than_the_page(page: Page, folder: Path, name: str, width: int) -> None:
    page.size(width)
    page.open(folder / f"{name}.html")
    page.evaluate(OPEN)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Whoever has no mouse need not scroll a part of the page by itself either.
    scrolling = "[...document.querySelectorAll('main *')].filter(each => each.clientWidth > 1 &&" + (
        " getComputedStyle(each).overflowX !== 'visible' && each.scrollWidth > each.clientWidth).length"
    )
    assert page.evaluate(scrolling) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_is_white_and_nothing_is_folded_on_it(page: Page, folder: Path, scheme: str) -> None:
    page.media(scheme, "print")
    page.size(700)
    page.open(folder / "many.html")
    hidden = (
        "[...document.querySelectorAll('details > :not(summary)')]"
        ".filter(each => !each.getBoundingClientRect().height).length"
    )
    assert page.evaluate("document.querySelectorAll('details[open]').length") == 0
    assert page.evaluate(hidden) == 0
    assert not page.evaluate("document.getElementById('tools').checkVisibility()")
    found = page.evaluate(CONTRAST)
    assert (found["ground"], found["least"][0] >= 4.5) == ([255, 255, 255], True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    assert page.evaluate("getComputedStyle(document.querySelector('#hosts tbody td')).display") == "table-cell"
    assert page.call("Page.printToPDF")["data"].startswith("JVBERi0")


# --- the bytes -------------------------------------------------------------------------------------------------------


def test_the_same_documents_give_the_same_bytes() -> None:
    assert render(MANY) == render(MANY) == render(MANY[::-1])
    assert render(MANY).isprintable() is False
    assert [each for each in set(render(HARD)) if not each.isprintable() and each not in "\n\t"] == []


class Read(HTMLParser):
    """What a parser finds: every element with its attributes, every text, and whether all is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts += data


@settings(max_examples=200, deadline=None)
@given(texts, texts)
def test_an_element_holds_any_text(text: str, value: str) -> None:
    read = Read(tag("p", tag("code", text), [text, None], data_x=value))
    assert read.found == [("p", {"data-x": readable(value)}), ("code", {})]
    assert read.texts == readable(text) * 2
    assert read.open == []


def test_a_script_of_our_own_cannot_be_cut() -> None:
    assert raw("script", "1 < 2") == "<script>1 < 2</script>"
    for text in ("'</script>'", "'</SCRIPT '", "<!--"):
        with pytest.raises(ValueError, match="would end"):
            raw("script", text)


@settings(max_examples=40, deadline=None)
@given(hosts)
def test_any_hosts_make_a_page(found: tuple[Host, ...]) -> None:
    read = Read(render(found))
    assert read.open == []
    assert {name for name, _ in read.found} <= TAGS
    assert not any(key.startswith("on") or key == "style" for _, attributes in read.found for key in attributes)

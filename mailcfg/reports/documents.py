"""The documents of `mailcfg drift --format json`, read back: whoever reports on many hosts has these of each."""

from __future__ import annotations

import json
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mailcfg import dates
from mailcfg.drift.difference import SCHEMA
from mailcfg.reports.drift.json import Document

FAMILY = SCHEMA.rpartition("/")[0] + "/"


class DocumentError(ValueError):
    """A text that no `mailcfg drift` of this version wrote. The message says why."""


def read_document(text: str) -> Document:
    """Read a document. Raises DocumentError for anything that `mailcfg drift --format json` would not have written."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"is not JSON: {error}") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        if isinstance(schema, str) and schema.startswith(FAMILY):
            raise DocumentError(f"has the schema {schema}, and this mailcfg reads {SCHEMA}: use one version on both")
        raise DocumentError("is no document of mailcfg drift: write one with mailcfg drift --format json")
    try:
        document: Document = _read(Document, data, "")
        _check(document)
    except ValueError as error:
        raise DocumentError(f"is damaged, or another version of mailcfg wrote it: {error}") from None
    return document


def _check(document: Document) -> None:
    """What the types do not say. Raises ValueError."""
    status = "unknown" if document.unknown else "drift" if document.differences else "in-sync"
    if document.status != status:
        raise ValueError(f"its status is {document.status}, and what it lists is {status}")
    moments = {f"certificates[{n}].not_after": each.not_after for n, each in enumerate(document.certificates)}
    moments["checked"] = document.checked
    for where, moment in moments.items():
        if not dates.FIRST <= moment <= dates.LAST:
            raise ValueError(f"{where} is no date: {moment}")


SIMPLE = {str: "text", int: "a whole number", bool: "true or false"}


def _read(kind: Any, data: Any, where: str) -> Any:
    """Data as the type that the document has there. Raises ValueError where it is another."""
    if kind in SIMPLE:
        if type(data) is not kind:
            raise ValueError(f"{where} is not {SIMPLE[kind]}")
        return data
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        if type(data) is not str or data not in arguments:
            raise ValueError(f"{where} is none of {', '.join(arguments)}")
        return data
    if origin in (Union, UnionType):
        (inner,) = (each for each in arguments if each is not type(None))
        return None if data is None else _read(inner, data, where)
    if origin is tuple:
        if type(data) is not list:
            raise ValueError(f"{where} is no list")
        return tuple([_read(arguments[0], each, f"{where}[{index}]") for index, each in enumerate(data)])
    if type(data) is not dict:
        raise ValueError(f"{where} is no object")
    fields = _fields(kind)
    for word, names in (("lacks", fields.keys() - data.keys()), ("has an unknown", data.keys() - fields.keys())):
        if names:
            raise ValueError(f"{where or 'it'} {word} {', '.join(sorted(map(repr, names)))}")
    return kind(
        **{
            name: _read(inner, data[name], f"{where}.{name}".lstrip("."))
            for name, inner in fields.items()
            if name in data
        }
    )


@cache
def _fields(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)

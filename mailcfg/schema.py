"""JSON Schemas, generated from the types: the policy from its pydantic models, the manifest from its named tuples."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def site() -> dict[str, Any]:
    """The schema of a policy, for editors; the string under each field is its description."""
    from mailcfg.compile.tls import CUSTOM
    from mailcfg.facts.guidelines import guideline_names
    from mailcfg.facts.platforms import platform_names
    from mailcfg.policy.site import Site

    schema = Site.model_json_schema(mode="validation")
    _describe(schema, Site)
    schema["properties"]["platform"]["enum"] = platform_names()
    schema["$defs"]["Tls"]["properties"]["guideline"]["enum"] = [*guideline_names(), CUSTOM]
    # A policy may leave to its base what the whole document needs.
    schema.pop("required", None)
    schema["properties"]["extends"] = {
        "type": "string",
        "title": "Extends",
        "description": "Another policy that this one adds to, by a path relative to this file; the nearest value wins.",
    }
    return {"$schema": DRAFT, "title": "mailcfg policy", **{k: v for k, v in schema.items() if k != "title"}}


def manifest() -> dict[str, Any]:
    """The schema of a bundle's manifest.json."""
    from mailcfg.manifest import OPTIONAL, SCHEMA, Manifest, ManifestConfiguration

    schema = _of(Manifest)
    compiled = schema["properties"]["configuration"]
    compiled["required"] = [each for each in compiled["required"] if each not in OPTIONAL[ManifestConfiguration]]
    schema["properties"]["schema"] = {"const": SCHEMA}
    return {"$schema": DRAFT, "title": "mailcfg manifest", **schema}


def platforms() -> dict[str, Any]:
    """The schema of `mailcfg platforms --format json`."""
    from mailcfg.reports.platforms import SCHEMA, Listing

    schema = _of(Listing)
    schema["properties"]["schema"] = {"const": SCHEMA}
    return {"$schema": DRAFT, "title": "mailcfg platforms", **schema}


def drift() -> dict[str, Any]:
    """The schema of `mailcfg drift --format json`."""
    from mailcfg.drift.difference import SCHEMA
    from mailcfg.reports.drift.json import Document

    schema = _of(Document)
    schema["properties"]["schema"] = {"const": SCHEMA}
    return {"$schema": DRAFT, "title": "mailcfg drift", **schema}


def findings() -> dict[str, Any]:
    """The schema of `mailcfg check --format json`."""
    from mailcfg.reports.findings.json import SCHEMA, Document

    schema = _of(Document)
    schema["properties"]["schema"] = {"const": SCHEMA}
    return {"$schema": DRAFT, "title": "mailcfg findings", **schema}


def behaviour() -> dict[str, Any]:
    """The schema of `mailcfg explain --format json`."""
    from mailcfg.reports.behaviour.json import SCHEMA, Document

    schema = _of(Document)
    schema["properties"]["schema"] = {"const": SCHEMA}
    return {"$schema": DRAFT, "title": "mailcfg behaviour", **schema}


def plan() -> dict[str, Any]:
    """The schema of `mailcfg plan --format json`."""
    from mailcfg.reports.plan.json import SCHEMA, Document

    schema = _of(Document)
    schema["properties"]["schema"] = {"const": SCHEMA}
    return {"$schema": DRAFT, "title": "mailcfg plan", **schema}


def apply() -> dict[str, Any]:
    """The schema of `mailcfg apply --format json` and of `rollback --format json`."""
    from mailcfg.reports.applied import SCHEMA, Document

    schema = _of(Document)
    schema["properties"]["schema"] = {"const": SCHEMA}
    return {"$schema": DRAFT, "title": "mailcfg apply", **schema}


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "site": site,
    "manifest": manifest,
    "platforms": platforms,
    "drift": drift,
    "behaviour": behaviour,
    "findings": findings,
    "plan": plan,
    "apply": apply,
}
"""Every schema by the stem of its file."""


def text(name: str) -> str:
    """A schema as the text of its file."""
    return json.dumps(SCHEMAS[name](), indent=2, ensure_ascii=False) + "\n"


def _of(annotation: Any) -> dict[str, Any]:
    """The schema of a type: named tuples are objects, and a tuple of pairs is an object of strings."""
    simple: dict[Any, dict[str, Any]] = {
        str: {"type": "string"},
        int: {"type": "integer"},
        bool: {"type": "boolean"},
        type(None): {"type": "null"},
    }
    if annotation in simple:
        return dict(simple[annotation])
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return {"enum": list(arguments)}
    if get_origin(annotation) is tuple:
        if get_origin(arguments[0]) is tuple:
            return {"type": "object", "additionalProperties": _of(get_args(arguments[0])[1])}
        return {"type": "array", "items": _of(arguments[0])}
    if get_origin(annotation) is dict:
        return {"type": "object", "additionalProperties": _of(arguments[1])}
    if arguments:
        return {"anyOf": [_of(each) for each in arguments]}
    properties = {name: _of(each) for name, each in get_type_hints(annotation).items()}
    return {
        "type": "object",
        "description": " ".join((annotation.__doc__ or "").split()),
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _describe(schema: dict[str, Any], root: type) -> None:
    """Put the string under each field into the schema. Read from the source, since only this needs it: pydantic would
    read it at every start.
    """
    from pydantic import BaseModel

    models: dict[str, type[BaseModel]] = {}

    def collect(model: type[BaseModel]) -> None:
        models[model.__name__] = model
        for field in model.model_fields.values():
            for part in _models_in(field.annotation):
                if part.__name__ not in models:
                    collect(part)

    collect(root)
    for name, model in models.items():
        target = schema if name == root.__name__ else schema.get("$defs", {}).get(name)
        for field, text_under in _docstrings(model).items():
            if target and field in target["properties"]:
                target["properties"][field]["description"] = text_under


def _models_in(annotation: Any) -> list[Any]:
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _docstrings(model: type) -> dict[str, str]:
    """The string literal under each annotated name of a class."""
    import ast
    import inspect
    import textwrap

    tree = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    for statement, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match after:
                case ast.Expr(value=ast.Constant(value=str(words))):
                    found[statement.target.id] = " ".join(words.split())
    return found

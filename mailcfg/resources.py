"""What ships with mailcfg: facts inside the package; templates and schemas inside it, or beside it in a checkout."""

import os

_PACKAGE = os.path.dirname(__file__)


def folder(name: str) -> str:
    """The directory `templates` or `schemas`. Raises FileNotFoundError when the installation lacks it."""
    for parent in (_PACKAGE, os.path.dirname(_PACKAGE)):
        path = os.path.join(parent, name)
        if os.path.isdir(path):
            return path
    raise FileNotFoundError(
        2, "this installation of mailcfg is incomplete, install it again", os.path.join(_PACKAGE, name)
    )


def template(name: str) -> str:
    """The text of a template that goes into its place as it is."""
    with open(os.path.join(folder("templates"), name), encoding="utf-8") as file:
        return file.read()


def fact_names(kind: str) -> list[str]:
    """Names of the fact files of a kind (`platforms`, `guidelines`), sorted."""
    folder = os.path.join(_PACKAGE, "facts", kind)
    return sorted(name[:-5] for name in os.listdir(folder) if name.endswith(".toml"))


def fact(path: str) -> bytes:
    """The bytes of one fact file, by its path below `facts`."""
    with open(os.path.join(_PACKAGE, "facts", path), "rb") as file:
        return file.read()


def modules(path: str) -> list[str]:
    """Names of the modules of a folder of the package, sorted: each is one of a kind, such as an output format."""
    folder = os.path.join(_PACKAGE, path)
    return sorted(name[:-3] for name in os.listdir(folder) if name.endswith(".py") and not name.startswith("_"))

"""A policy as it was written: one file and those it extends, merged, each value knowing its file."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Any

from mailcfg.problem import Finding, Location, PolicyError, Severity
from mailcfg.source import Path, Source


class Document:
    """The sources of a policy, nearest first, and their values merged: nearest wins, tables are merged key by key."""

    __slots__ = ("_named", "name", "names", "sources", "values")

    def __init__(self, sources: list[Source]) -> None:
        self.sources = sources
        self.name = posixpath.basename(sources[0].file)
        # A bundle says where a value comes from without saying where its author's checkout lies.
        here = posixpath.dirname(sources[0].file)
        self.names = [posixpath.relpath(source.file, here or ".") for source in sources]
        self._named = list(zip(self.names, sources, strict=True))
        self.values: dict[str, Any] = normal(sources[0].values)
        for source in sources[1:]:
            self.values = merged(normal(source.values), self.values)
        self.values.pop("extends", None)

    @property
    def stem(self) -> str:
        """The file's name without .toml: what the bundle is called."""
        return self.name.removesuffix(".toml")

    def locate(self, path: Path, *, key: bool = False) -> Location:
        """Where a path is set, in the file that set it; of a path that nobody set, its nearest table."""
        step = path
        while True:
            for source in self.sources:
                if source.has(step) and step:
                    return source.locate(step, key=key or step != path)
            if not step:
                return Location(self.sources[0].file)
            step = step[:-1]

    def origin(self, path: Path) -> tuple[tuple[str, int, int], bool]:
        """File (relative to the site's own), line and column of the key of a path, and whether any file sets it; where
        none does the place is its nearest table's.
        """
        is_set = True
        while path:
            for name, source in self._named:
                if path in source.spans():
                    line, column = source.position(path)
                    return (name, line, column), is_set
            path, is_set = path[:-1], False
        return (self.names[0], 0, 0), False


def is_base(name: str) -> bool:
    """Tell whether a file name says that the policy is a base for others."""
    return name.startswith("base-") or name == "base.toml"


def normal(values: dict[str, Any]) -> dict[str, Any]:
    """A policy's values with `postfix = "3.7"` spelled as the table it stands for, so that it merges with one."""
    version = values.get("postfix")
    return {**values, "postfix": {"version": version}} if isinstance(version, str) else values


def merged(base: dict[str, Any], nearer: dict[str, Any]) -> dict[str, Any]:
    """Two tables as one; where both set a key the nearer wins, and two tables are merged in turn."""
    result = dict(base)
    for key, value in nearer.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return result


class Reader:
    """Reads policies and the bases they extend. A base is read once, however many sites extend it."""

    def __init__(self, read: Callable[[str], str]) -> None:
        """`read` returns the text of a policy file, or raises PolicyError."""
        self._read = read
        self._bases: dict[str, Source] = {}

    def document(self, path: str) -> Document:
        """Read a policy with all it extends. Raises PolicyError."""
        source = Source(self._read(path), path)
        sources = [source]
        seen = {posixpath.normpath(path): path}
        while "extends" in source.values:
            source = self._base(source, seen)
            sources.append(source)
        return Document(sources)

    def _base(self, source: Source, seen: dict[str, str]) -> Source:
        target = source.values["extends"]

        def refuse(message: str, help: str) -> PolicyError:
            location = source.locate(("extends",))
            return PolicyError([Finding("extends", Severity.ERROR, message, location, help=help, key="extends")])

        if not isinstance(target, str) or not target or not target.isprintable():
            raise refuse("extends takes the name of one file", 'extends = "base-office.toml"')
        if target.startswith("/") or "\\" in target:
            raise refuse(
                f"extends is an absolute path: {target}",
                "write it relative to this file, so that the bundle is the same on any machine",
            )
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source.file), target))
        if path in seen:
            chain = " -> ".join([*(posixpath.basename(file) for file in seen.values()), posixpath.basename(path)])
            raise refuse(f"extends goes round in a circle: {chain}", "remove one of these extends")
        seen[path] = path
        if path not in self._bases:
            try:
                self._bases[path] = Source(self._read(path), path)
            except PolicyError as error:
                first = error.findings[0]
                if first.rule == "file-missing":
                    raise refuse(f"{path}: {first.message}", first.help) from None
                raise
        return self._bases[path]

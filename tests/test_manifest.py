"""A manifest read back is what was written."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from mailcfg.layout import places
from mailcfg.manifest import ManifestError, configuration_of, read_manifest
from tests.sites import GOLDEN, SITES, compiled


@pytest.mark.parametrize("site", SITES, ids=lambda path: path.stem)
def test_the_configuration_comes_back(site: Path) -> None:
    configuration = compiled(site).configuration
    manifest = read_manifest((GOLDEN / site.stem / "manifest.json").read_text())
    # What further files say is in the bundle itself.
    assert configuration_of(manifest) == configuration._replace(files=())
    assert manifest.site == site.stem
    expected = [(each.path, each.target or None, f"{each.mode:04o}", each.ownership) for each in places(configuration)]
    assert [(each.path, each.target, each.mode, each.ownership) for each in manifest.files] == expected


def damaged() -> list[Any]:
    """Manifests in which each value in turn has another type, and each key in turn is gone."""
    whole = json.loads((GOLDEN / "quickstart/manifest.json").read_text())
    found: list[Any] = []

    def walk(node: Any, path: list[Any]) -> None:
        if isinstance(node, list):
            walk(node[0] if node else None, [*path, 0])
            return
        if not isinstance(node, dict):
            return
        for key, value in node.items():
            # Which parts the subject of a certificate has is the policy's affair.
            for change in ("type",) if "subject" in path else ("type", "gone"):
                made = copy.deepcopy(whole)
                place = made
                for step in [*path]:
                    place = place[step]
                if change == "gone":
                    del place[key]
                else:
                    place[key] = 7.5
                found.append(pytest.param(made, id=f"{'.'.join(map(str, [*path, key]))} {change}"))
            walk(value, [*path, key])

    walk(whole, [])
    return found


@pytest.mark.parametrize("data", damaged())
def test_a_damaged_manifest_is_refused(data: Any) -> None:
    with pytest.raises(ManifestError):
        read_manifest(json.dumps(data))


def test_there_is_something_to_damage() -> None:
    assert len(damaged()) > 100

"""The shipped sites, and how tests build them."""

from __future__ import annotations

from pathlib import Path

from mailcfg import host
from mailcfg.bundle import Bundle, bundle
from mailcfg.compile import Compiled, compile_document
from mailcfg.policy.document import Reader, is_base

ROOT = Path(__file__).parents[1]
SITES = sorted(path for path in (ROOT / "sites").glob("*.toml") if not is_base(path.name))
GOLDEN = ROOT / "tests" / "golden"


def compiled(path: Path | str) -> Compiled:
    return compile_document(Reader(host.read_policy).document(str(path)))


def built(path: Path | str) -> Bundle:
    return bundle(Path(path).stem, compiled(path).configuration)


def compiled_text(tmp_path: Path, text: str, name: str = "site.toml") -> Compiled:
    """Compile a policy given as text."""
    path = tmp_path / name
    path.write_text(text)
    return compiled(path)


def parameters(of: Compiled) -> dict[str, str]:
    return {setting.name: setting.value for setting in of.configuration.parameters}

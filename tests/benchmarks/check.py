"""What `check` costs: one site, a live directory, ten thousand sites."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks import command, in_turn, table
from tests.sites import ROOT, built

PYDANTIC = """
import pydantic
class Model(pydantic.BaseModel):
    name: str
Model(name="x")
"""


def check(folder: Path) -> None:
    """One of each, as a whole process."""
    model = "import pydantic, define one model"
    medians = in_turn(
        {
            model: [sys.executable, "-c", PYDANTIC],
            "mailcfg check sites/quickstart.toml": command("check", str(ROOT / "sites/quickstart.toml")),
            "mailcfg explain sites/quickstart.toml": command("explain", str(ROOT / "sites/quickstart.toml")),
        }
    )
    table("all rules on one site (wanted: at most 1.6 of pydantic with one model)", medians, model)
    live = folder / "etc"
    live.mkdir()
    for name in ("main.cf", "master.cf"):
        (live / name).write_bytes(built(ROOT / "sites/quickstart.toml").contents()[f"postfix/{name}"])
        old = time.time() - 60
        os.utime(live / name, (old, old))
    bare = "python3 -c pass"
    commands = {
        bare: [sys.executable, "-c", "pass"],
        "mailcfg check of a live directory": ["sh", "-c", '"$@"; [ $? -lt 2 ]', "sh", *command("check", str(live))],
    }
    if shutil.which("postconf"):
        commands["postconf -n and postconf -M (neither judges)"] = [
            "sh", "-c", f"postconf -c {live} -n && postconf -c {live} -M",
        ]  # fmt: skip
    table("all rules on a live directory, without pydantic", in_turn(commands), bare)


def many(folder: Path, sites: list[str]) -> None:
    """Ten thousand sites with every rule. `folder` holds them."""
    print("\nall rules on many sites (wanted: 1,000 a second on two cores)")
    for jobs in (1, 2):
        start = time.perf_counter()
        subprocess.run(
            command("check", *sites, "-j", str(jobs), "--quiet"), cwd=folder, check=True, stdin=subprocess.DEVNULL
        )
        last = time.perf_counter() - start
        name = f"mailcfg check of {len(sites):>6} sites, {jobs} process{'es' if jobs > 1 else '  '}"
        print(f"  {name} {last:7.2f} s  {len(sites) / last:7.0f} sites/s")

"""How long it takes to make it so: `mailcfg apply` on a directory beside the commands of the bundle itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from mailcfg.manifest import read_manifest
from tests.apply.scenarios import SITE, machine
from tests.benchmarks import command, in_turn, table
from tests.postfix import lab


def apply(folder: Path) -> None:
    """A packaged machine, its certificate there already; every run starts from the same files."""
    if shutil.which("postconf", path=lab.PATH) is None:
        print("\napply: not measured, Postfix is not installed (sh tests/run installs it)")
        return
    packaged, root = folder / "apply" / "packaged", folder / "apply" / "machine"
    packaged.parent.mkdir()
    machine(packaged)
    bundle = folder / "apply" / "dist" / "quickstart"
    steps = {each.name: each.run for each in read_manifest((bundle / "manifest.json").read_text()).steps}
    by_hand = " && ".join(
        steps[name].replace("postconf ", f"postconf -c {root}/etc/postfix ").replace(" /etc/", f" {root}/etc/")
        for name in ("smtpd.conf", "saslauthd", "main.cf", "master.cf")
        if not steps[name].startswith("systemctl")
    )

    def again() -> None:
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["cp", "-a", str(packaged), str(root)], check=True)
        for name in ("main.cf", "master.cf"):
            # postconf waits two seconds for a file that was written just now, which would be all there is to measure.
            os.utime(root / "etc/postfix" / name, (1_000_000_000, 1_000_000_000))

    where = ["--root", str(root), "--quiet"]
    base = "postconf -e, postconf -Me, install (nothing checked, no way back)"
    commands = {
        base: ["sh", "-ec", f"cd {bundle} && PATH={lab.PATH} && {by_hand}"],
        "apply of the bundle": command("apply", str(bundle), *where),
        "apply of the site.toml": command("apply", str(SITE), *where),
    }
    fresh: dict[str, Callable[[], object]] = dict.fromkeys(commands, again)
    table("apply to a packaged machine", in_turn(commands, fresh), base)

"""The other versions of Postfix: `python -m tests.chroots [DIRECTORY]` makes chroots of Debian 11, 13 and sid with
debootstrap (once; about a minute each) and lets the postconf of each read every site, moved to that platform.

Not part of the test suite: it needs root, debootstrap and a Debian mirror.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mailcfg.policy.document import is_base
from tests.postfix.readback import disagreements, write
from tests.postfix.test_golden import moved
from tests.sites import SITES, built, compiled

SUITES = {"bullseye": "debian-11", "trixie": "debian-13", "sid": "debian-13"}
"""Debian suites and the platform whose facts are the nearest."""

PACKAGES = "postfix sasl2-bin libsasl2-modules libsasl2-modules-db openssl netbase ca-certificates"


def make(suite: str, root: Path) -> None:
    """Make a chroot with Postfix in it, unless it is there."""
    if (root / "usr/sbin/postconf").exists():
        return
    # debootstrap has a mirror of its own; MIRROR names another.
    mirror = [os.environ["MIRROR"]] if "MIRROR" in os.environ else []
    subprocess.run(["debootstrap", "--variant=minbase", suite, str(root), *mirror], check=True)
    guard = root / "usr/sbin/policy-rc.d"
    guard.write_text("#!/bin/sh\nexit 101\n")
    guard.chmod(0o755)
    # The post-installation script of newer packages wants /proc; it is mounted for this command alone.
    command = (
        f"mount -t proc proc {root}/proc && "
        f"chroot {root} env DEBIAN_FRONTEND=noninteractive "
        "sh -c 'apt-get -o Acquire::Check-Valid-Until=false update && "
        f"apt-get install -y --no-install-recommends {PACKAGES}'"
    )
    subprocess.run(["unshare", "-m", "sh", "-c", command], check=True)


def main() -> int:
    """Check every suite; print a line for each, and every disagreement."""
    base = Path(sys.argv[1] if len(sys.argv) > 1 else "/var/tmp/mailcfg-chroots")
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        print("needs root and debootstrap", file=sys.stderr)
        return 2
    bad = 0
    for suite, platform in SUITES.items():
        root = base / suite
        make(suite, root)

        def run(command: list[str], root: Path = root) -> tuple[int, str, str]:
            done = subprocess.run(["chroot", str(root), *command], text=True, capture_output=True)
            return done.returncode, done.stdout, done.stderr

        version = run(["postconf", "-h", "mail_version"])[1].strip()
        values = 0
        wrong: list[str] = []
        for site in SITES:
            assert not is_base(site.name)
            with tempfile.TemporaryDirectory(dir=root / "tmp") as folder:
                path = moved(Path(folder), site, platform, version)
                configuration = compiled(path).configuration
                write(Path(folder), built(path))
                inside = "/" + str(Path(folder).relative_to(root)) + "/etc"
                wrong += [f"{site.stem}: {each}" for each in disagreements(configuration, inside, run)]
                values += len(configuration.parameters) + sum(len(each.overrides) for each in configuration.services)
        bad += len(wrong)
        print(f"{suite}: Postfix {version}: {len(SITES)} sites, {values} values, {len(wrong)} disagreements")
        for each in wrong:
            print(f"  {each}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

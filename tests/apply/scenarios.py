"""Machines to kill a run on: a packaged one that gets a policy, one that goes back, one that gets other files back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailcfg import cli, host
from mailcfg.apply import transaction
from tests.apply.killed import Scenario, Trial, run
from tests.postfix import lab
from tests.sites import ROOT
from tests.stories.machine import PACKAGED_MAIN, PACKAGED_MASTER

SECRET = b"[mail.example.net]:587 user:never-to-be-seen"

SITE = ROOT / "sites" / "quickstart.toml"

TOGETHER = ("etc/postfix/main.cf", "etc/postfix/master.cf", "etc/postfix/sasl/smtpd.conf")
"""Files of Postfix's own directory: all old or all new."""


def machine(root: Path) -> None:
    """What the package leaves, with a certificate that is there already and files that others must not read."""
    for folder in ("etc/postfix/maps", "etc/default", "etc/ssl/certs", "etc/ssl/private", "var/lib"):
        (root / folder).mkdir(parents=True)
    (root / "etc/postfix/main.cf").write_text(PACKAGED_MAIN)
    (root / "etc/postfix/master.cf").write_text(PACKAGED_MASTER)
    (root / "etc/default/saslauthd").write_text("START=no\n# a comment of the admin's\n")
    (root / "etc/default/other").write_text("untouched\n")
    (root / "etc/postfix/maps/access").write_text("example.com REJECT\n")
    (root / "etc/postfix/dynamicmaps.cf").symlink_to("maps/access")
    secret = root / "etc/postfix/sasl_passwd"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    (root / "etc/postfix/maps").chmod(0o750)
    work = root.parent / "openssl"
    cli.main(["build", str(SITE), "-o", str(root.parent / "dist"), "--quiet"])
    shutil.copytree(root.parent / "dist" / "quickstart" / "openssl", work)
    script = work / "mail.sh"
    script.write_text(script.read_text().replace("'/etc/ssl", f"'{root}/etc/ssl"))
    subprocess.run(["sh", str(script)], check=True, capture_output=True)


def apply(root: Path) -> list[str]:
    return ["apply", str(SITE), "--root", str(root), "--quiet"]


def rollback(root: Path) -> list[str]:
    return ["rollback", "--root", str(root), "--quiet"]


NAMES = ("apply", "rollback", "one-by-one", "together", "recovery")


@contextmanager
def scenario(name: str) -> Iterator[tuple[Scenario, Path]]:
    """One of NAMES, and a directory to work in.

    `one-by-one`: the file system exchanges no directories, so that files are renamed in turn. `together`: the same,
    held to what holds where it does, which is wrong on purpose: it shows that the trial sees such a thing. `recovery`:
    what a run left that was killed between two renames is taken up by a run that is killed too.
    """
    with lab.directory() as path:
        work = path / "work"
        work.mkdir()
        packaged = path / "packaged"
        machine(packaged)
        one_by_one = name in ("one-by-one", "together", "recovery")
        setattr(transaction, "exchange", (lambda one, other: False) if one_by_one else host.exchange)  # noqa: B010
        together = () if name in ("one-by-one", "recovery") else TOGETHER
        if name == "rollback":
            assert cli.main(apply(packaged)) == 0
            yield Scenario(packaged, rollback, ((apply, ("old",)),), together, SECRET), work
            return
        found = Scenario(packaged, apply, ((apply, ("new",)), (rollback, ("old", "new"))), together, SECRET)
        if name == "recovery":
            found = found._replace(template=_half_done(found, work), before=packaged)
        yield found, work


def _half_done(found: Scenario, work: Path) -> Path:
    """What stands after a run was killed while it renamed files into place."""
    trial = Trial(found, work)
    renames = [call for call in trial.measure() if call.name == "rename" and "/.mailcfg-" in call.text]
    assert len(renames) > 2
    trial.fresh()
    assert run(apply(trial.root), trial.log, at=renames[2]).code < 0
    left = work / "half-done"
    trial.root.rename(left)
    return left

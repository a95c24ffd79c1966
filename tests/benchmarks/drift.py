"""How long it takes to find nothing: `mailcfg drift` beside what one would use instead, and the parsers alone."""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mailcfg.formats import main_cf, master_cf, smtpd_conf
from tests.benchmarks import command, in_turn, table
from tests.postfix import lab
from tests.sites import ROOT
from tests.stories.machine import Machine, copied, place

MODEL = """
import pydantic
class Model(pydantic.BaseModel):
    name: str
Model(name="x")
"""

LINES = 100_000


def drift(folder: Path) -> None:
    """A host in sync, as cron meets it."""
    if shutil.which("postconf", path=lab.PATH) is None:
        print("\ndrift: not measured, Postfix is not installed (sh tests/run installs it)")
        return
    machine = place(ROOT / "sites/quickstart.toml", folder / "host")
    os.environ["MAILCFG_CACHE"] = str(folder / "cache")
    edited = copied(machine, folder / "edited")
    site = str(ROOT / "sites/quickstart.toml")
    bundle = str(machine.bundle)
    root, other = (["--root", str(each.root)] for each in (machine, edited))
    bare, model = "python3 -I -c pass", "import pydantic, define one model"
    names = {
        "drift on the bundle, nothing changed since": command("drift", bundle, *root),
        "drift on the site.toml, nothing changed since": command("drift", site, *root),
        "drift on the bundle, main.cf touched": command("drift", bundle, *other),
        "drift on the site.toml, main.cf touched": command("drift", site, *other),
        "drift on the bundle, nothing remembered": command("drift", bundle, *root, "--no-cache"),
        "drift on the site.toml, nothing remembered": command("drift", site, *root, "--no-cache"),
    }
    commands = {bare: [sys.executable, "-I", "-c", "pass"], model: [sys.executable, "-c", MODEL], **names}
    # A comment more: all is compared again, and only the certificate is known.
    edit = {name: lambda: edited.append("/etc/postfix/main.cf", "# x\n") for name in names if "touched" in name}
    medians = in_turn(commands | others(machine, folder), edit)
    table("in sync (wanted: 2 bare interpreters on a bundle; 3 on a site when nothing changed)", medians, bare)
    on_site = {name: medians[name] for name in medians if "site.toml" in name or name == model}
    table("in sync on a site (wanted: at most 1.5 of pydantic with one model)", on_site, model)


def others(machine: Machine, folder: Path) -> dict[str, list[str]]:
    """What one would use instead, where it is installed; each is told the same values and finds the same: nothing."""
    manifest = json.loads((machine.bundle / "manifest.json").read_text())
    values = {each["name"]: each["value"] for each in manifest["configuration"]["parameters"]}
    found: dict[str, list[str]] = {}
    etc = machine.at("/etc/postfix")
    expected = folder / "expected"
    expected.write_text(lab.run("postconf", "-c", etc, "-n").stdout)
    found["postconf -n | diff"] = ["sh", "-c", f"PATH={lab.PATH} postconf -c {etc} -n | diff -u {expected} -"]
    if shutil.which("augtool"):
        load = "/augeas/load/Postfix_Main"
        lens = f"set {load}/lens Postfix_Main.lns\nset {load}/incl {etc}/main.cf\nload\n"
        script = folder / "get.aug"
        script.write_text(lens + "".join(f"get /files{etc}/main.cf/{name}\n" for name in values))
        found[f"augtool, get of {len(values)}, one lens (no comparison)"] = ["augtool", "-A", "-f", str(script)]
    found |= ansible(folder, values, etc) | pyinfra(folder, values, etc)
    return found


def ansible(folder: Path, values: dict[str, str], etc: Path) -> dict[str, list[str]]:
    """A playbook that sets each parameter by a line, as roles do."""
    if not shutil.which("ansible-playbook"):
        return {}
    book = folder / "book.yml"
    items = "\n".join(f"        - {{name: {name}, value: {json.dumps(value)}}}" for name, value in values.items())
    book.write_text(
        f"""- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - lineinfile:
        path: {etc}/main.cf
        regexp: "^{{{{ item.name }}}}\\\\s*="
        line: "{{{{ item.name }}}} = {{{{ item.value }}}}"
      loop:
{items}
"""
    )
    interpreter = f"ansible_python_interpreter={sys.executable}"
    return {
        "ansible-playbook --check --diff": [
            "ansible-playbook",
            "-i",
            "localhost,",
            "-e",
            interpreter,
            "--check",
            "--diff",
            str(book),
        ]
    }


def pyinfra(folder: Path, values: dict[str, str], etc: Path) -> dict[str, list[str]]:
    """The same as a deploy of pyinfra."""
    if not shutil.which("pyinfra"):
        return {}
    deploy = folder / "deploy.py"
    lines = [f"    ({name!r}, {value!r})," for name, value in values.items()]
    line = f"files.line(path={str(etc / 'main.cf')!r}, line=rf'^{{name}} *=.*$', replace=f'{{name}} = {{value}}')"
    deploy.write_text(
        "from pyinfra.operations import files\n\nfor name, value in (\n" + "\n".join(lines) + f"\n):\n    {line}\n"
    )
    return {"pyinfra --dry": ["pyinfra", "@local", str(deploy), "--dry"]}


def parsing() -> None:
    """Long files: linear, and a comment costs less than a parameter."""
    print(f"\nparsing {LINES:,} lines in process (wanted: less than 300 ms each)")
    kinds: dict[str, tuple[Callable[[bytes], object], bytes]] = {
        "main.cf, parameters": (main_cf.parse, b"".join(b"parameter_%d = value\n" % n for n in range(LINES))),
        "main.cf, comments": (main_cf.parse, b"# a comment\n" * LINES),
        "main.cf, continuations of one parameter": (main_cf.parse, b"name =\n" + b"  value,\n" * LINES),
        "master.cf, services": (master_cf.parse, b"smtp inet n - n - - smtpd\n" * LINES),
        "master.cf, overrides of one service": (
            master_cf.parse,
            b"smtp inet n - n - - smtpd\n" + b"  -o name=value\n" * LINES,
        ),
        "smtpd.conf, settings": (smtpd_conf.parse, b"name: value\n" * LINES),
    }
    for name, (parse, data) in kinds.items():
        times: list[float] = []
        for part in (data[: len(data) // 4], data):
            # As in a run of the command, which makes many objects and no garbage.
            gc.collect()
            gc.disable()
            start = time.perf_counter()
            parse(part)
            times.append(time.perf_counter() - start)
            gc.enable()
        print(f"  {name:<58} {times[1] * 1000:8.1f} ms  {times[1] / times[0]:5.1f} times a quarter of it")

"""`mailcfg check`: what is wrong with a policy, a directory of files or the live machine."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from mailcfg.cli import ExitCode, Failure
from mailcfg.terminal import add_color, colored, count

if TYPE_CHECKING:
    from mailcfg.problem import Finding
    from mailcfg.reports.findings import RuleText
    from mailcfg.subjects import Wish

HELP = "say what is wrong with a policy or with existing files, why it is, and what mends it"

SEVERITIES = ("error", "warning", "info")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from mailcfg import resources

    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help="a site.toml, a directory of them, or one that holds a main.cf"
    )
    add_places(parser)
    parser.add_argument(
        "--fail-on",
        choices=SEVERITIES,
        default="warning",
        help="the least grave finding that makes the exit status 1 (default: warning)",
    )
    formats = resources.modules("reports/findings")
    parser.add_argument("--format", choices=formats, default="text", help="how to tell it (default: text)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write there, in one step, instead of standard output")
    parser.add_argument("-j", "--jobs", type=count, metavar="N", help="processes (default: one a core for many sites)")
    parser.add_argument("--quiet", action="store_true", help="say nothing: the exit status tells")
    add_color(parser)


def add_places(parser: argparse.ArgumentParser) -> None:
    """The options of targets that are no policies."""
    parser.add_argument("--live", action="store_true", help="look at the machine's own configuration")
    parser.add_argument("--root", default="/", metavar="DIR", help="the machine's files are below DIR (default: /)")
    parser.add_argument("--config-dir", metavar="DIR", help="with --live: where main.cf lies (default: the platform's)")
    parser.add_argument(
        "--platform", metavar="NAME", help="what the files are for (default: the machine's, else the newest)"
    )
    parser.add_argument(
        "--postfix", metavar="VERSION", help="which Postfix reads them (default: the machine's, else the newest)"
    )


def wish_of(arguments: argparse.Namespace, now: float) -> Wish:
    """What the command line says of targets. Raises Failure."""
    from mailcfg import host
    from mailcfg.subjects import Wish

    if not host.is_directory(arguments.root):
        raise Failure(f"--root {arguments.root}: there is no such directory")
    if arguments.config_dir is not None and not arguments.config_dir.startswith("/"):
        raise Failure(f"--config-dir {arguments.config_dir}: write the path on the machine, from its slash on")
    directory = arguments.config_dir.rstrip("/") if arguments.config_dir else None
    return Wish(arguments.root, directory, arguments.platform, arguments.postfix, now)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Look at every target and report."""
    import time

    from mailcfg import __version__
    from mailcfg.checking import check_all
    from mailcfg.reports.findings import Context

    if not arguments.targets and not arguments.live:
        raise Failure("nothing to check: name a site.toml, a directory that holds a main.cf, or --live")
    now = time.time()
    today = time.strftime("%Y-%m-%d", time.gmtime(now))
    checked = check_all(arguments.targets, wish_of(arguments, now), today, live=arguments.live, jobs=arguments.jobs)
    found = [finding for each in checked for finding in each.findings]
    unknown = tuple(pair for each in checked for pair in each.unknown)
    color = colored(arguments.color, sys.stdout) if arguments.output is None else arguments.color == "always"
    targets = tuple(each.name for each in checked)
    _write(arguments, found, Context(__version__, targets, color, unknown, _texts(found)))
    if unknown:
        for file, reason in unknown if arguments.format != "text" or arguments.quiet else ():
            print(f"mailcfg: {file}: {reason}", file=sys.stderr)
        return ExitCode.COULD_NOT_TELL
    counted = SEVERITIES[: SEVERITIES.index(arguments.fail_on) + 1]
    return ExitCode.FINDINGS if any(each.severity.value in counted for each in found) else ExitCode.AGREES


def _write(arguments: argparse.Namespace, found: list[Finding], context: object) -> None:
    from importlib import import_module

    from mailcfg import host

    text: str = import_module(f"mailcfg.reports.findings.{arguments.format}").render(found, context)
    if arguments.output is not None:
        host.replace(arguments.output, text.encode(errors="surrogateescape"))
    elif not arguments.quiet:
        sys.stdout.write(text)


def _texts(found: list[Finding]) -> dict[str, RuleText]:
    """What is said of the rules that found something."""
    from mailcfg.judge import documentation, rule, rule_ids
    from mailcfg.reports.findings import RuleText

    texts: dict[str, RuleText] = {}
    for id in sorted({each.rule for each in found} & set(rule_ids())):
        title, _, description = documentation(id).partition("\n")
        texts[id] = RuleText(id, title, rule(id).SEVERITY, description.strip(), rule(id).REFERENCES)
    return texts

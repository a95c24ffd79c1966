"""`mailcfg build`: policies to bundles."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from mailcfg.cli import ExitCode, Failure
from mailcfg.terminal import add_color, colored, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mailcfg.build import Outcome

HELP = "compile policies into bundles: main.cf, master.cf, smtpd.conf and the openssl commands"

MANY = 20
"""From so many sites on a run is summed up in a line and shows a bar on a terminal."""

WORTH_A_PROCESS = 256
"""From so many sites on the start of further processes pays for itself."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "sites", nargs="+", metavar="SITE.toml", help="policies, or directories of them; a base-*.toml is passed over"
    )
    parser.add_argument("-o", "--output", default="dist", metavar="DIR", help="where bundles go (default: dist)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a bundle is missing or stale")
    parser.add_argument(
        "--allow-findings", action="store_true", help="build what a rule calls an error, and say so all the same"
    )
    parser.add_argument("--format", choices=("tree", "tar"), default="tree", help="a directory or a plain tar a site")
    parser.add_argument("-j", "--jobs", type=count, metavar="N", help="processes (default: one a core for many sites)")
    parser.add_argument("--quiet", action="store_true", help="say nothing but what is wrong")
    add_color(parser)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Build every site; report every error of every site."""
    import time

    from mailcfg.build import Job, build_all

    paths = _sites(arguments.sites)
    if len(paths) >= MANY:
        _collect_garbage()
    jobs = arguments.jobs or (_cores() if len(paths) >= WORTH_A_PROCESS else 1)
    now = time.time()
    today = time.strftime("%Y-%m-%d", time.gmtime(now))
    alone = len(paths) == 1
    job = Job(arguments.output, arguments.check, arguments.format == "tar", alone, arguments.allow_findings, now, today)
    outcomes = build_all(paths, job, jobs)
    counts: dict[str, int] = {}
    color = colored(arguments.color)
    for outcome in _with_bar(outcomes, len(paths), quiet=arguments.quiet):
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
        _tell(outcome, alone=len(paths) == 1, many=len(paths) >= MANY, quiet=arguments.quiet, color=color)
    if len(paths) >= MANY and not arguments.quiet:
        print(f"{len(paths)} sites: " + ", ".join(f"{counts[status]} {status}" for status in sorted(counts)))
    if counts.get("failed"):
        return ExitCode.COULD_NOT_TELL
    return ExitCode.FINDINGS if counts.get("stale") or counts.get("refused") else ExitCode.AGREES


def _sites(given: list[str]) -> list[str]:
    """The policies to build, those of a directory too, without bases. Two of one name would fall into one bundle."""
    from mailcfg import host
    from mailcfg.policy.document import is_base

    named = [path for each in given for path in host.policies(each) or [each]]
    paths = [path for path in dict.fromkeys(named) if not is_base(path.rpartition("/")[2])]
    if not paths:
        raise Failure(f"{given[0]} is a base for other sites and never built by itself: build a site that extends it")
    stems: dict[str, str] = {}
    for path in paths:
        stem = path.rpartition("/")[2]
        if stem in stems:
            raise Failure(f"{stems[stem]} and {path} would both become the bundle of {stem}: rename one of them")
        stems[stem] = path
    return paths


def _collect_garbage() -> None:
    """Keep memory flat over many sites; what start-up has made stays and is not looked at again."""
    import gc

    gc.freeze()
    gc.enable()


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _with_bar(outcomes: Iterable[Outcome], total: int, *, quiet: bool) -> Iterator[Outcome]:
    """Show a progress bar where a person is watching."""
    if quiet or total < MANY or not sys.stderr.isatty():
        yield from outcomes
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(outcomes, "building", total, console=Console(stderr=True), transient=True)


def _tell(outcome: Outcome, *, alone: bool, many: bool, quiet: bool, color: bool) -> None:
    wrong = outcome.status in ("failed", "refused")
    if outcome.findings or wrong:
        _tell_wrong(outcome, quiet=quiet, color=color)
    if wrong:
        return
    if outcome.status == "stale":
        print(f"{outcome.target}: stale: {outcome.detail}")
        return
    if quiet or many:
        return
    print(f"{outcome.target}: {outcome.status}, {outcome.files} files")
    if alone and outcome.status == "built":
        print("\nTo put it to work on the host, as root, inside that directory:\n")
        for step in outcome.steps:
            print(f"  # {step.because}\n  {step.run}")


def _tell_wrong(outcome: Outcome, *, quiet: bool, color: bool) -> None:
    from mailcfg.problem import Severity
    from mailcfg.reports import text

    found = [each for each in outcome.findings if not quiet or each.severity is not Severity.INFO]
    if found:
        print(text.findings(found, color=color), file=sys.stderr)
    if outcome.status not in ("failed", "refused"):
        return
    path = text.clean(outcome.path)
    if outcome.detail:
        print(f"mailcfg: {path}: {text.clean(outcome.detail)}", file=sys.stderr)
    errors = sum(each.severity is Severity.ERROR for each in found)
    if errors:
        advice = "; --allow-findings builds it all the same" if outcome.status == "refused" else ""
        print(f"mailcfg: {path}: {errors} error{'s' * (errors > 1)}, nothing written{advice}", file=sys.stderr)

"""`mailcfg explain`: what each endpoint does, and why."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from mailcfg.cli import ExitCode, Failure
from mailcfg.terminal import add_color, colored

if TYPE_CHECKING:
    from mailcfg.behaviour.model import Endpoint
    from mailcfg.rule import Subject
    from mailcfg.subjects import Looked

HELP = "say what a client meets at each endpoint, what happens on the way out, and which line decides"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from mailcfg import resources
    from mailcfg.commands.check import add_places

    parser.add_argument("target", nargs="?", metavar="TARGET", help="a site.toml, or a directory that holds a main.cf")
    parser.add_argument(
        "selector", nargs="?", metavar="PARAMETER|:PORT", help="one parameter such as smtpd_tls_auth_only, or :25"
    )
    add_places(parser)
    formats = resources.modules("reports/behaviour")
    parser.add_argument("--format", choices=formats, default="text", help="how to tell it (default: text)")
    add_color(parser)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Predict and tell."""
    from importlib import import_module

    from mailcfg.problem import PolicyError
    from mailcfg.reports.behaviour import named
    from mailcfg.reports.text import clean

    target, selector = _words(arguments)
    try:
        looked = _look(arguments, target)
    except PolicyError as error:
        from mailcfg.reports import text

        print(text.findings(error.findings, color=colored(arguments.color)), file=sys.stderr)
        return ExitCode.COULD_NOT_TELL
    for file, reason in looked.unknown:
        print(clean(f"mailcfg: {file}: {reason}"), file=sys.stderr)
    if looked.subject is None:
        return ExitCode.COULD_NOT_TELL
    subject = looked.subject
    if not subject.is_policy:
        subject.behaviour = named(subject.behaviour, subject.configuration.config_directory, looked.name)
    endpoints, parameter = _selected(subject, selector)
    render = import_module(f"mailcfg.reports.behaviour.{arguments.format}").render
    sys.stdout.write(render(looked.name, subject, endpoints, parameter, colored(arguments.color, sys.stdout)))
    return ExitCode.AGREES


def _words(arguments: argparse.Namespace) -> tuple[str | None, str]:
    """Target and selector; with --live a single word is the selector."""
    if arguments.live:
        if arguments.selector is not None:
            raise Failure(f"--live is the target: {arguments.target} is one too many")
        return None, arguments.target or ""
    if arguments.target is None:
        raise Failure("nothing to explain: name a site.toml, a directory that holds a main.cf, or --live")
    if arguments.selector is None and _is_selector(arguments.target):
        raise Failure(
            f"{arguments.target} says what to explain, not of which host: name a site.toml or a directory that holds a "
            f"main.cf before it, or --live"
        )
    return arguments.target, arguments.selector or ""


def _is_selector(word: str) -> bool:
    """Whether a word that is no file is a port, or a parameter of Postfix."""
    from mailcfg import host
    from mailcfg.facts.parameters import catalogue

    if word.endswith(".toml") or host.is_directory(word) or host.is_file(word):
        return False
    return word.startswith(":") or word in catalogue()


def _look(arguments: argparse.Namespace, target: str | None) -> Looked:
    import time

    from mailcfg.commands.check import wish_of
    from mailcfg.subjects import is_policy, of_directory, of_live, of_policy

    wish = wish_of(arguments, time.time())
    if target is None:
        return of_live(wish)
    return of_policy(target, wish.now) if is_policy(target) else of_directory(target, wish)


def _selected(subject: Subject, selector: str) -> tuple[tuple[Endpoint, ...], str]:
    """The endpoints to tell of, and the parameter, if one is meant."""
    from mailcfg.facts.parameters import catalogue

    endpoints = subject.behaviour.endpoints
    if not selector:
        return endpoints, ""
    if selector.startswith(":"):
        port = selector[1:]
        chosen = tuple(each for each in endpoints if port in (str(each.port), each.service.partition("/")[0]))
        if not chosen:
            there = ", ".join(f":{each.port}" for each in endpoints) or "none"
            raise Failure(f"nothing listens on {selector}; the endpoints are {there}")
        return chosen, ""
    known = catalogue()
    if selector not in known and not any(name == selector for _, name, _, _ in subject.assigned()):
        near = known.nearest(selector)
        raise Failure(f"{selector} is no parameter of Postfix" + (f"; did you mean {near}?" if near else ""))
    return endpoints, selector

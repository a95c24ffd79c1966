"""`mailcfg rules`: which rules there are, and what one of them says."""

from __future__ import annotations

import argparse

from mailcfg.cli import ExitCode, Failure

HELP = "list the rules, or explain one: what it does, why it is bad, what is wrong and what is right"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("rule", nargs="?", metavar="ID", help="a rule's id, such as cleartext-auth")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Print the list, or one rule."""
    from mailcfg.judge import documentation, rule, rule_ids, titles, unknown_rule

    if arguments.rule is None:
        rows = list(titles())
        width = max(len(id) for id, _, _ in rows)
        for id, title, severity in rows:
            print(f"{id:<{width}}  {severity.value:<7}  {title}")
        return ExitCode.AGREES
    if arguments.rule not in rule_ids():
        raise Failure("; ".join(unknown_rule(arguments.rule)))
    print(f"{arguments.rule} ({rule(arguments.rule).SEVERITY.value})\n\n{documentation(arguments.rule)}")
    return ExitCode.AGREES

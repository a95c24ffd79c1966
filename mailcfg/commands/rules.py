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
    from mailcfg.judge import documentation, rule, rule_ids, titles

    if arguments.rule is None:
        rows = list(titles())
        width = max(len(id) for id, _, _ in rows)
        for id, title, severity in rows:
            print(f"{id:<{width}}  {severity.value:<7}  {title}")
        return ExitCode.AGREES
    if arguments.rule not in rule_ids():
        from difflib import get_close_matches

        near = get_close_matches(arguments.rule, rule_ids(), 1)
        advice = f"did you mean {near[0]}?" if near else "mailcfg rules lists them"
        raise Failure(f"there is no rule {arguments.rule}; {advice}")
    print(f"{arguments.rule} ({rule(arguments.rule).SEVERITY.value})\n\n{documentation(arguments.rule)}")
    return ExitCode.AGREES

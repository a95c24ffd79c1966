"""The command line: exit codes, the list of verbs, and the one edge where an exception becomes an exit code."""

from __future__ import annotations

import os
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

DESCRIPTION = "A compiler for the security of a mail host: TLS and SASL of Postfix from one typed policy."
EPILOG = "Exit status: 0 agrees, 1 findings or drift, 2 could not tell, 3 internal error, 130 interrupted."


class ExitCode(IntEnum):
    """What a verb's exit status means; scripts rely on the numbers."""

    AGREES = 0
    FINDINGS = 1
    COULD_NOT_TELL = 2
    INTERNAL_ERROR = 3
    INTERRUPTED = 130


class Command(Protocol):
    """A module of `mailcfg.commands`: one verb."""

    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's arguments."""

    def run(self, arguments: argparse.Namespace) -> ExitCode:
        """Do it."""


class Failure(Exception):
    """A verb could not do its work, for a reason that its user can mend. The message says what to do; exit status 2."""


def verbs() -> list[str]:
    """Names of the verbs: the modules of the folder `commands`."""
    import mailcfg.commands

    folder = os.path.dirname(mailcfg.commands.__file__)
    return sorted(name[:-3] for name in os.listdir(folder) if name.endswith(".py") and not name.startswith("_"))


def command(verb: str) -> Command:
    """Import the module of one verb."""
    from importlib import import_module

    return cast("Command", import_module(f"mailcfg.commands.{verb}"))


def _formatter() -> type[argparse.HelpFormatter]:
    """Help that reads the same with every version of Python, so that the README can show it."""
    import argparse

    class Formatter(argparse.HelpFormatter):
        def _format_action_invocation(self, action: argparse.Action) -> str:
            if not action.option_strings or action.nargs == 0:
                return super()._format_action_invocation(action)
            value = self._format_args(action, self._get_default_metavar_for_optional(action))
            return f"{', '.join(action.option_strings)} {value}"

    return Formatter


def parser_for(wanted: str | None) -> argparse.ArgumentParser:
    """Build the parser. Of a named verb only its own module is imported: every cron run pays for start-up."""
    import argparse

    from mailcfg import __version__

    look: dict[str, Any] = {"epilog": EPILOG, "allow_abbrev": False, "formatter_class": _formatter()}
    parser = argparse.ArgumentParser(prog="mailcfg", description=DESCRIPTION, **look)
    parser.add_argument("--version", action="version", version=f"mailcfg {__version__}")
    choices = parser.add_subparsers(dest="verb", metavar="VERB", required=True, title="verbs")
    known = verbs()
    for verb in [wanted] if wanted in known else known:
        module = command(verb)
        sub = choices.add_parser(verb, help=module.HELP, description=module.HELP, **look)
        module.configure(sub)
        sub.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit status; no traceback reaches a user."""
    words = list(sys.argv[1:] if argv is None else argv)
    for name in ("stdout", "stderr"):
        # A caller may have closed it, which Python tells by None.
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    try:
        # What a policy means must not depend on which plugins of pydantic happen to be installed.
        os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
        arguments = parser_for(words[0] if words else None).parse_args(words)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except Failure as failure:
        print(f"mailcfg: {failure}", file=sys.stderr)
        return ExitCode.COULD_NOT_TELL
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`mailcfg ... | head`): nothing more can be told, and Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.COULD_NOT_TELL
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"mailcfg: {where}{error.strerror or error}", file=sys.stderr)
        return ExitCode.COULD_NOT_TELL
    except Exception as error:
        return internal_error(error)
    return code


def internal_error(error: Exception) -> ExitCode:
    """Say in one line that mailcfg itself is wrong; MAILCFG_TRACEBACK=1 shows where."""
    import traceback

    if os.environ.get("MAILCFG_TRACEBACK"):
        traceback.print_exception(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(last.filename)}:{last.lineno}"
    print(f"mailcfg: internal error: {type(error).__name__} at {place}: {error}", file=sys.stderr)
    print("mailcfg: this is a defect of mailcfg; run again with MAILCFG_TRACEBACK=1 and report it", file=sys.stderr)
    return ExitCode.INTERNAL_ERROR

"""`mailcfg report`: what `mailcfg drift` found on many hosts, in one page."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from mailcfg.cli import ExitCode, Failure

if TYPE_CHECKING:
    from mailcfg.reports.drift.json import Document

HELP = "one report of many hosts, from what mailcfg drift --format json wrote on each"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from mailcfg import resources

    parser.add_argument(
        "documents", nargs="+", metavar="DRIFT.json", help="what mailcfg drift --format json wrote on a host"
    )
    formats = resources.modules("reports/hosts")
    parser.add_argument("--format", choices=formats, default="html", help="how to tell it (default: html)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write there, in one step, instead of standard output")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Read every document and report. How the hosts are is no matter of the exit status: drift has told it."""
    from importlib import import_module

    from mailcfg import host
    from mailcfg.reports.hosts import named

    hosts = named([(path, _document(path)) for path in dict.fromkeys(arguments.documents)])
    text: str = import_module(f"mailcfg.reports.hosts.{arguments.format}").render(hosts)
    if arguments.output is not None:
        host.replace(arguments.output, text.encode(errors="surrogateescape"))
    else:
        sys.stdout.write(text)
    return ExitCode.AGREES


def _document(path: str) -> Document:
    """A document. Raises Failure, with the file's name, for whatever is none."""
    from mailcfg import host
    from mailcfg.reports.documents import DocumentError, read_document
    from mailcfg.reports.text import clean

    data = host.read_bytes(path)
    if data is None:
        raise Failure(f"{clean(path)}: there is no such file")
    try:
        return read_document(data.decode())
    except UnicodeDecodeError as error:
        raise Failure(f"{clean(path)}: byte {error.start + 1} is not UTF-8, so it is no drift document") from None
    except DocumentError as error:
        raise Failure(clean(f"{path}: {error}")) from None

"""What the command line knows of the terminal: colour or not."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TextIO


def add_color(parser: argparse.ArgumentParser) -> None:
    """The option that every verb with a text for people has."""
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour in messages (default: on a terminal)",
    )


def colored(wish: str, stream: TextIO | None = None) -> bool:
    """Whether what is written to a stream (standard error) gets colour; NO_COLOR is honoured."""
    if wish != "auto":
        return wish == "always"
    return (stream or sys.stderr).isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def count(text: str) -> int:
    """A number of processes, as a command line has it. Raises argparse.ArgumentTypeError."""
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 1024:
        raise argparse.ArgumentTypeError("a number from 1 to 1024")
    return number

"""`mailcfg`, and `python -m mailcfg`: the version at once, everything else through the command line proper."""

import os
import sys


def main() -> int:
    """Run the command line and return its exit status."""
    verb, *words = sys.argv[1:] or [""]
    if verb == "--version" and not words:
        from mailcfg import __version__

        print(f"mailcfg {__version__}")
        return 0
    if verb == "drift" and _still_in_sync(words):
        # Nothing was printed and nothing is open: to take the interpreter apart would cost a fifth of starting it.
        os._exit(0)
    try:
        import gc

        from mailcfg import cli

        # Imports make many objects and no garbage: looking for some among them would take a tenth of the start-up. A
        # verb that runs long turns it on again.
        gc.disable()
        return _at_once(cli.main())
    except KeyboardInterrupt:
        return 130


def _at_once(code: int) -> int:
    """End the process with what was printed. All files are closed and all children waited for by now; to take some
    hundred modules apart would cost as much as the work on a site.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return code  # Closed by whoever reads it: Python knows what to do.
    os._exit(code)


def _still_in_sync(words: list[str]) -> bool:
    """Whether nothing changed since a run with the same words found all in sync. Cron asks nothing else, so this comes
    before even the command line is imported.
    """
    from mailcfg import memory

    asked = memory.request(words)
    return asked is not None and memory.in_sync(asked)


if __name__ == "__main__":
    sys.exit(main())

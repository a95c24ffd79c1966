"""`mailcfg`, and `python -m mailcfg`: the version at once, everything else through the command line proper."""

import sys


def main() -> int:
    """Run the command line and return its exit status."""
    if sys.argv[1:] == ["--version"]:
        from mailcfg import __version__

        print(f"mailcfg {__version__}")
        return 0
    try:
        import gc

        from mailcfg import cli

        # Imports make many objects and no garbage: looking for some among them would take a tenth of the start-up. A
        # verb that runs long turns it on again.
        gc.disable()
        return cli.main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""`python -m mailcfg` is the command `mailcfg`."""

import sys

from mailcfg.cli import main

if __name__ == "__main__":
    sys.exit(main())

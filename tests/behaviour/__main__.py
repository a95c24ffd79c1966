"""Long runs by hand: `python -m tests.behaviour SEED COUNT [--root CHROOT]` compares as many listeners as COUNT says.

Batches have the seeds SEED, SEED + 1 and so on. A difference tells the seed of its batch: run that one alone with a
COUNT of 40 to see it again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.behaviour.compared import compare
from tests.behaviour.stage import stage

SIZE = 40


def main() -> int:
    """Compare, tell every difference, and count."""
    parser = argparse.ArgumentParser(prog="python -m tests.behaviour", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--root", default="", help="a chroot with another Debian")
    parser.add_argument("--most", type=int, default=30, help="differences that are told in full")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    fields: Counter[str] = Counter()
    told = 0
    begin = time.monotonic()
    with stage(arguments.root.rstrip("/")) as here:
        for seed in range(arguments.seed, arguments.seed + (arguments.count + SIZE - 1) // SIZE):
            result = compare(here, seed, SIZE)
            counts += result.counts
            counts["wrong"] += len(result.wrong)
            fields += result.fields
            for each in result.wrong:
                if told < arguments.most:
                    print(each, flush=True)
                told += 1
        print(f"Postfix {here.version}, OpenSSL {here.openssl}: {dict(counts)}, {time.monotonic() - begin:.0f} s")
    for field, count in fields.most_common():
        print(f"  {field}: {count}")
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())

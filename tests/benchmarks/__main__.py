"""What mailcfg costs, beside what one would use instead: `python -m tests.benchmarks`. Only the ratios travel.

Every figure of a line is taken in the same run, whole processes in turn, so that a noisy machine is noisy for all.
Nothing here is asserted: a timed test fails on someone else's machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path

from tests.benchmarks import command, in_turn, table
from tests.benchmarks.apply import apply
from tests.benchmarks.check import check, many
from tests.benchmarks.drift import drift, parsing
from tests.sites import ROOT

MODEL = """
import pydantic, jinja2
class Model(pydantic.BaseModel):
    name: str
Model(name="x")
"""


def start_up(folder: Path) -> None:
    bare = "python3 -c pass"
    medians = in_turn({bare: [sys.executable, "-c", "pass"], "mailcfg --version": command("--version")})
    table("start-up (wanted: at most 2 bare interpreters)", medians, bare)
    model = "import pydantic and jinja2, define one model"
    output = ["-o", str(folder / "one"), "--quiet"]
    medians = in_turn(
        {
            model: [sys.executable, "-c", MODEL],
            "mailcfg build sites/quickstart.toml": command("build", str(ROOT / "sites/quickstart.toml"), *output),
        }
    )
    table("one site (wanted: at most 1.5 of the imports)", medians, model)


def generate(folder: Path, count: int) -> list[str]:
    """Sites as a platform team has them: the quickstart's policy, each with a name of its own."""
    text = (ROOT / "sites/quickstart.toml").read_text()
    folder.mkdir()
    for number in range(count):
        (folder / f"host{number}.toml").write_text(text.replace("mail.example.com", f"mail{number}.example.com"))
    return [f"host{number}.toml" for number in range(count)]


def write_and_hash(source: Path, target: Path) -> float:
    """Seconds that writing and hashing the bytes of all bundles costs, and nothing else, in one process."""
    trees = [
        (
            tree.name,
            [(str(path.relative_to(tree)), path.read_bytes()) for path in sorted(tree.rglob("*")) if path.is_file()],
        )
        for tree in source.iterdir()
    ]
    start = time.perf_counter()
    for name, files in trees:
        for path, data in files:
            place = f"{target}/{name}/{path}"
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as file:
                file.write(data)
            sha256(data).hexdigest()
    return time.perf_counter() - start


def fleet(folder: Path) -> None:
    print("\nmany sites on tmpfs (wanted: 2,000 a second on two cores; linear; memory flat)")
    last = 0.0
    for count in (1000, 10_000):
        sites = generate(folder / f"sites{count}", count)
        for jobs in (1, 2):
            output = folder / f"out{count}-{jobs}"
            process = subprocess.Popen(
                command("build", *sites, "-o", str(output), "-j", str(jobs), "--quiet"), cwd=folder / f"sites{count}"
            )
            start = time.perf_counter()
            _, status, usage = os.wait4(process.pid, 0)
            last = time.perf_counter() - start
            assert status == 0
            peak = usage.ru_maxrss / 1024
            print(
                f"  mailcfg build of {count:>6} sites, {jobs} process{'es' if jobs > 1 else '  '}"
                f" {last:7.2f} s  {count / last:7.0f} sites/s  peak {peak:5.1f} MiB"
            )
            if (count, jobs) == (10_000, 1):
                # In a process of its own: a child's peak counts from what its parent held.
                with ProcessPoolExecutor(1) as pool:
                    plain = pool.submit(write_and_hash, output, folder / "plain").result()
                print(f"  writing and hashing the same bytes, 1 process {plain:9.2f} s  {count / plain:7.0f} sites/s")
            shutil.rmtree(output)
    many(folder / "sites10000", [f"host{number}.toml" for number in range(10_000)])


def main() -> None:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        start_up(Path(folder))
        check(Path(folder))
        drift(Path(folder))
        apply(Path(folder))
        parsing()
        fleet(Path(folder))


if __name__ == "__main__":
    main()

"""A real git repository in a directory of a test, which no setting of the machine or of its user reaches."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ENVIRONMENT = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}

OPTIONS = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "protocol.file.allow=always")


class Repo:
    """A work tree. `main` is its first branch."""

    def __init__(self, top: Path, *words: str) -> None:
        self.top = top
        top.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", *words)

    def git(self, *words: str | Path) -> str:
        """Run git here and return what it says."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", *OPTIONS, *map(str, words)], cwd=self.top, env=kept | ENVIRONMENT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, **files: str) -> None:
        """Files by their names, `__` for a slash and without .toml."""
        for name, text in files.items():
            self.put(name.replace("__", "/") + ".toml", text)

    def put(self, name: str, text: str | bytes) -> None:
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.top / name
        text = path.read_text()
        assert text.count(old) == 1, (old, text)
        path.write_text(text.replace(old, new))

    def commit(self, message: str = "a change") -> str:
        """Commit all that is there and return the id of the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

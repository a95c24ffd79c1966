"""A real Chromium without a window and without a network, spoken to through a pipe in its DevTools protocol."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.postfix import lab

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)

PATIENCE = 60
"""Seconds that an answer may take on a machine with much else to do."""

KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    " ": (32, " "),
    "Backspace": (8, ""),
}


class Page:
    """One page: what is on it, what it asked for and what it complained of."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser = browser
        self.session = session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **words: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **words)

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a file and wait until it is there."""
        self.browser.events.clear()
        self.call("Page.navigate", url=path.as_uri() + fragment)
        self.browser.until("Page.loadEventFired")

    def evaluate(self, script: str) -> Any:
        """The value of an expression on the page."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def events(self, *methods: str) -> list[dict[str, Any]]:
        """What happened since the page was opened."""
        self.evaluate("new Promise(done => setTimeout(done, 50))")
        return [each["params"] for each in self.browser.events if each["method"] in methods]

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """What stands on the console: errors of scripts, of the policy, of whatever could not be loaded."""
        return self.events("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")

    @property
    def requests(self) -> list[str]:
        """The addresses that were asked for."""
        return [each["request"]["url"] for each in self.events("Network.requestWillBeSent")]

    def press(self, key: str, shift: bool = False) -> None:
        """Press a key and let it go."""
        code, text = KEYS.get(key, (ord(key.upper()[0]), key))
        words = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **words)
        self.call("Input.dispatchKeyEvent", type="keyUp", **words)

    def type(self, text: str) -> None:
        for each in text:
            self.press(each)

    def size(self, width: int, height: int = 900) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )  # fmt: skip

    def media(self, scheme: str, kind: str = "screen") -> None:
        """Dark or light, on a screen or on paper."""
        self.call(
            "Emulation.setEmulatedMedia", media=kind, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )  # fmt: skip

    def scripts(self, on: bool) -> None:
        """Whether the page's scripts run; what a test evaluates does in any case."""
        self.call("Emulation.setScriptExecutionDisabled", value=not on)

    def picture(self, path: Path, limit: int = 12_000) -> None:
        """The whole page, as far down as the limit, as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], limit), "scale": 1}
        done = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(done["data"]))


class Browser:
    """The process and its pipe."""

    def __init__(self, folder: Path) -> None:
        self.events: list[dict[str, Any]] = []
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._rest = b""
        asked, answered = os.pipe(), os.pipe()
        # Chromium reads at 3 and writes at 4: its ends of the pipes come to lie far from there first.
        ours = (asked[1], answered[0])
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (asked[0], answered[1])]
        command = ["unshare", "-n", "bash", "-c", f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]}', "bash", "chromium"]
        self._log = (folder / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            [*command, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            pass_fds=theirs,
            env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)},
        )
        for end in (asked[0], answered[1], *theirs):
            os.close(end)
        self._write, self._read = ours

    def call(self, method: str, session: str | None = None, **words: Any) -> dict[str, Any]:
        """Ask, and wait for the answer."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": words, **({"sessionId": session} if session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        end = time.monotonic() + PATIENCE
        while number not in self._answers:
            self._take(end, method)
        answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def until(self, method: str) -> None:
        """Wait until something has happened."""
        end = time.monotonic() + PATIENCE
        while not any(each["method"] == method for each in self.events):
            self._take(end, method)

    def _take(self, end: float, what: str) -> None:
        ready, _, _ = select.select([self._read], [], [], max(0, end - time.monotonic()))
        assert ready, f"Chromium says nothing: {what}"
        data = os.read(self._read, 1 << 20)
        assert data, f"Chromium is gone: {what}\n{Path(self._log.name).read_text(errors='replace')[-2000:]}"
        *messages, self._rest = (self._rest + data).split(b"\0")
        for each in map(json.loads, messages):
            if "id" in each:
                self._answers[each["id"]] = each
            else:
                self.events.append(each)

    def page(self) -> Page:
        """A page of its own."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        return Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])

    def close(self) -> None:
        """End the process."""
        try:
            self.call("Browser.close")
            self._process.wait(10)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        for end in (self._write, self._read):
            os.close(end)
        self._log.close()


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own that sees no network; the test is skipped where there is none."""
    lab.needs("chromium", "unshare", "bash")
    browser = Browser(folder)
    try:
        yield browser
    finally:
        browser.close()

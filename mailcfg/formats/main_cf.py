"""main.cf: parameters as lines."""

from __future__ import annotations

from mailcfg.configuration import Setting


def line(setting: Setting) -> str:
    """A parameter as one logical line of main.cf. An empty value is written as nothing behind the equals sign."""
    return f"{setting.name} = {setting.value}" if setting.value else f"{setting.name} ="

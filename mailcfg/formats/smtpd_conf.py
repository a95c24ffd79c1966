"""smtpd.conf of Cyrus SASL: settings as lines."""

from __future__ import annotations

from mailcfg.configuration import Setting


def line(setting: Setting) -> str:
    """A setting as one line of smtpd.conf."""
    return f"{setting.name}: {setting.value}"

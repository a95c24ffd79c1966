"""`[watch]`: how often the host compares itself with its policy, and what starts it."""

from __future__ import annotations

from typing import Literal

from mailcfg.policy.table import Table
from mailcfg.policy.values import FilePath


class Watch(Table):
    """`mailcfg drift` at regular times, as files of the bundle."""

    systemd: bool = False
    """By a timer of systemd, whose service fails while the host is not in sync."""
    cron: bool = False
    """By a line of cron, which mails root what differs."""
    every: Literal["5min", "10min", "15min", "20min", "30min", "1h", "2h", "3h", "4h", "6h", "12h", "1d"] = "10min"
    """How often."""
    command: FilePath = "/opt/mailcfg/bin/mailcfg"
    """Where mailcfg is installed on the host."""

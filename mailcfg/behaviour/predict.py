"""The behaviour of a configuration: every endpoint and every way out, from files alone."""

from __future__ import annotations

from mailcfg.behaviour.effective import Effective
from mailcfg.behaviour.endpoint import endpoints
from mailcfg.behaviour.model import Behaviour
from mailcfg.behaviour.outbound import hops, undecided
from mailcfg.behaviour.surroundings import Surroundings
from mailcfg.facts.platforms import Platform
from mailcfg.facts.version import Version


def predict(effective: Effective, surroundings: Surroundings, platform: Platform, openssl: Version) -> Behaviour:
    """What a client meets at each endpoint, and what happens on the way out."""
    return Behaviour(
        endpoints(effective, surroundings, platform, openssl),
        hops(effective, surroundings, openssl),
        undecided(effective),
    )

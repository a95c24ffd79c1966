"""Drift: what differs between a policy and the live machine, by meaning and with both places."""

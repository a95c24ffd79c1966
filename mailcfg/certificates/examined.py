"""What was read from a certificate and its key, apart from the library that reads them."""

from __future__ import annotations

from typing import NamedTuple


class Examined(NamedTuple):
    """What a certificate and its key are, in values that JSON can keep, and nothing that is secret. An `error` or a
    `key_error` says why that file is unusable; the other fields are empty then. `authority_error` says why the
    authority's certificate is unusable, or that it did not sign this one.
    """

    error: str = ""
    names: tuple[str, ...] = ()
    not_before: int = 0
    not_after: int = 0
    starts: str = ""
    expires: str = ""
    key_type: str = ""
    key_error: str = ""
    matches: bool = False
    authority_error: str = ""

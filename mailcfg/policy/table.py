"""What all tables of the policy language have in common."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table of the policy: strict types, no unknown keys, nothing to change afterwards."""

    # Only the whole document is validated, so no table needs a validator of its own: that halves the start-up.
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", defer_build=True)

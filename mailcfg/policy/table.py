"""What all tables of the policy language have in common."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table of the policy: strict types, no unknown keys, nothing to change afterwards."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

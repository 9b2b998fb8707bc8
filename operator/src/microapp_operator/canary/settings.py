"""What the canary is told: how often, how long, and where each sink's backend is asked."""

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

MOST_OUTSTANDING: Final = 5
"""Canaries that are asked for at once, so that a backend that keeps nothing is asked no more often than that."""
UID: Final = "{uid}"
"""In URL and body: where the record's id goes."""
HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
HeaderValue = Annotated[str, Field(pattern=r"^[ -~]*$")]


class _Told(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class ReadBack(_Told):
    """Where one sink's backend is asked what it has.

    sink: its name in the values. url: of the question, with ``{uid}`` for the record's id. body: of a POST, likewise;
    none: a GET. secret_headers: header to the variable that holds its value; one that isn't there is told of.
    """

    sink: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,63}$")]
    url: Annotated[str, Field(pattern=r"^https?://[^/\s@]+(/\S*)?$")]
    body: str = ""
    content_type: HeaderValue = "application/json"
    headers: dict[HeaderName, HeaderValue] = {}
    secret_headers: dict[HeaderName, str] = {}


class CanarySettings(_Told):
    """interval: seconds between two canaries. deadline: after which one that isn't found is given up.

    ca: PEM certificates that vouch for backends, besides those that the machine trusts.
    """

    interval: Annotated[float, Field(ge=10, le=3600)] = 60.0
    deadline: Annotated[float, Field(ge=30, le=3600)] = 300.0
    ca: str = ""
    read_backs: Annotated[tuple[ReadBack, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.deadline > MOST_OUTSTANDING * self.interval:
            raise ValueError(
                f"deadline is more than {MOST_OUTSTANDING} intervals, and no more canaries may be on the way"
            )
        return self

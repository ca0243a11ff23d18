"""Where bytes lie that are not on this machine, as values: they travel to workers by pickle, keys and all."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreAddress:
    """Where objects lie: s3://BUCKET/PREFIX, file:///FOLDER, or http://PEER/PATH to read from."""

    url: str
    endpoint: str | None = None  # of a store that is not Amazon's
    region: str | None = None
    key: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)  # neither is ever shown; none: as the machine has it

    @property
    def is_s3(self) -> bool:
        return self.url.startswith("s3://")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCacheOptions:
    """Where a node keeps models, how many bytes of them, and whom it asks, in this order."""

    folder: Path
    most_bytes: int
    sources: tuple[StoreAddress, ...]  # peers first

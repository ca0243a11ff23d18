"""Where artefacts and models of several machines lie: a part of ``flows.settings``, apart for its length."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from workers.store_addresses import ModelCacheOptions, StoreAddress


class StoreSettings(BaseSettings):
    """An object store and the caches before it; a house on one machine needs neither."""

    store: str | None = Field(
        default=None,
        pattern=r"^(s3://[^/\s]+(/\S*)?|file:///\S+)$",
        description="Where artefacts go, and models for other nodes: s3://BUCKET/PREFIX (extra s3), or "
        "file:///FOLDER, mounted everywhere; the home alone by default.",
    )
    store_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+(/\S*)?$",
        description="The address of an S3-compatible store that is not Amazon's.",
    )
    store_region: str | None = Field(default=None, description="The region of its bucket.")
    store_key: SecretStr | None = Field(
        default=None, description="Who asks it; as this machine is known to Amazon by default."
    )
    store_secret: SecretStr | None = Field(default=None, description="The secret of that key.")
    store_gb: Annotated[float, Field(gt=0)] = Field(
        default=20.0, description="GB of artefacts that a machine keeps before a store."
    )
    model_cache: Path | None = Field(
        default=None,
        description="Where a node brings models that it has not; models/ under the home by default.",
    )
    model_cache_gb: Annotated[float, Field(gt=0)] = Field(
        default=200.0, description="GB of it; what was used longest ago and nobody holds makes room."
    )
    model_peers: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Caches of other nodes, asked before the store: http:// or file:///, by commas.",
    )

    @field_validator("model_peers", mode="before")
    @classmethod
    def _peers(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        return tuple(part.strip() for part in given.split(",") if part.strip())

    @field_validator("model_cache")
    @classmethod
    def _cache_is_absolute(cls, given: Path | None) -> Path | None:
        return None if given is None else given.expanduser().absolute()

    @property
    def store_address(self) -> StoreAddress | None:
        """Where artefacts and models go, with the key; None where the home is all there is."""
        if self.store is None:
            return None
        return StoreAddress(
            url=self.store.rstrip("/"),
            endpoint=self.store_endpoint,
            region=self.store_region,
            key=self.store_key.get_secret_value() if self.store_key else None,
            secret=self.store_secret.get_secret_value() if self.store_secret else None,
        )

    def models_from(self, folder: Path) -> ModelCacheOptions | None:
        """Where a node brings models to, ``folder`` unless one is set, and whom it asks; None for nobody."""
        peers = tuple(StoreAddress(url=peer.rstrip("/")) for peer in self.model_peers)
        address = self.store_address
        sources = peers if address is None else (*peers, address)
        if not sources:
            return None
        return ModelCacheOptions(
            folder=self.model_cache or folder, most_bytes=int(self.model_cache_gb * 1e9), sources=sources
        )

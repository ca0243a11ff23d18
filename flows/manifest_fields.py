"""The fields of a manifest, their types, bounds and defaults: where outside text becomes values."""

import difflib
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from policy.limits import BudgetEnd
from policy.manifest import LoraRequest
from policy.tiers import ServiceTier
from policy.uses import Act

FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"  # a shot names its file, on every system
REPOSITORY = r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$"
Repository = Annotated[str, Field(pattern=REPOSITORY, max_length=200)]
Side = Annotated[int, Field(ge=16, le=8192, multiple_of=8)]  # pixels; a latent is an eighth or a quarter


class KnownFields(BaseModel):
    """Fields that are known, and nothing else; an unknown one is told with its nearest known name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _names_are_known(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for name in given:
                if name not in cls.model_fields:
                    near = difflib.get_close_matches(str(name), cls.model_fields, n=1)
                    meant = f"; did you mean {near[0]}?" if near else ""
                    raise PydanticCustomError(
                        "unknown_field", "{told}", {"told": f"there is no field {name!r}{meant}"}
                    )
        return given


class LoraFields(KnownFields):
    """A style or character LoRA."""

    repo: Repository
    scale: Annotated[float, Field(ge=-4, le=4, allow_inf_nan=False)] = 1.0

    def to_request(self) -> LoraRequest:
        return LoraRequest(repo=self.repo, scale=self.scale)


class InputFields(KnownFields):
    """A file that determines pixels; its path is relative to the manifest."""

    role: Annotated[str, Field(min_length=1, max_length=64)]
    path: Annotated[str, Field(min_length=1, max_length=1024)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    rights: Annotated[str, Field(max_length=2000)] = ""


class ShotFields(KnownFields):
    """One image or clip."""

    name: Annotated[str, Field(pattern=FILE_NAME)]
    prompt: Annotated[str, Field(max_length=20_000)]
    model: Repository
    negative: Annotated[str, Field(max_length=20_000)] = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    width: Side = 64
    height: Side = 64
    frames: Annotated[int, Field(ge=1, le=4096)] = 1
    fps: Annotated[float, Field(ge=1, le=120, allow_inf_nan=False)] | None = None
    loras: tuple[LoraFields, ...] = ()
    inputs: tuple[InputFields, ...] = ()
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    guidance: Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)] | None = None
    method: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    weight: Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)] = 1.0

    @field_validator("loras", mode="before")
    @classmethod
    def _from_one_cell(cls, given: Any) -> Any:
        """A LoRA may be just its repository; a CSV cell holds ``org/name@0.8; org/other``."""
        if isinstance(given, str):
            given = [part.strip() for part in given.split(";") if part.strip()]
        if not isinstance(given, (list, tuple)):
            return given
        return tuple(_lora(item) if isinstance(item, str) else item for item in given)


def _lora(text: str) -> dict[str, str]:
    repo, at, scale = text.partition("@")
    return {"repo": repo, "scale": scale} if at else {"repo": repo}


class ManifestFields(KnownFields):
    """What holds for the whole order."""

    name: Annotated[str, Field(max_length=200)] = ""
    tier: ServiceTier = ServiceTier.BATCH
    deadline: Annotated[str, Field(max_length=64)] | None = None
    timezone: str = "UTC"
    latency_target_s: Annotated[float, Field(gt=0, le=86400)] | None = None
    quality_floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    may_approximate: bool = False
    may_degrade: bool = False
    use: Act = Act.SHIP_OUTPUT_COMMERCIAL
    context: Annotated[str, Field(max_length=63)] = ""
    territories: tuple[Annotated[str, Field(pattern="^([A-Z]{2}|WORLD)$")], ...] = ()
    evidence: tuple[Annotated[str, Field(max_length=200)], ...] = ()
    owner: Annotated[str, Field(max_length=200)] = ""
    labels: dict[str, str] = {}
    recipients: tuple[Annotated[str, Field(max_length=200)], ...] = ()
    max_failed_shots: Annotated[int, Field(ge=0)] | None = None
    waive_output_checks: bool = False
    probes: bool = False
    hold_after_probes: bool = False
    budget_seconds: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = None
    budget_end: BudgetEnd = BudgetEnd.HOLD

    @field_validator("deadline", mode="before")
    @classmethod
    def _as_text(cls, given: Any) -> Any:
        """TOML and YAML have times of their own; a bare number is none of them."""
        return given.isoformat() if hasattr(given, "isoformat") else given

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, given: str) -> str:
        try:
            ZoneInfo(given)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise PydanticCustomError(
                "unknown_zone", "there is no time zone {zone}", {"zone": given}
            ) from None
        return given

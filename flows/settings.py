"""Configuration, read once: the only file that looks at the environment.

Every setting is ``RIGHTSTEP_<FIELD>`` in the environment, such as ``RIGHTSTEP_WORKERS=4``; an empty one
counts as not set. Folders are separated as in ``PATH``, territories by commas.
"""

import getpass
import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from flows.fleet_settings import GroupSetting, read_fleet
from flows.message_settings import MessageSettings
from flows.prefect_requests import PrefectApi
from flows.store_settings import StoreSettings
from policy.costs import DeviceGroup, Fleet
from policy.errors import WrongUse
from policy.uses import DEFAULT_CONTEXT, Act, Organisation
from registry.upstream import PUBLIC_HUB
from workers.renderer import RendererKind
from workers.store_addresses import ModelCacheOptions

if TYPE_CHECKING:
    from registry.evidence.keys import SigningKey


def _cores() -> int:
    """Cores that this process may use: a container is often given fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _is_hub_offline() -> bool:
    """The switch that other tools of the Hub know."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


SECRETS = "RIGHTSTEP_SECRETS"
CONTEXT_NAME = "^[a-z0-9][a-z0-9._-]{0,62}$"
KEY_NAME = "^[a-z0-9][a-z0-9._-]{0,62}$"
Territory = Annotated[str, Field(pattern="^([A-Z]{2}|WORLD)$")]


class Settings(MessageSettings, StoreSettings):
    """Everything that can be configured, with its default, its bounds and what it means."""

    model_config = SettingsConfigDict(
        env_prefix="RIGHTSTEP_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    home: Path = Field(
        default_factory=lambda: Path.home() / ".rightstep",
        description="Where the ledger, artefacts, keys, logs and process ids live.",
    )
    database_url: SecretStr | None = Field(
        default=None, description="The ledger as the application uses it; SQLite under the home by default."
    )
    database_owner_url: SecretStr | None = Field(
        default=None,
        description="The ledger as its owner, for migrations; the same as database_url by default.",
    )
    model_folders: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Folders of model repositories in Hub layout, beside the built-in one; parted by colons.",
    )
    hub_endpoint: str = Field(
        default=PUBLIC_HUB,
        pattern=r"^https?://[^/\s]+(/\S*)?$",
        description="The model hub that `rightstep model pin` asks; a mirror of your own, for instance.",
    )
    hub_token: SecretStr | None = Field(
        default=None,
        description="Token for gated and private repositories; that of `hf auth login` for the public hub.",
    )
    hub_offline: bool = Field(
        default_factory=_is_hub_offline,
        description="Never ask a hub, only use what is here; on where HF_HUB_OFFLINE is set.",
    )
    catalogue: Path | None = Field(
        default=None, description="A folder with your own presets and licence terms."
    )
    workers: Annotated[int, Field(ge=1, le=4096)] = Field(
        default_factory=_cores, description="Render actors; one per GPU, or one per core without a GPU."
    )
    threads: Annotated[int, Field(ge=1, le=256)] = Field(
        default=1, description="Torch threads of an actor; bits depend on it."
    )
    device: str = Field(
        default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="Torch device of an actor."
    )
    renderer: str = Field(
        default="diffusers",
        pattern="^(diffusers|synthetic)$",
        description="diffusers renders; synthetic draws marked test pictures without a model.",
    )
    synthetic_seconds_per_step: Annotated[float, Field(ge=0, le=60)] = Field(
        default=0.0, description="How long a step of the synthetic renderer sleeps."
    )
    devices: Annotated[tuple[GroupSetting, ...], NoDecode] = Field(
        default=(),
        description="Workers on several devices, in place of workers, threads and device: "
        "cpu threads=1 workers=2, cuda workers=1 price=2.5.",
    )
    price_per_device_hour: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="What an hour of one device costs; no price, no money in reports."
    )
    currency: str = Field(default="USD", description="Of the price.")
    lease_seconds: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=60.0, description="How long a driver holds a chunk without renewing it."
    )
    actor: str = Field(default_factory=_user, description="Who acts, for the ledger and the audit log.")
    house_key: str = Field(
        default="house",
        pattern=KEY_NAME,
        description="Name of the identity that signs for the house; its key lies in keys/ under the home.",
    )
    contexts: Path | None = Field(
        default=None,
        description="The contexts that work is done in, as TOML; contexts.toml under the home by default.",
    )
    context: str = Field(
        default=DEFAULT_CONTEXT,
        pattern=CONTEXT_NAME,
        description="The context of an order that names none.",
    )
    context_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=365, description="How many days the facts of a context are taken as they were said."
    )
    keep_days: Annotated[int, Field(ge=1, le=36_500)] | None = Field(
        default=None,
        description="How many days after the end of its job an artefact is kept, unless it was shipped or is "
        "held; not set means for ever.",
    )
    retention: Path | None = Field(
        default=None,
        description="How long it is for single owners, as TOML; retention.toml under the home by default.",
    )
    organisation: str = Field(default="", description="Who uses the pictures, for the licence verdict.")
    organisation_as_of: date | None = Field(
        default=None, description="The day that the figures of the organisation are of."
    )
    annual_revenue_usd: int | None = Field(default=None, ge=0, description="Not set means not known.")
    group_revenue_usd: int | None = Field(
        default=None, ge=0, description="With affiliates. Not set means not known."
    )
    mau: int | None = Field(default=None, ge=0, description="Monthly active users. Not set means not known.")
    monthly_visits: int | None = Field(default=None, ge=0, description="Not set means not known.")
    domicile: str | None = Field(default=None, pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")
    organisation_kind: str | None = Field(
        default=None, description="company, individual, nonprofit or academic."
    )
    territories: Annotated[tuple[Territory, ...], NoDecode] = Field(
        default=("WORLD",),
        description="Where pictures are used by default: country codes separated by commas, or WORLD.",
    )
    credentials: str = Field(
        default="auto",
        pattern="^(auto|required|off)$",
        description="Content credentials in shipped files: with the extra c2pa, always, or never.",
    )
    credentials_chain: Path | None = Field(
        default=None,
        description="PEM, leaf first: the chain that signs content credentials; an own one by default.",
    )
    credentials_key: Path | None = Field(
        default=None, description="The private key of the first of these certificates: P-256, PKCS #8."
    )
    serve_host: str = Field(
        default="127.0.0.1",
        description="Where `rightstep serve` listens; elsewhere only once there are keys.",
    )
    serve_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8750, description="The port of `rightstep serve`; 0 takes a free one."
    )
    serve_replicas: Annotated[int, Field(ge=1, le=256)] = Field(
        default=1, description="Processes that render while somebody waits; one per GPU."
    )
    serve_replicas_most: Annotated[int, Field(ge=1, le=256)] | None = Field(
        default=None, description="How many there may be while many wait; as many as ever by default."
    )
    serve_stacks: Annotated[int, Field(ge=1, le=64)] = Field(
        default=2, description="Stacks that a replica holds at once; the one used longest ago makes room."
    )
    serve_queue: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=32, description="Requests that wait or render at once; one more is refused at once."
    )
    serve_warm: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Models that are loaded before the first request: org/name, separated by commas.",
    )
    serve_use: Act = Field(
        default=Act.HOST_SERVICE_COMMERCIAL, description="The act that pictures on demand are judged for."
    )
    serve_kept: Annotated[float, Field(ge=0, le=1)] = Field(
        default=1.0,
        description="Share of served requests whose pictures stay; of the others only the record does.",
    )
    live_places: Annotated[int, Field(ge=0, le=256)] = Field(
        default=1, description="Live sessions at once, each with a process that renders; 0 means none."
    )
    live_gpus: Annotated[float, Field(ge=0, le=8)] = Field(
        default=0.0,
        description="GPUs that a live process has of its own; 0 shares the card of the replicas.",
    )
    live_fps: Annotated[float, Field(gt=0, le=120)] = Field(
        default=30.0, description="The most frames a second that a live session may ask for."
    )
    live_seconds: Annotated[float, Field(ge=1, le=86_400)] = Field(
        default=3600.0, description="How long a live session may last."
    )
    live_idle_seconds: Annotated[float, Field(ge=1, le=86_400)] = Field(
        default=300.0, description="How long a live session goes on without a word from its client."
    )
    live_grace_seconds: Annotated[float, Field(ge=0, le=600)] = Field(
        default=10.0, description="How long a live session waits for its client after the socket dropped."
    )
    live_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Pages elsewhere that may open a live session with a ticket: https://HOST, by commas.",
    )
    traces: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+(/\S*)?$",
        description="Where `rightstep serve` sends traces by OTLP over HTTP; needs the extra otel.",
    )
    secrets: Path | None = Field(
        default=None,
        description="A folder with settings as files, named like their variables in small letters, "
        "such as rightstep_database_url; a variable counts before its file.",
    )
    prefect_api_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+(/\S*)?$",
        description="The API of a Prefect server that stands elsewhere; one of our own by default.",
    )
    prefect_auth: SecretStr | None = Field(
        default=None,
        description="What that server asks for, NAME:SECRET: its PREFECT_SERVER_API_AUTH_STRING.",
    )
    ray_address: str | None = Field(
        default=None,
        pattern=r"^\S+:\d+$",
        description="A Ray that stands elsewhere and that this machine has joined, HOST:PORT, with its token "
        "in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH; one of our own by default.",
    )
    worker_start_seconds: Annotated[float, Field(ge=10, le=3600)] = Field(
        default=180.0,
        description="How long the workers of a job may take to stand; new machines take longer.",
    )
    prefect_start_seconds: Annotated[float, Field(ge=5, le=600)] = Field(
        default=120.0, description="How long a private Prefect server may take to answer."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it; we read no such file
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - its folder would be fixed in the code
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in code, then a variable, then a file of the folder of secrets."""
        files = SecretsSettingsSource(settings_cls, secrets_dir=os.environ.get(SECRETS) or None)
        return init_settings, env_settings, files

    @field_validator("model_folders", "territories", "serve_warm", "live_origins", mode="before")
    @classmethod
    def _from_one_variable(cls, given: Any, field: ValidationInfo) -> Any:
        """A variable is one text: it is split here, because nobody writes JSON into an environment."""
        if not isinstance(given, str):
            return given
        separator = os.pathsep if field.field_name == "model_folders" else ","
        return tuple(part.strip() for part in given.split(separator) if part.strip())

    @field_validator("devices", mode="before")
    @classmethod
    def _groups_from_text(cls, given: Any) -> Any:
        return read_fleet(given) if isinstance(given, str) else given

    @field_validator(
        "home",
        "catalogue",
        "contexts",
        "retention",
        "model_folders",
        "credentials_chain",
        "credentials_key",
        "secrets",
    )
    @classmethod
    def _absolute(cls, given: Any) -> Any:
        """Workers and servers run in folders of their own: a path must mean the same to all of them."""
        if isinstance(given, tuple):
            return tuple(Path(folder).expanduser().absolute() for folder in given)
        return given.expanduser().absolute() if isinstance(given, Path) else given

    @property
    def app_url(self) -> str:
        """The ledger's URL for everything but migrations."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home / 'ledger.sqlite3'}"

    @property
    def owner_url(self) -> str:
        """The ledger's URL for migrations."""
        return self.database_owner_url.get_secret_value() if self.database_owner_url else self.app_url

    @property
    def prefect_elsewhere(self) -> PrefectApi | None:
        """The Prefect server that is not ours, where one is set."""
        if self.prefect_api_url is None:
            return None
        auth = self.prefect_auth.get_secret_value() if self.prefect_auth else ""
        return PrefectApi(url=self.prefect_api_url.rstrip("/"), auth=auth)

    @property
    def artefacts(self) -> Path:
        """The artefact store, or what lies before one that is elsewhere."""
        return self.home / ("artefacts" if self.store is None else "artefact-cache")

    @property
    def node_models(self) -> ModelCacheOptions | None:
        """Where a node brings models to that it has not, and whom it asks; None where there is nobody."""
        return self.models_from(self.home / "models")

    @property
    def shipments(self) -> Path:
        return self.home / "shipments"

    @property
    def hub_cache(self) -> Path:
        """What was brought from a hub, in the Hub's own layout."""
        return self.home / "hub"

    @property
    def imported(self) -> Path:
        """Repositories whose pickles were converted here."""
        return self.home / "imported"

    @property
    def run_folder(self) -> Path:
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def checkpoints(self) -> Path:
        return self.home / "checkpoints"

    def key_file(self, name: str) -> Path:
        """Where the private half of an identity lies."""
        return self.keys / f"{name}.pem"

    def read_key(self, name: str) -> "SigningKey":
        """The key pair of an identity of this home; private halves are read here and nowhere else.

        FormatFault where it is none, or where others may read it.
        """
        from registry.evidence.keys import load_key

        return load_key(self.key_file(name))

    @property
    def for_children(self) -> dict[str, str]:
        """What a process that this one starts must be told, so that it opens the same house."""
        return {"RIGHTSTEP_HOME": str(self.home), "RIGHTSTEP_HUB_OFFLINE": str(self.hub_offline)}

    @property
    def groups(self) -> tuple[GroupSetting, ...]:
        """Workers by device, as they are to be started; one group unless a fleet is set."""
        if self.devices:
            return self.devices
        return (
            GroupSetting(
                device=self.device,
                workers=self.workers,
                threads=self.threads,
                price=self.price_per_device_hour,
                step=self.synthetic_seconds_per_step,
            ),
        )

    @property
    def fleet(self) -> Fleet:
        """What a night has to render on; cards of one class are one group, wherever they sit."""
        found: dict[str, DeviceGroup] = {}
        for group in self.groups:
            device = group.device_class(RendererKind(self.renderer))
            before = found.get(device)
            found[device] = DeviceGroup(
                workers=group.workers + (before.workers if before else 0),
                device=device,
                load_seconds=group.load,
                price_per_device_hour=self.price_per_device_hour if group.price is None else group.price,
            )
        return Fleet(groups=tuple(found.values()), currency=self.currency)

    @property
    def organisation_facts(self) -> Organisation:
        """Who uses, as far as it is known."""
        return Organisation(
            name=self.organisation,
            annual_revenue_usd=self.annual_revenue_usd,
            group_revenue_usd=self.group_revenue_usd,
            mau=self.mau,
            monthly_visits=self.monthly_visits,
            domicile=self.domicile,
            kind=self.organisation_kind,
        )


def load_settings() -> Settings:
    """Read the environment and the folder of secrets; WrongUse names the variable that is out of bounds."""
    folder = os.environ.get(SECRETS) or None
    if folder is not None and not Path(folder).is_dir():
        raise WrongUse(f"{SECRETS}: {folder} is no folder.", "Mount the secrets there, or unset it.")
    try:
        return Settings()
    except ValidationError as error:
        told = "; ".join(
            f"RIGHTSTEP_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()
        )
        raise WrongUse(
            f"The settings cannot be used: {told}.", "Correct or unset these variables."
        ) from error

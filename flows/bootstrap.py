"""The composition root: settings become a house, with every store and source that the steps use."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from flows.fitted_costs import KeptCosts
from flows.known_models import KeptShelf
from flows.settings import Settings
from flows.staging import reap
from policy.errors import StorageFault, UnknownName
from registry.catalogue import Catalogue, load_catalogue
from registry.components import claims_of
from registry.database import Engine, newest_version, open_database, schema_version, upgrade_database
from registry.hub_client import HubClient
from registry.hub_source import HubSource
from registry.known_registry import KeptRegistry
from registry.pin_builtin import load_builtin_pins
from registry.sources import DirectorySource, ModelSource, SourceListing, builtin_source
from registry.unit_of_work import unit_of_work
from workers.artefacts import ArtefactStore
from workers.shared_artefacts import open_artefacts

IMPORTED = "imported"  # the source of what was converted here


@dataclass(frozen=True, kw_only=True)
class House:
    """Everything a step needs, opened once a process."""

    settings: Settings
    catalogue: Catalogue
    engine: Engine
    sources: tuple[ModelSource, ...]
    hub: HubSource  # one of the sources
    store: ArtefactStore
    registry: KeptRegistry
    shelf: KeptShelf
    costs: KeptCosts
    clock: Callable[[], datetime]

    def acting_for(self, actor: str) -> "House":
        """The same house, with somebody else named in ledger and audit log."""
        return replace(self, settings=self.settings.model_copy(update={"actor": actor}))

    def source(self, name: str) -> ModelSource:
        """The source that a pin was read from; UnknownName where its folder is no longer configured."""
        for source in self.sources:
            if source.name == name:
                return source
        raise UnknownName(
            f"The model source {name} is not configured any more.",
            "Put its folder back into RIGHTSTEP_MODEL_FOLDERS, or pin the model again.",
        )


def now_utc() -> datetime:
    """The clock of a real house."""
    return datetime.now(UTC)


def open_house(settings: Settings, *, clock: Callable[[], datetime] = now_utc) -> House:
    """Open ledger, catalogue and sources; makes or upgrades the ledger, and pins the built-in models once.

    Shipments that a killed process left half-way are finished or removed.
    """
    try:
        for folder in (settings.home, settings.run_folder, settings.logs):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFault(
            f"The home {settings.home} cannot be used: {error.strerror}.",
            "Set RIGHTSTEP_HOME to a folder you may write.",
        ) from error
    engine = open_database(settings.app_url)
    if schema_version(engine) != newest_version():
        upgrade_database(settings.owner_url, settings.app_url)
    token = settings.hub_token
    hub = HubSource(
        settings.hub_cache,
        HubClient(endpoint=settings.hub_endpoint, token=None if token is None else token.get_secret_value()),
        is_offline=settings.hub_offline,
    )
    catalogue = load_catalogue(settings.catalogue)
    house = House(
        settings=settings,
        catalogue=catalogue,
        engine=engine,
        sources=(
            builtin_source(),
            *(DirectorySource(folder) for folder in settings.model_folders),
            DirectorySource(settings.imported, name=IMPORTED),
            hub,
        ),
        hub=hub,
        store=open_artefacts(settings.artefacts, settings.store_address, int(settings.store_gb * 1e9)),
        registry=KeptRegistry(catalogue.text_ids),
        shelf=KeptShelf(),
        costs=KeptCosts(catalogue.costs),
        clock=clock,
    )
    _pin_builtin_models(house)
    reap(engine, settings.shipments)
    return house


def _pin_builtin_models(house: House) -> None:
    """Record the pins that came with the installation: as they were shipped, not as they are found here."""
    shipped = load_builtin_pins()
    with unit_of_work(house.engine, read_only=True) as work:
        known = {record.pin.pin_id for record in work.models.pins()}
    missing = [pin for pin in shipped if pin.pin_id not in known]
    if not missing:
        return
    source = house.sources[0]
    listings = {pin.repo: source.listing(pin.repo) for pin in missing}
    with unit_of_work(house.engine) as work:
        for pin in missing:
            listing = listings[pin.repo]
            work.models.save_pin(
                pin,
                source=source.name,
                claims=claims_of(listing),
                texts=texts_of(listing),
                actor="installation",
                now=house.clock(),
            )
        work.commit()


def texts_of(listing: SourceListing) -> tuple[bytes, ...]:
    """The licence texts of a listing, as bytes to archive."""
    return tuple(body for _, body in listing.licence_files)

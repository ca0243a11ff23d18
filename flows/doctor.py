"""Is this house fit to work tonight? Every check reads, none repairs."""

import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from flows.auditing import audit_check
from flows.bootstrap import House
from flows.contexts import find_context
from flows.doctor_findings import Finding, FindingState, finding, judged
from flows.listeners import listeners_of
from flows.planning import known_costs, today
from flows.safeguards import SAFEGUARDS
from flows.standing_house import status
from flows.stocktaking import verify_models
from policy.errors import RightstepError
from policy.wording import plural
from registry.database import newest_version, schema_version
from workers.object_stores import ObjectStore
from workers.processes import OwnProcess, descendants, read_record

LIBRARIES = ("torch", "diffusers", "transformers", "peft", "safetensors", "ray", "prefect", "sqlalchemy")
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*==\s*([^,;\s]+)\s*$")  # not those of an extra
ENOUGH_DISK = 1 << 30  # bytes
DASHBOARD_PORT = 8265
HOW_TO_SAY = (
    "Set RIGHTSTEP_ORGANISATION and RIGHTSTEP_ANNUAL_REVENUE_USD, or describe your contexts in a file."
)


Check = Callable[[House], Iterator[Finding]]


def doctor(house: House) -> tuple[Finding, ...]:
    """Run every check, in order; a check that itself fails is a problem."""
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check(house)
        except (RightstepError, OSError) as error:
            told = error.message if isinstance(error, RightstepError) else str(error)
            step = error.next_step if isinstance(error, RightstepError) else "Check that file or folder."
            name = check.__name__.replace("_", " ")
            found.append(finding(name, FindingState.PROBLEM, told, step))
    return tuple(found)


def python_is_new_enough(_house: House) -> Iterator[Finding]:
    """Python 3.11 or later."""
    known = ".".join(str(part) for part in sys.version_info[:3])
    yield judged("python", known, "Install Python 3.11 or later.", is_good=sys.version_info >= (3, 11))


def libraries_are_there(_house: House) -> Iterator[Finding]:
    """Everything that a render imports, without importing it."""
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    told = f"missing: {', '.join(missing)}" if missing else f"{len(LIBRARIES)} found"
    yield judged("libraries", told, "Install rightstep again, with constraints.txt.", is_good=not missing)


def pinned_versions_are_installed(_house: House) -> Iterator[Finding]:
    """Libraries whose exact version was tried: another may move the bits of a picture, or break Prefect."""
    pins = [match.groups() for line in requires("rightstep") or () if (match := PINNED.match(line))]
    differing = [
        f"{name} {found} for {wanted}"
        for name, wanted in pins
        if not is_version((found := _version_of(name)), wanted)
    ]
    yield Finding(
        check="versions",
        state=FindingState.WARNING if differing else FindingState.OK,
        detail="; ".join(differing) or f"{len(pins)} pinned libraries as tried",
        next_step="Install with: pip install -c constraints.txt rightstep." if differing else "",
    )


def is_version(found: str, wanted: str) -> bool:
    """Whether an installed version is the pinned one: ``+cpu`` a build of it, ``2.60.*`` a family."""
    plain = found.partition("+")[0]
    return plain.startswith(wanted[:-1]) if wanted.endswith(".*") else plain == wanted


def the_home_is_writable(house: House) -> Iterator[Finding]:
    """Ledger, artefacts and logs go there."""
    home = house.settings.home
    is_good = os.access(home, os.W_OK | os.X_OK)
    yield judged("home", str(home), "Set RIGHTSTEP_HOME to a folder you may write.", is_good=is_good)


def there_is_room(house: House) -> Iterator[Finding]:
    """Free disk where artefacts go."""
    free = house.store.free_bytes()
    state = FindingState.OK if free >= ENOUGH_DISK else FindingState.WARNING
    step = "" if free >= ENOUGH_DISK else "Make room, or move RIGHTSTEP_HOME."
    yield finding("disk", state, f"{free / 1e9:,.1f} GB free", step)


def the_store_answers(house: House) -> Iterator[Finding]:
    """The object store, where one is set."""
    address = house.settings.store_address
    if address is not None:
        ObjectStore(address).ask()
        yield finding("store", FindingState.OK, address.url, "")


def the_ledger_is_current(house: House) -> Iterator[Finding]:
    """The schema of this version."""
    found, wanted = schema_version(house.engine), newest_version()
    yield judged("ledger", f"schema {found}", "Run: rightstep db upgrade.", is_good=found == wanted)


def the_audit_log_holds(house: House) -> Iterator[Finding]:
    """Every hash as it was written, every guard in place."""
    check = audit_check(house)
    told = f"{check.rows:,} events. {check.detail}".strip()
    yield judged("audit log", told, "Find out who wrote past Rightstep.", is_good=check.ok)


def models_are_as_pinned(house: House) -> Iterator[Finding]:
    """Every pinned file, hashed again."""
    for check in verify_models(house):
        told = "; ".join(fault.detail for fault in check.faults) or f"{check.files} files as pinned"
        step = "Install rightstep again, or fetch and pin this model again."
        yield judged(f"model {check.repo}", told, step, is_good=not check.faults)


def services_stand(house: House) -> Iterator[Finding]:
    """The standing house, whole or not at all; without it, a job starts private services."""
    services = status(house).services
    is_any_up = any(service.is_up or service.pid is not None for service in services)
    for service in services:
        is_good = service.is_up or not is_any_up
        state = FindingState.OK if is_good else FindingState.WARNING
        step = "" if is_good else "Run: rightstep up."
        yield finding(f"service {service.name}", state, service.detail, step)


def nothing_was_left_running(house: House) -> Iterator[Finding]:
    """Processes of a driver that is gone; the next start ends them."""
    stale = [
        f"{process.name} {process.pid}"
        for path in _records(house.settings.home)
        if (record := read_record(path)) is not None and not record.owner.is_alive
        for process in record.processes
        if process.is_alive
    ]
    state = FindingState.WARNING if stale else FindingState.OK
    step = "Run: rightstep down; the next render ends the rest." if stale else ""
    yield finding("left running", state, ", ".join(stale) or "nothing", step)


def doors_are_closed(house: House) -> Iterator[Finding]:
    """What we started listens on this machine alone, and has no dashboard: it would run anybody's code."""
    listeners = [one for process in _own_processes(house.settings.home) for one in listeners_of(process.pid)]
    outside = sorted({f"port {one.port} of {one.address}" for one in listeners if not one.is_loopback})
    state = FindingState.PROBLEM if outside else FindingState.OK
    step = "Run: rightstep down, and close these ports." if outside else ""
    told = ", ".join(outside) or f"{len(listeners)} ports, on loopback alone"
    yield finding("open doors", state, told, step)
    is_open = any(one.port == DASHBOARD_PORT for one in listeners)
    yield Finding(
        check="ray dashboard",
        state=FindingState.WARNING if is_open else FindingState.OK,
        detail=f"port {DASHBOARD_PORT} is {'open' if is_open else 'not ours'}",
        next_step="Run: rightstep down; no Ray of ours needs a dashboard." if is_open else "",
    )


def the_fleet_is_known(house: House) -> Iterator[Finding]:
    """Who renders tonight, by device, and whether plans know what it costs there."""
    measured = {profile.key.device for profile in known_costs(house)}
    told: list[str] = []
    for group in house.settings.fleet.in_order.groups:
        basis = "" if group.device in measured else ", costs guessed until some are measured"
        told.append(f"{plural(group.workers, 'worker')} of {group.device}{basis}")
    yield finding("fleet", FindingState.OK, "; ".join(told), "")


def the_organisation_is_known(house: House) -> Iterator[Finding]:
    """Licences with a revenue cap cannot be judged without it, nor those that ask by figures of long ago."""
    known = find_context(house.settings, "", today(house))
    who, context = known.organisation, known.context
    is_known = bool(who.name) and who.annual_revenue_usd is not None
    is_good = is_known and not context.is_outdated(today(house))
    told = who.name if is_known else "not known: licences that ask for revenue will need review"
    told += f", figures of {context.as_of}" if is_known and context.as_of else ""
    step = f"Confirm the figures of the context {context.name}, and their day." if is_known else HOW_TO_SAY
    state = FindingState.OK if is_good else FindingState.WARNING
    yield finding("organisation", state, told, "" if is_good else step)


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _records(home: Path) -> tuple[Path, ...]:
    """Every record of processes in a home."""
    return (*sorted((home / "run").glob("*.json")), *sorted((home / "ray").glob("*.json")))


def _own_processes(home: Path) -> Iterator[OwnProcess]:
    """What the records name, and what runs below it."""
    for path in _records(home):
        record = read_record(path)
        for process in record.processes if record is not None else ():
            if process.is_alive:
                yield process
                yield from descendants(process.pid)


CHECKS: tuple[Check, ...] = (
    python_is_new_enough,
    libraries_are_there,
    pinned_versions_are_installed,
    the_home_is_writable,
    there_is_room,
    the_store_answers,
    the_ledger_is_current,
    the_audit_log_holds,
    models_are_as_pinned,
    services_stand,
    nothing_was_left_running,
    doors_are_closed,
    *SAFEGUARDS,
    the_fleet_is_known,
    the_organisation_is_known,
)

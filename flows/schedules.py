"""Orders that come round: one file each under the home, fired by the standing house while it is up.

The files are what lasts; the server's schedules are made from them at every start, and kept
in step while it is up.
"""

import difflib
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path

from flows.bootstrap import House
from flows.cron_times import next_time, parse_cron, parse_zone
from flows.manifest_files import load_manifest
from flows.prefect_requests import OVERNIGHT, PrefectApi, ask, deployment_of
from flows.prefect_server import standing_server
from flows.settings import Settings
from flows.standing_house import flows_are_served
from policy.errors import FormatFault, StorageFault, UnknownName
from policy.uses import Act


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSchedule:
    """A schedule as its file holds it."""

    name: str
    manifest: str  # absolute path: the file is read anew every night
    cron: str
    timezone: str  # IANA zone
    use: Act | None

    @property
    def parameters(self) -> dict[str, str | None]:
        """What the overnight flow is called with."""
        return {"manifest_path": self.manifest, "use": None if self.use is None else self.use.value}


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleRecord:
    """A schedule, with when it runs next and whether anything is up to fire it."""

    name: str
    manifest: str  # absolute path
    cron: str
    timezone: str  # IANA zone
    use: Act | None  # the use instead of the manifest's own
    next_run: datetime | None  # UTC; null where the date never comes
    will_fire: bool  # the standing house is up


def add_schedule(
    house: House, manifest_path: Path, *, cron: str, timezone: str | None = None, use: Act | None = None
) -> ScheduleRecord:
    """Keep a schedule, and hand it to the standing house where that is up.

    The manifest must be readable now, and is read again each time. The same order at the same
    times is kept once. Wrong times are WrongUse.
    """
    parse_cron(cron)
    path = manifest_path.expanduser().absolute()
    manifest = load_manifest(path, now=house.clock())
    zone = timezone or manifest.timezone
    parse_zone(zone)
    home = house.settings.home
    known = load_schedules(home)
    draft = StoredSchedule(
        name=_free_name(manifest.name, {one.name for one in known}),
        manifest=str(path),
        cron=" ".join(cron.split()),
        timezone=zone,
        use=use,
    )
    made = next((one for one in known if replace(one, name=draft.name) == draft), draft)
    _write(home, made)
    _hand_over(house.settings, made)
    return _record(house, made)


def list_schedules(house: House) -> tuple[ScheduleRecord, ...]:
    """Every schedule, by name."""
    return tuple(_record(house, one) for one in load_schedules(house.settings.home))


def remove_schedule(house: House, name: str) -> ScheduleRecord:
    """Forget a schedule and what it had planned; jobs that it started go on. Unknown: UnknownName."""
    home = house.settings.home
    known = {one.name: one for one in load_schedules(home)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        raise UnknownName(
            f"There is no schedule {name!r}.",
            f"Did you mean {' or '.join(near)}?" if near else "Look at: rightstep schedule list.",
        )
    if (place := _place(house.settings)) is not None:
        _withdraw(*place, name)
    _file_of(home, name).unlink(missing_ok=True)
    return replace(_record(house, known[name]), next_run=None, will_fire=False)


def load_schedules(home: Path) -> tuple[StoredSchedule, ...]:
    """The stored schedules, by name; FormatFault where a file is not what it claims to be."""
    paths = sorted((home / "schedules").glob("*.json"), key=lambda path: path.stem)
    return tuple(map(_read, paths))


def _read(path: Path) -> StoredSchedule:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return StoredSchedule(
            name=path.stem,
            manifest=str(content["manifest"]),
            cron=str(content["cron"]),
            timezone=str(content["timezone"]),
            use=None if content["use"] is None else Act(content["use"]),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise FormatFault(f"{path} is not a schedule: {error}.", "Remove it and add it again.") from error


def _write(home: Path, made: StoredSchedule) -> None:
    """One rename: a start that reads the folder finds the whole schedule or none."""
    path = _file_of(home, made.name)
    draft = path.with_suffix(".part")
    content = {"manifest": made.manifest, "cron": made.cron, "timezone": made.timezone, "use": made.use}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise StorageFault(
            f"The schedule cannot be kept in {path.parent}: {error.strerror}.",
            "Make room, or make the folder writable.",
        ) from error


def _hand_over(settings: Settings, made: StoredSchedule) -> None:
    """Give a schedule to the standing server, in the place of what bears its name."""
    if (place := _place(settings)) is None:
        return  # nothing is up, or it is starting and will read the file
    api, deployment = place
    _withdraw(api, deployment, made.name)
    times = {"cron": made.cron, "timezone": made.timezone}
    body = {"schedule": times, "active": True, "parameters": made.parameters, "slug": made.name}
    ask(api, "POST", f"/deployments/{deployment}/schedules", [body])


def _withdraw(api: PrefectApi, deployment: str, name: str) -> None:
    """Take a schedule back, with the runs that it has planned."""
    for one in ask(api, "GET", f"/deployments/{deployment}/schedules") or ():
        if one["slug"] == name:
            ask(api, "DELETE", f"/deployments/{deployment}/schedules/{one['id']}")


def _place(settings: Settings) -> tuple[PrefectApi, str] | None:
    """The server and the id of its overnight deployment; None where no house is up."""
    server = standing_server(settings)
    deployment = None if server is None else deployment_of(server, OVERNIGHT)
    return None if server is None or deployment is None else (server, str(deployment["id"]))


def _record(house: House, one: StoredSchedule) -> ScheduleRecord:
    next_run = next_time(parse_cron(one.cron), parse_zone(one.timezone), house.clock())
    return ScheduleRecord(
        name=one.name,
        manifest=one.manifest,
        cron=one.cron,
        timezone=one.timezone,
        use=one.use,
        next_run=next_run,
        will_fire=next_run is not None and flows_are_served(house.settings),
    )


def _file_of(home: Path, name: str) -> Path:
    return home / "schedules" / f"{name}.json"


def _free_name(wished: str, taken: set[str]) -> str:
    """A name for a file and a slug: the manifest's in plain letters, numbered where it is taken."""
    plain = re.sub(r"[^a-z0-9]+", "-", wished.casefold()).strip("-")[:60] or "night"
    numbered = (plain if number == 1 else f"{plain}-{number}" for number in count(1))
    return next(name for name in numbered if name not in taken)

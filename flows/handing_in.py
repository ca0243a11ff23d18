"""The one way in: an order from the command line, HTTP, a schedule or an event becomes a job, once.

A trigger brings how to read its order, what is said over it, and perhaps a key of its own. The same key
of the same client is the same job for as long as that job is kept; without a key, the same unfinished
order is one job.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flows.bootstrap import House
from flows.manifest_files import load_manifest
from flows.planning import Overrides, apply_overrides, plan_manifest
from flows.stages import stage
from flows.submitting import job_of_request, refuse_order, submit_plan
from policy.canonical import digest
from policy.errors import ManifestRejected, WrongUse
from policy.manifest import RenderManifest
from policy.plan import ExecutionPlan, PlanRefusal
from policy.refusals import is_wrong_order
from registry.records import JobRecord
from registry.requests import RequestKey

LOCAL = "local"  # whose keys those are that come from this machine's command line, or over HTTP without a key
EVENTS = "event"  # whose keys those are that come with an event
LONGEST_KEY = 255
# Content type, and the ending of the file that it would be.
FORMATS: dict[str, str] = {
    "application/json": ".json",
    "application/toml": ".toml",
    "application/yaml": ".yaml",
    "application/x-ndjson": ".jsonl",
    "text/csv": ".csv",
}
MEDIA_TYPES = {ending: media_type for media_type, ending in FORMATS.items()} | {".yml": "application/yaml"}

OnPlan = Callable[[ExecutionPlan], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenOrder:
    """An order as a trigger brings it; it is read only where it is not known yet."""

    read: Callable[[], RenderManifest]
    overrides: Overrides
    request: RequestKey | None = None  # under which it may come again


@stage("plan")
def hand_in(house: House, order: GivenOrder, on_plan: OnPlan | None = None) -> JobRecord | PlanRefusal:
    """Plan an order, ask the gate and submit it; a request that came before is the job that it made.

    What may not be is audited once; what cannot be meant is only answered. RequestKeyReused where
    the key stands for another order. ``on_plan`` sees the plan before anything is written.
    """
    made = None if order.request is None else job_of_request(house, order.request)
    if made is not None:
        return made
    manifest = order.read()
    outcome = plan_manifest(house, manifest, order.overrides)
    if isinstance(outcome, PlanRefusal):
        if not is_wrong_order(outcome):
            refuse_order(house, apply_overrides(house, manifest, order.overrides), outcome)
        return outcome
    if on_plan is not None:
        on_plan(outcome)
    return submit_plan(house, outcome, order.request)


def order_of_file(
    house: House, path: Path, overrides: Overrides, *, client: str = LOCAL, key: str | None = None
) -> GivenOrder:
    """An order that lies in a file, read as it is when it is handed in."""
    request = None
    if key is not None:
        if not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
            raise WrongUse(
                "An idempotency key is 1 to 255 printable ASCII characters.",
                "Name what the order is for, such as shot-12-take-3.",
            )
        request = RequestKey(client=client, key=key, fingerprint=_fingerprint_of_file(path, overrides))
    return GivenOrder(
        read=lambda: load_manifest(path, now=house.clock()), overrides=overrides, request=request
    )


def fingerprint(media_type: str, body_sha256: str, said: Overrides) -> str:
    """What makes two requests the same request: the very bytes, and everything that is said over them."""
    return digest(
        "http-order",
        {
            "media_type": media_type,
            "body": body_sha256,
            "tier": said.tier,
            "deadline": said.deadline,
            "use": said.use,
            "context": said.context,
        },
    )


def _fingerprint_of_file(path: Path, overrides: Overrides) -> str:
    """As if the file were sent over HTTP, so that the same order has one key on both ways."""
    try:
        with path.open("rb") as file:
            body = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ManifestRejected(
            f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error
    return fingerprint(MEDIA_TYPES.get(path.suffix.lower(), ""), body, overrides)

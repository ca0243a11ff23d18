"""What a kit tells of the registry, as JSON-ready values: stacks, shipments, signed approvals."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select

from policy.codec import encode
from policy.identities import Identity
from registry import tables
from registry.instants import instant_text
from registry.shipment_records import ShipmentRecord


def stacks_told(connection: Connection, stack_ids: Iterable[str]) -> dict[str, Any]:
    """Every stack with its parts and the digest of every file: by which exact bytes something was made."""
    told: dict[str, Any] = {}
    for stack_id in sorted(set(stack_ids)):
        stack = (
            connection.execute(select(tables.stacks).where(tables.stacks.c.stack_id == stack_id))
            .mappings()
            .one()
        )
        parts = connection.execute(
            select(tables.stack_parts)
            .where(tables.stack_parts.c.stack_id == stack_id)
            .order_by(tables.stack_parts.c.position)
        ).mappings()
        told[stack_id] = {
            "name": stack["name"],
            "pipeline": stack["pipeline"],
            "dtype": stack["dtype"],
            "parts": [_part(connection, dict(part)) for part in parts.all()],
        }
    return told


def _part(connection: Connection, part: dict[str, Any]) -> dict[str, Any]:
    kept = tables.stack_files.c
    files = connection.execute(
        select(kept.path, kept.sha256)
        .where(kept.stack_id == part["stack_id"], kept.position == part["position"])
        .order_by(kept.path)
    )
    told = {name: part[name] for name in ("pin_id", "repo", "revision", "role", "scale")}
    return {**told, "files": [[path, sha256] for path, sha256 in files]}


def shipment_told(shipment: ShipmentRecord) -> dict[str, Any]:
    """A shipment without its recipients, whose names are kept where they can be erased."""
    told = encode(shipment)
    for name in ("recipients", "labels", "owner"):
        del told[name]
    for item in told["items"]:
        del item["recipient"]
    return {**told, "shipped_at": instant_text(shipment.shipped_at)}


def identity_told(identity: Identity) -> dict[str, Any]:
    """A public half with its name."""
    return {
        "key_id": identity.key_id,
        "name": identity.name,
        "role": identity.role.value,
        "public": identity.public,
        "valid_from": instant_text(identity.valid_from),
        "valid_until": None if identity.valid_until is None else instant_text(identity.valid_until),
        "revoked_at": None if identity.revoked_at is None else instant_text(identity.revoked_at),
    }

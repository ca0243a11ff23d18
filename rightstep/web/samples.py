"""One answer of each shape, for the OpenAPI document; a test holds each against its schema."""

from typing import Any

JOB: dict[str, Any] = {
    "job_id": "20260131-0123abcd",
    "name": "two-foxes",
    "state": "running",
    "detail": "",
    "tier": "batch",
    "deadline": None,
    "owner": "studio",
    "actor": "studio",
    "act": "ship_output_commercial",
    "labels": {},
    "recipients": [],
    "plan_hash": "6f1c" * 16,
    "policy_version": "1",
    "max_failed_shots": None,
    "priority": 0,
    "submitted_at": "2026-01-31T19:00:00Z",
    "started_at": "2026-01-31T19:00:04Z",
    "ended_at": None,
    "counts": {
        "queued": 0,
        "leased": 1,
        "done": 1,
        "reused": 0,
        "dead": 0,
        "cancelled": 0,
        "eaten": 0,
        "failed_takes": 0,
        "shots": 2,
        "made": 1,
    },
    "attached": False,
}
SHOT: dict[str, Any] = {
    "ordinal": 0,
    "name": "fox-a",
    "shot_key": "a07d" * 16,
    "prompt": "a flat fox",
    "negative": "",
    "seed": 1,
    "width": 64,
    "height": 64,
    "frames": 1,
    "priority": 0,
    "state": "done",
    "attempts": 1,
    "seconds": 0.61,
    "detail": "",
    "artefact": {
        "sha256": "3b9e" * 16,
        "size": 5310,
        "media_type": "image/png",
        "made_at": "2026-01-31T19:00:05Z",
    },
}
MODEL: dict[str, Any] = {
    "id": "rightstep/emoji-64",
    "object": "model",
    "created": 1769886000,
    "owned_by": "rightstep",
    "rightstep": {
        "revision": "0f" * 20,
        "act": "ship_output_commercial",
        "verdict": {"ruling": "permit", "reasons": [], "obligations": []},
    },
}

PICTURES = {
    "created": 1769886000,
    "data": [{"b64_json": "iVBORw0KGgo="}],
    "output_format": "png",
    "size": "64x64",
    "rightstep": {
        "job_id": "20260131-0123abcd",
        "shipment_id": "ship-20260131-0123abcd",
        "plan_hash": "a" * 64,
        "stack_id": "b" * 64,
        "method": "emoji-64-lcm",
        "steps": 4,
        "is_degraded": False,
        "kept": True,
        "seeds": [7],
        "seconds": 0.2,
        "queue_seconds": 0.0,
        "load_seconds": 0.0,
        "batch_pictures": 1,
        "reused": 0,
        "quality": 0.957,
        "sha256": ["c" * 64],
    },
}
SAMPLES: dict[str, dict[str, Any]] = {
    "Health": {"status": "ok"},
    "Readiness": {
        "is_ready": True,
        "checks": [
            {"check": "ledger", "is_ready": True, "detail": "answers, with the schema of this version"}
        ],
    },
    "JobAnswer": JOB,
    "JobPage": {"jobs": [JOB], "after": None},
    "ShotPage": {"shots": [SHOT], "after": None},
    "Model": MODEL,
    "ModelList": {"object": "list", "data": [MODEL]},
    "Pictures": PICTURES,
    "LiveTicket": {"ticket": "p3Yk1n0dGq0m5nIhXw2v8rJtB7sLc4eUa9oZfKx6MdQ", "seconds": 30.0},
}

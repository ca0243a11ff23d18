"""Digests of a manifest and of a plan, fast enough for a hundred thousand shots.

The general canonical form walks every field of every shot; here a shot's canonical text
is written directly (a test holds it equal to the general form), so that the digest of a
large plan costs a fraction of making it. Places in a file are left out: the same order
read from another file is the same order.
"""

from dataclasses import fields
from itertools import chain

from policy.canonical import canonical_json, decimal_text, digest, digest_text
from policy.limits import Limits
from policy.manifest import RenderManifest, Shot
from policy.plan import POLICY_VERSION, Decision, PlannedBatch, PlannedShot
from policy.shot_keys import text


def manifest_digest(manifest: RenderManifest) -> str:
    """Digest of everything that was ordered; where it was read from is not part of it."""
    head = {
        field.name: getattr(manifest, field.name)
        for field in fields(RenderManifest)
        if field.name not in {"shots", "source", "service", "limits"}
    }
    if manifest.limits != Limits():  # an order without any is the order it was before there were any
        head["limits"] = manifest.limits
    head["service"] = _service(manifest)
    return digest_text("manifest", "\n".join(chain([canonical_json(head)], map(shot_text, manifest.shots))))


def _service(manifest: RenderManifest) -> dict[str, object]:
    service = manifest.service
    return {
        "tier": service.tier,
        "deadline": service.deadline,
        "latency_target_s": None if service.latency_target_s is None else float(service.latency_target_s),
        "quality_floor": float(service.quality_floor),
        "may_approximate": service.may_approximate,
        "may_degrade": service.may_degrade,
    }


def shot_text(shot: Shot) -> str:
    """The canonical JSON of a shot, without its place in a file; numbers count by value, so 1 is 1.0.

    A frame rate that is not asked for is left out, as it was before one could be.
    """
    loras = ",".join(
        f'{{"repo":{text(lora.repo)},"scale":"{decimal_text(float(lora.scale))}"}}' for lora in shot.loras
    )
    inputs = ",".join(
        f'{{"path":{text(shown.path)},"rights":{text(shown.rights)},"role":{text(shown.role)},"sha256":{text(shown.sha256)}}}'
        for shown in shot.inputs
    )
    fps = "" if shot.fps is None else f'"fps":"{decimal_text(float(shot.fps))}",'
    guidance = "null" if shot.guidance is None else f'"{decimal_text(float(shot.guidance))}"'
    return (
        f'{{{fps}"frames":{shot.frames},"guidance":{guidance},"height":{shot.height},"inputs":[{inputs}],'
        f'"loras":[{loras}],"method":{"null" if shot.method is None else text(shot.method)},'
        f'"model":{text(shot.model)},"name":{text(shot.name)},"negative":{text(shot.negative)},'
        f'"priority":{shot.priority},"prompt":{text(shot.prompt)},"seed":{shot.seed},'
        f'"steps":{"null" if shot.steps is None else shot.steps},'
        f'"weight":"{decimal_text(float(shot.weight))}","width":{shot.width}}}'
    )


def plan_digest(
    manifest: RenderManifest,
    decisions: tuple[Decision, ...],
    shots: tuple[PlannedShot, ...],
    batches: tuple[PlannedBatch, ...],
) -> str:
    """Digest of a whole plan: order, choices, keys and composition; never the time it was made."""
    return digest(
        "plan",
        {
            "policy_version": POLICY_VERSION,
            "manifest": manifest_digest(manifest),
            "decisions": [decision.decision_id for decision in decisions],
            "shots": digest_text(
                "planned-shots", "\n".join(f"{shot.decision} {shot.shot_key}" for shot in shots)
            ),
            "batches": digest_text(
                "planned-batches",
                "\n".join(f"{batch.decision} {' '.join(map(str, batch.shots))}" for batch in batches),
            ),
        },
    )

"""One statement a take, kept beside its artefact: what it was made from, as an in-toto Statement v1."""

from datetime import datetime
from pathlib import PurePath

from policy.canonical import canonical_json
from policy.tasks import ArtefactRef, RenderTask, ShotTask

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:rightstep:take:v1"


def make_statement(
    *,
    artefact: ArtefactRef,
    beside: tuple[ArtefactRef, ...] = (),
    shot: ShotTask,
    task: RenderTask,
    loaded: tuple[tuple[str, str], ...],
    versions: tuple[tuple[str, str], ...],
    worker: str,
    now: datetime,
) -> bytes:
    """The canonical bytes of the statement; ``loaded`` names every file as it was hashed on the worker.

    ``beside`` are further files of the take: the sound of a clip.

    The prompt stays in the ledger: the statement may travel with the file, so prompt and
    seed appear as digests whose salt is in the ledger too, and goes when they are erased.
    """
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": PurePath(made.path).name, "digest": {"sha256": made.sha256}}
                for made in (artefact, *beside)
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {
                        "shot_key": shot.shot_key,
                        "prompt_digest": shot.prompt_digest,
                        "seed_digest": shot.seed_digest,
                        "width": task.width,
                        "height": task.height,
                        "frames": task.frames,
                        **({} if task.fps is None else {"fps": float(task.fps)}),
                    },
                    "internalParameters": {
                        "stack": task.load.stack.name,
                        "stack_id": task.load.stack.stack_id,
                        "dtype": task.load.stack.dtype,
                        "fused": task.load.fuse,
                        "preset": task.preset,
                        "preset_version": task.preset_version,
                        "scheduler": task.scheduler.class_name,
                        "steps": task.steps,
                        "guidance": dict(task.guidance),
                        "call": dict(task.call),
                        "batch": [other.shot_key for other in task.shots],
                    },
                    "resolvedDependencies": [
                        {"name": name, "digest": {"sha256": sha256}} for name, sha256 in loaded
                    ],
                },
                "runDetails": {
                    "builder": {"id": f"urn:rightstep:worker:{worker}", "version": dict(versions)},
                    "metadata": {"invocationId": shot.take_id, "finishedOn": now, **dict(task.provenance)},
                },
            },
        }
    ).encode()

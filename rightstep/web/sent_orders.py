"""Orders as they come over HTTP: a manifest by its content type, and what a request says over it."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from pydantic import Field, TypeAdapter

from flows.bootstrap import House
from flows.handing_in import FORMATS, fingerprint
from flows.manifest_fields import ManifestFields, ShotFields
from flows.manifest_files import parse_manifest
from flows.steps import Overrides
from policy.errors import ManifestRejected
from policy.manifest import RenderManifest
from policy.tiers import ServiceTier
from policy.uses import Act
from rightstep.web.kinds import MEDIA_TYPE
from rightstep.web.problems import Failed, Trouble

EXAMPLE: dict[str, Any] = {
    "name": "two-foxes",
    "defaults": {"model": "rightstep/emoji-64"},
    "shots": [
        {"name": "fox-a", "prompt": "a flat fox", "seed": 1},
        {"name": "fox-b", "prompt": "a 3d fox", "seed": 2},
    ],
}
EXAMPLE_TEXTS = {
    "application/toml": """name = "two-foxes"

[defaults]
model = "rightstep/emoji-64"

[[shots]]
name = "fox-a"
prompt = "a flat fox"
""",
    "application/yaml": """name: two-foxes
defaults: {model: rightstep/emoji-64}
shots:
  - {name: fox-a, prompt: a flat fox}
""",
    "application/x-ndjson": """{"manifest": {"name": "two-foxes"}}
{"name": "fox-a", "prompt": "a flat fox", "model": "rightstep/emoji-64"}
""",
    "text/csv": """name,prompt,model
fox-a,a flat fox,rightstep/emoji-64
""",
}


class Manifest(ManifestFields):
    """An order: what holds for all of it, and its shots. Input files cannot be sent along yet."""

    defaults: Annotated[dict[str, Any], Field(default_factory=dict)]
    shots: Annotated[tuple[ShotFields, ...], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class SentOrder:
    """A body that was read, and what its request says over it; nothing is parsed yet."""

    media_type: str
    body: bytes
    overrides: Overrides

    @property
    def fingerprint(self) -> str:
        """What makes two requests the same request."""
        return fingerprint(self.media_type, hashlib.sha256(self.body).hexdigest(), self.overrides)

    def read(self, house: House) -> RenderManifest:
        """The order; ManifestRejected with line or field where it is none."""
        name = f"manifest{FORMATS[self.media_type]}"
        try:
            text = self.body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ManifestRejected(
                f"{name} is not UTF-8 text: byte {error.start}.", "Send the manifest as UTF-8."
            ) from error
        return parse_manifest(text, name, now=house.clock())


Context = Annotated[
    str | None,
    Query(description="In which context of the house the use is meant.", min_length=1, max_length=63),
]


async def sent_order(
    request: Request,
    tier: Annotated[ServiceTier | None, Query(description="Another tier than the manifest's.")] = None,
    deadline: Annotated[
        str | None,
        Query(description="ISO time, or HH:MM in the manifest's zone.", max_length=64, examples=["08:00"]),
    ] = None,
    use: Annotated[Act | None, Query(description="Another intended use than the manifest's.")] = None,
    context: Context = None,
) -> SentOrder:
    """The dependency that reads the body, once its content type is known."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in FORMATS:
        raise Failed(
            Trouble(
                kind=MEDIA_TYPE,
                detail=f"An order does not come as {media_type or 'a body without a content type'}.",
                next_step=f"Send one of: {', '.join(FORMATS)}.",
                headers={"Accept-Post": ", ".join(FORMATS)},
            )
        )
    overrides = Overrides(tier=tier, deadline=deadline, use=use, context=context)
    return SentOrder(media_type=media_type, body=await request.body(), overrides=overrides)


Order = Annotated[SentOrder, Depends(sent_order)]


def manifest_schemas(template: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of a manifest as JSON, and the parts that it refers to by ``template``."""
    schema = TypeAdapter(Manifest).json_schema(ref_template=template)
    parts: dict[str, Any] = schema.pop("$defs")
    parts.pop("InputFields")
    shot = parts["ShotFields"]
    fields = shot["properties"]
    fields.pop("inputs")
    lora = {"anyOf": [fields["loras"]["items"], {"type": "string", "description": "`org/name@0.8`"}]}
    fields["loras"] = {"type": "array", "items": lora, "default": []}
    shot["required"] = ["name"]  # the others may stand in the defaults
    without = {key: value for key, value in shot.items() if key != "required"}
    parts["ShotDefaults"] = {**without, "title": "ShotDefaults", "description": "Holds for every shot."}
    schema["properties"]["defaults"] = {"$ref": template.format(model="ShotDefaults")}
    return schema, parts


def request_body() -> dict[str, Any]:
    """The body of an order for the document: one manifest, five formats."""
    contents: dict[str, Any] = {
        "application/json": {"schema": {"$ref": "#/components/schemas/Manifest"}, "example": EXAMPLE}
    }
    for media_type, text in EXAMPLE_TEXTS.items():
        contents[media_type] = {"schema": {"type": "string"}, "example": text}
    return {"requestBody": {"required": True, "description": "A manifest.", "content": contents}}

"""Options and arguments that several commands share, each described once."""

from pathlib import Path
from typing import Annotated

import typer

from policy.clips import VideoKind
from policy.tiers import ServiceTier
from policy.uses import Act

AsJson = Annotated[bool, typer.Option("--json", help="Print the data as JSON on stdout.")]

Manifest = Annotated[
    Path,
    typer.Argument(
        metavar="MANIFEST", help="The order: a .toml, .yaml, .json, .csv or .jsonl file.", show_default=False
    ),
]

Tier = Annotated[
    ServiceTier | None,
    typer.Option(
        "--tier",
        help="Run at this tier instead of the manifest's; steps that the shots ask for are then dropped.",
        show_default=False,
    ),
]

Deadline = Annotated[
    str | None,
    typer.Option(
        "--deadline",
        metavar="WHEN",
        help="Finish by then: an ISO time, or HH:MM in the manifest's zone, the next time it comes round.",
        show_default=False,
    ),
]

Use = Annotated[
    Act | None,
    typer.Option(
        "--use",
        help="What the pictures are for: the act that every licence is asked about.",
        show_default=False,
    ),
]

Context = Annotated[
    str | None,
    typer.Option(
        "--context",
        metavar="NAME",
        help="Who acts and how outputs are delivered: a context that `rightstep licence context` shows.",
        show_default=False,
    ),
]

Job = Annotated[
    str,
    typer.Argument(metavar="JOB", help="A job id, or the beginning of one.", show_default=False),
]

Folder = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="Put pictures, contact sheet and report here.", show_default=False
    ),
]

Videos = Annotated[
    list[VideoKind] | None,
    typer.Option(
        "--video",
        help="Copy each clip, with its sound, into such a file too (extra video); may be given again.",
        show_default=False,
    ),
]

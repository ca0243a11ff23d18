"""``rightstep ship``: the second gate, and the shipment."""

from typing import Annotated

import typer

from policy.wording import plural
from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson, Job, Videos
from rightstep.cli.output import print_json, print_pairs, say


def ship(
    job: Job,
    *,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", metavar="WHOM", help="A recipient; may be given again. The manifest's otherwise."
        ),
    ] = None,
    discharge: Annotated[
        list[str] | None,
        typer.Option(
            "--discharge",
            metavar="ID=EVIDENCE",
            help="A file, or words, that show an obligation was met; may be given again.",
        ),
    ] = None,
    video: Videos = None,
    as_json: AsJson = False,
) -> None:
    """Ship a finished job: verify again what was really used, discharge what is owed, sign, and record it.

    Files and papers go to shipments/ID below the home, in one step or not at all. A refusal names every
    reason, is audited, and exits with 1.
    """
    from flows.steps import ship_job

    house = enter_house()
    shipment = ship_job(
        house,
        job,
        tuple(to or ()),
        discharges=tuple(discharge or ()),
        videos=tuple(dict.fromkeys(video or ())),
        tell=say,
    )
    if as_json:
        print_json(shipment)
        return
    say(f"Shipped {plural(len(shipment.items), 'item')} of job {shipment.job_id}.")
    print_pairs(
        [
            ("shipment", shipment.shipment_id),
            ("to", ", ".join(shipment.recipients) or "nobody named"),
            ("for", shipment.use.act.value),
            ("context", shipment.use.context.name),
            ("folder", house.settings.shipments / shipment.shipment_id),
            ("notices", shipment.notices_sha256),
            ("audit row", shipment.audit_seq),
        ]
    )

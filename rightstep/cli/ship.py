"""``rightstep ship``: the second gate, and the shipment."""

from typing import Annotated

import typer

from policy.wording import plural
from rightstep.cli.door import enter_house
from rightstep.cli.options import AsJson, Job
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
    as_json: AsJson = False,
) -> None:
    """Ship a finished job: verify again what was really used, then record shipment, notices and audit event.

    A refusal names every reason, is audited, and exits with 1.
    """
    from flows.steps import ship_job

    shipment = ship_job(enter_house(), job, tuple(to or ()))
    if as_json:
        print_json(shipment)
        return
    say(f"Shipped {plural(len(shipment.items), 'item')} of job {shipment.job_id}.")
    print_pairs(
        [
            ("shipment", shipment.shipment_id),
            ("to", ", ".join(shipment.recipients) or "nobody named"),
            ("for", shipment.use.act.value),
            ("notices", shipment.notices_sha256),
            ("audit row", shipment.audit_seq),
        ]
    )

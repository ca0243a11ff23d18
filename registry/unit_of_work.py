"""One transaction over everything the database holds: read, decide, write, commit, or nothing.

    with unit_of_work(engine) as work:
        work.ledger.settle(...)
        work.audit.append(...)
        work.commit()

Leaving without ``commit`` takes everything back. What the database refuses arrives as one
LedgerFault with a next step.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from registry.access_keys import AccessKeys
from registry.approvals import Approvals
from registry.artefact_keeping import ArtefactKeeping
from registry.audit_log import AuditLog
from registry.checkpoints import Checkpoints
from registry.database import READ_ONLY
from registry.database_faults import explain_fault
from registry.identities import Identities
from registry.ledger import Ledger
from registry.live_sessions import LiveSessions
from registry.messages import Messages
from registry.model_registry import ModelRegistry
from registry.prompt_keeping import PromptKeeping
from registry.requests import Requests
from registry.retention_facts import RetentionFacts
from registry.revocations import Revocations
from registry.shipments import Shipments
from registry.upstream_records import UpstreamRecords


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitOfWork:
    """The stores of one open transaction."""

    connection: Connection
    models: ModelRegistry
    ledger: Ledger
    audit: AuditLog
    shipments: Shipments
    upstream: UpstreamRecords
    checkpoints: Checkpoints
    identities: Identities
    approvals: Approvals
    prompts: PromptKeeping
    revocations: Revocations
    requests: Requests
    keys: AccessKeys
    keeping: ArtefactKeeping
    retention: RetentionFacts
    live: LiveSessions
    messages: Messages

    def commit(self) -> None:
        """Make everything durable; the unit is closed after it."""
        self.connection.commit()


@contextmanager
def unit_of_work(engine: Engine, *, read_only: bool = False) -> Generator[UnitOfWork, None, None]:
    """Open one transaction; ``read_only`` sees one consistent state and never waits for a writer."""
    try:
        with engine.connect() as connection:
            if read_only:
                connection.execution_options(**_reading(engine))
            connection.begin()
            audit = AuditLog(connection)
            identities = Identities(connection, audit)
            yield UnitOfWork(
                connection=connection,
                models=ModelRegistry(connection, audit, identities),
                ledger=Ledger(connection),
                audit=audit,
                shipments=Shipments(connection, audit),
                upstream=UpstreamRecords(connection, audit, identities),
                checkpoints=Checkpoints(connection),
                identities=identities,
                approvals=Approvals(connection, audit, identities),
                prompts=PromptKeeping(connection, audit),
                revocations=Revocations(connection, audit),
                requests=Requests(connection),
                keys=AccessKeys(connection, audit),
                keeping=ArtefactKeeping(connection),
                retention=RetentionFacts(connection),
                live=LiveSessions(connection, audit),
                messages=Messages(connection),
            )
    except (DBAPIError, PoolExhausted) as error:
        raise explain_fault(error) from error


def _reading(engine: Engine) -> dict[str, object]:
    if engine.dialect.name == "sqlite":
        return {READ_ONLY: True}
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

"""The whole schema of the ledger: every module that defines tables is named here, so that none is missed."""

from registry import (
    access_tables,
    evidence_tables,
    live_tables,
    message_tables,
    request_tables,
    revision_tables,
    tables,
    trust_tables,
    upstream_tables,
    worker_tables,
)

TABLE_MODULES = (
    tables,
    upstream_tables,
    evidence_tables,
    trust_tables,
    access_tables,
    request_tables,
    revision_tables,
    live_tables,
    worker_tables,
    message_tables,
)
metadata = tables.metadata

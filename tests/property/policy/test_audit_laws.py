"""Laws of the audit chain: what is written stays, and any change shows."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from policy.audit import GENESIS_HASH, AuditEvent, ChainedEvent, chain, row_hash

WORDS = st.text(max_size=8)
EVENTS = st.builds(AuditEvent, tag=WORDS, actor=WORDS, subject=WORDS, payload=WORDS)
TS = "2026-01-31T08:00:00.000000Z"


def chained(events: list[AuditEvent]) -> list[ChainedEvent]:
    rows: list[ChainedEvent] = []
    for event in events:
        rows.append(chain(rows[-1] if rows else None, event, TS))
    return rows


def hash_of(row: ChainedEvent) -> str:
    return row_hash(
        seq=row.seq, ts=row.ts, event=row.event, payload_hash=row.payload_hash, prev_hash=row.prev_hash
    )


@given(st.lists(EVENTS, min_size=1, max_size=5), EVENTS)
def test_adding_an_event_never_changes_an_earlier_hash(events: list[AuditEvent], more: AuditEvent) -> None:
    assert chained([*events, more])[: len(events)] == chained(events)


@given(st.lists(EVENTS, min_size=1, max_size=5))
def test_a_chain_counts_without_gaps_and_links_each_row(events: list[AuditEvent]) -> None:
    rows = chained(events)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert [row.prev_hash for row in rows] == [GENESIS_HASH, *(row.hash for row in rows[:-1])]
    assert all(hash_of(row) == row.hash for row in rows)


@given(EVENTS, st.sampled_from(["tag", "actor", "subject"]), WORDS)
def test_any_changed_field_changes_the_hash(event: AuditEvent, field: str, other: str) -> None:
    row = chain(None, event, TS)
    changed = replace(row, event=replace(event, **{field: other}))
    assert (hash_of(changed) == row.hash) == (changed == row)


@given(WORDS, WORDS)
def test_moving_text_from_one_field_to_the_next_changes_the_hash(left: str, right: str) -> None:
    whole = AuditEvent(tag="a:b:c", actor=left + right, subject="", payload="{}")
    parted = AuditEvent(tag="a:b:c", actor=left, subject=right, payload="{}")
    assert (chain(None, whole, TS).hash == chain(None, parted, TS).hash) == (right == "")

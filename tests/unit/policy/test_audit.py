from dataclasses import replace

from policy.audit import GENESIS_HASH, AuditEvent, chain, row_hash

EVENT = AuditEvent(tag="job:plan:refused", actor="ada", subject="job-1", payload='{"reasons":[]}')
TS = "2026-01-31T08:00:00.000000Z"


def test_the_first_event_follows_the_genesis_hash():
    first = chain(None, EVENT, TS)
    assert (first.seq, first.prev_hash) == (1, GENESIS_HASH)


def test_each_event_follows_the_hash_of_the_one_before():
    first = chain(None, EVENT, TS)
    second = chain(first, replace(EVENT, subject="job-2"), TS)
    assert (second.seq, second.prev_hash) == (2, first.hash)


def test_a_row_format_never_changes_between_releases():
    assert chain(None, EVENT, TS).hash == "73747e561af7f1d98a77c0a58ebbf3ac44c252e60e44f92ed33e37b171c2e0b8"


def test_bytes_cannot_move_from_one_field_to_the_next():
    def hashed(actor, subject):
        event = replace(EVENT, actor=actor, subject=subject)
        return row_hash(seq=1, ts=TS, event=event, payload_hash="0" * 64, prev_hash=GENESIS_HASH)

    assert hashed("ab", "c") != hashed("a", "bc")

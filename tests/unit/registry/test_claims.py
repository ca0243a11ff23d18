"""Conclusions as values: where they count, and how those that were kept before are read."""

from datetime import date

from policy.codec import decode, encode
from registry.licences.claims import Conclusion, up_to_signed

DRAWN = Conclusion(licences=("mit",), reason="Asked.", concluded_by="ben", concluded_on=date(2026, 1, 31))
CLAIMED = Conclusion(
    licences=("mit",), reason="Asked.", concluded_by="ben", concluded_on=None, is_claimed=True
)


def test_a_conclusion_that_was_stored_before_keys_is_read_as_it_was_meant():
    old = {name: value for name, value in encode(DRAWN).items() if name not in {"evidence", "key_id"}}
    del old["is_claimed"]
    read = decode(Conclusion, old)
    assert read == DRAWN
    assert (read.is_claimed, read.standing) == (False, "")


def test_what_counts_ends_what_was_only_claimed():
    assert tuple(up_to_signed((CLAIMED, DRAWN, CLAIMED))) == (CLAIMED, DRAWN)
    assert tuple(up_to_signed((CLAIMED, CLAIMED))) == (CLAIMED, CLAIMED)
    assert tuple(up_to_signed(())) == ()

"""Identities, checkpoints, proofs and the kit, as they are typed."""

import json
import sqlite3
import zipfile
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from rightstep.cli.output import ExitCode

SHAPES = "rightstep/emoji-64-style-shapes"


def test_a_key_is_made_for_its_owner_alone_and_its_public_half_is_handed_out(rightstep, home: Path):
    made = rightstep(
        "identity", "create", "ann", "--role", "approver", "--until", "2030-12-31", "--json"
    ).data
    assert (made["name"], made["role"]) == ("ann", "approver")
    path = home / "rightstep" / "keys" / "ann.pem"
    assert path.stat().st_mode & 0o077 == 0
    assert rightstep("identity", "show", made["key_id"][:8], "--json").data == made
    assert [one["name"] for one in rightstep("identity", "list", "--json").data] == ["ann"]
    public = load_pem_public_key(rightstep("identity", "export", "ann").out.encode())
    assert public.public_bytes_raw().hex() == made["public"]
    assert "PRIVATE" not in rightstep("identity", "export", "ann").out
    assert rightstep("identity", "create", "ann").code == ExitCode.WRONG_USE
    assert rightstep("identity", "create", "No Name").code == ExitCode.WRONG_USE
    assert rightstep("identity", "create", "eve", "--until", "soon").code == ExitCode.WRONG_USE
    assert "(claimed)" in rightstep("identity", "show", "ann").out
    assert (
        rightstep("identity", "revoke", "ann", "--reason", "lost", "--json").data["revoked_because"] == "lost"
    )
    assert not path.exists()
    assert rightstep("identity", "create", "ann").code == ExitCode.DONE


def test_a_checkpoint_is_signed_compared_and_proves_events(rightstep, home: Path, tmp_path: Path):
    made = rightstep("audit", "checkpoint", "--json").data
    check = rightstep("audit", "verify", "--json").data
    assert (check["ok"], check["reason"], check["checkpoints"]) == (True, None, 1)
    assert (check["rows"], check["root"]) == (made["size"], made["root"])
    proof = rightstep("audit", "prove", "1").data
    assert (proof["event"]["seq"], proof["checkpoint"]) == (1, made)
    grown = rightstep("audit", "prove", "--between", made["size"], made["size"]).data
    assert grown["path"] == []
    for words in ((), ("1", "--between", "1", "2"), ("99999",)):
        assert rightstep("audit", "prove", *words).code == ExitCode.WRONG_USE
    (copy,) = (home / "rightstep" / "checkpoints").glob("*.json")
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / copy.name).write_text(json.dumps(json.loads(copy.read_text()) | {"size": made["size"] + 5}))
    assert rightstep("audit", "verify", "--checkpoints", kept).code == ExitCode.TRUNCATED
    (kept / copy.name).write_text(json.dumps(json.loads(copy.read_text()) | {"root": "0" * 64}))
    assert rightstep("audit", "verify", "--checkpoints", kept).code == ExitCode.CHECKPOINT_MISMATCH


def test_a_missing_guard_and_a_cut_log_end_with_codes_of_their_own(rightstep, home: Path):
    rightstep("audit", "report")
    ledger = sqlite3.connect(home / "rightstep" / "ledger.sqlite3")
    with ledger:
        ledger.execute("DROP TRIGGER audit_events_never_go")
    answer = rightstep("audit", "verify", "--json")
    assert (answer.code, answer.data["reason"]) == (ExitCode.GUARD_MISSING, "guard_missing")
    with ledger:
        ledger.execute("DELETE FROM audit_events WHERE seq = (SELECT MAX(seq) FROM audit_events)")
    ledger.close()
    answer = rightstep("audit", "verify", "--json")
    assert (answer.code, answer.data["reason"]) == (ExitCode.TRUNCATED, "truncated")
    assert rightstep("audit", "reseal", "--reason", "x").code == ExitCode.WRONG_USE


def test_the_kit_is_written_by_a_command(rightstep, tmp_path: Path):
    made = rightstep("audit", "export", "--kit", tmp_path / "kit.zip", "--json").data
    assert made["events"] == made["checkpoint"]["size"]
    assert {"verify.py", "events.jsonl", "keys.json", "manifest.json"} <= set(
        zipfile.ZipFile(tmp_path / "kit.zip").namelist()
    )


def test_what_is_permitted_need_not_be_approved_and_what_is_denied_cannot_be(rightstep):
    orders = Path(__file__).resolve().parents[3] / "examples" / "manifests"
    for order in ("draft.toml", "refused.toml"):
        answer = rightstep("approve", "ask", orders / order, "--reason", "please")
        assert answer.code == ExitCode.WRONG_USE
        assert "under review" in answer.err
    assert rightstep("approve", "list", "--json").data == {"requests": [], "approvals": []}


def test_a_licence_that_nothing_needs_or_that_nobody_knows_is_not_asked_for(rightstep):
    orders = Path(__file__).resolve().parents[3] / "examples" / "manifests"
    shared = ("--licensor", "Acme", "--reason", "bought", "--repo", SHAPES)
    unneeded = rightstep("grant", "ask", orders / "draft.toml", "--licence", "cc-by-nc-4.0", *shared)
    unknown = rightstep("grant", "ask", orders / "refused.toml", "--licence", "cc-by-nc", *shared)
    assert (unneeded.code, unknown.code) == (ExitCode.WRONG_USE, ExitCode.WRONG_USE)
    assert "is refused" in unneeded.err
    assert "Did you mean" in unknown.err


def test_a_paid_licence_is_asked_for_answered_shown_and_withdrawn(rightstep, tmp_path: Path):
    rightstep("identity", "create", "ann")
    rightstep("identity", "create", "ben", "--role", "approver")
    contract = tmp_path / "contract.pdf"
    contract.write_bytes(b"%PDF a contract")
    order = Path(__file__).resolve().parents[3] / "examples" / "manifests" / "refused.toml"
    bought = ("--licence", "cc-by-nc-4.0", "--repo", SHAPES, "--licensor", "Acme", "--reason", "bought")
    (claimed, *_) = rightstep("grant", "ask", order, *bought, "--json").data
    assert claimed["requester"]["is_signed"] is False
    answer = ("--as", "ben", "--until", "2099-12-31", "--evidence", contract, "--reason", "read it")
    assert rightstep("grant", "sign", claimed["request_id"], *answer).code == ExitCode.WRONG_USE
    assert "(claimed)" in rightstep("grant", "show", claimed["request_id"]).out
    asked = rightstep("grant", "ask", order, *bought, "--as", "ann", "--json").data
    given = [rightstep("grant", "sign", one["request_id"], *answer, "--json").data for one in asked]
    assert {(one["stands"], *one["objections"]) for one in given} == {(True,)}
    paid = {"licensor": "Acme", "licence": "cc-by-nc-4.0", "repos": [SHAPES]}
    assert all(one["record"]["paid"] == paid for one in given)
    assert rightstep("plan", order).code == ExitCode.DONE
    assert "ben (signed)" in rightstep("grant", "list").out
    grant = given[0]["record"]["approval_id"]
    ended = rightstep("grant", "withdraw", grant, "--reason", "cancelled", "--json").data
    assert (ended["stands"], ended["objections"]) == (False, ["It was withdrawn: cancelled"])
    assert rightstep("audit", "verify").code == ExitCode.DONE

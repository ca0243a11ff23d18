"""The verifier of the kit: one file, no library; its Ed25519 agrees with the standard's and with another's."""

import hashlib
import json
import random
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from policy.audit import AuditEvent, chain
from policy.canonical import canonical_json
from registry.merkle import GrowingTree, consistency_ranges, inclusion_ranges, range_roots
from tests.unit.registry.evidence.test_keys import VECTORS

FILE = Path(__file__).resolve().parents[4] / "registry" / "builtin" / "kit" / "verify.py"
VERIFIER = runpy.run_path(str(FILE))
is_signed = VERIFIER["is_signed"]
LEAVES = [number.to_bytes(32, "big") for number in range(33)]


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_the_vectors_of_the_standard_hold(secret: str, public: str, message: str, signature: str):
    given = [bytes.fromhex(part) for part in (public, message, signature)]
    assert is_signed(*given)
    assert not is_signed(given[0], given[1] + b"x", given[2])


def test_both_verifiers_agree_on_every_flipped_byte():
    """A signature, key or message that differs in one byte holds for neither."""
    seeded = random.Random(8032)
    key = Ed25519PrivateKey.from_private_bytes(seeded.randbytes(32))
    public, message = key.public_key().public_bytes_raw(), b"what was shipped"
    signature = key.sign(message)
    assert is_signed(public, message, signature)
    for place in range(0, 64, 3):
        flipped = (
            signature[:place] + bytes([signature[place] ^ 1 << seeded.randrange(8)]) + signature[place + 1 :]
        )
        assert is_signed(public, message, flipped) is reference(public, message, flipped) is False
    for place in range(0, 32, 3):
        other = public[:place] + bytes([public[place] ^ 1 << seeded.randrange(8)]) + public[place + 1 :]
        assert is_signed(other, message, signature) is reference(other, message, signature) is False


@pytest.mark.parametrize("seed", range(12))
def test_both_verifiers_agree_on_fresh_signatures(seed: int):
    seeded = random.Random(seed)
    key = Ed25519PrivateKey.from_private_bytes(seeded.randbytes(32))
    public, message = key.public_key().public_bytes_raw(), seeded.randbytes(seeded.randrange(200))
    assert (
        is_signed(public, message, key.sign(message)) is reference(public, message, key.sign(message)) is True
    )
    assert is_signed(public, message, seeded.randbytes(64)) is False


def test_a_signature_that_was_moved_by_the_order_of_the_group_is_refused():
    """RFC 8032, 5.1.7: S is below the order, or signatures could be changed without a key."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public, signature = key.public_key().public_bytes_raw(), key.sign(b"")
    moved = signature[:32] + (int.from_bytes(signature[32:], "little") + VERIFIER["ORDER"]).to_bytes(
        32, "little"
    )
    assert is_signed(public, b"", signature)
    assert is_signed(public, b"", moved) is reference(public, b"", moved) is False


@pytest.mark.parametrize(
    ("public", "signature"),
    [(b"", bytes(64)), (bytes(32), b""), (b"\xff" * 32, bytes(64)), (bytes(31), bytes(64))],
)
def test_what_is_no_key_or_signature_holds_for_nothing(public: bytes, signature: bytes):
    assert is_signed(public, b"", signature) is False


def reference(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


# What it computes anew is what the house wrote


def test_it_hashes_rows_as_the_house_does():
    event = AuditEvent(tag="job:plan:refused", actor="adä", subject="job-1", payload='{"a":1}')
    row = chain(None, event, "2026-01-31T08:00:00.000000Z")
    facts = {
        "seq": 1,
        "ts": row.ts,
        "actor": "adä",
        "tag": event.tag,
        "subject": event.subject,
        "payload_hash": row.payload_hash,
        "prev_hash": row.prev_hash,
    }
    assert VERIFIER["row_hash"](facts) == row.hash


def test_it_writes_what_the_house_wrote_as_canonical_json_byte_for_byte():
    value = {"é": ["e\u0301", 1, None, True], "a": {"z": "\u2028", "b": []}, "B": "\U0001f98a"}
    written = canonical_json(value)
    assert VERIFIER["canonical_json"](json.loads(written)) == written


@pytest.mark.parametrize("size", range(1, 34))
def test_it_checks_trees_and_proofs_as_the_house_makes_them(size: int):
    tree, other = GrowingTree(), VERIFIER["Tree"]()
    for leaf in LEAVES[:size]:
        tree.add(leaf)
        other.add(leaf.hex())
    root = tree.root().hex()
    assert other.root() == root
    wrong = "0" * 64
    for index in range(size):
        path = [step.hex() for step in range_roots(inclusion_ranges(index, size), LEAVES)]
        assert VERIFIER["is_included"](LEAVES[index].hex(), index, size, path, root)
        assert not VERIFIER["is_included"](wrong, index, size, path, root) or index == 0
        assert not VERIFIER["is_included"](LEAVES[index].hex(), index, size, [*path, wrong], root)
        assert not VERIFIER["is_included"](LEAVES[index].hex(), index, size, path, wrong)
        small = GrowingTree()
        for leaf in LEAVES[: index + 1]:
            small.add(leaf)
        steps = [step.hex() for step in range_roots(consistency_ranges(index + 1, size), LEAVES)]
        first = small.root().hex()
        assert VERIFIER["is_consistent"](index + 1, size, first, root, steps)
        assert not VERIFIER["is_consistent"](index + 1, size, wrong, root, steps)
        assert not VERIFIER["is_consistent"](index + 1, size, first, wrong, steps)
        assert not VERIFIER["is_consistent"](index + 1, size, first, root, [*steps, wrong])


@pytest.mark.parametrize(
    ("role", "name", "code"), [("approver", "ben", 0), ("requester", "ben", 8), ("approver", "ann", 8)]
)
def test_a_conclusion_needs_an_approvers_key_under_the_name_in_the_text(
    tmp_path: Path, role: str, name: str, code: int
):
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public = key.public_key().public_bytes_raw()
    key_id = hashlib.sha256(public).hexdigest()
    facts = canonical_json({"concluded_by": "ben", "key_id": key_id})
    text = f"rightstep:drift-conclusion/v1\n{facts}"
    signature = key.sign(text.encode()).hex()
    one = {"kind": "drift", "name": "f", "text": text, "key_id": key_id, "signature": signature}
    holder = {"key_id": key_id, "public": public.hex(), "name": name, "role": role, "revoked_at": None}
    (tmp_path / "conclusions.json").write_text(json.dumps([one]))
    (tmp_path / "keys.json").write_text(json.dumps([holder]))
    told = {"signed_sha256": hashlib.sha256(text.encode()).hexdigest(), "signature": signature}
    chain = SimpleNamespace(concluded={("drift", "f"): told})
    kit, publics = VERIFIER["Kit"](tmp_path), {key_id: public.hex()}
    if code == 0:
        assert VERIFIER["check_conclusions"](kit, chain, publics) == "1 signed"
        return
    with pytest.raises(VERIFIER["Fault"]) as fault:
        VERIFIER["check_conclusions"](kit, chain, publics)
    assert fault.value.args[0] == code


def test_it_is_one_readable_file_that_imports_the_standard_library_alone():
    import ast

    text = FILE.read_text(encoding="utf-8")
    tree = ast.parse(text)
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
    assert len(text.splitlines()) <= 420


def test_it_runs_in_an_empty_environment_and_says_what_it_wants(tmp_path: Path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", str(FILE), *arguments]
        return subprocess.run(command, env={}, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert run("--help").returncode == 0
    assert run("--nonsense").returncode == 2
    assert run(str(tmp_path)).returncode == 7
    assert run(str(tmp_path), "--checkpoint", "missing.json").returncode == 2

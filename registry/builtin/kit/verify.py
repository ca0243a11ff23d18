"""Verify an audit kit of Rightstep, offline, with nothing but Python's standard library.

    python -I -S verify.py [KIT] [--house-key ID] [--checkpoint FILE ...]

KIT is the zip or the folder it was unpacked to; the folder of this file by default. Take this program
from a copy that you trust, name the house's key as you were told it (--house-key), and hand in the
checkpoints that you kept (--checkpoint): then nobody's word inside the kit has to be taken.

Exit codes: 0 all of it holds, 2 wrong use, 3 the chain is broken, 4 its end is missing, 6 it is not what
a checkpoint signed, 7 a file is missing, changed or strange, 8 a signature or key does not hold,
9 a shipment, approval, conclusion or licence text is not what the chain says.
"""

import argparse
import hashlib
import json
import sys
import zipfile
from functools import reduce
from pathlib import Path

BROKEN, TRUNCATED, MISMATCH, FILES, SIGNATURE, UNCOVERED = 3, 4, 6, 7, 8, 9
# Events that conclude something: what about, and what their payload calls it by.
CONCLUDED = {
    "registry:licence:concluded": ("licence", "conclusion"),
    "model:drift:concluded": ("drift", "finding"),
}


class Fault(Exception):
    """What does not hold: the exit code for it, and a sentence."""


def demand(holds, code, told):
    if not holds:
        raise Fault(code, told)


# Ed25519 (RFC 8032, 5.1): points in extended coordinates (X, Y, Z, T), x = X/Z, y = Y/Z, xy = T/Z

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def decode_point(raw):
    """The point of 32 bytes; None where they are none."""
    sign, y = divmod(int.from_bytes(raw, "little"), 2**255)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT_OF_MINUS_ONE % P
    if y >= P or x * x % P != square or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(number, point):
    found = (0, 1, 1, 0)
    while number:
        found = add(found, point) if number & 1 else found
        point, number = add(point, point), number >> 1
    return found


BASE = decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def is_signed(public, message, signature):
    """Whether a signature of 64 bytes over a message holds under a public key of 32 bytes."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, commitment = decode_point(public), decode_point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    left, right = multiply(scalar, BASE), add(commitment, multiply(challenge, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 == (left[1] * right[2] - right[1] * left[2]) % P


def is_vouched_for(publics, key_id, text, signature):
    """Whether one of these keys signed a text; the id of a key is the digest of its public half."""
    try:
        public, signed = bytes.fromhex(publics.get(key_id, "")), bytes.fromhex(signature)
    except (TypeError, ValueError):
        return False
    return sha256(public) == key_id and is_signed(public, text.encode(), signed)


# Hashes: canonical JSON, events, Merkle trees (RFC 6962, 2.1)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def canonical_json(value):
    """What was read from canonical JSON, as the house wrote it."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def row_hash(row):
    """sha256 over the fields of an event, each prefixed by its length: none can run into the next."""
    names = ("seq", "ts", "actor", "tag", "subject", "payload_hash", "prev_hash")
    raw = [str(field).encode() for field in ("rightstep:audit-event/v1", *(row[name] for name in names))]
    return sha256(b"".join(len(field).to_bytes(8, "big") + field for field in raw))


def leaf(found):
    return hashlib.sha256(b"\x00" + bytes.fromhex(found)).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree: the roots of its whole subtrees, the largest first."""

    def __init__(self):
        self.size, self.peaks = 0, []

    def add(self, found):
        new, size = leaf(found), self.size
        while size & 1:
            new, size = node(self.peaks.pop(), new), size >> 1
        self.peaks.append(new)
        self.size += 1

    def root(self):
        return reduce(lambda right, left: node(left, right), reversed(self.peaks)).hex()


def climb(place, last, old, new, path):
    """Both roots that a path leads to (RFC 9162, 2.1.3.2 and 2.1.4.2); None where its length is wrong."""
    for step in map(bytes.fromhex, path):
        if last == 0:
            return None
        if place & 1 or place == last:
            old, new = node(step, old), node(step, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = node(new, step)
        place, last = place >> 1, last >> 1
    return (old.hex(), new.hex()) if last == 0 else None


def is_included(found, index, size, path, root):
    start = leaf(found)
    roots = climb(index, size - 1, start, start, path) if 0 <= index < size else None
    return roots is not None and roots[1] == root


def is_consistent(first, second, first_root, second_root, path):
    if first == second:
        return not path and first_root == second_root
    path = path if first & (first - 1) else [first_root, *path]
    if not 0 < first < second or not path:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    start = bytes.fromhex(path[0])
    return climb(place, last, start, start, path[1:]) == (first_root, second_root)


# The kit, and what it says


class Kit:
    """A zip or a folder."""

    def __init__(self, path):
        if path.is_file():
            self.root, found = zipfile.Path(path), zipfile.ZipFile(path).namelist()
        else:
            self.root, found = path, [p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()]
        demand(len(found) == len(set(found)), FILES, "A name is there twice.")
        self.names = {name for name in found if not name.endswith("/")}  # a zip may list folders

    def open(self, name):
        demand(name in self.names, FILES, f"{name} is missing.")
        return (self.root / name).open("rb")

    def read(self, name):
        with self.open(name) as file:
            return file.read()

    def json(self, name):
        return json.loads(self.read(name))


def check_files(kit):
    listed = kit.json("manifest.json")["files"]
    strange = kit.names - set(listed) - {"manifest.json"}
    demand(not strange, FILES, f"{', '.join(sorted(strange))} is not listed in manifest.json.")
    for name, expected in sorted(listed.items()):
        with kit.open(name) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        demand(found == expected, FILES, f"{name} was changed.")
    return len(listed)


class Chain:
    """The events, walked once: hashes, checkpoints at their size, and what the later checks ask for."""

    def __init__(self, kit, checkpoints):
        self.tree, self.head, self.houses, self.told = Tree(), "0" * 64, {}, {}
        self.concluded = {}
        self.reseals, differing, waiting = [], [], {}
        for one in checkpoints:
            waiting.setdefault(one["size"], []).append(one)
        with kit.open("events.jsonl") as lines:
            for line in lines:
                self.take(json.loads(line))
                differing += [(one, MISMATCH, self.why_not(one)) for one in waiting.pop(self.tree.size, ())]
        told = f"The chain ends at event {self.tree.size}, and more were signed over."
        differing += [(one, TRUNCATED, told) for ones in waiting.values() for one in ones]
        lost = {tuple(pair) for reseal in self.reseals for pair in reseal["abandoned"]}
        for one, code, why_not in differing:
            demand(not why_not or (one["size"], one["root"]) in lost, code, why_not)

    def take(self, row):
        seq, tag = self.tree.size + 1, row["tag"]
        demand(row["seq"] == seq, BROKEN, f"Event {seq} is missing: the next one is {row['seq']}.")
        demand(row["prev_hash"] == self.head, BROKEN, f"Event {seq} does not follow the one before it.")
        is_whole = row["payload_hash"] == sha256(row["payload"].encode()) and row["hash"] == row_hash(row)
        demand(is_whole, BROKEN, f"Event {seq} was changed.")
        if tag.startswith(("identity:", "shipment:")) or ":request:" in tag or tag.endswith(":withdrawn"):
            self.told.setdefault((tag, row["subject"]), (seq, json.loads(row["payload"])))
        if tag in CONCLUDED and (told := json.loads(row["payload"])).get("signature"):
            kind, named = CONCLUDED[tag]
            self.concluded[kind, told[named]] = told  # the last word: a finding may be concluded again
        if tag == "identity:key:created" and (told := json.loads(row["payload"]))["role"] == "house":
            self.houses[row["subject"]] = told["public"]
        if tag == "audit:chain:resealed":
            told = json.loads(row["payload"])
            signed = self.is_by_the_house("reseal", told, "reason old_head new_head abandoned key_id")
            is_true = signed and told["new_head"] == [seq - 1, self.head]
            demand(is_true, SIGNATURE, f"Event {seq} claims a backup that the house did not sign for.")
            self.reseals.append(told)
        self.tree.add(row["hash"])
        self.head = row["hash"]

    def is_by_the_house(self, kind, told, names):
        text = f"rightstep:{kind}/v1\n{canonical_json({name: told[name] for name in names.split()})}"
        return is_vouched_for(self.houses, told["key_id"], text, told["signature"])

    def why_not(self, one):
        if not self.is_by_the_house("checkpoint", one, "size root head at key_id"):
            return f"The checkpoint of {one['size']} is not signed by the house."
        is_it = (one["root"], one["head"]) == (self.tree.root(), self.head)
        return "" if is_it else f"The checkpoint of {one['size']} signed other events."


def check_proofs(kit, checkpoints):
    proofs, roots = kit.json("proofs.json"), {one["size"]: one["root"] for one in checkpoints}
    for one in proofs["inclusion"]:
        seq, size = one["seq"], one["size"]
        holds = is_included(one["hash"], seq - 1, size, one["path"], roots[size])
        demand(holds, MISMATCH, f"The proof of event {seq} does not hold.")
    for one in proofs["consistency"]:
        sizes = one["first"], one["second"]
        holds = is_consistent(*sizes, *(roots[size] for size in sizes), one["path"])
        demand(holds, MISMATCH, f"The proof from {sizes[0]} to {sizes[1]} does not hold.")
    return len(proofs["inclusion"]) + len(proofs["consistency"])


def check_keys(kit, chain):
    keys = kit.json("keys.json")
    for one in keys:
        _, told = chain.told.get(("identity:key:created", one["key_id"]), (0, {}))
        same = all(told.get(name) == one[name] for name in ("name", "role", "public"))
        demand(same, SIGNATURE, f"The chain tells otherwise of the key of {one['name']}.")
        is_over = ("identity:key:revoked", one["key_id"]) in chain.told
        demand(is_over == bool(one["revoked_at"]), SIGNATURE, f"{one['name']}: revoked or not?")
    return {one["key_id"]: one["public"] for one in keys}


def check_approvals(kit, chain, publics):
    approvals = kit.json("approvals.json")
    for one in approvals:
        name, request, text = one["approval_id"], one["request"], one["approval"]
        holds = is_vouched_for(publics, one["request_key_id"], request, one["request_signature"])
        demand(holds, SIGNATURE, f"{name}: the signature of the request does not hold.")
        holds = is_vouched_for(publics, one["key_id"], text, one["signature"])
        demand(holds, SIGNATURE, f"{name}: the signature of the approval does not hold.")
        facts = json.loads(text.partition("\n")[2])
        demand(facts["request"] == request, UNCOVERED, f"{name} answers another request.")
        _, told = chain.told.get((f"{one['kind']}:request:granted", name), (0, {}))
        said = told.get("signed_sha256"), told.get("signature")
        same = said == (sha256(text.encode()), one["signature"])
        demand(same, UNCOVERED, f"{name}: the chain tells of another approval.")
        is_over = ("approval:record:withdrawn", name) in chain.told
        demand(is_over == bool(one["withdrawn_at"]), UNCOVERED, f"{name}: withdrawn or not?")
        for _, digest in facts["evidence"]:
            demand(sha256(kit.read(f"evidence/{digest}")) == digest, UNCOVERED, f"{name}: other evidence.")
    return len(approvals)


def check_conclusions(kit, chain, publics):
    keys = {one["key_id"]: one for one in kit.json("keys.json")}
    conclusions = kit.json("conclusions.json")
    found = sorted((one["kind"], one["name"]) for one in conclusions)
    demand(found == sorted(chain.concluded), UNCOVERED, "A conclusion is missing, or one too many.")
    for one in conclusions:
        kind, name, text = one["kind"], one["name"], one["text"]
        holds = is_vouched_for(publics, one["key_id"], text, one["signature"])
        demand(holds, SIGNATURE, f"{name}: the signature of the conclusion does not hold.")
        domain, _, facts = text.partition("\n")
        facts, key, told = json.loads(facts), keys[one["key_id"]], chain.concluded[kind, name]
        holds = (facts["concluded_by"], "approver") == (key["name"], key["role"])
        demand(holds, SIGNATURE, f"{name} is not signed by an approver of that name.")
        same = (told["signed_sha256"], told["signature"]) == (sha256(text.encode()), one["signature"])
        same = same and domain == f"rightstep:{kind}-conclusion/v1"
        demand(same, UNCOVERED, f"{name}: the chain tells of another conclusion.")
        for _, digest in facts.get("evidence", ()):
            demand(sha256(kit.read(f"evidence/{digest}")) == digest, UNCOVERED, f"{name}: other evidence.")
    late = [keys[one["key_id"]]["name"] for one in conclusions if keys[one["key_id"]]["revoked_at"]]
    return f"{len(conclusions)} signed" + (
        f", {len(late)} of them by a key that was revoked since: {', '.join(sorted(set(late)))}"
        if late
        else ""
    )


def check_shipments(kit, chain):
    shipped = {subject: one for (tag, subject), one in chain.told.items() if tag == "shipment:job:shipped"}
    found = {name.split("/")[1] for name in kit.names if name.startswith("shipments/")}
    demand(found == set(shipped), UNCOVERED, "A shipment is missing, or one too many.")
    stacks = kit.json("stacks.json")
    for name, (seq, told) in shipped.items():
        record = kit.json(f"shipments/{name}/record.json")
        made = ("shot", "stack_id", "artefact_sha256", "shipped_sha256")
        items = canonical_json([[one[key] for key in made] for one in record["items"]])
        used = ("repo", "revision", "licence", "text_sha256")
        licences = sorted([one[key] or "" for key in used] for one in record["licences"])
        notices = sha256(kit.read(f"shipments/{name}/notices.txt"))
        holds = (
            (record["shipment_id"], record["audit_seq"]) == (name, seq)
            and told["items_sha256"] == sha256(f"rightstep:shipment-items/v1\n{items}".encode())
            and (told["items"], told["licences"]) == (len(record["items"]), licences)
            and told["notices_sha256"] == notices == record["notices_sha256"]
            and all(one["stack_id"] in stacks for one in record["items"])
            and all(told[key] == record["use"][key] for key in ("context", "organisation") if key in told)
        )
        demand(holds, UNCOVERED, f"{name} is not what the chain says.")
        for paper, digest in told.get("papers", ()):
            same = sha256(kit.read(f"shipments/{name}/{paper}")) == digest
            demand(same, UNCOVERED, f"{name}/{paper} is another file.")
    for name in kit.names:
        same = not name.startswith("licences/") or sha256(kit.read(name)) == Path(name).stem
        demand(same, UNCOVERED, f"{name} is another text.")
    return len(shipped)


def verify(path, house_key, own):
    kit = Kit(path)
    print(f"files        {check_files(kit)} as listed")
    checkpoints = kit.json("checkpoints.json")
    demand(checkpoints, MISMATCH, "The kit holds no checkpoint: nobody signed anything.")
    chain = Chain(kit, checkpoints + own)
    demand(chain.tree.size == checkpoints[-1]["size"], BROKEN, "There are events that no checkpoint covers.")
    print(f"chain        {chain.tree.size} events, root {chain.tree.root()}")
    for one in chain.reseals:
        first, last = one["new_head"][0] + 1, one["old_head"][0]
        print(f"restored     events {first} to {last} were lost: {one['reason']}")
    signers = sorted({one["key_id"] for one in checkpoints})
    demand(house_key in (None, *signers), SIGNATURE, f"No checkpoint is signed by {house_key}.")
    told = "as you named it" if house_key else "compare it with what the house told you"
    print(f"checkpoints  {len(checkpoints)} in the kit, {len(own)} of your own")
    print(f"signed by    {', '.join(signers)} ({told})")
    print(f"proofs       {check_proofs(kit, checkpoints)} hold")
    publics = check_keys(kit, chain)
    print(f"keys         {len(publics)} as the chain tells")
    print(f"approvals    {check_approvals(kit, chain, publics)} signed by both sides")
    print(f"conclusions  {check_conclusions(kit, chain, publics)}")
    print(f"shipments    {check_shipments(kit, chain)} as the chain tells")


def main(arguments):
    parser = argparse.ArgumentParser(description="Verify an audit kit of Rightstep, offline.")
    parser.add_argument("kit", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--house-key", metavar="ID", help="the key id that the house told you")
    parser.add_argument("--checkpoint", metavar="FILE", type=Path, action="append", default=[])
    given = parser.parse_args(arguments)
    try:
        own = [json.loads(path.read_text(encoding="utf-8")) for path in given.checkpoint]
    except (OSError, ValueError) as fault:
        parser.error(str(fault))
    try:
        verify(given.kit, given.house_key, own)
    except Fault as fault:
        code, told = fault.args
        print(f"DOES NOT HOLD: {told}")
        return code
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as fault:
        print(f"DOES NOT HOLD: a file is not what it should be: {fault!r}")
        return FILES
    print("All of it holds.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

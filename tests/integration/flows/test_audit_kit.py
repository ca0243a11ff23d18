"""The kit, as an officer gets it: the same bytes twice, whole in an empty environment, and caught when touched."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.approving import Question, ask_for_approval, give_approval, withdraw_approval
from flows.audit_kit import export_kit
from flows.auditing import audit_check, make_checkpoint, prove_event, prove_growth
from flows.bootstrap import House, open_house
from flows.concluding import conclude_licence
from flows.drift import conclude_drift
from flows.identities import create_identity, house_signatory, revoke_identity
from flows.settings import Settings
from policy.approvals import ApprovalKind
from policy.audit import GENESIS_HASH, AuditEvent, ChainedEvent, chain
from policy.errors import UnknownName, WrongUse
from policy.identities import IdentityRole
from policy.uses import Act
from policy.verdicts import Reason, Ruling
from registry.drift import DriftFinding, DriftKind, DriftSeverity
from registry.merkle import is_consistent, is_included
from registry.unit_of_work import unit_of_work
from tests.integration.registry.ledger_play import plan_of, render_all, submit
from tests.integration.registry.stores import Store
from tests.integration.registry.test_shipments import make_draft

NOW = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)
MODEL, STYLE = "rightstep/emoji-64", "rightstep/emoji-64-style-twemoji"
DOUBT = Reason(code="claim_conflict", ruling=Ruling.REVIEW, detail="Two tags.", component="org/lora")


@dataclass(frozen=True)
class Exported:
    """A house with a shipment, its kit, and how the verifier judges a kit."""

    house: House
    kit: Path
    key_id: str
    folder: Path

    def verify(self, kit: Path | None = None, *options: str) -> subprocess.CompletedProcess[str]:
        program = self.folder / "verify.py"
        program.write_bytes(zipfile.ZipFile(self.kit).read("verify.py"))
        command = [sys.executable, "-I", "-S", str(program), str(kit or self.kit), *options]
        return subprocess.run(command, env={}, capture_output=True, text=True, check=False, cwd=self.folder)

    def changed(self, change: Callable[[dict[str, bytes]], None], *, relisted: bool = True) -> int:
        """The verifier's exit code for a kit that somebody changed, who also listed the new digests."""
        import hashlib

        with zipfile.ZipFile(self.kit) as kit:
            files = {name: kit.read(name) for name in kit.namelist()}
        change(files)
        if relisted:
            listed = {
                name: hashlib.sha256(body).hexdigest()
                for name, body in files.items()
                if name != "manifest.json"
            }
            files["manifest.json"] = json.dumps({"format": "rightstep:kit/v1", "files": listed}).encode()
        path = self.folder / "changed.zip"
        with zipfile.ZipFile(path, "w") as kit:
            for name, body in files.items():
                kit.writestr(name, body)
        return self.verify(path).returncode


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("kit")
    house = open_house(
        Settings(home=folder / "home", renderer="synthetic", workers=1, actor="tester"), clock=lambda: NOW
    )
    make_checkpoint(house)
    create_identity(house, "ann", IdentityRole.REQUESTER)
    create_identity(house, "ben", IdentityRole.APPROVER)
    question = Question(stack_id="a" * 64, stack="x", act=Act.SHIP_OUTPUT_COMMERCIAL, reasons=(DOUBT,))
    mail = folder / "mail.txt"
    mail.write_text("Yes, the tag is right.")
    for reason in ("first", "second"):
        asked = ask_for_approval(house, question, kind=ApprovalKind.APPROVAL, reason=reason, requester="ann")
        given = give_approval(
            house,
            asked.request_id,
            approver="ben",
            reason="fine",
            evidence=[mail],
            valid_until=NOW + timedelta(days=9),
        )
    withdraw_approval(house, given.approval_id, "no longer needed")
    conclude_things(house, mail)
    store = Store(house.settings.app_url, house.settings.owner_url, house.engine)
    job = render_all(house.engine, submit(house.engine, plan_of(4)).job_id)
    with unit_of_work(house.engine) as work:
        shipment = work.shipments.ship(make_draft(store, job), NOW)
        work.commit()
    papers = house.settings.home / "shipments" / shipment.shipment_id
    papers.mkdir(parents=True)
    (papers / "bom.json").write_text('{"bomFormat": "CycloneDX"}')
    path = folder / "kit.zip"
    export_kit(house, path)
    return Exported(house, path, house_signatory(house).key.key_id, folder)


def conclude_things(house: House, mail: Path) -> None:
    """Two licences and two changes upstream, by two approvers; one of them leaves, one change is seen anew."""
    create_identity(house, "cara", IdentityRole.APPROVER)
    for approver, model in (("ben", MODEL), ("cara", STYLE)):
        conclude_licence(
            house, model, licences=["cc-by-4.0"], approver=approver, reason="So it says.", evidence=[mail]
        )
    with unit_of_work(house.engine) as work:
        for number, model in enumerate((MODEL, STYLE)):
            found = DriftFinding(
                kind=DriftKind.LICENCE_FILE,
                severity=DriftSeverity.HOLD,
                detail=f"LICENSE was changed {number} times.",
                subject="LICENSE",
            )
            work.upstream.save_findings(
                work.models.pin_of(model).pin, [found], actor="watch", now=house.clock()
            )
        work.commit()
    conclude_drift(house, MODEL, "Set anew.", "ben")
    conclude_drift(house, STYLE, "Set anew.", "cara")
    revoke_identity(house, "cara", "left")
    conclude_drift(house, STYLE, "Read again.", "ben")


def test_a_kit_verifies_in_an_empty_environment(exported: Exported):
    judged = exported.verify(None, "--house-key", exported.key_id)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "All of it holds." in judged.stdout
    assert "2 in the kit" in judged.stdout
    assert "conclusions  4 signed, 1 of them by a key that was revoked since: cara" in judged.stdout
    assert judged.stderr == ""


def test_an_unpacked_kit_verifies_itself(exported: Exported, tmp_path: Path):
    zipfile.ZipFile(exported.kit).extractall(tmp_path)
    command = [sys.executable, "-I", "-S", "verify.py"]
    done = subprocess.run(command, env={}, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_same_log_makes_the_same_bytes(exported: Exported, tmp_path: Path):
    again = export_kit(exported.house, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == exported.kit.read_bytes()
    assert again.shipments == 1


def test_the_kit_holds_everything_about_a_shipment_and_no_recipient_or_prompt(exported: Exported):
    with zipfile.ZipFile(exported.kit) as kit:
        names, whole = kit.namelist(), b"".join(kit.read(name) for name in kit.namelist())
    (record,) = [name for name in names if name.endswith("record.json")]
    folder = record.removesuffix("record.json")
    assert {folder + "notices.txt", folder + "bom.json"} <= set(names)
    assert any(name.startswith("evidence/") for name in names)
    assert b"client" not in whole  # the recipient of the shipment
    with unit_of_work(exported.house.engine, read_only=True) as work:
        (job,) = work.ledger.jobs()
        prompts = {shot.prompt for shot in work.ledger.shots(job.job_id)}
    assert prompts
    assert not any(prompt.encode() in whole for prompt in prompts)


def test_every_listed_time_in_the_zip_is_the_same(exported: Exported):
    with zipfile.ZipFile(exported.kit) as kit:
        assert {info.date_time for info in kit.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.compress_type for info in kit.infolist()} == {zipfile.ZIP_STORED}


def rows_of(files: dict[str, bytes]) -> list[dict[str, str]]:
    return [json.loads(line) for line in files["events.jsonl"].splitlines()]


def put_rows(files: dict[str, bytes], rows: list[dict[str, str]]) -> None:
    files["events.jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def change_event(files: dict[str, bytes]) -> None:
    rows = rows_of(files)
    rows[1]["actor"] = "mallory"
    put_rows(files, rows)


def drop_event(files: dict[str, bytes]) -> None:
    rows = rows_of(files)
    put_rows(files, rows[:1] + rows[2:])


def swap_events(files: dict[str, bytes]) -> None:
    rows = rows_of(files)
    rows[1], rows[2] = rows[2], rows[1]
    put_rows(files, rows)


def cut_tail(files: dict[str, bytes]) -> None:
    put_rows(files, rows_of(files)[:-1])


def rewrite(files: dict[str, bytes]) -> None:
    """The whole chain made anew: every hash is right again."""
    previous: ChainedEvent | None = None
    rows = rows_of(files)
    for row in rows:
        event = AuditEvent(tag=row["tag"], actor="mallory", subject=row["subject"], payload=row["payload"])
        previous = chain(previous, event, row["ts"])
        row.update(actor="mallory", prev_hash=previous.prev_hash, hash=previous.hash)
    assert rows[0]["prev_hash"] == GENESIS_HASH
    put_rows(files, rows)


def edit(name: str, key: str, value: object) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        (found,) = [one for one in files if one.endswith(name)]
        told = json.loads(files[found])
        (told[0] if isinstance(told, list) else told)[key] = value
        files[found] = json.dumps(told).encode()

    return change


def flip(name: str, key: str) -> Callable[[dict[str, bytes]], None]:
    """A time where there was none, and none where there was one."""

    def change(files: dict[str, bytes]) -> None:
        (found,) = [one for one in files if one.endswith(name)]
        told = json.loads(files[found])
        told[0][key] = None if told[0][key] else "2026"
        files[found] = json.dumps(told).encode()

    return change


def drop(ending: str) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        for name in [name for name in files if name.startswith(ending) or name.endswith(ending)]:
            del files[name]

    return change


def swap_conclusions(kind: str) -> Callable[[dict[str, bytes]], None]:
    """Two texts with their good signatures, each under the other's name."""

    def change(files: dict[str, bytes]) -> None:
        told = json.loads(files["conclusions.json"])
        one, other = (row for row in told if row["kind"] == kind)
        one["name"], other["name"] = other["name"], one["name"]
        files["conclusions.json"] = json.dumps(told).encode()

    return change


def cut(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        files[name] = json.dumps(json.loads(files[name])[1:]).encode()

    return change


def twice(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        told = json.loads(files[name])
        files[name] = json.dumps([*told, told[0]]).encode()

    return change


CHANGES = {
    "an event changed": (change_event, 3),
    "an event dropped": (drop_event, 3),
    "events swapped": (swap_events, 3),
    "the tail cut": (cut_tail, 4),
    "the chain made anew": (rewrite, 6),
    "a checkpoint's root": (edit("checkpoints.json", "root", "0" * 64), 6),
    "a checkpoint's signature": (edit("checkpoints.json", "signature", "0" * 128), 6),
    "no signature at all": (edit("checkpoints.json", "signature", "unsigned"), 6),
    "no checkpoints": (lambda files: files.update({"checkpoints.json": b"[]"}), 6),
    "a proof": (lambda files: files.update({"proofs.json": files["proofs.json"].replace(b'"path":["', b'"path":["00')}), 6),
    "a key": (edit("keys.json", "public", "0" * 64), 8),
    "a revoked key": (edit("keys.json", "revoked_at", "2026"), 8),
    "an approval's text": (edit("approvals.json", "approval", "rightstep:approval/v1\n{}"), 8),
    "an approval's signature": (edit("approvals.json", "signature", "0" * 128), 8),
    "an approval that nobody signed": (edit("approvals.json", "signature", None), 8),
    "an approval's withdrawal": (flip("approvals.json", "withdrawn_at"), 9),
    "a conclusion's text": (edit("conclusions.json", "text", "rightstep:licence-conclusion/v1\n{}"), 8),
    "a conclusion's signature": (edit("conclusions.json", "signature", "0" * 128), 8),
    "a conclusion's key": (edit("conclusions.json", "key_id", "0" * 64), 8),
    "a conclusion's kind": (edit("conclusions.json", "kind", "drift"), 9),
    "a conclusion of other things": (swap_conclusions("licence"), 9),
    "a finding concluded as another": (swap_conclusions("drift"), 9),
    "a conclusion gone": (cut("conclusions.json"), 9),
    "a conclusion twice": (twice("conclusions.json"), 9),
    "an item of a shipment": (edit("record.json", "items", []), 9),
    "who a shipment was for": (edit("record.json", "use", {"context": {}, "organisation": {}}), 9),
    "the notices": (lambda files: files.update({one: b"none" for one in files if one.endswith("notices.txt")}), 9),
    "a shipment under another's name": (edit("record.json", "shipment_id", "ship-other"), 9),
    "a shipment gone": (drop("shipments/"), 9),
    "a licence text": (lambda files: files.update({"licences/" + "0" * 64 + ".txt": b"anything"}), 9),
    "evidence gone": (drop("evidence/"), 7),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_caught_even_where_the_list_of_files_was_made_to_fit(exported: Exported, what: str):
    change, code = CHANGES[what]
    assert exported.changed(change) == code


@pytest.mark.parametrize("what", ["an event changed", "evidence gone", "the notices", "a licence text"])
def test_a_change_that_was_not_listed_is_caught_at_once(exported: Exported, what: str):
    assert exported.changed(CHANGES[what][0], relisted=False) == 7


def test_a_kit_by_another_house_is_not_taken_for_this_one(exported: Exported):
    assert exported.verify(None, "--house-key", "0" * 64).returncode == 8


def test_a_checkpoint_that_was_kept_is_compared(exported: Exported, tmp_path: Path):
    kept = sorted(exported.house.settings.checkpoints.glob("*.json"))
    assert len(kept) >= 2
    assert exported.verify(None, "--checkpoint", str(kept[0])).returncode == 0
    for key, value, code in (("root", "0" * 64, 6), ("size", 10_000, 4)):
        told = json.loads(kept[0].read_text())
        told[key] = value
        (tmp_path / "other.json").write_text(json.dumps(told))
        assert exported.verify(None, "--checkpoint", str(tmp_path / "other.json")).returncode == code


# Proofs


def test_an_event_and_the_growth_of_the_log_are_proved(exported: Exported):
    house = exported.house
    sizes = sorted(int(path.name[:12]) for path in house.settings.checkpoints.glob("*.json"))
    proof = prove_event(house, 2)
    path = [bytes.fromhex(step) for step in proof.path]
    root = bytes.fromhex(proof.checkpoint.root)
    assert is_included(bytes.fromhex(proof.event.hash), 1, proof.checkpoint.size, path, root)
    grown = prove_growth(house, sizes[0], sizes[-1])
    roots = bytes.fromhex(grown.first.root), bytes.fromhex(grown.second.root)
    steps = [bytes.fromhex(step) for step in grown.path]
    assert is_consistent(sizes[0], sizes[-1], *roots, steps)
    with pytest.raises(UnknownName, match="No checkpoint was made at"):
        prove_growth(house, 1, sizes[-1])
    with pytest.raises(WrongUse):
        prove_growth(house, sizes[-1], sizes[0])
    with pytest.raises(UnknownName):
        prove_event(house, 10_000)
    assert audit_check(house).ok

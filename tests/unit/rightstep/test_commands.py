"""What commands answer without rendering anything: plans, methods, licences, and every refusal."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rightstep.cli.output import ExitCode

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples" / "manifests"
HEAVY = (
    "torch",
    "diffusers",
    "transformers",
    "ray",
    "prefect",
    "sqlalchemy",
    "pydantic_settings",
    "PIL",
    "jinja2",
)


def write_order(folder: Path, shot: str, head: str = "") -> Path:
    path = folder / "order.toml"
    path.write_text(
        f'{head}\n[[shots]]\nname = "fox"\nprompt = "a flat fox"\nmodel = "rightstep/emoji-64"\n{shot}\n'
    )
    return path


def in_a_fresh_process(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return done.stdout


def test_help_loads_nothing_heavy():
    program = (
        "import sys; from rightstep.cli.edge import run; code = run(['--help']);"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules], code)"
    )
    assert in_a_fresh_process(program).splitlines()[-1] == "LOADED [] 0"


def test_planning_loads_neither_torch_nor_prefect_nor_ray():
    order = EXAMPLES / "draft.toml"
    program = (
        f"import sys; from rightstep.cli.edge import run; code = run(['plan', {str(order)!r}]);"
        "print('LOADED', [name for name in ('torch', 'diffusers', 'ray', 'prefect') if name in sys.modules], code)"
    )
    assert in_a_fresh_process(program).splitlines()[-1] == "LOADED [] 0"


# Of the examples, those that are not planned; some name models that have to be pinned first.
NOT_PLANNED = {
    "infeasible": ExitCode.REFUSED,
    "refused": ExitCode.REFUSED,
    "animated": ExitCode.WRONG_USE,
    "clip": ExitCode.WRONG_USE,
    "live": ExitCode.WRONG_USE,
}


@pytest.mark.parametrize("order", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_every_example_is_planned_or_refused_as_it_says(rightstep, order: Path):
    answer = rightstep("plan", order)
    assert answer.code == NOT_PLANNED.get(order.stem, ExitCode.DONE), answer.err


def test_an_infeasible_night_says_when_it_would_end_and_what_would_fit(rightstep):
    in_half_a_day = (datetime.now(UTC) + timedelta(hours=12)).isoformat(timespec="seconds")
    answer = rightstep("plan", EXAMPLES / "infeasible.toml", "--deadline", in_half_a_day)
    assert "after the deadline of" in answer.err
    for remedy in ("Set may_degrade = true", "Move the deadline", "workers instead of", "Leave out the"):
        assert remedy in answer.err


def test_a_plan_prints_its_choices_on_stdout_and_nothing_else(rightstep):
    answer = rightstep("plan", EXAMPLES / "overnight.toml")
    assert answer.code == 0
    assert "emoji-64-full" in answer.out
    assert "24 shots" in answer.out
    assert answer.err == ""


def test_explain_says_why_and_why_not(rightstep):
    answer = rightstep("plan", EXAMPLES / "overnight.toml", "--explain")
    assert "why" in answer.out
    assert "why not" in answer.out
    assert "licence" in answer.out


def test_a_plan_as_json_is_the_whole_plan_with_totals(rightstep):
    plan = rightstep("plan", EXAMPLES / "overnight.toml", "--json").data
    assert {"shots", "forward_passes", "seconds_p50", "seconds_p95"} <= plan["totals"].keys()
    assert plan["totals"]["shots"] == len(plan["shots"]) == 24
    assert len(plan["plan_hash"]) == 64


def test_the_interactive_tier_takes_a_twelfth_of_the_passes_at_most(rightstep):
    full = rightstep("plan", EXAMPLES / "overnight.toml", "--json").data["totals"]["forward_passes"]
    quick = rightstep("plan", EXAMPLES / "overnight.toml", "--tier", "interactive", "--json").data["totals"]
    assert quick["forward_passes"] * 12 <= full


def test_a_plan_writes_nothing(rightstep, home: Path):
    rightstep("plan", EXAMPLES / "draft.toml")
    before = rightstep("audit", "report", "--json").data["events"]
    rightstep("plan", EXAMPLES / "draft.toml")
    rightstep("plan", EXAMPLES / "refused.toml")
    assert rightstep("audit", "report", "--json").data["events"] == before
    assert rightstep("job", "list", "--json").data == []


def test_a_denied_licence_is_refused_with_its_clause_and_a_way_out(rightstep):
    answer = rightstep("plan", EXAMPLES / "refused.toml")
    assert answer.code == ExitCode.REFUSED
    assert answer.out == ""
    assert "rightstep/emoji-64-style-shapes" in answer.err
    assert "cc-by-nc-4.0" in answer.err
    assert "clause 2(a)(1)" in answer.err
    assert "Next: " in answer.err


def test_a_refusal_as_json_carries_reasons_and_remedies(rightstep):
    answer = rightstep("plan", EXAMPLES / "refused.toml", "--json")
    assert answer.code == ExitCode.REFUSED
    assert answer.data["refused"] is True
    assert {reason["licence"] for reason in answer.data["reasons"]} == {"cc-by-nc-4.0"}
    assert answer.data["remedies"]


def test_a_use_that_the_licence_permits_is_planned(rightstep):
    assert rightstep("plan", EXAMPLES / "refused.toml", "--use", "research_noncommercial").code == 0


def test_a_refused_render_leaves_one_audit_event_and_no_job(rightstep):
    before = len(rightstep("audit", "report", "--json").data["events"])
    answer = rightstep("render", EXAMPLES / "refused.toml")
    assert answer.code == ExitCode.REFUSED
    events = rightstep("audit", "report", "--json").data["events"]
    assert len(events) == before + 1
    assert events[0]["event"]["tag"] == "job:plan:refused"
    assert rightstep("job", "list", "--json").data == []


def test_a_render_that_would_wait_for_a_house_that_is_down_submits_nothing(rightstep):
    answer = rightstep("render", EXAMPLES / "draft.toml", "--wait")
    assert answer.code == ExitCode.BROKEN
    assert "rightstep up" in answer.err
    assert rightstep("job", "list", "--json").data == []


def test_waiting_and_leaving_cannot_both_be_meant(rightstep):
    answer = rightstep("render", EXAMPLES / "draft.toml", "--wait", "--detach")
    assert answer.code == ExitCode.WRONG_USE


def test_guidance_that_is_not_the_callers_is_refused_with_the_reason(rightstep, tmp_path: Path):
    answer = rightstep("plan", write_order(tmp_path, "guidance = 7.5", 'tier = "interactive"'))
    assert answer.code == ExitCode.REFUSED
    assert "double the cost" in answer.err


def test_an_unknown_field_is_wrong_use_and_names_the_one_that_was_meant(rightstep, tmp_path: Path):
    answer = rightstep("plan", write_order(tmp_path, "seeed = 3"))
    assert answer.code == ExitCode.WRONG_USE
    assert "order.toml" in answer.err
    assert "shots[0]" in answer.err
    assert "did you mean seed?" in answer.err


def test_a_torn_file_is_wrong_use_and_names_the_line(rightstep, tmp_path: Path):
    path = tmp_path / "torn.toml"
    path.write_text('name = "x"\n[[shots]\n')
    answer = rightstep("plan", path)
    assert answer.code == ExitCode.WRONG_USE
    assert "torn.toml" in answer.err
    assert "line 2" in answer.err


def test_a_missing_file_is_wrong_use(rightstep, tmp_path: Path):
    answer = rightstep("render", tmp_path / "nothing.toml")
    assert answer.code == ExitCode.WRONG_USE
    assert "nothing.toml" in answer.err


@pytest.mark.parametrize(
    ("field", "near"),
    [
        ('model = "rightstep/emoji-46"', "rightstep/emoji-64"),
        ('loras = ["rightstep/twemoji"]', "style-twemoji"),
    ],
)
def test_an_unknown_model_is_wrong_use_and_names_a_near_one(rightstep, tmp_path: Path, field: str, near: str):
    path = write_order(tmp_path, field if "loras" in field else "")
    if "model" in field:
        path.write_text(path.read_text().replace('model = "rightstep/emoji-64"', field))
    answer = rightstep("plan", path)
    assert answer.code == ExitCode.WRONG_USE
    assert near in answer.err


def test_an_unknown_method_in_an_order_is_wrong_use(rightstep, tmp_path: Path):
    answer = rightstep("plan", write_order(tmp_path, 'method = "emoji-64-lmc"'))
    assert answer.code == ExitCode.WRONG_USE
    assert "emoji-64-lcm" in answer.err


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("method", "show", "emoji-64-ful"), "emoji-64-full"),
        (("licence", "show", "cc-by-nc"), "cc-by-nc-4.0"),
        (("licence", "explain", "apache"), "apache-2.0"),
        (("model", "show", "rightstep/emoji-46"), "rightstep/emoji-64"),
    ],
)
def test_an_unknown_name_is_wrong_use_and_suggests_a_near_one(rightstep, words, near: str):
    answer = rightstep(*words)
    assert answer.code == ExitCode.WRONG_USE
    assert near in answer.err


@pytest.mark.parametrize(
    "words",
    [("jbo",), ("job",), ("plan",), ("plan", "x.toml", "--teir", "batch"), ("job", "list", "--limit", "0")],
)
def test_what_cannot_be_meant_is_wrong_use(rightstep, words):
    answer = rightstep(*words)
    assert answer.code == ExitCode.WRONG_USE
    assert "Traceback" not in answer.err


def test_an_unknown_command_suggests_the_near_one(rightstep):
    assert "Did you mean 'job'" in rightstep("jbo").err


def test_methods_are_listed_with_the_stable_keys(rightstep):
    methods = rightstep("method", "list", "--json").data
    assert {"emoji-64-full", "emoji-64-lcm"} <= {method["name"] for method in methods}
    for method in methods:
        assert list(method) == ["name", "family", "modality", "repo", "files", "steps", "base", "licence"]


def test_a_method_is_shown_as_its_live_scheduler_runs_it(rightstep):
    from diffusers import LCMScheduler

    shown = rightstep("method", "show", "emoji-64-lcm", "--steps", "4", "--json").data
    live = LCMScheduler(**shown["scheduler_config"])
    live.set_timesteps(4)
    assert shown["timesteps"] == [float(step) for step in live.timesteps]
    assert shown["forward_passes"] == 4
    assert shown["guidance"] == {"guidance_scale": 1.0}


def test_methods_are_listed_by_family_modality_and_base(rightstep):
    families = rightstep("method", "list", "--family", "hyper-sd", "--json").data
    assert {method["family"] for method in families} == {"hyper-sd"}
    clips = rightstep("method", "list", "--modality", "video", "--json").data
    assert {method["modality"] for method in clips} == {"video"}
    flux = rightstep("method", "list", "--base", "flux.1-dev", "--json").data
    assert {"flux1-dev-full", "flux1-dev-cached", "hyper-flux1-dev-8steps"} == {
        method["name"] for method in flux if "16" not in method["name"]
    }
    assert rightstep("method", "list", "--base", "nobody/nothing", "--json").data == []
    answer = rightstep("method", "list", "--family", "hyper")
    assert answer.code == ExitCode.WRONG_USE
    assert "hyper-sd" in answer.err


def test_a_list_of_methods_counts_what_was_not_verified(rightstep):
    lines = rightstep("method", "list", "--family", "dmd2").out.splitlines()
    assert any(line.startswith("dmd2 (image)") for line in lines)
    (line,) = [line for line in lines if "dmd2-sdxl-1step-unet" in line]
    assert "1 of 6 facts" in line


def test_what_was_not_verified_stands_out_where_a_method_is_shown(rightstep):
    lines = rightstep("method", "show", "z-image-turbo").out.splitlines()
    marked = [line for line in lines if line.startswith("UNVERIFIED")]
    assert any("shift 3.0" in line for line in marked)
    assert lines.index(marked[-1]) > max(n for n, line in enumerate(lines) if line.startswith("fact"))


def test_a_stream_is_shown_with_what_it_looks_back_at_and_when_that_is_read_anew(rightstep):
    def looks_back(method: str) -> str:
        lines = rightstep("method", "show", method).out.splitlines()
        return next(line for line in lines if line.startswith("looks back"))

    assert "the first 3 always" in looks_back("longlive-1.3b")
    assert "anew when the prompt changes" in looks_back("longlive-1.3b")
    assert "anew before every chunk" in looks_back("krea-realtime-14b")
    assert "anew" not in looks_back("self-forcing-dmd")
    assert "older ones in larger patches" in looks_back("anyflow-far-1.3b")


def test_a_schedule_that_follows_the_size_is_shown_at_the_size_asked_for(rightstep):
    published = rightstep("method", "show", "flux2-klein-4b", "--steps", "4", "--json").data
    assert published["at_size"] == [1024, 1024]
    assert published["timesteps"] == pytest.approx([1000, 967.4, 908.1, 767.2], abs=0.05)
    small = rightstep("method", "show", "flux2-klein-4b", "--size", "512x768", "--json").data
    assert small["at_size"] == [512, 768]
    assert small["timesteps"][1] < published["timesteps"][1]
    assert rightstep("method", "show", "flux1-schnell", "--size", "512x768", "--json").data["at_size"] is None


@pytest.mark.parametrize("told", ["1024", "0x64", "64x-1"])
def test_what_is_no_size_is_wrong_use(rightstep, told):
    answer = rightstep("method", "show", "flux2-klein-4b", "--size", told)
    assert answer.code == ExitCode.WRONG_USE
    assert "1024x768" in answer.err


def test_a_step_count_outside_the_set_is_wrong_use(rightstep):
    answer = rightstep("method", "show", "emoji-64-lcm", "--steps", "3")
    assert answer.code == ExitCode.WRONG_USE
    assert "1, 2, 4, 8" in answer.err


def test_licences_together_are_as_strict_as_the_strictest(rightstep):
    fine = rightstep("licence", "explain", "apache-2.0", "cc-by-4.0", "--json")
    assert (fine.code, fine.data["ruling"]) == (0, "permit")
    denied = rightstep("licence", "explain", "apache-2.0", "cc-by-nc-4.0", "--json")
    assert (denied.code, denied.data["ruling"]) == (1, "deny")
    assert any(duty["licence"] == "cc-by-4.0" for duty in fine.data["obligations"])


def test_a_licence_is_shown_with_its_full_text(rightstep):
    text = rightstep("licence", "show", "mit", "--text").out
    assert "THE SOFTWARE IS PROVIDED" in text
    acts = rightstep("licence", "show", "mit", "--json").data["acts"]
    assert acts[0]["clause"] is not None


def test_a_licence_with_limits_is_shown_with_all_of_them(rightstep):
    shown = rightstep("licence", "show", "sai-community-2024-07-05").out
    for part in ("revenue_cap", "stability_registration", "display_powered_by_stability", "{component}"):
        assert (part in shown) is (part != "{component}")
    quotes = rightstep("licence", "show", "sai-community-2024-07-05", "--json").data["quotes"]
    assert any("$1,000,000" in quote["words"] for quote in quotes)
    assert "revenue_cap" in rightstep("licence", "list").out


def test_built_in_models_are_pinned_and_verified(rightstep):
    models = rightstep("model", "list", "--json").data
    assert {"rightstep/emoji-64", "rightstep/emoji-64-lcm-lora"} <= {
        one["repo"] for one in models if one["pinned"]
    }
    answer = rightstep("model", "verify", "--json")
    assert answer.code == 0
    assert [fault for check in answer.data for fault in check["faults"]] == []


def test_a_fresh_audit_log_holds(rightstep):
    answer = rightstep("audit", "verify", "--json")
    assert answer.code == 0
    assert answer.data["ok"] is True


def test_the_exported_chain_is_one_event_a_line(rightstep, tmp_path: Path):
    lines = rightstep("audit", "export").out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))
    rightstep("audit", "export", "--out", tmp_path / "chain.jsonl")
    assert (tmp_path / "chain.jsonl").read_text().splitlines() == lines


def test_a_changed_row_of_the_audit_log_is_found(rightstep, home: Path):
    import sqlite3

    rightstep("audit", "report")
    with sqlite3.connect(home / "rightstep" / "ledger.sqlite3") as ledger:
        triggers = ledger.execute(
            "select name from sqlite_master where type='trigger' and tbl_name='audit_events'"
        )
        for (name,) in triggers.fetchall():
            ledger.execute(f'drop trigger "{name}"')
        ledger.execute("update audit_events set actor = 'somebody else' where seq = 1")
    answer = rightstep("audit", "verify", "--json")
    assert answer.code == ExitCode.BROKEN
    assert answer.data["ok"] is False


def test_the_ledger_can_be_upgraded_again(rightstep):
    first = rightstep("db", "upgrade", "--json").data["schema_version"]
    assert rightstep("db", "upgrade", "--json").data["schema_version"] == first


def test_an_unknown_job_is_wrong_use(rightstep):
    for words in (("job", "show"), ("job", "cancel"), ("job", "resume"), ("ship",)):
        assert rightstep(*words, "nosuchjob").code == ExitCode.WRONG_USE


def test_a_setting_out_of_bounds_is_wrong_use_and_is_named(rightstep, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RIGHTSTEP_WORKERS", "-1")
    answer = rightstep("job", "list")
    assert answer.code == ExitCode.WRONG_USE
    assert "RIGHTSTEP_WORKERS" in answer.err


@pytest.mark.parametrize(
    "words",
    [
        ("plan", EXAMPLES / "draft.toml"),
        ("method", "list"),
        ("method", "show", "emoji-64-full"),
        ("licence", "list"),
        ("licence", "show", "mit"),
        ("licence", "explain", "mit"),
        ("model", "list"),
        ("model", "show", "rightstep/emoji-64"),
        ("model", "verify"),
        ("model", "pin", "rightstep/emoji-64"),
        ("model", "drift"),
        ("audit", "verify"),
        ("audit", "report"),
        ("audit", "affected", "nothing"),
        ("status",),
        ("doctor",),
        ("db", "upgrade"),
    ],
    ids=lambda words: " ".join(str(word) for word in words[:2]),
)
def test_what_is_printed_as_json_is_what_the_reference_says(rightstep, words):
    """The keys of each answer, against the page that is written from the same classes."""
    from dataclasses import fields

    from infra.docs.json_reference import answers

    documented = dict(answers())
    shape = documented.get(" ".join(map(str, words[:2])), documented.get(str(words[0])))
    answer = rightstep(*words, "--json").data
    if isinstance(shape, list):
        (shape,), (answer, *_) = shape, answer
    assert list(answer) == [field.name for field in fields(shape)]


@pytest.mark.parametrize("words", [(), ("x", "--model", "y"), ("--file", "x", "--clause", "y")])
def test_a_recall_is_of_one_thing(rightstep, words):
    assert rightstep("audit", "affected", *words).code == 2


def test_a_model_is_revoked_by_its_name_and_every_plan_with_it_is_refused_from_then_on(rightstep):
    model = "rightstep/emoji-64"
    assert rightstep("model", "revoke", "rightstep/emoji-46", "--reason", "a slip").code == 2
    answer = rightstep("model", "revoke", model, "--reason", "The author withdrew it.", "--json").data
    assert answer["revocation"]["repo"] == model
    assert answer["affected"]["items"] == 0
    refused = rightstep("plan", EXAMPLES / "draft.toml")
    assert refused.code == 1
    assert "The author withdrew it." in refused.err


def test_the_audit_report_is_written_as_a_page_and_as_a_table(rightstep, tmp_path):
    page, table = tmp_path / "audit.html", tmp_path / "audit.csv"
    assert rightstep("audit", "report", "--html", page, "--csv", table).code == 0
    assert "Nothing was shipped." in page.read_text()
    assert table.read_text().startswith("shipment,shipped_at,")


def test_the_log_of_a_command_has_its_options_and_nothing_of_what_they_say(
    rightstep, home: Path, monkeypatch: pytest.MonkeyPatch
):
    words = ["approve", "ask", "order", "--reason", "personal", "--as=ann"]
    monkeypatch.setattr(sys, "argv", ["rightstep", *words])
    rightstep(*words)
    told = (home / "rightstep" / "logs" / "rightstep.log").read_text()
    assert '["approve", "ask", "--reason", "--as"]' in told
    assert not {word for word in ("ann", "personal") if word in told}

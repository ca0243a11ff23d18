"""Orders as files: every format says the same, and whatever is wrong is told with its place."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.manifest_files import load_manifest
from policy.errors import ManifestRejected
from policy.limits import BudgetEnd, Limits
from policy.manifest import LoraRequest, RenderManifest
from policy.tiers import ServiceTier
from policy.uses import Act

NOW = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)

TOML = """
name = "night"
tier = "interactive"
territories = ["DE", "NO"]
labels = { show = "one" }
[defaults]
model = "rightstep/emoji-64"
[[shots]]
name = "fox"
prompt = "a flat fox"
seed = 7
loras = ["rightstep/emoji-64-style-twemoji@0.8"]
[[shots]]
name = "owl"
prompt = "a flat owl"
steps = 8
"""
YAML = """
name: night
tier: interactive
territories: [DE, NO]
labels: {show: one}
defaults: {model: rightstep/emoji-64}
shots:
  - {name: fox, prompt: a flat fox, seed: 7, loras: [{repo: rightstep/emoji-64-style-twemoji, scale: 0.8}]}
  - name: owl
    prompt: a flat owl
    steps: 8
"""
JSON = json.dumps(
    {
        "name": "night",
        "tier": "interactive",
        "territories": ["DE", "NO"],
        "labels": {"show": "one"},
        "defaults": {"model": "rightstep/emoji-64"},
        "shots": [
            {
                "name": "fox",
                "prompt": "a flat fox",
                "seed": 7,
                "loras": "rightstep/emoji-64-style-twemoji@0.8",
            },
            {"name": "owl", "prompt": "a flat owl", "steps": 8},
        ],
    }
)
JSONL = """
{"manifest": {"name": "night", "tier": "interactive", "territories": ["DE", "NO"], "labels": {"show": "one"}}, "defaults": {"model": "rightstep/emoji-64"}}
{"name": "fox", "prompt": "a flat fox", "seed": 7, "loras": [{"repo": "rightstep/emoji-64-style-twemoji", "scale": 0.8}]}

{"name": "owl", "prompt": "a flat owl", "steps": 8}
"""
CSV = """name,prompt,model,seed,loras,steps
fox,a flat fox,rightstep/emoji-64,7,rightstep/emoji-64-style-twemoji@0.8,
owl,a flat owl,rightstep/emoji-64,,,8
"""


def load(folder: Path, name: str, text: str | bytes) -> RenderManifest:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_manifest(path, now=NOW)


def refusal(folder: Path, name: str, text: str | bytes) -> str:
    with pytest.raises(ManifestRejected) as caught:
        load(folder, name, text)
    assert name in caught.value.message
    assert caught.value.next_step
    return caught.value.message


@pytest.mark.parametrize(
    ("name", "text"),
    [("n.toml", TOML), ("n.yaml", YAML), ("n.yml", YAML), ("n.json", JSON), ("n.jsonl", JSONL)],
)
def test_every_format_says_the_same(tmp_path, name, text):
    order = load(tmp_path, name, text)
    assert (order.name, order.service.tier, order.labels) == (
        "night",
        ServiceTier.INTERACTIVE,
        (("show", "one"),),
    )
    assert order.use.territories == ("DE", "NO")
    assert order.use.act is Act.SHIP_OUTPUT_COMMERCIAL
    fox, owl = order.shots
    assert (fox.name, fox.prompt, fox.seed, fox.model) == ("fox", "a flat fox", 7, "rightstep/emoji-64")
    assert fox.loras == (LoraRequest(repo="rightstep/emoji-64-style-twemoji", scale=0.8),)
    assert (owl.seed, owl.steps, owl.loras) == (0, 8, ())
    assert order.source == name


def test_a_sheet_has_a_row_a_shot_and_leaves_the_rest_to_the_defaults(tmp_path):
    order = load(tmp_path, "sheet.csv", CSV)
    assert order.name == "sheet"
    fox, owl = order.shots
    assert (fox.seed, fox.loras[0].scale, fox.steps) == (7, 0.8, None)
    assert (owl.seed, owl.loras, owl.steps) == (0, (), 8)
    assert fox.where == "sheet.csv: line 2"


@pytest.mark.parametrize("name", ["n.toml", "n.yaml", "n.json", "n.jsonl", "n.csv"])
def test_the_mark_that_windows_puts_before_text_is_no_content(tmp_path, name):
    text = {"n.toml": TOML, "n.yaml": YAML, "n.json": JSON, "n.jsonl": JSONL, "n.csv": CSV}[name]
    order = load(tmp_path, name, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert [shot.name for shot in order.shots] == ["fox", "owl"]


SHOT = {"name": "fox", "prompt": "a fox", "model": "a/b"}


def one_shot(**fields: object) -> str:
    return json.dumps({"shots": [{**SHOT, **fields}]})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"promt": "x"}, "shots[0]: there is no field 'promt'; did you mean prompt?"),
        ({"zzz": 1}, "shots[0]: there is no field 'zzz'."),
        ({"prompt": 7}, "shots[0], prompt: Input should be a valid string"),
        ({"model": "no-organisation"}, "shots[0], model: "),
        ({"name": "../etc/passwd"}, "shots[0], name: "),
        ({"name": "fox\n"}, "shots[0], name: "),
        ({"name": ""}, "shots[0], name: "),
        ({"seed": -1}, "shots[0], seed: "),
        ({"seed": 2**63}, "shots[0], seed: "),
        ({"seed": 1.5}, "shots[0], seed: "),
        ({"width": 65}, "shots[0], width: "),
        ({"height": 8}, "shots[0], height: "),
        ({"frames": 0}, "shots[0], frames: "),
        ({"steps": 0}, "shots[0], steps: "),
        ({"loras": [{"repo": "a/b", "scale": 9}]}, "shots[0], loras.0.scale: "),
        ({"loras": [{"repo": "a/b", "weight": 1}]}, "shots[0], loras.0: there is no field 'weight'"),
        ({"loras": "a/b@much"}, "shots[0], loras.0.scale: "),
        ({"inputs": [{"role": "init", "path": "missing.png"}]}, "shots[0]: there is no input missing.png"),
        ({"width": 65, "height": 65}, "(1 more)"),
    ],
)
def test_a_faulty_field_is_named_with_its_place(tmp_path, fields, told):
    assert told in refusal(tmp_path, "n.json", one_shot(**fields))


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ({"teir": "batch"}, "there is no field 'teir'; did you mean tier?"),
        ({"tier": "fast"}, "tier: "),
        ({"use": "world_domination"}, "use: "),
        ({"timezone": "Mars/Olympus"}, "timezone: there is no time zone Mars/Olympus"),
        ({"timezone": "../../etc/passwd"}, "timezone: there is no time zone"),
        ({"territories": ["Germany"]}, "territories.0: "),
        ({"labels": {"a": 1}}, "labels.a: "),
        ({"recipients": "one@x"}, "recipients: "),
        ({"max_failed_shots": -1}, "max_failed_shots: "),
        ({"quality_floor": 2}, "quality_floor: "),
        ({"deadline": 800}, "deadline: "),
        ({"deadline": True}, "deadline: "),
        ({"shots": {"name": "fox"}}, "shots is not a list"),
        ({"shots": ["fox"]}, "shots[0] is not a table"),
        ({"shots": []}, "orders no shots"),
        ({"defaults": []}, "defaults is not a table"),
    ],
)
def test_a_faulty_head_is_named_by_its_field(tmp_path, head, told):
    assert told in refusal(tmp_path, "n.json", json.dumps({"shots": [SHOT], **head}))


def test_a_fault_in_the_defaults_is_not_blamed_on_a_shot(tmp_path):
    text = json.dumps({"defaults": {"sted": 1}, "shots": [SHOT]})
    assert "defaults: there is no field 'sted'" in refusal(tmp_path, "n.json", text)
    text = json.dumps({"defaults": {"width": 1}, "shots": [SHOT]})
    assert "defaults, width: " in refusal(tmp_path, "n.json", text)
    text = json.dumps({"defaults": {"width": 64}, "shots": [{**SHOT, "width": 1}]})
    assert "shots[0], width: " in refusal(tmp_path, "n.json", text)


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("n.toml", 'name = "a"\nname = "b"\n', "line 2"),
        ("n.toml", "name = \n", "line 1"),
        ("n.toml", "x = 2026-02-30\n", "not TOML"),
        ("n.toml", f"x = {DEEP}", "not TOML"),
        ("n.toml", f"x = {'9' * 5000}", "not TOML"),
        ("n.yaml", "name: [a\nb: c\n", "line 2"),
        ("n.yaml", "name: a\nname: b\n", "line 2: not YAML: the key 'name' stands twice"),
        ("n.yaml", "shots:\n  - name: a\n    name: b\n", "line 3: not YAML: the key 'name' stands twice"),
        ("n.yaml", "x: 2026-02-30\n", "not YAML"),
        ("n.yaml", "? [a]\n: b\n", "line 1"),
        ("n.yaml", "!!python/object/apply:os.system ['true']\n", "line 1"),
        ("n.yaml", "a: 1\n---\nb: 2\n", "line 2"),
        ("n.yaml", "a: \x07\n", "not YAML"),
        ("n.yaml", f"x: {DEEP}", "not YAML"),
        ("n.yaml", "- fox\n", "holds no table at its top"),
        ("n.json", '{"name": "a",\n "shots": [}', "line 2: not JSON"),
        ("n.json", '{"name": "a", "name": "b"}', "the key 'name' stands twice"),
        ("n.json", '{"shots": [{"seed": 1, "seed": 2}]}', "the key 'seed' stands twice"),
        ("n.json", "", "line 1: not JSON"),
        ("n.json", "[]", "holds no table at its top"),
        ("n.json", DEEP, "not JSON"),
        ("n.json", f'{{"seed": {"9" * 5000}}}', "not JSON"),
        ("n.jsonl", json.dumps(SHOT) + "\n{\n", "line 2: not JSON"),
        ("n.jsonl", json.dumps(SHOT) + "\n\n[1]\n", "line 3 is not a table"),
        ("n.jsonl", json.dumps(SHOT) + '\n{"name": "x"}\n', "line 2, prompt: Field required (1 more)"),
        ("n.jsonl", '\n{"name": "a", "name": "b"}\n', "line 2: the key 'name' stands twice"),
        ("n.jsonl", '\n{"manifest": {}, "default": {}}\n', "line 2: there is no field 'default'"),
        ("n.jsonl", "", "orders no shots"),
        ("n.csv", "", "orders no shots"),
        ("n.csv", "name,prompt,model\n", "orders no shots"),
        ("n.csv", "name,prompt,model\nfox,a fox,a/b,c\n", "line 2: more cells than columns"),
        ("n.csv", "name,prompt,model\nfox,a fox\n", "line 2, model: Field required"),
        (
            "n.csv",
            "name,promt,model\nfox,a fox,a/b\n",
            "line 2: there is no field 'promt'; did you mean prompt?",
        ),
        ("n.csv", "name,prompt,prompt,model\nfox,a,b,a/b\n", "line 1: the column 'prompt' stands twice"),
        ("n.csv", "name;prompt;model\nfox;a fox;a/b\n", "line 1: the one column 'name;prompt;model'"),
        ("n.csv", 'name,prompt,model\nfox,"a fox,a/b\n', "not CSV"),
        ("n.csv", "name,prompt,model,seed\nfox,a fox,a/b,many\n", "line 2, seed: "),
        ("n.txt", "name", "has no known ending"),
    ],
)
def test_malformed_text_is_told_by_line_or_field(tmp_path, name, text, told):
    assert told in refusal(tmp_path, name, text)


def test_a_bomb_of_aliases_is_refused_before_it_goes_off(tmp_path):
    layers = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12))
    message = refusal(tmp_path, "bomb.yaml", f"l0: &l0 [lol]\n{layers}\n")
    assert "line 2: not YAML: aliases are not accepted" in message


def test_what_is_no_utf_8_is_told_by_its_byte(tmp_path):
    assert "not UTF-8 text: byte 9" in refusal(tmp_path, "n.toml", b'name = "f\xfcchse"')
    assert "not UTF-8" in refusal(tmp_path, "n.csv", "name,prompt\n".encode("utf-16"))


def test_a_file_that_is_missing_or_a_folder_is_told(tmp_path):
    with pytest.raises(ManifestRejected, match="There is no manifest"):
        load_manifest(tmp_path / "missing.toml", now=NOW)
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ManifestRejected, match="cannot be read"):
        load_manifest(tmp_path / "folder.toml", now=NOW)


def test_yaml_means_what_people_mean(tmp_path):
    text = (
        "territories: [NO, DE]\nowner: yes\ndeadline: 22:30\ntimezone: Europe/Oslo\n"
        "shots:\n  - {name: on, prompt: off, model: a/b, seed: 010, guidance: 1e0}\n"
    )
    order = load(tmp_path, "n.yaml", text)
    assert order.use.territories == ("NO", "DE")
    assert order.owner == "yes"
    assert order.service.deadline == datetime(2026, 1, 31, 21, 30, tzinfo=UTC)
    assert (order.shots[0].name, order.shots[0].prompt) == ("on", "off")
    assert (order.shots[0].seed, order.shots[0].guidance) == (10, 1.0)


def test_a_prompt_keeps_the_line_separators_of_unicode(tmp_path):
    prompt = "a fox\u2028beside\x85an owl"
    line = json.dumps({**SHOT, "prompt": prompt}, ensure_ascii=False)
    assert load(tmp_path, "n.jsonl", line + "\n").shots[0].prompt == prompt


def test_a_cell_may_hold_lines_and_commas(tmp_path):
    text = 'name,prompt,model\nfox,"a fox,\nflat",a/b\n\nowl,an owl,a/b\n'
    fox, owl = load(tmp_path, "n.csv", text).shots
    assert fox.prompt == "a fox,\nflat"
    assert owl.where == "n.csv: line 5"


def test_times_of_toml_are_times(tmp_path):
    shots = '[[shots]]\nname = "fox"\nprompt = "x"\nmodel = "a/b"\n'
    for written, hour in [
        ("08:00:00", (1, 7)),
        ('"08:00"', (1, 7)),
        ("2026-02-03T08:00:00", (3, 7)),
        ("2026-02-03T08:00:00Z", (3, 8)),
    ]:
        order = load(tmp_path, "n.toml", f'deadline = {written}\ntimezone = "Europe/Berlin"\n{shots}')
        assert order.service.deadline == datetime(2026, 2, *hour, tzinfo=UTC)


def test_an_input_is_its_bytes_and_must_be_the_bytes_it_says(tmp_path):
    (tmp_path / "plate.png").write_bytes(b"plate")
    sha256 = "e6c5a4d4e1a5d3"  # wrong on purpose, and too short
    given = {"role": "init_image", "path": "plate.png", "rights": "own work"}
    order = load(tmp_path, "n.json", one_shot(inputs=[given]))
    (found,) = order.shots[0].inputs
    assert (found.role, found.rights, len(found.sha256)) == ("init_image", "own work", 64)
    assert "inputs.0.sha256" in refusal(tmp_path, "n.json", one_shot(inputs=[{**given, "sha256": sha256}]))
    other = {**given, "sha256": "0" * 64}
    assert "has other bytes than its sha256 says" in refusal(tmp_path, "n.json", one_shot(inputs=[other]))
    right = {**given, "sha256": found.sha256}
    assert load(tmp_path, "n.json", one_shot(inputs=[right])).shots[0].inputs == order.shots[0].inputs


def test_limits_of_an_order_are_read_and_a_hold_after_probes_asks_for_probes(tmp_path: Path):
    shots = '[[shots]]\nname = "fox"\nprompt = "a fox"\nmodel = "rightstep/emoji-64"\n'
    head = 'hold_after_probes = true\nbudget_seconds = 7200\nbudget_end = "finish"\n'
    asked = load(tmp_path, "n.toml", head + shots).limits
    assert asked == Limits(
        probes=True, hold_after_probes=True, budget_seconds=7200.0, budget_end=BudgetEnd.FINISH
    )
    assert load(tmp_path, "plain.toml", shots).limits == Limits()
    assert "budget_end" in refusal(tmp_path, "bad.toml", 'budget_end = "explode"\n' + shots)

import json
from datetime import UTC, datetime

from tests.factories import make_artefact
from tests.unit.workers.batches import make_shot_task, make_task
from workers.provenance import make_statement

NOW = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)


def make(**changes) -> bytes:
    facts = {
        "artefact": make_artefact(),
        "shot": make_shot_task(),
        "task": make_task(),
        "loaded": (("rightstep/emoji-64/unet/model.safetensors", "c" * 64),),
        "versions": (("torch", "2.13.0"),),
        "worker": "here:4711",
        "now": NOW,
    }
    return make_statement(**(facts | changes))


def test_a_statement_names_the_artefact_and_every_file_it_was_made_from():
    statement = json.loads(make())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0]["digest"]["sha256"] == make_artefact().sha256
    materials = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert materials == [
        {"name": "rightstep/emoji-64/unet/model.safetensors", "digest": {"sha256": "c" * 64}}
    ]


def test_a_statement_says_how_when_and_for_which_job_the_take_was_made():
    predicate = json.loads(make())["predicate"]
    how = predicate["buildDefinition"]["internalParameters"]
    assert (how["preset"], how["steps"], how["guidance"]) == ("emoji-64-full", 2, {"guidance_scale": "3"})
    assert how["stack_id"] == make_task().load.stack.stack_id
    assert predicate["runDetails"]["metadata"] == {
        "finishedOn": "2026-01-31T19:00:00.000000Z",
        "invocationId": "take-0",
        "job": "job-1",
        "plan": "b" * 64,
    }


def test_prompt_and_seed_do_not_travel_with_the_file():
    shot = make_shot_task(prompt="a secret fox", seed=987654321, prompt_digest="p" * 64, seed_digest="s" * 64)
    text = make(shot=shot).decode()
    assert "secret" not in text
    assert "987654321" not in text
    told = json.loads(text)["predicate"]["buildDefinition"]["externalParameters"]
    assert (told["prompt_digest"], told["seed_digest"]) == ("p" * 64, "s" * 64)
    assert make(shot=make_shot_task(prompt="a fox")) == make(shot=make_shot_task(prompt="an owl"))


def test_the_same_facts_are_the_same_bytes():
    assert make() == make()

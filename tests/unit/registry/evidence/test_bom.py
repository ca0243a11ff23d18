"""The bill of materials fits the published schema, whatever is in it, and is the same bytes for the same facts."""

import json
from dataclasses import replace

import pytest

from policy.errors import IntegrityFault
from registry.evidence.bom import BomInput, BomLicence, BomModel, make_bom, validate_bom
from tests.factories import NOW, make_adapter_pin, make_model_pin, make_stack

APACHE = BomLicence(
    id="apache-2.0",
    name="Apache License 2.0",
    spdx="Apache-2.0",
    url="https://www.apache.org/licenses/LICENSE-2.0",
    text_sha256="a" * 64,
)
OWN = replace(APACHE, id="flux-dev-nc-2.0", name="FLUX [dev] Non-Commercial License v2.0", spdx=None)
LORA = make_adapter_pin(scale=0.8)
STACK = make_stack(adapters=(LORA,))
MODELS = (
    BomModel(pin=make_model_pin(), licences=(APACHE,), parents=()),
    BomModel(pin=LORA, licences=(APACHE, OWN), parents=("rightstep/emoji-64",)),
)
PLATE = BomInput(path="plates/fox.png", sha256="b" * 64, role="init_image", rights="own work")


def bom(**changes) -> bytes:
    facts = {
        "shipment_id": "ship-20260131-00000000",
        "title": "Night & day",
        "now": NOW,
        "version": "0.1.0",
        "models": MODELS,
        "stacks": (STACK,),
        "inputs": (PLATE, PLATE),
    }
    return make_bom(**(facts | changes))


def test_it_fits_the_schema_with_models_stack_and_inputs():
    validate_bom(bom())
    validate_bom(bom(inputs=()))


def test_a_document_that_does_not_fit_is_an_integrity_fault():
    document = json.loads(bom())
    document["components"][0]["type"] = "model"
    with pytest.raises(IntegrityFault, match=r"does not fit CycloneDX 1\.6"):
        validate_bom(json.dumps(document).encode())


@pytest.mark.parametrize("address", ["not an address", "https://[half/", "https://studio.example/<a>"])
def test_an_address_that_is_none_does_not_fit(address):
    document = json.loads(bom())
    document["externalReferences"] = [{"type": "website", "url": "https://studio.example/é"}]
    validate_bom(json.dumps(document).encode())
    document["externalReferences"][0]["url"] = address
    with pytest.raises(IntegrityFault, match="does not fit"):
        validate_bom(json.dumps(document).encode())


def test_every_file_of_every_model_is_there_by_its_digest():
    document = json.loads(bom())
    found = {
        file["hashes"][0]["content"]
        for component in document["components"]
        for file in component.get("components", ())
    }
    assert found == {file.sha256 for model in MODELS for file in model.pin.files}


def test_a_stack_is_an_assembly_of_its_models_and_the_shipment_comes_from_both():
    document = json.loads(bom())
    reaches = {one["ref"]: one["dependsOn"] for one in document["dependencies"]}
    assert reaches[f"stack:{STACK.stack_id}"] == [f"model:{pin.pin_id}" for pin in STACK.pins]
    assert f"input:{PLATE.sha256}:{PLATE.path}" in reaches["shipment:ship-20260131-00000000"]
    assert document["compositions"][0]["assemblies"] == [f"stack:{STACK.stack_id}"]


def test_a_licence_without_an_spdx_name_goes_by_its_own():
    document = json.loads(bom())
    lora = next(one for one in document["components"] if one["bom-ref"] == f"model:{LORA.pin_id}")
    assert [one["license"].get("id") or one["license"]["name"] for one in lora["licenses"]] == [
        "Apache-2.0",
        OWN.name,
    ]
    assert {one["license"]["acknowledgement"] for one in lora["licenses"]} == {"concluded"}
    assert lora["pedigree"]["ancestors"][0]["name"] == "rightstep/emoji-64"


def test_the_order_of_the_models_makes_no_other_bytes():
    assert bom() == bom(models=MODELS[::-1])

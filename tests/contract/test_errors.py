"""Errors travel between processes: Ray and Prefect pickle them."""

import importlib
import inspect
import pickle

from policy.errors import RightstepError
from tests.contract.house import PACKAGES, imported_names, modules


def all_errors() -> set[type[RightstepError]]:
    """Every error class of the product: modules that import the root are the ones that can define more."""
    for name, path in modules(*PACKAGES):
        if "policy.errors" in imported_names(path) and defines_a_class_from_an_error(path.read_text("utf-8")):
            importlib.import_module(name)
    found: set[type[RightstepError]] = set()
    waiting = [RightstepError]
    while waiting:
        error = waiting.pop()
        found.add(error)
        waiting.extend(error.__subclasses__())
    return {error for error in found if error.__module__.split(".")[0] in PACKAGES}


def defines_a_class_from_an_error(text: str) -> bool:
    return any(line.startswith("class ") and "(" in line for line in text.splitlines())


def arguments_for(error: type[RightstepError]) -> list[str]:
    parameters = [
        parameter
        for parameter in inspect.signature(error).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_POSITIONAL
    ]
    assert not any(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters), (
        f"{error} cannot be unpickled"
    )
    return [f"{parameter.name} that says something" for parameter in parameters]


def test_every_error_survives_the_trip_between_processes():
    errors = all_errors()
    assert len(errors) > 5
    for error in errors:
        sent = error(*arguments_for(error))
        received = pickle.loads(pickle.dumps(sent))
        assert type(received) is error
        assert vars(received) == vars(sent), f"{error.__name__} lost something on the way"
        assert str(received) == str(sent)


def test_every_error_says_what_it_means():
    assert [error.__name__ for error in all_errors() if not (error.__doc__ or "").strip()] == []


def test_an_error_keeps_its_next_step():
    text = str(RightstepError("The house is down.", "Start it with `rightstep up`."))
    assert text == "The house is down. Start it with `rightstep up`."

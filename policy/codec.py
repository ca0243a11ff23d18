"""Frozen dataclasses to JSON-ready values and back, by their type hints.

One generic pair instead of a hand-written reader and writer a class: a field that is
added is stored and read from that day on, and an older text without it takes the
field's default. Floats stay JSON numbers (Python writes the shortest text that reads
back equal) and are also read from canonical decimal strings. Hashes never go over this
form: they go over ``policy.canonical``.
"""

import math
import types
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from policy.errors import FormatFault

T = TypeVar("T")
Convert = Callable[[Any], Any]

SCALARS = frozenset({str, int, float, bool, type(None)})
_REPAIR = "Read it with the version that wrote it, or write it again."


def encode(value: object) -> Any:
    """The JSON-ready form of a dataclass: dicts, lists, strings, numbers, booleans and null."""
    if not is_dataclass(value):
        raise FormatFault(
            f"{type(value).__name__} is not a value that can be written.", "Hand over a dataclass."
        )
    return _encoder(cast("Any", type(value)))(value)


def decode(cls: type[T], value: object) -> T:
    """The value that ``encode`` wrote; anything else is a FormatFault that names the place."""
    try:
        return cast("T", _decoder(cast("Any", cls))(value))
    except _Misfit as misfit:
        place = "".join(reversed(misfit.path)).lstrip(".") or "the whole value"
        raise FormatFault(f"Not a {cls.__name__}: {place}: {misfit.detail}", _REPAIR) from None


class _Misfit(Exception):  # never leaves this file; becomes a FormatFault
    """A value that does not fit its type, with the path to it from the inside out."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.path: list[str] = []


def _same(value: Any) -> Any:
    return value


# --- writing -------------------------------------------------------------------------


@cache
def _encoder(hint: Any) -> Convert:
    """How a value of this type is written; ``_same`` where it is JSON already."""
    if hint in {str, int, bool, type(None)}:
        return _same
    if hint is float:
        return _finite
    if hint in {date, datetime}:
        return _write_time
    if isinstance(hint, type) and issubclass(hint, Enum):
        return attrgetter("value")
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass_encoder(hint)
    if get_origin(hint) is tuple:
        return _tuple_encoder(get_args(hint))
    if _is_union(hint):
        return _union_encoder(get_args(hint))
    raise TypeError(f"No way to write a field of type {hint!r}.")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise FormatFault(
            f"{value} cannot be written.", "Only finite numbers can; find where it was computed."
        )
    return value


def _write_time(value: date) -> str:
    return value.isoformat()


def _dataclass_encoder(cls: type) -> Convert:
    hints = get_type_hints(cls)
    names = tuple(field.name for field in fields(cls))
    converters = tuple((name, _encoder(hints[name])) for name in names)
    changed = tuple((name, convert) for name, convert in converters if convert is not _same)
    read = attrgetter(*names)
    single = len(names) == 1

    def write(value: Any) -> dict[str, Any]:
        row = dict(zip(names, (read(value),) if single else read(value), strict=True))
        for name, convert in changed:
            row[name] = convert(row[name])
        return row

    return write


def _tuple_encoder(items: tuple[Any, ...]) -> Convert:
    if _is_open(items):
        write = _encoder(items[0])
        return list if write is _same else lambda value: [write(item) for item in value]
    writers = tuple(_encoder(item) for item in items)
    return lambda value: [write(item) for write, item in zip(writers, value, strict=True)]


def _union_encoder(options: tuple[Any, ...]) -> Convert:
    if set(options) <= SCALARS:
        return lambda value: _finite(value) if isinstance(value, float) else value
    member = _only_member(options)  # looked up when it is met: a class may hold another of itself
    return lambda value: None if value is None else _encoder(member)(value)


# --- reading -------------------------------------------------------------------------


@cache
def _decoder(hint: Any) -> Convert:
    """How a value of this type is read; raises ``_Misfit`` on anything else."""
    if hint is float:
        return _read_float
    if hint in SCALARS:
        return _scalar_decoder(hint)
    if hint in {date, datetime}:
        return _time_decoder(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum_decoder(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass_decoder(hint)
    if get_origin(hint) is tuple:
        return _tuple_decoder(get_args(hint))
    if _is_union(hint):
        return _union_decoder(get_args(hint))
    raise TypeError(f"No way to read a field of type {hint!r}.")


def _scalar_decoder(hint: type) -> Convert:
    def read(value: Any) -> Any:
        if type(value) is not hint:  # exactly: True is no count
            raise _Misfit(f"{value!r} is not {_called(hint)}")
        return value

    return read


def _read_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _Misfit(f"{value!r} is not a number")
    try:
        number = float(value)
    except ValueError:
        raise _Misfit(f"{value!r} is not a number") from None
    if not math.isfinite(number):
        raise _Misfit(f"{value!r} is not a finite number")
    return number


def _time_decoder(hint: type[date]) -> Convert:
    def read(value: Any) -> date:
        try:
            return hint.fromisoformat(value)
        except (TypeError, ValueError):
            raise _Misfit(f"{value!r} is not {_called(hint)} in ISO 8601") from None

    return read


def _enum_decoder(hint: type[Enum]) -> Convert:
    members = {member.value: member for member in hint}

    def read(value: Any) -> Enum:
        try:
            return members[value]
        except (KeyError, TypeError):
            raise _Misfit(f"{value!r} is none of {', '.join(sorted(map(str, members)))}") from None

    return read


def _dataclass_decoder(cls: type) -> Convert:
    hints = get_type_hints(cls)
    readers = {field.name: _decoder(hints[field.name]) for field in fields(cls)}
    needed = frozenset(field.name for field in fields(cls) if _is_required(field))

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _Misfit(f"{value!r:.60} is not an object")
        row = cast("dict[str, Any]", value)
        if not needed <= row.keys():
            raise _Misfit(f"{', '.join(sorted(needed - row.keys()))} missing")
        given: dict[str, Any] = {}
        name = ""
        try:
            for name, item in row.items():
                given[name] = readers[name](item)
        except KeyError:
            raise _Misfit(f"{name!r} is not a field of {cls.__name__}") from None
        except _Misfit as misfit:
            misfit.path.append(f".{name}")
            raise
        return cls(**given)

    return read


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _tuple_decoder(items: tuple[Any, ...]) -> Convert:
    readers = None if _is_open(items) else tuple(_decoder(item) for item in items)
    each = _decoder(items[0])

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise _Misfit(f"{value!r:.60} is not a list")
        row = cast("list[Any]", value)
        if readers is not None and len(row) != len(readers):
            raise _Misfit(f"{len(row)} items where {len(readers)} belong")
        taken: list[Any] = []
        try:
            for reader, item in zip(readers or (each,) * len(row), row, strict=True):
                taken.append(reader(item))
        except _Misfit as misfit:
            misfit.path.append(f"[{len(taken)}]")
            raise
        return tuple(taken)

    return read


def _union_decoder(options: tuple[Any, ...]) -> Convert:
    if set(options) <= SCALARS:
        return _scalars_decoder(frozenset(options))
    member = _only_member(options)
    return lambda value: None if value is None else _decoder(member)(value)


def _scalars_decoder(options: frozenset[type]) -> Convert:
    readers = {option: _decoder(option) for option in options}

    def read(value: Any) -> Any:
        reader = readers.get(type(value)) or readers.get(float)
        if reader is None:
            raise _Misfit(
                f"{value!r:.60} is not {' or '.join(sorted(_called(option) for option in options))}"
            )
        return reader(value)

    return read


# --- type hints ----------------------------------------------------------------------


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in {Union, types.UnionType}


def _is_open(items: tuple[Any, ...]) -> bool:
    return len(items) == 2 and items[1] is Ellipsis


def _only_member(options: tuple[Any, ...]) -> Any:
    members = [option for option in options if option is not type(None)]
    if len(members) != 1:
        raise TypeError(f"A union of {len(members)} shapes has no tag to tell them apart: {options!r}.")
    return members[0]


def _called(hint: type) -> str:
    names = {
        str: "a text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        type(None): "null",
    }
    return names.get(hint, f"a {hint.__name__}")

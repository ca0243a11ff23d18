"""A parsed TOML table, read key by key and then closed, so that a slip in a data file is found at once."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar, cast

from policy.errors import FormatFault

T = TypeVar("T")
Choice = TypeVar("Choice", bound=StrEnum)


class StrictTable:
    """Hands out each key once, in its type; a missing, wrong or left-over key is a FormatFault."""

    def __init__(self, table: Mapping[str, Any], where: str, next_step: str) -> None:
        self._rest = dict(table)
        self._where = where
        self._next_step = next_step

    def fault(self, detail: str) -> FormatFault:
        """The error to raise about this table."""
        return FormatFault(f"{self._where}: {detail}", self._next_step)

    def has(self, key: str) -> bool:
        """Is the key there and not yet taken?"""
        return key in self._rest

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        """The value of a key in its exact type; without a default the key must be there."""
        if key not in self._rest:
            if default is None:
                raise self.fault(f'"{key}" is missing.')
            return default
        value = self._rest.pop(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.fault(f'"{key}" must be {kind.__name__}, not {type(value).__name__}.')
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A text."""
        return self.take(key, str, default)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; left out means empty."""
        return self._list(key, str, "texts")

    def text_or_texts(self, key: str) -> tuple[str, ...]:
        """One text, or a list of them; left out means empty."""
        return (self.text(key),) if isinstance(self._rest.get(key), str) else self.texts(key)

    def scalar(self, key: str, default: str) -> str:
        """A text, number, date or flag as text: of names that a file format may take for a number."""
        value = self._rest.get(key, default)
        if isinstance(value, bool):
            self._rest[key] = str(value).lower()
        elif isinstance(value, int | float | date) and not isinstance(value, datetime):
            self._rest[key] = str(value)
        return self.text(key, default)

    def rest(self) -> dict[str, Any]:
        """Whatever nobody asked for yet, as it is; after that nothing is left over."""
        rest, self._rest = self._rest, {}
        return rest

    def whole_numbers(self, key: str) -> tuple[int, ...]:
        """A list of integers; left out means empty."""
        return self._list(key, int, "whole numbers")

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of numbers, as floats; left out means empty."""
        return tuple(float(item) for item in self._list(key, (int, float), "numbers"))

    def number(self, key: str, default: float | None = None) -> float:
        """A number, written with or without a point."""
        value = self._rest.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            self._rest[key] = float(value)
        return self.take(key, float, default)

    def optional_number(self, key: str) -> float | None:
        """A number or, left out, None."""
        return self.number(key) if self.has(key) else None

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Yes or no."""
        return self.take(key, bool) if self.has(key) else default

    def choice(self, key: str, kind: type[Choice]) -> Choice:
        """One word of a closed set."""
        return self._member(self.text(key), key, kind)

    def choices(self, key: str, kind: type[Choice]) -> tuple[Choice, ...]:
        """Words of a closed set; left out means none."""
        return tuple(self._member(item, key, kind) for item in self.texts(key))

    def mapping(self, key: str) -> dict[str, Any]:
        """An inner table with keys that are data."""
        return self.take(key, dict)

    def tables(self, key: str) -> tuple["StrictTable", ...]:
        """Inner tables, numbered from 1 in messages; left out means none."""
        items = self._list(key, dict, "tables")
        return tuple(
            StrictTable(cast("dict[str, Any]", item), f"{self._where}: {key}[{number}]", self._next_step)
            for number, item in enumerate(items, 1)
        )

    def one(self, key: str, parse: Callable[["StrictTable"], T]) -> T:
        """Parse an inner table and close it."""
        inner = StrictTable(self.mapping(key), f"{self._where}: {key}", self._next_step)
        value = parse(inner)
        inner.close()
        return value

    def optional(self, key: str, parse: Callable[["StrictTable"], T], default: T) -> T:
        """As ``one``, or the default where the table is left out."""
        return self.one(key, parse) if self.has(key) else default

    def many(self, key: str, parse: Callable[["StrictTable"], T]) -> tuple[T, ...]:
        """Parse each inner table of a list and close it."""
        values: list[T] = []
        for inner in self.tables(key):
            values.append(parse(inner))
            inner.close()
        return tuple(values)

    def close(self) -> None:
        """Refuse whatever nobody asked for."""
        if self._rest:
            raise self.fault(f"{', '.join(sorted(self._rest))} is not understood.")

    def _list(self, key: str, kind: type[T] | tuple[type[T], ...], what: str) -> tuple[T, ...]:
        items: list[Any] = self.take(key, list, [])
        if not all(isinstance(item, kind) and not isinstance(item, bool) for item in items):
            raise self.fault(f'"{key}" must be a list of {what}.')
        return tuple(items)

    def _member(self, value: str, key: str, kind: type[Choice]) -> Choice:
        try:
            return kind(value)
        except ValueError:
            raise self.fault(f'"{key}" cannot be "{value}"; it is one of {", ".join(kind)}.') from None

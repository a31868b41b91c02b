"""What a field of an intent may hold: one object that reads a value, words the refusal and words the reference.

An ``Expect`` stands in ``Annotated[type, Expect]``. pydantic calls it with the value as YAML gave it; whatever it
returns is the field's value. All of its refusals are reported, each at its own place inside the value.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

MOST = 100_000_000
"""Largest whole number that counts something; beyond it a value is a slip of the pen, not a cluster."""
DECIMALS = 6
"""Digits after the point: ratios become exact fractions, and these must stay small enough for an integer solver."""
LONGEST_NAME = 40
LONGEST_TEXT = 200

Place = tuple[str | int, ...]


class RefusedError(Exception):
    """A value is refused: why, and where inside the value (an empty place is the value itself)."""

    def __init__(self, *found: tuple[Place, str]) -> None:
        super().__init__(found)
        self.found = found


@dataclass(frozen=True)
class Expect:
    """``text`` completes "expected …"; ``parse`` returns the value kept, or raises RefusedError."""

    text: str
    parse: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The field is read by this object alone."""
        return core_schema.no_info_plain_validator_function(self)

    def __call__(self, value: Any) -> Any:
        """The value kept; raises ValidationError with every refusal at its place."""
        try:
            return self.parse(value)
        except RefusedError as wrong:
            raise as_validation_error(wrong, value) from None


def as_validation_error(wrong: RefusedError, value: Any) -> ValidationError:
    """Pydantic's error for ``wrong``; raised inside a validator, its places are taken relative to the field."""
    details: list[InitErrorDetails] = [
        {"type": PydanticCustomError("intent", "{text}", {"text": text}), "loc": place, "input": value}
        for place, text in wrong.found
    ]
    return ValidationError.from_exception_data("intent", details)


def shown(value: Any) -> str:
    """A value as a message quotes it: as YAML would write it, cut to 40 characters."""
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        short = 0 < len(value) <= 4 and all(isinstance(item, int) and abs(item) < MOST for item in value)
        return f"[{', '.join(map(shown, value))}]" if short else "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return json.dumps(value if len(value) <= LONGEST_NAME else value[:37] + "...", ensure_ascii=True)
    text = str(value).lower() if isinstance(value, bool) else _digits(value)
    return text if len(text) <= LONGEST_NAME else text[:37] + "..."


def _digits(value: Any) -> str:
    # Python refuses to print integers of more than 4300 digits.
    return "a huge number" if isinstance(value, int) and value.bit_length() > 4096 else str(value)


def nearest(word: Any, known: Iterable[str]) -> str:
    """``, did you mean "…"?`` where one of ``known`` is near, else nothing."""
    found = difflib.get_close_matches(word[:LONGEST_TEXT], list(known), 1) if isinstance(word, str) else []
    return f', did you mean "{found[0]}"?' if found else ""


def whole(low: int, high: int = MOST) -> Expect:
    """A whole number from ``low`` to ``high``; text and true are none."""
    text = f"a whole number from {low} to {high}" if high != MOST else f"a whole number of at least {low}"

    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise _wrong(text, value)
        if value > high:
            raise _wrong(text if high != MOST else f"a whole number of at most {MOST}", value)
        return value

    return Expect(text, parse)


def exact(low: int, high: int = 1_000_000, *, above: bool = False) -> Expect:
    """A decimal number kept exactly as written: 1.067 is Fraction(1067, 1000).

    ``above``: ``low`` itself is refused. YAML reads a float; its shortest text is the decimal that was written.
    """
    text = f"a number {'above' if above else 'from'} {low} {'and at most' if above else 'to'} {high}"

    def parse(value: Any) -> Fraction:
        if isinstance(value, Fraction):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise _wrong(text, value)
        if above and value == low:
            raise _wrong(text, value)
        if -int(Decimal(str(value)).normalize().as_tuple().exponent) > DECIMALS:
            raise _wrong(f"{text}, with at most {DECIMALS} digits after the point", value)
        return Fraction(str(value))

    return Expect(text, parse)


def measure(low: float, high: float, *, above: bool = True) -> Expect:
    """A length or a power: a float; ``above``: ``low`` itself is refused."""
    text = f"a number {'above' if above else 'from'} {low:g} {'and at most' if above else 'to'} {high:g}"

    def parse(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise _wrong(text, value)
        if above and value == low:
            raise _wrong(text, value)
        return float(value)

    return Expect(text, parse)


def flag() -> Expect:
    """True or false."""

    def parse(value: Any) -> bool:
        if not isinstance(value, bool):
            raise _wrong("true or false", value)
        return value

    return Expect("true or false", parse)


def choice(*names: str) -> Expect:
    """One of ``names``."""
    text = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"

    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise _wrong(text, value, names)
        return value

    return Expect(text, parse)


def matching(text: str, pattern: str) -> Expect:
    """Text of one form."""
    form = re.compile(pattern, re.ASCII)

    def parse(value: Any) -> str:
        if isinstance(value, bool | int | float):
            raise RefusedError(((), f"expected {text}, got {shown(value)}, which is no text unless quoted"))
        if not isinstance(value, str) or not form.fullmatch(value):
            raise _wrong(text, value)
        return value

    return Expect(text, parse)


def network(version: int) -> Expect:
    """An IPv4 or IPv6 network, its host bits zero; kept in its shortest spelling."""
    example = "10.0.0.0/8" if version == 4 else "fd00:1::/32"
    text = f"an IPv{version} network such as {example}"
    kind = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network

    def parse(value: Any) -> str:
        if not isinstance(value, str) or "/" not in value:
            raise _wrong(text, value)
        try:
            return str(kind(value))
        except ValueError as error:
            host_bits = "host bits" in str(error)
            raise _wrong(f"{text}{', with no host bits set' if host_bits else ''}", value) from None

    return Expect(text, parse)


def or_auto(inner: Expect, word: str = "auto") -> Expect:
    """``auto``, or what ``inner`` takes."""
    text = f'{inner.text}, or "{word}"'

    def parse(value: Any) -> Any:
        if isinstance(value, str) and value == word:
            return value
        try:
            return inner.parse(value)
        except RefusedError as wrong:
            raise (_wrong(text, value) if wrong.found[0][0] == () else wrong) from None

    return Expect(text, parse)


def or_null(inner: Expect, meaning: str) -> Expect:
    """Nothing, or what ``inner`` takes."""
    return Expect(f"{inner.text}, or null ({meaning})", lambda value: None if value is None else inner.parse(value))


def many(inner: Expect, *, least: int = 0, distinct: bool = True) -> Expect:
    """A list, kept as a tuple."""
    text = f"a list{' of at least one entry' if least else ''}: {inner.text}"

    def parse(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or len(value) < least:
            raise RefusedError(((), f"expected {text}, got {shown(value)}{_in_a_list(inner, value)}"))
        kept, found = _each(enumerate(value), inner)
        items = list(kept.items())
        before = [item for _, item in items]
        found += [
            ((place,), f"{shown(item)} is listed twice")
            for index, (place, item) in enumerate(items)
            if distinct and item in before[:index]
        ]
        if found:
            raise RefusedError(*found)
        return tuple(kept.values())

    return Expect(text, parse)


def _in_a_list(inner: Expect, value: Any) -> str:
    """A hint where one entry was given instead of a list of one."""
    if not isinstance(value, str) or not value:
        return ""
    try:
        inner.parse(value)
    except RefusedError:
        return ""
    return f", did you mean [{value}]?"


def table(keys: tuple[str, ...], inner: Expect, noun: str) -> Expect:
    """A mapping with some of ``keys``, kept in their order."""
    text = f"a mapping of {noun} ({', '.join(keys)}) to {inner.text}"

    def parse(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _wrong(text, value)
        kept, found = _each(((key, item) for key, item in value.items() if key in keys), inner)
        known = f", expected one of {', '.join(keys)}"
        found += [((key,), f"unknown {noun}{nearest(key, keys) or known}") for key in value if key not in keys]
        if found:
            raise RefusedError(*found)
        return {key: kept[key] for key in keys if key in kept}

    return Expect(text, parse)


def by_type(choices: Mapping[type, Expect], otherwise: Expect) -> Expect:
    """One of several forms, told apart by the type of the value."""
    text = ", or ".join(dict.fromkeys([otherwise.text, *(expect.text for expect in choices.values())]))

    def parse(value: Any) -> Any:
        for kind, expect in choices.items():
            if isinstance(value, kind):
                return expect.parse(value)
        try:
            return otherwise.parse(value)
        except RefusedError:
            raise _wrong(text, value) from None

    return Expect(text, parse)


def _each(items: Iterable[tuple[Any, Any]], inner: Expect) -> tuple[dict[Any, Any], list[tuple[Place, str]]]:
    """What ``inner`` makes of each item, and all its refusals."""
    kept: dict[Any, Any] = {}
    found: list[tuple[Place, str]] = []
    for key, item in items:
        try:
            kept[key] = inner.parse(item)
        except RefusedError as wrong:
            found += [((key, *place), what) for place, what in wrong.found]
    return kept, found


def _wrong(text: str, value: Any, known: Iterable[str] = ()) -> RefusedError:
    return RefusedError(((), f"expected {text}, got {shown(value)}{nearest(value, known)}"))


NAME = matching(
    f"a name of lowercase letters, digits and hyphens, at most {LONGEST_NAME} long, no hyphen at either end",
    rf"[a-z0-9](?:[a-z0-9-]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?",
)
MODEL = matching(
    "the name of a model (letters, digits, . _ + - and inner spaces)",
    r"[A-Za-z0-9](?:[A-Za-z0-9._+ -]{0,78}[A-Za-z0-9+])?",
)
PATH = matching(f"a file name of 1 to {LONGEST_TEXT} printable characters", rf"[^\x00-\x1f\x7f]{{1,{LONGEST_TEXT}}}")

"""What ``railwright.toml`` says of collecting: the table ``[collect]`` and one ``[collect.SOURCE]`` a source.

Settings hold names of secrets, never secrets. All mistakes are told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from collectors import registry
from collectors.registry import SOURCES
from collectors.schedule import Pace
from collectors.secrets import Secrets, missing
from fabric.errors import InputError, Problem
from fabric.validation import Strict, suggest, validate

FILE = "railwright.toml"
SECRET_OPTIONS = ("community", "password", "token")
"""Options that name a secret; those that end in ``_secret`` do too."""
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
Seconds = Annotated[float, Field(gt=0, le=86400)]
Patterns = tuple[Annotated[str, Field(min_length=1, max_length=200)], ...]
Network = Literal["compute", "storage", "frontend", "oob"]


class SourceSettings(Strict):
    """What every source has; what else its table says are options of the source itself."""

    model_config = ConfigDict(extra="allow")

    enabled: bool = True
    period: Seconds | None = None
    timeout: Seconds = 5.0
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    networks: tuple[Network, ...] = ()
    devices: Patterns = ("*",)
    family: Literal[4, 6] = 4
    variants: tuple[Mapping[str, Any], ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> SourceSettings:
        if self.period is not None and self.timeout > self.period:
            raise ValueError(f"timeout {self.timeout:g} is longer than period {self.period:g}")
        return self


class CollectSettings(Strict):
    """What all sources share; see docs/collect.md."""

    interval: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    concurrency: Annotated[int, Field(ge=1, le=100_000)] = 512
    patience: Seconds = 1.0
    targets: str | None = None
    store: str | None = None
    bus: str = "memory:"
    metrics: str | None = None
    secrets: str | None = None


@dataclass(frozen=True)
class Chosen:
    """A source that is to run.

    ``own`` goes to its class, ``options`` to each target, ``variants`` are devices (patterns) with options of their
    own; secrets are in them as ``Secret``.
    """

    name: str
    settings: SourceSettings
    pace: Pace
    own: Mapping[str, object]
    options: Mapping[str, object]
    variants: tuple[tuple[Patterns, Mapping[str, object]], ...] = ()

    @property
    def port(self) -> int:
        """Where its targets listen."""
        return SOURCES[self.name].port if self.settings.port is None else self.settings.port


@dataclass(frozen=True)
class Collect:
    """Everything of ``[collect]``: what is shared, and the sources."""

    shared: CollectSettings
    sources: tuple[Chosen, ...]

    def only(self, names: Sequence[str]) -> Collect:
        """With these sources alone. Raises InputError for one that the settings do not have."""
        known = {chosen.name: chosen for chosen in self.sources}
        absent = [name for name in names if name not in known]
        if absent:
            raise InputError(
                Problem(f"collect.{name}", "is not in the settings", f"add [collect.{name}]; docs/collect.md")
                for name in absent
            )
        return replace(self, sources=tuple(known[name] for name in names))


def read(tables: Mapping[str, Any], where: str = FILE) -> tuple[CollectSettings, dict[str, SourceSettings]]:
    """The settings as they are written, secrets by name. Raises InputError with all mistakes."""
    problems: list[Problem] = []
    plain = {key: value for key, value in tables.items() if key not in SOURCES}
    unknown = [key for key, value in plain.items() if isinstance(value, Mapping)]
    for key in unknown:
        names = [*SOURCES, *CollectSettings.model_fields]
        problems.append(Problem(f"{where}: collect.{key}", f"unknown source, {suggest(key, names)}"))
        del plain[key]
    shared = _validated(CollectSettings, plain, where, ("collect",), problems)
    sources = {}
    for name in SOURCES:
        if name in tables:
            found = _validated(SourceSettings, tables[name], where, ("collect", name), problems)
            if found is not None:
                problems += _names_wrong(_all_options(found), f"{where}: collect.{name}")
                sources[name] = found
    if problems or shared is None:
        raise InputError(problems)
    return shared, sources


def _validated(model: type[Any], data: object, where: str, at: tuple[str, ...], problems: list[Problem]) -> Any:
    try:
        return validate(model, data, where, at)
    except InputError as error:
        problems += error.problems
        return None


def _all_options(found: SourceSettings) -> Iterator[tuple[str, object]]:
    yield from (found.model_extra or {}).items()
    for variant in found.variants:
        yield from variant.items()


def _is_secret(option: str) -> bool:
    return option in SECRET_OPTIONS or option.endswith("_secret")


def _names_wrong(options: Iterator[tuple[str, object]], where: str) -> Iterator[Problem]:
    """What is given as a name of a secret and is none is not shown: it may be the secret."""
    for option, value in options:
        if _is_secret(option) and not (isinstance(value, str) and _NAME.fullmatch(value)):
            remedy = "write a name (capitals, digits, _) and set RAILWRIGHT_SECRET_NAME; the secret has no place here"
            yield Problem(f"{where}.{option}", "is no name of a secret", remedy)


def with_secrets(
    shared: CollectSettings, sources: Mapping[str, SourceSettings], secrets: Secrets, where: str = FILE
) -> Collect:
    """The sources that are enabled, names of secrets replaced by them. Raises InputError for all that are not set."""
    enabled = {name: found for name, found in sources.items() if found.enabled}
    problems = [
        problem
        for name, found in enabled.items()
        for option, value in _all_options(found)
        if _is_secret(option) and str(value) not in secrets
        for problem in missing([str(value)], f"{where}: collect.{name}.{option}")
    ]
    if problems:
        raise InputError(problems)
    return Collect(shared, tuple(_chosen(name, found, secrets) for name, found in enabled.items()))


def _chosen(name: str, found: SourceSettings, secrets: Secrets) -> Chosen:
    entry = SOURCES[name]
    given = _revealed(found.model_extra or {}, secrets)
    own = {key: given.pop(key) for key in entry.own if key in given}
    if found.port is not None and "port" in entry.own:
        own["port"] = found.port
    elif found.port is not None and entry.asks == "subnet":
        given["port"] = found.port
    variants = tuple(
        (tuple(variant.get("devices", ())), given | _revealed(_without_devices(variant), secrets))
        for variant in found.variants
    )
    period = entry.period if found.period is None else found.period
    timeout = min(found.timeout, period)
    return Chosen(name, found, Pace(period, timeout, found.retries, found.jitter), own, given, variants)


def _without_devices(variant: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in variant.items() if key != "devices"}


def _revealed(options: Mapping[str, object], secrets: Secrets) -> dict[str, object]:
    return {key: secrets[str(value)] if _is_secret(key) else value for key, value in options.items()}


def check(chosen: Chosen) -> None:
    """Raises InputError where the source would refuse its options."""
    from collectors.sources import Target

    # The address of a server is where to ask, not how.
    server = SOURCES[chosen.name].asks == "server"
    for given in (chosen.options, *(options for _, options in chosen.variants)):
        options = {key: value for key, value in given.items() if not (server and key == "address")}
        registry.check(chosen.name, Target(f"collect.{chosen.name}", "192.0.2.1", chosen.port or 1, {}, options))

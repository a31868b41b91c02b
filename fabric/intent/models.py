"""The intent: what is asked of a fabric."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, PrivateAttr

from fabric.intent.addressing import Addressing
from fabric.intent.base import said
from fabric.intent.expect import MODEL, NAME, PATH, choice, exact, many, or_null, table, whole
from fabric.intent.network import NETWORKS, ROLES, NetworkIntent, Role, with_defaults
from fabric.intent.services import Services
from fabric.intent.site import Site
from fabric.validation import Strict

NetworkName = Literal["compute", "storage", "frontend", "oob"]
Objective = Literal["cost", "power", "switches"]


class HostGroup(Strict):
    """Hosts of one model and role."""

    name: Annotated[str, NAME] = said("Name of the group; its hosts are called `NAME-0000`, `NAME-0001`…")
    model: Annotated[str, MODEL] = said("Server model of the catalogue.")
    count: Annotated[int, whole(1)] = said("Hosts, spares not counted.")
    spares_per_segment: Annotated[int, whole(0, 4096)] = said(
        "Backup hosts of each segment, installed and cabled besides `count`.", 0
    )
    role: Annotated[Role, choice(*ROLES)] = said(
        "What the hosts are for; services take ports that are left over.", "compute"
    )
    networks: Annotated[
        dict[str, int] | None, or_null(table(NETWORKS, whole(0, 1024), "network"), "as the catalogue says")
    ] = said(
        "How many NICs of a host go to which network, instead of what the catalogue says; a network left out gets "
        "none.",
        None,
    )


def _in_order(value: Any) -> Any:
    """Networks in the fixed order (strange ones last), each with the defaults that are its own."""
    if not isinstance(value, Mapping):
        return value
    ordered = [name for name in NETWORKS if name in value] + [name for name in value if name not in NETWORKS]
    return {name: with_defaults(name, net) if isinstance(net := value[name], Mapping) else net for name in ordered}


class Intent(Strict):
    """A whole intent. ``source``, the file it was read from, is no field and never written."""

    name: Annotated[str, NAME] = said("Name of the plan.")
    catalogue: Annotated[tuple[str, ...], many(PATH)] = said(
        "Files, relative to this one, that add to the shipped catalogue or override it; later ones win.", ()
    )
    hosts: tuple[HostGroup, ...] = said("Groups of hosts, in the order in which they fill segments.")
    networks: Annotated[dict[NetworkName, NetworkIntent], BeforeValidator(_in_order)] = said(
        "Networks to plan, by name: compute, storage, frontend, oob."
    )
    site: Site | None = said("The room; without it racks are not planned and lengths are estimates.", None)
    addressing: Addressing = said("Pools of addresses and AS numbers.", make=Addressing)
    services: Services = said("What the devices talk to; never a secret.", make=Services)
    objective: Annotated[Objective, choice("cost", "power", "switches")] = said("What is made least first.", "cost")
    prices: Annotated[str | None, or_null(PATH, "published prices")] = said(
        "File of prices by model, relative to this one.", None
    )
    spare_parts_percent: Annotated[Fraction, exact(0, 100)] = said(
        "Optics and cables ordered besides those used.", Fraction(3), unit="%"
    )

    _source: Path | None = PrivateAttr(default=None)

    @property
    def source(self) -> Path | None:
        """The intent file; None where the text came from no file."""
        return self._source

    @property
    def base(self) -> Path | None:
        """Folder that relative paths start from; None where the text came from no file."""
        return None if self._source is None else self._source.parent

    @property
    def catalogue_paths(self) -> tuple[Path, ...]:
        """User catalogues, relative ones resolved from the folder of the intent."""
        return tuple(self._resolved(path) for path in self.catalogue)

    @property
    def prices_path(self) -> Path | None:
        """File of prices, or None."""
        return None if self.prices is None else self._resolved(self.prices)

    def __eq__(self, other: object) -> bool:
        """Equal when the same is asked; where the file lies does not matter."""
        return isinstance(other, Intent) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def to_yaml(self) -> str:
        """The normalised intent: every default written, keys in the order of the reference."""
        return yaml.safe_dump(plain(self), sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)

    def _resolved(self, path: str) -> Path:
        return (self.base or Path()) / path


def plain(value: Any) -> Any:
    """A model as the plain values YAML writes; fractions as the decimal they were read from."""
    if isinstance(value, BaseModel):
        return {field: plain(getattr(value, field)) for field in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else float(value)
    return value

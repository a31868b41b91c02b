"""What a catalogue holds: servers, switches, optics and cables, as frozen models.

Units are in the names (``speed_gbps``, ``power_w``, ``reach_m``, ``price_usd``). Every entry says where its figures
come from (``source``); ``estimate`` is said where nobody published one. Cages and NIC cages count from 1 over the whole
device, in the order of the groups, as on the silk screen.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from fabric.catalogue.ports import DEFAULTS, Label, PortPattern
from fabric.validation import Strict, one_of, validate
from fabric.yaml import load_text

Technology = Literal["roce", "infiniband", "ethernet"]
Network = Literal["compute", "storage", "frontend", "oob"]
CageType = Literal["osfp", "qsfp-dd", "qsfp112", "qsfp56", "qsfp28", "sfp56", "sfp28", "rj45"]
Form = Literal["osfp-finned", "osfp-flat", "qsfp-dd", "qsfp112", "qsfp56", "qsfp28", "sfp56", "sfp28", "rj45"]
"""What a plug is made for: a cage type; OSFP is finned at a switch, flat-top in a host, which cools the cage itself."""
Connector = Literal["mpo-12-apc", "mpo-16-apc", "mpo-12-upc", "lc", "rj45"]
NosName = Literal["sonic", "cumulus", "eos", "frr", "opensm"]

LANE_GBPS: dict[str, int] = {
    "osfp": 200, "qsfp-dd": 100, "qsfp112": 100, "qsfp56": 50, "qsfp28": 25, "sfp56": 50, "sfp28": 25, "rj45": 10,
}  # fmt: skip
"""Fastest electrical lane of each cage type (OSFP: 200 with 1.6T, OSFP MSA 5.x)."""
CAGE_LANES: dict[str, int] = {
    "osfp": 8, "qsfp-dd": 8, "qsfp112": 4, "qsfp56": 4, "qsfp28": 4, "sfp56": 1, "sfp28": 1, "rj45": 1,
}  # fmt: skip

_PLUGS: dict[str, tuple[Form, ...]] = {
    "qsfp-dd": ("qsfp-dd", "qsfp56", "qsfp28"),
    "qsfp112": ("qsfp112", "qsfp56", "qsfp28"),
    "qsfp56": ("qsfp56", "qsfp28"),
    "qsfp28": ("qsfp28",),
    "sfp56": ("sfp56", "sfp28"),
    "sfp28": ("sfp28",),
    "rj45": ("rj45",),
}
ACCEPTS: dict[tuple[str, bool], tuple[Form, ...]] = {
    ("osfp", True): ("osfp-finned",),
    ("osfp", False): ("osfp-flat",),
    **{(cage, at_switch): forms for cage, forms in _PLUGS.items() for at_switch in (True, False)},
}
"""Plugs that go into a cage, best first: ``ACCEPTS[cage type, at a switch]``. QSFP cages take their elders' plugs."""

_MODE = re.compile(r"([1-9][0-9]{0,2})x([1-9][0-9]{0,3})")


class Mode(NamedTuple):
    """A breakout: ``ports`` logical ports of ``speed_gbps`` each, written ``2x400``."""

    ports: int
    speed_gbps: int

    @classmethod
    def parse(cls, text: str) -> Mode:
        """``2x400`` as a mode; raises ValueError."""
        match = _MODE.fullmatch(text)
        if match is None:
            raise ValueError(f'"{text}" is no breakout; write PxG, P ports of G Gb/s, like 2x400')
        return cls(int(match[1]), int(match[2]))

    @property
    def total_gbps(self) -> int:
        """Bandwidth of the whole cage."""
        return self.ports * self.speed_gbps

    def __str__(self) -> str:
        return f"{self.ports}x{self.speed_gbps}"


def _finds_mode(text: str) -> str:
    Mode.parse(text)
    return text


Count = Annotated[int, Field(ge=1, le=100_000)]
"""A number of things: 1 or more."""
Gbps = Annotated[int, Field(ge=1, le=100_000)]
Watts = Annotated[float, Field(ge=0)]
Usd = Annotated[float, Field(ge=0)]
Metres = Annotated[float, Field(gt=0)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Breakout = Annotated[str, AfterValidator(_finds_mode)]


class CageGroup(Strict):
    """Equal cages of a switch. ``connectors``: sockets for cables in one plug (2: twin-port OSFP)."""

    count: Count
    type: CageType
    connectors: Annotated[int, Field(ge=1, le=2)] = 1
    lanes: Annotated[int, Field(ge=1, le=8)] = 0  # default: what the cage type has
    breakouts: Annotated[tuple[Breakout, ...], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _lanes_of_the_type(cls, data: Any) -> Any:
        if isinstance(data, dict) and "lanes" not in data and data.get("type") in CAGE_LANES:
            return {**data, "lanes": CAGE_LANES[data["type"]]}
        return data

    @model_validator(mode="after")
    def _breakouts_fit(self) -> CageGroup:
        """Each port takes the same whole number of lanes, none faster than the cage type allows."""
        for text, mode in zip(self.breakouts, self.modes, strict=True):
            if self.lanes % mode.ports:
                raise ValueError(f"breakout {text} does not fit: {self.lanes} lanes are no multiple of {mode.ports}")
            if mode.total_gbps > self.lanes * LANE_GBPS[self.type]:
                most = f"{self.lanes} lanes of {LANE_GBPS[self.type]} Gb/s"
                raise ValueError(f"breakout {text} asks {mode.total_gbps} Gb/s of a {self.type} cage that has {most}")
        if len(set(self.breakouts)) < len(self.breakouts):
            raise ValueError(f"a breakout is given twice: {', '.join(self.breakouts)}")
        return self

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        """The breakouts, parsed, in file order."""
        return tuple(Mode.parse(text) for text in self.breakouts)

    @property
    def bandwidth_gbps(self) -> int:
        """Most that one cage gives."""
        return max(mode.total_gbps for mode in self.modes)

    def connectors_used(self, mode: Mode) -> int:
        """Connectors that carry something in this mode."""
        return min(self.connectors, mode.ports)

    def ports_per_connector(self, mode: Mode) -> int:
        """Most logical ports that share one connector (more than 1 needs a splitter)."""
        return -(-mode.ports // self.connectors_used(mode))


class PortLimit(Strict):
    """At most ``ports`` logical ports on each bank of ``cages`` neighbouring cages."""

    cages: Count
    ports: Count


class SwitchPower(Strict):
    """Watts. ``typical``: with passive cables; ``max``: every cage at its most; ``per_cage``: what a plug may draw."""

    typical: Watts
    max: Watts
    per_cage: Watts = 0.0

    @model_validator(mode="after")
    def _max_is_most(self) -> SwitchPower:
        if self.max < self.typical:
            raise ValueError(f"max {self.max:g} W is below typical {self.typical:g} W")
        return self


class Management(Strict):
    """Out-of-band management ports of a switch."""

    ports: Annotated[int, Field(ge=0, le=8)] = 1
    speed_gbps: Gbps = 1


class Asic(Strict):
    """What buffers and PFC headroom need; all optional, asked for when configs are made.

    ``mac_phy_delay_kib``, ``pipeline_latency_kib`` (1024 bytes) and ``gearbox_delay_ns`` are the inputs of SONiC's
    dynamic buffer model (``asic_table.j2``, ``peripheral_table.j2``). ``buffer_mb``: 10⁶ bytes.
    """

    name: Text
    buffer_mb: Annotated[float, Field(gt=0)] | None = None
    cell_bytes: Count | None = None
    mac_phy_delay_kib: Annotated[float, Field(ge=0)] | None = None
    pipeline_latency_kib: Annotated[float, Field(ge=0)] | None = None
    gearbox_delay_ns: Annotated[float, Field(ge=0)] | None = None


class NosSupport(Strict):
    """One network operating system on a switch: what it calls the hardware and its ports.

    ``name`` and ``alias`` are port patterns (see ``fabric.catalogue.ports``), ``management`` is the management port's
    name; left out, the operating system's usual ones hold. ``step``: by how much ``{offset}`` grows a cage, one number
    for each group of cages (default: the lanes of its cages).
    """

    hwsku: Text | None = None
    platform: Text | None = None
    name: PortPattern
    alias: PortPattern | None = None
    step: tuple[Count, ...] | None = None
    management: Text


def _nos_defaults(value: Any) -> Any:
    """A list of names as a mapping; what a NOS's entry leaves out is filled from its usual naming."""
    if isinstance(value, list | tuple):
        value = dict.fromkeys(value) if all(isinstance(name, str) for name in value) else value
    if not isinstance(value, dict):
        return value
    return {
        name: {**DEFAULTS.get(name, {}), **(entry or {})} if isinstance(entry, dict | None) else entry
        for name, entry in value.items()
    }


class Switch(Strict):
    """A switch model. Groups of cages are in the order of their numbers on the box."""

    name: Text
    technologies: Annotated[tuple[Technology, ...], Field(min_length=1)]
    cages: Annotated[tuple[CageGroup, ...], Field(min_length=1)]
    max_logical_ports: Count | None = None
    max_ports_per_cage_group: PortLimit | None = None
    rack_units: Count = 1
    power_w: SwitchPower
    psus: Annotated[int, Field(ge=1, le=16)] = 2
    management: Management = Management()
    asic: Asic | None = None
    nos: Annotated[dict[NosName, NosSupport], BeforeValidator(_nos_defaults), Field(min_length=1)]
    label: Label = ""  # default: "{cage}", or "{cage}/{connector}" where a cage has two
    source: Text

    @model_validator(mode="before")
    @classmethod
    def _usual_label(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "label" in data:
            return data
        groups = data.get("cages")
        twin = isinstance(groups, tuple) and any(isinstance(g, dict) and g.get("connectors") == 2 for g in groups)
        return {**data, "label": "{cage}/{connector}" if twin else "{cage}"}

    @model_validator(mode="after")
    def _fits_together(self) -> Switch:
        if self.max_logical_ports is not None and self.max_logical_ports < min(self._fewest_ports):
            raise ValueError(f"max_logical_ports {self.max_logical_ports} does not even allow one cage")
        for nos, support in self.nos.items():
            if support.step is not None and len(support.step) != len(self.cages):
                given = len(support.step)
                raise ValueError(f"nos.{nos}.step has {given} numbers for {len(self.cages)} groups of cages")
        wrong = sorted(set(self.nos) - _NOS_OF["infiniband" if "infiniband" in self.technologies else "ethernet"])
        if wrong and set(self.technologies) != {"infiniband", "ethernet"}:
            raise ValueError(f"{', '.join(wrong)} does not run on a switch for {one_of(self.technologies)}")
        return self

    @property
    def _fewest_ports(self) -> list[int]:
        return [min(mode.ports for mode in group.modes) for group in self.cages]

    @property
    def cage_count(self) -> int:
        """Cages of the whole switch."""
        return sum(group.count for group in self.cages)

    @property
    def bandwidth_gbps(self) -> int:
        """The most the cages give, used or not, whatever ``max_logical_ports`` allows."""
        return sum(group.count * group.bandwidth_gbps for group in self.cages)


_NOS_OF = {"infiniband": {"opensm"}, "ethernet": {"sonic", "cumulus", "eos", "frr"}}


class ServerPower(Strict):
    """Watts of the whole server, NICs and their plugs included."""

    typical: Watts
    max: Watts

    @model_validator(mode="after")
    def _max_is_most(self) -> ServerPower:
        if self.max < self.typical:
            raise ValueError(f"max {self.max:g} W is below typical {self.typical:g} W")
        return self


class ScaleUp(Strict):
    """The domain in which GPUs reach each other without the network. ``gbps_per_gpu``: one direction.

    ``gpus``: in the whole domain, which spans ``hosts`` hosts.
    """

    name: Text
    gpus: Count
    gbps_per_gpu: Gbps
    hosts: Count = 1


class NicGroup(Strict):
    """Equal NICs of a server on one network.

    ``ports_per_cage``: NIC ports that share one physical cage, each on its own connector, so that count × ports /
    ports_per_cage cages hold plugs. ``gpu``: the GPU nearest to each NIC. For each port, NIC by NIC: ``interfaces``,
    what the operating system calls it (``interfaces_infiniband`` where it is another name then), ``rdma``, its RDMA
    device, and ``seats``, where it comes out as ``cage/connector`` within the group (default: in order). ``label``:
    what is printed at a seat, with ``{cage}`` and ``{connector}``.
    """

    name: Text
    count: Count
    ports: Annotated[int, Field(ge=1, le=8)] = 1
    speed_gbps: Gbps
    network: Network
    cage: CageType
    ports_per_cage: Annotated[int, Field(ge=1, le=2)] = 1
    gpu: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    interfaces: tuple[Text, ...] | None = None
    interfaces_infiniband: tuple[Text, ...] | None = None
    rdma: tuple[Text, ...] | None = None
    seats: tuple[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}/[12]$")], ...] | None = None
    label: Label = ""  # default: the group's name with the seat

    @model_validator(mode="after")
    def _counts_agree(self) -> NicGroup:
        ports = self.count * self.ports
        if ports % self.ports_per_cage:
            raise ValueError(f"{ports} ports do not fill cages of {self.ports_per_cage} ports")
        if self.gpu is not None and len(self.gpu) != self.count:
            raise ValueError(f"gpu lists {len(self.gpu)} GPUs for {self.count} NICs")
        for field in ("interfaces", "interfaces_infiniband", "rdma", "seats"):
            given = getattr(self, field)
            if given is not None and len(given) != ports:
                raise ValueError(f"{field} lists {len(given)} names for {ports} ports")
        if sorted(self.places) != sorted(self._in_order):
            raise ValueError(f"seats must name each connector of {self.cages} cages once")
        cage_gbps = CAGE_LANES[self.cage] * LANE_GBPS[self.cage]
        if self.speed_gbps * self.ports_per_cage > cage_gbps:
            asked = self.speed_gbps * self.ports_per_cage
            raise ValueError(f"{asked} Gb/s do not fit a {self.cage} cage ({cage_gbps} Gb/s)")
        return self

    @property
    def cages(self) -> int:
        """Physical cages of the group."""
        return self.count * self.ports // self.ports_per_cage

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """Cage and connector of each port, NIC by NIC, both from 1 within the group."""
        if self.seats is None:
            return self._in_order
        return tuple((int(seat.split("/")[0]), int(seat.split("/")[1])) for seat in self.seats)

    @property
    def _in_order(self) -> tuple[tuple[int, int], ...]:
        each = self.ports_per_cage
        return tuple((port // each + 1, port % each + 1) for port in range(self.count * self.ports))

    def names(self, technology: str) -> tuple[str, ...] | None:
        """Interface names on a network of that technology, one a port, or None where nobody gave them."""
        if technology == "infiniband" and self.interfaces_infiniband is not None:
            return self.interfaces_infiniband
        return self.interfaces


class Server(Strict):
    """A server model, or anything else with NICs (an appliance, a bare management port)."""

    name: Text
    gpus: Annotated[int, Field(ge=0, le=4096)] = 0
    rack_units: Annotated[int, Field(ge=0, le=60)]
    power_w: ServerPower
    scale_up: ScaleUp | None = None
    nics: Annotated[tuple[NicGroup, ...], Field(min_length=1)]
    source: Text

    @model_validator(mode="after")
    def _nics_agree(self) -> Server:
        names = [nic.name for nic in self.nics]
        if len(set(names)) < len(names):
            raise ValueError(f"two groups of nics have one name: {', '.join(names)}")
        for nic in self.nics:
            if any(gpu >= self.gpus for gpu in nic.gpu or ()):
                raise ValueError(f"nics of {nic.name}: gpu {max(nic.gpu or ())}, but GPUs are 0 to {self.gpus - 1}")
        return self


class Optic(Strict):
    """A pluggable transceiver. ``speed_gbps``: of the whole cage; ``ports``: its fibre connectors.

    ``lanes_per_port``: fibre pairs that carry light in each connector (4 in an MPO-12, 1 in a duplex LC); a splitter
    divides those. Two optics understand each other when medium, ``lane_gbps`` and ``wavelengths`` are the same.
    ``breakouts``: what the cage may be set to with this plug in it (default: each fibre connector one port); ``1x200``
    of a 400 Gb/s plug lights half of its lanes.
    """

    name: Text
    medium: Literal["multimode", "singlemode"]
    speed_gbps: Gbps
    ports: Annotated[int, Field(ge=1, le=2)] = 1
    connector: Connector
    lanes_per_port: Annotated[int, Field(ge=1, le=8)] = 4
    wavelengths: Annotated[int, Field(ge=1, le=8)] = 1
    reach_m: Metres
    cage: Form
    breakouts: tuple[Breakout, ...] = ()
    power_w: Watts
    price_usd: Usd | None = None
    source: Text

    @model_validator(mode="before")
    @classmethod
    def _a_port_a_connector(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "breakouts" in data:
            return data
        ports, speed = data.get("ports", 1), data.get("speed_gbps")
        if not isinstance(ports, int) or not isinstance(speed, int) or ports < 1:
            return data
        return {**data, "breakouts": (f"{ports}x{speed // ports}",)}

    @model_validator(mode="after")
    def _breakouts_fit(self) -> Optic:
        if not self.breakouts:
            raise ValueError("breakouts must not be empty; leave it out for one port a fibre connector")
        lanes = self.ports * self.lanes_per_port
        for mode in self.modes:
            if mode.total_gbps > self.speed_gbps or mode.ports > lanes or max(lanes, mode.ports) % mode.ports:
                raise ValueError(f"breakout {mode} does not fit {lanes} lanes of {self.lane_gbps:g} Gb/s")
        return self

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        """The breakouts, parsed, in file order."""
        return tuple(Mode.parse(text) for text in self.breakouts)

    @property
    def lane_gbps(self) -> float:
        """Speed of one fibre pair; wavelengths that share a pair count together."""
        return self.speed_gbps / self.ports / self.lanes_per_port


class Cable(Strict):
    """A cable that can be bought: with its own ends (dac, acc, aec, aoc, copper) or a fibre between optics.

    ``cages``: what its ends plug into, a and b (none for fibre). ``breakouts``: ends at the b side (a splitter, a
    breakout cable); ``speed_gbps`` is that of the a side. ``pairs``: connectors side by side at each end of a trunk.
    ``fibres``: in one such cable. Lengths are those that can be bought; the longest is the reach of a cable that has
    its own ends. A piece costs price_usd + length · price_usd_per_m.
    """

    name: Text
    medium: Literal["dac", "acc", "aec", "aoc", "multimode", "singlemode", "copper"]
    speed_gbps: Gbps | None = None
    lengths_m: Annotated[tuple[Metres, ...], Field(min_length=1)]
    cages: Annotated[tuple[Form, ...], Field(min_length=2, max_length=2)] | None = None
    breakouts: Annotated[int, Field(ge=1, le=8)] = 1
    connector: Connector | None = None
    connector_b: Connector | None = None  # default: the same at both sides
    polarity: Literal["A", "B", "C", "A-B"] | None = None
    fibres: Count | None = None
    pairs: Annotated[int, Field(ge=1, le=8)] = 1
    power_w_per_end: Watts = 0.0
    price_usd: Usd | None = None
    price_usd_per_m: Usd = 0.0
    source: Text

    @model_validator(mode="after")
    def _is_whole(self) -> Cable:
        if list(self.lengths_m) != sorted(set(self.lengths_m)):
            raise ValueError("lengths_m must grow")
        fibre = self.medium in ("multimode", "singlemode")
        if fibre and (self.connector is None or self.cages is not None):
            raise ValueError("a fibre has a connector and no cages")
        if not fibre and (self.cages is None or self.speed_gbps is None):
            raise ValueError("a cable with its own ends has cages and speed_gbps")
        return self

    @property
    def fibre(self) -> bool:
        """Whether it goes between optics."""
        return self.medium in ("multimode", "singlemode")

    def length_at_least(self, length_m: float) -> float | None:
        """The shortest purchasable length that is long enough, or None."""
        return next((have for have in self.lengths_m if have >= length_m), None)


class Catalogue(Strict):
    """Everything that can be planned with; the order is that of the files, the first of equals wins."""

    servers: dict[str, Server] = Field(default_factory=dict)
    switches: dict[str, Switch] = Field(default_factory=dict)
    optics: dict[str, Optic] = Field(default_factory=dict)
    cables: dict[str, Cable] = Field(default_factory=dict)

    def subset(self, servers: set[str] | frozenset[str], switches: set[str] | frozenset[str]) -> Catalogue:
        """Only the servers and switches named, with all optics and cables; order kept."""
        return Catalogue.model_construct(
            servers={name: server for name, server in self.servers.items() if name in servers},
            switches={name: switch for name, switch in self.switches.items() if name in switches},
            optics=self.optics,
            cables=self.cables,
        )

    def to_yaml(self) -> str:
        """The catalogue as a file that ``from_yaml`` and users' ``catalogue:`` read; the same bytes each time."""
        sections = {
            section: {
                name: entry.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
                for name, entry in entries.items()
            }
            for section, entries in self
        }
        return yaml.dump(sections, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)

    @classmethod
    def from_yaml(cls, text: str, where: str = "catalogue.yaml") -> Catalogue:
        """A catalogue that stands alone (nothing shipped is added); raises InputError."""
        return validate(cls, named(load_text(text, where)), where)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Never writes an alias: each entry stands for itself."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def named(sections: object) -> object:
    """The same sections with each entry's key as its ``name``; what is not a mapping is left for the validation."""
    if not isinstance(sections, dict):
        return sections
    return {
        section: {key: {**e, "name": key} if isinstance(e, dict) else e for key, e in entries.items()}
        if isinstance(entries, dict) else entries
        for section, entries in sections.items()
    }  # fmt: skip

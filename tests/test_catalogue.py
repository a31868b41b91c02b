"""The catalogue: what is shipped holds together and agrees with its sources; users' files add, override or are refused.

Cases are files: ``golden/errors/catalogue/NAME.yaml`` with the messages in ``NAME.txt`` (``parts/`` holds what they
name). With ``RAILWRIGHT_UPDATE_GOLDEN=1`` what is expected is rewritten; read the difference before you keep it.
"""

from __future__ import annotations

import os
import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from fabric.catalogue import ACCEPTS, CageGroup, Catalogue, Mode, Optic, Switch, load_catalogue, load_prices
from fabric.catalogue.loader import SECTIONS, SHIPPED
from fabric.catalogue.models import CAGE_LANES, Cable, NicGroup, Server
from fabric.catalogue.ports import DEFAULTS, PLACEHOLDERS, PortPattern
from fabric.errors import InputError
from fabric.validation import validate
from fabric.yaml import load_file

ROOT = Path(__file__).parent.parent
ERRORS = ROOT / "tests/golden/errors/catalogue"
ALL = load_catalogue()
SERVERS = (
    "dgx-a100 dgx-h100 hgx-h100 dgx-h200 dgx-b200 dgx-b300 gb200-nvl72 atlas-800t-a2 atlas-900-a3 mi300x-8x400 "
    "hpn-gpu-8x2x200 megascale-8x200 nvme-storage-2x200 hpn-storage-2x200 ufm-appliance management-node managed-device"
)
SWITCHES = (
    "qm8700 qm9700 q3400 sn2201 sn4600c sn5400 sn5600 box-25.6t box-51.2t box-102.4t arista-7060x6-64pe "
    "celestica-ds5000 edgecore-ais800-64o"
)


# What is shipped


def test_every_promised_model_is_there() -> None:
    assert set(ALL.servers) == set(SERVERS.split())
    assert set(ALL.switches) == set(SWITCHES.split())


def test_the_first_of_a_technology_is_the_plain_one() -> None:
    def first(technology: str) -> list[str]:
        return [name for name, switch in ALL.switches.items() if technology in switch.technologies]

    assert first("infiniband") == ["qm9700", "qm8700", "q3400"]
    assert first("ethernet")[:7] == [
        "sn5600", "sn5400", "sn4600c", "arista-7060x6-64pe", "celestica-ds5000", "edgecore-ais800-64o", "sn2201",
    ]  # fmt: skip
    assert first("roce") == [name for name in first("ethernet") if name != "sn2201"]


def test_published_figures_of_the_qm9700() -> None:
    switch = ALL.switches["qm9700"]
    assert [str(mode) for mode in switch.cages[0].modes] == ["2x400", "4x200"]
    assert (switch.cage_count, switch.max_logical_ports, switch.bandwidth_gbps) == (32, 128, 25_600)
    assert (switch.power_w.typical, switch.power_w.max, switch.power_w.per_cage) == (747, 1720, 17)


def test_the_generic_51t_box_is_an_hpn_tor() -> None:
    group = ALL.switches["box-51.2t"].cages[0]
    down, up = 34, 30
    assert (Mode(4, 200) in group.modes, Mode(2, 400) in group.modes) == (True, True)
    assert (down + up, down * 4, up * 2) == (group.count, 136, 60)
    assert group.ports_per_connector(Mode(4, 200)) == 2
    assert group.ports_per_connector(Mode(2, 400)) == 1
    assert group.connectors_used(Mode(1, 800)) == 1


@pytest.mark.parametrize("switch", ALL.switches.values(), ids=lambda s: s.name)
def test_switches_hold_together(switch: Switch) -> None:
    assert switch.bandwidth_gbps == sum(g.count * max(m.ports * m.speed_gbps for m in g.modes) for g in switch.cages)
    assert switch.power_w.max >= switch.power_w.typical > 0
    assert switch.label.format(cage=1, connector=2)
    limit = switch.max_ports_per_cage_group
    if limit is not None:
        assert switch.cage_count % limit.cages == 0


@pytest.mark.parametrize("server", ALL.servers.values(), ids=lambda s: s.name)
def test_servers_have_management_and_rails_in_the_order_of_their_gpus(server: Server) -> None:
    oob = [nic for nic in server.nics if nic.network == "oob"]
    assert [(nic.count * nic.ports, nic.speed_gbps, nic.cage) for nic in oob] == [(1, 1, "rj45")]
    compute = [nic for nic in server.nics if nic.network == "compute"]
    if server.gpus:
        assert len(compute) == 1
        assert compute[0].gpu == tuple(range(server.gpus))
        assert server.scale_up is not None
        assert server.scale_up.gpus == server.gpus * server.scale_up.hosts


def test_seats_of_the_dgx_h100_are_those_of_its_guide() -> None:
    nic = ALL.servers["dgx-h100"].nics[0]
    by_seat = dict(zip(nic.places, nic.names("infiniband") or (), strict=True))
    guide = {
        (1, 1): "ibp220s0", (1, 2): "ibp154s0", (2, 1): "ibp206s0", (2, 2): "ibp192s0",
        (3, 1): "ibp79s0", (3, 2): "ibp64s0", (4, 1): "ibp94s0", (4, 2): "ibp24s0",
    }  # fmt: skip
    assert by_seat == guide
    assert (nic.names("roce") or ())[0] == "enp24s0np0"
    assert nic.cages == 4


def test_every_entry_says_where_it_is_from() -> None:
    for entries in (ALL.servers, ALL.switches, ALL.optics, ALL.cables):
        assert all(entry.source.strip() for entry in entries.values())


# Parts that fit


def _plugs(cage: str, mode: Mode, *, at_switch: bool) -> list[Optic]:
    forms = ACCEPTS[cage, at_switch]
    return [optic for optic in ALL.optics.values() if optic.cage in forms and mode in optic.modes]


@pytest.mark.parametrize("medium", ["multimode", "singlemode"])
@pytest.mark.parametrize(
    ("switch", "mode", "nic"),
    [
        ("qm9700", "2x400", ("dgx-h100", "cx7")),
        ("qm9700", "2x400", ("ufm-appliance", "ndr")),
        ("sn5600", "2x400", ("hgx-h100", "cx7")),
        ("sn5600", "2x400", ("mi300x-8x400", "rdma")),
        ("box-51.2t", "4x200", ("hpn-gpu-8x2x200", "nic")),
        ("box-51.2t", "4x200", ("nvme-storage-2x200", "storage")),
        ("sn4600c", "1x100", ("management-node", "frontend")),
        ("box-25.6t", "2x200", ("megascale-8x200", "nic")),
        ("qm8700", "1x200", ("dgx-a100", "cx6")),
    ],
)
def test_both_ends_of_a_published_link_have_optics_that_understand_each_other(
    switch: str, mode: str, nic: tuple[str, str], medium: str
) -> None:
    here = _plugs(ALL.switches[switch].cages[0].type, Mode.parse(mode), at_switch=True)
    group = next(g for g in ALL.servers[nic[0]].nics if g.name == nic[1])
    there = _plugs(group.cage, Mode(group.ports_per_cage, group.speed_gbps), at_switch=False)
    pairs = [
        (a, b) for a in here for b in there
        if a.medium == b.medium == medium and (a.lane_gbps, a.wavelengths) == (b.lane_gbps, b.wavelengths)
    ]  # fmt: skip
    no_single_mode_for_200g_of_50g_lanes = switch == "box-25.6t" and medium == "singlemode"
    assert bool(pairs) != no_single_mode_for_200g_of_50g_lanes


@pytest.mark.parametrize("optic", ALL.optics.values(), ids=lambda o: o.name)
def test_every_optic_has_a_fibre_and_its_splits_have_splitters(optic: Optic) -> None:
    fibres = [cable for cable in ALL.cables.values() if cable.fibre and cable.medium == optic.medium]
    straight = [cable for cable in fibres if cable.connector == optic.connector and cable.breakouts == 1]
    assert straight
    assert max(straight[0].lengths_m) >= optic.reach_m
    for mode in optic.modes:
        each = -(-mode.ports // optic.ports)
        assert each == 1 or any(c.connector == optic.connector and c.breakouts >= each for c in fibres), str(mode)


@pytest.mark.parametrize("cable", ALL.cables.values(), ids=lambda c: c.name)
def test_cables_end_in_cages_that_are_there(cable: Cable) -> None:
    forms = {form for plugs in ACCEPTS.values() for form in plugs}
    assert set(cable.cages or ()) <= forms
    assert cable.length_at_least(cable.lengths_m[0] - 0.1) == cable.lengths_m[0]
    assert cable.length_at_least(cable.lengths_m[-1] + 0.1) is None
    assert not cable.fibre or cable.polarity is not None


# Names of ports, against lines of the vendors' port_config.ini (sonic-net/sonic-buildimage)


def _name(pattern: PortPattern, switch: Switch, nos: str, cage: int, mode: Mode, index: int) -> str:
    """The name of one port by the words of ``fabric.catalogue.ports``."""
    groups = [group for group in switch.cages for _ in range(group.count)]
    step = switch.nos[nos].step or tuple(group.lanes for group in switch.cages)  # type: ignore[index]
    steps = [step[number] for number, group in enumerate(switch.cages) for _ in range(group.count)]
    group = groups[cage - 1]
    return pattern.of(mode.ports).format(
        cage=cage,
        connector=index // group.ports_per_connector(mode) + 1,
        lane=index * group.lanes // mode.ports + 1,
        index=index,
        letter="abcdefgh"[index],
        offset=sum(steps[: cage - 1]) + index * steps[cage - 1] // mode.ports,
        number=(cage - 1) * mode.ports + index + 1,
    )


@pytest.mark.parametrize(
    ("model", "cage", "mode", "index", "name", "alias"),
    [
        ("sn5600", 1, "2x400", 1, "Ethernet4", "etp1b"),
        ("sn5600", 64, "2x400", 1, "Ethernet508", "etp64b"),
        ("sn5400", 4, "1x400", 0, "Ethernet24", "etp4"),
        ("sn4600c", 6, "1x100", 0, "Ethernet20", "etp6"),
        ("sn2201", 48, "1x1", 0, "Ethernet47", "etp48"),
        ("sn2201", 49, "1x100", 0, "Ethernet48", "etp49"),
        ("sn2201", 52, "1x100", 0, "Ethernet60", "etp52"),
        ("arista-7060x6-64pe", 1, "4x200", 3, "Ethernet6", "etp1d"),
        ("arista-7060x6-64pe", 64, "4x200", 1, "Ethernet506", "etp64b"),
        ("celestica-ds5000", 64, "1x800", 0, "Ethernet504", "Eth64/1"),
        ("celestica-ds5000", 1, "4x200", 3, "Ethernet6", "Eth1/7"),
    ],
)
def test_sonic_names_are_those_of_the_platform_files(
    model: str, cage: int, mode: str, index: int, name: str, alias: str
) -> None:
    switch = ALL.switches[model]
    support = switch.nos["sonic"]
    assert support.alias is not None
    assert _name(support.name, switch, "sonic", cage, Mode.parse(mode), index) == name
    assert _name(support.alias, switch, "sonic", cage, Mode.parse(mode), index) == alias


@pytest.mark.parametrize(
    ("model", "nos", "cage", "mode", "index", "name"),
    [
        ("sn5600", "cumulus", 3, "1x800", 0, "swp3"),
        ("sn5600", "cumulus", 3, "2x400", 1, "swp3s1"),
        ("arista-7060x6-64pe", "eos", 3, "2x400", 1, "Ethernet3/5"),
        ("box-51.2t", "frr", 3, "4x200", 3, "swp3s3"),
        ("qm9700", "opensm", 32, "2x400", 1, "64"),
        ("qm9700", "opensm", 32, "4x200", 3, "128"),
    ],
)
def test_names_of_other_operating_systems(model: str, nos: str, cage: int, mode: str, index: int, name: str) -> None:
    switch = ALL.switches[model]
    assert _name(switch.nos[nos].name, switch, nos, cage, Mode.parse(mode), index) == name  # type: ignore[index]


@pytest.mark.parametrize("switch", ALL.switches.values(), ids=lambda s: s.name)
def test_no_two_ports_of_a_switch_have_one_name(switch: Switch) -> None:
    for nos, support in switch.nos.items():
        for pattern in filter(None, (support.name, support.alias)):
            names, cage = [], 0
            for group in switch.cages:
                for _ in range(group.count):
                    cage += 1
                    mode = group.modes[cage % len(group.modes)] if nos != "opensm" else group.modes[0]
                    names += [_name(pattern, switch, nos, cage, mode, index) for index in range(mode.ports)]
            assert len(set(names)) == len(names)


# Modes


@given(st.integers(1, 999), st.integers(1, 9999))
def test_modes_read_back(ports: int, speed: int) -> None:
    assert Mode.parse(f"{ports}x{speed}") == Mode(ports, speed)
    assert str(Mode(ports, speed)) == f"{ports}x{speed}"


@given(
    st.sampled_from(sorted(CAGE_LANES)), st.integers(1, 8), st.integers(1, 9), st.sampled_from([1, 25, 100, 400, 800])
)
def test_a_cage_group_is_refused_or_fits_its_lanes(cage: str, lanes: int, ports: int, speed: int) -> None:
    data = {"count": 1, "type": cage, "lanes": lanes, "breakouts": [f"{ports}x{speed}"]}
    try:
        group = validate(CageGroup, data, "")
    except InputError as error:
        assert "does not fit" in str(error) or "asks" in str(error)  # noqa: PT017
    else:
        mode = group.modes[0]
        assert lanes % mode.ports == 0
        assert group.connectors_used(mode) * group.ports_per_connector(mode) >= mode.ports


# Users' files


@pytest.mark.parametrize("case", sorted(path.stem for path in ERRORS.glob("*.yaml")))
def test_every_mistake_is_told(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ERRORS)
    with pytest.raises(InputError) as caught:
        load_catalogue([Path(f"{case}.yaml")])
    said = f"{caught.value}\n"
    golden = ERRORS / f"{case}.txt"
    if os.environ.get("RAILWRIGHT_UPDATE_GOLDEN"):
        golden.write_text(said, encoding="utf-8")
    assert said == golden.read_text(encoding="utf-8")


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_an_entry_replaces_and_keeps_its_place(tmp_path: Path) -> None:
    mine = _write(
        tmp_path / "mine.yaml",
        "switches:\n  qm9700: {technologies: [infiniband], cages: [{count: 2, type: osfp, breakouts: [1x400]}],"
        " power_w: {typical: 1, max: 2}, nos: [opensm], source: us}\n",
    )
    changed = load_catalogue([mine])
    assert list(changed.switches) == list(ALL.switches)
    assert changed.switches["qm9700"].max_logical_ports is None
    assert changed.switches["qm9700"].label == "{cage}"
    assert changed.servers == ALL.servers


def test_extends_merges_mappings_and_replaces_the_rest(tmp_path: Path) -> None:
    mine = _write(
        tmp_path / "mine.yaml",
        "switches:\n"
        "  lab: {extends: better, rack_units: 3}\n"
        "  better: {extends: sn5600, power_w: {typical: 500}, nos: {cumulus: {management: eth1}},"
        " max_logical_ports: null}\n"
        "  sn5600: {extends: sn5600, psus: 4, technologies: [ethernet]}\n",
    )
    new = load_catalogue([mine]).switches
    assert list(new)[-2:] == ["lab", "better"]
    assert (new["lab"].power_w.typical, new["lab"].power_w.max, new["lab"].rack_units) == (500, 2167, 3)
    assert new["lab"].nos["cumulus"].management == "eth1"
    assert new["lab"].nos["sonic"] == ALL.switches["sn5600"].nos["sonic"]
    assert new["lab"].max_logical_ports is None
    assert (new["sn5600"].psus, new["sn5600"].technologies) == (4, ("ethernet",))
    assert new["better"].psus == 4, "an entry extends what its own file makes of a name"


def test_long_chains_are_refused_and_not_followed(tmp_path: Path) -> None:
    chain = "".join(f"  s{n}: {{extends: s{n + 1}}}\n" for n in range(200))
    with pytest.raises(InputError, match=r"switches.s49.extends: is the 50th in a row"):
        load_catalogue([_write(tmp_path / "long.yaml", f"switches:\n{chain}  s200: {{extends: sn5600}}\n")])
    for n in range(60):
        _write(tmp_path / f"f{n}.yaml", f"catalogue: [f{n + 1}.yaml]\n")
    with pytest.raises(InputError, match=r"f50.yaml: is the 50th catalogue file in a row"):
        load_catalogue([tmp_path / "f0.yaml"])


def test_files_name_files_and_the_last_one_wins(tmp_path: Path) -> None:
    _write(tmp_path / "parts/base.yaml", "switches: {a: {extends: sn5600}, b: {extends: sn5400}}\n")
    top = _write(tmp_path / "top.yaml", "catalogue: [parts/base.yaml]\nswitches: {a: {extends: a, rack_units: 7}}\n")
    last = _write(tmp_path / "last.yaml", "catalogue: [parts/base.yaml]\nswitches: {b: {extends: a, psus: 1}}\n")
    new = load_catalogue([top, last]).switches
    assert (new["a"].rack_units, new["b"].rack_units, new["b"].psus) == (7, 7, 1)
    assert new["b"].cages == ALL.switches["sn5600"].cages


def test_a_plan_carries_what_it_used() -> None:
    part = ALL.subset({"dgx-h100"}, {"sn5600", "qm9700"})
    assert (list(part.servers), list(part.switches)) == (["dgx-h100"], ["sn5600", "qm9700"])
    assert (part.optics, part.cables) == (ALL.optics, ALL.cables)
    for catalogue in (part, ALL):
        assert Catalogue.from_yaml(catalogue.to_yaml()) == catalogue
        assert Catalogue.from_yaml(catalogue.to_yaml()).to_yaml() == catalogue.to_yaml()
    with pytest.raises(InputError, match="expected a mapping, got nothing"):
        Catalogue.from_yaml("")
    with pytest.raises(InputError, match=r"f.yaml: switches.a.cages: is missing"):
        Catalogue.from_yaml("switches: {a: {}}", "f.yaml")


def test_what_a_plan_carries_can_be_a_users_file(tmp_path: Path) -> None:
    path = _write(tmp_path / "carried.yaml", ALL.to_yaml())
    assert load_catalogue([path]) == ALL


_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 900)
    | st.floats()
    | st.sampled_from(["", "2x400", "osfp", "x", "{cage}"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["count", "nos", "sonic"]), inner, max_size=3)
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_change_of_an_entry_is_taken_or_refused_in_words(data: st.DataObject) -> None:
    section = data.draw(st.sampled_from(sorted(SECTIONS)))
    raw = {name: e for name, e in _raw(section).items() if "extends" not in e}
    name = data.draw(st.sampled_from(sorted(raw)))
    entry = {
        **raw[name],
        "name": name,
        data.draw(st.sampled_from(sorted(SECTIONS[section].model_fields))): data.draw(_JUNK),
    }
    try:
        made = validate(SECTIONS[section], entry, "f.yaml", (section, name))
    except InputError as error:
        assert all(str(problem).startswith(f"f.yaml: {section}.{name}") for problem in error.problems)  # noqa: PT017
        assert not re.search(r"pydantic|Input should|Traceback", str(error))  # noqa: PT017
    else:
        assert isinstance(made, SECTIONS[section])


def _raw(section: str) -> dict[str, dict[str, Any]]:
    data = load_file(next(path for path in SHIPPED if path.stem == section))
    assert isinstance(data, dict)
    return data[section]  # type: ignore[no-any-return]


# Prices


def test_the_default_rule_is_the_papers() -> None:
    prices = load_prices()
    assert prices.switch_cents(ALL.switches["qm9700"]) == 64 * 69_400
    assert prices.switch_cents(ALL.switches["sn2201"]) == 77_728
    assert [prices.optic_cents(gbps) for gbps in (400, 800, 100, 1)] == [19_900, 39_800, 4_975, 50]
    assert (prices.overridden, prices.is_default("switches", "qm9700")) == ((), True)


@given(st.integers(0, 10**6))
def test_prices_round_half_up(gbps: int) -> None:
    exact = Decimal(19_900) * gbps / 400
    assert load_prices().optic_cents(gbps) == int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def test_a_users_prices_override_by_model(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "prices.yaml", "switches: {qm9700: 20000.005}\ncables: {lc-sm: 4}\ntransceiver_usd_per_400g: 250\n"
    )
    prices = load_prices(path, ALL)
    assert prices.switch_cents(ALL.switches["qm9700"]) == 2_000_001
    assert prices.switch_cents(ALL.switches["qm8700"]) == 1_388_000
    assert prices.optic_cents(800) == 50_000
    assert (prices.part_cents("cables", "lc-sm"), prices.part_cents("cables", "lc-mm")) == (400, None)
    assert prices.overridden == ("cables.lc-sm", "switches.qm9700", "transceiver_usd_per_400g")
    assert not prices.is_default("switches", "qm9700")
    assert prices.is_default("switches", "qm8700")
    assert not prices.is_default("optics", "osfp-2xsr4")
    assert load_prices().overridden == ()


def test_an_empty_price_file_changes_nothing(tmp_path: Path) -> None:
    assert load_prices(_write(tmp_path / "prices.yaml", "# none\n"), ALL) == load_prices()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("switches: {qm97000: 5}", 'switches.qm97000: unknown model, did you mean "qm9700"?'),
        ("switches: {qm9700: -5}", "switches.qm9700: expected at least 0, got -5"),
        ("switches: {qm9700: cheap}", 'switches.qm9700: expected a number, got "cheap"'),
        ("swiches: {qm9700: 5}", 'swiches: unknown field, did you mean "switches"?'),
        ("transceiver_usd_per_400g: .nan", "transceiver_usd_per_400g: expected a finite number, got nan"),
        ("[1]", "expected a mapping, got a list"),
    ],
)
def test_wrong_prices_are_told(text: str, said: str, tmp_path: Path) -> None:
    path = _write(tmp_path / "prices.yaml", text)
    with pytest.raises(InputError) as caught:
        load_prices(path, ALL)
    assert str(caught.value) == f"{path}: {said}"


# The reference


def test_the_reference_names_every_field_and_placeholder() -> None:
    text = (ROOT / "docs/catalogue.md").read_text(encoding="utf-8")
    models: list[type[BaseModel]] = [Server, Switch, Optic, Cable, CageGroup, NicGroup]
    fields = {name for model in models for name in model.model_fields} - {"name"}
    assert [name for name in sorted(fields) if f"`{name}`" not in text] == []
    assert [name for name in PLACEHOLDERS if f"`{{{name}}}`" not in text] == []
    assert [nos for nos in DEFAULTS if nos not in text] == []
    assert [form for form in CAGE_LANES if form not in text] == []

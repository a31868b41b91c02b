"""Which port an interface is, which neighbour a port has, and what settings are refused."""

from __future__ import annotations

import numpy as np
import pytest
from snmp_reference import bulk_answer

from collectors.secrets import Secret
from collectors.sources.snmp import ber, decode
from collectors.sources.snmp.harvest import Harvest
from collectors.sources.snmp.options import Community, User, options
from collectors.sources.snmp.ports import Ports, ports_of
from collectors.sources.snmp.rows import cells_of, frame
from collectors.sources.snmp.tables import NAMES, tables
from fabric.errors import InputError

Value = str | int | bytes
SECRET = "a secret of tests"


def gathered(rows: dict[str, Value]) -> Harvest:
    """A harvest of rows by object id: texts, octets or counts."""
    harvest, found = Harvest(), tables()
    for oid, value in rows.items():
        encoded = ber.encode_oid(ber.parts(oid))
        column = next(n for n, prefix in enumerate(found.prefixes) if encoded.startswith(prefix))
        octets = value.encode() if isinstance(value, str) else value
        content = ber.tlv(0x04, octets) if isinstance(octets, bytes) else b"\x46" + ber.integer(octets)[1:]
        take(harvest, bulk_answer(1, [(ber.parts(oid), content)]), column)
    return harvest


def take(harvest: Harvest, datagram: bytes, column: int) -> None:
    found = tables()
    buf = np.frombuffer(bytearray(datagram), np.uint8)
    head = np.zeros(decode.HEAD, np.int64)
    assert decode.message(buf, 0, len(buf), head) == decode.OK
    harvest.room(1, len(buf))
    ask = np.array([[column, 0, 0, 0]], np.int64)
    prefix = found.prefixes[column]
    cursor = np.frombuffer(bytearray(bytes((len(prefix),)) + prefix.ljust(decode.CURSOR - 1, b"\0")), np.uint8)
    start, stop = int(head[decode.BINDS]), int(head[decode.DATA_END])
    status = decode.absorb(
        buf, start, stop, ask, cursor, found.packed, harvest.records, harvest.heap, harvest.state, harvest.found
    )
    assert status == decode.OK


def names(**columns: dict[int, str]) -> dict[str, Value]:
    return {f"{NAMES[column]}.{index}": text for column, texts in columns.items() for index, text in texts.items()}


def mapped(rows: dict[str, Value], plan: dict[str, str]) -> tuple[Ports, dict[int, str]]:
    ports = ports_of(gathered(rows), tables(), plan, "d")
    pairs = zip(ports.indexes.tolist(), ports.rows.tolist(), strict=True)
    return ports, {index: ports.ports[row] for index, row in pairs if row >= 0}


def test_a_name_counts_before_a_description_and_that_before_an_alias() -> None:
    rows = names(name={1: "Eth1", 2: "x"}, descr={1: "P2", 3: "P2"}, alias={2: "P1", 4: "P3", 3: "Eth1"})
    ports, found = mapped(rows, {"Eth1": "P1", "P1": "P1", "P2": "P2", "P3": "P3"})
    assert found == {1: "P1", 3: "P2", 4: "P3"}
    assert (ports.unknown, ports.twice) == (1, ())


def test_a_port_that_two_claim_is_nobodys() -> None:
    ports, found = mapped(names(name={1: "Eth1", 2: "Eth1", 3: "Eth3"}), {"Eth1": "P1", "Eth3": "P3"})
    assert (found, ports.twice) == ({3: "P3"}, ("P1",))


def test_case_is_forgiven_where_it_tells_nothing_apart() -> None:
    _, found = mapped(names(name={1: "ETHERNET1", 2: "e2"}), {"Ethernet1": "P1", "e2": "P2", "E2": "P3"})
    assert found == {1: "P1", 2: "P2"}


LLDP = "1.0.8802.1.1.2.1"


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ({"lldp_id": {7: "Eth1"}}, "P1"),
        ({"lldp_descr": {7: "Eth1"}}, "P1"),
        ({"lldp_id": {7: "first"}}, "P1"),
        ({"lldp_id": {7: "1"}}, "P1"),
        ({"lldp_id": {7: "mgmt0"}}, None),
        ({"lldp_id": {2: "Eth1"}}, None),
    ],
)
def test_a_neighbour_is_at_the_port_that_lldp_names_not_at_its_number(
    local: dict[str, dict[int, str]], expected: str | None
) -> None:
    rows = names(name={1: "Eth1", 7: "Eth7"}, alias={1: "first"}, **local) | {f"{LLDP}.4.1.1.9.0.7.1": "spine-1"}
    harvest = gathered(rows)
    ports = ports_of(harvest, tables(), {"Eth1": "P1", "Eth7": "P7"}, "d")
    cells, _ = cells_of(harvest, tables(), ports)
    table = frame(harvest, tables(), ports, cells, 0, 0, 0)
    found = dict(zip(table["port"], table["lldp_system"], strict=True)) if "lldp_system" in table.columns else {}
    assert {port: name for port, name in found.items() if name} == ({expected: "spine-1"} if expected else {})


def test_of_two_neighbours_the_one_seen_last_is_taken_whole() -> None:
    rows = names(name={1: "Eth1"}, lldp_id={7: "Eth1"}) | {
        f"{LLDP}.4.1.1.9.100.7.1": "old", f"{LLDP}.4.1.1.8.100.7.1": "old port",
        f"{LLDP}.4.1.1.9.200.7.2": "new", f"{LLDP}.4.1.1.5.200.7.2": bytes.fromhex("0c1122334455"),
    }  # fmt: skip
    harvest = gathered(rows)
    ports = ports_of(harvest, tables(), {"Eth1": "P1"}, "d")
    table = frame(harvest, tables(), ports, cells_of(harvest, tables(), ports)[0], None, 0, 0)
    row = table.filter(table["port"] == "P1").row(0, named=True)
    assert (row["lldp_system"], row["lldp_chassis"]) == ("new", "0c:11:22:33:44:55")
    assert row.get("lldp_port_description") is None


@pytest.mark.parametrize(
    ("rows", "column", "value"),
    [
        ({"1.3.6.1.4.1.9.9.580.1.5.5.1.4.1.2.4.1": 9}, "queue_tx_packets_q3", 9),
        ({"1.3.6.1.4.1.9.9.580.1.5.5.1.4.1.2.4.6": 8}, "queue_dropped_bytes_q3", 8),
        ({"1.3.6.1.4.1.30065.3.6.1.2.1.5.1.3.0": 7}, "queue_tx_bytes_q3", 7),
        ({"1.3.6.1.4.1.33049.15.1.2.1.4.1.3": 2500}, "rx_pfc_pause_seconds_p3", 2.5),
        ({"1.3.6.1.4.1.30065.3.11.1.1.1.4.1.3": 6}, "rx_pfc_frames_p3", 6),
        (
            {"1.3.6.1.4.1.30065.3.11.1.1.1.4.1.3": 6, "1.3.6.1.4.1.9.9.813.1.2.1.3.1.3": 5}, "rx_pfc_frames_p3", 5,
        ),  # the address that comes first counts
    ],
)  # fmt: skip
def test_priorities_and_queues_of_vendors(rows: dict[str, Value], column: str, value: float) -> None:
    harvest = gathered(names(name={1: "Eth1"}) | rows)
    ports = ports_of(harvest, tables(), {"Eth1": "P1"}, "d")
    table = frame(harvest, tables(), ports, cells_of(harvest, tables(), ports)[0], None, 0, 0)
    assert table[column].to_list() == [value]


@pytest.mark.parametrize(
    "oid",
    [
        "1.3.6.1.4.1.9.9.580.1.5.5.1.4.1.1.4.1",  # inwards
        "1.3.6.1.4.1.9.9.580.1.5.5.1.4.1.2.4.3",  # multicast
        "1.3.6.1.4.1.9.9.580.1.5.5.1.4.1.2.0.1",  # no queue
        "1.3.6.1.4.1.9.9.813.1.2.1.3.1.64",
        "1.3.6.1.4.1.9.9.813.1.2.1.3.1.3.1",
        "1.3.6.1.4.1.9.9.813.1.2.1.3.9.3",
    ],
)
def test_what_fits_no_address_is_left_out(oid: str) -> None:
    harvest = gathered(names(name={1: "Eth1"}) | {oid: 5})
    ports = ports_of(harvest, tables(), {"Eth1": "P1"}, "d")
    table = frame(harvest, tables(), ports, cells_of(harvest, tables(), ports)[0], None, 0, 0)
    assert table.is_empty()


def test_settings_of_v3_come_first() -> None:
    found = options({"user": "tele", "auth_secret": Secret(SECRET), "priv_secret": Secret(SECRET)}, "snmp")
    assert isinstance(found.who, User)
    assert (found.who.auth.name, found.who.priv and found.who.priv.name) == ("SHA-256", "AES-128")
    assert isinstance(options({"version": "2c", "community": Secret("public")}, "snmp").who, Community)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({}, ["snmp.auth_secret", "snmp.priv_secret", "snmp.user"]),
        ({"version": "2c"}, ["snmp.community"]),
        ({"version": "1"}, ["snmp.version"]),
        ({"version": "2c", "community": "public"}, ["snmp.community"]),
        ({"version": "2c", "community": Secret("c"), "windw": 3, "retries": 99}, ["snmp.retries", "snmp.windw"]),
        (
            {"user": "u", "auth": "MD5", "priv": "DES", "auth_secret": Secret("short"), "priv_secret": Secret(SECRET)},
            ["snmp.auth", "snmp.auth_secret", "snmp.priv"],
        ),
    ],
)
def test_all_mistakes_are_told_at_once_and_no_secret(given: dict[str, object], wrong: list[str]) -> None:
    with pytest.raises(InputError) as told:
        options(given, "snmp")
    assert sorted(problem.where for problem in told.value.problems) == wrong
    assert "public" not in str(told.value)
    assert SECRET not in str(told.value)

"""Polls of live snmpd, and of real switches' walks replayed by snmpsim: every value is snmpbulkwalk's."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from conftest import need, shared_data
from snmp_agents import bulkwalk, snmpd, snmpsim, v2c, v3
from snmp_reference import reference

from collectors.secrets import Secret
from collectors.sources import Outcome, Poll, Target
from collectors.sources.snmp import Snmp, ber, decode
from collectors.sources.snmp.tables import NAMES, tables
from fabric.counters import Counter, counters, parse

IF_NAME = NAMES["name"]
LLDP_LOCAL = NAMES["lldp_id"]
NUMBERS = ("INTEGER", "Counter32", "Counter64", "Gauge32", "Timeticks", "Unsigned32")
SWITCHES = (
    "arista_eos", "cumulus_edgecore-as4610-54p", "dell-sonic", "junos_qfx5130-32cd-evo", "vrp_ce12804-withvrf",
)  # fmt: skip


def poll(target: Target, times: int = 1) -> list[Poll]:
    async def body() -> list[Poll]:
        source = Snmp()
        try:
            return [await source.poll(target, 60) for _ in range(times)]
        finally:
            await source.close()

    return asyncio.run(body())


def texts(walked: dict[tuple[int, ...], str]) -> dict[int, str]:
    return {index[-1]: text_of(value) for index, value in walked.items()}


def text_of(said: str) -> str:
    """A string as ``_text`` of the source writes it, from what snmpbulkwalk -Ox says."""
    kind, _, value = said.partition(": ")
    if kind == "Hex-STRING":
        content = bytes.fromhex(value.replace("\n", "").replace(" ", ""))
        found = content.decode("utf-8", "replace").strip("\0 ")
        return found if "\ufffd" not in found and found.isprintable() else content.hex(":")
    return value.strip('"') if kind == "STRING" else said


def every_interface(program: str, port: int, community: str) -> dict[int, str]:
    """The name of each interface that has one of its own."""
    names = texts(bulkwalk(program, port, IF_NAME, community))
    return {index: name for index, name in names.items() if list(names.values()).count(name) == 1}


def expected(
    program: str, port: int, community: str, names: dict[int, str]
) -> Iterator[tuple[Counter, int | None, dict[str, float]]]:
    """Each numeric counter, its priority or queue, and value by port, as snmpbulkwalk reads the first that is there."""
    for counter in counters().values():
        if counter.kind == "text" or counter.object == "device" or not counter.addresses["oid"]:
            continue
        found: dict[int | None, dict[str, float]] = {}
        for address in counter.addresses["oid"]:
            if "{" in address.path:
                continue  # the recorded walks have none of these
            for index, said in bulkwalk(program, port, address.path, community).items():
                kind, _, value = said.partition(": ")
                if kind in NUMBERS and index[0] in names and len(index) == 1 + counter.indexed:
                    number = index[1] if counter.indexed else None
                    found.setdefault(number, {}).setdefault(names[index[0]], float(value) * address.factor)
        for number, values in found.items():
            yield counter, number, values


def hold(rows: pl.DataFrame, program: str, port: int, community: str, names: dict[int, str]) -> int:
    """Compare every number of every port; returns how many there were."""
    count = 0
    for counter, number, values in expected(program, port, community, names):
        column = counter.column(number)
        have = dict(zip(rows["port"], rows[column], strict=True)) if column in rows.columns else {}
        ours = {name: value for name, value in have.items() if value is not None and name is not None}
        if counter.kind == "state":
            values = {name: value for name, value in values.items() if value < 256}
        assert ours == pytest.approx(values, rel=1e-12), column
        assert set(ours) == set(values), column
        count += len(ours)
    return count


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with snmpd(need("snmpd"), tmp_path_factory.mktemp("snmpd")) as port:
        yield port


USERS = [v3(auth, priv) for auth in ("SHA", "SHA-256", "SHA-512") for priv in ("AES-128", "AES-256")]


@pytest.mark.parametrize("options", [*USERS, v2c()], ids=lambda options: str(options.get("user", "v2c")))
def test_live_snmpd(agent: int, options: dict[str, object]) -> None:
    """What does not move between the two readings is equal: the loopback's names, states, sizes, speeds, errors."""
    walk = need("snmpbulkwalk")
    names = every_interface(walk, agent, "public")
    first, second = poll(Target("host", "127.0.0.1", agent, {n: n for n in names.values()}, options), times=2)
    assert (first.outcome, second.outcome) == (Outcome.OK, Outcome.OK)
    assert set(first.rows["port"].drop_nulls()) == set(names.values())
    after = {c.column(n): values for c, n, values in expected(walk, agent, "public", names)}
    for column, values in after.items():
        have = dict(zip(second.rows["port"], second.rows[column], strict=True)) if column in second.rows.columns else {}
        was = dict(zip(first.rows["port"], first.rows[column], strict=True))
        for name, value in values.items():
            now = have.get(name)
            assert was[name] <= (value if now is None else now) <= value, (column, name)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"user": "nobody"}, "does not know this user"),
        ({"auth_secret": Secret("not the passphrase")}, "digest wrong"),
        ({"auth": "SHA-512"}, "digest wrong"),
        ({"priv": None}, "no such security level|denied|no answer|no counter"),
    ],
)
def test_wrong_users_are_denied_by_name(agent: int, change: dict[str, object], detail: str) -> None:
    (found,) = poll(Target("host", "127.0.0.1", agent, {"lo": "lo"}, v3("SHA-256", "AES-128") | change))
    assert found.outcome in (Outcome.DENIED, Outcome.SILENT, Outcome.EMPTY, Outcome.MALFORMED)
    assert change.get("priv", "") is None or (found.outcome is Outcome.DENIED and detail in found.detail)
    assert found.rows.is_empty() or found.rows["port"].null_count() == found.rows.height


def test_a_wrong_privacy_secret_gives_nothing(agent: int) -> None:
    options = v3("SHA-256", "AES-128") | {"priv_secret": Secret("not the passphrase"), "retries": 0}

    async def body() -> Poll:
        source = Snmp()
        try:
            return await source.poll(Target("host", "127.0.0.1", agent, {"lo": "lo"}, options), 1)
        finally:
            await source.close()

    found = asyncio.run(body())
    assert found.outcome in (Outcome.DENIED, Outcome.SILENT)
    assert found.rows.is_empty()


def test_an_agent_that_restarts_is_followed(tmp_path: Path) -> None:
    """Its boots go up, its time starts anew, its keys stay: v3 goes on after one more question."""
    program, options = need("snmpd"), v3("SHA-256", "AES-128")

    async def body() -> None:
        source = Snmp()
        try:
            with snmpd(program, tmp_path) as port:
                target = Target("host", "127.0.0.1", port, {"lo": "lo"}, options)
                assert (await source.poll(target, 10)).outcome is Outcome.OK
            with snmpd(program, tmp_path, port=port):
                found = await source.poll(target, 10)
                if found.outcome is Outcome.DENIED:  # its engine is another one: found anew by the next poll
                    found = await source.poll(target, 10)
                assert found.outcome is Outcome.OK, found.detail
        finally:
            await source.close()

    asyncio.run(body())


def test_every_answer_of_a_live_agent_is_read_as_pysnmp_reads_it(agent: int) -> None:
    """A walk of all that snmpd has, of every type."""
    oid: tuple[int, ...] = (1, 3)
    types: set[int] = set()
    count = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        asking.connect(("127.0.0.1", agent))
        while count < 40 and 0x82 not in types:
            pdu = (
                ber.integer(count) + ber.integer(0) + ber.integer(25) + ber.tlv(0x30, ber.varbind(ber.encode_oid(oid)))
            )
            asking.send(ber.tlv(0x30, ber.integer(1) + ber.tlv(0x04, b"public") + ber.tlv(ber.GET_BULK, pdu)))
            datagram = asking.recv(65536)
            ours, (said, _) = decode.decode(datagram), reference(datagram)
            assert ours is not None
            assert ours == said
            oid, types, count = ours.varbinds[-1][0], types | {tag for _, tag, _ in ours.varbinds}, count + 1
    assert {0x02, 0x04, 0x06, 0x41, 0x42, 0x43} <= types


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    need("snmpget")
    folder = tmp_path_factory.mktemp("walks")
    for name in SWITCHES:
        shutil.copy(shared_data("snmprec") / f"{name}.snmprec", folder / f"{name}.snmprec")
    with snmpsim(folder, tmp_path_factory.mktemp("cache")) as port:
        yield port


@pytest.mark.slow
@pytest.mark.parametrize("name", SWITCHES)
def test_real_switches(replayed: int, name: str) -> None:
    walk = need("snmpbulkwalk")
    names = every_interface(walk, replayed, name)
    target = Target(
        name, "127.0.0.1", replayed, {n: n for n in names.values()}, v2c(name) | {"retries": 5, "window": 2}
    )
    (found,) = poll(target)
    assert found.outcome in (Outcome.OK, Outcome.PARTIAL), found.detail
    assert hold(found.rows, walk, replayed, name, names) > 20 * len(names) / 2
    for column in found.rows.columns[4:]:
        assert parse(column) is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["arista_eos", "dell-sonic"])
def test_neighbours_of_real_switches(replayed: int, name: str) -> None:
    """Each neighbour that snmpbulkwalk lists on a port that LLDP names as the interface is called."""
    walk = need("snmpbulkwalk")
    names = every_interface(walk, replayed, name)
    (found,) = poll(Target(name, "127.0.0.1", replayed, {n: n for n in names.values()}, v2c(name) | {"retries": 5}))
    local = texts(bulkwalk(walk, replayed, LLDP_LOCAL, name))
    systems = bulkwalk(walk, replayed, "1.0.8802.1.1.2.1.4.1.1.9", name)
    wanted: dict[str, str] = {}
    for index, said in sorted(systems.items()):
        if local.get(index[1]) in names.values():
            wanted[local[index[1]]] = text_of(said)
    ours = dict(zip(found.rows["port"], found.rows["lldp_system"], strict=True))
    assert wanted
    assert {port: system for port, system in ours.items() if system is not None and port in wanted} == wanted


def test_every_object_id_of_the_schema_is_asked_for() -> None:
    found = tables()
    asked = {counter.name for counter in found.counters} | {"uptime_seconds"}
    assert asked == {name for name, counter in counters().items() if counter.addresses["oid"]}

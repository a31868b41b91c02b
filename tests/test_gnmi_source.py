"""The source gnmi against a server that does what devices do, and what they should not."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]
import pytest
from gnmi_listen import PLAIN, has, hasty, leaf, listen, loop, tls
from gnmi_server import HOLD, Identity, identity, serving
from pygnmi.spec.v080 import gnmi_pb2  # type: ignore[import-untyped]
from test_gnmi_wire import octets, response, update

from collectors.secrets import Secret
from collectors.sources import Outcome, Poll
from collectors.sources.gnmi import client, stream
from collectors.sources.gnmi.source import Gnmi

__all__ = ["hasty", "loop", "tls"]

SYNC = gnmi_pb2.SubscribeResponse(sync_response=True).SerializeToString()


def all_ports(time_: int, count: int) -> list[bytes]:
    return [octets(number, time_, count) for number in range(4)]


def steadily(count: int = 0) -> Iterator[bytes]:
    """Samples of all ports every 50 ms."""
    for number in itertools.count(count):
        yield from all_ports(time.time_ns(), number)
        time.sleep(0.05)


def test_rows_come_by_the_plans_names_and_the_request_asks_for_both_modes(loop: asyncio.Runner, tls: Identity) -> None:
    password = Secret("correct horse")
    with serving(lambda *_: [*all_ports(time.time_ns(), 7), SYNC, HOLD], tls.server()) as server:
        target = leaf(server.port, ca=str(tls.certificate), user="telemetry", password=password, period=10)
        polls, source = listen(loop, [target], has(Outcome.OK))
    assert polls[0].rows.select("device", "port", "rx_bytes").rows() == [
        ("leaf-1", f"swp{number}", 7) for number in range(4)]  # fmt: skip
    assert (polls[0].source, polls[0].device, polls[0].unknown, polls[0].detail) == ("gnmi", "leaf-1", 0, "")
    assert server.metadata[0]["username"] == "telemetry"
    assert server.metadata[0]["password"] == "correct horse"
    asked = server.asked[0].subscribe
    modes = {
        tuple(elem.name for elem in each.path.elem): (each.mode, each.sample_interval) for each in asked.subscription
    }
    assert modes["interfaces", "interface", "state", "counters"] == (gnmi_pb2.SAMPLE, 10**10)
    assert modes["interfaces", "interface", "state", "oper-status"] == (gnmi_pb2.ON_CHANGE, 0)
    assert (asked.mode, asked.encoding) == (gnmi_pb2.SubscriptionList.STREAM, gnmi_pb2.PROTO)
    health = source.health()
    assert (health["streams"], health["connects"], health["messages"], health["updates"]) == (1, 1, 5, 4)


def test_a_dropped_stream_is_made_anew_and_said(loop: asyncio.Runner) -> None:
    def script(_: Any, context: Any, number: int) -> Iterator[bytes]:
        yield from all_ports(time.time_ns(), number)
        if number < 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the agent restarts\nnow")
        yield HOLD

    with serving(script) as server:
        polls, source = listen(loop, [leaf(server.port, **PLAIN)], lambda polls: source_told(polls) >= {0, 1, 2})
    assert source.health()["connects"] == 3
    broken = [poll for poll in polls if "the agent restarts now" in poll.detail]
    assert broken
    assert all(poll.outcome in (Outcome.PARTIAL, Outcome.FAILED) for poll in broken)


def source_told(polls: list[Poll]) -> set[int]:
    return {count for poll in polls if not poll.rows.is_empty() for count in poll.rows["rx_bytes"].to_list()}


def test_back_off_grows(loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "FIRST_BACKOFF", 0.1)
    monkeypatch.setattr(stream, "LONGEST_BACKOFF", 60.0)
    began: list[float] = []

    def script(*_: Any) -> Iterator[bytes]:
        began.append(time.monotonic())
        yield SYNC

    with serving(script) as server:
        listen(loop, [leaf(server.port, **PLAIN)], lambda _: len(began) == 5)
    gaps = [later - earlier for earlier, later in itertools.pairwise(began)]
    assert [gap >= 0.05 * 2**step for step, gap in enumerate(gaps)] == [True] * 4


def test_a_stalled_stream_is_silent_then_made_anew(loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LEAST_STALL", 1.0)

    def script(_: Any, __: Any, number: int) -> Iterator[bytes]:
        yield from all_ports(time.time_ns(), number)
        yield HOLD

    with serving(script) as server:
        target = leaf(server.port, period=0.15, **PLAIN)
        polls, _ = listen(loop, [target], lambda polls: {0, 1} <= source_told(polls), 0.1)
    silent = next(poll for poll in polls if poll.outcome is Outcome.SILENT)
    assert silent.rows.is_empty()
    assert silent.detail.startswith("no update for ")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(grpc.StatusCode.UNAUTHENTICATED, Outcome.DENIED), (grpc.StatusCode.PERMISSION_DENIED, Outcome.DENIED),
     (grpc.StatusCode.NOT_FOUND, Outcome.EMPTY), (grpc.StatusCode.INTERNAL, Outcome.FAILED)],
)  # fmt: skip
def test_what_a_device_answers_has_a_name(loop: asyncio.Runner, code: Any, outcome: Outcome) -> None:
    with serving(lambda _, context, __: context.abort(code, "no")) as server:
        polls, _ = listen(loop, [leaf(server.port, **PLAIN)], has(outcome))
    assert {poll.outcome for poll in polls} == {outcome}
    assert polls[0].detail == f"{code.name.lower()}: no"


@pytest.mark.parametrize(
    ("words", "outcome"),
    [("last error: UNAVAILABLE: ipv4:192.0.2.1:1: connect: No route to host", Outcome.UNREACHABLE),
     ("last error: UNAVAILABLE: connect: Network is unreachable", Outcome.UNREACHABLE),
     ("last error: UNAVAILABLE: connect: Connection timed out", Outcome.SILENT),
     ("Ssl handshake failed: CERTIFICATE_VERIFY_FAILED", Outcome.DENIED), ("GOAWAY received", Outcome.FAILED)],
)  # fmt: skip
def test_what_the_network_answers_has_a_name(words: str, outcome: Outcome) -> None:
    nothing = grpc.aio.Metadata()
    end = client.ended(grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, words))
    assert (end.outcome, end.rejected) == (outcome, False)
    assert len(end.detail) <= client.LONGEST_DETAIL


def test_a_closed_port_is_refused(loop: asyncio.Runner) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        polls, _ = listen(loop, [leaf(bound.getsockname()[1], **PLAIN)], has(Outcome.REFUSED))
    assert "refused" in polls[0].detail.lower()


def test_a_listener_that_never_speaks_is_silent(loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LEAST_STALL", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        target = leaf(mute.getsockname()[1], period=0.1, **PLAIN)
        listen(loop, [target], has(Outcome.SILENT))


def test_an_untrusted_certificate_is_denied_and_no_password_is_sent(loop: asyncio.Runner, tls: Identity,
                                                                   tmp_path: Path) -> None:  # fmt: skip
    other = identity(tmp_path, "another")
    with serving(lambda *_: [HOLD], tls.server()) as server:
        said: dict[str, Any] = {"ca": str(other.certificate), "user": "a", "password": Secret("hidden")}
        polls, _ = listen(loop, [leaf(server.port, **said)], has(Outcome.DENIED))
        wrong_name = leaf(server.port, ca=str(tls.certificate), server_name="spine-1")
        listen(loop, [wrong_name], has(Outcome.DENIED))
    assert server.metadata == []
    assert "hidden" not in repr(polls)


def test_the_name_in_the_certificate_may_be_said(loop: asyncio.Runner, tls: Identity) -> None:
    with serving(lambda *_: [*all_ports(1, 1), HOLD], tls.server()) as server:
        listen(
            loop,
            [leaf(server.port, ca=str(tls.certificate), server_name="leaf-1")],
            lambda polls: bool(source_told(polls)),
        )


def test_a_server_that_wants_a_certificate_gets_ours(loop: asyncio.Runner, tls: Identity, tmp_path: Path) -> None:
    ours = identity(tmp_path, "collector")
    with serving(lambda *_: [*all_ports(1, 1), HOLD], tls.server(ours)) as server:
        said: dict[str, Any] = {"ca": str(tls.certificate)}
        listen(loop, [leaf(server.port, **said)], lambda polls: bool(polls) and not source_told(polls))
        said |= {"certificate": str(ours.certificate), "key": str(ours.key)}
        listen(loop, [leaf(server.port, **said)], lambda polls: bool(source_told(polls)))


def test_tls_to_a_plain_server_takes_nothing(loop: asyncio.Runner, tls: Identity) -> None:
    with serving(lambda *_: [*all_ports(1, 1), HOLD]) as server:
        polls, _ = listen(loop, [leaf(server.port, ca=str(tls.certificate))], lambda polls: len(polls) > 2)
    assert all(poll.rows.is_empty() and poll.outcome is not Outcome.OK for poll in polls)


def test_a_device_that_cannot_do_what_is_asked_is_asked_otherwise(loop: asyncio.Runner) -> None:
    def script(request: Any, context: Any, _: int) -> Iterator[bytes]:
        if request.subscribe.encoding != gnmi_pb2.JSON or any(each.mode == gnmi_pb2.ON_CHANGE for each in
                                                               request.subscribe.subscription):  # fmt: skip
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "unsupported")
        yield from all_ports(1, 1)
        yield HOLD

    with serving(script) as server:
        listen(loop, [leaf(server.port, **PLAIN)], lambda polls: bool(source_told(polls)))
    assert [asked.subscribe.encoding for asked in server.asked] == [2, 4, 0, 2, 4, 0]


def test_a_device_without_any_of_our_counters_is_empty(loop: asyncio.Runner) -> None:
    with serving(lambda *_: [SYNC, HOLD]) as server:
        polls, _ = listen(loop, [leaf(server.port, period=0.1, **PLAIN)], has(Outcome.EMPTY))
    assert polls[-1].detail == "it has none of what was asked for"


def test_malformed_messages_are_named_and_end_nothing(loop: asyncio.Runner) -> None:
    def script(*_: Any) -> Iterator[bytes]:
        yield b"\x0a\xff"
        yield b"\x0a\xff"
        time.sleep(0.5)
        yield from steadily()

    with serving(script) as server:
        polls, source = listen(loop, [leaf(server.port, **PLAIN)], has(Outcome.OK))
    assert (polls[0].outcome, polls[0].detail) == (Outcome.MALFORMED, "2 messages malformed")
    assert (source.health()["malformed"], source.health()["connects"]) == (2, 1)


def test_a_message_over_the_bound_is_oversized(loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MOST_MESSAGE", 4096)
    with serving(lambda *_: [b"\x0a" + bytes(5000)]) as server:
        listen(loop, [leaf(server.port, **PLAIN)], has(Outcome.OVERSIZED))


def test_a_compressed_message_is_not_unpacked(loop: asyncio.Runner) -> None:
    """A kilobyte can be a gigabyte unpacked: ours says that it takes none."""

    def script(_: Any, context: Any, __: int) -> Iterator[bytes]:
        context.set_compression(grpc.Compression.Gzip)
        yield from all_ports(1, 1)
        yield HOLD

    with serving(script) as server:
        listen(loop, [leaf(server.port, **PLAIN)], lambda polls: len(polls) > 1)
    assert "gzip" not in server.metadata[0].get("grpc-accept-encoding", "")


def test_missing_and_unknown_ports_are_said(loop: asyncio.Runner) -> None:
    def script(*_: Any) -> Iterator[bytes]:
        while True:
            yield octets(0, time.time_ns(), 1)
            yield octets(77, time.time_ns(), 1)
            time.sleep(0.05)

    with serving(script) as server:
        polls, _ = listen(loop, [leaf(server.port, period=0.1, **PLAIN)], lambda polls: any(p.detail for p in polls))
    assert (polls[-1].outcome, polls[-1].detail) == (Outcome.PARTIAL, "nothing of swp1, swp2, swp3")
    assert polls[-1].unknown == 1


def test_a_clock_that_is_off_is_remarked_on(loop: asyncio.Runner) -> None:
    with serving(lambda *_: [*all_ports(time.time_ns() - 3600 * 10**9, 1), HOLD]) as server:
        polls, _ = listen(loop, [leaf(server.port, **PLAIN)], has(Outcome.OK))
    assert polls[0].detail == "its clock is 3600 s behind"


def test_sonic_has_a_stream_a_database(loop: asyncio.Runner) -> None:
    values = {"COUNTERS_DB": ("COUNTERS/Ethernet*", b'{"Ethernet1":{"SAI_PORT_STAT_IF_IN_OCTETS":"12"}}'),
              "APPL_DB": ("PORT_TABLE", b'{"Ethernet1":{"oper_status":"up","speed":"400000"}}'),
              "STATE_DB": ("TRANSCEIVER_DOM_SENSOR", b'{"Ethernet1":{"rx1power":"-1.5","tx2bias":"7.5"}}'),
              "CONFIG_DB": ("PORT_QOS_MAP", b'{"Ethernet1":{"pfc_enable":"3,4"}}')}  # fmt: skip

    def script(request: Any, *_: Any) -> Iterator[bytes]:
        database = request.subscribe.prefix.target
        path, value = values[database]
        note = gnmi_pb2.SubscribeResponse.FromString(response(5, [update(path.split("/"), json_ietf_val=value)]))
        note.update.prefix.target = database
        yield note.SerializeToString()
        yield HOLD

    def enough(polls: list[Poll]) -> bool:
        return {"rx_bytes", "oper_status", "rx_power_dbm_l0", "pfc_enabled_mask"} <= set(merged(polls))

    with serving(script) as server:
        polls, _ = listen(loop, [leaf(server.port, mode="sonic", **PLAIN)], enough)
    assert merged(polls) == {"rx_bytes": 12, "oper_status": 1, "speed_gbps": 400.0, "rx_power_dbm_l0": -1.5,
                             "tx_bias_amperes_l1": 0.0075, "pfc_enabled_mask": 24.0}  # fmt: skip
    assert {asked.subscribe.encoding for asked in server.asked} == {gnmi_pb2.JSON_IETF}


def merged(polls: list[Poll]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for poll in polls:
        for row in poll.rows.drop("time_ns", "received_ns", "device", "port").iter_rows(named=True):
            found |= {name: value for name, value in row.items() if value is not None}
    return found


def test_a_device_that_floods_waits_and_the_others_do_not(
    loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST_WAITING", 5000)
    flood = b"".join(update_bytes(number) for number in range(200))

    def script(*_: Any) -> Iterator[bytes]:
        while True:
            yield octets_many(flood)

    with serving(script) as fast, serving(lambda *_: steadily()) as usual:
        targets = [leaf(fast.port, device="flood", **PLAIN), leaf(usual.port, **PLAIN)]
        polls, source = listen(loop, targets, lambda polls: sum(poll.device == "leaf-1" for poll in polls) >= 4)
    told = [poll.rows.height for poll in polls if poll.device == "flood"]
    assert told
    assert max(told) < 5000 + 2 * stream.BATCH
    assert source.health()["dropped"] == 0
    assert [poll.outcome for poll in polls if poll.device == "leaf-1"][1:] == [Outcome.OK] * 3


def update_bytes(number: int) -> bytes:
    raw = gnmi_pb2.Notification(update=[update(["interfaces", "interface[name=Ethernet1]", "state", "counters",
                                                "in-octets"], uint_val=number)]).SerializeToString()  # fmt: skip
    return bytes(raw)


def octets_many(updates: bytes) -> bytes:
    note = gnmi_pb2.Notification.FromString(updates)
    note.timestamp = time.time_ns()
    return bytes(gnmi_pb2.SubscribeResponse(update=note).SerializeToString())


def test_a_full_bus_holds_the_device_back(loop: asyncio.Runner) -> None:
    """While ``emit`` waits nothing is taken: what comes stays within the bounds of the stream."""
    source = Gnmi()

    async def never(_: Iterable[Poll]) -> None:
        await asyncio.sleep(3600)

    def script(*_: Any) -> Iterator[bytes]:
        flood = b"".join(update_bytes(number) for number in range(1000))
        while True:
            yield octets_many(flood)

    async def run(port: int) -> None:
        running = asyncio.create_task(source.run([leaf(port, **PLAIN)], never, 0.1))
        await asyncio.sleep(2.5)
        assert source.streams[0].decoders[""].pending < stream.MOST_WAITING + stream.BATCH
        running.cancel()
        await asyncio.wait([running])

    with serving(script) as server:
        loop.run(run(server.port))
    assert source.health()["dropped"] == 0

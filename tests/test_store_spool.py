"""The spool and its drain: torn tails, bounds, adoption; a server that loses, refuses and hesitates."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.store.drain import Drain
from collectors.store.errors import StoreAwayError, StoreFullError
from collectors.store.server import RejectedError, Server
from collectors.store.spool import Spool, scan
from collectors.store.urls import StoreUrl


def lines(number: int) -> bytes:
    return f"m,device=d n={number}u {number}\n".encode() * 50


def drained(spool: Spool) -> list[bytes]:
    found = []
    while (record := spool.read()) is not None:
        found.append(record[1])
    return found


def test_records_survive_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=300)
    for number in range(20):
        assert spool.append(lines(number)) == number
    assert drained(spool) == [lines(number) for number in range(20)]
    spool.close()
    again = Spool(tmp_path)
    assert again.pending == again.kept == 20
    assert drained(again) == [lines(number) for number in range(20)]
    again.confirm(12)
    again.close()
    left = Spool(tmp_path)
    assert drained(left) == [lines(number) for number in range(20)][-left.kept :]
    assert 8 <= left.kept < 20
    left.confirm(left.end)
    assert left.size == 0
    assert not list(tmp_path.glob("*/*.lines"))
    left.close()


@settings(max_examples=60)
@given(st.integers(0, 2000), st.binary(max_size=40))
def test_a_torn_tail_is_cut(cut: int, junk: bytes) -> None:
    """Wherever a crash tears the last segment, and whatever it leaves there, the records before are whole."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        spool = Spool(Path(folder))
        sizes = []
        for number in range(5):
            spool.append(lines(number))
            sizes.append(spool.size)
        spool.close()
        (path,) = Path(folder).glob("0/*.lines")
        whole = path.read_bytes()
        path.write_bytes(whole[:cut] + junk)
        left = sum(size <= min(cut, len(whole)) for size in sizes)
        again = Spool(Path(folder))
        assert drained(again) == [lines(number) for number in range(left)]
        again.append(lines(99))
        assert drained(again) == [lines(99)]
        again.close()


def test_flipped_bits_are_found(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in range(3):
        spool.append(lines(number))
    spool.close()
    (path,) = tmp_path.glob("0/*.lines")
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)
    assert scan(path)[0] == 2


def test_it_is_bounded_and_goes_on(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most_bytes=1000, segment_bytes=200)

    def fill() -> None:
        for number in range(100):
            spool.append(lines(number))

    with pytest.raises(StoreFullError, match="bring the server back"):
        fill()
    kept = spool.kept
    assert spool.size <= 1000
    assert len(drained(spool)) == kept
    spool.confirm(kept)
    spool.append(lines(100))
    assert drained(spool) == [lines(100)]
    spool.close()


def test_two_processes_have_a_folder_each_and_the_next_adopts(tmp_path: Path) -> None:
    one, other = Spool(tmp_path), Spool(tmp_path)
    assert one.folder != other.folder
    one.append(lines(1))
    other.append(lines(2))
    other.close()
    third = Spool(tmp_path)
    assert drained(third) == [lines(2)]
    one.close()
    third.close()
    last = Spool(tmp_path)
    assert sorted(drained(last)) == [lines(1), lines(2)]
    last.close()


class Pretended:
    """A server that does what a test says: ``answers`` what becomes of each post, ``kept`` of each window."""

    url = StoreUrl("victoriametrics", host="h", port=1)

    def __init__(self, window_s: float = 0.0) -> None:
        self.window_s = window_s
        self.got: list[bytes] = []
        self.on_post: Callable[[bytes], None] = lambda _: None
        self.kept: Callable[[], bool | None] = lambda: True

    def post(self, body: bytes) -> None:
        self.on_post(body)
        self.got.append(body)

    def on_disk(self, age_s: float, sealed_s: float) -> bool | None:
        return self.kept()

    def show(self) -> None: ...

    def close(self) -> None: ...

    series = known_fields = None


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path)
    yield made
    made.close()


def started(spool: Spool, server: Pretended) -> Drain:
    posing: Server = server  # type: ignore[assignment]  # reads are never asked of it
    return Drain(spool, posing)


def test_all_is_sent_in_order_and_let_go(spool: Spool) -> None:
    server = Pretended()
    drain = started(spool, server)
    for number in range(30):
        spool.append(lines(number))
    drain.wait_kept(10)
    drain.stop()
    assert server.got == [lines(number) for number in range(30)]
    assert spool.kept == 0


def test_what_the_server_lost_is_sent_again(spool: Spool) -> None:
    server, asked = Pretended(window_s=0.05), iter([False, None, False])
    server.kept = lambda: next(asked, True)
    drain = started(spool, server)
    for number in range(10):
        spool.append(lines(number))
        time.sleep(0.01)
    drain.wait_kept(10)
    drain.stop()
    assert set(server.got) == {lines(number) for number in range(10)}
    assert len(server.got) > 10
    assert drain.counts["records_resent"] == len(server.got) - 10
    assert spool.kept == 0


def test_nothing_goes_while_the_server_cannot_say(spool: Spool) -> None:
    server = Pretended()
    server.kept = lambda: None
    drain = started(spool, server)
    spool.append(lines(0))
    drain.wait_kept(10)
    drain.stop()
    assert spool.kept == 1


def test_a_server_that_is_away_gets_each_record_later(spool: Spool) -> None:
    server, failures = Pretended(), [StoreAwayError("away")] * 4
    back = threading.Event()

    def post(_: bytes) -> None:
        if failures:
            raise failures.pop()
        back.set()

    server.on_post = post
    drain = started(spool, server)
    for number in range(5):
        spool.append(lines(number))
    drain.wait_kept(10)
    drain.stop()
    assert back.is_set()
    assert server.got == [lines(number) for number in range(5)]
    assert drain.counts["send_failures"] == 4


def test_what_is_refused_for_good_is_kept_aside(spool: Spool) -> None:
    server = Pretended()

    def post(body: bytes) -> None:
        if body == lines(1):
            raise RejectedError("a field of another type")

    server.on_post = post
    drain = started(spool, server)
    for number in range(3):
        spool.append(lines(number))
    drain.wait_kept(10)
    drain.stop()
    assert server.got == [lines(0), lines(2)]
    assert drain.counts["records_rejected"] == 1
    (kept,) = (spool.folder / "rejected").glob("*.lines")
    assert kept.read_bytes() == b"a field of another type\n" + lines(1)

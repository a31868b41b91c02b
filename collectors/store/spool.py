"""The spool: what a server has not got on its disk yet, on ours.

A folder of segments, each a run of records: head (magic, length, CRC), then zstd-compressed lines. ``append`` returns
when the record is synced. Records are numbered in order; those up to a number that is confirmed go, a whole segment at
a time. What a crash tore off the end of a segment was never acknowledged and is cut. One process a folder: others take
a folder of their own beside it, and what an ended process left is adopted by the next.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types

from collectors.store.errors import StoreError, StoreFullError
from fabric.errors import Problem

SEGMENT_BYTES = 32 << 20
MOST_BYTES = 20 << 30
"""Default bound of a spool: about three hours of 61,056 ports × 30 counters each 10 s."""
MOST_RECORD = 1 << 30
_HEAD = struct.Struct("<4sIII")
_MAGIC = b"RWL1"


@dataclass
class Segment:
    """One file of the spool: the number of its first record, how many it has, its bytes that are whole."""

    path: Path
    first: int
    records: int = 0
    size: int = 0

    @property
    def end(self) -> int:
        """The number after its last record."""
        return self.first + self.records


class Spool:
    """Records on disk, appended by any thread and read in order by one."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Take ``folder`` (or one beside it, where another process has it) and what ended processes left."""
        self.most_bytes, self.segment_bytes = most_bytes, segment_bytes
        self.changed = threading.Condition()
        self._codec = pa.Codec("zstd", compression_level=1)
        self._segments: list[Segment] = []
        self._out: int | None = None
        self._next = self._at = self.confirmed = 0
        self._offset = 0
        self.torn = 0
        try:
            self.folder, lock = claim(folder)
            self._lock: int | None = lock
            adopt(folder, self.folder)
            self._load()
        except OSError as error:
            raise self._failed(error) from error

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self._segments)

    @property
    def pending(self) -> int:
        """Records not read yet."""
        return self._next - self._at

    @property
    def end(self) -> int:
        """The number that the next record gets."""
        return self._next

    @property
    def kept(self) -> int:
        """Records that are still on our disk."""
        return sum(segment.records for segment in self._segments)

    def append(self, lines: bytes | memoryview) -> int:
        """Keep the lines, synced; the record's number. Raises StoreFullError (nothing was kept) and StoreError."""
        packed = self._codec.compress(lines, asbytes=True)
        record = _HEAD.pack(_MAGIC, len(packed), len(lines), zlib.crc32(packed)) + packed
        with self.changed:
            if self.size + len(record) > self.most_bytes:
                raise StoreFullError(
                    Problem(str(self.folder), f"holds its {self.most_bytes >> 20} MiB", "bring the server back")
                )
            try:
                self._put(record)
            except OSError as error:
                self._drop_tail()
                raise self._failed(error) from error
            self._next += 1
            self.changed.notify_all()
            return self._next - 1

    def _put(self, record: bytes) -> None:
        if self._out is None or self._segments[-1].size >= self.segment_bytes:
            self._rotate()
        assert self._out is not None
        left = memoryview(record)
        while left:
            left = left[os.write(self._out, left) :]
        os.fdatasync(self._out)
        self._segments[-1].size += len(record)
        self._segments[-1].records += 1

    def _rotate(self) -> None:
        self._close_out()
        path = self.folder / f"{time.time_ns():020d}-{os.getpid()}.lines"
        self._out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._segments.append(Segment(path, self._next))
        sync_folder(self.folder)

    def _drop_tail(self) -> None:
        """Cut what a failed write left; the next goes to a new file, because this one's state on disk is unknown."""
        if self._out is not None:
            with suppress(OSError):
                os.ftruncate(self._out, self._segments[-1].size)
                os.fsync(self._out)
        self._close_out()
        if self._segments and not self._segments[-1].records:
            with suppress(OSError):
                self._segments.pop().path.unlink()

    def _close_out(self) -> None:
        if self._out is not None:
            with suppress(OSError):
                os.close(self._out)
        self._out = None

    def read(self) -> tuple[int, bytes] | None:
        """The next record not read yet, with its number; None where there is none. Raises StoreError."""
        with self.changed:
            segment = next((s for s in self._segments if s.end > self._at), None)
            if segment is None:
                return None
            offset = 0 if self._at == segment.first else self._offset
            try:
                with segment.path.open("rb") as file:
                    file.seek(offset)
                    packed, plain = _record(file.read(_HEAD.size), file.read)
            except OSError as error:
                raise self._failed(error) from error
            number = self._at
            self._at, self._offset = number + 1, offset + _HEAD.size + len(packed)
        return number, self._codec.decompress(packed, plain, asbytes=True)

    def rewind(self, number: int) -> None:
        """Read from record ``number`` again (or from the first that is still there)."""
        with self.changed:
            segment = next((s for s in self._segments if s.end > number), None)
            self._at = self._next if segment is None else segment.first
            while self._at < number:
                self.read()
            self.changed.notify_all()

    def confirm(self, number: int) -> None:
        """The server has all records before ``number`` on disk: drop the segments that hold nothing else."""
        with self.changed:
            self.confirmed = max(self.confirmed, number)
            while self._segments and self._segments[0].end <= number:
                if len(self._segments) == 1:
                    self._close_out()
                with suppress(OSError):
                    self._segments[0].path.unlink()
                self._segments.pop(0)
            self.changed.notify_all()

    def reject(self, number: int, lines: bytes, most: int = 16) -> None:
        """Keep a record that the server will never take, the last ``most`` of them, for people to look at."""
        folder = self.folder / "rejected"
        with suppress(OSError):
            folder.mkdir(exist_ok=True)
            (folder / f"{time.time_ns():020d}-{number}.lines").write_bytes(lines)
            for old in sorted(folder.glob("*.lines"))[:-most]:
                old.unlink()

    def close(self) -> None:
        """Give the folder back; records stay."""
        with self.changed:
            self._close_out()
            if self._lock is not None:
                os.close(self._lock)
            self._lock = None

    def _load(self) -> None:
        for path in sorted(self.folder.glob("*.lines")):
            records, size = scan(path)
            if path.stat().st_size > size:
                self.torn += 1
                os.truncate(path, size)
            if records:
                self._segments.append(Segment(path, self._next, records, size))
                self._next += records
            else:
                path.unlink()

    def _failed(self, error: OSError) -> StoreError:
        kind = StoreFullError if is_full(error) else StoreError
        said = (error.strerror or str(error)).lower()
        return kind(Problem(str(error.filename or self.__dict__.get("folder", "spool")), said, "free space there"))


def is_full(error: OSError) -> bool:
    """Whether an error of the system says that there is no room."""
    import errno

    return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def claim(folder: Path) -> tuple[Path, int]:
    """The first of ``folder/0``, ``folder/1``… that no other process has, locked."""
    for number in range(1024):
        own = folder / str(number)
        own.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _try_lock(own)
        if lock is not None:
            return own, lock
    raise StoreError(Problem(str(folder), "1024 processes write to it", "end some of them"))


def _try_lock(folder: Path) -> int | None:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def adopt(folder: Path, own: Path) -> None:
    """Move the segments of ended processes into ``own``."""
    for other in sorted(path for path in folder.iterdir() if path.is_dir() and path.name.isdigit() and path != own):
        lock = _try_lock(other)
        if lock is None:
            continue
        try:
            for path in sorted(other.glob("*.lines")):
                path.rename(own / path.name)
            sync_folder(own)
        finally:
            os.close(lock)


def scan(path: Path) -> tuple[int, int]:
    """Whole records of a segment, and the bytes they take."""
    records = size = 0
    with path.open("rb") as file:
        while True:
            try:
                packed, _ = _record(file.read(_HEAD.size), file.read)
            except OSError:
                return records, size
            records, size = records + 1, size + _HEAD.size + len(packed)


def _record(head: bytes, read: Callable[[int], bytes]) -> tuple[bytes, int]:
    """The compressed lines of a record and their length; raises OSError where it is not whole."""
    if len(head) < _HEAD.size:
        raise OSError("the record is torn")
    magic, length, plain, crc = _HEAD.unpack(head)
    if magic != _MAGIC or length > MOST_RECORD or plain > MOST_RECORD:
        raise OSError("the record is none of ours")
    packed = read(length)
    if len(packed) < length or zlib.crc32(packed) != crc:
        raise OSError("the record is torn")
    return packed, plain


def sync_folder(folder: Path) -> None:
    """Make renames, new files and removals in a folder durable."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)

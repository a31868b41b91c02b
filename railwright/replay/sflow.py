"""A recording as sFlow datagrams: sent at their times, or written to a file as a capture would have them."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import polars as pl

from collectors.sources.sflow.encode import SECOND, Datagrams, Encoder, Speaker
from collectors.sources.sflow.headers import headers
from railwright.replay.recording import Clock, Recording

ETHERNET = 1
"""Link type of a capture."""


def speakers(recording: Recording) -> list[Speaker]:
    """An agent a device."""
    return [Speaker(name, recording.addresses[name], recording.ifindex[name]) for name in recording.devices]


def datagrams(recording: Recording) -> Datagrams:
    """All that the agents send, by time."""
    counters = recording.counters.filter(pl.col("port").is_not_null())
    return Encoder(speakers(recording)).encode(recording.flows, counters)


def send(recording: Recording, clock: Clock, address: str, port: int) -> int:
    """Send all of it, each datagram at its time; how many there were.

    What goes to this machine from a device of 127/8 comes from that address; all else comes from ours, and the
    collector has to know us as a forwarder.
    """
    found = datagrams(recording)
    with contextlib.ExitStack() as stack:
        out = [stack.enter_context(_socket(address, recording.addresses[name])) for name in recording.devices]
        numbers = found.speakers.tolist()
        for datagram, time_ns, speaker in zip(found, found.times.tolist(), numbers, strict=True):
            clock.wait(time_ns)
            out[speaker].sendto(datagram, (address, port))
    return len(found)


def _socket(towards: str, device: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in towards else socket.AF_INET, socket.SOCK_DGRAM)
    if towards.startswith("127.") and device.startswith("127."):
        opened.bind((device, 0))
    return opened


def write_capture(recording: Recording, path: Path) -> int:
    """A pcap of the sampled frames: their headers, times, and whole lengths (without FCS); how many there are."""
    from scapy.utils import RawPcapWriter

    flows = recording.flows.filter(pl.col("src_ip").is_not_null())
    found = headers(flows, speakers(recording))
    lengths = (flows["frame_bytes"].fill_null(0) - 4).clip(0).to_list()
    with RawPcapWriter(str(path), linktype=ETHERNET, nano=True) as writer:
        writer.write_header(None)
        for header, time_ns, length in zip(found, flows["time_ns"], lengths, strict=True):
            whole = max(length, len(header))
            writer.write_packet(header, sec=time_ns // SECOND, usec=time_ns % SECOND, caplen=len(header), wirelen=whole)
    return len(found)

"""GUIDs of InfiniBand devices: simulated until an inventory says the real ones.

A simulated GUID is a locally administered EUI-64 made of the device's place among its kind, so that it is the same in
every file and every run: ``0x0252_4100_…`` for adapters, ``0x0252_4200_…`` for switches, in steps of 16; a port's
GUID is its adapter's plus the port's number.
"""

from __future__ import annotations

import polars as pl

ADAPTERS = 0x0252_4100_0000_0000
SWITCHES = 0x0252_4200_0000_0000
STEP = 16


def adapter_guids(nic: pl.Expr) -> pl.Expr:
    """Node GUIDs (UInt64) of NIC ids."""
    return pl.lit(ADAPTERS, dtype=pl.UInt64) + nic.cast(pl.UInt64) * STEP


def switch_guids(device: pl.Expr) -> pl.Expr:
    """Node GUIDs (UInt64) of switch device ids."""
    return pl.lit(SWITCHES, dtype=pl.UInt64) + device.cast(pl.UInt64) * STEP


def hexadecimal(guids: pl.Series) -> pl.Series:
    """GUIDs as 16 hexadecimal digits without prefix; null stays null."""
    return pl.Series(
        guids.name, [None if guid is None else f"{guid:016x}" for guid in guids.to_list()], dtype=pl.String
    )

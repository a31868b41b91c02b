"""Puts recorded samples on the wire, as the devices they are of would: sFlow, SNMP, gNMI, or a capture file.

A recording is the folder that ``simulate -o`` writes, or any with ``counters.parquet`` and ``flows.parquet`` in it.
"""

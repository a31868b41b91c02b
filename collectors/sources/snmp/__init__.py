"""SNMP: v3 (SHA, SHA-2, AES) and v2c, GETBULK, any number of agents over one socket (docs/snmp.md)."""

from collectors.sources.snmp.source import Snmp

__all__ = ["Snmp"]

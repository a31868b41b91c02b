"""sFlow version 5: what switches tell of the frames they sampled and of their interfaces' counters.

A switch sends datagrams; one socket takes those of all switches (``receive``), one compiled pass over the bytes of
many datagrams turns them into rows (``decode``, ``records``, ``frames``), rows become tables by the plan's names
(``agents``, ``tables``). ``source`` is the listening source; ``encode`` writes datagrams from the same tables, for
replay and tests.

The format: sFlow Version 5 (sflow.org, July 2004), in XDR (RFC 4506).
"""

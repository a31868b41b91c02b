"""Is a hash uneven, or are there just few flows: statistics of flows over the members of ECMP groups.

``phi`` measures, ``pooling`` screens, ``montecarlo`` judges, ``pairs``, ``contingency`` and ``regularity`` say why.
docs/hash-skew.md has the measured tables.
"""

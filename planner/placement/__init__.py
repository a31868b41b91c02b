"""Placement: which hosts a job takes and in which rank order, so that few bytes cross segments and few holes are left.

``shape`` turns a job into stages of units (a host, or the hosts of one tensor-parallel group) and prices of crossings;
``counts`` decides with CP-SAT how many units of each stage go to each segment, ``order`` puts them in a row, ``exact``
does both at once for small jobs, ``traffic`` counts what really crosses, ``place`` joins them.
"""

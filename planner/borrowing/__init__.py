"""Borrowed rails (借轨): which NICs of a host carry the traffic of those it has lost, and whether that is worth it.

``problem`` states it on plain arrays, ``options`` what may go where, ``solve`` finds the least largest load,
``plan`` reads it off a plan, ``answer`` puts modes, peers, queue pairs, runtimes and the alternative together.
"""

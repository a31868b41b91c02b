"""The agent of a host: reads what the host knows of its own ports and answers the collector over HTTP.

It answers ``GET /v1/ports`` with one JSON document (``VERSION``): the host's clock, and for each port its names and the
raw values by address (``sysfs`` and ``ethtool`` columns of ``fabric/schema/counters.csv``). What they mean is for the
collector to say: an agent need not be newer than the counters.
"""

VERSION = 1
PATH = "/v1/ports"
PORT = 9342
"""TCP port unless told otherwise."""
MOST_PORTS = 256
MOST_BYTES = 4 << 20
"""Of one answer."""

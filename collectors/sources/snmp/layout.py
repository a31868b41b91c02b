"""Names of the words that the compiled decoder fills: heads of messages, repeaters of a walk, records of varbinds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

OK, MALFORMED, LOOPING = 0, 1, 2
MOST_SUBIDENTIFIERS = 128
"""Of an object id (RFC 2578, 3.5)."""
MOST_STRING = 255
"""Octets of a string that are kept."""
KEYS = 4
"""Sub-identifiers of an index that are kept."""
RECORD = 10
"""Words of a record: column, KEYS words of index, tag, high and low word of the value, offset and length of a text."""
CURSOR = 124
"""Octets of a cursor and its length: a longer object id is no row of a table of ports."""
ASKED, ENDED, FROM, TO = range(4)
"""Words of a repeater."""
HEAD = 24
"""Words of a head; their names follow."""
(VERSION, NAME, NAME_END, ID, MOST, FLAGS, MODEL, ENGINE, ENGINE_END, BOOTS, TIME, USER, USER_END, AUTH, AUTH_END,
 PRIV, PRIV_END, DATA, DATA_END, TYPE, REQUEST, ERROR, INDEX, BINDS) = range(HEAD)  # fmt: skip

Octets = NDArray[np.uint8]
Words = NDArray[np.int64]

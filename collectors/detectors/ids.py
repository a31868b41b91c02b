"""Which devices and ports of the plan the names in samples are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from collectors.detectors.view import NONE, Ints, View

Codes = npt.NDArray[np.int32]


class Ids:
    """Ids by name. Each name is looked up once a row in a table of distinct ones, and then numbers are compared."""

    def __init__(self, view: View) -> None:
        """The names of a plan."""
        names = view.plan.fabric.ports["name"]
        self._devices, self._names = pl.Enum(view.device_names), pl.Enum(names.unique().sort())
        code = codes(names, self._names)
        self._order = np.lexsort((code, view.device))
        self._code = code[self._order]
        self._start = np.searchsorted(view.device[self._order], np.arange(len(view.device_names) + 1))
        self._known: tuple[pl.Series, pl.Series, Ints, Ints] | None = None

    def of(self, device: pl.Series, port: pl.Series) -> tuple[Ints, Ints]:
        """Device ids and port ids by row, NONE for what the plan does not have.

        Of the same names as the last time the same arrays, which costs next to nothing.
        """
        if self._known is not None:
            devices, ports, *ids = self._known
            if device.equals(devices) and port.equals(ports):
                return ids[0], ids[1]
        where = self.devices(device)
        self._known = device, port, where, self.ports(where, port)
        return self._known[2:]

    def devices(self, names: pl.Series) -> Ints:
        """Device ids by row, NONE for what the plan does not have."""
        return codes(names, self._devices).astype(np.int64)

    def ports(self, devices: Ints, names: pl.Series) -> Ints:
        """Ids of ports by row: of the device with that id, and so named; NONE for what the plan does not have."""
        return _ports(devices, codes(names, self._names), self._start, self._code, self._order)


def codes(names: pl.Series, known: pl.Enum) -> Codes:
    """By row the place of a name among those known, NONE for any other."""
    places = names.cast(known, strict=False).to_physical().cast(pl.Int32)
    found: Codes = (places.fill_null(NONE) if places.null_count() else places).to_numpy()
    return found


@njit(cache=True, nogil=True)
def _ports(devices: Ints, codes: Codes, start: Ints, code: Codes, port: Ints) -> Ints:
    """Binary search of each row's code among those of its device: ``code[start[d]:start[d + 1]]``, sorted.

    First it is looked for where it would be if the device had all names from its first on, as most have.
    """
    found = np.full(len(devices), NONE)
    for row in range(len(devices)):
        device, wanted = devices[row], codes[row]
        if device < 0 or wanted < 0:
            continue
        low, high = start[device], start[device + 1] - 1
        if low > high:
            continue
        middle = min(max(low + wanted - code[low], low), high)
        while low <= high:
            if code[middle] == wanted:
                found[row] = port[middle]
                break
            if code[middle] < wanted:
                low = middle + 1
            else:
                high = middle - 1
            middle = (low + high) // 2
    return found

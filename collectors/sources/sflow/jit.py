"""One way to compile hot loops: numba, kept on disk, without the interpreter's lock; types stay those written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba  # type: ignore[import-untyped,unused-ignore]
import numpy as np
import numpy.typing as npt

F = TypeVar("F", bound=Callable[..., Any])
Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[Any]
"""A column of any of numpy's types."""
Rows = npt.NDArray[np.void]
"""Of one of the dtypes of ``layout``."""
Row = Any
"""One element of Rows: a record that is written to in place."""


def compiled(function: F) -> F:
    """``function`` as machine code, compiled at its first call and cached beside its module."""
    return cast(F, numba.njit(cache=True, nogil=True)(function))

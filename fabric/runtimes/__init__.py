"""What communication libraries do when a host loses a NIC: rules as data (``*.yaml``), each with its source."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import Field

from fabric import yaml
from fabric.validation import Strict, validate

Text = Annotated[str, Field(min_length=1)]


class Remedy(Strict):
    """One thing a runtime can do about a lost port.

    ``lenders``: same-nic (another port or die of the same NIC) or host (any NIC of the host). ``spread``: the traffic
    of a lost port may go by several lenders, in whatever shares; else all of it goes by one. ``both_ends``: the two
    ends of a connection move together, to the same rail. ``automatic``: without
    stopping the job; ``returns``: goes back by itself when the port is back. In ``settings``, ``{lost}`` stands for the
    RDMA devices or NICs that are lost.
    """

    what: Text
    since: Text | None = None
    lenders: Literal["same-nic", "host"]
    spread: bool = False
    both_ends: bool = True
    automatic: bool
    returns: bool
    settings: dict[Text, Text] = Field(default_factory=dict)
    limits: tuple[Text, ...] = ()
    source: Text


class Runtime(Strict):
    """A library: ``scale_up`` names the scale-up links of the hosts that it runs on, ``remedies`` what it can do."""

    name: Text
    scale_up: Annotated[tuple[Text, ...], Field(min_length=1)]
    remedies: Annotated[tuple[Remedy, ...], Field(min_length=1)]
    notes: tuple[Text, ...] = ()
    source: Text


@cache
def runtimes() -> dict[str, Runtime]:
    """Every runtime by its key, in the order of the keys."""
    found = [path for path in files("fabric.runtimes").iterdir() if path.name.endswith(".yaml")]
    found.sort(key=lambda path: path.name)
    return {
        path.name.removesuffix(".yaml"): validate(
            Runtime, yaml.load_text(path.read_text(encoding="utf-8"), path.name), path.name
        )
        for path in found
    }

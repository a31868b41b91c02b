"""Every threshold of the detectors, each with its unit and its reason; settings may override any of them.

A class a detector; ``Policy`` holds one of each. docs/runbook.md prints them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Thresholds(BaseModel):
    """Numbers of one detector."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Life(Thresholds):
    """When findings open, are told again, and clear."""

    clear_after: Annotated[int, Field(ge=1, description="intervals without the signal, with samples of its ports")] = 3
    """One quiet interval may be luck, or the switch had not refreshed its counters."""
    tell_again_s: Annotated[float, Field(gt=0, description="s between two updates with nothing but numbers")] = 600.0
    """An operator wants to see that it goes on, not each interval."""
    worse: Annotated[float, Field(gt=1, description="factor by which a finding's level rises before it is told")] = 2.0
    """A doubling changes what one does about it; less does not."""
    mass_share: Annotated[float, Field(gt=0, le=1, description="of a device's or rack's cabled ports, at once")] = 0.5
    """A device that lost half of its links at once has one fault, not so many."""
    mass_least: Annotated[int, Field(ge=2, description="signals that are a mass event at least")] = 4
    """Two or three at once may be a cable bundle or a breakout cage: those are told one by one."""


class Policy(Thresholds):
    """The thresholds of all detectors, and the length of their interval."""

    interval_s: Annotated[float, Field(gt=0, description="s of one interval")] = 10.0
    """The usual period of polls: shorter ones see counters that the switch has not refreshed."""
    warm_up: Annotated[int, Field(ge=1, description="intervals before --since that a replay begins with")] = 12
    """The longest that any detector looks back; see ``slow_rail`` and ``link``."""
    life: Life = Life()

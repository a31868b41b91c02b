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


class HashSkew(Thresholds):
    """When a group's hash is called uneven, and when few flows are."""

    level: Annotated[float, Field(gt=0, lt=1, description="probability of a false verdict on one set of flows")] = 1e-4
    """Training runs the same flows for days: one test in 10,000 of them may be wrong."""
    screen: Annotated[float, Field(gt=0, lt=1, description="probability of χ² above which nothing is drawn")] = 1e-2
    """χ² is a few percent off out there, and a hundred times the level is far enough from it."""
    draws: Annotated[int, Field(ge=10_000, description="draws of a verdict, at least")] = 1_000_000
    """A probability of 1e-4 is then known to a tenth of itself."""
    least_draws_level: Annotated[float, Field(gt=0, lt=1, description="probability, at least asked for")] = 2e-6
    """The k-th set of flows of a tier within a day is asked for level/k, so that churn makes no alarms: 17 in 1,000
    days with another set each interval. Draws resolve no less."""
    least_flows: Annotated[int, Field(ge=2, description="flows of a group")] = 4
    """Three flows on any group are uneven and say nothing; four add up over a tier."""
    most_thrown: Annotated[int, Field(ge=64, description="flows of a tier's groups that are drawn together")] = 1024
    """2 s for a verdict; two-fold collapse is certain with 8 groups of 16 flows."""
    floor: Annotated[float, Field(ge=0, lt=1, description="of the members' speed, carried in the interval")] = 0.01
    """Less is the idle phase of a collective, or what is not a job's."""
    fresh: Annotated[float, Field(gt=0, le=1, description="of the samples: new flows, or moved ones")] = 0.25
    """The same flows on the same members are no new evidence; half of them move when a hash is put right."""
    moving: Annotated[float, Field(gt=0, le=1, description="of flows with two samples: on several members")] = 0.1
    """A hash that stays keeps a flow where it is; spraying and adaptive routing do not, and have no hash to judge."""
    spread: Annotated[float, Field(gt=0, le=1, description="of a tier's groups that show it")] = 0.5
    """From there on it is the tier that has the fault, not its switches."""
    factor: Annotated[float, Field(gt=1, description="m/m_hat from which a tier is polarised")] = 1.3
    """The least there is is 2; m_hat scatters."""
    dependent: Annotated[float, Field(gt=0, lt=1, description="probability of the contingency table")] = 1e-2
    """The verdict stands already; this only tells its cause."""
    regular_share: Annotated[float, Field(gt=0, le=1, description="of distinct source ports, one remainder")] = 0.9
    """A few queue pairs of others may be among them."""
    regular_ports: Annotated[int, Field(ge=8, description="distinct source ports")] = 16
    """All of 16 agree over a step of 2 by chance in 3 of 100,000 cases, over larger steps never."""
    objective: Annotated[float, Field(gt=1, description="busiest member over the mean")] = 2.0
    """64 flows on 16 links give 1.97 with a perfect hash; above, hosts wait twice as long as they had to."""
    saturated: Annotated[float, Field(gt=0, le=1, description="of a member's speed, carried in the interval")] = 0.95
    """Unevenness harms nobody as long as the busiest member has room."""
    pairs_a_port: Annotated[float, Field(gt=1, description="queue pairs a source port, at least 16 pairs")] = 4.0
    """Drivers draw among 16,384 ports: sixteen queue pairs on four ports do not happen."""
    elephant: Annotated[float, Field(gt=0, lt=1, description="of the busiest member's load, in one flow")] = 0.5
    """More is that flow's doing, whatever the hash."""


class Miswire(Thresholds):
    """When what neighbours say is taken for a wiring fault."""

    ttl_s: Annotated[float, Field(ge=0, description="s that a neighbour's word is good, and that silence may last")] = (
        120.0
    )
    """The time to live that LLDP sends by default: 4 × 30 s (IEEE 802.1AB, txTTL)."""
    settle_s: Annotated[float, Field(ge=0, description="s without another neighbour before cables count as wrong")] = (
        30.0
    )
    """LLDP's transmit interval (IEEE 802.1AB, msgTxInterval): until then only one of both ends may have the news."""


class Policy(Thresholds):
    """The thresholds of all detectors, and the length of their interval."""

    interval_s: Annotated[float, Field(gt=0, description="s of one interval")] = 10.0
    """The usual period of polls: shorter ones see counters that the switch has not refreshed."""
    warm_up: Annotated[int, Field(ge=1, description="intervals before --since that a replay begins with")] = 12
    """The longest that any detector looks back; see ``slow_rail`` and ``link``."""
    life: Life = Life()
    hash_skew: HashSkew = HashSkew()
    miswire: Miswire = Miswire()

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

    level: Annotated[float, Field(gt=0, lt=1, description="probability of a false verdict on a fabric in a day")] = 1e-4
    """Shared by its tiers, and by their sets of flows: 6/π² of a tier's for the first of a day, 1/k² of that for the
    k-th."""
    screen: Annotated[float, Field(gt=0, lt=1, description="probability of χ² above which nothing is drawn")] = 1e-2
    """χ² is a few percent off out there, and a hundred times the level is far enough from it."""
    draws: Annotated[int, Field(ge=10_000, description="draws of a verdict, at least")] = 1_000_000
    """A probability of 1e-4 is then known to a tenth of itself; what is plain ends sooner."""
    least_draws_level: Annotated[float, Field(gt=0, lt=1, description="probability, at least asked for")] = 2e-6
    """Draws resolve no less. Churn that brings other flows in each interval makes 17 false alarms in 1,000 days and
    tiers."""
    least_flows: Annotated[int, Field(ge=2, description="flows of a group")] = 4
    """Three flows on any group are uneven and say nothing; four add up over a tier."""
    most_thrown: Annotated[int, Field(ge=64, description="flows of a tier's groups that are drawn together")] = 512
    """0.7 s for a verdict at most; two-fold collapse is certain with 8 groups of 16 flows."""
    floor: Annotated[float, Field(ge=0, lt=1, description="of the members' speed, carried in the interval")] = 0.01
    """Less is the idle phase of a collective, or what is not a job's."""
    fresh: Annotated[float, Field(gt=0, le=1, description="of the samples: flows new, moved or gone")] = 0.25
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
    objective: Annotated[float, Field(gt=1, description="busiest member over the mean")] = 1.5
    """256 flows on 16 links give 1.5 with a perfect hash; above, hosts wait half as long again as they had to."""
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


class Link(Thresholds):
    """Down, flaps, errors, grey loss, margin: docs/link-detectors.md has the run lengths that these give."""

    hold_down_s: Annotated[float, Field(ge=0, description="s that a link stays down before it is told as down")] = 5.0
    """A flap of a few seconds is a flap: at samples of 10 s this is one more interval, within the two that are due."""
    settle_s: Annotated[float, Field(ge=0, description="s after a device's start or a long outage")] = 30.0
    """Links come back one by one, and counters of what happened before show up late."""
    flap_window_s: Annotated[float, Field(gt=0, description="s in which flaps are counted")] = 60.0
    """Flaps of bad optics come seconds to a minute apart; a longer window keeps findings open for longer."""
    flaps: Annotated[int, Field(ge=1, description="falls in the window that are flaps though the link is down")] = 2
    """One fall is a flap only once the link is seen up again."""
    speed_share: Annotated[float, Field(gt=0, le=1, description="of the planned speed, below which a link is slow")] = (
        0.99
    )
    """Speeds are nominal: the next lower one is at most 0.8 of it; devices round."""
    errors_cap: Annotated[float, Field(gt=0, description="bad codewords of one interval that count")] = 4.0
    """Errors come in bursts (a connector was touched): one burst, however large, must not alarm."""
    errors_reference: Annotated[float, Field(gt=0, description="bad codewords that an interval may have")] = 0.5
    """0.05/s at 10 s: some 400 times what IEEE 802.3bs allows a 400G link (a frame loss ratio of 1.7e-12)."""
    errors_alarm: Annotated[float, Field(gt=0, description="sum of bad codewords over the reference, of an alarm")] = (
        6.0
    )
    """Two bad intervals in three, or 12 single errors in as many: between one burst (3.5) and two (7)."""
    lost_share: Annotated[float, Field(gt=0, lt=1, description="of the packets sent, not received")] = 2e-4
    """Go-back-N resends what is under way, 250 packets of 4 KB at 400 Gb/s and 20 µs: a twentieth of the throughput."""
    lost_most: Annotated[float, Field(gt=0, le=1, description="of the packets sent; more is no loss")] = 0.5
    """Both ends then count different things, as netdev counters that do not see RDMA."""
    lost_least: Annotated[int, Field(ge=3, description="intervals of the shortest window in which loss is told")] = 3
    """A step of the rates shows in two."""
    lost_window: Annotated[int, Field(ge=3, description="intervals of the longest window")] = 8
    """Loss of 1e-3 adds up to the wobble of half a per cent that rates have; longer ones find less, but later."""
    lost_steps: Annotated[
        int, Field(ge=0, description="intervals of a window whose loss does not count: the largest")
    ] = 2
    """A step of the rates while counters lag moves the difference in the interval it happens in and the next."""
    lost_uneven: Annotated[float, Field(gt=0, description="times the range of one interval's")] = 2
    """Lag moves the difference back and forth with the rates: loss that goes on is even beside that."""
    lost_unsteady: Annotated[float, Field(gt=0, description="of the mean rate; its range in the window")] = 0.1
    """Above it traffic comes in bursts, and a whole one may lie between the two ends' counters: jobs that repeat an
    iteration move by a few hundredths, and with them what is lost."""
    lost_late: Annotated[float, Field(gt=0, lt=1, description="of it, by which single losses differ")] = 0.04
    """Loss of 2 % moves by 0.02 of what the rates do; late counters under bursts moved by 0.09 to 0.24."""
    lost_steps_of: Annotated[float, Field(gt=0, description="of the mean rate; above it rates step")] = 1.0
    """A job that stalls or begins: means of an interval then say too little of what lag does at either end of it."""
    lost_even: Annotated[float, Field(ge=0, lt=1, description="of the mean, without the largest")] = 0.6
    """What began within the window's first interval leaves 0.69 in four; what comes and goes leaves nothing."""
    lost_alike: Annotated[float, Field(gt=0, lt=1, description="of a link's loss, alike at another port")] = 0.25
    """Both ends may drift, by half of it each, and what is at the other end of other ports drifts as well."""
    lost_vouchers: Annotated[int, Field(ge=1, description="busy ports of a switch that vouch for its counters")] = 3
    """Of traffic one way: with fewer other ports drifting counters cannot be told from loss."""
    lost_late_ports: Annotated[float, Field(gt=0, le=1, description="of a device's ports that seem to lose too")] = 0.25
    """One link that loses is less on any switch, counters that are late show on nearly all."""
    lost_packets: Annotated[float, Field(gt=0, description="packets in an interval before a share is made")] = 1e5
    """Twenty lost ones at the lost share: rounding and single frames do not matter then."""
    margin_bin: Annotated[int, Field(ge=1, le=15, description="bad symbols in a codeword")] = 10
    """RS(544, 514) corrects 15; each one more is some 30 times rarer on a healthy link, so that 4 is already rare."""
    margin_light_db: Annotated[float, Field(gt=0, description="dB under the usual light of the weakest lane")] = 2.5
    """Links are planned with 1.5 to 3 dB to spare; temperature and wobble move light by less than 1 dB."""
    margin_intervals: Annotated[int, Field(ge=1, description="intervals in a row")] = 3
    """Someone cleaning a connector takes less."""


class SlowRail(Thresholds):
    """What makes a host's rail slow: rate while active, beside its neighbours'."""

    mads: Annotated[float, Field(gt=0, description="median absolute deviations (as normal deviates)")] = 3.5
    """The usual cut for outliers (Iglewicz and Hoaglin 1993)."""
    least_deviation: Annotated[float, Field(gt=0, description="log of the rate: floor under the deviation")] = 0.03
    """Rails of a healthy job are so alike that any wobble would be an outlier: at 3.5, ten per cent slower is."""
    windows: Annotated[int, Field(ge=1, description="intervals with evidence, one after another")] = 3
    """A host that pauses its leaf for an interval reads a checkpoint; one that does so thrice is slow."""
    active_share: Annotated[float, Field(gt=0, lt=1, description="of line rate, below which a rail is idle")] = 1e-3
    """50 MB/s of 400 Gb/s: less is management and heartbeats, and pauses of it say nothing."""
    paused_share: Annotated[float, Field(gt=0, lt=1, description="of the interval that a host pauses at least")] = 0.01
    """Healthy hosts pause for microseconds; a hundredth of the time is a hundredth of the throughput."""
    stalled_share: Annotated[float, Field(gt=0, lt=1, description="of a second that a NIC waits for reads")] = 0.05
    """Told in hundredths, and a healthy NIC waits for one or two: more says that it sends slowly, too."""
    stalled_alone: Annotated[float, Field(gt=0, lt=1, description="of a second, where no pause confirms it")] = 0.3
    """Beyond it ConnectX counts an event of its own (outbound_pci_stalled_rd_events)."""
    storm_share: Annotated[
        float, Field(gt=0, le=1, description="of the interval; more is a storm, not a slow rail")
    ] = 0.95
    """A storm holds the port throughout (99 %); between both lies nothing."""
    fine_s: Annotated[float, Field(gt=0, description="s of intervals that show when a rail was active")] = 2.0
    """Longer ones average over iterations, and all rails of a synchronous job move the same bytes in them."""
    tick_s: Annotated[float, Field(gt=0, description="s of a tick of InfiniBand's XmitWait")] = 8e-9
    """The chip's own: set it to what the vendor says; too long a tick makes waits look longer on all rails alike."""
    marked_a_second: Annotated[float, Field(gt=0, description="notifications/s that explain a slow sender")] = 100.0
    """A sender that congestion control holds back is not slow."""
    level_before: Annotated[int, Field(ge=1, description="windows beside its neighbours before it fell behind")] = 3
    """Some ranks always send less (trees, experts): only what was level and is no more says anything without pauses."""
    hold_s: Annotated[float, Field(ge=0, description="s without evidence that a finding outlasts")] = 60.0
    """Jobs pause for checkpoints."""
    least_cells: Annotated[int, Field(ge=3, description="rails of hosts of a segment that are active at once")] = 4
    """Fewer are no neighbours: a slow rail is often the last that is still busy."""


class Incast(Thresholds):
    """When many send to one host port at once. Shares are of the interval, of line rate or of packets."""

    rate_share: Annotated[float, Field(gt=0, le=1, description="of line rate, sent over the interval")] = 0.3
    """Half of line rate while the job is not idle, as it may be for 40 % of its time: below, the port has room."""
    marked_share: Annotated[float, Field(gt=0, le=1, description="of the curve's Pmax that packets are marked")] = 0.25
    """An incast beside an all-to-all marks 0.4 of Pmax over an interval; an all-to-all's own last flows a fiftieth."""
    echoed_share: Annotated[
        float, Field(gt=0, le=1, description="of its rail's marked packets that come to the NIC, by what NICs count")
    ] = 1 / 3
    """Where switches tell neither queues nor marks. Collisions that pause six senders bring six NICs a sixth each."""
    unmarked_rate_share: Annotated[float, Field(gt=0, le=1, description="of line rate, where nothing is marked")] = 0.7
    """Without marks only line rate but for a collective's idle phases shows that the queue stood."""
    queue_kmax: Annotated[float, Field(gt=0, description="times Kmax that the queue's watermark reached")] = 2.0
    """Three or more at line rate pass it before they slow down; a tree's two children do not."""
    paused_share: Annotated[float, Field(gt=0, le=1, description="of the interval that senders are paused")] = 0.10
    """Senders to one port alone stand still for most of the time; beside an all-to-all for a fifth, or half of
    that where jobs idle."""
    host_pause_share: Annotated[float, Field(gt=0, le=1, description="of the interval that the host pauses")] = 0.05
    """Who pauses its leaf is a slow receiver (slow-rail) or a storm, however many send to it."""
    senders: Annotated[int, Field(ge=2, description="senders at least")] = 6
    """Double binary trees have four into one port (two children and a parent, a parent), rings one."""
    intervals: Annotated[int, Field(ge=1, description="intervals in a row")] = 2
    """Steps of a collective end within an interval; what goes on is not a burst. Deadline: 3."""


class PfcStorm(Thresholds):
    """When a port is paused for so long that nothing passes."""

    paused_share: Annotated[float, Field(gt=0, le=1, description="of the interval that the port is paused")] = 0.99
    """Watchdogs speak of a storm after 0.2 s without a break; at 10 s a share of 0.99 leaves no such break."""
    stale_share: Annotated[float, Field(gt=1, description="of the interval: a counter that had stood still")] = 1.02
    """Nothing is paused for longer than the interval: the counter was refreshed late; two intervals count as one."""
    line_share: Annotated[float, Field(gt=0, le=1, description="of line rate: a port that can send no more")] = 0.95
    """Frame gaps and preambles take some 0.5 % of full packets' time; the rest is room for clocks."""
    patience: Annotated[int, Field(ge=1, description="intervals in a row of contention, or of no known cause")] = 3
    """An incast is told after two, and then explains these pauses; a NIC's storm and a deadlock are told at once."""


class LosslessDrop(Thresholds):
    """Which drops of a lossless port are its own."""

    after_storm: Annotated[
        int, Field(ge=0, description="intervals after a storm in which drops are the watchdog's")
    ] = 2
    """The watchdog drops what a storm holds up, and switches refresh drops later than NICs their events."""
    after_down: Annotated[int, Field(ge=0, description="intervals after the link was down")] = 2
    """What waits in the queue of a link that goes down is dropped: that is the link's finding."""
    after_off: Annotated[int, Field(ge=0, description="intervals after PFC was told to be off")] = 2
    """Drops of that time are refreshed later than the setting is read."""
    settings_wait: Annotated[int, Field(ge=0, description="intervals that drops on the way in wait for settings")] = 4
    """PFC that is off drops there too, and is config-drift; settings are read every 30 s."""


class ConfigDrift(Thresholds):
    """When what a device says or does is not what was planned."""

    remember_s: Annotated[float, Field(gt=0, description="s for which a setting that was told counts")] = 900.0
    """Settings are read every 30 s or on change; a quarter of an hour outlasts a device that is down."""
    queue_kmax: Annotated[float, Field(gt=0, description="times Kmax: a queue that must mark")] = 1.0
    """Beyond Kmax every packet is marked with Pmax at least."""
    moved_share: Annotated[float, Field(gt=0, le=1, description="of line rate that the queue sent")] = 0.05
    """Packets that pass are marked; a queue that stands still marks none."""
    paused_share: Annotated[float, Field(gt=0, le=1, description="of the interval that the port is paused at most")] = (
        0.05
    )
    """A paused port's queue grows without load of its own."""
    unmarked: Annotated[int, Field(ge=1, description="intervals in a row with such a queue and no mark")] = 2
    """Marks are refreshed later than watermarks are read."""
    keep: Annotated[int, Field(ge=0, description="intervals that a queue without marks is remembered")] = 6
    """Between two congested steps nothing can be said."""
    alike: Annotated[int, Field(ge=2, description="other NICs of a kind that make a standard for PCIe")] = 4
    """The catalogue has no PCIe of NICs: most of their kind have what was planned."""
    hash_odds: Annotated[float, Field(gt=0, lt=1, description="chance of a good hash to show this")] = 1e-9
    """Queue pairs of two hosts that all leave by one port: chances multiply over pairs, and many switches are asked."""


class Silence(Thresholds):
    """When a source stopped."""

    failed: Annotated[int, Field(ge=1, description="polls in a row that failed")] = 2
    """One answer may be lost; sources retry within a poll already."""
    absent: Annotated[int, Field(ge=2, description="intervals without a sample, where no outcome is told")] = 6
    """sFlow's counters come every 20 to 30 s: a minute is at least two of them."""
    down_share: Annotated[float, Field(gt=0, le=1, description="of neighbours' ports to it that are down")] = 0.5
    """A device that is down takes all of its links along; some neighbours may not have said so yet."""


class Policy(Thresholds):
    """The thresholds of all detectors, and the length of their interval."""

    interval_s: Annotated[float, Field(gt=0, description="s of one interval")] = 10.0
    """The usual period of polls: shorter ones see counters that the switch has not refreshed."""
    warm_up: Annotated[int, Field(ge=1, description="intervals before --since that a replay begins with")] = 18
    """The longest that any detector looks back: ``miswire.ttl_s`` since neighbours, read each minute, were heard."""
    life: Life = Life()
    hash_skew: HashSkew = HashSkew()
    miswire: Miswire = Miswire()
    link: Link = Link()
    slow_rail: SlowRail = SlowRail()
    incast: Incast = Incast()
    pfc_storm: PfcStorm = PfcStorm()
    lossless_drop: LosslessDrop = LosslessDrop()
    config_drift: ConfigDrift = ConfigDrift()
    silence: Silence = Silence()

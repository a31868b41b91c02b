"""Who says that its neighbour is who, and the links that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from collectors.detectors.view import NONE, Ints, Mask
from collectors.detectors.wiring.plugs import Plugs

NOWHERE = -2
"""A neighbour is there, but its port is none of the plan's."""
UNNAMED = -3
"""A neighbour is there that gives no name, as the firmware of NICs does: it may be the right one."""


@dataclass
class Claims:
    """By port: ``far``, the port it says is at the other end and its device.

    ``far`` is NONE where it heard nothing, or NOWHERE, or UNNAMED; ``far_device`` is NONE where the plan has none such.
    """

    far: Ints
    far_device: Ints
    said: dict[int, tuple[str, str]] = field(default_factory=dict)
    """What those at NOWHERE call themselves, and their port."""

    @classmethod
    def none(cls, ports: int) -> Claims:
        """Nobody heard anything."""
        return cls(np.full(ports, NONE, dtype=np.int64), np.full(ports, NONE, dtype=np.int64))

    def take(self, ids: Sequence[int], far: Ints, far_device: Ints, said: Sequence[tuple[str, str]]) -> None:
        """New words of some ports."""
        rows = np.asarray(ids, dtype=np.int64)
        self.far[rows], self.far_device[rows] = far, far_device
        for at in np.flatnonzero(far == NOWHERE).tolist():
            self.said[int(rows[at])] = said[at]

    def without(self, mask: Mask) -> Claims:
        """The same without the words of some ports."""
        return Claims(np.where(mask, NONE, self.far), np.where(mask, NONE, self.far_device), self.said)


@dataclass(frozen=True)
class Links:
    """Links as heard: ports ``x`` and ``y``; ``y`` is NONE where it is none of the plan's ports."""

    x: Ints
    y: Ints

    @property
    def ports(self) -> Ints:
        """Every port that is at an end."""
        ends = np.concatenate([self.x, self.y])
        found: Ints = ends[ends != NONE]
        return found

    def chosen(self, mask: Mask) -> Links:
        """Some of them."""
        return Links(self.x[mask], self.y[mask])


def disputed(claims: Claims, plugs: Plugs) -> Mask:
    """Ports whose neighbour says that it has another neighbour."""
    far = claims.far
    back = np.where(far >= 0, far[far], NONE)
    whom = np.where(far >= 0, claims.far_device[far], NONE)
    own = np.arange(len(far))
    agrees = (back == own) | (back == NONE) | (back == UNNAMED) | ((back == NOWHERE) & (whom == plugs.view.device))
    found: Mask = (far >= 0) & ~agrees
    return found


def links(claims: Claims, plugs: Plugs) -> Links:
    """The links that both ends agree on, or that the only end that speaks names.

    Where the two ends of a claim disagree (one of them has not heard the news yet) neither is believed.
    """
    view, far = plugs.view, claims.far
    own = np.arange(len(far))
    said = (far >= 0) & (far != own) & ~disputed(claims, plugs)
    x = own[said]
    mutual = far[far[x]] == x
    one = x[~mutual]
    # Of several that name the same silent port, the planned one is believed.
    order = np.lexsort((one, view.peer[one] != far[one], far[one]))
    _, first = np.unique(far[one][order], return_index=True)
    one = one[order][first]
    both = x[mutual & (x < far[x])]
    near = np.concatenate([both, one])
    taken = np.zeros(len(far), dtype=bool)
    taken[near], taken[far[near]] = True, True
    lost = (far == NOWHERE) & ~taken & ~plugs.external & ~_vague(claims, plugs)
    strange = np.flatnonzero(lost)
    return Links(np.concatenate([near, strange]), np.concatenate([far[near], np.full(len(strange), NONE)]))


def _vague(claims: Claims, plugs: Plugs) -> Mask:
    """Ports whose neighbour may well be the planned one: of no name, of another name, or at a port of another name."""
    view = plugs.view
    planned = np.where(view.peer != NONE, view.device[view.peer], NONE)
    found: Mask = (claims.far == NOWHERE) & (planned != NONE) & (claims.far_device == planned)
    found |= (claims.far == UNNAMED) | _renamed(claims, planned, plugs)
    return found


def _renamed(claims: Claims, planned: Ints, plugs: Plugs) -> Mask:
    """Ports at which a stranger is wherever the plan has one device, which is not heard of there under its own name.

    On that network: management controllers and DPUs have names of their own.
    """
    found = np.zeros(len(planned), dtype=bool)
    strange = np.flatnonzero((claims.far == NOWHERE) & (claims.far_device == NONE) & (planned != NONE))
    if not len(strange):
        return found
    speaks = _speaks(claims, plugs)
    places: dict[str, list[int]] = {}
    for port in strange.tolist():
        places.setdefault(claims.said[port][0], []).append(port)
    for ports in places.values():
        devices = np.unique(planned[ports])
        parts = devices[0] * len(plugs.view.networks) + plugs.view.network[ports]
        found[ports] = len(devices) == 1 and not speaks[parts].any()
    return found


def right(found: Links, plugs: Plugs) -> Mask:
    """Which of the links the plan has; members of a trunk are interchangeable."""
    x, y = found.x, np.where(found.y == NONE, found.x, found.y)
    good: Mask = (plugs.trunk[x] != NONE) & (plugs.trunk[x] == plugs.trunk[y]) & (plugs.side[x] != plugs.side[y])
    return good


def _speaks(claims: Claims, plugs: Plugs) -> Mask:
    """By device and network: whether anybody hears it there under its own name."""
    view = plugs.view
    found = np.zeros(len(view.device_names) * len(view.networks), dtype=bool)
    known = (claims.far != NONE) & (claims.far_device != NONE)
    found[claims.far_device[known] * len(view.networks) + view.network[known]] = True
    named = claims.far[claims.far >= 0]
    found[view.device[named] * len(view.networks) + view.network[named]] = True
    return found


@dataclass(frozen=True)
class Silent:
    """Planned links (ids): nothing is heard at either end, or only at one while the other has another cable."""

    both: Ints
    one: Ints


def silent(claims: Claims, found: Links, plugs: Plugs) -> Silent:
    """Links on which nothing is heard although one end listens and the other speaks elsewhere.

    Both on the link's network: that a whole device says nothing, or hears nothing, is no fault of its cables.
    """
    view = plugs.view
    part = view.device * len(view.networks) + view.network
    speaks = _speaks(claims, plugs)
    listens = np.zeros_like(speaks)
    heard = claims.far != NONE
    named = claims.far[claims.far >= 0]
    listens[part[heard]] = True
    quiet = ~heard & (view.peer != NONE)
    quiet[found.ports] = False
    quiet[named] = False
    quiet[view.peer[_vague(claims, plugs)]] = False
    p = np.flatnonzero((view.peer != NONE) & (plugs.side == 0))
    q = view.peer[p]
    due = (listens[part[p]] & speaks[part[q]]) | (listens[part[q]] & speaks[part[p]])
    ends = quiet[p].astype(np.int64) + quiet[q]
    link = view.link[p]
    return Silent(link[due & (ends == 2)], link[due & (ends == 1)])

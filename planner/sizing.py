"""How many switches of which kind: an exact answer for each network, with its proof.

The model is written down in docs/sizing.md. Each number of tiers is a model of its own; the best of their proved optima
is the answer, and the least of their bounds bounds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fabric.catalogue import Catalogue, load_prices
from fabric.catalogue.prices import Prices
from fabric.design import Design, NetworkDesign, Proof
from fabric.errors import InfeasibleError, Problem
from fabric.intent import Intent
from fabric.population import asked
from planner.answer import explain, neighbours, runners_up
from planner.demand import Demand, demand
from planner.objective import UNITS
from planner.outcome import network_design
from planner.solve import Attempt, attempt, refine

Progress = Callable[[str], None]


def size(intent: Intent, catalogue: Catalogue, progress: Progress = lambda _network: None) -> Design:
    """Decide every network of the intent; each is as good as can be, and says so.

    Raises InfeasibleError with every network that cannot be had, and InputError where hosts and networks do not fit.
    ``progress`` hears the name of each network before it is sized.
    """
    prices = load_prices(intent.prices_path, catalogue)
    decided: dict[str, NetworkDesign] = {}
    problems: list[Problem] = []
    for network in (n for n in ("compute", "storage") if n in intent.networks):
        progress(network)
        try:
            decided[network] = size_network(demand(intent, catalogue, prices, network, decided))
        except InfeasibleError as no:
            problems += no.problems
    if problems:
        raise InfeasibleError(problems)
    decided |= _front_and_management(intent, catalogue, prices, decided, progress)
    return Design(intent.name, {name: _with_settings(intent, decided[name]) for name in intent.networks})


def _front_and_management(
    intent: Intent, catalogue: Catalogue, prices: Prices, decided: dict[str, NetworkDesign], progress: Progress
) -> dict[str, NetworkDesign]:
    """Frontend and oob lean on each other: oob manages the frontend's switches, whose leaves take oob's uplinks.

    Starting from no oob uplinks both only grow; the first round that repeats is the least that holds.
    """
    found: dict[str, NetworkDesign] = {}
    seen: dict[str, Demand] = {}
    attached = 0
    while True:
        before = attached
        for network in (n for n in ("frontend", "oob") if n in intent.networks):
            progress(network)
            wanted = demand(
                intent, catalogue, prices, network, decided | found, attached if network == "frontend" else 0
            )
            if seen.get(network) != wanted:
                found[network], seen[network] = size_network(wanted), wanted
        if "oob" in found and found["oob"].external_to == "frontend":
            attached = found["oob"].counts()["leaf"] * found["oob"].external_uplinks
        if attached <= before:
            return found


def size_network(wanted: Demand) -> NetworkDesign:
    """The best design of one network. Raises InfeasibleError with numbers and the nearest demands that can be met."""
    attempts = [attempt(wanted, tiers) for tiers in wanted.tiers]
    solved = [a for a in attempts if a.solved.found]
    if not solved:
        raise InfeasibleError(explain(wanted))
    best = min(solved, key=lambda a: (a.solved.value, a.model.tiers))
    proof = _proof(wanted, attempts, best)
    answer = replace(best, solved=refine(best))
    design = network_design(wanted, answer.model, answer.solved, proof)
    return replace(
        design, runners_up=runners_up(wanted, attempts, best, answer), neighbours=neighbours(wanted, best, answer)
    )


def _proof(wanted: Demand, attempts: list[Attempt], best: Attempt) -> Proof:
    """OPTIMAL where every number of tiers was solved to the end or proved impossible."""
    ended = all(a.solved.status in ("OPTIMAL", "INFEASIBLE") for a in attempts)
    value = best.solved.value
    bound = min([value, *(a.solved.bound for a in attempts if a.solved.status != "INFEASIBLE")])
    gap = 0.0 if ended else (value - bound) / max(value, 1)
    return Proof("OPTIMAL" if ended else "FEASIBLE", value, bound, gap, UNITS[wanted.objective])


def _with_settings(intent: Intent, design: NetworkDesign) -> NetworkDesign:
    """What the intent says of cables and operating systems, which sizing does not decide."""
    wanted = asked(intent, design.network)
    by_tier = wanted.media if isinstance(wanted.media, dict) else {}
    media = wanted.media if isinstance(wanted.media, tuple) else ()
    return replace(design, trunk_cables=wanted.trunk_cables, media=media, media_by_tier=dict(by_tier), nos=wanted.nos)

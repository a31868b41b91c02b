"""CP-SAT as it is used here: one worker, fixed seed, deterministic time; levels minimised one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ortools.sat.python import cp_model

from planner.constraints import CONSTRAINTS
from planner.declare import variables
from planner.demand import Demand
from planner.objective import Levels
from planner.variables import Expr, Model, Var

DETERMINISTIC_SECONDS = 120.0
"""CP-SAT's own measure of work, the same on every machine; a solver that stops there says FEASIBLE, not OPTIMAL."""


@dataclass
class Solved:
    """The state of a solver after one call: status name, value and bound of what was minimised."""

    status: str
    value: int
    bound: int
    solver: cp_model.CpSolver

    @property
    def found(self) -> bool:
        """There is a solution."""
        return self.status in ("OPTIMAL", "FEASIBLE")

    def __getitem__(self, expression: Expr) -> int:
        return int(self.solver.value(expression))

    def true(self, choices: Iterable[Var]) -> int:
        """Index of the one boolean that is true."""
        return next(i for i, b in enumerate(choices) if self.solver.boolean_value(b))


@dataclass
class Attempt:
    """The model of one number of tiers with its first level solved."""

    model: Model
    levels: Levels
    objective: Expr
    solved: Solved


def _solve(solver: cp_model.CpSolver, cp: cp_model.CpModel) -> cp_model.CpSolverStatus:
    """Solve in a thread of its own, so that Ctrl-C is heard at once and stops the search.

    Left to itself CP-SAT takes Ctrl-C for an early end of the search, and then sets its handler to the system's.
    """
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(solver.solve, cp)
        try:
            return future.result()
        except BaseException:
            solver.stop_search()
            raise


def minimise(model: Model, expression: Expr, hint: Solved | None = None, *, maximise: bool = False) -> Solved:
    """Minimise (or maximise) ``expression`` over the model."""
    cp = model.cp
    if hint is not None and hint.found:
        cp.clear_hints()  # type: ignore[no-untyped-call]
        for index, value in enumerate(hint.solver.response_proto.solution):
            cp.add_hint(cp.get_int_var_from_proto_index(index), value)
    (cp.maximize if maximise else cp.minimize)(expression)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = DETERMINISTIC_SECONDS
    solver.parameters.catch_sigint_signal = False
    status = _solve(solver, cp)
    name = str(solver.status_name(status))
    if name not in ("OPTIMAL", "FEASIBLE"):
        return Solved(name, 0, 0, solver)
    return Solved(name, round(solver.objective_value), round(solver.best_objective_bound), solver)


def state(demand: Demand, tiers: int, *, without: object = None, fewest_hosts: int | None = None) -> Model:
    """The model with every constraint (but ``without``)."""
    model = variables(demand, tiers, fewest_hosts=fewest_hosts)
    for constraint in CONSTRAINTS:
        if constraint is not without:
            constraint(model)
    return model


def attempt(demand: Demand, tiers: int, *, below: int | None = None, exclude: Iterable[Shape] = ()) -> Attempt:
    """Solve the first level with ``tiers`` tiers: an objective under ``below``, and none of the shapes ``exclude``."""
    model = state(demand, tiers)
    levels = Levels(model)
    objective = levels.objective()
    if below is not None:
        model.cp.add(objective < below)
    for shape in exclude:
        if shape.tiers == tiers:
            model.cp.add_bool_or(~b for b in shape.literals(model))
    return Attempt(model, levels, objective, minimise(model, objective))


def refine(first: Attempt) -> Solved:
    """Minimise the later levels one after the other; the answer is then unique."""
    model, best = first.model, first.solved
    fixed: Expr = first.objective
    for level in [*first.levels.ties(), *first.levels.decisions(), first.levels.layout()]:
        model.cp.add(fixed == best[fixed])
        fixed = level
        best = minimise(model, level, best)
    return best


@dataclass(frozen=True)
class Shape:
    """What makes two designs different in kind: tiers, models (by place among the candidates), rails a leaf."""

    tiers: int
    models: tuple[int, ...]
    rails_per_leaf: int

    @classmethod
    def of(cls, tried: Attempt) -> Shape:
        """The shape of a solution."""
        m, solved = tried.model, tried.solved
        kinds = [m.classes[0].kind, *(k for k in (m.spine, m.core) if k is not None)]
        return cls(
            m.tiers, tuple(solved.true(k.chosen) for k in kinds), m.choices[solved.true(c.chosen for c in m.choices)].q
        )

    def literals(self, m: Model) -> list[Var]:
        """Booleans that are all true exactly in this shape."""
        kinds = [m.classes[0].kind, *(k for k in (m.spine, m.core) if k is not None)]
        return [k.chosen[i] for k, i in zip(kinds, self.models, strict=True)] + [
            c.chosen for c in m.choices if c.q == self.rails_per_leaf
        ]

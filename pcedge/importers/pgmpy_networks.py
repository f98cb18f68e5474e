"""pgmpy's networks, as they are in the user's own process; the package itself is not imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.circuit.layers import Circuit
from pcedge.errors import FormatError, UsageError
from pcedge.importers.compiling import compile_network
from pcedge.importers.graph import MAX_TABLE
from pcedge.importers.networks import Collected, State
from pcedge.importers.normalise import normalise
from pcedge.limits import NO_CEILING, MemoryBudget

#: networks without tables, and what to do about them
_OTHERS = {
    "LinearGaussianBayesianNetwork": "make states of its values, and fit a DiscreteBayesianNetwork",
    "FunctionalBayesianNetwork": "make states of its values, and fit a DiscreteBayesianNetwork",
    "DynamicBayesianNetwork": "give it as a network of so many time slices",
    "SEM": "make states of its values, and fit a DiscreteBayesianNetwork",
}


def from_pgmpy(model: Any, *, limit: int = MAX_TABLE) -> Circuit:
    """Compile a discrete Bayesian or Markov network of pgmpy to a circuit.

    Variables come in the order of the model's nodes, and their states in the order of the variable's own table. States
    of parents are matched by name: tables of one model may have them in different orders.

    Args:
        model: a `DiscreteBayesianNetwork`, or a `DiscreteMarkovNetwork`, whose logarithm of the partition function
            becomes the circuit's `log_constant`.
        limit: entries of the tables of all cliques together, at most.

    Raises:
        UsageError: the model has no tables of states.
        FormatError: a table is missing or breaks its rules, or the cliques are too large; the largest is named.
    """
    kind = type(model).__name__
    if kind in _OTHERS or not (hasattr(model, "get_cpds") or hasattr(model, "get_factors")):
        advice = f"; {_OTHERS[kind]}" if kind in _OTHERS else ""
        raise UsageError(
            f"a pgmpy model must be a DiscreteBayesianNetwork or a DiscreteMarkovNetwork, got {kind}{advice}"
        )
    directed = hasattr(model, "get_cpds")
    tables = list(model.get_cpds() if directed else model.get_factors())
    nodes = [str(node) for node in model.nodes()]
    states: dict[str, list[Any]] = {}
    for table in tables:
        for name in [table.variable] if directed else table.variables:
            states.setdefault(str(name), list(table.state_names[name]))

    def refuse(message: str) -> FormatError:
        return FormatError("import-size", message)

    collected = Collected(f"the {kind}", MemoryBudget("csv", NO_CEILING, "the model", refuse))
    for node in nodes:
        if node not in states:
            raise FormatError("network-table", f"the {kind}: every variable must have a table, {node!r} has none")
        collected.add_variable(node, _plain(states[node]), f"the {kind}")
    for table in tables:
        names = [str(name) for name in table.variables]
        at = f"the {kind}, table of {names[0]!r}"
        values = _values(table, [states[name] for name in names], at)
        scope = [collected.variable(name, at) for name in names]
        if directed:
            child, *parents = scope
            collected.add_table(child, parents, np.ascontiguousarray(np.moveaxis(values, 0, -1)).reshape(-1), at)
        else:
            collected.add_factor(scope, values.reshape(-1), at)
    network = collected.network(directed=directed)
    return normalise(compile_network(network, limit, f"the {kind}"))


def _values(table: Any, states: Sequence[Sequence[Any]], at: str) -> FloatArray:
    """Give a table with the states of every axis in their variable's order."""
    values = np.asarray(table.values, dtype=np.float64)
    for axis, (name, wanted) in enumerate(zip(table.variables, states, strict=True)):
        own = list(table.state_names[name])
        if own == list(wanted):
            continue
        if len(own) != len(wanted) or any(state not in own for state in wanted):
            raise FormatError(
                "network-table", f"{at}: {str(name)!r} must have the states {list(wanted)[:8]}, it has {own[:8]}"
            )
        values = np.take(values, [own.index(state) for state in wanted], axis=axis)
    return values


def _plain(states: Sequence[Any]) -> list[State]:
    """Give states as texts or numbers."""
    plain: list[State] = []
    for state in states:
        if isinstance(state, bool | np.bool_):
            plain.append(str(bool(state)))
        elif isinstance(state, int | np.integer):
            plain.append(int(state))
        elif isinstance(state, float | np.floating):
            plain.append(float(state))
        else:
            plain.append(str(state))
    return plain

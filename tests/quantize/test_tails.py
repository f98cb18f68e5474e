"""Tails: no record that the float circuit calls possible is impossible to the integers, and coding does not change."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import configs, float_circuits, unstructured_circuits

from pcedge.arithmetic import log_of
from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit import Circuit, InputLayer, SparseRows, SumLayer
from pcedge.circuit.inference import log_likelihood
from pcedge.circuit.rows import entries, with_entries
from pcedge.engines import ReferenceEngine
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.quantize.post_training import aligned_layers
from pcedge.quantize.tails import lost_rows


def steep(circuit: Circuit, power: int) -> Circuit:
    """Make small parameters much smaller, so that many round to 0."""
    layers: list[Any] = []
    for layer in circuit.layers:
        if isinstance(layer, InputLayer):
            table = layer.table**power
            layers.append(InputLayer(layer.variable, table / table.sum(axis=1, keepdims=True)))
        elif isinstance(layer, SumLayer):
            sparse = isinstance(layer.weights, SparseRows)
            values = np.asarray(entries(layer.weights), dtype=np.float64) ** power
            totals = np.add.reduceat(values, layer.weights.indptr[:-1]) if sparse else values.sum(axis=1)
            shares = values / (totals[layer.weights.row_of_entry] if sparse else totals[:, None])
            layers.append(SumLayer(layer.children, with_entries(layer.weights, shares)))
        else:
            layers.append(layer)
    return Circuit(tuple(layers))


def some_records(circuit: Circuit | IntegerCircuit, most: int = 600) -> IntArray:
    """List every record, with every symbol missing or not; of many some."""
    symbols = [range(-1, count) for count in circuit.cardinalities]
    if np.prod([len(one) for one in symbols], dtype=np.float64) <= most:
        return np.array(list(itertools.product(*symbols)), dtype=np.int64)
    rng = np.random.default_rng(0)
    return np.stack([rng.integers(-1, count, most) for count in circuit.cardinalities], axis=1)


def logs(circuit: IntegerCircuit, records: IntArray) -> FloatArray:
    return log_of(*ReferenceEngine(circuit).likelihood(records))


def check_guarantee(circuit: Circuit, config: QuantizationConfig) -> None:
    integers = quantize(circuit, replace(config, tails=True))
    sound, lost = lost_rows(aligned_layers(circuit.layers, integers.order), integers.layers)
    records = some_records(circuit)
    possible = np.isfinite(log_likelihood(circuit, records))
    if sound:
        assert np.isfinite(logs(integers, records)[possible]).all()
    # Only a row that has no room for its weights is in the way, or one that was not to keep them.
    roomy = config.small_weights != "round" and all(one.weight_bits <= config.weight_bits for one in lost)
    assert sound or not roomy


@settings(max_examples=300, deadline=None)
@given(
    circuit=float_circuits(max_variables=5, max_states=5, max_symbols=6), config=configs(),
    power=st.sampled_from((1, 4, 12)), small=st.sampled_from(("auto", "keep", "round")),
)  # fmt: skip
def test_possible_records_stay_possible(circuit: Circuit, config: QuantizationConfig, power: int, small: str) -> None:
    check_guarantee(steep(circuit, power), replace(config, small_weights=small))


@settings(max_examples=60, deadline=None)
@given(circuit=unstructured_circuits(max_variables=5, max_states=3), config=configs(), power=st.sampled_from((1, 12)))
def test_so_do_those_of_circuits_without_a_tree(circuit: Circuit, config: QuantizationConfig, power: int) -> None:
    check_guarantee(steep(circuit, power), config)

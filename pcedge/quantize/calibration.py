"""Flows of calibration data, by torch where it is installed."""

from __future__ import annotations

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit
from pcedge.compress import expected_flows
from pcedge.errors import MissingToolError
from pcedge.learn import LearnConfig, count_flows


def calibration_flows(circuit: Circuit, records: IntArray, device: str = "cpu") -> list[FloatArray | None]:
    """Count the flows of some records, see `pcedge.compress.expected_flows`."""
    try:
        return count_flows(circuit, records, LearnConfig(device=device))
    except MissingToolError:
        return expected_flows(circuit, records)

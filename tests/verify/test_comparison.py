"""What counts as a mismatch of a rung."""

from __future__ import annotations

from strategies import make_circuit

from pcedge.arrays import IntArray
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.errors import StreamError
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.verify.comparison import compare_coding


def test_a_rung_that_takes_lanes_for_damaged_restores_no_record() -> None:
    engine = ReferenceEngine(quantize(make_circuit(3, 4, 2, 3, "hidden"), QuantizationConfig(6, 10, 12, "small")))
    said = "lanes 0 to 7 must be what an encoder writes, one is not: damaged payload"

    def decode(lanes: list[bytes], count: int) -> IntArray:
        raise StreamError(said)

    def encode(records: IntArray, count: int) -> list[bytes]:
        return encode_lanes(engine, records, count)

    found = compare_coding(engine, "netlist", "", encode, decode, engine.sample(20))
    assert [(one.vectors, one.mismatches, one.first) for one in found] == [(8, 0, None), (20, 20, said), (20, 0, None)]

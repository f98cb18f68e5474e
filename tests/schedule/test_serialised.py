"""The serialised form of a program: circuits come back, damaged files are refused, one circuit has one file."""

from __future__ import annotations

import subprocess
import sys
import zlib

import numpy as np
import pytest
import strategies
from hypothesis import given
from numpy.testing import assert_array_equal

from pcedge.circuit.rows import SparseRows
from pcedge.errors import FormatError
from pcedge.export import load_zoo
from pcedge.integer import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.quantize import quantize
from pcedge.schedule import Program, read_program, write_program
from pcedge.schedule.serialised import MAGIC, SECTIONS, STEP_FIELDS, from_bytes, to_bytes


def assert_same(first: IntegerCircuit, second: IntegerCircuit) -> None:
    assert first.digest == second.digest
    assert first.symbolizer == second.symbolizer
    for one, two in zip(first.layers, second.layers, strict=True):
        assert type(one) is type(two)
        if isinstance(one, IntegerInput):
            assert_array_equal(one.cumulative, two.cumulative)
        elif isinstance(one, IntegerSum):
            assert isinstance(one.weights, SparseRows) == isinstance(two.weights, SparseRows)
    for one, two in zip(first.nested, second.nested, strict=True):
        assert_array_equal(one.masters, two.masters)
        assert_array_equal(one.parts, two.parts)


def sealed(data: bytes) -> bytes:
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")


@given(strategies.integer_circuits())
def test_every_circuit_comes_back(circuit):
    data = to_bytes(circuit)
    program = from_bytes(data)
    assert_same(program.circuit, circuit)
    assert to_bytes(program) == data == to_bytes(Program.of(circuit))
    assert len(data) % 4 == 0


@given(strategies.unstructured_circuits())
def test_circuits_without_a_tree_come_back(circuit):
    integers = quantize(circuit)
    assert_same(from_bytes(to_bytes(integers)).circuit, integers)


@pytest.mark.parametrize("name", ["digits", "nltcs", "shuttle", "mnist-16"])
def test_shipped_circuits(name, tmp_path):
    circuit = load_zoo(name)
    write_program(circuit, tmp_path / "m.pcp")
    assert_same(read_program(tmp_path / "m.pcp").circuit, circuit)


def test_the_header_is_that_of_the_page():
    circuit = load_zoo("digits")
    data = to_bytes(circuit)
    assert data[:8] == MAGIC + b"\1\0\0\0" and data[8:40] == circuit.digest
    assert int.from_bytes(data[40:44], "little") == len(SECTIONS) == 19
    assert len(STEP_FIELDS) == 14


class TestRefused:
    data = to_bytes(load_zoo("nltcs"))

    @pytest.mark.parametrize(
        ("change", "rule"),
        [
            (lambda d: b"PCPX" + d[4:], "program-magic"),
            (lambda d: b"", "program-magic"),
            (lambda d: d[:4] + b"\3\0\0\0" + d[8:], "program-version"),
            (lambda d: sealed(d[:4] + b"\2\0\0\0" + d[8:]), "program-sections"),
            (lambda d: d[:-1], "program-checksum"),
            (lambda d: d[:60] + bytes([d[60] ^ 1]) + d[61:], "program-checksum"),
            (lambda d: sealed(d[:40] + b"\3\0\0\0" + d[44:]), "program-sections"),
            (lambda d: sealed(d[:44] + b"\3\0\0\0" + d[48:]), "program-sections"),
            (lambda d: sealed(d[:8] + bytes(32) + d[40:]), "program-digest"),
            (lambda d: sealed(d[:-4] + bytes(8)), "program-sections"),
        ],
    )
    def test_rules(self, change, rule):
        with pytest.raises(FormatError, match=rf"^{rule}: \S"):
            from_bytes(change(self.data))

    def test_steps_of_another_order(self):
        # The number before the checksum is a needed width: another one is not what the circuit gives.
        data = bytearray(self.data)
        place = len(data) - 5
        while data[place] == 0:
            place -= 1
        data[place] += 1
        with pytest.raises(FormatError, match=r"^program-canonical: \S"):
            from_bytes(sealed(bytes(data)))

    def test_changed_bytes_are_refused(self):
        rng = np.random.default_rng(0)
        for _ in range(300):
            data = bytearray(self.data)
            data[rng.integers(44, len(data) - 4)] ^= 1 << rng.integers(0, 8)
            data = sealed(bytes(data))
            try:
                found = from_bytes(data)
            except FormatError:
                continue
            assert to_bytes(found) == data  # the zero bytes between sections are compared too


def test_a_decoder_needs_numpy_only(tmp_path):
    circuit = load_zoo("digits")
    write_program(circuit, tmp_path / "m.pcp")
    script = (
        "import sys, numpy as np\n"
        "before = set(sys.modules)\n"
        "from pcedge.codec import Codec\n"
        "import pcedge.drivers\n"
        f"codec = Codec({str(tmp_path / 'm.pcp')!r})\n"
        "x = np.zeros((3, 64), np.uint8)\n"
        "assert np.array_equal(codec.decode(codec.encode(x)), x)\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)\n"
        "assert new <= {'numpy', 'pcedge'}, new\n"
        "rooms = {name.split('.')[1] for name in sys.modules if name.startswith('pcedge.')}\n"
        "assert not rooms & {'learn', 'compress', 'quantize', 'export', 'importers', 'cli'}, rooms\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

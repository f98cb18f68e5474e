"""Mutated circuits: float ones, and integer ones as ONNX."""

from __future__ import annotations

import itertools
import json
import math
import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from benchmarks.mutated import DATA, Case, Parser, damage_one, resealed
from benchmarks.mutations import BYTES, TEXT, damage, damage_tree, to_json
from pcedge.circuit import Circuit, load_circuit, log_likelihood, save_circuit
from pcedge.circuit.file import _checksum, circuit_checksum
from pcedge.data import make_symbolizer
from pcedge.data.symbolizer import Symbolizer
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import decode_lanes, encode_lanes
from pcedge.errors import FormatError, NotStructuredError, PcedgeError
from pcedge.export import read_onnx
from pcedge.export.onnx.loop import COLUMNS
from pcedge.export.onnx.reader import read_onnx_bytes
from pcedge.export.onnx.writer import to_onnx
from pcedge.importers import import_circuit
from pcedge.integer import IntegerCircuit
from pcedge.learn.initial import initial_circuit
from pcedge.quantize import QuantizationConfig, quantize

#: records that an accepted circuit is tried on, and how many there may be for all to be summed up
TRIED, ALL = 8, 4096
#: a row sums to 1 within this (docs/circuit.md)
ROW = 1e-6
#: bytes that growth leaves a tensor about
GROWN = 1 << 19


def circuits() -> list[Circuit]:
    """Make small circuits of every form: dense, sparse, parametric, imported, with a symbolizer."""
    dice = np.random.default_rng(0)
    records = dice.integers(0, 4, (40, 5))
    records[:, 1] = records[:, 0]
    made = [initial_circuit(name, records, [4] * 5, latents=3) for name in ("hclt", "binary")]
    made += [initial_circuit("chain", records, [4] * 5, latents=2, leaves=kind) for kind in ("logistic", "geometric")]
    made += [import_circuit(DATA / name).circuit for name in ("small.spn", "small.psdd", "pyjuice/mixed.jpc")]
    for text, values in (("range=0..63,difference=0,window=3,planes=3+3", 2), ("range=0..7,colour,window=2", 3)):
        series = dice.integers(0, 8, (40, values)).astype(np.int16)
        symbolizer = make_symbolizer(text, series)
        symbols = symbolizer.apply(series).astype(np.int64)
        learned = initial_circuit("hclt", symbols, symbolizer.cardinalities, latents=2)
        made.append(replace(learned, symbolizer=symbolizer))
    return made


def integers() -> list[IntegerCircuit]:
    """Quantize them, to different widths."""
    configs = [
        QuantizationConfig(),
        QuantizationConfig(4, 10, 12, leaf_masters=2),
        QuantizationConfig(6, 8, 10, coder="small"),
    ]
    return [quantize(circuit, configs[number % 3]) for number, circuit in enumerate(circuits())]


def in_rows(made: Sequence[IntegerCircuit]) -> list[IntegerCircuit]:
    """Store the dense sums of those circuits that have some as turned rows of a table."""
    lengths = [sorted({layer.weights.shape[1] for layer in one.dense_sums.values()} - {1}) for one in made]
    return [replace(one, row_lengths=tuple(some)) for one, some in zip(made, lengths, strict=True) if some]


def records_of(cardinalities: Sequence[int], count: int) -> np.ndarray:
    """Draw records."""
    return np.random.default_rng(1).integers(0, cardinalities, (count, len(cardinalities)))


def rewriting_fault(circuit: Circuit, place: Path) -> str | None:
    """Say how a float circuit differs when it is written to a place and read again."""
    save_circuit(circuit, place)
    same = circuit_checksum(load_circuit(place)) == circuit_checksum(circuit)
    return None if same else "it must be the same when it is written and read again"


def circuit_fault(circuit: Circuit, tolerance: float) -> str | None:
    """Say how a float circuit is no distribution."""
    sizes = circuit.cardinalities
    total = float(log_likelihood(circuit, np.full((1, len(sizes)), -1))[0])
    if not abs(total) <= tolerance:
        return f"the likelihood of all records together must be 1, its logarithm is {total}"
    tried = log_likelihood(circuit, records_of(sizes, TRIED))
    if np.isnan(tried).any() or (tried > tolerance).any():
        return f"likelihoods must be in 0..1, their logarithms are {tried}"
    if math.prod(sizes) <= ALL:
        every = np.array(list(itertools.product(*map(range, sizes))))
        mass = float(np.exp(log_likelihood(circuit, every)).sum())
        if not abs(mass - 1) <= tolerance + 1e-9:
            return f"the likelihoods of all records must sum to 1, they sum to {mass}"
    return None


def packed(header: str | bytes, tensors: bytes) -> bytes:
    """Write a safetensors file."""
    text = header if isinstance(header, bytes) else header.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + tensors


def unpacked(data: bytes) -> tuple[Any, bytes]:
    """Take a safetensors file apart."""
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def damage_floats(data: bytes, dice: Random) -> bytes:
    """Change one number of a stretch of float64 or int64."""
    if len(data) < 8:
        return data
    place = 8 * dice.randrange(len(data) // 8)
    value = struct.unpack_from("<d", data, place)[0]
    floats = (math.nan, math.inf, -math.inf, -1.0, 0.0, 1.0, 1e300, 5e-324, -value, 2 * value, value + 1e-7, 1 - value)
    words = [struct.pack("<d", dice.choice(floats)), struct.pack("<q", dice.choice((-1, 0, 1, 2, 2**31, 2**63 - 1)))]
    return data[:place] + dice.choice(words) + data[place + 8 :]


class CircuitFile(Parser):
    """Read float circuits (`.pcedge`); their SHA-256 is made anew in half of the damage to structure and numbers."""

    name = "circuit"

    def make(self) -> list[Case]:
        """Write every form."""
        made = []
        for circuit in circuits():
            save_circuit(circuit, self.folder / "whole")
            made.append(Case({"c.pcedge": (self.folder / "whole").read_bytes()}, 0))
        return made

    def damaged(self, dice: Random) -> Case:
        """Damage bytes, the header, the description in it, or numbers."""
        source = dice.choice(self.whole)
        data = source.files["c.pcedge"]
        kind = dice.randrange(8)
        if kind < 3:
            return Case(damage_one(source, dice, self.whole, (*BYTES, *TEXT)), source.source, True)
        if dice.random() < 0.05:
            return Case({"c.pcedge": self._grown(data, dice)}, source.source)
        outer, tensors = unpacked(data)
        inner = json.loads(outer["__metadata__"]["pcedge"])
        if kind == 3:
            outer = damage_tree(outer, dice)
        elif kind < 6:
            inner = damage_tree(inner, dice)
        else:
            for _ in range(dice.randrange(1, 4)):
                tensors = damage_floats(tensors, dice)
        sealed = dice.random() < 0.6
        if sealed and isinstance(inner, dict):
            resealed(lambda: self._seal(outer, inner, tensors), data)
        if kind != 3:
            outer["__metadata__"]["pcedge"] = to_json(inner)
        return Case({"c.pcedge": packed(to_json(outer), tensors)}, source.source, not sealed)

    def _grown(self, data: bytes, dice: Random) -> bytes:
        """Repeat the rows of a layer's tensor, which may stand for much more than they are."""
        from safetensors.numpy import load, save

        inner = json.loads(unpacked(data)[0]["__metadata__"]["pcedge"])
        tensors = load(data)
        name = dice.choice(sorted(tensors))
        times = 1 << dice.randrange(4, 13)
        tensors[name] = np.repeat(tensors[name], max(1, min(times, GROWN // tensors[name].nbytes)), axis=0)
        entry = inner["layers"][int(name.partition(".")[0])]
        if "cardinality" in entry:
            entry["cardinality"] = 1 << dice.randrange(8, 25)
        symbolizer = Symbolizer.from_dict(inner["symbolizer"]) if "symbolizer" in inner else None
        inner["sha256"] = _checksum(inner["layers"], tensors, inner.get("log_constant", 0.0), symbolizer)
        return bytes(save(tensors, {"pcedge": to_json(inner)}))

    def _seal(self, outer: Any, inner: dict[str, Any], tensors: bytes) -> bytes:
        from safetensors.numpy import load

        named = load(packed(to_json(outer), tensors))
        symbolizer = Symbolizer.from_dict(inner["symbolizer"]) if "symbolizer" in inner else None
        inner["sha256"] = _checksum(inner["layers"], named, inner.get("log_constant", 0.0), symbolizer)
        return b""

    def read(self, case: Case) -> Circuit:
        """Load it."""
        return load_circuit(self.place_of_files / "c.pcedge")

    def content(self, case: Case, found: Circuit) -> str:
        """Hash all that a circuit means."""
        return circuit_checksum(found)

    def fault(self, case: Case, found: Circuit) -> str | None:
        """Write it again, and demand a distribution that can be quantized or is refused in words."""
        if fault := rewriting_fault(found, self.folder / "again"):
            return fault
        if max(found.cardinalities) <= ALL:
            try:
                quantize(found)
            except PcedgeError:
                pass
        return circuit_fault(found, ROW * len(found.layers) * 4)


class OnnxFile(Parser):
    """Read integer circuits (`.onnx`); the digest is made anew in half of the damage to structure and numbers."""

    name = "onnx"

    def make(self) -> list[Case]:
        """Write every form, in both formats, and what has dense sums in those of row tables too."""
        made = [(circuit, version) for circuit in integers() for version in ("2", "3")]
        made += [(circuit, version) for circuit in in_rows(integers()) for version in ("4", "5")]
        models = [to_onnx(circuit, version=version) for circuit, version in made]
        return [Case({"m.onnx": model.SerializeToString(deterministic=True)}, 0) for model in models]

    def damaged(self, dice: Random) -> Case:
        """Damage bytes, metadata, initializers, the graph or its functions."""
        source = dice.choice(self.whole)
        if dice.random() < 0.35:
            return Case(damage_one(source, dice, self.whole), source.source, True)
        model = onnx.ModelProto.FromString(source.files["m.onnx"])
        if dice.random() < 0.05:
            _grow(model, dice)
            return Case({"m.onnx": model.SerializeToString()}, source.source)
        protected = True
        try:
            for _ in range(dice.choice((1, 1, 2))):
                dice.choice((_metadata, _metadata, _initializer, _initializer, _initializer, _graph))(model, dice)
            data = model.SerializeToString()
        except (ValueError, TypeError):  # protobuf takes no such value
            return Case(damage_one(source, dice, self.whole), source.source, True)
        if dice.random() < 0.6:
            data, protected = self._sealed(data), False
        return Case({"m.onnx": data}, source.source, protected)

    def _sealed(self, data: bytes) -> bytes:
        """Ask the reader which digest and widths it wants, and write them."""
        for _ in range(12):
            try:
                read_onnx_bytes(data, "m.onnx")
                return data
            except FormatError as error:
                model = onnx.ModelProto.FromString(data)
                said = str(error)
                entries = {entry.key: entry for entry in model.metadata_props}
                digest = re.search(r"that of the circuit, ([0-9a-f]{64}), got", said)
                width = re.search(r"needed width of (\w+) must be ([0-9]+), got", said)
                if digest and "pcedge.digest" in entries:
                    entries["pcedge.digest"].value = digest[1]
                elif width:
                    needed = json.loads(entries["pcedge.needed"].value)
                    entries["pcedge.needed"].value = json.dumps(needed | {width[1]: int(width[2])})
                else:
                    return data
                data = model.SerializeToString()
            except Exception:  # the case itself will show it
                return data
        return data

    def read(self, case: Case) -> IntegerCircuit:
        """Read it."""
        return read_onnx(self.place_of_files / "m.onnx")

    def content(self, case: Case, found: IntegerCircuit) -> bytes:
        """Take the digest, which hashes all that a circuit means."""
        return found.digest

    def fault(self, case: Case, found: IntegerCircuit) -> str | None:
        """Write it again, and code records with it."""
        again = read_onnx_bytes(to_onnx(found).SerializeToString(), "again")
        if again.digest != found.digest:
            return "it must be the same when it is written and read again"
        records = records_of(found.cardinalities, TRIED)
        engine = ReferenceEngine(found)
        try:
            lanes = encode_lanes(engine, records, 2)
        except NotStructuredError:
            return None
        if not np.array_equal(decode_lanes(engine, lanes, len(records)), records):
            return "what it codes must be decoded"
        return None


def _metadata(model: onnx.ModelProto, dice: Random) -> None:
    entry = dice.choice(list(model.metadata_props))
    kind = dice.randrange(8)
    if kind == 0:
        model.metadata_props.remove(entry)
    elif kind == 1:
        model.metadata_props.add(key=entry.key, value=entry.value)
    elif kind == 2:
        entry.value = damage(entry.value.encode(), dice, TEXT).decode("utf-8", "replace")
    else:
        entry = dice.choice([one for one in model.metadata_props if one.value.startswith("{")] or [entry])
        entry.value = to_json(damage_tree(json.loads(entry.value), dice)) if entry.value.startswith("{") else "0"


def _initializer(model: onnx.ModelProto, dice: Random) -> None:
    tensors = model.graph.initializer
    tensor = dice.choice(list(tensors))
    kind = dice.randrange(9)
    if kind == 0:
        tensors.remove(tensor)
    elif kind == 1:
        tensors.add().CopyFrom(tensor)
    elif kind == 2:
        tensor.name = dice.choice([one.name for one in tensors] + ["x", "", "masters_9", "tables_99999", "numbers_1x9"])
    elif kind == 3:
        place = dice.randrange(max(1, len(tensor.dims)))
        values = (0, 1, 2, 2**20, 2**31, 2**40, 2**62, -1)
        tensor.dims[place : place + 1] = [dice.choice((*values, *(tensor.dims[place] + step for step in (-1, 1))))]
    elif kind == 4:
        tensor.data_type = dice.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 16, 99))
    elif kind == 5:
        tensor.raw_data = damage(tensor.raw_data, dice)
    else:
        values = numpy_helper.to_array(tensor).copy()
        flat = values.reshape(-1)
        if not flat.size:
            return
        one, two = dice.randrange(flat.size), dice.randrange(flat.size)
        if kind == 6:
            flat[one] = np.array(dice.choice((0, 1, -1, 255, 256, 2**16, 2**31, 2**62))).astype(values.dtype)
        elif kind == 7:
            # What one entry of a row loses another gains: the sum of weights stays.
            row = values.reshape(-1, values.shape[-1])[dice.randrange(values.size // values.shape[-1])]
            one, two = dice.randrange(row.size), dice.randrange(row.size)
            if row[one] > 0:
                row[one], row[two] = row[one] - (one != two), row[two] + (one != two)
        else:
            flat[one], flat[two] = flat[two], flat[one]
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _grow(model: onnx.ModelProto, dice: Random) -> None:
    """Repeat the numbers that a layer names, and the layer: a few bytes may stand for many."""
    metadata = next(entry for entry in model.metadata_props if entry.key == "pcedge.circuit")
    described = json.loads(metadata.value)
    if "layers" not in described:
        _grow_rows(model, dice)
        return
    layers = described["layers"]
    place = dice.choice([place for place, layer in enumerate(layers) if "block" in layer])
    named = described["blocks"][layers[place]["block"][0]]
    # The tables that an input's numbers name are as good to repeat.
    names = [named, f"tables_{named.removeprefix('states_').partition('x')[0]}", named.replace("weights", "turns")]
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in names]
    for tensor in dice.sample(tensors, dice.randrange(1, len(tensors) + 1)) if tensors else ():
        values = numpy_helper.to_array(tensor)
        times = max(1, min(1 << dice.randrange(1, 17), GROWN // values.nbytes))
        tensor.CopyFrom(numpy_helper.from_array(np.repeat(values, times, axis=values.ndim - 1), tensor.name))
    layers[place : place + 1] *= dice.choice((1, 10, 300, 3000))
    metadata.value = to_json(described)


def _grow_rows(model: onnx.ModelProto, dice: Random) -> None:
    """Repeat the row of a layer in a model of format 3, its edges with it, and make it wider."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    layers, edges = (numpy_helper.to_array(held[name]).copy() for name in ("layers", "edges"))
    place, times = dice.randrange(len(layers)), dice.choice((1, 10, 300, 30000))
    last = int(layers[: place + 1, COLUMNS.index("children")].sum())
    own = edges[last - layers[place, COLUMNS.index("children")] : last]
    layers[place, COLUMNS.index(dice.choice(("units", "symbols")))] *= dice.choice((1, 1, 2, 300, 1 << 20))
    layers = np.repeat(layers, np.where(np.arange(len(layers)) == place, times, 1), axis=0)
    edges = np.concatenate([edges[:last], np.tile(own, (times - 1, 1)), edges[last:]])
    for name, values in (("layers", layers), ("edges", edges)):
        held[name].CopyFrom(numpy_helper.from_array(values, name))
    name = dice.choice(("positions", "weights", "tables", "states"))
    values = numpy_helper.to_array(held[name])
    held[name].CopyFrom(numpy_helper.from_array(np.tile(values, dice.choice((1, 300, 3000))), name))


def _graph(model: onnx.ModelProto, dice: Random) -> None:
    kind = dice.randrange(8)
    nodes = dice.choice([model.graph.node, *(function.node for function in model.functions)])
    if kind == 0:
        model.ir_version = dice.choice((0, 1, 3, 99, 2**40))
    elif kind == 1:
        dice.choice(list(model.opset_import)).version = dice.choice((0, 1, 22, 2**40))
    elif kind == 2:
        values = dice.choice((model.graph.input, model.graph.output))
        dimension = dice.choice(list(dice.choice(list(values)).type.tensor_type.shape.dim) or [None])
        if dimension is not None:
            dimension.dim_value = dice.choice((0, 1, 2**40, -1))
    elif not nodes:
        return
    else:
        node = dice.choice(list(nodes))
        if kind == 3:
            nodes.remove(node)
        elif kind == 4:
            nodes.add().CopyFrom(node)
        elif kind == 5:
            node.op_type = dice.choice(("Sum", "Mul", "If", "Loop", "", "Cast", "BitShift"))
        elif kind == 6:
            names = dice.choice((node.input, node.output))
            names[:] = [*names, "x"] if dice.random() < 0.3 else dice.sample(list(names), len(names))
        else:
            node.attribute.add(name="x", i=3, type=onnx.AttributeProto.INT)


CIRCUITS = (CircuitFile, OnnxFile)

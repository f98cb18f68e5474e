"""Bounds of readers: within them under a limit of the address space, refused before memory is taken, or read right."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import re
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.paths import DATA
from onnx import numpy_helper
from strategies import make_circuit

from pcedge.circuit import Circuit, InputLayer, SumLayer, load_circuit, save_circuit
from pcedge.circuit.file import _checksum
from pcedge.codec.container import Segment, Stream
from pcedge.data import load_array
from pcedge.errors import DataError, FormatError, UsageError
from pcedge.export import load_zoo, read_notes, read_onnx, to_onnx, write_onnx
from pcedge.limits import BOUNDS, FLOOR, Bound, MemoryBudget, check_bytes, read_source
from pcedge.quantize import quantize
from pcedge.schedule import write_program
from pcedge.schedule.serialised import SECTIONS, pack

linux = pytest.mark.skipif(sys.platform != "linux", reason="the limit of the address space is Linux's")

#: reads files in processes of their own: each may take what the idle process has and the bound of its reader
CHILD = """
import json, os, resource, sys, time
from pathlib import Path
import PIL.Image, PIL.PngImagePlugin, gzip, numpy as np, onnx, safetensors.numpy, zipfile
from pcedge.circuit import load_circuit
from pcedge.codec.container import parse
from pcedge.data import load_array
from pcedge.data.reading import Reading
from pcedge.errors import PcedgeError
from pcedge.export import read_onnx
from pcedge.importers import import_circuit
from pcedge.importers.spflow_binary import _schema
from pcedge.limits import BOUNDS
from pcedge.schedule import read_program
from pcedge.toolchain.reports import read_report

_schema()

def array(path, reading=Reading()):
    found = load_array(path, reading)
    return [list(found.shape), int(found.sum(dtype=np.int64))]

def imported(path):
    made = import_circuit(path)
    return [len(made.circuit.cardinalities), made.circuit.parameters]

def synthesis(path):
    return read_report(Path(path)).part

def circuit(path):
    return load_circuit(path).parameters

READ = {
    "circuit": circuit, "onnx": lambda path: read_onnx(path).digest.hex(), "program":
    lambda path: read_program(path).circuit.digest.hex(), "stream": lambda path: parse(
        Path(path).read_bytes()).payload_bytes, "raw": lambda path: array(path, Reading("u1", "8")),
    "xml": synthesis, "report": lambda path: read_report(Path(path)).design,
    **{name: imported for name in (
        "spn", "bin", "psdd", "vtree", "jpc", "json", "ac", "nnf", "lmap", "weights", "clt", "logistic", "bif",
        "xmlbif",
        "uai", "net", "skops", "pkl", "pickle", "joblib")},
    **{name: array for name in ("csv", "npy", "npz", "idx", "images")},
}
# What is imported or allocated once, by the first file of any kind, belongs to the idle process.
for reader, path in json.loads(sys.argv[1]):
    READ[reader](path)
page = os.sysconf("SC_PAGESIZE")
for line in sys.stdin:
    reader, path, size = json.loads(line)
    receive, send = os.pipe()
    if not os.fork():
        os.close(receive)
        idle = int(Path("/proc/self/statm").read_text().split()[0]) * page
        most = idle + BOUNDS[reader].allowance(size)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        try:
            said = {"value": READ[reader](path)}
        except PcedgeError as error:
            said = {"error": type(error).__name__, "message": str(error)}
        except BaseException as error:
            said = {"error": "unclean " + type(error).__name__, "message": str(error)[:200]}
        said["seconds"] = time.process_time()
        os.write(send, json.dumps(said).encode())
        os._exit(0)
    os.close(send)
    with open(receive, "rb") as pipe:
        print(pipe.read().decode() or json.dumps({"error": "ended without a word", "message": ""}), flush=True)
    os.wait()
"""


class Child:
    """Stand for the process that reads."""

    def __init__(self, warm: list[tuple[str, str]]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps(warm)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        )  # fmt: skip

    def read(self, reader: str, path: Path, size: int | None = None) -> dict[str, Any]:
        if size is None:
            size = sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size
        assert self.process.stdin is not None and self.process.stdout is not None
        print(json.dumps([reader, str(path), size]), file=self.process.stdin, flush=True)
        said: dict[str, Any] = json.loads(self.process.stdout.readline())
        return said


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Any:
    pytest.importorskip("PIL")
    pytest.importorskip("capnp")
    folder = tmp_path_factory.mktemp("small")
    write_onnx(quantize(make_circuit(7, 4, 2, 6, "hidden")), folder / "m.onnx")
    x = np.eye(8, dtype=np.uint8)
    np.save(folder / "x.npy", x)
    np.savez_compressed(folder / "x.npz", train=x)
    (folder / "x.gz").write_bytes(gzip.compress(idx(8, 8, x.tobytes())))
    (folder / "x.csv").write_text("0,1\n")
    png(folder / "x.png", 8, 8)
    empty = Stream(bytes(16), np.dtype("u1"), (0, 8), ())
    (folder / "x.pce").write_bytes(empty.pack())
    small = {
        "circuit": "digits", "onnx": folder / "m.onnx", "program": folder / "m.pcp",
        "spn": DATA / "small.spn", "bin": DATA / "spn" / "NIPS5.bin",
        "psdd": DATA / "small.psdd", "jpc": DATA / "pyjuice" / "hclt.jpc", "json": DATA / "deeprob_tree.json",
        **{reader: DATA / "networks" / f"small.{name}" for reader, name in NETWORKS.items()},
        "ac": DATA / "compiled" / "grass.net.ac", "nnf": DATA / "compiled" / "either.nnf", "clt": DATA / "small.clt",
        "logistic": DATA / "density.circuit",
        "csv": folder / "x.csv",
        "npy": folder / "x.npy", "npz": folder / "x.npz", "idx": folder / "x.gz", "images": folder / "x.png",
        "raw": folder / "x.u8", "stream": folder / "x.pce", "xml": DATA / "vendor" / "csynth.xml",
        "report": DATA / "vendor" / "timing.rpt", "skops": DATA / "estimators" / "mixture.skops",
        **{kind: DATA / "estimators" / f"{name}.{kind}" for name, kind in (
            ("bayes", "pkl"), ("kernels", "pickle"), ("forest", "joblib"))},
    }  # fmt: skip
    (folder / "x.u8").write_bytes(bytes(8))
    write_program(read_onnx(folder / "m.onnx"), folder / "m.pcp")
    made = Child([(reader, str(path)) for reader, path in small.items()])
    yield made
    made.process.communicate()
    assert made.process.returncode == 0


# ---------------------------------------------------------------------------------------------- honest files


def chain_psdd(variables: int) -> str:
    """Write a chain of variables, each with a true node."""
    lines, node, below = ["psdd 0"], 0, None
    for variable in reversed(range(variables)):
        lines.append(f"T {node} {variable} {variable + 1} -0.5")
        leaf, node = node, node + 1
        if below is None:
            below = leaf
        else:
            lines.append(f"D {node} {variables + variable} 1 {leaf} {below} 0")
            below, node = node, node + 1
    return "\n".join(lines) + "\n"


def chain_vtree(variables: int) -> str:
    lines = ["vtree 0", f"L {variables - 1} {variables}"]
    below = variables - 1
    for variable in reversed(range(variables - 1)):
        lines += [f"L {variable} {variable + 1}", f"I {variables + variable} {variable} {below}"]
        below = variables + variable
    return "\n".join(lines) + "\n"


def coins_nnf(variables: int) -> str:
    """Write a product of variables of which each literal may hold."""
    lines = []
    for variable in range(1, variables + 1):
        lines += [f"L {variable}", f"L -{variable}", f"O {variable} 2 {len(lines)} {len(lines) + 1}"]
    lines.append(" ".join(["A", str(variables), *(str(3 * v + 2) for v in range(variables))]))
    return "\n".join([f"nnf {len(lines)} {3 * variables} {variables}", *lines]) + "\n"


def coins_lmap(variables: int) -> str:
    lines = ["cc$K$ALWAYS_SUM", "cc$S$NORMAL", *(f"cc$V$x{v}$2" for v in range(1, variables + 1))]
    for variable in range(1, variables + 1):
        lines += [f"cc$I${literal}$0.5$+$x{variable}${int(literal > 0)}" for literal in (-variable, variable)]
    return "\n".join(lines) + "\n"


def chain_clt(variables: int) -> str:
    lines = [f"{variables}", "1", "1 0.5", *(f"{v} {v - 1} 0.9 0.1" for v in range(2, variables + 1))]
    return "\n".join(lines) + "\n"


def chain_logistic(variables: int) -> str:
    """Write independent coins as a logistic circuit of one class: a decision a variable after the first."""
    half, lines, below = np.log(0.5), ["Logistic Circuit"], [0, 1]
    lines += [f"T 0 0 1 {half}", f"F 1 0 1 {half}"]
    for number in range(1, variables):
        node = 3 * number - 1
        lines += [f"T {node} 0 {number + 1} {half}", f"F {node + 1} 0 {number + 1} {half}"]
        pairs = [(literal, other) for literal in (node, node + 1) for other in below]
        lines.append(f"D {node + 2} 0 {len(pairs)} " + " ".join(f"({prime} {sub} 0)" for prime, sub in pairs))
        below = [node + 2]
    return "\n".join([*lines, "B 0"]) + "\n"


def pyjuice_dist(**state: int) -> bytes:
    """Pickle a distribution by hand, with no PyJuice at hand."""
    kind = b"Literal" if "lit" in state else b"Categorical"

    def text(data: bytes) -> bytes:
        return b"\x8c" + bytes([len(data)]) + data

    numbers = b"".join(text(key.encode()) + b"J" + struct.pack("<i", number) for key, number in state.items())
    names = text(b"pyjuice.nodes.distributions." + kind.lower()) + text(kind)
    return b"\x80\x04" + names + b"\x93)\x81}(" + numbers + b"ub."


def leaves(variable: int, count: int, block: int = 1, symbols: int = 2) -> dict[str, Any]:
    return {
        "type": "Input", "num_node_blocks": count // block, "block_size": block, "chs": (), "scope": [variable],
        "params": np.full(count * symbols, 1 / symbols, np.float32), "dist": pyjuice_dist(num_cats=symbols),
    }  # fmt: skip


def product(children: tuple[int, ...], blocks: int, block: int) -> dict[str, Any]:
    edges = np.zeros((blocks, len(children)), np.int8)
    return {"type": "Product", "num_node_blocks": blocks, "block_size": block, "chs": children, "edge_ids": edges}


def sums(child: int, nodes: int, below: int) -> dict[str, Any]:
    weights = np.full((1, nodes, below), 1 / below, np.float32)
    edges = np.zeros((2, 1), np.int64)
    return {
        "type": "Sum", "num_node_blocks": 1, "block_size": nodes, "chs": (child,), "edge_ids": edges, "params": weights,
    }  # fmt: skip


def jpc(*nodes: dict[str, Any]) -> bytes:
    return pickle.dumps(list(nodes), 4)


def idx(rows: int, columns: int, data: bytes) -> bytes:
    return b"\0\0\x08\x02" + struct.pack(">II", rows, columns) + data


def png(path: Path, rows: int, columns: int) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((rows, columns), np.uint8)).save(path)


def histograms(count: int, last: int) -> bytes:
    from pcedge.importers.spflow_binary import _schema

    schema, _ = _schema()
    message = schema.Header.new_message()
    model = message.init("model")
    model.numFeatures, model.rootNode = 1, 0
    nodes = model.init("nodes", count + 1)
    nodes[0].id = 0
    nodes[0].init("sum").children = list(range(1, count + 1))
    nodes[0].sum.weights = [1 / count] * count
    for place in range(1, count + 1):
        nodes[place].id = place
        nodes[place].init("hist").breaks = [0, last]
        nodes[place].hist.densities = [1 / last]
    return bytes(message.to_bytes())


def deeprob_json(count: int) -> str:
    nodes: list[dict[str, Any]] = [{"class": "Sum", "scope": [0], "weights": [1 / count] * count, "id": 0}]
    nodes += [
        {"class": "Bernoulli", "scope": [0], "params": {"p": place / count}, "id": place + 1} for place in range(count)
    ]
    links = [{"idx": place, "source": place + 1, "target": 0} for place in range(count)]
    return json.dumps({"nodes": nodes, "links": links})


#: readers of networks, and their files' suffixes
NETWORKS = {"bif": "bif", "xmlbif": "xml", "uai": "uai", "net": "net"}


def chain_network(kind: str, variables: int, states: int = 2) -> str:
    """Write a network of a chain of variables, uniform but for the first state."""
    row = [str(2 / (states + 1)), *[str(1 / (states + 1))] * (states - 1)]
    labels = [f"s{state}" for state in range(states)]
    if kind == "uai":
        sizes = f"{states} " * variables
        scopes = "1 0\n" + "".join(f"2 {v - 1} {v}\n" for v in range(1, variables))
        tables = f"{states} {' '.join(row)}\n" + f"{states**2} {' '.join(row * states)}\n" * (variables - 1)
        return f"BAYES\n{variables}\n{sizes}\n{variables}\n{scopes}{tables}"
    if kind == "bif":
        first = "".join(
            f"variable v{v} {{ type discrete [ {states} ] {{ {', '.join(labels)} }}; }}\n" for v in range(variables)
        )
        rows = "".join(f"({label}) {', '.join(row)};" for label in labels)
        tables = f"probability ( v0 ) {{ table {', '.join(row)}; }}\n"
        return first + tables + "".join(f"probability ( v{v} | v{v - 1} ) {{ {rows} }}\n" for v in range(1, variables))
    if kind == "net":
        quoted = " ".join(f'"{label}"' for label in labels)
        first = "".join(f"node v{v} {{ states = ({quoted}); }}\n" for v in range(variables))
        rows = f"({' '.join(row)})" * states
        tables = f"potential (v0) {{ data = ({' '.join(row)}); }}\n"
        return (
            first
            + tables
            + "".join(f"potential (v{v} | v{v - 1}) {{ data = ({rows}); }}\n" for v in range(1, variables))
        )
    outcomes = "".join(f"<OUTCOME>{label}</OUTCOME>" for label in labels)
    first = "".join(f"<VARIABLE TYPE='nature'><NAME>v{v}</NAME>{outcomes}</VARIABLE>\n" for v in range(variables))
    tables = f"<DEFINITION><FOR>v0</FOR><TABLE>{' '.join(row)}</TABLE></DEFINITION>\n" + "".join(
        f"<DEFINITION><FOR>v{v}</FOR><GIVEN>v{v - 1}</GIVEN><TABLE>{' '.join(row * states)}</TABLE></DEFINITION>\n"
        for v in range(1, variables)
    )
    return f"<BIF VERSION='0.3'><NETWORK>{first}{tables}</NETWORK></BIF>"


def markov(scopes: list[list[int]], sizes: list[int], table: str) -> str:
    """Write a Markov network whose tables are all the same text."""
    lines = [f"{len(scope)} {' '.join(map(str, scope))}" for scope in scopes]
    head = ["MARKOV", str(len(sizes)), " ".join(map(str, sizes)), str(len(scopes)), *lines]
    return "\n".join([*head, *[table] * len(scopes)])


def save_float(path: Path) -> None:
    save_circuit(make_circuit(3, 12, 16, 40, "balanced"), path)


def naive_bayes(features: int, classes: int) -> Any:
    """Make a classifier as after a fit."""
    from sklearn.naive_bayes import GaussianNB

    made, generator = GaussianNB(), np.random.default_rng(0)
    made.classes_, made.class_prior_ = np.arange(classes), np.full(classes, 1 / classes)
    made.theta_, made.var_ = generator.normal(size=(classes, features)), np.ones((classes, features))
    return made


HONEST: dict[str, tuple[str, Callable[[Path], object]]] = {
    "circuit": ("c.pcedge", save_float),
    "onnx": ("m.onnx", lambda path: write_onnx(load_zoo("digits"), path)),
    "program": ("m.pcp", lambda path: write_program(load_zoo("digits"), path)),
    "spn": ("a.spn", lambda path: path.write_text(
        "S SumNode(" + ",".join(f"1*a{i}" for i in range(3000)) + "){"
        + "\n".join(f"a{i} Bernoulli(V0|0.1{i:04})" for i in range(3000)) + "}\n")),
    "bin": ("a.bin", lambda path: path.write_bytes(histograms(100, 300))),
    "psdd": ("a.psdd", lambda path: path.write_text(chain_psdd(1500))),
    "vtree": ("b.psdd", lambda path: (
        path.with_suffix(".vtree").write_text(chain_vtree(1500)), path.write_text(chain_psdd(1500)))),
    "jpc": ("a.jpc", lambda path: path.write_bytes(
        jpc(leaves(0, 256, 16), leaves(1, 256, 16), product((0, 1), 16, 16), sums(2, 256, 16), sums(3, 1, 256)))),
    "json": ("a.json", lambda path: path.write_text(deeprob_json(3000))),
    **{reader: (f"a.{kind}", lambda path, kind=kind: path.write_text(chain_network(kind, 2000)))
       for reader, kind in NETWORKS.items()},
    "ac": ("a.ac", lambda path: (
        path.with_suffix(".lmap").write_text(coins_lmap(1500)), path.write_text(coins_nnf(1500)))),
    "nnf": ("a.nnf", lambda path: path.write_text(coins_nnf(1500))),
    "clt": ("a.clt", lambda path: path.write_text(chain_clt(1500))),
    "logistic": ("a.circuit", lambda path: path.write_text(chain_logistic(800))),
    "csv": ("x.csv", lambda path: path.write_text("0\n" * 200_000)),
    "npy": ("x.npy", lambda path: np.save(path, np.ones((30_000, 800), np.uint8))),
    "npz": ("x.npz", lambda path: np.savez_compressed(path, train=np.eye(5000, dtype=np.uint8))),
    "idx": ("x.gz", lambda path: path.write_bytes(
        gzip.compress(idx(5000, 3000, np.eye(5000, 3000, dtype=np.uint8).tobytes())))),
    "images": ("p", lambda path: (path.mkdir(), [png(path / f"{i}.png", 28, 28) for i in range(200)])),
    "raw": ("x.u8", lambda path: path.write_bytes(b"\1" * (1 << 25))),
    "stream": ("x.pce", lambda path: path.write_bytes(
        Stream(bytes(16), np.dtype("u1"), (1 << 18, 8), (Segment(1 << 16, (b"",) * (1 << 16)),) * 4).pack())),
    "xml": ("csynth.xml", lambda path: path.write_text((DATA / "vendor" / "csynth.xml").read_text().replace(
        "</profile>", "<a>0</a>" * 300_000 + "</profile>"))),
    "report": ("t.rpt", lambda path: path.write_text(
        (DATA / "vendor" / "timing.rpt").read_text() + "| x |\n" * 300_000)),
    "skops": ("a.skops", lambda path: __import__("skops.io").io.dump(naive_bayes(200, 5), path)),
    "pkl": ("a.pkl", lambda path: path.write_bytes(pickle.dumps(naive_bayes(200, 5), 4))),
    "pickle": ("a.pickle", lambda path: path.write_bytes(pickle.dumps(naive_bayes(200, 5), 0))),
    "joblib": ("a.joblib", lambda path: __import__("joblib").dump(naive_bayes(200, 5), path)),
}  # fmt: skip

#: what the honest files hold
VALUES: dict[str, Any] = {
    "spn": [1, 3000 * 2 + 3000],
    "bin": [1, 300 + 1],  # equal leaves become one
    "psdd": [1500, 1500 * 2 + 1499],
    "vtree": [1500, 1500 * 2 + 1499],
    "jpc": [2, 2 * 256 * 2 + 256 * 16 + 256],
    "json": [1, 3000 * 2 + 3000],
    # a chain of equal rows: nothing depends on the variable before
    **{reader: [2000, 2 * 2000] for reader in NETWORKS},
    "ac": [1500, 1500 * 2 + 1],  # the constant of the root
    "nnf": [1500, 1500 * 2],
    "clt": [1500, 1498 * 8 + 2 + 4 + 4],
    "logistic": [800, 800 * 4 + 4 + 798 * 2 + 1],
    "csv": [[200_000, 1], 0],
    "npy": [[30_000, 800], 24_000_000],
    "npz": [[5000, 5000], 5000],
    "idx": [[5000, 3000], 3000],
    "images": [[200, 28, 28], 0],
    "raw": [[1 << 22, 8], 1 << 25],
    "stream": 0,
    "xml": "xck26-sfvc784-2LV-c",
    "report": "bd_0_wrapper",
    **{name: [201, 200 * 5 * 64 + 5 * 5 + 5] for name in ("skops", "pkl", "pickle", "joblib")},
}


class Files:
    """Write the honest file of a reader into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, reader: str) -> Path:
        name, write = HONEST[reader]
        if not (self.folder / name).exists():
            write(self.folder / name)
        return self.folder / name


@linux
@pytest.mark.parametrize("reader", HONEST)
def test_honest_files_are_read_within_the_bound(reader: str, child: Child, tmp_path: Path) -> None:
    path = Files(tmp_path)(reader)
    said = child.read(reader, path)
    expected = VALUES.get(reader)
    if reader == "circuit":
        expected = load_circuit(path).parameters
    elif reader in ("onnx", "program"):
        expected = load_zoo("digits").digest.hex()
    assert said.get("value") == expected, said


# ---------------------------------------------------------------------------------------------- hostile files


def shared_table(units: int, symbols: int) -> bytes:
    """Write a program of one input layer whose units all have the same long table."""
    inner = np.minimum(np.arange(1, symbols, dtype=np.int64), 1 << 15)
    return hostile_program(
        layers=np.array([0, 0, units, symbols, 0, -1]), leaves=np.zeros(units, dtype=np.int64), tables=inner
    )


def many_layers(count: int) -> bytes:
    """Write a program of many layers of a few bytes."""
    return hostile_program(layers=np.tile([0, 0, 1, 1, 0, -1], count), leaves=np.zeros(count, dtype=np.int64))


def hostile_program(**sections: Any) -> bytes:
    """Write a program with a right checksum and nothing else."""
    nothing: dict[str, Any] = {name: np.zeros(0, dtype=np.int64) for name in SECTIONS}
    nothing["widths"] = np.array([8, 16, 16, 24, 48, 1])
    return pack(bytes(32), nothing | {"symbolizer": b"", "constant": b""} | sections)


def parametric(units: int, symbols: int) -> bytes:
    """Write a circuit file of few bytes whose leaves stand for a large table."""
    from safetensors.numpy import save

    tensors = {"0.parameters": np.full((units, 1), 0.5), "1.weights": np.full((1, units), 1 / units)}
    leaves = {"kind": "input", "variable": 0, "leaves": "geometric", "cardinality": symbols}
    described = [leaves, {"kind": "sum", "children": [0]}]
    header = {"format": "pcedge-circuit", "version": 1, "sha256": _checksum(described, tensors), "layers": described}
    return bytes(save(tensors, {"pcedge": json.dumps(header)}))


def altered(layers: list[dict[str, Any]], blocks: list[str], tensors: dict[str, np.ndarray[Any, Any]]) -> bytes:
    """Write an ONNX file of a small circuit with other layers and initializers; its digest is not theirs."""
    model = to_onnx(quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),))))
    del model.graph.initializer[:]
    model.graph.initializer.extend(numpy_helper.from_array(tensor, name) for name, tensor in tensors.items())
    for entry in model.metadata_props:
        if entry.key == "pcedge.circuit":
            entry.value = json.dumps(json.loads(entry.value) | {"layers": layers, "blocks": blocks})
    return bytes(model.SerializeToString())


def long_table(units: int) -> bytes:
    """One table of 256 symbols, which each unit names by a byte."""
    tables = np.full((257, 1), 4096, np.uint16)
    tables[0] = 0
    states = {"tables_257": tables, f"states_257x{units}": np.zeros((1, units), np.uint8)}
    return altered([{"kind": "input", "variable": 0, "block": [0, 0]}], [f"states_257x{units}"], states)


def one_block(size: int, times: int) -> bytes:
    """One matrix, which so many sums name."""
    tables = np.zeros((3, size), np.uint16)
    tables[1], tables[2] = np.arange(size), 4096
    weights = np.zeros((1, size, size), np.uint16)
    weights[0, np.arange(size), np.arange(size)] = 256
    names = [f"states_3x{size}", f"weights_{size}x{size}"]
    tensors = {"tables_3": tables, names[0]: np.arange(size, dtype=np.uint16)[None], names[1]: weights}
    layers: list[dict[str, Any]] = [{"kind": "input", "variable": 0, "block": [0, 0]}]
    layers += [{"kind": "sum", "children": [place], "block": [1, 0]} for place in range(times)]
    return altered(layers, names, tensors)


def looped(change: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    """Write a small circuit in format 3 with other initializers; its digest is not theirs."""
    model = to_onnx(quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),))), version="3")
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    tensors |= change(tensors)
    del model.graph.initializer[:]
    model.graph.initializer.extend(numpy_helper.from_array(tensor, name) for name, tensor in tensors.items())
    return bytes(model.SerializeToString())


def looped_layers(count: int, units: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """One table, which so many input layers of so many units name."""

    def change(tensors: dict[str, Any]) -> dict[str, Any]:
        layers = np.repeat(tensors["layers"], count, axis=0)
        layers[:, 1] = units
        return {"layers": layers, "states": np.zeros(units, np.int32)}

    return change


def looped_sums(size: int, times: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """One matrix, which so many sums name."""

    def change(tensors: dict[str, Any]) -> dict[str, Any]:
        # kind, units, children, variable, symbols, data, sources, starts
        rows = [[0, size, 0, 0, 2, 0, 0, 0], *([[2, size, 1, -1, -1, 0, 0, 0]] * times)]
        edges = [[place, 0] for place in range(times)]
        return {
            "layers": np.array(rows, np.int32), "edges": np.array(edges, np.int32),
            "states": np.zeros(size, np.int32), "weights": np.full(size * size, 1, np.uint16),
        }  # fmt: skip

    return change


def empty_messages(count: int) -> bytes:
    nodes = b"\x0a\x00" * count
    length = len(nodes)
    size = b""
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    small = to_onnx(quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),)))).SerializeToString()
    return bytes(small) + b"\x3a" + size + bytes([length]) + nodes


def huge_shape() -> bytes:
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    return np.lib.format.magic(1, 0) + struct.pack("<H", 118) + (header.ljust(117) + "\n").encode() + b"abc"


def long_header(version: tuple[int, int], length: int, text: bytes | None = None) -> bytes:
    size = struct.pack("<H" if version == (1, 0) else "<I", length)
    return np.lib.format.magic(*version) + size + (b"1L " * length if text is None else text)[:length]


def member(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.npy", long_header((3, 0), 4097))


def zeros_npz(path: Path, method: int = zipfile.ZIP_DEFLATED) -> None:
    file = io.BytesIO()
    np.save(file, np.zeros((1 << 14, 1 << 13 if method == zipfile.ZIP_DEFLATED else 8), np.uint8))
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("train.npy", file.getvalue())


HOSTILE: dict[str, tuple[str, str, Callable[[Path], object], str]] = {
    "some 600 bytes for a table of 3 GiB": ("circuit", "c.pcedge",
        lambda path: path.write_bytes(parametric(24, 1 << 24)),
        r"circuit-size: .*c\.pcedge must need at most 67108864 bytes of memory for a file of \d{3} bytes, it needs"),
    "a table beyond the floor": ("circuit", "c.pcedge", lambda path: path.write_bytes(parametric(200, 1 << 16)),
        "circuit-size: .* it needs 1"),
    "one long table for many units": ("onnx", "m.onnx", lambda path: path.write_bytes(long_table(400_000)),
        r"onnx-size: .*m\.onnx must need at most \d+ bytes of memory"),
    "one table of a program for many units": ("program", "m.pcp", lambda path: path.write_bytes(
        shared_table(20_000, 60_000)), r"program-size: .*m\.pcp must need at most \d+ bytes of memory"),
    "many layers of a program": ("program", "m.pcp", lambda path: path.write_bytes(many_layers(400_000)),
        r"program-size: .*m\.pcp must need at most \d+ bytes of memory|program-circuit"),
    "one block 250 times": ("onnx", "m.onnx", lambda path: path.write_bytes(one_block(700, 250)),
        "onnx-size: a circuit must have at most 6.* parameters in a file of 1"),
    "one block 60 times": ("onnx", "m.onnx", lambda path: path.write_bytes(one_block(700, 60)),
        "onnx-parameters: the last layer is the root and must have 1 unit, got 700"),
    "format 3: one table for many units": ("onnx", "m.onnx",
        lambda path: path.write_bytes(looped(looped_layers(40_000, 1_000))),
        r"onnx-size: a circuit must have at most \d+ parameters in a file of \d+ bytes"),
    "format 3: as many units as are allowed": ("onnx", "m.onnx",
        lambda path: path.write_bytes(looped(looped_layers(4_000, 1_000))),
        r"onnx-(size|parameters): "),
    "format 3: one block 250 times": ("onnx", "m.onnx", lambda path: path.write_bytes(looped(looped_sums(700, 250))),
        "onnx-size: a circuit must have at most 6.* parameters in a file of 1"),
    "format 3: one block 60 times": ("onnx", "m.onnx", lambda path: path.write_bytes(looped(looped_sums(700, 60))),
        "onnx-parameters: the last layer is the root and must have 1 unit, got 700"),
    "empty nodes": ("onnx", "m.onnx", lambda path: path.write_bytes(empty_messages(500_000)),
        "onnx-graph: the graph of this circuit must have 9 nodes, got 500009"),
    "wide bins": ("spn", "a.spn", lambda path: path.write_text(
        "S SumNode(" + ",".join(f"1*a{i}" for i in range(250)) + ")"
        + "".join(f"a{i} Histogram(V0|[{i}.,65536.];[1.])\n" for i in range(250))),
        r"import-size: .*a\.spn must need at most 67108864 bytes"),
    "narrow leaves beside a wide one": ("spn", "a.spn", lambda path: path.write_text(
        "S SumNode(1*w," + ",".join(f"1*a{i}" for i in range(100)) + ")w Histogram(V0|[0.,65536.];[1.])\n"
        + "".join(f"a{i} Categorical(V0|[1,{i}])\n" for i in range(100))), r"import-size: .*a\.spn must need at most"),
    "wide bins in messages": ("bin", "a.bin", lambda path: path.write_bytes(histograms(200, 65536)),
        r"import-size: .*a\.bin must need at most"),
    "a packed text": ("psdd", "a.psdd.gz", lambda path: path.write_bytes(gzip.compress(b"c" * (1 << 26))),
        r"import-size: .*a\.psdd\.gz must need at most .*; unpack it first"),
    "a packed vtree": ("vtree", "a.psdd", lambda path: (path.write_text(chain_psdd(3)),
        path.with_suffix(".vtree.gz").write_bytes(gzip.compress(b"c" * (1 << 26)))),
        r"import-size: .*a\.vtree\.gz must need at most .*; unpack it first"),
    "a product of huge sizes": ("jpc", "a.jpc", lambda path: path.write_bytes(
        jpc(leaves(0, 55, 55), leaves(1, 55, 55), product((0, 1), 300_000, 55), sums(2, 1, 55))),
        r"import-size: .*a\.jpc must need at most"),
    "a sum of huge sizes": ("jpc", "a.jpc", lambda path: path.write_bytes(
        jpc(leaves(0, 1), sums(0, 1, 1) | {"num_node_blocks": 1 << 24, "block_size": 1})),
        r"import-size: .*a\.jpc must need at most"),
    "a literal of a wide alphabet": ("jpc", "a.jpc", lambda path: path.write_bytes(
        jpc(leaves(0, 200) | {"dist": pyjuice_dist(lit=65_000)})), r"import-size: .*a\.jpc must need at most"),
    "a narrow vector beside a wide one": ("jpc", "a.jpc", lambda path: path.write_bytes(
        jpc(leaves(0, 50_000, symbols=1), leaves(0, 1) | {"dist": pyjuice_dist(lit=300)})),
        r"import-size: .*a\.jpc must need at most"),
    "one matrix for many sums": ("jpc", "a.jpc", lambda path: path.write_bytes(jpc(leaves(0, 256, 256),
        *(tied | {"chs": (place,)} for tied in [sums(0, 256, 256)] for place in range(3000)))),
        r"import-size: .*a\.jpc must need at most"),
    "one list for many products": ("jpc", "a.jpc", lambda path: path.write_bytes(jpc(*(
        one | {"scope": [v]} for one in [leaves(0, 1)] for v in range(4000)),
        *(one | {"type": "Product"} for one in [product(tuple(range(4000)), 1, 1)] for _ in range(4000)))),
        r"import-size: .*a\.jpc must need at most"),
    "a distribution of many opcodes": ("jpc", "a.jpc", lambda path: path.write_bytes(jpc(*(
        leaves(0, 1) | {"dist": long}
        for long in [pyjuice_dist(num_cats=2).replace(b"\x80\x04", b"\x80\x04" + b"N0" * 100_000)]
        for _ in range(2000)))),
        r"import-size: .*a\.jpc must need at most"),
    "a type of 2^200 parts": ("jpc", "a.jpc", lambda path: path.write_bytes(
        b"\x80\x04](}\x8c\x04type\x8c\x01a" + b"2\x86" * 200 + b"se."), r"jpc-nodes: .* tupleNodes_0"),
    "a type in a type, 500,000 times": ("jpc", "a.jpc", lambda path: path.write_bytes(
        b"\x80\x04](}\x8c\x04type\x8c\x01a" + b"\x85" * 500_000 + b"se."), r"jpc-nodes: .* tupleNodes_0"),
    "a default of 2^21 rows": ("bif", "a.bif", lambda path: path.write_text(
        "".join(f"variable v{i} {{ type discrete [2] {{ a, b }}; }}\n" for i in range(22)) + "probability (v0 | "
        + ", ".join(f"v{i}" for i in range(1, 22)) + ") { default .5 .5; }"),
        r"import-size: .*a\.bif must need at most 67108864 bytes"),
    "a table of 2^40 entries": ("net", "a.net", lambda path: path.write_text(
        "".join(f'node v{i} {{ states = ("a" "b"); }}\n' for i in range(40)) + "potential (v0 | "
        + " ".join(f"v{i}" for i in range(1, 40)) + ") { }"),
        "network-table: .* a table must have at most 32 variables, it has 40"),
    "a clique of 2^20 entries": ("uai", "a.uai", lambda path: path.write_text(
        markov([[i, j] for i in range(20) for j in range(i)], [2] * 20, "4 1 2 3 4")),
        "network-size: .* entries together, they have 2,097,150; the clique of variables V0, .* and 8 more"),
    "everything beside everything": ("uai", "a.uai", lambda path: path.write_text(
        markov([[i, j] for i in range(300) for j in range(i)], [2] * 300, "4 1 2 3 4")),
        "network-size: .* they have more than"),
    "many states": ("uai", "a.uai", lambda path: path.write_text("MARKOV 40 " + "65536 " * 40 + "0"),
        "network-size: .* have 2,621,440; the clique of variables V0 has 65,536"),
    "billion laughs": ("xmlbif", "a.xml", lambda path: path.write_text(
        "<!DOCTYPE BIF [<!ENTITY a 'ha'>" + "".join(f"<!ENTITY a{i} '&a{i or ''};'>" for i in range(30)) + "]><BIF/>"),
        "xmlbif-syntax: .* must declare no entities"),
    "networks in networks": ("xmlbif", "a.xml", lambda path: path.write_text("<BIF>" * (1 << 20)),
        "xmlbif-syntax: .* at most 100 elements"),
    "a long tag": ("xmlbif", "a.xml", lambda path: path.write_text("<BIF a='" + "x" * (1 << 22) + "'/>"),
        "xmlbif-syntax: .* tags and comments of at most 262144 bytes"),
    "quotes that open": ("bif", "a.bif", lambda path: path.write_text(
        "variable a { type discrete [1] { x };" + 'property \\";' * 100_000 + "}"), "every variable must have a table"),
    "a header of 1 TB": ("npy", "x.npy", lambda path: path.write_bytes(huge_shape()),
        "1000000000000 bytes of numbers must follow its header, 3 do"),
    "a header of 4 GiB": ("npy", "x.npy", lambda path: path.write_bytes(long_header((2, 0), 2**32 - 1, b"{")),
        "its header must have at most 4096 bytes, it says 4294967295"),
    "a header that is no literal": ("npy", "x.npy", lambda path: path.write_bytes(long_header((1, 0), 9000)),
        "its header must have at most 4096 bytes, it says 9000"),
    "dictionaries in dictionaries": ("npy", "x.npy", lambda path: path.write_bytes(
        long_header((1, 0), 231, b"{'descr': '|u1', 'shape': (2, 4" + b"{" * 200)),
        "its header must be one dictionary of names and numbers, it opens 201"),
    "a header that is no literal in a member": ("npz", "x.npz", member,
        "its header must have at most 4096 bytes, it says 4097"),
    "packed zeros": ("npz", "x.npz", zeros_npz,
        r"x\.npz must need at most 67108864 bytes of memory .* unpack its arrays: a \.npy file may have any size"),
    "another packer": ("npz", "x.npz", lambda path: zeros_npz(path, zipfile.ZIP_LZMA),
        r"train\.npy must be stored or deflated, as numpy writes it"),
    "packed pictures": ("idx", "x.gz",
        lambda path: path.write_bytes(gzip.compress(idx(1 << 14, 1 << 13, bytes(1 << 27)))),
        r"x\.gz must need at most 67108864 bytes of memory .*; unpack it first"),
    "a picture of one colour": ("images", "p.png", lambda path: png(path, 8000, 8000),
        r"p\.png must need at most 67108864 bytes of memory .*; a \.npy file may have any size"),
    "many pictures of one colour": ("images", "p",
        lambda path: (path.mkdir(), [png(path / f"{i}.png", 1000, 1000) for i in range(50)]),
        r"p must need at most 67108864 bytes of memory"),
    "64 MB of elements in elements": ("xml", "r.xml", lambda path: path.write_text("<a>" * (1 << 24)),
        "csynth-xml: .* at most 100 elements within each other"),
    "64 MB in an attribute": ("xml", "r.xml", lambda path: path.write_text("<a b='" + "x" * (1 << 25) + "'/>"),
        "csynth-xml: .* tags of at most"),
    "ever new names": ("xml", "r.xml", lambda path: path.write_text("<a>" + "".join(f"<b{i}/>" for i in range(9000))),
        "csynth-xml: .* 4096 different names"),
    "a long value": ("xml", "r.xml",
        lambda path: path.write_text("<a><UserAssignments><Part>" + "x" * (1 << 24) + "</Part></UserAssignments></a>"),
        "csynth-xml: .* at most 1000 characters at UserAssignments/Part"),
    "a line of 32 MB": ("report", "r.rpt", lambda path: path.write_text("Site Type" + "x" * (1 << 25)),
        "report-kind: .* lines of fewer than 65536 characters"),
    "ever new clocks": ("report", "r.rpt", lambda path: path.write_text("WNS(ns)\n" + " a {0} 1.0 1.0\n" * 20_000),
        "vivado-timing: .* at most 10000 clocks"),
    "only line ends": ("report", "r.rpt", lambda path: path.write_text("\n" * (1 << 21) + "Site Type"),
        "report-kind: .* fewer than 2097152 lines"),
}  # fmt: skip


@linux
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_within_the_bound(name: str, child: Child, tmp_path: Path) -> None:
    reader, file, write, text = HOSTILE[name]
    write(tmp_path / file)
    path = tmp_path / file
    size = path.with_suffix(".vtree.gz").stat().st_size if reader == "vtree" else None
    said = child.read(reader, path, size)
    assert said.get("error") in ("FormatError", "CircuitError", "DataError"), said
    assert re.search(text, said["message"], re.DOTALL), said
    assert said["seconds"] < 20  # of CPU; the product of huge sizes took 27


@linux
def test_an_import_needs_no_4_gib(tmp_path: Path) -> None:
    """Every import reserved 4 GiB, so that a small file failed under `ulimit -v 4194304`."""
    (tmp_path / "a.spn").write_text("H Histogram(V0|[0.,1.,2.];[1.,3.])\n# V0\n")
    done = subprocess.run(
        [sys.executable, "-m", "pcedge", "import", "a.spn", "--out", "c.pcedge"], cwd=tmp_path, capture_output=True,
        text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4194304 << 10, 4194304 << 10)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert load_circuit(tmp_path / "c.pcedge").layers[0].probabilities.tolist() == [[0.25, 0.75]]


@linux
def test_a_device_without_an_end_is_refused() -> None:
    with pytest.raises(FormatError, match=r"file-size: /dev/zero must give at most 268435456 bytes, for it is no file"):
        read_source("/dev/zero")


class TestBounds:
    def test_the_rule(self) -> None:
        assert FLOOR == 64 << 20
        bound = Bound(16, 1 << 30)
        assert [bound.allowance(size) for size in (0, 584, 1 << 22, 1 << 25, 1 << 26, 1 << 40)] == [
            1 << 26, 1 << 26, 1 << 26, 1 << 29, 1 << 30, 1 << 30
        ]  # fmt: skip
        assert set(BOUNDS) == {
            "circuit", "onnx", "program", "spn", "bin", "psdd", "vtree", "jpc", "json", "ac", "nnf", "lmap", "weights",
            "clt", "logistic", "bif", "xmlbif", "uai", "net", "csv", "npy", "npz", "idx", "images", "raw", "packed",
            "stream", "symbolizer", "manifest", "target", "image", "checkpoint", "xml", "report",
            "skops", "pkl", "pickle", "joblib",
        }  # fmt: skip
        assert all(bound.factor >= 1 and bound.ceiling >= FLOOR for bound in BOUNDS.values())

    def test_refusals_say_what_came(self) -> None:
        check_bytes("npy", 1 << 26, 10, "x.npy")
        text = (
            r"^file-size: x\.npy must need at most 67108864 bytes of memory for a file of 10 bytes, it needs 67108865$"
        )
        with pytest.raises(FormatError, match=text):
            check_bytes("npy", (1 << 26) + 1, 10, "x.npy")
        with pytest.raises(DataError, match=r"^x must need at most 67108864 bytes .*, it needs 99999999; unpack it$"):
            check_bytes("npz", 99_999_999, 10, "x", DataError, "; unpack it")

    def test_a_budget_adds_up(self) -> None:
        budget = MemoryBudget("npy", 10, "x", DataError)
        budget.take(1 << 25)
        budget.check(1 << 25)
        budget.check(1 << 25)
        budget.take(1 << 25)
        with pytest.raises(DataError, match=r"it needs 67108865$"):
            budget.take(1)

    def test_data_of_any_size_are_read(self, tmp_path: Path) -> None:
        """What is in the file itself is never too much: only what a file stands for is bounded."""
        assert BOUNDS["npy"].allowance(1 << 40) >= 1 << 40 and BOUNDS["csv"].allowance(1 << 40) >= 1 << 40
        np.savez(tmp_path / "x.npz", train=np.zeros((70_000, 1000), np.uint8))
        assert load_array(tmp_path / "x.npz").shape == (70_000, 1000)

    def test_what_is_written_can_be_read(self, tmp_path: Path) -> None:
        """A circuit that nobody could load is not saved."""
        layer = InputLayer.geometric(0, np.full(300, 0.5), 1 << 15)
        circuit = Circuit((layer, SumLayer((0,), np.full((1, 300), 1 / 300))))
        with pytest.raises(FormatError, match=r"circuit-size: .* the tables of parametric leaves with too"):
            save_circuit(circuit, tmp_path / "c.pcedge")
        assert not (tmp_path / "c.pcedge").exists()
        tables = Circuit((InputLayer(0, layer.probabilities), circuit.layers[1]))
        save_circuit(tables, tmp_path / "c.pcedge")
        assert load_circuit(tmp_path / "c.pcedge").cardinalities == (1 << 15,)


class TestSources:
    """A circuit is read from a path, from bytes, or from an open binary file."""

    def test_float_circuits(self, tmp_path: Path) -> None:
        circuit = make_circuit(7, 4, 2, 6, "hidden")
        save_circuit(circuit, tmp_path / "c.pcedge")
        data = (tmp_path / "c.pcedge").read_bytes()
        with open(tmp_path / "c.pcedge", "rb") as file:
            sources = [str(tmp_path / "c.pcedge"), tmp_path / "c.pcedge", data, bytearray(data), io.BytesIO(data), file]
            for source in sources:
                save_circuit(load_circuit(source), tmp_path / "again.pcedge")  # type: ignore[arg-type]
                assert (tmp_path / "again.pcedge").read_bytes() == data

    def test_integer_circuits(self, tmp_path: Path) -> None:
        circuit = quantize(make_circuit(7, 4, 2, 6, "hidden"))
        write_onnx(circuit, tmp_path / "m.onnx", {"note": "here"})
        data = (tmp_path / "m.onnx").read_bytes()
        with open(tmp_path / "m.onnx", "rb") as file:
            for source in (
                str(tmp_path / "m.onnx"),
                tmp_path / "m.onnx",
                data,
                memoryview(data),
                io.BytesIO(data),
                file,
            ):
                assert read_onnx(source).digest == circuit.digest  # type: ignore[arg-type]
        assert read_notes(data) == read_notes(io.BytesIO(data)) == {"note": "here"}

    def test_a_file_is_read_from_where_it_stands(self) -> None:
        file = io.BytesIO(b"head" + b"body")
        file.seek(4)
        assert read_source(file) == (b"body", "the file given")

    @pytest.mark.parametrize("read", [load_circuit, read_onnx])
    def test_others_are_refused(self, read: Callable[[Any], object], tmp_path: Path) -> None:
        (tmp_path / "c").write_bytes(b"x")
        with (
            open(tmp_path / "c") as file,
            pytest.raises(UsageError, match="must be a path, bytes or an open binary file"),
        ):
            read(file)
        with pytest.raises(UsageError, match="a file must be a path, bytes or an open binary file, got int"):
            read(7)
        with pytest.raises(FormatError, match="container: the bytes given must be "):
            read(b"\xffnothing at all")

    def test_each_reader_names_the_other(self, tmp_path: Path) -> None:
        """`load_circuit("m.onnx")` said that it must be a safetensors file."""
        write_onnx(quantize(make_circuit(7, 4, 2, 6, "hidden")), tmp_path / "m.onnx")
        text = r"m\.onnx must be a float circuit \(\.pcedge\), it is an ONNX file: pcedge\.export\.read_onnx reads it$"
        with pytest.raises(FormatError, match=f"^circuit-container: .*{text}"):
            load_circuit(tmp_path / "m.onnx")
        save_circuit(make_circuit(7, 4, 2, 6, "hidden"), tmp_path / "c.pcedge")
        text = r"c\.pcedge must be an ONNX file, it is a float circuit .*: pcedge\.circuit\.load_circuit reads it$"
        with pytest.raises(FormatError, match=f"^onnx-container: .*{text}"):
            read_onnx(tmp_path / "c.pcedge")


def test_layers_of_one_block_share_it() -> None:
    """A block that many layers name is held once, and the circuit means the same as one of separate blocks."""
    generator = np.random.default_rng(0)
    rows = generator.random((6, 6))
    rows /= rows.sum(axis=1, keepdims=True)
    layers: list[Any] = [InputLayer(0, generator.dirichlet(np.ones(3), 6))]
    layers += [SumLayer((place,), rows.copy()) for place in range(5)]
    circuit = quantize(Circuit((*layers, SumLayer((5,), np.full((1, 6), 1 / 6)))))
    found = read_onnx(to_onnx(circuit).SerializeToString())
    assert found.digest == circuit.digest
    assert all(layer.weights is found.layers[1].weights for layer in found.layers[1:6])  # type: ignore[union-attr]


def test_errors_of_a_bound_are_those_of_the_reader(tmp_path: Path) -> None:
    (tmp_path / "c.pcedge").write_bytes(parametric(200, 1 << 16))
    with pytest.raises(FormatError) as found:
        load_circuit(tmp_path / "c.pcedge")
    assert found.value.rule == "circuit-size"
    with pytest.raises(FormatError) as found:
        read_onnx(long_table(400_000))
    assert found.value.rule == "onnx-size"

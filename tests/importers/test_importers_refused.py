"""Importers: what is refused, by the name of the unit, the line or the file, and nothing of it is run."""

from __future__ import annotations

import gzip
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.paths import DATA

from pcedge.circuit import log_likelihood
from pcedge.errors import CircuitError, FormatError
from pcedge.importers import import_circuit
from pcedge.importers.pickles import replay


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


LEAF = "{0} Histogram(V{1}|[0.,1.,2.];[0.5,0.5])\n"


def spn(root: str, *leaves: tuple[str, int]) -> str:
    return root + "{" + "".join(LEAF.format(*leaf) for leaf in leaves) + "}\n# V0;V1\n"


SPN_ERRORS = [
    (spn("P_7 ProductNode(A,B,C)", ("A", 0), ("B", 1), ("C", 0)), CircuitError,
     r"P_7 is not decomposable: its children must have disjoint scopes, C repeats variables \[0\]"),
    (spn("S_3 SumNode(0.5*A,0.5*B)", ("A", 0), ("B", 1)), CircuitError,
     r"S_3 is not smooth: its children must have one scope, B has variables \[1\], A has variables \[0\]"),
    (spn("S SumNode(-0.5*A,1.5*B)", ("A", 0), ("B", 0)), FormatError,
     r"import-weight: .*a\.spn, line 1, S: a weight must be finite and not negative, got -0\.5"),
    (spn("S SumNode(0*A,0.0*B)", ("A", 0), ("B", 0), ("C", 1)), CircuitError, r"S must have a positive weight"),
    (spn("S SumNode(nan*A,1*B)", ("A", 0), ("B", 0)), FormatError,
     r"line 1, S: a finite number must stand here, got 'nan'"),
    (spn("P ProductNode(A,B)", ("A", 0), ("C", 1)), FormatError, r"import-undefined: P must name units .* B is not"),
    (spn("P ProductNode(A,B)", ("A", 0), ("B", 2)), FormatError,
     r"line 2, B: the variable must be one of V0, V1, got 'V2'"),
    ("A ProductNode(B,C){B ProductNode(A,C){" + LEAF.format("C", 0) + LEAF.format("D", 1) + "}}\n# V0;V1", FormatError,
     r"import-cycle: B must not be above itself, A is its child"),
    (spn("P ProductNode(A,B)", ("A", 0), ("B", 1))[:60], FormatError, r"line \d: a unit, .* must stand here"),
    (spn("P ProductNode(A,B)", ("A", 0), ("B", 1)).replace("}", ""), FormatError,
     r"must close every brace, 1 are open"),
    (spn("P ProductNode(A,B)", ("A", 0), ("B", 1)).replace("B Hist", "A Hist"), FormatError,
     r"import-duplicate: .*line 2: A must be defined once, line 1 differs"),
    ("G_4 Gaussian(V0|1.0;0.0)\n# V0\n", FormatError,
     r"import-leaf: .*G_4: the std of a gaussian must be above 0, got 0\.0"),
    ("H Histogram(V0|[0.,1e12];[1.0])\n# V0\n", FormatError, r"H: symbols must be in 0\.\.65535, the breaks run 0\.0"),
    ("H Histogram(V0|[-2.,1.];[1.0])\n# V0\n", FormatError, r"H: symbols must be in 0\.\.65535, the breaks run -2\.0"),
    ("H Histogram(V0|[0.,2.,1.];[0.5,0.5])\n# V0\n", FormatError, r"at least 2 breaks that ascend"),
    ("H Histogram(V0|[0.,1.,2.];[0.5])\n# V0\n", FormatError, r"H: 3 breaks need 2 densities, got 1"),
    ("H Histogram(V0|[0.,1.];[-0.5])\n# V0\n", FormatError,
     r"H: a probability must be finite and not negative, got -0\.5"),
    ("H Histogram(V0|[0.,1.];[0.0])\n# V0\n", CircuitError, r"H must have a symbol of positive probability"),
    ("H Histogram(V0|[0.,1.];[1.0])\n# V0;V0\n", FormatError, r"the last line must name every variable once"),
    ("H Histogram(V0|[0.,0.5];[0.0])\n# V0\n", CircuitError, r"H must have a finite total above zero, got 0\.0"),
    ("\n# V0\n", FormatError, r"must hold at least one unit"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "message"), SPN_ERRORS)
def test_spn_errors(text: str, kind: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(kind, match=message):
        import_circuit(write(tmp_path / "a.spn", text))


TREE = (DATA / "small.vtree").read_text()
PSDD = (DATA / "small.psdd").read_text()
PSDD_ERRORS: list[tuple[Callable[[str], str], str]] = [
    (lambda t: t.replace("D 10 1 1 1 2", "D 10 1 2 1 2"),
     r"line 13: node 10 must have as many elements as it says, 2, got 1"),
    (lambda t: t.replace("L 8 6 -4", "L 7 6 -4"), r"import-duplicate: .*line 11: node 7 must be defined once"),
    (lambda t: t.replace("L 8 6 -4", "L 8 6 -3"),
     r"psdd-vtree: .*line 11: variable 3 must belong .* 6 is of variable 4"),
    (lambda t: t.replace("L 8 6 -4", "L 8 9 -4"), r"psdd-vtree: .*line 11: variable 4 must belong .* 9 is no leaf"),
    (lambda t: t.replace("L 8 6 -4", "L 8 6 0"), r"psdd-line: .*line 11: a variable must be in 1\.\."),
    (lambda t: t.replace("D 9 1 2", "D 9 2 2"),
     r"psdd-vtree: .*which must be the children of 2; it is a leaf or undefined"),
    (lambda t: t.replace("D 9 1 2", "D 9 5 2"), r"which must be the children of 5; that has the children 4 and 6"),
    (lambda t: t.replace("D 10 1 1 1 2", "D 10 1 1 1 99"),
     r"import-undefined: .*line 13: the sub must stand above .* 99 does"),
    (lambda t: t.replace("-0.2231435513142097", "nan"),
     r"import-number: .*line 16: a finite number must stand here, got 'nan'"),
    (lambda t: t.replace("T 2 2 3 -0.35667494393873245", "T 2 2 3 0.5"), r"must not be above 0, got 0\.5"),
    (lambda t: t.replace("T 2 2 3 -0.35667494393873245", "T 2 2 3"), r"psdd-line: .*must stand here, got 'T 2 2 3'"),
    (lambda t: "\n".join(t.splitlines()[:-1]), r"the last node is the root .* node 12 belongs to 5: a truncated file"),
    (lambda t: t[:-5].replace("-1.6094379124341003 5 6", "-1.6094379124341003 5"), r"psdd-line: .*line 15"),
    (lambda t: t.replace("psdd 99\n", ""), r"'psdd count' must stand before the nodes"),
    (lambda t: "psdd 99999999999999\n", r"must hold at least one node"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), PSDD_ERRORS)
def test_psdd_errors(change: Callable[[str], str], message: str, tmp_path: Path) -> None:
    changed = change(PSDD)
    assert changed != PSDD
    write(tmp_path / "a.vtree", TREE)
    with pytest.raises(FormatError, match=message):
        import_circuit(write(tmp_path / "a.psdd", changed))


def test_psdd_of_another_vtree_is_refused_where_its_nodes_disagree(tmp_path: Path) -> None:
    swapped = PSDD.replace("D 10 1 1 1 2", "D 10 1 1 2 1")
    with pytest.raises(FormatError, match=r"line 13: prime 2 and sub 1 belong to the vtree nodes 2 and 0"):
        import_circuit(write(tmp_path / "a.psdd", swapped))
    zero = PSDD.replace("D 10 1 1 1 2 0.0", "D 10 1 1 1 2 -inf")
    with pytest.raises(CircuitError, match=r"node 10 \(line 13\) must have a positive weight, all are zero"):
        import_circuit(write(tmp_path / "a.psdd", zero))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("I 3 1 5\n", "", r"must hold one tree, it has 2 roots: \[1, 5\]"),
        ("I 3 1 5", "I 3 1 1", r"line 9: vtree node 3 must have two children .* got 1 and 1"),
        ("I 3 1 5", "I 3 1 3", r"must have two children that stand above it"),
        ("L 6 4", "L 6 2", r"line 7: every variable must be in one leaf, 2 is in 4"),
        ("L 6 4", "L 0 4", r"import-duplicate: .*line 7: vtree node 0 must be defined once"),
        ("L 6 4", "X 6 4", r"'L id variable' or 'I id left right' must stand here, got 'X 6 4'"),
    ],
)
def test_vtree_errors(old: str, new: str, message: str, tmp_path: Path) -> None:
    tree = write(tmp_path / "t.vtree", TREE.replace(old, new))
    with pytest.raises(FormatError, match=message):
        import_circuit(DATA / "small.psdd", vtree=tree)


def jpc(change: Callable[[list[dict[str, object]]], object], path: Path) -> Path:
    """Change a PyJuice file's list of vectors; the fixture is known to be harmless."""
    nodes = pickle.loads((DATA / "pyjuice" / "hclt.jpc").read_bytes())
    changed = change(nodes)
    path.write_bytes(pickle.dumps(nodes if changed is None else changed))
    return path


def signalling(values: Any) -> Any:
    """Make the last number a NaN that says so when it is turned into a wider one."""
    words = np.array(values, dtype=np.float32).view(np.uint32)
    words.flat[-1] = 0x7F800001
    return words.view(np.float32)


JPC_ERRORS = [
    (lambda n: n[3].update(chs=(1, 1)), CircuitError,
     r"ProductNodes_3 is not decomposable: .*variables \[3\] are in two"),
    (lambda n: n[4].update(chs=(3, 2)), CircuitError, r"SumNodes_4 is not smooth"),
    (lambda n: n[3].update(chs=(1, 4)), FormatError, r"ProductNodes_3: children must be vectors before it, 0\.\.2"),
    (lambda n: n[4].update(params=-n[4]["params"]), FormatError,
     r"SumNodes_4: weights must be finite and not negative"),
    (lambda n: n[4].update(params=n[4]["params"] * 0), CircuitError,
     r"SumNodes_4: every sum must have a positive weight"),
    (lambda n: n[0].update(params=n[0]["params"] * np.nan), CircuitError,
     r"InputNodes_0: probabilities must be finite"),
    (lambda n: n[0].update(params=signalling(n[0]["params"])), CircuitError,
     r"InputNodes_0: probabilities must be finite"),
    (lambda n: n[4].update(params=signalling(n[4]["params"])), FormatError,
     r"SumNodes_4: weights must be finite and not negative, got nan"),
    (lambda n: n[0].update(params=n[0]["params"][:3]), FormatError, r"InputNodes_0: params must be 4 distributions"),
    (lambda n: n[0].__delitem__("params"), FormatError, r"must have parameters; initialise or train the circuit"),
    (lambda n: n[0].update(num_node_blocks=2**40), FormatError,
     r"InputNodes_0: numbers of blocks and nodes must be in"),
    (lambda n: n[0].update(dist=n[0]["dist"].replace(b"\x8c\x0bCategorical", b"\x8c\x08Gaussian")), FormatError,
     r"import-leaf: .*InputNodes_0: the distribution must be Categorical, Bernoulli or Literal, got Gaussian; a leaf"),
    (lambda n: n[3].update(edge_ids=n[3]["edge_ids"] + 7), FormatError,
     r"ProductNodes_3: child 0 has the nodes 0\.\.3"),
    (lambda n: n[4].update(external_params=b""), FormatError, r"SumNodes_4: weights must be in the file"),
    (lambda n: n[:-1] and n.pop(), FormatError, r"must hold a list of vectors of nodes"),
    (lambda n: n[:-1], FormatError, r"the last vector is the root and must have 1 node, it has 4"),
    (lambda n: {"nodes": n}, FormatError, r"must hold a list of vectors of nodes"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "kind", "message"), JPC_ERRORS)
def test_jpc_errors(
    change: Callable[[list[dict[str, object]]], object], kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        import_circuit(jpc(change, tmp_path / "a.jpc"))


def test_bin_errors(tmp_path: Path) -> None:
    pytest.importorskip("capnp", reason="needs the extra capnp")
    from pcedge.importers.spflow_binary import _schema

    schema = _schema()[0]
    message = schema.Header.new_message()
    nodes = message.init("model").init("nodes", 3)
    message.model.numFeatures = 1
    for node, key in zip(nodes, (0, 1, 2), strict=True):
        node.id = key
        node.init("hist").breaks = [0, 1, 2]
        node.hist.densities = [0.5, 0.5]
    top = nodes[0].init("product")
    top.children = [1, 2]

    def expect(kind: type[Exception], text: str) -> None:
        path = tmp_path / "a.bin"
        path.write_bytes(message.to_bytes())
        message.clear_write_flag()
        with pytest.raises(kind, match=text):
            import_circuit(path)

    expect(CircuitError, r"ProductNode_0 is not decomposable: .*HistogramNode_2 repeats variables \[0\]")
    nodes[0].init("sum").children = [1, 2]
    nodes[0].sum.weights = [0.5]
    expect(FormatError, r"import-weight: .*SumNode_0 must have one weight a child, 2, got 1")
    nodes[0].sum.weights = [-0.5, 1.5]
    expect(FormatError, r"SumNode_0: a weight must be finite and not negative, got -0\.5")
    nodes[0].sum.weights = [0.5, 0.5]
    nodes[2].init("gaussian").mean = 1
    expect(FormatError, r"import-leaf: .*GaussianNode_2: the std of a gaussian must be above 0, got 0\.0")
    nodes[2].init("categorical").probabilities = [0.5, float("nan")]
    expect(FormatError, r"CategoricalNode_2: a probability must be finite and not negative, got nan")
    nodes[2].categorical.probabilities = [0.5, 0.5]
    nodes[2].categorical.scope = 7
    expect(FormatError, r"bin-message: .*must have as many features as it says, 1, its leaves are of 2: 0, 7")
    nodes[2].categorical.scope = -1
    expect(FormatError, r"CategoricalNode_2: the variable must be a number of at least 0, got -1")
    nodes[2].id = 1
    expect(FormatError, r"import-duplicate: .*CategoricalNode_1: the id 1 must be given once")
    (tmp_path / "a.bin").write_bytes(message.to_bytes()[:-20])
    with pytest.raises(FormatError, match=r"bin-message: .* must be a Cap'n Proto message of spflow\.capnp"):
        import_circuit(tmp_path / "a.bin")


class Evil:
    """Ask the reader of its pickle to make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_calls_a_function_is_refused(protocol: int, tmp_path: Path) -> None:
    target, path = tmp_path / "made", tmp_path / "a.jpc"
    for nodes in ([{"type": "Input", "params": Evil(target)}], Evil(target)):
        path.write_bytes(pickle.dumps(nodes, protocol))
        with pytest.raises(FormatError, match=r"import-pickle: .* it mentions 'posix\.mkdir': nothing of it was run"):
            import_circuit(path)
    inner = pickle.dumps(Evil(target), protocol)
    with pytest.raises(FormatError, match=r"InputNodes_0 must hold plain arrays, it mentions 'posix\.mkdir'"):
        import_circuit(jpc(lambda nodes: nodes[0].update(dist=inner), path))
    assert not target.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_read_as_pickle_reads_them(protocol: int) -> None:
    value = [{"a": (1, -(2**70), 3.5, None, True, "é"), "b": [{}, ()], 3: (1, 2), "c": (1, 2, 3)}, list(range(300))]
    assert replay(pickle.dumps(value, protocol), lambda name: False, "x") == value
    with pytest.raises(FormatError, match=r"import-pickle: x must be a whole pickle"):
        replay(pickle.dumps(value, protocol)[:-9], lambda name: False, "x")


def test_torch_tensors_are_read_by_hand(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra train")

    def to_tensors(nodes: list[dict[str, object]]) -> None:
        for node in nodes:
            for name in ("params", "edge_ids"):
                if name in node:
                    # a view with strides and an offset into a larger storage
                    array = torch.from_numpy(node[name])
                    node[name] = torch.cat([array[:1], array]).transpose(0, -1).contiguous().transpose(0, -1)[1:]

    made = import_circuit(jpc(to_tensors, tmp_path / "a.jpc"))
    plain = import_circuit(DATA / "pyjuice" / "hclt.jpc")
    x = json.loads((DATA / "pyjuice" / "hclt.json").read_text())["records"]
    assert np.array_equal(log_likelihood(made.circuit, x), log_likelihood(plain.circuit, x))


# Size


def test_deep_nesting_does_not_recurse(tmp_path: Path) -> None:
    depth = 2000
    text = "".join(f"S{i} SumNode(1.0*S{i + 1}){{\n" for i in range(depth))
    text += f"S{depth} Histogram(V0|[0.,1.,2.];[0.5,0.5])\n" + "}\n" * depth + "# V0\n"
    assert import_circuit(write(tmp_path / "a.spn", text)).circuit.cardinalities == (2,)
    nested = b"\x80\x04" + b"]" * 100000 + b"a" * 99999 + b"."
    (tmp_path / "a.jpc").write_bytes(nested)
    with pytest.raises(FormatError, match=r"must hold a list of vectors of nodes"):
        import_circuit(tmp_path / "a.jpc")


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = tmp_path / "a.psdd.gz"
    bomb.write_bytes(gzip.compress(b"c" * (1 << 24)))
    with pytest.raises(
        FormatError, match=r"import-size: .* must need at most 133\d{6} bytes of memory .*; unpack it first"
    ):
        import_circuit(bomb)
    whole = gzip.compress((DATA / "small.psdd").read_bytes())
    bomb.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match=r"import-gzip: .* must be a whole gzip file"):
        import_circuit(bomb)

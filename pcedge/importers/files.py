"""Importing a circuit: the formats, how a file's format is found, and how much of a file is read."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pcedge.circuit.layers import Circuit
from pcedge.errors import FormatError, UsageError
from pcedge.importers import (
    bif,
    chow_liu,
    compiled,
    deeprob,
    estimator_pickles,
    hugin,
    juice,
    logistic,
    psdd,
    pyjuice,
    skops,
    spflow,
    spflow_binary,
    uai,
    xmlbif,
)
from pcedge.importers.compiling import ENTRY_BYTES, VARIABLE_BYTES, compile_network
from pcedge.importers.estimators import Choices, estimator_draft
from pcedge.importers.gridding import Gridding
from pcedge.importers.networks import Network
from pcedge.importers.normalise import Draft, normalise
from pcedge.limits import MemoryBudget, read_file

#: bytes of memory that a reader takes at most for each byte of text, messages or pickles, before it makes layers
_A_BYTE = {
    "spn": 64, "bin": 64, "psdd": 64, "vtree": 96, "jpc": 8, "ac": 64, "nnf": 64, "lmap": 64, "weights": 64, "clt": 64,
    "logistic": 64, "json": 64, "bif": 48, "xmlbif": 48, "uai": 48, "net": 48,
    "skops": 8, "pkl": 8, "pickle": 8, "joblib": 8,
}  # fmt: skip
#: a byte of a compressed file may stand for so many: what a reader may take is reckoned by these
GZIP_FACTOR = 16
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Request:
    """Hold what whoever imports a file asks for beside it."""

    #: the vtree of a PSDD
    vtree: Path | None = None
    #: how values become symbols
    gridding: Gridding = field(default_factory=Gridding)
    #: entries of the tables that a network is compiled to, at most; None: what the memory for the file has room for
    limit: int | None = None
    #: steps of a model of sequences
    steps: int | None = None
    #: components that a density of many kernels is reduced to
    components: int | None = None
    #: the features' names
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Imported:
    """Hold an imported circuit with what its file said beside it."""

    #: the circuit, every unit normalised
    circuit: Circuit
    #: the format that the file was read as, a key of `READERS`
    format: str
    #: the variables' names in their order, empty where the file has none
    names: tuple[str, ...] = ()
    #: remarks: what was left out
    notes: tuple[str, ...] = ()
    #: what the bins of every variable forget, in nats; empty where there are none
    losses: tuple[float, ...] = ()

    @property
    def log_constant(self) -> float:
        """Give the nats to add to the circuit's log-likelihood for that of the file as it was written."""
        return self.circuit.log_constant


def _read_spn(path: Path, request: Request) -> Draft:
    data, budget = read_bytes(path, "spn")
    return spflow.read(data, str(path), budget, request.gridding)


def _read_bin(path: Path, request: Request) -> Draft:
    data, budget = read_bytes(path, "bin")
    return spflow_binary.read(data, str(path), budget, request.gridding)


def _read_psdd(path: Path, request: Request) -> Draft:
    beside = request.vtree or _beside(path, "vtree")
    tree = read_bytes(beside, "vtree")[0] if beside else None
    data, budget = read_bytes(path, "psdd")
    return psdd.read(data, tree, str(path), str(beside), budget)


def _read_jpc(path: Path, request: Request) -> Draft:
    data, budget = read_bytes(path, "jpc")
    if juice.is_text(data):
        return juice.read(data, str(path), budget)
    return pyjuice.read(data, str(path), budget)


def _read_json(path: Path, request: Request) -> Draft:
    data, budget = read_bytes(path, "json")
    return deeprob.read(data, str(path), budget, request.gridding)


def _read_skops(path: Path, request: Request) -> Draft:
    data, budget = read_bytes(path, "skops")
    return estimator_draft(skops.read(data, str(path), budget), _choices(request, budget))


def _read_pickle(reader: str) -> Callable[[Path, Request], Draft]:
    def read(path: Path, request: Request) -> Draft:
        data, budget = read_bytes(path, reader)
        return estimator_draft(estimator_pickles.read(data, str(path), budget), _choices(request, budget))

    return read


def _choices(request: Request, budget: MemoryBudget) -> Choices:
    return Choices(request.gridding, request.steps, request.components, request.names, budget)


def _read_ac(path: Path, request: Request) -> Draft:
    beside = _beside(path, "lmap")
    if beside is None:
        raise FormatError(
            "lmap-missing",
            f"{path} must have its literal map beside it, as {path.stem}.lmap: without it nothing tells variables from "
            "parameters",
        )
    return _compiled(path, "ac", beside, None)


def _read_nnf(path: Path, request: Request) -> Draft:
    lmap = _beside(path, "lmap")
    return _compiled(path, "nnf", lmap, None if lmap else _beside(path, "weights"))


def _compiled(path: Path, reader: str, lmap: Path | None, weights: Path | None) -> Draft:
    told = [
        (read_bytes(file, kind)[0], str(file)) if file else None
        for file, kind in ((lmap, "lmap"), (weights, "weights"))
    ]
    data, budget = read_bytes(path, reader)
    return compiled.read(data, told[0], told[1], str(path), budget)


def _read_clt(path: Path, request: Request) -> Draft:
    data, budget = read_bytes(path, "clt")
    return chow_liu.read(data, str(path), budget)


def _read_circuit(path: Path, request: Request) -> Draft:
    data, budget = read_bytes(path, "logistic")
    return logistic.read(data, str(path), budget)


def _network(reader: str, read: Callable[[bytes, str, MemoryBudget], Network]) -> Callable[[Path, Request], Draft]:
    """Make the reader of a format of networks, which are compiled to circuits."""

    def _read(path: Path, request: Request) -> Draft:
        data, budget = read_bytes(path, reader)
        network = read(data, str(path), budget)
        budget.take(VARIABLE_BYTES * len(network.names))
        limit = budget.left // ENTRY_BYTES if request.limit is None else request.limit
        return compile_network(network, limit, str(path))

    return _read


#: a format's suffix, and its reader: the place for a new format (docs/importers.md)
READERS: dict[str, Callable[[Path, Request], Draft]] = {
    "spn": _read_spn,
    "bin": _read_bin,
    "psdd": _read_psdd,
    "jpc": _read_jpc,
    "json": _read_json,
    "ac": _read_ac,
    "nnf": _read_nnf,
    "clt": _read_clt,
    "circuit": _read_circuit,
    "bif": _network("bif", bif.read),
    "xml": _network("xmlbif", xmlbif.read),
    "uai": _network("uai", uai.read),
    "net": _network("net", hugin.read),
    "skops": _read_skops,
    "pkl": _read_pickle("pkl"),
    "pickle": _read_pickle("pickle"),
    "joblib": _read_pickle("joblib"),
}


#: formats of networks, which are compiled, and of estimators
NETWORKS, ESTIMATORS = ("bif", "xml", "uai", "net"), ("skops", "pkl", "pickle", "joblib")


def import_circuit(
    path: str | Path,
    *,
    format: str | None = None,
    vtree: str | Path | None = None,
    gridding: Gridding | None = None,
    limit: int | None = None,
    steps: int | None = None,
    components: int | None = None,
    names: Sequence[str] | None = None,
) -> Imported:
    r"""Read a circuit, or another model, that other software wrote.

    Args:
        path: the file, or the same compressed as `.gz`.
        format: a key of `READERS`; None takes it from the file's suffix.
        vtree: the vtree of a PSDD; None takes the file beside it with the same stem and the suffix `.vtree`, or with
            the stem up to an earlier point, and if there is none the vtree that the PSDD's nodes tell.
        gridding: how real values become symbols; None takes 64 symbols by the leaves' quantiles.
        limit: entries of the tables that a network is compiled to, at most; None takes as many as the memory that
            reading the file may take has room for, half a million or more.
        steps: of a model of sequences, such as an HMM: how many the circuit has.
        components: of a kernel density: how many components stand for all kernels.
        names: of an estimator's features; None takes those of its fit, else x0, x1, …

    Raises:
        UsageError: the format is not known, or a vtree is given for another format.
        FormatError: the file breaks its format.
        CircuitError: the circuit is not smooth, not decomposable, or has no mass; the unit's name is in the message.
        MissingToolError: the format needs a package that is not installed.
        OSError: the file cannot be read.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "coin.spn"
        >>> _ = file.write_text("HistogramNode_0 Histogram(V0|[0., 1., 2.];[1., 3.])\n# V0\n")
        >>> made = import_circuit(file)
        >>> made.circuit.layers[0].probabilities.tolist(), round(made.log_constant, 4)
        ([[0.25, 0.75]], 1.3863)
    """
    path = Path(path)
    known = format or suffix_of(path)
    if known not in READERS:
        asked = "--format must be" if format else f"the suffix of {path} must be"
        raise UsageError(f"{asked} one of {', '.join(READERS)}, got {known!r}")
    if vtree is not None and known != "psdd":
        raise UsageError(f"a vtree belongs to the format psdd, got one for {known}")
    if limit is not None and known not in NETWORKS:
        raise UsageError(f"a limit belongs to the formats {', '.join(NETWORKS)}, got one for {known}")
    for what, value in (("steps", steps), ("components", components)):
        if value is not None and known not in ESTIMATORS:
            raise UsageError(f"{what} belong to the formats {', '.join(ESTIMATORS)}, got them for {known}")
    request = Request(
        None if vtree is None else Path(vtree), gridding or Gridding(), limit, steps, components,
        None if names is None else tuple(names),
    )  # fmt: skip
    draft = READERS[known](path, request)
    return Imported(normalise(draft), known, draft.variables, draft.notes, draft.losses)


def suffix_of(path: Path) -> str:
    """Give a file's suffix without its point, in lower case; that before `.gz` for a compressed one."""
    name = path.name.lower().removesuffix(".gz")
    return name.rpartition(".")[2] if "." in name else ""


def read_bytes(path: Path, reader: str) -> tuple[bytes, MemoryBudget]:
    """Read a file, or what a gzip file holds, and give the budget of its memory too.

    Args:
        path: the file.
        reader: a key of `BOUNDS`.

    Raises:
        FormatError: the reader would need too much memory for what the file holds, or its compression is damaged.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as raw:
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        hint = "; unpack it first" if packed else ""

        def budget_of(size: int) -> MemoryBudget:
            return MemoryBudget(reader, size, str(path), lambda message: FormatError("import-size", f"{message}{hint}"))

        size = os.fstat(raw.fileno()).st_size
        if not packed:
            budget_of(size).take(_A_BYTE[reader] * size)
            data = read_file(raw, str(path))
            budget = budget_of(len(data))  # a pipe has no size before it is read
            budget.take(_A_BYTE[reader] * len(data))
            return data, budget
        budget = budget_of(GZIP_FACTOR * size)
        chunks = []
        try:
            with gzip.GzipFile(fileobj=raw) as unpacked:
                while chunk := unpacked.read(_CHUNK):
                    budget.take(_A_BYTE[reader] * len(chunk))
                    chunks.append(chunk)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise FormatError("import-gzip", f"{path} must be a whole gzip file ({error})") from error
    return b"".join(chunks), budget


def _beside(path: Path, suffix: str) -> Path | None:
    """Find the file that belongs to `a.b.psdd`: `a.b.vtree`, else `a.vtree`; each also as `.gz`."""
    stem = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    while "." in stem:
        stem = stem.rpartition(".")[0]
        for name in (f"{stem}.{suffix}", f"{stem}.{suffix}.gz"):
            if path.with_name(name).is_file():
                return path.with_name(name)
    return None

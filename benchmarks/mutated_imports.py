"""Mutated circuits of other software."""

from __future__ import annotations

import gzip
import io
import pickletools
import re
import zipfile
from random import Random

from benchmarks.mutated import DATA, Case, Files, Parser, damage_one
from benchmarks.mutated_circuits import circuit_fault, rewriting_fault
from benchmarks.mutations import BYTES, TEXT, damage
from pcedge.circuit import Circuit
from pcedge.circuit.file import circuit_checksum
from pcedge.importers import import_circuit


class Imported(Parser):
    """Read a circuit of other software; accepted, it is a distribution, and its file is read again."""

    text = True
    sources: tuple[str, ...] = ()
    #: of the files, where it is not the parser's name
    suffix = ""

    def make(self) -> list[Case]:
        """Take the files of tests/data."""
        return [Case({f"a.{self.suffix or self.name}": (DATA / name).read_bytes()}, 0) for name in self.sources]

    def damaged(self, dice: Random) -> Case:
        """Damage the file; some are compressed before, some after."""
        source = dice.choice(self.whole)
        pressed = dice.random()
        if pressed < 0.1:
            name = dice.choice(sorted(source.files))
            data = damage(gzip.compress(source.files[name], mtime=0), dice)
            return Case(source.files | {name: data}, source.source, True)
        files = self.damaged_files(source, dice)
        if pressed < 0.2:
            name = dice.choice(sorted(files))
            files = files | {name: gzip.compress(files[name], 1, mtime=0)}
        return Case(files, source.source)

    def damaged_files(self, source: Case, dice: Random) -> Files:
        """Damage bytes, or words of a text."""
        return damage_one(source, dice, self.whole, TEXT if self.text and dice.random() < 0.8 else BYTES)

    def read(self, case: Case) -> Circuit:
        """Import it."""
        return import_circuit(self.place_of_files / next(iter(case.files))).circuit

    def content(self, case: Case, found: Circuit) -> str:
        """Hash all that a circuit means."""
        return circuit_checksum(found)

    def fault(self, case: Case, found: Circuit) -> str | None:
        """Write it and read it again; demand a distribution."""
        return rewriting_fault(found, self.folder / "again") or circuit_fault(found, 1e-8)


class Spn(Imported):
    """Read SPFlow's text, its equations and Libra's circuits; what is over real values has a grid."""

    name = "spn"
    sources = ("small.spn", "spn/NIPS5.spn", "leaves.spn", "equation.spn", "libra.spn")

    def fault(self, case: Case, found: Circuit) -> str | None:
        """Look at the breaks too."""
        text = case.files["a.spn"]
        for breaks in re.findall(rb"Histogram\([^|()]*\|\[([0-9., \n\t]*)\]", text):
            for word in breaks.split(b","):
                if re.fullmatch(rb"\s*[0-9]+\.0*[1-9][0-9]*\s*", word) and found.grid is None:
                    return f"a histogram over real values was read as one over integers, a break is {word.decode()}"
        return super().fault(case, found)


class Json(Imported):
    """Read deeprob-kit's JSON."""

    name = "json"
    sources = ("deeprob.json", "deeprob_tree.json")


class Bin(Imported):
    """Read SPFlow's Cap'n Proto."""

    name, text, modules = "bin", False, ("capnp",)
    sources = ("spn/NIPS5.bin",)


class Psdd(Imported):
    """Read PSDDs, with their vtree or without."""

    name = "psdd"

    def make(self) -> list[Case]:
        """Take each with and without the vtree."""
        tree = (DATA / "small.vtree").read_bytes()
        made = []
        for name in ("small.psdd", "small2.psdd"):
            own = (DATA / name).read_bytes()
            made += [Case({"a.psdd": own, "a.vtree": tree}, 0), Case({"a.psdd": own}, 0)]
        return made

    def damaged_files(self, source: Case, dice: Random) -> Files:
        """Damage the PSDD alone."""
        whole = [case.files["a.psdd"] for case in self.whole]
        kinds = TEXT if dice.random() < 0.8 else BYTES
        return source.files | {"a.psdd": damage(source.files["a.psdd"], dice, kinds, whole)}


class Vtree(Psdd):
    """Read PSDDs with a damaged vtree."""

    name = "vtree"

    def make(self) -> list[Case]:
        """Take those with a vtree."""
        return [case for case in super().make() if len(case.files) == 2]

    def damaged_files(self, source: Case, dice: Random) -> Files:
        """Damage the vtree alone."""
        kinds = TEXT if dice.random() < 0.8 else BYTES
        return source.files | {"a.vtree": damage(source.files["a.vtree"], dice, kinds)}


class Jpc(Imported):
    """Read PyJuice's pickles; numbers and order of their opcodes are damaged too."""

    name, text = "jpc", False
    sources = ("pyjuice/hclt.jpc", "pyjuice/mixed.jpc")

    def damaged_files(self, source: Case, dice: Random) -> Files:
        """Damage bytes or opcodes."""
        if dice.random() < 0.4:
            return super().damaged_files(source, dice)
        data = source.files["a.jpc"]
        places = [(place or 0, opcode.name, argument) for opcode, argument, place in pickletools.genops(data)]
        ends = [place for place, _, _ in places[1:]] + [len(data)]
        codes = [data[place:end] for (place, _, _), end in zip(places, ends, strict=True)]
        for _ in range(dice.choice((1, 1, 2, 3))):
            numbers = [n for n, (_, name, _) in enumerate(places) if "INT" in name]
            which, kind = dice.randrange(len(codes)), dice.randrange(6)
            if kind < 3 and numbers:
                which = dice.choice(numbers)
                value = dice.choice((0, 1, 2, -1, 4, 255, 2**16, 2**20, 2**24, 2**31 - 1, 2**40, 2**63, 10**30))
                word = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
                codes[which] = b"\x8a" + bytes([len(word)]) + word
            elif kind == 3:
                codes[which] = b""
            elif kind == 4:
                codes[which] = codes[which] * dice.choice((2, 3, 1000))
            else:
                other = dice.randrange(len(codes))
                codes[which], codes[other] = codes[other], codes[which]
        return {"a.jpc": b"".join(codes)}


class Estimator(Imported):
    """Read estimators; a damaged one of a known class may be another estimator, and is a distribution then."""

    text = False


class Skops(Estimator):
    """Read scikit-learn's estimators as skops writes them; members of the zip are damaged, and put together anew."""

    name = "skops"
    sources = ("estimators/mixture.skops",)

    def damaged_files(self, source: Case, dice: Random) -> Files:
        """Damage the zip, its JSON or an array."""
        if dice.random() < 0.2:
            return super().damaged_files(source, dice)
        packed = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(source.files["a.skops"])) as whole, zipfile.ZipFile(packed, "w") as made:
            names = whole.namelist()
            victim = "schema.json" if dice.random() < 0.7 else dice.choice(names)
            for name in names:
                data = whole.read(name)
                if name == victim:
                    data = damage(data, dice, TEXT if name == "schema.json" and dice.random() < 0.8 else BYTES)
                made.writestr(name, data)
        return {"a.skops": packed.getvalue()}


class Pkl(Estimator):
    """Read pickles of estimators."""

    name = "pkl"
    sources = ("estimators/bayes.pkl",)


class Pickle(Estimator):
    """Read pickles of protocol 0."""

    name = "pickle"
    sources = ("estimators/kernels.pickle",)


class Joblib(Estimator):
    """Read what joblib writes: numbers lie between a pickle's opcodes."""

    name = "joblib"
    sources = ("estimators/forest.joblib",)


class Bif(Imported):
    """Read networks as BIF."""

    name = "bif"
    sources = ("networks/small.bif", "networks/asia.bif")


class Xmlbif(Imported):
    """Read networks as XMLBIF."""

    name, suffix = "xmlbif", "xml"
    sources = ("networks/small.xml",)


class Uai(Imported):
    """Read networks as UAI."""

    name = "uai"
    sources = ("networks/small.uai", "networks/pairs.uai")


class Net(Imported):
    """Read networks as Hugin's NET."""

    name = "net"
    sources = ("networks/small.net",)


class Compiled(Imported):
    """Read ACE's circuits; the circuit or its literal map is damaged."""

    name = "ac"
    pairs: tuple[tuple[str, ...], ...] = tuple(
        (f"compiled/{n}.ac", f"compiled/{n}.lmap") for n in ("grass.net", "grass_old.net")
    )

    def make(self) -> list[Case]:
        """Take the files that belong together."""
        return [Case({f"a.{n.rpartition('.')[2]}": (DATA / n).read_bytes() for n in pair}, 0) for pair in self.pairs]


class Nnf(Compiled):
    """Read c2d's circuits, with weights or without."""

    name = "nnf"
    pairs = (("compiled/either.nnf", "compiled/either.weights"), ("compiled/either.nnf",))


class Clt(Imported):
    """Read Chow-Liu trees."""

    name = "clt"
    sources = ("small.clt",)


class Logistic(Imported):
    """Read logistic circuits that are densities."""

    name = "logistic"

    def make(self) -> list[Case]:
        """Take the one of tests/data."""
        return [Case({"a.circuit": (DATA / "density.circuit").read_bytes()}, 0)]


class JuiceText(Imported):
    """Read Juice's text of a circuit."""

    name = "jpc-text"

    def make(self) -> list[Case]:
        """Take the one of tests/data."""
        return [Case({"a.jpc": (DATA / "small.jpc").read_bytes()}, 0)]


class PsddWithoutIds(Psdd):
    """Read PSDDs that were saved without the ids of vtree nodes."""

    name = "psdd-without-ids"

    def make(self) -> list[Case]:
        """Take it with and without the vtree."""
        own, tree = (DATA / "without_ids.psdd").read_bytes(), (DATA / "small.vtree").read_bytes()
        return [Case({"a.psdd": own, "a.vtree": tree}, 0), Case({"a.psdd": own}, 0)]


IMPORTS = (
    Spn, Bin, Json, Psdd, PsddWithoutIds, Vtree, Jpc, JuiceText, Compiled, Nnf, Clt, Logistic, Bif, Xmlbif, Uai, Net,
    Skops, Pkl, Pickle, Joblib,
)  # fmt: skip

"""Mutated data: every form that data come in."""

from __future__ import annotations

import gzip
import io
import re
import struct
import zipfile
import zlib
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.mutated import Case, Files, Parser, damage_one, resealed
from benchmarks.mutations import BYTES, TEXT, damage
from pcedge.data import Reading, Splits, load_array, load_data
from pcedge.data.readers import SPLITS

#: values that a symbolizer is tried on, at most
TRIED = 1 << 16
#: bytes of zeros that a small compressed file unpacks to
BOMB = 1 << 28


def same(first: np.ndarray, second: np.ndarray) -> bool:
    """Tell whether two arrays are equal in dtype, shape and values."""
    return first.dtype == second.dtype and first.shape == second.shape and bool((first == second).all())


def described(array: np.ndarray | None) -> Any:
    """Give all of an array in a form that can be compared."""
    return None if array is None else (array.dtype.str, array.shape, array.tobytes())


class Arrays(Parser):
    """Read a file or folder of arrays, as `train` does."""

    suffix = ""

    @property
    def path(self) -> Path:
        """Give the path that is read."""
        return self.place_of_files / f"x{self.suffix}"

    def reading(self, case: Case) -> Reading:
        """Give what the file does not say itself."""
        return Reading()

    def read(self, case: Case) -> Splits:
        """Load it."""
        return load_data(self.path, self.reading(case))

    def content(self, case: Case, found: Splits) -> Any:
        """Take all splits."""
        return tuple(described(getattr(found, name)) for name in SPLITS)

    def fault(self, case: Case, found: Splits) -> str | None:
        """Demand integers, and the array that the other reader gives."""
        last = next(part for part in (found.test, found.valid, found.train) if part is not None)
        if last.dtype.kind not in "iub" or not same(load_array(self.path, self.reading(case)), last):
            return "both readers must give the same integers"
        return None


class Npy(Arrays):
    """Read `.npy`: as many numbers as the file holds, and the same when they are written again."""

    name, suffix = "npy", ".npy"

    def arrays(self) -> list[np.ndarray]:
        """Make arrays of several dtypes, orders and shapes."""
        dice = np.random.default_rng(0)
        made = [dice.integers(0, 100, (6, 4)).astype(kind) for kind in ("u1", "<i2", ">i4", "i8", "u8")]
        return [*made, made[0] > 50, np.asfortranarray(made[1].reshape(2, 3, 4)), np.zeros((3, 0), "u1")]

    def make(self) -> list[Case]:
        """Write them, in both versions of the format."""
        made = []
        for number, array in enumerate(self.arrays()):
            file = io.BytesIO()
            np.lib.format.write_array(file, array, version=(1 + number % 2, 0))
            made.append(Case({"x.npy": file.getvalue()}, 0))
        return made

    def damaged(self, dice: Random) -> Case:
        """Damage bytes, or the header's text, of which the length is mostly made anew."""
        source = dice.choice(self.whole)
        if dice.random() < 0.4:
            return Case(damage_one(source, dice, self.whole), source.source)
        return Case({"x.npy": damage_header(source.files["x.npy"], dice)}, source.source)

    def fault(self, case: Case, found: Splits) -> str | None:
        """Compare the bytes too."""
        array, data = found.train, case.files["x.npy"]
        if array.nbytes > len(data):
            return f"{array.nbytes} bytes of numbers cannot come from {len(data)}"
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        if not data.endswith(array.tobytes(order)):
            return "its numbers must be those at the end of the file"
        return super().fault(case, found)


def damage_header(data: bytes, dice: Random) -> bytes:
    """Damage the text of a header of `.npy`."""
    size = 2 if data[6] == 1 else 4
    end = 8 + size + int.from_bytes(data[8 : 8 + size], "little")
    header = damage(data[8 + size : end], dice, TEXT)[:100_000]
    length = len(header) if dice.random() < 0.8 else end - 8 - size
    return data[:8] + (length % 256**size).to_bytes(size, "little") + header + data[end:]


class Npz(Arrays):
    """Read `.npz`: a zip, whose CRCs are made anew where its members are damaged; and small files of many zeros."""

    name, suffix = "npz", ".npz"

    def make(self) -> list[Case]:
        """Write splits, stored and compressed."""
        dice = np.random.default_rng(0)
        parts = {name: dice.integers(0, 9, (4, 3), dtype="u1") for name in SPLITS}
        made = []
        for names in (SPLITS, ("train",), ("train", "test")):
            for save in (np.savez, np.savez_compressed):
                file = io.BytesIO()
                save(file, **{name: parts[name] for name in names})
                made.append(Case({"x.npz": file.getvalue()}, 0))
        # Made once: it takes a while.
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": False, "shape": (BOMB >> 10, 1 << 10)}
        )
        self.bomb = zipped({"train.npy": header.getvalue() + bytes(BOMB)}, zipfile.ZIP_DEFLATED)
        return made

    def damaged(self, dice: Random) -> Case:
        """Damage bytes, or members whose checksums are made anew."""
        source = dice.choice(self.whole)
        kind = dice.random()
        if kind < 0.01:
            return Case({"x.npz": self.bomb if dice.random() < 0.5 else damage(self.bomb, dice)}, source.source)
        if kind < 0.4:
            return Case(damage_one(source, dice, self.whole), source.source, True)
        with zipfile.ZipFile(io.BytesIO(source.files["x.npz"])) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        for _ in range(dice.choice((1, 1, 2))):
            name = dice.choice(sorted(members))
            change = dice.randrange(8)
            if change == 0 and len(members) > 1:
                del members[name]
            elif change == 1:
                members[dice.choice(("train.npy", "test.npy", "valid.npy", "x", "../x.npy", ""))] = members.pop(name)
            elif change < 4:
                members[name] = damage(members[name], dice)
            elif len(members[name]) > 12:
                members[name] = damage_header(members[name], dice)
        data = zipped(members, dice.choice((0, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)))
        return Case({"x.npz": data}, source.source)

    def wrong(self, case: Case, found: Splits) -> str | None:
        """Compare the arrays that are there: names of members have no checksum."""
        parts = self.content(case, found)
        whole = [part for content in self.contents for part in content]
        if case.protected and any(part not in whole for part in parts):
            return "accepted with other numbers, though their checksum was not made anew"
        return self.fault(case, found)


def zipped(members: Files, method: int) -> bytes:
    """Write a zip without dates."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, data)
    return file.getvalue()


class Idx(Arrays):
    """Read IDX, plain and compressed: the numbers behind its header, all of them."""

    name, suffix = "idx", ".idx.gz"

    def make(self) -> list[Case]:
        """Write all types, with one to three dimensions more than the records."""
        dice = np.random.default_rng(0)
        made = []
        for code, kind, shape in ((8, ">u1", (5, 4)), (9, ">i1", (3, 2, 2)), (11, ">i2", (4, 3)), (12, ">i4", (2, 2))):
            head = bytes([0, 0, code, len(shape)]) + b"".join(struct.pack(">I", size) for size in shape)
            data = head + dice.integers(0, 100, shape).astype(kind).tobytes()
            made += [Case({"x.idx": data}, 0), Case({"x.idx.gz": gzip.compress(data, mtime=0)}, 0)]
        return made

    def damaged(self, dice: Random) -> Case:
        """Damage the file, before or after it is compressed."""
        source = dice.choice(self.whole)
        ((name, data),) = source.files.items()
        if name == "x.idx":
            return Case({name: damage(data, dice)}, source.source)
        if dice.random() < 0.5:
            return Case({name: damage(data, dice)}, source.source, True)
        return Case({name: gzip.compress(damage(gzip.decompress(data), dice), 1, mtime=0)}, source.source)

    @property
    def path(self) -> Path:
        """Give the one that is there."""
        return next(iter(self.place_of_files.iterdir()))

    def fault(self, case: Case, found: Splits) -> str | None:
        """Compare the bytes too."""
        ((name, data),) = case.files.items()
        plain = gzip.decompress(data) if name.endswith(".gz") else data
        array = found.train
        if plain[4 + 4 * array.ndim :] != array.astype(array.dtype.newbyteorder(">")).tobytes():
            return "its numbers must be those behind the header"
        return super().fault(case, found)


class Images(Arrays):
    """Read folders of PNG and PGM: a PNG's checksums are made anew in half of the damage to its parts."""

    name, modules = "images", ("PIL",)

    def make(self) -> list[Case]:
        """Write every mode, and splits."""
        from PIL import Image

        dice = np.random.default_rng(0)
        grey = dice.integers(0, 256, (2, 5, 4), dtype="u1")
        deep = dice.integers(0, 65536, (5, 4)).astype("u2")
        colours = [dice.integers(0, 256, (5, 4, count), dtype="u1") for count in (3, 4)]

        def png(pixels: Any) -> bytes:
            file = io.BytesIO()
            (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(file, "png")
            return file.getvalue()

        binary, text = b"P5\n4 5\n255\n" + grey[0].tobytes(), b"P2 # a comment\n4 5 300\n"
        text += b"\n".join(b" ".join(b"%d" % value for value in row) for row in grey[1])
        made: list[Files] = [
            {"x/a.png": png(grey[0]), "x/b.png": png(grey[1])}, {"x/a.png": png(deep)}, {"x/a.png": png(colours[0])},
            {"x/a.png": png(colours[1])}, {"x/a.png": png(Image.fromarray(grey[0] > 99))}, {"x/a.pgm": binary},
            {"x/a.pgm": text, "x/b.pgm": text},
            {"x/a.pgm": b"P5 4 5 999\n" + deep.clip(0, 999).astype(">u2").tobytes()},
            {"x/train/a.png": png(grey[0]), "x/test/a.png": png(grey[1])},
        ]  # fmt: skip
        return [Case(files, 0) for files in made]

    def damaged(self, dice: Random) -> Case:
        """Damage bytes, the chunks of a PNG, or the text of a PGM."""
        source = dice.choice(self.whole)
        name = dice.choice(sorted(source.files))
        data = source.files[name]
        if name.endswith(".pgm"):
            changed = damage(data[:40], dice, TEXT) + data[40:] if dice.random() < 0.6 else damage(data, dice)
            return Case(source.files | {name: changed}, source.source)
        if dice.random() < 0.5:
            return Case(damage_one(source, dice, self.whole), source.source, True)
        return Case(source.files | {name: damage_png(data, dice)}, source.source)

    def wrong(self, case: Case, found: Splits) -> str | None:
        """Compare every image with those of the whole inputs: a damaged name or header may leave some."""
        return super().wrong(case, found)


def damage_png(data: bytes, dice: Random) -> bytes:
    """Damage the chunks of a PNG, and make their checksums anew."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    for _ in range(dice.choice((1, 1, 2))):
        which = dice.randrange(len(chunks))
        kind, body = chunks[which]
        change = dice.randrange(6)
        if change == 0:
            del chunks[which]
        elif change == 1:
            chunks.insert(dice.randrange(len(chunks) + 1), (kind, body))
        elif change == 2:
            kinds = (b"PLTE", b"tRNS", b"gAMA", b"iCCP", b"acTL", b"fcTL", b"tEXt", b"zTXt", b"iTXt", b"xxxx", b"IDAT")
            chunks.insert(dice.randrange(len(chunks) + 1), (dice.choice(kinds), body if body else bytes(9)))
        elif kind == b"IDAT" and change == 3:
            plain = resealed(lambda packed=body: zlib.decompress(packed), body)
            chunks[which] = kind, zlib.compress(damage(plain, dice))
        elif kind == b"IHDR" and change < 5 and len(body) == 13:
            fields = list(struct.unpack(">IIBBBBB", body))
            fields[dice.randrange(7)] = dice.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
            if dice.random() < 0.4:
                fields[dice.randrange(2)] = dice.choice((10_000, 2**16, 2**27, 2**31 - 1, 2**32 - 1))
            chunks[which] = kind, struct.pack(">IIBBBBB", *fields)
        else:
            chunks[which] = kind, damage(body, dice)
        if not chunks:
            return data[:8]
    parts = [struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
             for kind, body in chunks]  # fmt: skip
    return data[:8] + b"".join(parts)


class Raw(Arrays):
    """Read raw binary: the bytes of the file, as the dtype and shape say, which are damaged too."""

    name, suffix = "raw", ".bin"

    def make(self) -> list[Case]:
        """Write some, with what must be said beside them."""
        data = np.random.default_rng(0).integers(0, 2, 96, dtype="u1").tobytes()
        told = (("int16", "4x2"), ("u1", None), (">i4", "3"), ("<u8", "2x2"), ("bool", "8"), ("i1", "2x2x2"))
        return [Case({"x.bin": data}, 0, options=options) for options in told]

    def damaged(self, dice: Random) -> Case:
        """Damage the file, or what is said."""
        source = dice.choice(self.whole)
        files, (dtype, shape) = source.files, source.options
        if dice.random() < 0.5:
            return Case(damage_one(source, dice, self.whole), source.source, options=source.options)
        if dice.random() < 0.5:
            dtype = damage(dtype.encode(), dice, TEXT).decode("latin-1")[:2000]
        else:
            shape = damage((shape or "1").encode(), dice, TEXT).decode("latin-1")[:2000]
        return Case(files, source.source, options=(dtype, shape))

    def reading(self, case: Case) -> Reading:
        """Say dtype and shape."""
        return Reading(*case.options)

    def fault(self, case: Case, found: Splits) -> str | None:
        """Compare the bytes too."""
        dtype = self.reading(case).number
        if dtype is None or found.train.astype(dtype).tobytes() != case.files["x.bin"]:
            return "its numbers must be the bytes of the file"
        return super().fault(case, found)


class Csv(Arrays):
    """Read tables: every cell of every line is there; a header has a name, and is no line of missing values."""

    name, suffix = "csv", ".csv"
    #: marks of missing values, which no header consists of alone
    MARKS = ("", "?", "na", "n/a", "<na>", "nan", "-nan", "null")

    def make(self) -> list[Case]:
        """Write tables with all delimiters, with headers and without, with empty cells."""
        texts = {
            "a,b,c\n1,2,3\n4,5,6\n-7,8,9\n": None, "1;2\n3;4\n\n5;6\n": None, "1\t-2\n300\t4\n": None,
            "x y\n 1 2\n3  4 \n": None, "1,,3\n,,\n4,5,\n": -1, '"a b",c\n"1",2\n70000,5000000000\n': None,
            "\ufeff1,2\r\n3,4\r\n": None, "7\n8\n9\n": None, "NA,NA,x\n1,2,3\n": None,
        }  # fmt: skip
        return [Case({"x.csv": text.encode()}, 0, options=missing) for text, missing in texts.items()]

    def damaged(self, dice: Random) -> Case:
        """Damage the text."""
        source = dice.choice(self.whole)
        kinds = TEXT if dice.random() < 0.85 else BYTES
        return Case(damage_one(source, dice, self.whole, kinds), source.source, options=source.options)

    def reading(self, case: Case) -> Reading:
        """Say what an empty cell stands for."""
        return Reading(missing=case.options)

    def fault(self, case: Case, found: Splits) -> str | None:
        """Compare the integers of every line, where nothing is quoted, and look at what was taken as a header."""
        array, missing = found.train, case.options
        data = case.files["x.csv"].decode("utf-8-sig")
        if '"' in data:
            return super().fault(case, found)
        lines = [line for line in re.split("\r\n|\r|\n", data) if line.strip()]
        # Of one column a blank line may be a record, and a mark is one.
        first = lines[0].strip() if lines else "0"
        named = not re.fullmatch("[+-]?[0-9]+", first) and first.lower() not in self.MARKS
        if len(lines) == len(array) + 1 or (array.shape[1] == 1 and named):
            header = [cell.strip() for cell in re.split("[\t;, ]", lines.pop(0))]
            if not any(re.search("[^\\W\\d_]", cell) and cell.lower() not in self.MARKS for cell in header):
                return f"the first line {header} has no name and must be a record"

        def known(numbers: list[int]) -> list[int]:
            return [number for number in numbers if number != missing]

        # Lines of missing values alone have none; a blank line may be one of them.
        wanted = [known([int(word) for word in re.findall("[+-]?[0-9]+", line)]) for line in lines]
        given = [known(row) for row in array.tolist()]
        if list(filter(None, wanted)) != list(filter(None, given)):
            return f"{wanted} must be read, got {given}"
        return super().fault(case, found)


ARRAYS = (Npy, Npz, Idx, Images, Raw, Csv)

"""Put pcedge beside other lossless codecs, whole and record by record: python benchmarks/rivals.py [SET ...].

Every stream is decoded and compared, and all of its bytes count, but for the circuit, which has a table of its
own. Speeds are of raw bytes over CPU time, one thread. A set or a codec that is not there is left out with a reason.
Named sets only print; without names docs/results.md is written.
"""

from __future__ import annotations

import argparse
import bz2
import lzma
import math
import resource
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import version
from typing import Any

import numpy as np
from baselines import columns, flac
from numpy.typing import NDArray
from results import table, write_section
from sensor import prepared
from sets import load
from telemetry import SHARED, Missing

from pcedge.codec.archive import pack_circuit
from pcedge.codec.stream import decode, encode
from pcedge.data import load_array
from pcedge.export import load_zoo
from pcedge.integer import IntegerCircuit
from pcedge.learn.sensor import fit_sensor
from pcedge.native import open_engine
from pcedge.quantize import quantize

Array = NDArray[Any]

#: records of the record-by-record tables at most
RECORDS = 1000

#: bytes of the dictionary that zstd is given for single records, as its command line takes by default
DICTIONARY = 112_640

#: pixels of a side of a WebP at most
WEBP = 16_383

PCEDGE = "pcedge"


@dataclass(frozen=True)
class Set:
    """Hold a test set, the records that it is cut into, and its circuit."""

    test: Array
    train: Array
    circuit: IntegerCircuit
    #: rows of a record
    rows: int
    what: str
    #: height and width of an image, where records are images
    image: tuple[int, int] | None = None

    @property
    def records(self) -> list[Array]:
        """Give the first records."""
        count = min(RECORDS, len(self.test) // self.rows)
        return [self.test[self.rows * i : self.rows * (i + 1)] for i in range(count)]


@dataclass
class Figure:
    """Say what a codec needs for a set: bytes, and seconds of CPU."""

    bytes: int
    encode: float
    decode: float
    #: bytes of a model that both sides must have
    model: int = 0


#: encodes an array, decodes it again
Pair = tuple[Callable[[Array], Any], Callable[[Any], Any]]


@dataclass(frozen=True)
class Codec:
    """Hold a codec: some settings, of which the best counts."""

    name: str
    package: str
    settings: tuple[Pair, ...]
    #: what it is for: numbers, images
    images: bool = False
    #: how arrays are laid out for it
    layouts: Callable[[Set, Array], list[Array]] = field(default=lambda of, x: [x])


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _size(data: Any) -> int:
    return sum(map(_size, data)) if isinstance(data, list) else len(data)


def _same(back: Any, x: Array) -> None:
    back = back if isinstance(back, bytes | bytearray) else np.asarray(back).astype(x.dtype).tobytes()
    if back != x.tobytes():
        raise AssertionError("a codec gave other values back")


def packed_bits(of: Set, x: Array) -> list[Array]:
    """Lay an array out as it is, and binary symbols as bits too."""
    return [x, np.packbits(x)] if of.test.dtype.kind == "u" and of.test.max() <= 1 else [x]


def flat_too(of: Set, x: Array) -> list[Array]:
    """Lay an array out by its columns, and as one column."""
    return [x, x.reshape(-1, 1)]


def pictures(of: Set, x: Array) -> list[Array]:
    """Lay images out as one: in a grid that is as square as their number allows, and below each other; bands below."""
    if of.image is None:
        return [np.concatenate(list(np.moveaxis(x, -1, 0)))]
    height, width = of.image
    images = x.reshape(-1, height, width)
    across = next(n for n in range(math.isqrt(len(images)), 0, -1) if len(images) % n == 0)
    grid = images.reshape(-1, across, height, width).swapaxes(1, 2).reshape(-1, across * width)
    return [grid, images.reshape(-1, width)][: 1 + (across > 1)]


def lzma_pair() -> Pair:
    # A container costs 60 bytes a record; a dictionary beyond the data costs time alone.
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]

    def pack(x: Array) -> bytes:
        filters[0]["dict_size"] = min(max(4096, x.nbytes), 1 << 26)
        return lzma.compress(x, lzma.FORMAT_RAW, filters=filters)

    return pack, lambda data: lzma.decompress(data, lzma.FORMAT_RAW, filters=filters)


def zlib_pair() -> Pair:
    def deflate(x: Array) -> bytes:
        packer = zlib.compressobj(9, wbits=-15)
        return packer.compress(x) + packer.flush()

    return deflate, lambda data: zlib.decompress(data, wbits=-15)


def zstd_pair(dictionary: bytes | None = None) -> Pair:
    import zstandard

    known = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
    packer = zstandard.ZstdCompressor(22, dict_data=known, write_content_size=True, write_dict_id=False)
    unpacker = zstandard.ZstdDecompressor(dict_data=known)
    return packer.compress, unpacker.decompress


def brotli_pair() -> Pair:
    import brotli

    return lambda x: brotli.compress(x.tobytes(), quality=11, lgwin=24), brotli.decompress


def pcodec_pair(differences: bool) -> Pair:
    from pcodec import ChunkConfig, standalone

    def pack(x: Array) -> list[Any]:
        parts: list[Any] = []
        for column in columns(x):
            wide = column if column.itemsize > 1 else column.astype(f"{column.dtype.kind}2")
            wide = np.diff(wide, prepend=wide.dtype.type(0)) if differences else wide
            parts.append(standalone.simple_compress(wide, ChunkConfig(compression_level=12)))
        return parts

    def unpack(parts: list[Any]) -> Array:
        wide = [standalone.simple_decompress(part) for part in parts]
        return np.stack([np.cumsum(part, dtype=part.dtype) if differences else part for part in wide], axis=1)

    return pack, unpack


def openzl_pair() -> Pair:
    import openzl.ext as zl

    # Each input, a column, takes the smallest of some graphs; the frame holds all columns.
    compressor = zl.Compressor()
    lz = zl.graphs.FieldLz(compression_level=9)(compressor)
    delta = zl.nodes.DeltaInt()
    graphs = [lz, delta(compressor, lz), delta(compressor, zl.nodes.Zigzag()(compressor, lz)),
              zl.nodes.RangePack()(compressor, lz), zl.graphs.Compress()(compressor)]  # fmt: skip
    compressor.select_starting_graph(zl.graphs.BruteForce(graphs)(compressor))

    def pack(x: Array) -> list[bytes]:
        context = zl.CCtx()
        parts = []
        for column in columns(x):
            context.ref_compressor(compressor)
            context.set_parameter(zl.CParam.FormatVersion, zl.MAX_FORMAT_VERSION)
            unsigned = column.view(f"u{column.itemsize}")  # it takes no others
            parts.append(context.compress([zl.Input(zl.Type.Numeric, unsigned)]))
        return parts

    def unpack(parts: list[bytes]) -> Array:
        return np.stack([zl.DCtx().decompress(part)[0].content.as_nparray() for part in parts], axis=1)

    return pack, unpack


def blosc_pair(filters: tuple[str, ...]) -> Pair:
    import blosc2

    chosen = [getattr(blosc2.Filter, name) for name in filters]

    def pack(x: Array) -> bytes:
        packed: bytes = blosc2.compress2(
            x, codec=blosc2.Codec.ZSTD, clevel=9, filters=chosen, typesize=x.itemsize, nthreads=1
        )
        return packed

    return pack, partial(blosc2.decompress2, nthreads=1)


def image_pair(encode: str, decode: str, **options: Any) -> Pair:
    import imagecodecs

    return partial(getattr(imagecodecs, encode), **options), getattr(imagecodecs, decode)


def webp_pair() -> Pair:
    import imagecodecs

    def pack(x: Array) -> bytes:
        if max(x.shape) > WEBP or x.itemsize > 1:
            raise Missing(f"WebP takes {WEBP} pixels a side, of 8 bits")
        # It has no grey images: three equal channels cost nothing, as it codes differences to green.
        packed: bytes = imagecodecs.webp_encode(np.stack([x] * 3, axis=-1), level=100, lossless=True, numthreads=0)
        return packed

    return pack, lambda data: imagecodecs.webp_decode(data)[..., 1]


def codecs() -> list[Codec]:
    """List the other codecs."""
    found: list[Codec] = []

    def add(name: str, package: str, *pairs: Callable[[], Pair], **of: Any) -> None:
        try:
            found.append(Codec(name, package, tuple(pair() for pair in pairs), **of))
        except ImportError as error:
            print(f"{name}: left out, {error}", flush=True)

    bits: dict[str, Any] = {"layouts": packed_bits}
    images: dict[str, Any] = {"images": True, "layouts": pictures}
    add("as it is", "", lambda: (np.ndarray.tobytes, bytes), **bits)
    add("zlib 9", "", zlib_pair, **bits)
    add("xz 9e", "", lzma_pair, **bits)
    add("zstd 22", "zstandard", zstd_pair, **bits)
    add("brotli 11", "brotli", brotli_pair, **bits)
    add("bz2 9", "", lambda: (bz2.compress, bz2.decompress), **bits)
    add("blosc2, zstd 9", "blosc2", *(partial(blosc_pair, filters) for filters in (
        ("SHUFFLE",), ("BITSHUFFLE",), ("DELTA", "BITSHUFFLE"), ("SHUFFLE", "BYTEDELTA"))))  # fmt: skip
    add("pcodec 12", "pcodec", partial(pcodec_pair, False), partial(pcodec_pair, True), layouts=flat_too)
    add("OpenZL", "openzl", openzl_pair, layouts=flat_too)
    add("PNG", "imagecodecs", partial(image_pair, "png_encode", "png_decode", level=9), **images)
    add("WebP", "imagecodecs", webp_pair, **images)
    add("JPEG-LS", "imagecodecs", partial(image_pair, "jpegls_encode", "jpegls_decode"), **images)
    add("JPEG XL 9", "imagecodecs", partial(
        image_pair, "jpegxl_encode", "jpegxl_decode", lossless=True, effort=9, numthreads=1), **images)  # fmt: skip
    return found


def measured(pair: Pair, x: Array) -> Figure:
    """Encode, decode and compare."""
    begin = _cpu()
    data = pair[0](x)
    between = _cpu()
    size = _size(data)
    back = pair[1](data)
    figure = Figure(size, between - begin, _cpu() - between)
    _same(back, x)
    return figure


def _others(of: Set, parts: list[Array]) -> dict[str, Figure]:
    """Compress each of some arrays by all other codecs, the best of their settings and layouts."""
    found = {}
    for codec in codecs():
        if codec.images and of.image is None and of.test.ndim < 3:
            continue
        tried = []
        for pair in codec.settings:
            for number in range(len(codec.layouts(of, parts[0]))):
                try:
                    tried.append(_summed(pair, [codec.layouts(of, part)[number] for part in parts]))
                except (Missing, RuntimeError, ValueError) as error:
                    print(f"{codec.name}: a setting or layout is left out, {error}", flush=True)
        if tried:
            found[codec.name] = min(tried, key=lambda figure: figure.bytes)
    if of.image is None and of.test.dtype.itemsize > 1 and of.test.ndim < 3:
        try:
            # A program of its own, which decodes too: its time says nothing.
            found["FLAC 8ep"] = Figure(sum(flac(part, None) for part in parts), math.nan, math.nan)
        except Missing as error:
            print(f"FLAC: left out, {error}", flush=True)
    return found


def _summed(pair: Pair, parts: list[Array]) -> Figure:
    """Measure some arrays, each by itself."""
    figures = [measured(pair, np.ascontiguousarray(part)) for part in parts]
    return Figure(sum(f.bytes for f in figures), sum(f.encode for f in figures), sum(f.decode for f in figures))


def whole(of: Set) -> dict[str, Figure]:
    """Compress a test set as a whole by all codecs."""
    found = _others(of, [of.test])
    engine = open_engine(of.circuit)
    for lanes in (1, 64):
        pair = (partial(encode, engine, lanes=lanes), partial(decode, engine))
        found[f"{PCEDGE}, S = {lanes}"] = measured(pair, of.test)
    return found


def single(of: Set) -> dict[str, Figure]:
    """Compress the first records each by itself."""
    records = of.records
    found = _others(of, records)
    try:
        known = trained(of)
        found["zstd 22, dictionary"] = _summed(zstd_pair(known), records)
        found["zstd 22, dictionary"].model = len(known)
    except ImportError as error:
        print(f"zstd with a dictionary: left out, {error}", flush=True)
    engine = open_engine(of.circuit)
    # A lane for each record: decodable alone, with its length beside it and one header for all.
    pair = (partial(encode, engine, lanes=len(records)), partial(decode, engine))
    found[f"{PCEDGE}, a lane each"] = measured(pair, np.concatenate(records))
    found[f"{PCEDGE}, a stream each"] = _summed((partial(encode, engine), partial(decode, engine)), records)
    return found


def trained(of: Set) -> bytes:
    """Train zstd's dictionary on records of the train split."""
    import zstandard

    rows = np.ascontiguousarray(of.train)
    count = min(len(rows) // of.rows, 20_000)
    samples = [rows[of.rows * i : of.rows * (i + 1)].tobytes() for i in range(count)]
    data: bytes = zstandard.train_dictionary(min(DICTIONARY, rows.nbytes // 10), samples).as_bytes()
    return data


def _sensor(name: str, rows: int, what: str) -> Set:
    """Learn a set's circuit by the defaults of `pcedge train`."""
    data, test, source = prepared(name)
    circuit = quantize(fit_sensor(data, source=source)[0])
    return Set(test, load(name).train, circuit, rows, what)


def _mnist() -> Set:
    paths = [SHARED / f"mnist/{name}-images-idx3-ubyte.gz" for name in ("t10k", "train")]
    for path in paths:
        if not path.is_file():
            raise Missing(f"{path} does not exist")
    test, train = (np.asarray(load_array(str(path))).reshape(-1, 784) for path in paths)
    return Set(test, train, load_zoo("mnist-16"), 1, "images of 28×28 pixels, a record an image", (28, 28))


def _nltcs() -> Set:
    path = SHARED / "debd/nltcs.npz"
    if not path.is_file():
        raise Missing(f"{path} does not exist")
    with np.load(path) as arrays:
        test, train = (np.ascontiguousarray(arrays[name]).astype(np.uint8) for name in ("test", "train"))
    return Set(test, train, load_zoo("nltcs"), 1, "a table of 16 answers, 0 or 1, a record a row")


SETS: dict[str, Callable[[], Set]] = {
    "mnist": _mnist,
    "ecg": partial(_sensor, "ecg", 360, "ECG, 2 channels, a record a second: 360 rows"),
    "shuttle": partial(_sensor, "shuttle", 60, "telemetry, a table of 9 columns, a record 60 rows"),
    "nltcs": _nltcs,
    "speech": partial(_sensor, "speech", 800, "speech at 8 kHz, a record 800 samples"),
    "hyperspectral": partial(_sensor, "hyperspectral", 1, "a cube of 145 columns × 200 bands, a record a line"),
}


@cache
def loaded(name: str) -> Set:
    """Read a set and make its circuit."""
    return SETS[name]()


def _names(figures: dict[str, dict[str, Figure]]) -> list[str]:
    """Give the codecs of all sets, ours last."""
    return sorted(
        dict.fromkeys(name for of in figures.values() for name in of), key=lambda name: name.startswith(PCEDGE)
    )


def _cells(figures: dict[str, dict[str, Figure]], values: dict[str, int]) -> list[list[str]]:
    """Write bits a number, and how many times pcedge's best they are."""
    names = _names(figures)
    best = {name: min(f.bytes for c, f in of.items() if c.startswith(PCEDGE)) for name, of in figures.items()}
    rows = []
    for codec in names:
        row = [codec]
        for name, of in figures.items():
            if codec not in of:
                row.append("")
                continue
            ratio = of[codec].bytes / best[name]
            least = of[codec].bytes == min(f.bytes for f in of.values())
            text = f"{8 * of[codec].bytes / values[name]:.3f}"
            row.append((f"**{text}**" if least else text) + f" ({ratio:.2f})")
        rows.append(row)
    return rows


def _speeds(figures: dict[str, dict[str, Figure]], raw: dict[str, int]) -> list[list[str]]:
    names = [
        name
        for name in _names(figures)
        if not all(math.isnan(of[name].encode) for of in figures.values() if name in of)
    ]

    def cell(figure: Figure | None, size: int) -> str:
        if figure is None or math.isnan(figure.encode):
            return ""
        return " / ".join(f"{size / 1e6 / max(seconds, 1e-6):.3g}" for seconds in (figure.encode, figure.decode))

    return [[codec, *(cell(of.get(codec), raw[name]) for name, of in figures.items())] for codec in names]


def _even(of: dict[str, Figure], raw: int, circuit: int) -> tuple[str, str]:
    """Give the best other codec, and after how many MB the circuit has been paid."""
    ours = min(figure.bytes for codec, figure in of.items() if codec.startswith(PCEDGE))
    others = {codec: figure for codec, figure in of.items() if not codec.startswith(PCEDGE)}
    best = min(others, key=lambda codec: others[codec].bytes)
    saved = (others[best].bytes - ours) / raw
    # What the other needs beforehand counts for us.
    dear = max(0, circuit - others[best].model)
    return f"{best}, {others[best].bytes / ours:.2f}", f"{dear / saved / 1e6:.3g}" if saved > 0 else "never"


def report(names: list[str]) -> list[str]:
    """Measure sets; give the lines of the section."""
    wholes: dict[str, dict[str, Figure]] = {}
    singles: dict[str, dict[str, Figure]] = {}
    raw, cut, values, cut_values, about, even = {}, {}, {}, {}, [], []
    for name in names:
        try:
            of = loaded(name)
        except Missing as reason:
            about += [f"{name} was left out: {reason}.", ""]
            print(about[-2], flush=True)
            continue
        records = of.records
        wholes[name], singles[name] = whole(of), single(of)
        raw[name], cut[name] = of.test.nbytes, sum(record.nbytes for record in records)
        values[name], cut_values[name] = of.test.size, sum(record.size for record in records)
        circuit = len(pack_circuit(of.circuit))
        about.append(f"*{name}*: {of.what}; {of.test.shape[0]:,} rows, {raw[name]:,} bytes.")
        one, alone = _even(wholes[name], raw[name], circuit), _even(singles[name], cut[name], circuit)
        size = cut[name] / len(records)
        count = f"{float(alone[1]) * 1e6 / size:,.0f}" if alone[1] != "never" else "never"
        even.append([name, f"{circuit:,}", *one, *alone, count])
        print(name, {c: (f.bytes, round(f.encode, 2), round(f.decode, 2)) for c, f in wholes[name].items()}, flush=True)
        print(name, {c: f.bytes for c, f in singles[name].items()}, flush=True)
    packages = sorted({codec.package for codec in codecs() if codec.package})
    return [
        "Bits a number of the test sets, every byte of a stream counted, and in brackets its size over that of "
        "pcedge's smallest. Circuits are the zoo's, learned on the train split, or those that `pcedge train` makes of "
        "it without any option. Others take the best of some settings: filters of blosc2; plain and differences of "
        "pcodec; LZ, differences, zigzag and range of OpenZL; both by columns or as one; images in a grid or below "
        "each other, bands below each other; binary symbols as bytes or bits. zlib and xz have no container. "
        + ", ".join(f"{name} {version(name)}" for name in packages)
        + ".",
        "",
        *about,
        "",
        *table(["whole set", *wholes], _cells(wholes, values)),
        "",
        f"Record by record: the first {RECORDS:,} records of each, each decodable without the others. *A lane each* is "
        "one stream with a lane for each record, lengths and header counted; *a stream each* has a header of its own. "
        f"zstd's dictionary, {DICTIONARY:,} bytes at most, is learned on the train split and not counted here. "
        "A lane has whole bytes, one more than the coder moved out, and its length is a byte: records of few bits, as "
        "those of nltcs, lose alone to bits that are stored as they are, and win with others in a lane.",
        "",
        *table(["record by record", *singles], _cells(singles, cut_values)),
        "",
        "The circuit is data too: its bytes, packed as `pcedge pack` does, and the MB of raw data after which it has "
        "paid for itself against the smallest of the others, which is named with its size over ours.",
        "",
        *table(
            ["set", "circuit, bytes", "whole: best other", "MB", "record by record: best other", "MB", "records"], even
        ),
        "",
        "Megabytes of raw data a second of CPU, one thread, encode / decode, whole sets, pcedge by its native engine:",
        "",
        *table(["codec", *wholes], _speeds(wholes, raw)),
        "",
        "The same record by record, calls from Python included:",
        "",
        *table(["codec", *singles], _speeds(singles, cut)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *SETS], metavar="SET", help=", ".join(SETS))
    given = parser.parse_args()
    lines = report(given.names or list(SETS))
    print("\n".join(lines))
    if not given.names:
        write_section("Other codecs", "python benchmarks/rivals.py", lines)


if __name__ == "__main__":
    main()

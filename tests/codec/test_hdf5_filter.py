"""The filter of HDF5: datasets of h5py come back, what does not fit is stored as it is, what is missing is named."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json
from helpers.series import series, series_circuit
from numpy.testing import assert_array_equal

import pcedge
from pcedge.codec import registry
from pcedge.data import load_array
from pcedge.errors import DataError, MissingToolError, UsageError
from pcedge.export import write_onnx
from pcedge.integer import IntegerCircuit
from pcedge.native.build import BuildError, build_plugin, compiler
from pcedge.quantize import quantize

h5py = pytest.importorskip("h5py")


def records(circuit: IntegerCircuit, count: int = 500) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.array(circuit.cardinalities), (count, 4)).astype(np.uint8)


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i4", "<u8", ">i2", "i1"])
@pytest.mark.parametrize("lanes", [None, 3])
def test_datasets_come_back(circuit, tmp_path, dtype, lanes):
    from pcedge.codec.hdf5_filter import FILTER_ID, options

    data = records(circuit).astype(dtype)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        # The last chunk is not full.
        made = file.create_dataset("x", data=data, chunks=(160, 4), **options(circuit, dtype, lanes=lanes))
        assert made.id.get_create_plist().get_filter(0)[0] == FILTER_ID
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        np.testing.assert_array_equal(file["x"][:], data)
        assert file["x"].dtype == data.dtype
        mask, chunk = file["x"].id.read_direct_chunk((0, 0))
        from pcedge.codec import stream

        assert mask == 0 and chunk == stream.encode(registry.engine_of(circuit.digest.hex()), data[:160], lanes)
        file["x"][70:90] = 1
        data[70:90] = 1
        np.testing.assert_array_equal(file["x"][5:200], data[5:200])


def test_other_filters_and_shapes_and_symbolizers(circuit, tmp_path):
    from pcedge.codec.hdf5_filter import options

    codec, data = quantize(series_circuit()), series(6400)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        made = file.create_dataset(
            "x", data=data.reshape(8, 800, 2), chunks=(2, 800, 2), fletcher32=True, fillvalue=int(data[0, 0]),
            **options(codec, data.dtype),
        )  # fmt: skip
        np.testing.assert_array_equal(made[:].reshape(-1, 2), data)
        assert made.id.get_storage_size() < data.nbytes


def test_what_does_not_fit_is_stored_as_it_is(circuit, tmp_path, caplog):
    from pcedge.codec.hdf5_filter import options

    data = records(circuit)
    data[200] = 200
    with h5py.File(tmp_path / "x.h5", "w") as file, caplog.at_level(logging.WARNING, "pcedge"):
        file.create_dataset("x", data=data, chunks=(100, 4), **options(circuit))
    assert [r.message for r in caplog.records] == [
        "a chunk is not compressed: record 0, variable 0: a symbol must be in 0..1, got 200"
    ]
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(file["x"][:], data)
        assert [file["x"].id.read_direct_chunk((row, 0))[0] for row in (100, 200)] == [0, 1]


def test_a_circuit_that_is_not_there_is_named(circuit, tmp_path, caplog):
    from pcedge.codec.hdf5_filter import options

    data = records(circuit)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=data, chunks=(100, 4), **options(circuit))
    path = registry.keep_circuit(circuit)
    hidden = path.rename(tmp_path / "hidden")
    registry._named.clear()
    registry.engine_of.cache_clear()
    with h5py.File(tmp_path / "x.h5") as file, caplog.at_level(logging.WARNING, "pcedge"):
        with pytest.raises(OSError, match="filter"):
            file["x"][:]
        assert f"a chunk is not restored: the circuit {circuit.digest.hex()} must be in one of" in caplog.text
        hidden.rename(path)
        np.testing.assert_array_equal(file["x"][:], data)


def test_a_chunk_that_would_grow_is_stored_as_it_is(circuit, tmp_path, caplog):
    from pcedge.codec.hdf5_filter import options

    data = records(circuit, 5)
    with h5py.File(tmp_path / "x.h5", "w") as file, caplog.at_level(logging.WARNING, "pcedge"):
        made = file.create_dataset("x", data=data, chunks=data.shape, **options(circuit))
        assert made.id.read_direct_chunk((0, 0)) == (1, data.tobytes()) and not caplog.records
        np.testing.assert_array_equal(made[:], data)


def test_another_process_finds_it_in_a_folder(circuit, tmp_path):
    from pcedge.codec.hdf5_filter import options

    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=records(circuit), chunks=(100, 4), **options(circuit))
    registry.keep_circuit(circuit)
    script = (
        "import sys, h5py, numpy as np, pcedge.codec.hdf5_filter\n"
        "with h5py.File(sys.argv[1]) as f: print(int(f['x'][:].astype(int).sum()))"
    )
    said = subprocess.run([sys.executable, "-c", script, tmp_path / "x.h5"], capture_output=True, text=True, check=True)
    assert int(said.stdout) == int(records(circuit).astype(int).sum())


def test_a_damaged_chunk(circuit, tmp_path, caplog):
    from pcedge.codec.hdf5_filter import options

    with h5py.File(tmp_path / "x.h5", "w") as file:
        made = file.create_dataset("x", data=records(circuit), chunks=(500, 4), **options(circuit))
        _, chunk = made.id.read_direct_chunk((0, 0))
        made.id.write_direct_chunk((0, 0), chunk[:-5] + b"\0" + chunk[-4:])
    with h5py.File(tmp_path / "x.h5") as file, caplog.at_level(logging.WARNING, "pcedge"):
        with pytest.raises(OSError, match="filter"):
            file["x"][:]
    assert "a chunk is not restored: the checksum of segment 0" in caplog.text


def test_the_readers_of_data_restore_it(circuit, tmp_path, monkeypatch):
    """No import registers the filter there: the reader does, and says why a chunk does not come back."""
    from pcedge.codec.hdf5_filter import options

    data, path = records(circuit), tmp_path / "x.h5"
    write_onnx(circuit, tmp_path / "m.onnx")
    with h5py.File(path, "w") as file:
        file.create_dataset("deep/x", data=data, chunks=(100, 4), **options(circuit))
    script = "import sys, pcedge\nprint(pcedge.load_array(sys.argv[1]).sum(dtype=int))"
    registry.keep_circuit(circuit)
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) == data.sum(dtype=int)
    monkeypatch.setattr(registry, "_named", {})
    registry.engine_of.cache_clear()
    monkeypatch.setenv("PCEDGE_CIRCUITS", str(tmp_path / "none"))
    digest = circuit.digest.hex()
    with pytest.raises(DataError, match=f"x.h5::deep/x must be restored by pcedge's filter, it is not: .* {digest} "):
        load_array(path)
    # The circuit that the command is given is one that it knows.
    assert as_json("encode", tmp_path / "m.onnx", path, tmp_path / "x.pce")["records"] == len(data)
    assert_array_equal(pcedge.decode(tmp_path / "m.onnx", (tmp_path / "x.pce").read_bytes()), data)
    assert_array_equal(load_array(f"{path}::deep/x"), data)


def test_a_chunk_that_restores_too_little_is_refused(circuit, tmp_path):
    """HDF5 would read on behind it."""
    from pcedge.codec.hdf5_filter import options

    for count in (99, 100, 101):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            made = file.create_dataset("x", (100, 4), "u1", chunks=(100, 4), **options(circuit))
            made.id.write_direct_chunk((0, 0), pcedge.encode(circuit, records(circuit, count)))
        if count < 100:
            with pytest.raises(DataError, match=r"it is not: a chunk must restore 400 bytes, its stream holds 396$"):
                load_array(tmp_path / "x.h5")
        else:
            assert_array_equal(load_array(tmp_path / "x.h5"), records(circuit, count)[:100])


def test_a_filter_that_is_not_there_is_named(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_chunk((5, 4))
        made.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        space = h5py.h5s.create_simple((5, 4))
        h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_UINT8, space, made)
    with pytest.raises(MissingToolError, match=r"x.h5::x needs HDF5's filter 32015 .*HDF5_PLUGIN_PATH"):
        load_array(tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("dtype", "told", "right"),
    [("<i2", "u1", False), ("u1", "i1", False), (">i2", "<i2", False), ("<f4", "<i4", False), ("bool", "u1", False),
     ("u1", "u1", True), (">i4", ">i4", True), ("bool", "bool", True), ("<f4", "<f4", True)],
)  # fmt: skip
def test_options_of_another_dtype_are_told(circuit, tmp_path, caplog, dtype, told, right):
    from pcedge.codec.hdf5_filter import options

    with h5py.File(tmp_path / "x.h5", "w") as file, caplog.at_level(logging.WARNING, "pcedge"):
        file.create_dataset("x", (8, 4), dtype, chunks=(4, 4), **options(circuit, told))
    if right:
        assert not caplog.records
    else:
        assert f"a dataset of {np.dtype(dtype)} must have the options of its dtype, options(circuit, " in caplog.text


def test_shipped_circuits_are_known_by_name_and_digest(no_circuits, tmp_path):
    from pcedge.codec.hdf5_filter import options

    x = load_array("digits")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=x, chunks=(90, 8, 8), **options("digits", x.dtype))
    registry._named.clear()
    registry.engine_of.cache_clear()
    with h5py.File(tmp_path / "x.h5") as file:
        assert_array_equal(file["x"][:], x)
        assert file["x"].id.get_storage_size() < x.nbytes / 3


def test_what_options_refuse(circuit):
    from pcedge.codec.hdf5_filter import options

    with pytest.raises(UsageError, match="must have numbers, got complex64"):
        options(circuit, "c8")
    with pytest.raises(UsageError, match="must have a circuit, or the digest of one"):
        options()
    with pytest.raises(UsageError, match="lanes must be an integer of at least 1"):
        options(circuit, lanes=0)


@pytest.mark.parametrize("values", [(), (1,), (2, *range(10)), (1, *range(8), 0, 0), (1, *range(8), 0x3C0969, 0)])
def test_numbers_of_another_version(circuit, tmp_path, caplog, values):
    from pcedge.codec.hdf5_filter import FILTER_ID

    with h5py.File(tmp_path / "x.h5", "w") as file, caplog.at_level(logging.WARNING, "pcedge"):
        file.create_dataset("x", data=records(circuit), chunks=(500, 4), compression=FILTER_ID, compression_opts=values)
        np.testing.assert_array_equal(file["x"][:], records(circuit))
    assert "a chunk is not compressed" in caplog.text


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build_plugin(tmp_path_factory.mktemp("plugin"))
    except BuildError as error:
        pytest.skip(str(error))


class TestPlugin:
    def python(self, plugin: Path, script: str, *words: object) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"HDF5_PLUGIN_PATH": str(plugin.parent)}
        command = [sys.executable, "-c", f"import sys, h5py, numpy as np\n{script}", *map(str, words)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def test_nothing_is_imported(self, circuit, plugin, tmp_path):
        from pcedge.codec.hdf5_filter import FILTER_ID, options

        registry.keep_circuit(circuit)
        values = options(circuit)["compression_opts"]
        script = (
            "with h5py.File(sys.argv[1], 'w') as f: f.create_dataset('x', data=np.load(sys.argv[2]), chunks=(100, 4), "
            f"compression={FILTER_ID}, compression_opts={values})\n"
            "with h5py.File(sys.argv[1]) as f: np.save(sys.argv[3], f['x'][:]); "
            "print(f['x'].id.read_direct_chunk((0, 0))[0])"
        )
        np.save(tmp_path / "x.npy", records(circuit))
        done = self.python(plugin, script, tmp_path / "x.h5", tmp_path / "x.npy", tmp_path / "y.npy")
        assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
        np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), records(circuit))
        with h5py.File(tmp_path / "x.h5") as file:
            np.testing.assert_array_equal(file["x"][:], records(circuit))

    def test_without_pcedge_it_says_so(self, circuit, plugin, tmp_path):
        from pcedge.codec.hdf5_filter import options

        with h5py.File(tmp_path / "x.h5", "w") as file:
            file.create_dataset("x", data=records(circuit), chunks=(100, 4), **options(circuit))
        script = "sys.modules['pcedge'] = None\nwith h5py.File(sys.argv[1]) as f: f['x'][:]"
        done = self.python(plugin, script, tmp_path / "x.h5")
        assert done.returncode and "pcedge: the filter of HDF5 must find pcedge: " in done.stderr

    def test_another_program_is_told(self, plugin, tmp_path):
        (tmp_path / "main.c").write_text(
            "#include <dlfcn.h>\n#include <stddef.h>\n"
            "typedef struct { int a, b; unsigned c, d; const char *n; void *e, *f; "
            "size_t (*g)(unsigned, size_t, const unsigned *, size_t, size_t *, void **); } filter;\n"
            "int main(int count, char **words) {\n  (void)count;\n"
            "  const filter *(*info)(void);\n"
            '  *(void **)&info = dlsym(dlopen(words[1], RTLD_NOW), "H5PLget_plugin_info");\n'
            "  return (int)info()->g(0, 0, NULL, 0, NULL, NULL);\n}\n"
        )
        subprocess.run([*compiler(), "-o", tmp_path / "main", tmp_path / "main.c", "-ldl"], check=True)
        done = subprocess.run([tmp_path / "main", plugin], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stderr.startswith("pcedge: the filter of HDF5 must be used from Python")

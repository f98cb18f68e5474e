"""Circuits by their digests, and the codecs of numcodecs and zarr, as those who call them do."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import strategies
from helpers.series import series, series_circuit

from pcedge.codec import registry
from pcedge.errors import DataError, FormatError, UsageError
from pcedge.export import write_onnx
from pcedge.integer import IntegerCircuit
from pcedge.quantize import quantize
from pcedge.schedule.serialised import write_program


def records(circuit: IntegerCircuit, count: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(0, circuit.cardinalities, (count, 4)).astype(np.uint8)


class TestRegistry:
    @pytest.mark.parametrize("write", [write_program, write_onnx])
    def test_files_of_any_name(self, circuit, tmp_path, write):
        (tmp_path / "circuits").mkdir()
        suffix = ".pcp" if write is write_program else ".onnx"
        other = quantize(strategies.make_circuit(1, 4, 3, 4, "chain"))
        write(other, tmp_path / "circuits" / f"a{suffix}")
        (tmp_path / "circuits" / f"b{suffix}").write_bytes(b"no circuit")
        write(circuit, tmp_path / "circuits" / f"c{suffix}")
        assert registry.find_circuit(circuit.digest.hex()).circuit.digest == circuit.digest

    def test_kept_circuits(self, circuit, tmp_path):
        path = registry.keep_circuit(circuit)
        assert path == tmp_path / "circuits" / f"{circuit.digest.hex()}.pcp"
        assert registry.find_circuit(circuit.digest.hex()).circuit.digest == circuit.digest

    def test_a_missing_one_is_named(self, circuit, tmp_path):
        with pytest.raises(UsageError, match=f"the circuit {circuit.digest.hex()} must be in one of the folders"):
            registry.find_circuit(circuit.digest.hex())


class TestNumcodecs:
    numcodecs = pytest.importorskip("numcodecs")

    def test_round_trip_and_config(self, circuit):
        from pcedge.codec.numcodecs_codec import Pcedge

        codec = Pcedge(circuit, lanes=2)
        data = records(circuit)
        packed = codec.encode(data)
        np.testing.assert_array_equal(codec.decode(packed), data.ravel())
        out = np.empty_like(data)
        codec.decode(packed, out=out)
        np.testing.assert_array_equal(out, data)
        assert codec.get_config() == {"id": "pcedge", "digest": circuit.digest.hex(), "lanes": 2}
        assert json.loads(json.dumps(codec.get_config())) == codec.get_config()
        again = self.numcodecs.get_codec(codec.get_config())
        assert again == codec and isinstance(again, Pcedge) and eval(repr(codec), {"Pcedge": Pcedge}) == codec
        assert pickle.loads(pickle.dumps(codec)) == codec

    def test_found_without_an_import(self, circuit):
        registry.keep_circuit(circuit)
        codec = self.numcodecs.get_codec({"id": "pcedge", "digest": circuit.digest.hex()})
        data = records(circuit)
        np.testing.assert_array_equal(codec.decode(codec.encode(data)), data.ravel())

    @pytest.mark.parametrize("order", ["C", "F"])
    def test_its_own_helpers(self, circuit, order):
        common = pytest.importorskip("numcodecs.tests.common")
        from pcedge.codec.numcodecs_codec import Pcedge

        codec = Pcedge(circuit)
        data = [
            records(circuit, 40),
            records(circuit, 40).astype("<i4"),
            records(circuit, 10).astype(">u2").reshape(5, 2, 4),
        ]
        for array in data:
            array = np.asarray(array % 2, order=order)
            common.check_encode_decode(array, codec)
        common.check_config(codec)

    def test_what_does_not_fit(self, circuit):
        from pcedge.codec.numcodecs_codec import Pcedge

        with pytest.raises(DataError, match=r"a multiple of the 4 numbers of a record, got shape \(7,\)"):
            Pcedge(circuit).encode(np.zeros(7, dtype=np.uint8))
        with pytest.raises(UsageError, match="must have a circuit, or the digest of one"):
            Pcedge()
        with pytest.raises(UsageError, match="the circuit must be 00, got"):
            Pcedge(circuit, digest="00")
        for digest in ("00", "z" * 64, "A" * 64):
            with pytest.raises(UsageError, match=f"must be 64 hexadecimal digits in lower case, got '{digest}'"):
                Pcedge(digest=digest)


class TestZarr:
    zarr = pytest.importorskip("zarr", minversion="3")

    def test_an_array_comes_back_from_a_folder(self, circuit, tmp_path):
        from pcedge.codec.zarr_codec import PceCodec

        data = records(circuit, 50)
        array = self.zarr.create_array(
            tmp_path / "a.zarr", shape=data.shape, chunks=(16, 4), dtype=data.dtype, serializer=PceCodec(circuit),
            compressors=None, fill_value=0,
        )  # fmt: skip
        array[:] = data
        meta = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())
        assert meta["codecs"] == [{"name": "pcedge.pce", "configuration": {"digest": circuit.digest.hex()}}]
        registry.keep_circuit(circuit)
        registry._named.clear()
        registry.engine_of.cache_clear()
        again = self.zarr.open_array(tmp_path / "a.zarr", mode="r+")
        np.testing.assert_array_equal(again[:], data)
        again[3:5] = 1
        data[3:5] = 1
        np.testing.assert_array_equal(again[:], data)

    @pytest.mark.parametrize(
        ("chunks", "dtype", "text"),
        [((15, 3), "u1", r"a multiple of the 4 numbers of a record, got shape \(15, 3\)"),
         ((16, 4), "f4", "data must be integers, got float32")],
    )  # fmt: skip
    def test_chunks_that_never_fit_are_refused_when_the_array_is_made(self, circuit, tmp_path, chunks, dtype, text):
        from pcedge.codec.zarr_codec import PceCodec

        with pytest.raises(DataError, match=text):
            self.zarr.create_array(
                tmp_path / "a.zarr", shape=(64, chunks[1]), chunks=chunks, dtype=dtype, serializer=PceCodec(circuit),
                compressors=None,
            )  # fmt: skip
        # Where the circuit is not known yet, there is nothing to say.
        registry._named.clear()
        made = self.zarr.create_array(
            tmp_path / "b.zarr", shape=(64, chunks[1]), chunks=chunks, dtype=dtype, compressors=None,
            serializer=PceCodec(digest="0" * 64),
        )  # fmt: skip
        assert made.metadata.codecs[0].digest == "0" * 64

    def test_sharding_and_symbolizers(self, circuit):
        from pcedge.codec.zarr_codec import PceCodec

        codec, data = PceCodec(quantize(series_circuit())), series(64)
        store = self.zarr.storage.MemoryStore()
        array = self.zarr.create_array(
            store, shape=data.shape, chunks=(8, 2), shards=(32, 2), dtype=data.dtype, serializer=codec,
            compressors=None, fill_value=int(data[0, 0]),
        )  # fmt: skip
        array[:] = data
        np.testing.assert_array_equal(self.zarr.open_array(store)[:], data)

    def test_the_circuit_lies_beside_the_array(self, circuit):
        from pcedge.codec.zarr_codec import PceCodec, find_in_group, keep_in_group

        codec, data = PceCodec(circuit), records(circuit)
        group = self.zarr.open_group(self.zarr.storage.MemoryStore(), mode="w")
        array = group.create_array("x", shape=data.shape, chunks=data.shape, dtype=data.dtype, serializer=codec,
                                   compressors=None)  # fmt: skip
        array[:] = data
        keep_in_group(group, codec.digest)
        registry._named.clear()
        registry.engine_of.cache_clear()
        with pytest.raises(UsageError, match=codec.digest):
            group["x"][:]
        assert find_in_group(group) == [codec.digest]
        np.testing.assert_array_equal(group["x"][:], data)

    def test_a_damaged_circuit_in_the_store(self, circuit):
        from pcedge.codec.zarr_codec import find_in_group

        group = self.zarr.open_group(self.zarr.storage.MemoryStore(), mode="w")
        assert find_in_group(group) == []
        group.require_group("pcedge").create_array("ab", data=np.arange(9, dtype=np.uint8))
        with pytest.raises(FormatError, match="the circuit ab"):
            find_in_group(group)

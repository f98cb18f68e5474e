"""The codecs of zarr and numcodecs before their own checks: zarr.testing's strategies, numcodecs' codec helpers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.nightly import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pcedge.circuit import Circuit, InputLayer, ProductLayer
from pcedge.data import Symbolizer
from pcedge.data.steps import Planes
from pcedge.integer import IntegerCircuit
from pcedge.quantize import quantize

zarr = pytest.importorskip("zarr", minversion="3")
zst = pytest.importorskip("zarr.testing.strategies")
common = pytest.importorskip("numcodecs.tests.common")

CHECKS = settings(examples(20, 500), suppress_health_check=list(HealthCheck))


def any_number(dtype: str) -> IntegerCircuit:
    """Make a circuit whose records are single integers of a type, so that every array fits."""
    limits = np.iinfo(dtype)
    if dtype == "uint8":
        return quantize(Circuit((InputLayer(0, np.full((1, 256), 1 / 256)),)))
    symbolizer = Symbolizer(dtype, (1,), int(limits.min), int(limits.max), (Planes((8,) * np.dtype(dtype).itemsize),))
    leaves = [InputLayer(v, np.full((1, k), 1 / k)) for v, k in enumerate(symbolizer.cardinalities)]
    product = ProductLayer(tuple(range(len(leaves))), np.zeros((1, len(leaves)), dtype=np.int64))
    return quantize(Circuit((*leaves, product) if leaves[1:] else tuple(leaves), symbolizer=symbolizer))


CIRCUITS = {dtype: any_number(dtype) for dtype in ("uint8", "int8", "int16", "uint32")}


class TestZarr:
    """As zarr's own tests of properties, with our codec in the place of its serializer."""

    def make(self, data: st.DataObject, least: int = 0) -> tuple[Any, np.ndarray]:
        """Draw an array with values, chunks and shards; give it, written, and what it must hold."""
        from pcedge.codec.zarr_codec import PceCodec

        dtype = data.draw(st.sampled_from(sorted(CIRCUITS)), label="dtype")
        shapes = npst.array_shapes(max_dims=4, min_side=3, max_side=5) | npst.array_shapes(max_dims=4, min_side=least)
        array = data.draw(zst.numpy_arrays(shapes=shapes, dtype=np.dtype(dtype)), label="array")
        chunks = data.draw(zst.chunk_shapes(shape=array.shape), label="chunks")
        shards = None
        if all(chunks):
            shards = data.draw(st.none() | zst.shard_shapes(shape=array.shape, chunk_shape=chunks), label="shards")
        fill = data.draw(st.none() | npst.from_dtype(array.dtype), label="fill value")
        store = data.draw(zst.stores, label="store")
        path = f"{data.draw(zst.paths(max_num_nodes=2), label='path').strip('/')}/{data.draw(zst.array_names)}"
        made = zarr.open_group(store, mode="w").create_array(
            path.strip("/"), shape=array.shape, chunks=chunks, shards=shards, dtype=array.dtype, fill_value=fill,
            serializer=PceCodec(CIRCUITS[dtype], lanes=data.draw(st.none() | st.integers(1, 9), label="lanes")),
            compressors=None,
            dimension_names=data.draw(zst.dimension_names(ndim=array.ndim), label="names") if all(chunks) else None,
        )  # fmt: skip
        made[...] = array
        return zarr.open_array(store, path=made.path, mode="r+"), array

    @CHECKS
    @given(st.data())
    def test_round_trip(self, data):
        made, array = self.make(data)
        np.testing.assert_array_equal(made[...], array)
        assert made.dtype == array.dtype

    @CHECKS
    @given(st.data())
    def test_basic_indexing(self, data):
        made, array = self.make(data)
        indices = data.draw(zst.basic_indices(shape=array.shape))
        np.testing.assert_array_equal(made[indices], array[indices])
        fresh = data.draw(zst.numpy_arrays(shapes=st.just(array[indices].shape), dtype=array.dtype))
        made[indices] = fresh
        array[indices] = fresh
        np.testing.assert_array_equal(made[...], array)

    @CHECKS
    @given(st.data())
    def test_orthogonal_indexing(self, data):
        made, array = self.make(data, least=1)
        ours, theirs = data.draw(zst.orthogonal_indices(shape=array.shape))
        np.testing.assert_array_equal(made.oindex[ours], array[theirs])

    @CHECKS
    @given(st.data())
    def test_resizing(self, data):
        made, array = self.make(data, least=1)
        shape = data.draw(npst.array_shapes(min_dims=array.ndim, max_dims=array.ndim, max_side=9))
        made.resize(shape)
        wanted = np.full(shape, made.fill_value, dtype=array.dtype)
        both = tuple(slice(min(pair)) for pair in zip(shape, array.shape, strict=True))
        wanted[both] = array[both]
        # What lay behind the end within a chunk that is left may show again; zarr says nothing of it.
        np.testing.assert_array_equal(made[both], wanted[both])
        assert made.shape == shape

    def test_one_number(self):
        from pcedge.codec.zarr_codec import PceCodec

        made = zarr.create_array(
            zarr.storage.MemoryStore(), shape=(), dtype="uint8", serializer=PceCodec(CIRCUITS["uint8"]),
            compressors=None,
        )  # fmt: skip
        made[...] = 200
        assert made[...] == 200

    @CHECKS
    @given(st.data())
    def test_format_2_with_the_codec_of_numcodecs(self, data):
        from pcedge.codec.numcodecs_codec import Pcedge

        array = data.draw(zst.numpy_arrays(shapes=npst.array_shapes(max_dims=3, max_side=5), dtype=np.dtype("uint8")))
        store = data.draw(zst.stores)
        made = zarr.create_array(
            store, shape=array.shape, chunks=data.draw(zst.chunk_shapes(shape=array.shape)), dtype=array.dtype,
            zarr_format=2, compressors=Pcedge(CIRCUITS["uint8"]), order=data.draw(st.sampled_from("CF")),
        )  # fmt: skip
        made[...] = array
        np.testing.assert_array_equal(zarr.open_array(store, mode="r")[...], array)


class TestNumcodecs:
    @pytest.fixture
    def codec(self):
        from pcedge.codec.numcodecs_codec import Pcedge

        return Pcedge(CIRCUITS["uint8"])

    @pytest.mark.parametrize("order", ["C", "F"])
    @pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">i4", "<i8", "?"])
    def test_arrays(self, codec, dtype, order):
        array = np.asarray(np.random.default_rng(0).integers(0, 100, (5, 4, 3)).astype(dtype), order=order)
        common.check_encode_decode(array, codec)
        common.check_encode_decode_array(array, codec)

    def test_the_others(self, codec, monkeypatch, tmp_path):
        from pcedge.codec import numcodecs_codec

        common.check_config(codec)
        common.check_err_encode_object_buffer(codec)
        common.check_err_decode_object_buffer(codec)
        monkeypatch.setattr(common, "Pcedge", numcodecs_codec.Pcedge, raising=False)
        common.check_repr(repr(codec))
        monkeypatch.chdir(tmp_path)
        rows = np.arange(200, dtype=np.uint8)
        arrays = [rows, np.asfortranarray(rows.reshape(20, 10))]
        for _ in range(2):  # the first time files are written
            common.check_backwards_compatibility("pcedge", arrays, [codec])

"""Libraries that open zarr's arrays: xarray, and Dask with workers that are processes of their own."""

from __future__ import annotations

import numpy as np
import pytest
import strategies

from pcedge.codec import registry
from pcedge.integer import IntegerCircuit
from pcedge.quantize import quantize

zarr = pytest.importorskip("zarr", minversion="3")


@pytest.fixture
def circuit(no_circuits: None) -> IntegerCircuit:
    """Give a circuit that lies in a folder."""
    circuit = quantize(strategies.make_circuit(0, 4, 3, 2, "chain"))
    registry.keep_circuit(circuit)
    return circuit


def test_xarray(circuit, tmp_path):
    xarray = pytest.importorskip("xarray")
    from pcedge.codec.zarr_codec import PceCodec

    image = np.random.default_rng(0).integers(0, 2, (30, 2, 2)).astype(np.uint8)
    made = xarray.Dataset({"image": (("event", "row", "column"), image)}, coords={"event": np.arange(30)})
    encoding = {"chunks": (16, 2, 2), "serializer": PceCodec(circuit), "compressors": None}
    made.to_zarr(tmp_path / "a.zarr", zarr_format=3, consolidated=False, encoding={"image": encoding})
    registry._named.clear()
    registry.engine_of.cache_clear()
    found = xarray.open_zarr(tmp_path / "a.zarr", consolidated=False, chunks=None)
    xarray.testing.assert_identical(found.load(), made)
    # What was opened is written so again, without a word of how.
    found.to_zarr(tmp_path / "b.zarr", zarr_format=3, consolidated=False)
    codecs = zarr.open_array(tmp_path / "b.zarr" / "image").metadata.codecs
    assert [(type(codec), codec.digest) for codec in codecs] == [(PceCodec, circuit.digest.hex())]


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_dask_workers_find_the_circuit(circuit, tmp_path):
    distributed = pytest.importorskip("distributed")
    da = pytest.importorskip("dask.array")
    from pcedge.codec.zarr_codec import PceCodec

    data = np.random.default_rng(0).integers(0, 2, (4000, 4)).astype(np.uint8)
    store = zarr.create_array(
        tmp_path / "a.zarr", shape=data.shape, chunks=(500, 4), dtype=data.dtype, serializer=PceCodec(circuit),
        compressors=None,
    )  # fmt: skip
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
    ):
        da.store(da.from_array(data, chunks=(500, 4)), store, lock=False)
        assert (da.from_zarr(store) == da.from_array(data, chunks=(500, 4))).all().compute()
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a.zarr")[:], data)

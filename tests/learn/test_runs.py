"""Long training runs: checkpoints that a killed run goes on from, several processes, priors, stacks."""

import hashlib
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.learned import equal, parameters
from helpers.nightly import WAITS, cases
from safetensors.numpy import load, save
from strategies import TREES, make_circuit

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SparseRows, SumLayer, load_circuit, log_likelihood
from pcedge.circuit.layers import MISSING
from pcedge.compress import expected_flows, share_leaves
from pcedge.data import Splits, load_data
from pcedge.errors import FormatError, UsageError
from pcedge.learn import LearnConfig, count_flows, evaluate, fit
from pcedge.learn import checkpoint as checkpoints
from pcedge.learn.config import Watch, by_default

torch = pytest.importorskip("torch", reason="training needs torch")

SMALL = LearnConfig(latents=4, iterations=14, batch=64, seed=3, checkpoint_seconds=0.0, validate_every=3)


def records(count=300, seed=0):
    generator = np.random.default_rng(seed)
    hidden = generator.integers(0, 3, count)
    return (hidden[:, None] + generator.integers(0, 2, (count, 5))) % 4


class Killed(BaseException):
    pass


def killed_at(iteration):
    def progress(now, *_):
        if now == iteration:
            raise Killed

    return progress


@pytest.mark.parametrize("leaves", ["categorical", "logistic"])
@pytest.mark.parametrize("batch", [64, 4096])
def test_killed_run_goes_on_to_the_same_result(tmp_path, leaves, batch):
    config = replace(SMALL, leaves=leaves, batch=batch)
    whole = fit(records(), config)
    path = tmp_path / "run.checkpoint"
    for stop in (5, 9):
        with pytest.raises(Killed):
            fit(records(), config, progress=killed_at(stop), checkpoint=path)
    seen = []
    assert equal(whole, fit(records(), config, checkpoint=path, progress=lambda now, *_: seen.append(now)))
    # The checkpoint was written after the iteration before the one that was stopped.
    assert seen == list(range(9, 15))
    # A finished run is read, and may be made longer.
    assert equal(whole, fit(records(), config, checkpoint=path))
    longer = replace(config, iterations=20)
    assert equal(fit(records(), longer), fit(records(), longer, checkpoint=path))


@pytest.mark.slow
def test_the_command_under_torchrun(tmp_path):
    np.save(tmp_path / "x.npy", records(200))
    words = ["train", "--data", "x.npy", "--latents", "2", "--iterations", "3", "--out", "c.pcedge", "--json"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "pcedge"]
    done = subprocess.run([*launch, *words], cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"},
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["iterations"] == 3  # the first process alone says it
    assert load_circuit(tmp_path / "c.pcedge").cardinalities == (4,) * 5


def test_a_checkpoint_belongs_to_its_run(tmp_path):
    path = tmp_path / "run.checkpoint"
    fit(records(), SMALL, checkpoint=path)
    for other in (lambda: fit(records(seed=1), SMALL, checkpoint=path),
                  lambda: fit(records(), replace(SMALL, seed=4), checkpoint=path)):  # fmt: skip
        with pytest.raises(UsageError, match="must be of a run with the same data, structure and settings"):
            other()
    with pytest.raises(UsageError, match=r"the folder of the checkpoint .* must exist"):
        fit(records(), SMALL, checkpoint=tmp_path / "none" / "c")


def test_other_files_are_no_checkpoints(tmp_path):
    path = tmp_path / "run.checkpoint"
    fit(records(), SMALL, checkpoint=path)
    whole = path.read_bytes()
    first, tensors = whole.split(b"\n", 1)
    for damaged, text in (
        (b"", "must be a checkpoint of pcedge, it starts otherwise"),
        (b"\xff" * 100, "must be a checkpoint of pcedge, it starts otherwise"),
        (whole[:50], "must be a checkpoint of pcedge with its checksum, it is damaged: remove it to start anew"),
        (whole[:-9], "must be a checkpoint of pcedge with its checksum, it is damaged"),
        (whole + b"\n", "must be a checkpoint of pcedge with its checksum, it is damaged"),
        (first.replace(b" 2 ", b" 3 ") + b"\n" + tensors, "must be of version 2, got 3: go on with the release"),
        # The form of version 1: a safetensors file alone.
        (tensors, "must be of version 2, got 1: go on with the release of pcedge that wrote it, or remove it to start"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=text):
            fit(records(), SMALL, checkpoint=path)
        assert path.read_bytes() == damaged


@pytest.mark.parametrize("leaves", ["categorical", "logistic"])
def test_every_flipped_bit_of_a_checkpoint_is_refused(tmp_path, leaves):
    config = replace(SMALL, leaves=leaves)
    path = tmp_path / "run.checkpoint"
    expected = fit(records(), config)
    with pytest.raises(Killed):
        fit(records(), config, progress=killed_at(7), checkpoint=path)
    whole = path.read_bytes()
    # Every bit of the first line and of the lengths behind it, and of the rest 500 at random.
    places = np.random.default_rng(0).permutation(np.arange(8 * 100, 8 * len(whole)))[:500]
    for place in (*range(8 * 100), *places):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=r"^checkpoint: "):
            checkpoints.read(path, "")
    with pytest.raises(FormatError, match=r"^checkpoint: "):
        fit(records(), config, checkpoint=path)
    path.write_bytes(whole)
    assert equal(expected, fit(records(), config, checkpoint=path))


def test_a_state_that_no_run_reaches_is_refused(tmp_path):
    """With a right checksum, so that it is the values that are looked at."""
    path = tmp_path / "run.checkpoint"
    config = replace(SMALL, leaves="logistic")
    with pytest.raises(Killed):
        fit(records(), config, progress=killed_at(7), checkpoint=path)
    rest = path.read_bytes().split(b"\n", 1)[1]
    tensors = load(rest)
    header = json.loads(rest[8 : 8 + int.from_bytes(rest[:8], "little")])["__metadata__"]["pcedge-checkpoint"]
    header = json.loads(header)

    def refused(tensors, header, text=""):
        data = save(tensors, {"pcedge-checkpoint": json.dumps(header)})
        path.write_bytes(f"pcedge-checkpoint 2 {hashlib.sha256(data).hexdigest()}\n".encode() + data)
        with pytest.raises(
            FormatError, match=r"must (hold a whole state of the run|be a checkpoint of pcedge) \(.*" + text
        ):
            fit(records(), config, checkpoint=path)

    state = header["generator"]["state"]
    for change in (
        {"iteration": "x"}, {"iteration": True}, {"iteration": -1}, {"iteration": header["best_at"] - 1},
        {"place": 301}, {"place": -1}, {"best_at": -1}, {"best": "x"}, {"best": math.nan}, {"best": math.inf},
        {"generator": None}, {"generator": {}}, {"generator": header["generator"] | {"bit_generator": "MT19937"}},
        {"generator": header["generator"] | {"state": state | {"state": 1 << 200}}},
        {"generator": header["generator"] | {"state": state | {"state": -1}}},
        {"curve": 3}, {"curve": [[1, 2.0]]}, {"curve": [["x", 2.0, 2.0]]}, {"curve": [[1, "x", 2.0]]},
        {"curve": [[99, 2.0, 2.0]]}, {"curve": [[2, 2.0, 2.0], [1, 2.0, 2.0]]},
    ):  # fmt: skip
        refused(tensors, header | change)
    for name in header.keys() - {"curve"}:  # which earlier releases did not write
        refused(tensors, {key: value for key, value in header.items() if key != name})
    for name, array in tensors.items():
        refused({key: value for key, value in tensors.items() if key != name}, header)
        changed = [array[:-1], array.astype(np.float32), array.astype(np.uint16), array[None], array - 1]
        if name != "order":
            changed.append(np.where(np.arange(array.size).reshape(array.shape) == 3, np.nan, array))
        if name in ("parameters", "kept"):
            changed.append(array * 2)
        if name == "running":
            changed.append(np.where(np.arange(len(array)) == 3, 1e300, array))
        if "leaves" in name:
            changed[-2] = array * [1, -1]
        for wrong in changed:
            refused(tensors | {name: wrong}, header)
    # What a fit could not go on from, by field and value.
    for column, value, said in ((0, -1e300, "mean .* got -1e+300"), (1, 5e-324, "scale .* got 5e-324")):
        name = next(name for name in tensors if name.startswith("leaves."))
        extreme = tensors[name].copy()
        extreme[0, column] = value
        refused(tensors | {name: extreme}, header, f"the {said}".replace("+", r"\+"))
    twice = tensors["order"].copy()
    twice[0] = twice[1]
    refused(tensors | {"order": twice}, header)


@pytest.mark.slow
@pytest.mark.parametrize("batch", cases([101], [101, 4096]))
def test_two_processes_make_the_parameters_of_one(batch, tmp_path):
    script = tmp_path / "run.py"
    np.save(tmp_path / "x.npy", records(500))
    script.write_text(
        "import os, sys, numpy as np\n"
        "from pcedge.circuit import save_circuit\n"
        "from pcedge.learn import LearnConfig, fit\n"
        "config = LearnConfig(latents=4, iterations=14, batch=int(sys.argv[2]), seed=3)\n"
        f"circuit = fit(np.load({str(tmp_path / 'x.npy')!r}), config)\n"
        "save_circuit(circuit, sys.argv[1] + os.environ.get('RANK', ''))\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    out = str(tmp_path / f"c{batch}")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for command in ([sys.executable], launch):
        subprocess.run([*command, str(script), out, str(batch)], check=True, env=environment, cwd=tmp_path,
                       capture_output=True, timeout=300)  # fmt: skip
    alone, first, second = (load_circuit(Path(out + rank)) for rank in ("", "0", "1"))
    assert equal(first, second)
    for a, b in zip(parameters(alone), parameters(first), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_stacks_are_the_circuit(seed):
    """Likelihoods and counts of any circuit are those of the reference, layer by layer."""
    generator = np.random.default_rng(seed)
    circuit = make_circuit(seed, 6, 4, 5, TREES[seed % len(TREES)], 0.3)
    sizes = np.array(circuit.cardinalities)
    x = generator.integers(0, sizes, (40, len(sizes)))
    x[generator.random(x.shape) < 0.2] = MISSING
    logs = log_likelihood(circuit, x)
    x = x[np.isfinite(logs)]
    if not len(x):
        pytest.skip("all records are impossible")
    np.testing.assert_allclose(evaluate(circuit, x), log_likelihood(circuit, x), rtol=1e-10, atol=1e-10)
    for found, expected in zip(count_flows(circuit, x), expected_flows(circuit, x), strict=True):
        assert (found is None) == (expected is None)
        if found is not None:
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def test_large_sparse_layers_run_by_their_lists(monkeypatch):
    generator = np.random.default_rng(1)
    mask = generator.random((40, 50)) < 0.06
    mask[np.arange(40), generator.integers(0, 50, 40)] = True
    weights = mask * generator.random(mask.shape)
    weights /= weights.sum(axis=1, keepdims=True)
    circuit = Circuit((
        InputLayer(0, generator.dirichlet(np.ones(4), 50)),
        InputLayer(1, generator.dirichlet(np.ones(4), 40)),
        SumLayer((0,), SparseRows.from_dense(weights)),
        ProductLayer((2, 1), np.tile(np.arange(40)[:, None], (1, 2))),
        SumLayer((3,), generator.dirichlet(np.ones(40), 1)),
    ))  # fmt: skip
    x = generator.integers(0, 4, (100, 2))
    dense = fit(Splits(x, x), LearnConfig(iterations=5), circuit=circuit)
    monkeypatch.setattr("pcedge.learn.plan.DENSE_ENTRIES", 100)
    monkeypatch.setattr("pcedge.learn.model.HOT_ENTRIES", 1000)
    listed = fit(Splits(x, x), LearnConfig(iterations=5), circuit=circuit)
    for a, b in zip(parameters(dense), parameters(listed), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)
    assert evaluate(listed, x).mean() > evaluate(circuit, x).mean() + 0.01


def test_tree_prior():
    from pcedge.learn.priors import tree_shrunk

    generator = np.random.default_rng(0)
    counts = torch.tensor(generator.random((3, 2, 11)) * 10)
    centre = torch.tensor(generator.dirichlet(np.ones(11), (3, 1)))
    whole = counts / counts.sum(-1, keepdim=True)
    shrunk = tree_shrunk(counts, centre, 3.0)
    np.testing.assert_allclose(shrunk.sum(-1), 1)
    np.testing.assert_allclose(tree_shrunk(counts, centre, 0.0), whole)
    np.testing.assert_allclose(tree_shrunk(counts * 0, centre, 3.0), centre.expand(3, 2, 11))
    # Four symbols by hand: the first split has 6 of 8 records, the centre is even.
    by_hand = tree_shrunk(torch.tensor([[6.0, 0.0, 1.0, 1.0]]), torch.full((1, 4), 0.25), 2.0)
    stronger = tree_shrunk(torch.tensor([[6.0, 0.0, 1.0, 1.0]]), torch.full((1, 4), 0.25), 2.0, 1.0)
    np.testing.assert_allclose(stronger, [[0.7 * 8 / 10, 0.7 * 2 / 10, 0.3 * 0.5, 0.3 * 0.5]])
    np.testing.assert_allclose(by_hand, [[0.7 * 7 / 8, 0.7 * 1 / 8, 0.3 * 0.5, 0.3 * 0.5]])


@WAITS
def test_tree_prior_pays_on_digits():
    digits = load_data("digits")
    bits = {}
    for prior, strength, even in (("even", 2.0, 0.3), ("tree", 0.25, 0.02)):
        config = LearnConfig(leaf_prior=prior, leaf_pseudocount=strength, uniform_share=even)
        bits[prior] = -evaluate(fit(digits, config), digits.test.reshape(360, 64)).mean() / np.log(2) / 64
    assert bits["tree"] < bits["even"] - 0.01


def test_leaves_share_tables():
    digits = load_data("digits")
    circuit = fit(digits, LearnConfig(latents=8, iterations=10))
    x = digits.train.reshape(-1, 64)
    flows = count_flows(circuit, x)
    before = evaluate(circuit, x).mean()
    lost = []
    for tables in (1, 32, 512):
        shared = share_leaves(circuit, flows, tables)
        rows = np.concatenate([layer.table for layer in shared.layers if isinstance(layer, InputLayer)])
        assert len(np.unique(rows, axis=0)) <= tables
        lost.append(before - evaluate(shared, x).mean())
    assert lost[0] > lost[1] > lost[2]
    assert lost[2] < 1e-6  # as many tables as leaves
    with pytest.raises(UsageError, match="tables must be at least 1, got 0"):
        share_leaves(circuit, flows, 0)
    with pytest.raises(UsageError, match=r"the flows of variable .* must have shape"):
        share_leaves(circuit, [None] * len(flows), 4)
    with pytest.raises(UsageError, match="flows must have an entry for each of"):
        share_leaves(circuit, flows[1:], 4)


def test_how_many_records_are_looked_at():
    config = LearnConfig(validate_every=2)
    # 1,365 looks cost as much as 455 records of an M-step, which are a tenth of both.
    assert config.looked_at(15_000, 2048) == 1365 and config.looked_at(1000, 2048) == 1000
    assert config.looked_at(15_000, 8) == 512 and config.looked_at(100, 8) == 100
    assert replace(config, validation_share=1.0).looked_at(15_000, 8) == 15_000
    with pytest.raises(UsageError, match="validation_share must be above 0 and at most 1, got 0"):
        LearnConfig(validation_share=0)


def test_a_sample_of_the_validation_split_is_looked_at():
    config = LearnConfig(latents=2, iterations=3, batch=8, patience=0)
    splits = Splits(records(300), records(900, 1))
    curves = []
    for share in (0.1, 1.0):
        watch = Watch()
        circuit = fit(splits, replace(config, validation_share=share), watch=watch)
        curves.append([bits for _, _, bits in watch.curve])
    whole = -evaluate(circuit, splits.valid).mean() / math.log(2) / 5
    assert curves[1][-1] == pytest.approx(whole, rel=1e-9) and curves[0][-1] != curves[1][-1]
    sample = splits.valid[np.sort(np.random.default_rng([0, 4]).choice(900, 512, replace=False))]
    assert curves[0][-1] == pytest.approx(-evaluate(circuit, sample).mean() / math.log(2) / 5, rel=1e-9)


def test_other_seconds_between_checkpoints_are_no_other_run(tmp_path):
    path = tmp_path / "run.checkpoint"
    with pytest.raises(Killed):
        fit(records(), SMALL, progress=killed_at(5), checkpoint=path)
    watch = Watch()
    fit(records(), replace(SMALL, checkpoint_seconds=9.0), checkpoint=path, watch=watch)
    assert [iteration for iteration, *_ in watch.curve] == list(range(1, 15))


def test_default_steps_of_many_records_are_smaller_and_more():
    assert by_default(1 << 16) == {"batch": 2048, "iterations": 300, "validate_every": 1, "patience": 20}
    assert by_default((1 << 16) + 1) == {"batch": 512, "iterations": 1200, "validate_every": 4, "patience": 80}

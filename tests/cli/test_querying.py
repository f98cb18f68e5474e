"""The commands that complete records and classify them, as a user runs them."""

import numpy as np
import pytest
from helpers.classifiers import naive_bayes, tree
from helpers.commands import as_json, run
from helpers.predictors import circuit_of, random_predictor

from pcedge import circuit as floats
from pcedge.circuit import MISSING, Circuit, InputLayer, sample, save_circuit
from pcedge.engines import ReferenceEngine, most_probable, shares
from pcedge.engines import classify as classify_integers
from pcedge.export import write_onnx
from pcedge.quantize import quantize
from pcedge.schedule import write_program


def data_of(circuit, count, seed=0):
    """Draw data whose class is right and hidden; real values somewhere in their bins."""
    records = sample(circuit, count, seed)
    values = records[:, :-1] / 2 + np.random.default_rng(seed).random((count, records.shape[1] - 1)) / 2
    return records, values


@pytest.fixture
def classifier(tmp_path):
    """A classifier with numbers for labels, as .pcedge, .onnx and .pcp, and its data with and without the class."""
    circuit = naive_bayes(7, labels=(10, 20, 30))
    records, values = data_of(circuit, 200)
    save_circuit(circuit, tmp_path / "c.pcedge")
    write_onnx(quantize(circuit), tmp_path / "m.onnx")
    write_program(quantize(circuit), tmp_path / "m.pcp")
    np.save(tmp_path / "x.npy", np.column_stack([values, 10 * (records[:, -1] + 1)]))
    np.save(tmp_path / "bare.npy", values)
    return tmp_path, circuit, records


class TestClassify:
    @pytest.mark.parametrize("model", ["m.onnx", "m.pcp", "c.pcedge"])
    def test_says_what_is_right_before_and_after(self, classifier, model):
        folder, circuit, records = classifier
        more = [] if model == "c.pcedge" else ["--float", folder / "c.pcedge"]
        said = as_json("classify", folder / model, folder / "x.npy", *more, "--out", folder / "labels.npy")
        given = classify_integers(ReferenceEngine(quantize(circuit)), records, "class")
        before = floats.classify(circuit, records, "class")
        assert said["records"] == said["labelled"] == 200 and said["variable"] == "class" and said["impossible"] == 0
        assert said["accuracy"] == np.mean(given == records[:, -1]) and said["classes"] == [10, 20, 30]
        assert said["float_accuracy"] == np.mean(before == records[:, -1])
        assert said["agreement"] == np.mean(before == given)
        wanted = [[int(((records[:, -1] == t) & (given == g)).sum()) for g in range(3)] for t in range(3)]
        assert said["confusion"] == wanted
        np.testing.assert_array_equal(np.load(folder / "labels.npy"), 10 * (given + 1))

    def test_needs_no_class_in_the_data(self, classifier):
        folder, circuit, records = classifier
        files = "--out", folder / "y.csv", "--probabilities", folder / "p.npy"
        said = as_json("classify", folder / "m.onnx", folder / "bare.npy", *files)
        nothing = [said[key] for key in ("accuracy", "float_accuracy", "agreement", "confusion")]
        assert nothing == [None] * 4 and said["labelled"] == 0
        engine = ReferenceEngine(quantize(circuit))
        labels = [int(line) for line in (folder / "y.csv").read_text().split()]
        assert labels == (10 * (classify_integers(engine, records, 4) + 1)).tolist()
        np.testing.assert_array_equal(np.load(folder / "p.npy") * 2**16, shares(engine, records, 4))

    def test_texts_are_labels(self, tmp_path):
        circuit = naive_bayes(8)
        records, values = data_of(circuit, 30)
        save_circuit(circuit, tmp_path / "c.pcedge")
        np.save(tmp_path / "x.npy", values)
        as_json("classify", tmp_path / "c.pcedge", tmp_path / "x.npy", "--out", tmp_path / "y.csv")
        given = classify_integers(ReferenceEngine(quantize(circuit)), records, "class")
        assert (tmp_path / "y.csv").read_text().splitlines() == [f"kind {c}" for c in given]

    def test_tables_have_names(self, tmp_path):
        circuit = naive_bayes(8)
        records, values = data_of(circuit, 30)
        save_circuit(circuit, tmp_path / "c.pcedge")
        lines = [f"{row[3]},kind {c},{row[0]},{row[1]},{row[2]}" for row, c in zip(values, records[:, 4], strict=True)]
        (tmp_path / "x.csv").write_text("\n".join(["x3,class,x0,x1,x2", *lines]) + "\n")
        said = as_json("classify", tmp_path / "c.pcedge", tmp_path / "x.csv")
        given = classify_integers(ReferenceEngine(quantize(circuit)), records, "class")
        assert said["labelled"] == 30 and said["accuracy"] == np.mean(given == records[:, 4])

    def test_a_class_in_the_middle_of_symbols_may_be_absent(self, tmp_path):
        circuit = tree(3)
        records = sample(circuit, 40)
        save_circuit(circuit, tmp_path / "c.pcedge")
        np.save(tmp_path / "x.npy", np.delete(records, 1, axis=1).astype(np.uint8))
        arguments = "classify", tmp_path / "c.pcedge", tmp_path / "x.npy", "--variable", "1"
        said = as_json(*arguments, "--out", tmp_path / "y.npy")
        assert said["labelled"] == 0 and said["accuracy"] is None
        given = classify_integers(ReferenceEngine(quantize(circuit)), records, 1)
        np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), given)

    def test_missing_values_are_summed_out(self, classifier):
        folder, circuit, records = classifier
        x = np.load(folder / "x.npy")
        x[::2, 1] = np.nan
        np.save(folder / "gaps.npy", x)
        as_json("classify", folder / "m.onnx", folder / "gaps.npy", "--out", folder / "y.npy")
        hidden = records.copy()
        hidden[::2, 1] = MISSING
        given = classify_integers(ReferenceEngine(quantize(circuit)), hidden, 4)
        np.testing.assert_array_equal(np.load(folder / "y.npy"), 10 * (given + 1))
        x[::2, 1] = -99
        np.save(folder / "gaps.npy", x)
        as_json("classify", folder / "m.onnx", folder / "gaps.npy", "--missing", -99, "--out", folder / "y.npy")
        np.testing.assert_array_equal(np.load(folder / "y.npy"), 10 * (given + 1))

    def test_what_is_impossible_has_no_class(self, tmp_path):
        layers = (InputLayer(0, np.eye(2)[:1]), InputLayer(1, np.eye(3)), floats.ProductLayer(
            (0, 1), [[0, 0], [0, 1], [0, 2]]), floats.SumLayer((2,), np.full((1, 3), 1 / 3)))  # fmt: skip
        save_circuit(Circuit(layers), tmp_path / "c.pcedge")
        write_onnx(quantize(Circuit(layers)), tmp_path / "m.onnx")
        np.save(tmp_path / "x.npy", np.array([[0, 1], [1, 1]], dtype=np.uint8))
        said = as_json(
            "classify", tmp_path / "m.onnx", tmp_path / "x.npy", "--variable", 1, "--out", tmp_path / "y.npy"
        )
        assert said["impossible"] == 1 and said["confusion"] == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
        np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), [0, np.nan])
        before = as_json("classify", tmp_path / "c.pcedge", tmp_path / "x.npy", "--variable", 1)
        assert before["impossible"] == 1 and before["float_accuracy"] == before["accuracy"]

    def test_people_see_a_table(self, classifier):
        folder, *_ = classifier
        shown = run("classify", folder / "c.pcedge", folder / "x.npy").stdout
        assert "200 records, variable class, 3 classes: accuracy " in shown and "classes of the data" in shown

    def test_refusals(self, classifier, tmp_path):
        folder, *_ = classifier
        both = run("classify", folder / "c.pcedge", folder / "x.npy", "--float", folder / "c.pcedge")
        assert both.exit_code == 2 and "--float must go with an integer circuit" in both.stderr
        other = run("classify", folder / "m.onnx", folder / "x.npy", "--variable", "kind")
        assert other.exit_code == 2 and "a variable must be one of x0, x1, x2, x3, class" in other.stderr
        save_circuit(tree(0), tmp_path / "tree.pcedge")
        pair = run("classify", folder / "m.onnx", folder / "x.npy", "--float", tmp_path / "tree.pcedge")
        assert pair.exit_code == 2 and "the two circuits must be over the same variables" in pair.stderr
        np.save(tmp_path / "none.npy", np.zeros((0, 5)))
        none = run("classify", folder / "m.onnx", tmp_path / "none.npy")
        assert none.exit_code == 1 and "must hold at least one record, it holds none" in none.stderr
        write_onnx(circuit_of(random_predictor(0)), tmp_path / "p.onnx")
        stage = run("classify", tmp_path / "p.onnx", folder / "x.npy", "--variable", 0)
        assert stage.exit_code == 2 and "queries must be of a circuit without a symbolizer" in stage.stderr


class TestMap:
    @pytest.mark.parametrize("engine", ["numpy", "auto"])
    def test_completes_symbols(self, tmp_path, engine):
        circuit = tree(5)
        records = sample(circuit, 60).astype(np.int16)
        records[np.random.default_rng(1).random(records.shape) < 0.5] = 99
        np.save(tmp_path / "x.npy", records)
        save_circuit(circuit, tmp_path / "c.pcedge")
        write_onnx(quantize(circuit), tmp_path / "m.onnx")
        evidence = np.where(records == 99, MISSING, records)
        by_model = {
            "c.pcedge": floats.most_probable(circuit, evidence),
            "m.onnx": most_probable(quantize(circuit), evidence),
        }
        for model, wanted in by_model.items():
            arguments = "map", tmp_path / model, tmp_path / "x.npy", "--missing", 99, "--out", tmp_path / "y.npy"
            if model == "c.pcedge":
                refused = run(*arguments, "--engine", engine)
                assert refused.exit_code == 2 and "--engine must go with an integer circuit" in refused.stderr
            said = as_json(*arguments, *(["--engine", engine] if model == "m.onnx" else []))
            got = np.load(tmp_path / "y.npy")
            np.testing.assert_array_equal(got, wanted.records)
            assert got.dtype == np.int16 and said["exact"] and said["exact_records"] == said["records"] == 60
            assert said["filled"] == (evidence == MISSING).sum() and said["integers"] == (model == "m.onnx")
            assert said["completed"] == (evidence == MISSING).any(axis=1).sum() and said["impossible"] == 0

    def test_completes_values_of_a_grid_and_leaves_what_is_known(self, tmp_path):
        circuit = naive_bayes(9, labels=(1, 2, 3))
        records, values = data_of(circuit, 50)
        x = np.column_stack([values, records[:, -1] + 1.0])
        gaps = np.random.default_rng(2).random(x.shape) < 0.4
        x[gaps] = np.nan
        np.save(tmp_path / "x.npy", x)
        save_circuit(circuit, tmp_path / "c.pcedge")
        as_json("map", tmp_path / "c.pcedge", tmp_path / "x.npy", "--out", tmp_path / "y.npy")
        got = np.load(tmp_path / "y.npy")
        wanted = floats.most_probable(circuit, np.where(gaps, MISSING, records)).records
        np.testing.assert_array_equal(got[~gaps], x[~gaps])
        np.testing.assert_array_equal(got[gaps], circuit.grid.values_of(wanted)[gaps])

    def test_a_table_keeps_its_cells_and_gets_columns_that_it_lacks(self, tmp_path):
        circuit = naive_bayes(9)
        save_circuit(circuit, tmp_path / "c.pcedge")
        write_onnx(quantize(circuit), tmp_path / "m.onnx")
        (tmp_path / "x.csv").write_text("id,x3,x0,x1\nfirst,0.10,,1.250\nsecond,2.4,0.3,NA\n")
        as_json("map", tmp_path / "m.onnx", tmp_path / "x.csv", "--out", tmp_path / "y.csv")
        evidence = np.array([[MISSING, 2, MISSING, 0, MISSING], [0, MISSING, MISSING, 4, MISSING]])
        values = circuit.grid.values_of(most_probable(quantize(circuit), evidence).records)
        assert (tmp_path / "y.csv").read_text().splitlines() == [
            "id,x3,x0,x1,x2,class",
            f"first,0.10,{values[0, 0]},1.250,{values[0, 2]},{values[0, 4]}",
            f"second,2.4,0.3,{values[1, 1]},{values[1, 2]},{values[1, 4]}",
        ]
        text = "texts must be written as csv or tsv, y.npy does not hold them"
        refused = run("map", tmp_path / "m.onnx", tmp_path / "x.csv", "--out", tmp_path / "y.npy")
        assert refused.exit_code == 2 and text in refused.stderr

    def test_says_what_is_not_proved(self, tmp_path):
        rng = np.random.default_rng(0)
        leaves = [InputLayer(v, rng.dirichlet(np.ones(4), 3)) for v in range(3)]
        product = floats.ProductLayer((0, 1, 2), np.tile(np.arange(3)[:, None], 3))
        save_circuit(Circuit((*leaves, product, floats.SumLayer((3,), np.full((1, 3), 1 / 3)))), tmp_path / "c.pcedge")
        np.save(tmp_path / "x.npy", np.array([[-1, -1, -1], [0, 1, 2]], dtype=np.int8))
        arguments = "map", tmp_path / "c.pcedge", tmp_path / "x.npy", "--missing", -1, "--out", tmp_path / "y.npy"
        said = as_json(*arguments)
        assert not said["exact"] and said["exact_records"] == 1 and said["log_bound"] > said["log_likelihood"]
        assert "of 1 another completion may be more probable" in run(*arguments).output

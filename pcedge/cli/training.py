"""The command that learns a circuit."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from pcedge.circuit import Circuit, InputLayer
from pcedge.circuit.parametric import KINDS
from pcedge.cli.files import read_float
from pcedge.cli.grids import integer_mark
from pcedge.cli.inputs import (
    ACCEPTED,
    DATA,
    MODEL,
    OUT,
    Marker,
    Sizes,
    mark_missing,
    reading_of,
    reading_options,
    refuse_missing,
    said_bytes,
    said_header,
)
from pcedge.cli.output import Command, Result, announce, in_words, options_given, warn, whole_file
from pcedge.cli.sensing import load_splits, train_sensor, wants_predictor
from pcedge.cli.watching import aside, check_plot, draw_plot, own_checkpoint, points, reporting, stoppable
from pcedge.data.column_spec import ColumnSpec
from pcedge.learn import LEAVES, STRUCTURES, LearnConfig
from pcedge.learn.config import MANY, MANY_RECORDS, Watch, by_default

#: settings of LearnConfig that are options of the same name, with what their values must be
SETTINGS: dict[str, tuple[Any, str]] = {
    "structure": (click.Choice(STRUCTURES), "Hidden Chow–Liu tree, chain (HMM), binary or quad tree, or parts."),
    "leaves": (click.Choice(LEAVES), "Kind of the leaves."),
    "latents": (click.IntRange(1), "States of every latent."),
    "block": (click.IntRange(1), "Of independent: variables of a part at most."),
    "seed": (click.IntRange(0), "Same seed, same circuit."),
    "iterations": (click.IntRange(1), "M-steps at most; fewer when the validation split says so."),
    "batch": (click.IntRange(1), "Records an M-step."),
    "holdout": (float, "Share of train held out where there is no validation split."),
    "patience": (click.IntRange(0), "M-steps without a better validation likelihood; 0 never stops early."),
    "validate_every": (click.IntRange(1), "M-steps between two looks at the validation split."),
    "sum_pseudocount": (float, "Records added to every sum unit's counts."),
    "leaf_pseudocount": (float, "Records added to every leaf's counts."),
    "leaf_prior": (
        click.Choice(["tree", "even"]),
        "How leaves are drawn to the marginal: symbols with order, without.",
    ),
    "blur": (float, "Share of a symbol's counts that goes to its neighbours."),
    "validation_share": (float, "Share of the time for looks at the validation split, at a sample of it."),
    "checkpoint_seconds": (float, "Seconds between two checkpoints."),
}


def _settings(command: Any) -> Any:
    """Add an option for every setting, with the library's default."""
    defaults = {field.name: field.default for field in fields(LearnConfig)}
    for name, (kind, text) in reversed(SETTINGS.items()):
        option = f"--{name.replace('_', '-')}"
        if name in MANY:
            text += f"  [default: {defaults[name]}; {MANY[name]} for more than {MANY_RECORDS:,} records]"
        command = click.option(option, default=defaults[name], show_default=name not in MANY, type=kind, help=text)(
            command
        )
    return command


def _idle(
    settings: dict[str, Any], start: Circuit | None, has_valid: bool, has_checkpoint: bool
) -> Iterator[tuple[str, str]]:
    """Give the options of the command line that change nothing beside the others, and why."""
    if start is not None:
        told = "with --init, whose circuit says it"
        yield from ((name, told) for name in options_given("structure", "leaves", "latents", "block", "image"))
        kinds = {layer.kind for layer in start.layers if isinstance(layer, InputLayer)}
        tables = bool(kinds - set(KINDS))
    else:
        if settings["structure"] != "independent":
            yield from ((name, "without --structure independent") for name in options_given("block"))
        tables = settings["leaves"] not in KINDS
    if not tables:
        yield from ((name, "on leaves without tables") for name in options_given("leaf_prior", "blur"))
    if has_valid:
        yield from ((name, "on data with a validation split") for name in options_given("holdout"))
    if not has_checkpoint:
        yield from ((name, "without --checkpoint") for name in options_given("checkpoint_seconds"))
    if settings["validate_every"] > settings["iterations"]:
        yield from (
            (name, "beyond --iterations: the last parameters are taken") for name in options_given("validate_every")
        )


@click.command(cls=Command, example="pcedge train --data digits --latents 16 --seed 0 --out c.pcedge")
@click.option("--data", required=True, type=DATA, help=f"{ACCEPTED}; with splits train, valid, test where it has them.")
@reading_options
@_settings
@click.option(
    "--image", type=Sizes(), help="Of quad: height and width (and channels), as 28x28.  [default: the data's]"
)
@click.option("--init", type=MODEL, help="A float circuit whose structure and parameters training starts from.")
@click.option("--missing", type=Marker(), help="What marks a missing value, an integer or nan; it is summed out.")
@click.option(
    "--columns",
    help="What columns hold, NAME:PART with commas between them, as x:int32,t:scaled=0.001,flag:uint8=0..3,gps:bits "
    "(docs/data.md); raw binary is read by it.",
)
@click.option(
    "--symbolizer",
    help="How wide integers become symbols: steps as range=0..4095,difference:axis=0,offset=128,planes=4+8 "
    "(docs/data.md), a .json file, or auto.",
)
@click.option(
    "--for-records",
    type=click.IntRange(1),
    help="Records that the circuit will code: its size follows from it. Chooses a predictor stage for the data.",
)
@click.option(
    "--size-kbit", type=click.FloatRange(0, min_open=True), help="Circuit file at most, in 1,000 bits, likewise."
)
@click.option(
    "--checkpoint",
    type=OUT,
    help="A file that a killed run of the same settings goes on from.  [default: OUT.checkpoint, removed in the end]",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, or a torch device such as cuda.")
@click.option(
    "--precision", default=LearnConfig.dtype, show_default=True, type=click.Choice(["float64", "float32"]),
    help="Numbers of training; float32 is faster on a GPU.",
)  # fmt: skip
@click.option("--plot", type=OUT, help="Draw the learning curve to a .png, .svg or .pdf file (extra plot).")
@click.option("--out", required=True, type=OUT, help="The float circuit.")
def train(
    data: str, dtype: str | None, shape: str | None, header: bool | None, image: tuple[int, ...] | None,
    init: str | None, missing: float | None, columns: str | None, symbolizer: str | None, for_records: int | None,
    size_kbit: float | None, checkpoint: Path | None, device: str, precision: str, plot: Path | None, out: Path,
    **settings: Any,
) -> Result:  # fmt: skip
    """Learn a circuit by EM (needs the extra train); under torchrun all its processes share the work."""
    from pcedge.circuit import save_circuit
    from pcedge.data import Reading, is_table, load_data
    from pcedge.data.maps import symbols_of
    from pcedge.data.predictor import Predictor
    from pcedge.data.readers import split_name
    from pcedge.data.specification import specification, symbolize
    from pcedge.learn import evaluate, fit
    from pcedge.learn.holdout import hold_out

    patience, every = settings["patience"], settings["validate_every"]
    if 0 < patience < every and len(options_given("patience", "validate_every")) == 2:
        raise click.UsageError(
            f"--patience must be 0 or at least --validate-every, got {patience} and {every}: training would stop with "
            "no second look at the validation split"
        )
    check_plot(plot)
    own = None if checkpoint is not None else own_checkpoint(out)
    start = None if init is None else read_float(init)
    specs: tuple[ColumnSpec, ...] = ()
    if start is not None and start.grid is not None:
        reading = reading_of(start, dtype, shape, missing, header, partial=True)
        loaded = load_data(data, reading)
    else:
        reading = Reading(dtype, shape, missing, header, typed=True)
        loaded, specs = load_splits(data, reading, columns, symbolizer, init)
    said_bytes(data, loaded.train)
    sized = for_records is not None or size_kbit is not None
    if init is not None and sized:
        raise click.UsageError("--for-records and --size-kbit must come without --init, whose circuit has its size")
    if init is None and wants_predictor(loaded, symbolizer, sized, missing, specs):
        told, table = said_header(data, reading), split_name(data)[0] if is_table(data, reading) else None
        return train_sensor(
            loaded, for_records, size_kbit, settings["seed"], out, told, specs, missing, checkpoint, plot, table
        )
    missing = integer_mark(missing)
    first = os.environ.get("RANK", "0") == "0"
    for name, why in _idle(
        settings, start, loaded.valid is not None and len(loaded.valid) > 0, bool(checkpoint or own)
    ):
        if first:
            warn(f"--{name.replace('_', '-')} has no effect {why}")
    steps = None if start is None else start.symbolizer
    if symbolizer is not None and start is not None:
        raise click.UsageError("--symbolizer must not be given with --init, whose circuit has its own or none")
    if start is not None and start.grid is not None:
        splits = loaded
    elif symbolizer is None and steps is None:
        splits = loaded.map(lambda values: mark_missing(values, missing))
    else:
        refuse_missing(missing)
        if steps is None:
            assert symbolizer is not None
            steps, splits = symbolize(symbolizer, loaded)
        else:
            splits = loaded.map(partial(symbols_of, steps))
        announce("a predictor stage" if isinstance(steps, Predictor) else f"symbolizer {specification(steps)}")
    if not options_given("batch", "iterations"):
        scaled = by_default(len(splits.train)).items()
        settings |= {name: value for name, value in scaled if not options_given(name)}
    if settings["structure"] == "quad" and image is None:
        image = tuple(splits.train.shape[1:])
    config = LearnConfig(**settings, shape=image, device=device, dtype=precision)
    header_entry: dict[str, Any] = {}
    if first:
        header_entry = said_header(data, reading)
        announce(f"training on {len(splits.train)} records of {splits.train[0].size} variables")
    kept = checkpoint or own
    # The processes of a torchrun read one checkpoint, so none may put it away.
    watch = Watch(aside=aside if own is not None and "RANK" not in os.environ else None)
    iterations: list[int] = []
    resumed = kept is not None and kept.exists()
    with (
        reporting("training", "step") if first else nullcontext(None) as move,
        whole_file(out if first else Path(os.devnull)) as fresh,
    ):

        def report(iteration: int, total: int, train_bits: float, valid_bits: float) -> None:
            if first and resumed and not iterations and iteration > 1:
                announce(f"going on from iteration {iteration - 1} of {kept}")
            iterations.append(iteration)
            if move is not None:
                move(iteration, total, train_bits, valid_bits)

        with stoppable(watch, kept, speaks=first):
            circuit = fit(
                splits, config, circuit=start, progress=report, checkpoint=kept, watch=watch,
                cardinalities=None if steps is None or start is not None else steps.cardinalities,
            )  # fmt: skip
        if first and resumed and not iterations:
            announce(f"the run of {kept} is complete")
        circuit = replace(circuit, symbolizer=steps)
        save_circuit(circuit, fresh)
    if not first:
        # The first process says it all.
        click.get_current_context().exit(0)
    if own is not None:
        own.unlink(missing_ok=True)
    result: dict[str, Any] = {
        "out": str(out), "variables": len(circuit.cardinalities), "parameters": circuit.parameters,
        "iterations": iterations[-1] if iterations else 0, "seed": config.seed, "latents": config.latents,
        "structure": config.structure if start is None else "init",
    }  # fmt: skip
    if steps is not None:
        result["symbolizer"] = "predictor" if isinstance(steps, Predictor) else specification(steps)
    held_out = splits.valid
    if held_out is None or not len(held_out):
        # What judged the circuit; train counts all records, as it always has.
        held_out = hold_out(splits.train, config.holdout, config.seed)[1]
    for name, values in (("train", splits.train), ("valid", held_out), ("test", splits.test)):
        if values is not None and len(values):
            bits = -evaluate(circuit, values, replace(config, dtype="float64")).mean() / math.log(2)
            result[f"{name}_bits_per_variable"] = float(bits) / len(circuit.cardinalities)
    result |= draw_plot(plot, watch.curve, "step")
    lines = [f"{name.replace('_', ' ')}: {in_words(value)}" for name, value in result.items()]
    if steps is None:  # the values are the variables
        names = [name for name in result if name.endswith("_bits_per_variable")]
        result |= {name.replace("variable", "value"): result[name] for name in names}
    return result | {"curve": points(watch.curve, "step")} | header_entry, "\n".join(lines), 0

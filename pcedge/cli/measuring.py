"""What `pcedge quantize` measures on held-out records, and says of its result."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from pcedge.circuit import Circuit
from pcedge.circuit.rows import entries
from pcedge.cli.output import in_words, memory_in_words, warn
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.learn.config import LearnConfig
from pcedge.learn.holdout import hold_out

#: held-out records that are measured, at most
MEASURED = 2048


def held_records(train: Any, valid: Any, seed: int) -> Any:
    """Give the validation split; without one what training, refinement and search with the seed hold out of train."""
    if valid is not None and len(valid):
        return valid.reshape(len(valid), -1)
    return train if len(train) < 2 else hold_out(train, LearnConfig.holdout, seed)[1]


def measure_held_out(circuit: Circuit, model: IntegerCircuit, records: Any, seed: int) -> dict[str, Any]:
    """Measure an integer circuit and its float circuit on held-out records, at most MEASURED, drawn with the seed.

    Counted are the coding intervals; where symbols are missing or the circuit has no tree of regions, the integer
    likelihood of the records that it calls possible.
    """
    from pcedge.engines import ReferenceEngine
    from pcedge.evaluate.statistics import log2_pair, record_bits

    chosen = np.random.default_rng([seed, 17]).permutation(len(records))[:MEASURED]
    some, engine = records[np.sort(chosen)], ReferenceEngine(model)
    some = engine.check(some, allow_missing=True)
    if model.structured and not (some < 0).any():
        bits = record_bits(circuit, engine, some)
        code, bits_per_record = "intervals", bits.interval_bits
        floats, likelihoods = bits.float_bits, bits.likelihood_bits
    else:
        floats, likelihoods = (-logs for logs in log2_pair(circuit, engine, some))
        code, bits_per_record = "likelihood", likelihoods
    return {
        "records": len(some),
        "of": len(records),
        "code": code,
        "float_bits_per_record": _mean(floats),
        "bits_per_record": _mean(bits_per_record),
        "float_impossible": int(np.isposinf(floats).sum()),
        "impossible": int(np.isposinf(likelihoods).sum()),
    }


def _mean(bits: Any) -> float | None:
    possible = bits[np.isfinite(bits)]
    return float(possible.mean()) if len(possible) else None


def measured_in_words(result: dict[str, Any]) -> str:
    """Write what was measured on held-out records; warn of records that only the integers call impossible."""
    if result["impossible"] > result["float_impossible"]:
        warn(
            f"{result['impossible']} of {result['records']} held-out records are impossible to the integers "
            f"(likelihood 0), {result['float_impossible']} to the float circuit; the floor codes them, at many bits, "
            "and their score is -inf: more bits or --small-weights keep help"
        )
    some = f"{result['records']} records" + (f" of {result['of']}" if result["of"] > result["records"] else "")
    return (
        f"held out: {some}: {_bits(result['bits_per_record'])} bits a record by {result['code']}, float circuit "
        f"{_bits(result['float_bits_per_record'])}; impossible: {result['impossible']}, to the float circuit "
        f"{result['float_impossible']}"
    )


def refinement_in_words(result: dict[str, Any]) -> str:
    """Write what a refinement did; warn where it made the held-out records longer."""
    before, after = result["bits_per_record_before"], result["bits_per_record_after"]
    if before is not None and after is not None and after > before:
        warn(f"--refine made the held-out records longer, {after:z.4f} bits a record after {before:z.4f}")
    outcome = f"pass {result['pass_kept']} of {result['passes']} kept" if result["pass_kept"] else "rounding alone kept"
    if result["left_out"]:
        outcome = "left out, for it does not keep the budget"
    return f"refinement: {_bits(before)} bits a record before, {_bits(after)} after, {outcome}"


def _bits(value: float | None) -> str:
    return "no" if value is None else f"{value:z.4f}"


def parts(model: IntegerCircuit) -> dict[str, Any]:
    """Count sum layers by the bits of their weights, leaf tables, masters that these come from, and a table's rows.

    The bits are the least W that holds a layer's weights, at least 2: where a layer has a W of its own, its weights
    are multiples of 2^(W_max - W).
    """
    widths: dict[int, int] = {}
    for layer in model.layers:
        if isinstance(layer, IntegerSum):
            common = int(np.bitwise_or.reduce(entries(layer.weights), axis=None))
            bits = max(2, model.weight_bits - ((common & -common).bit_length() - 1))
            widths[bits] = widths.get(bits, 0) + 1
    tables: dict[int, list[Any]] = {}
    for layer in model.layers:
        if isinstance(layer, IntegerInput):
            tables.setdefault(layer.cumulative.shape[1], []).append(layer.cumulative)
    return {
        "layer_weight_bits": {str(bits): widths[bits] for bits in sorted(widths)},
        "leaf_tables": sum(len(np.unique(np.concatenate(group), axis=0)) for group in tables.values()),
        "leaf_masters": sum(len(nested.masters) for nested in model.nested),
        "row_table": sum(len(table.rows) for table in model.row_tables.values()),
    }


def tails_of(model: IntegerCircuit, circuit: Circuit | None = None) -> dict[str, Any] | None:
    """Describe the tails of an integer circuit's likelihood; None where it has none.

    With the float circuit it is told whether each of its possible records is proven to be possible to the integers too
    (docs/quantization.md, section Tails), and which sum layers are in the way.
    """
    from pcedge.quantize.post_training import aligned_layers
    from pcedge.quantize.tails import lost_rows

    if not model.tails:
        return None
    kinds = [shape.kind for index, shape in enumerate(model.shapes) if model.has_tails(index)]
    result: dict[str, Any] = {"input_layers": kinds.count("input"), "sum_layers": kinds.count("sum")}
    if circuit is not None:
        kept, lost = lost_rows(aligned_layers(circuit.layers, model.order), model.layers)
        result |= {"possible_kept": kept, "lost_rows": [asdict(rows) for rows in lost]}
    return result


def tails_in_words(tails: dict[str, Any] | None) -> str:
    """Write what the tails are; warn where a possible record may be impossible to the integers."""
    if tails is None:
        return "none: records that the float circuit calls possible may be impossible to the integers"
    text = f"{tails['input_layers']} input and {tails['sum_layers']} sum layers"
    if "possible_kept" not in tails:
        return text
    if not tails["possible_kept"]:
        bits = max((rows["weight_bits"] for rows in tails["lost_rows"]), default=None)
        advice = "" if bits is None else f": --weight-bits {bits} has room for all weights of all rows"
        warn(f"some records that the float circuit calls possible may be impossible to the integers{advice}")
        return f"{text}; some possible records may be lost"
    return f"{text}; every record that the float circuit calls possible has a likelihood above 0"


def layers_in_words(widths: dict[str, int]) -> str:
    """Write how many layers have which bits."""
    return ", ".join(f"{count} of {bits} bits" for bits, count in widths.items())


def sizes(model: IntegerCircuit) -> tuple[dict[str, Any], str]:
    """Give widths, and memories if the circuit can be lowered: for machines, and the same in words."""
    from dataclasses import replace

    from pcedge.export.program.lowering import lower

    result: dict[str, Any] = {"widths": model.widths.as_dict()}
    text = f"weight bits {model.weight_bits}, leaf bits {model.leaf_bits}, state bits {model.state_bits}"
    if model.structured:
        result["memory_bits"] = lower(model).memory_bits()
        text += f"\nmemory: {memory_in_words(result['memory_bits'])}"
        if model.nested:
            rom, plain = result["memory_bits"]["rom"], lower(replace(model, nested=())).memory_bits()["rom"]
            result["rom_bits_of_plain_tables"] = plain
            if rom > plain:
                text += (
                    f"\nnote: with plain leaf tables the ROM would have {plain / 1000:z.3f} kbit, less than with "
                    "masters: take fewer --leaf-masters, or none"
                )
    return result, text


def chosen_in_words(chosen: dict[str, Any]) -> str:
    """Write what a search chose."""
    others = (f"{name.replace('_', ' ')} {in_words(value)}" for name, value in chosen.items() if name != "weight_bits")
    text = f"chosen: sum layers: {layers_in_words(chosen['weight_bits'])}; " + "; ".join(others)
    return text.replace("leaf tables None", "leaf tables not shared")

"""The commands by name: where each is, and the first sentence of its help, so that `pcedge --help` imports none."""

from __future__ import annotations

import importlib

import click
from click.shell_completion import CompletionItem

#: of each command its module and name there, and the first sentence of its help
TABLE = {
    "build": (
        "building", "build",
        "Build hardware: a project of RTL, or a circuit for a device, by open tools; an HLS project by the vendor's.",
    ),
    "classify": (
        "querying", "classify", "Classify records by the integer likelihood of each class; no float takes part.",
    ),
    "completion": (
        "completing", "completion",
        "Print what a shell must read to complete commands, options and files of pcedge.",
    ),
    "compress": (
        "compression", "compress",
        "Make a float circuit smaller by passes, each followed by the same refit, within one budget.",
    ),
    "decode": (
        "coding", "decode",
        "Restore the file of a stream, or its records with their dtype and shape; - is stdin, and stdout.",
    ),
    "demo": (
        "demo", "demo",
        "Quantize, export, simulate, verify and compress the shipped digits; leaves a project and report.json.",
    ),
    "device": (
        "on_board", "device",
        "Run a job on the engine of a board on a serial line, which must hold the circuit MODEL, a file or a project.",
    ),
    "doctor": (
        "commands", "doctor",
        "Show which tools were found, where, what overrides each, and what each is needed for.",
    ),
    "encode": (
        "coding", "encode", "Compress a file of numbers without loss; - is stdin, and stdout.",
    ),
    "estimate": (
        "estimating", "estimate",
        "Count cycles, multipliers and memory bits of the engine before synthesis; estimate what it takes of a device.",
    ),
    "evaluate": (
        "evaluating", "evaluate",
        "Compare an integer circuit with its float circuit: worst records, classes, queries, out-of-distribution data.",
    ),
    "explain": (
        "explaining", "explain",
        "Tell which variables make records unlikely: the bits of each, which sum to the record's -log2 p.",
    ),
    "export": ("exporting", "export", "Lower an integer circuit to an HLS project with testbench and golden vectors."),
    "grow": (
        "compressing", "grow", "Clone every latent state of a float circuit, with noise, so that training can go on.",
    ),
    "image": ("simulating", "image", "Write what a reloadable engine loads for a circuit."),
    "import": (
        "importing", "import_file",
        "Read a model of other software, such as a circuit of SPFlow or a Bayesian network, and write it as .pcedge.",
    ),
    "info": (
        "commands", "info",
        "Describe a float or integer circuit, a compressed stream, or an archive; - is stdin.",
    ),
    "loglik": ("commands", "loglik", "Compute the mean log-likelihood in nats and in bits per variable."),
    "map": (
        "querying", "complete", "Fill in missing values by the most probable ones, all of a record together.",
    ),
    "pack": (
        "packing", "pack",
        "Put a circuit and a file that it compresses into one archive, which needs no other file; - is stdin, and "
        "stdout.",
    ),
    "predict": (
        "predicting", "predict",
        "Predict how many bits a variable an integer circuit loses against its float circuit after --refine em.",
    ),
    "prune": ("compressing", "prune", "Drop what the data use least of a float circuit, by circuit flow."),
    "quantize": (
        "quantizing", "quantize",
        "Round a float circuit to integers, trained on data if you like, and write it as ONNX.",
    ),
    "report": (
        "building", "report",
        "Read reports: those of a project, or one file of C synthesis or Vivado; compare builds of RTL projects.",
    ),
    "sample": (
        "scoring", "sample",
        "Draw records from an integer circuit: what random bytes decode to, the same by every engine.",
    ),
    "score": (
        "scoring", "score", "Score records: -log2 of the likelihood in 1/256 bit, as an unrolled kernel gives it.",
    ),
    "simulate": (
        "simulating", "simulate",
        "Compile a project's testbenches and compare with its golden vectors: steps, engine jobs, a predictor.",
    ),
    "train": (
        "training", "train",
        "Learn a circuit by EM (needs the extra train); under torchrun all its processes share the work.",
    ),
    "unpack": ("packing", "unpack", "Restore the file of an archive; - is stdin, and stdout."),
    "verify": (
        "commands", "verify",
        "Compare onnxruntime and the HLS kernels with the numpy reference, bit for bit; exit 1 on any mismatch.",
    ),
    "zoo": (
        "zoo", "zoo",
        "List the circuits that come with pcedge; their names stand for files wherever an integer circuit is asked "
        "for.",
    ),
}  # fmt: skip


class LazyGroup(click.Group):
    """Import a command when it is run or asked for its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands."""
        return sorted({*TABLE, *self.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None where there is none of this name."""
        if cmd_name in TABLE and cmd_name not in self.commands:
            module, name, _ = TABLE[cmd_name]
            self.add_command(getattr(importlib.import_module(f"pcedge.cli.{module}"), name), cmd_name)
        return self.commands.get(cmd_name)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what click says of an interrupt, an empty line, is left out."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise click.Abort from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands, for which none is imported, and options."""
        names = [CompletionItem(name, help=TABLE[name][2]) for name in sorted(TABLE) if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the first sentences of the table."""
        limit = formatter.width - 6 - max(map(len, TABLE))
        rows = [(name, click.Command(name, help=TABLE[name][2]).get_short_help_str(limit)) for name in sorted(TABLE)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

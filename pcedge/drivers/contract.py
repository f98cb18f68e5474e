"""The contract between software and the parallel engine: registers, jobs, status bits, info words, image header.

This is the one place where they are written. `pcedge.export.engine.contract` makes the C++ header, the page, the
SystemRDL and the C header of it, and a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

#: the first word of info and of an image: the characters PCE1
MAGIC = int.from_bytes(b"PCE1", "little")

#: versions of registers, streams and jobs, and of an image
ENGINE_VERSION, IMAGE_VERSION = 1, 1

#: words of the circuit's SHA-256
DIGEST_WORDS = 8

#: a missing symbol on a stream
MISSING_WORD = 0xFFFFFFFF

#: cycles from an entry's last beat to when a reader may use it, beyond the writing itself (matrix-vector unit, vector
#: unit); from the last beat of an interval to what follows from it; from the request of a step to its numbers
LATENCIES = {"MIX": 4, "VECTOR": 3, "INTERVAL": 7, "FETCH": 1}

#: records in flight at most
MOST_STREAMS = 64


class Job(IntEnum):
    """Number the modes of the job register."""

    LIKELIHOOD = 0
    ENCODE = 1
    DECODE = 2
    SAMPLE = 3
    LOAD = 4
    READ = 5
    TELL = 6
    PACK = 7
    UNPACK = 8
    SCORE = 9


#: what each job does
JOBS = {
    Job.LIKELIHOOD: "likelihood of records, with missing symbols a marginal",
    Job.ENCODE: "code records into a lane",
    Job.DECODE: "restore the records of a lane",
    Job.SAMPLE: "decode random bytes, any of which are a lane",
    Job.LOAD: "write the memories from an image",
    Job.READ: "give the image that the memories hold",
    Job.TELL: "fill the info registers and nothing else",
    Job.PACK: "fill a packet of so many bytes with records",
    Job.UNPACK: "restore what one packet holds",
    Job.SCORE: "score of records; engines in SystemVerilog may have it",
}


class Status(IntFlag):
    """Name the bits of the status register; they are set until the next job."""

    BAD_FRAME = 1
    NOT_LOADED = 2
    BAD_IMAGE = 4
    TOO_LARGE = 8
    BAD_JOB = 16
    BAD_LANE = 32
    BAD_SYMBOL = 64
    UPSET = 128


#: what each bit of the status register says
STATUS_BITS = {
    Status.BAD_FRAME: "TLAST was not at the end of a record",
    Status.NOT_LOADED: "there is no circuit in the memories",
    Status.BAD_IMAGE: "not an image, of another version, or damaged",
    Status.TOO_LARGE: "the image does not fit this build",
    Status.BAD_JOB: "no such job, or one that this build has not",
    Status.BAD_LANE: "no encoder of this circuit wrote a lane",
    Status.BAD_SYMBOL: "a symbol was beyond the alphabet of its variable",
    Status.UPSET: "a memory gave a word that was not written; hardened engines say so",
}


@dataclass(frozen=True)
class Register:
    """Describe a register, or an array of them, in AXI4-Lite space."""

    name: str
    #: byte offset
    offset: int
    #: 32-bit words
    words: int
    #: `rw` software writes it, `r` hardware does
    access: str
    meaning: str


#: bits of the control register, which the vendor's tool makes
START, DONE, IDLE = 1, 2, 4

REGISTERS = (
    Register(
        "control", 0x00, 1, "rw", "bit 0 starts a job, bit 1 says that it is done (cleared by reading), bit 2 idle"
    ),
    Register("job", 0x10, 1, "rw", "the mode"),
    Register("status", 0x18, 1, "r", "bits that the last job set, 0 if fine"),
    Register("cycles", 0x28, 2, "r", "clock cycles of a job that works on records; 0 after other jobs"),
    Register("records", 0x100, MOST_STREAMS, "rw", "records of each stream"),
    Register("info", 0x200, 40, "r", "what the build is and which circuit it has; written by every job"),
)

#: their byte offsets
CONTROL, JOB, STATUS, CYCLES, RECORDS, INFO = (register.offset for register in REGISTERS)

#: words of the info registers; those that no name claims are 0, and the digest is the last eight
INFO_WORDS = 40
INFO_NAMES = {
    "magic": "the characters PCE1",
    "version": "version of registers, streams and jobs",
    "reload": "1 where the memories can be loaded",
    "streams": "streams",
    "macs": "multiply-accumulates a cycle",
    "search_bits": "bits of a symbol that a decoder finds in a round",
    "state_bits": "A",
    "weight_bits": "W",
    "leaf_bits": "L",
    "scale_bits": "P",
    "range_bits": "B",
    "floor": "floor of a symbol",
    "cardinality": "the most symbols of a variable",
    "tile_columns": "columns of a tile",
    "variables": "room: variables",
    "state_words": "room: words of the state memory",
    "exponent_slots": "room: exponents of the state memory",
    "max_units": "room: units of a step",
    "sections": "sections of an image",
    "record": "variables of the circuit that is loaded, 0 where there is none",
    "likelihood_steps": "its steps of the likelihood",
    "code_steps": "its steps of the code",
}

#: words of an image's header before the circuit's SHA-256; the first `IMAGE_SAME` are as in the build
IMAGE_NAMES = {
    "magic": "the characters PCE1",
    "version": "version of the image",
    "sections": "number of sections",
    "widths": "A, L, P and W, a byte each from the lowest",
    "shape": "lanes in the low half, search bits in the high half",
    "record": "variables",
    "likelihood_steps": "steps of the likelihood",
    "code_steps": "steps of the code",
    "likelihood_result": "number of the first mantissa of the likelihood",
    "likelihood_result_exponent": "number of its exponent",
    "nested": "1 where tables come from masters",
    "max_units": "units of a step at most",
    "state_words": "words of the state memory",
    "exponent_slots": "exponents of the state memory",
    "cardinality": "the most symbols of a variable",
    "terms": "terms of an accumulation at most",
    "floor": "floor of a symbol",
}
IMAGE_SAME = 5

// The contract with software: jobs, status bits, info words, image header (docs/registers.md).
// made of pcedge/drivers/contract.py by `python -m pcedge.export.engine.contract`; do not edit
// clang-format off
#ifndef PCEDGE_REGISTERS_HPP
#define PCEDGE_REGISTERS_HPP

#include <cstdint>

namespace pcedge {

/// First word of info and of an image, the characters PCE1.
constexpr std::uint32_t MAGIC = 0x31454350u;
/// Versions of registers, streams and jobs, and of an image.
constexpr std::uint32_t ENGINE_VERSION = 1;
constexpr std::uint32_t IMAGE_FORMAT = 1;
/// A missing symbol on a stream.
constexpr std::uint32_t MISSING_WORD = 0xffffffffu;

/// Cycles from an entry's last beat to when a reader may use it, beyond the writing itself; from the
/// last beat of an interval to what follows from it; from the request of a step to its numbers.
constexpr unsigned MIX_LATENCY = 4;
constexpr unsigned VECTOR_LATENCY = 3;
constexpr unsigned INTERVAL_LATENCY = 7;
constexpr unsigned FETCH_LATENCY = 1;

/// What the engine does, as its mode register says.
enum job_t {
  LIKELIHOOD = 0, ///< likelihood of records, with missing symbols a marginal
  ENCODE = 1, ///< code records into a lane
  DECODE = 2, ///< restore the records of a lane
  SAMPLE = 3, ///< decode random bytes, any of which are a lane
  LOAD = 4, ///< write the memories from an image
  READ = 5, ///< give the image that the memories hold
  TELL = 6, ///< fill the info registers and nothing else
  PACK = 7, ///< fill a packet of so many bytes with records
  UNPACK = 8, ///< restore what one packet holds
  SCORE = 9, ///< score of records; engines in SystemVerilog may have it
  JOBS = 10
};

/// What the status register says: bits that are set until the next job.
enum status_t : std::uint32_t {
  FINE = 0,
  BAD_FRAME = 1, ///< TLAST was not at the end of a record
  NOT_LOADED = 2, ///< there is no circuit in the memories
  BAD_IMAGE = 4, ///< not an image, of another version, or damaged
  TOO_LARGE = 8, ///< the image does not fit this build
  BAD_JOB = 16, ///< no such job, or one that this build has not
  BAD_LANE = 32, ///< no encoder of this circuit wrote a lane
  BAD_SYMBOL = 64, ///< a symbol was beyond the alphabet of its variable
  UPSET = 128, ///< a memory gave a word that was not written; hardened engines say so
};

/// Words of the info registers; the circuit's SHA-256 is the last eight, and what has no name is 0.
enum info_word_t : unsigned {
  INFO_MAGIC = 0, ///< the characters PCE1
  INFO_VERSION = 1, ///< version of registers, streams and jobs
  INFO_RELOAD = 2, ///< 1 where the memories can be loaded
  INFO_STREAMS = 3, ///< streams
  INFO_MACS = 4, ///< multiply-accumulates a cycle
  INFO_SEARCH_BITS = 5, ///< bits of a symbol that a decoder finds in a round
  INFO_STATE_BITS = 6, ///< A
  INFO_WEIGHT_BITS = 7, ///< W
  INFO_LEAF_BITS = 8, ///< L
  INFO_SCALE_BITS = 9, ///< P
  INFO_RANGE_BITS = 10, ///< B
  INFO_FLOOR = 11, ///< floor of a symbol
  INFO_CARDINALITY = 12, ///< the most symbols of a variable
  INFO_TILE_COLUMNS = 13, ///< columns of a tile
  INFO_VARIABLES = 14, ///< room: variables
  INFO_STATE_WORDS = 15, ///< room: words of the state memory
  INFO_EXPONENT_SLOTS = 16, ///< room: exponents of the state memory
  INFO_MAX_UNITS = 17, ///< room: units of a step
  INFO_SECTIONS = 18, ///< sections of an image
  INFO_RECORD = 19, ///< variables of the circuit that is loaded, 0 where there is none
  INFO_LIKELIHOOD_STEPS = 20, ///< its steps of the likelihood
  INFO_CODE_STEPS = 21, ///< its steps of the code
  INFO_WORDS = 40
};

/// Words of an image's header; the circuit's SHA-256 follows.
enum image_word_t : unsigned {
  IMAGE_MAGIC = 0, ///< the characters PCE1
  IMAGE_VERSION = 1, ///< version of the image
  IMAGE_SECTIONS = 2, ///< number of sections
  IMAGE_WIDTHS = 3, ///< A, L, P and W, a byte each from the lowest
  IMAGE_SHAPE = 4, ///< lanes in the low half, search bits in the high half
  IMAGE_RECORD = 5, ///< variables
  IMAGE_LIKELIHOOD_STEPS = 6, ///< steps of the likelihood
  IMAGE_CODE_STEPS = 7, ///< steps of the code
  IMAGE_LIKELIHOOD_RESULT = 8, ///< number of the first mantissa of the likelihood
  IMAGE_LIKELIHOOD_RESULT_EXPONENT = 9, ///< number of its exponent
  IMAGE_NESTED = 10, ///< 1 where tables come from masters
  IMAGE_MAX_UNITS = 11, ///< units of a step at most
  IMAGE_STATE_WORDS = 12, ///< words of the state memory
  IMAGE_EXPONENT_SLOTS = 13, ///< exponents of the state memory
  IMAGE_CARDINALITY = 14, ///< the most symbols of a variable
  IMAGE_TERMS = 15, ///< terms of an accumulation at most
  IMAGE_FLOOR = 16, ///< floor of a symbol
  IMAGE_WORDS = 17,
  IMAGE_SAME = 5 ///< so many must be as in the build
};

} // namespace pcedge

#endif

"""The codec: lanes, their range coder, and the stream. Needs numpy only."""

from pcedge.codec.checking import check_stream
from pcedge.codec.codec import Codec
from pcedge.codec.decoder import Decoder
from pcedge.codec.drift import expected_bits, measure_drift
from pcedge.codec.encoder import Encoder
from pcedge.codec.packet_stream import decode_packet_stream, encode_packet_stream
from pcedge.codec.stream import decode, encode

__all__ = [
    "Codec", "Decoder", "Encoder", "check_stream", "decode", "decode_packet_stream", "encode", "encode_packet_stream",
    "expected_bits", "measure_drift",
]  # fmt: skip

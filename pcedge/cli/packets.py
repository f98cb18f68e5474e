"""What encode and decode do with packets of equal size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pcedge.cli.inputs import bits_per_value
from pcedge.cli.output import counted, progress, save_array, whole_file


def encode_packets(
    engine: Any, x: Any, form: Any, out: Path, packet_bytes: int, crc_bits: int | None, check: str
) -> tuple[dict[str, Any], str]:
    """Write a stream of packets; give what is said of it.

    Raises:
        DataError: the data do not fit the circuit.
        UsageError: the packets have no room.
        MismatchError: what was written does not give back the data.
    """
    import numpy as np

    from pcedge.codec import packet_stream
    from pcedge.codec.checking import differ
    from pcedge.codec.container import parse
    from pcedge.codec.files import fields_of
    from pcedge.errors import MismatchError

    crc_bits = packet_stream.DEFAULT_CRC_BITS if crc_bits is None else crc_bits
    with progress("encoding") as move:
        data = packet_stream.encode_packet_stream(engine, x, packet_bytes, crc_bits, move, fields_of(form))
    if check != "none":
        with progress("verifying") as move:
            back = packet_stream.whole(packet_stream.decode_packet_stream(engine, data, move))
        if len(back) != len(x) or differ(back, np.asarray(x)).any():
            raise MismatchError("the packets must give back the data, they do not")
    with whole_file(out) as fresh:
        fresh.write_bytes(data)
    stream = parse(data)
    symbolizer = engine.circuit.symbolizer
    symbols = (symbolizer.records(len(x)) if symbolizer else len(x)) * len(engine.circuit.order)
    result = {
        "out": str(out), "records": len(x), "bytes": len(data), "payload_bytes": stream.payload_bytes, "lanes": 0,
        "bits_per_variable": 8 * len(data) / symbols if symbols else None,
        "verify": "none" if check == "none" else "all", "verified_records": 0 if check == "none" else len(x),
        "source": None if form is None else form.text,
        "packets": len(stream.packets), "packet_bytes": packet_bytes, "packet_crc": crc_bits,
    }  # fmt: skip
    per_value = bits_per_value(engine.circuit, 8 * len(data), x).get("bits_per_value")
    each = (per_value, "value") if symbolizer else (result["bits_per_variable"], "variable")
    rate = "" if each[0] is None else f", {each[0]:z.4f} bits a {each[1]}"
    rate += "; not decoded" if check == "none" else f"; {counted(len(x), 'record')} decoded and compared"
    of = f"{counted(len(x), 'record')}, {counted(len(stream.packets), 'packet')} of {packet_bytes} bytes"
    return result, f"{out}: {len(data)} bytes for {of}{rate}"


def decode_packets(engine: Any, stream: Path, lost: Path | None) -> tuple[Any, dict[str, Any]]:
    """Restore what came of a stream of packets; with `lost` write which numbers did not.

    Raises:
        StreamError: the header is damaged or of another circuit; or something is lost, and `lost` is None.
    """
    from pcedge.codec.packet_stream import decode_packet_stream, whole

    with progress("decoding") as move:
        received = decode_packet_stream(engine, stream.read_bytes(), move)
    if lost is None:
        whole(received)
    else:
        save_array(lost, ~received.here)
    return received.array, {
        "packets": received.packets, "damaged_packets": list(received.damaged),
        "lost": int((~received.here).sum()), "numbers": received.here.size,
    }  # fmt: skip

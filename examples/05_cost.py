"""What does it cost? Cycles, memories and multipliers of an engine before anything is synthesised."""

import pcedge
from pcedge.drivers.size import EngineSize

circuit = pcedge.load("nltcs")
for macs, streams in ((1, 1), (16, 4)):
    cost = pcedge.estimate_cost(circuit, target="zcu104", size=EngineSize(macs, streams))
    rate = cost.symbols_per_second("encode") / 1e6
    cycles = cost.cycles_per_symbol("encode")
    print(f"{macs} macs, {streams} streams: {cycles:.1f} cycles a symbol, {rate:.2f} M symbols/s")
    print(f"  circuit {cost.memory_bits['rom'] / 1000:.0f} kbit, multipliers {cost.size.multipliers}")

"""Hardware in SystemVerilog: units of which engines are made (`sources/`, README.md)."""

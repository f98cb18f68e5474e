"""The predictor stage of a circuit in SystemVerilog: its tables, its sources, and its part of a project."""

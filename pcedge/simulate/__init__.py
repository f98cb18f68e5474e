"""Simulation: external tools, C simulation, onnxruntime."""

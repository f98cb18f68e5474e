"""Simulation: whatever runs a circuit beside the numpy reference."""

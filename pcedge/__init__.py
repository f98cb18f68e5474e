"""Probabilistic circuits on edge hardware."""

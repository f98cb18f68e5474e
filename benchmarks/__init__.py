"""Measurements: what docs/results.md shows, and the mutation of every input."""

"""The program of a circuit as C99 for microcontrollers (docs/c99.md)."""

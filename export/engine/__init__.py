"""The parallel engine and the sequential kernels: sizes, cycles, resources, memories, project."""

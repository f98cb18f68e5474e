"""HLS C++ kernel library: header-only templates, testbench."""

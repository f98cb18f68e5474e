"""The form of a float circuit that PyJuice reads (docs/onnx.md)."""

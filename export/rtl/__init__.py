"""The engine in SystemVerilog: sources with sizes as parameters, and the images of one circuit."""

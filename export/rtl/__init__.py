"""The engine in SystemVerilog: sources with sizes as parameters, the images of one circuit, and models of cells."""

"""RTL: SystemVerilog of the engine, models of cells for netlists, and the projects of target rtl."""

"""The serial engine in SystemVerilog: one record, one step at a time, the model in one large memory."""

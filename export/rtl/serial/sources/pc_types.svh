// The sizes of one serial engine, which the exporter writes.
`ifndef PC_TYPES_SVH
`define PC_TYPES_SVH
`include "params.svh"
`endif

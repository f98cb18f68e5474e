// Any words in place of products: who uses them assumes what it needs of products.
module pc_product #(
    parameter int FIRST_BITS  = 26,
    parameter int SECOND_BITS = 25,
    parameter int PART_BITS   = 18
) (
    input  logic                              clk,
    input  logic [            FIRST_BITS-1:0] in_first,
    input  logic [           SECOND_BITS-1:0] in_second,
    output logic [FIRST_BITS+SECOND_BITS-1:0] out
);
  (* anyseq *) logic [FIRST_BITS+SECOND_BITS-1:0] any;
  assign out = any;
  wire unused = &{1'b0, clk, in_first, in_second, PART_BITS[0]};
endmodule

// pc_stage_listed: the place of a residual among those that a stage lists, which ascend (docs/predictor.md, Listed
// residuals), and the residual of a place.
//
// Ports    go, residual: is it listed? done, a pulse: found, place. A residual is stable from go to done. fetch, fetch_place:
//          the residual of a place is out 3 cycles later, while no search runs.
// Latency  5 cycles for each bit of a place, and 5; 1 where none is listed.
`include "stage.svh"
module pc_stage_listed (
    input logic clk,
    input logic rst,
    input logic go,
    input logic signed [63:0] residual,
    output logic done,
    output logic found,
    output logic [STAGE_PLACE_BITS-1:0] place,
    input logic fetch,
    input logic [STAGE_PLACE_BITS-1:0] fetch_place,
    output logic signed [63:0] out
);
  if (STAGE_LISTED == 0) begin : g_none
    always_ff @(posedge clk) done <= go && !rst;
    assign {found, place, out} = '0;
    wire unused = &{1'b0, residual, fetch, fetch_place};
  end else begin : g_some
    // places below `low` have smaller residuals, those from `high` on have none
    logic [STAGE_PLACE_BITS-1:0] low, high, at;
    logic searches;
    logic [2:0] wait_count;
    logic [63:0] word;
    wire [STAGE_PLACE_BITS:0] both = (STAGE_PLACE_BITS + 1)'(low) + (STAGE_PLACE_BITS + 1)'(high);
    wire [STAGE_PLACE_BITS-1:0] middle = both[STAGE_PLACE_BITS:1];
    pc_rom #(.WORDS(STAGE_LISTED_WORDS), .WIDTH(STAGE_LISTED_WIDTH), .FILE("stage_listed.hex")) listed (
        .clk(clk), .address(at[STAGE_LISTED_BITS-1:0]), .data(word));
    assign out = word;
    assign place = low;
    logic below, same;
    always_ff @(posedge clk) begin
      done <= 1'b0;
      below <= out < residual;
      same <= out == residual;
      wait_count <= wait_count - 1'b1;
      if (fetch) at <= fetch_place;
      if (go) begin
        low <= '0;
        high <= STAGE_PLACE_BITS'(STAGE_LISTED);
        at <= STAGE_PLACE_BITS'(STAGE_LISTED / 2);
        searches <= 1'b1;
        found <= 1'b0;
        wait_count <= 3'd4;
      end else if (searches && wait_count == '0) begin
        // what is found stays found: then nothing is below it any more, and low comes to it
        wait_count <= 3'd4;
        if (same && low != high) begin
          found <= 1'b1;
          low <= at;
          high <= at;
        end else if (low != high) begin
          if (below) low <= at + 1'b1;
          else high <= at;
        end else begin
          searches <= 1'b0;
          done <= 1'b1;
        end
      end
      if (searches && wait_count == 3'd4 && !go) at <= middle;
      if (rst) begin
        searches <= 1'b0;
        done <= 1'b0;
      end
    end
  end
endmodule

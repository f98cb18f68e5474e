// pc_delay: a number of bits, some cycles later.
//
// Ports    in, out: WIDTH bits each.
// Latency  CYCLES, 0 is a wire. Initiation interval 1. What was in it before the first CYCLES cycles is not defined.
// Made of  registers; of MEMORY and at least 4 cycles a ring in a memory and one register behind it, which is smaller
//          where look-up tables are memories too.
module pc_delay #(
    parameter int WIDTH  = 1,
    parameter int CYCLES = 1,
    parameter bit MEMORY = 0
) (
    input  logic             clk,
    input  logic [WIDTH-1:0] in,
    output logic [WIDTH-1:0] out
);
  if (CYCLES == 0) begin : g_wire
    assign out = in;
    wire unused = clk;
  end else if (MEMORY && CYCLES >= 4) begin : g_ring
    localparam int PLACES = CYCLES - 1;
    localparam int PLACE_BITS = $clog2(PLACES);
    logic [WIDTH-1:0] ring[PLACES];
    logic [PLACE_BITS-1:0] place;
    initial place = '0;
    always_ff @(posedge clk) begin
      out <= ring[place];
      ring[place] <= in;
      place <= place == PLACE_BITS'(PLACES - 1) ? '0 : place + 1'b1;
    end
  end else begin : g_registers
    logic [CYCLES*WIDTH-1:0] stages;
    if (CYCLES == 1) begin : g_one
      always_ff @(posedge clk) stages <= in;
    end else begin : g_more
      always_ff @(posedge clk) stages <= {stages[(CYCLES-1)*WIDTH-1:0], in};
    end
    assign out = stages[CYCLES*WIDTH-1-:WIDTH];
  end
endmodule

// pc_leading: how many zeros stand before a number's first one (docs/arithmetic.md, Normalise: WIDTH - len).
//
// Ports    in: WIDTH bits; out_groups * 8 + out_rest zeros stand before the first one of 8 * GROUPS bits, the number in
//          the highest of them; out_zero: it has none.
// Latency  2. Initiation interval 1.
module pc_leading #(
    parameter  int WIDTH  = 32,
    localparam int GROUPS = (WIDTH + 7) / 8,
    localparam int GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1
) (
    input  logic                  clk,
    input  logic [     WIDTH-1:0] in,
    output logic [GROUP_BITS-1:0] out_groups,
    output logic [           2:0] out_rest,
    output logic                  out_zero
);
  function automatic logic [2:0] zeros_of(input logic [7:0] group);
    casez (group)
      8'b1???????: zeros_of = 3'd0;
      8'b01??????: zeros_of = 3'd1;
      8'b001?????: zeros_of = 3'd2;
      8'b0001????: zeros_of = 3'd3;
      8'b00001???: zeros_of = 3'd4;
      8'b000001??: zeros_of = 3'd5;
      8'b0000001?: zeros_of = 3'd6;
      default: zeros_of = 3'd7;
    endcase
  endfunction

  logic [8*GROUPS-1:0] padded;
  assign padded = {in, {(8 * GROUPS - WIDTH) {1'b0}}};

  logic [GROUPS-1:0] some;  // group 0 is the highest
  logic [3*GROUPS-1:0] rest;
  for (genvar g = 0; g < GROUPS; ++g) begin : g_group
    always_ff @(posedge clk) begin
      some[g] <= |padded[8*(GROUPS-1-g)+:8];
      rest[3*g+:3] <= zeros_of(padded[8*(GROUPS-1-g)+:8]);
    end
  end

  logic [GROUP_BITS-1:0] place;
  logic [2:0] chosen;
  always_comb begin
    place = '0;
    chosen = '0;
    for (int g = GROUPS - 1; g >= 0; g = g - 1)
      if (some[g]) begin
        place = GROUP_BITS'(g);
        chosen = rest[3*g+:3];
      end
  end
  always_ff @(posedge clk) begin
    out_groups <= place;
    out_rest <= chosen;
    out_zero <= some == '0;
  end
endmodule

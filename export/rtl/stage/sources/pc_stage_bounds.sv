// pc_stage_bounds: lower ends of tokens' intervals given their class (docs/predictor.md, Kernel): of each class the context
// is there that the code schedule leaves for the token, and the token's tables.
//
// Ports    go, chosen, token: whose bound, stable until done, a pulse: bound. The bound of the number of tokens is the last
//          end. fresh: the class is another one than before, or may be.
// Latency  a cycle for each unit of the context, and 13; with fresh 28.
`include "stage.svh"
module pc_stage_bounds #(
    localparam int P = STAGE_SCALE_BITS
) (
    input logic clk,
    input logic rst,
    input logic go,
    input logic fresh,
    input logic [STAGE_CLASS_BITS-1:0] chosen,
    input logic [STAGE_TOKEN_BITS-1:0] token,
    output logic done,
    output logic [P:0] bound
);
  localparam logic [P-1:0] FLOORS = P'(STAGE_TOKENS * STAGE_FLOOR);
  // ---- products of the context with the tables' entries below the token
  logic [STAGE_CONTEXT_ADDRESS_BITS-1:0] context_at;
  logic [STAGE_TABLE_ADDRESS_BITS-1:0] table_at;
  logic [STAGE_STATE_BITS-1:0] weight, weight_3;
  logic [STAGE_LEAF_BITS:0] below, below_3;
  pc_rom #(.WORDS(STAGE_CONTEXTS_WORDS), .WIDTH(STAGE_CONTEXTS_WIDTH), .FILE("stage_contexts.hex")) contexts (
      .clk(clk), .address(context_at), .data(weight));
  pc_rom #(.WORDS(STAGE_TABLES_WORDS), .WIDTH(STAGE_TABLES_WIDTH), .FILE("stage_tables.hex")) entries (
      .clk(clk), .address(table_at), .data(below));
  logic active, ended, prepares;
  logic [STAGE_UNIT_BITS-1:0] unit;
  logic [4:1] valid;
  (* keep *) logic [STAGE_STATE_BITS+STAGE_LEAF_BITS:0] product;
  logic [STAGE_SUM_BITS-1:0] total;
  logic [STAGE_WEIGHTED_BITS-1:0] weighted;
  logic [P:0] floors;
  always_ff @(posedge clk) begin
    ended <= 1'b0;
    valid <= {valid[3:1], active};
    weight_3 <= weight;
    below_3 <= below;
    product <= weight_3 * below_3;
    floors <= (P + 1)'(token) * (P + 1)'(STAGE_FLOOR);
    if (valid[3]) total <= total + STAGE_SUM_BITS'(weight_3);
    if (valid[4]) begin
      weighted <= weighted + STAGE_WEIGHTED_BITS'(product);
      if (!valid[3]) ended <= 1'b1;
    end
    if (go) begin
      active <= 1'b1;
      unit <= '0;
      total <= '0;
      weighted <= '0;
      prepares <= fresh;
      context_at <= STAGE_CONTEXT_ADDRESS_BITS'(chosen * STAGE_UNITS);
      table_at <= STAGE_TABLE_ADDRESS_BITS'(token * STAGE_UNITS);
    end else if (active) begin
      unit <= unit + 1'b1;
      context_at <= context_at + 1'b1;
      table_at <= table_at + 1'b1;
      if (32'(unit) == STAGE_UNITS - 1) active <= 1'b0;
    end
    if (rst) begin
      active <= 1'b0;
      valid <= '0;
      ended <= 1'b0;
    end
  end

  // ---- what the bounds of a class share, and the bound
  logic scale_valid, scale_tag, bound_tag, ask_unused;
  logic [5:0] zeros, zeros_now, early_unused;
  logic [P:0] scale, scale_now, second_unused;
  logic [2:0] asks_unused;
  logic [53:0] firsts_unused;
  logic [3*P-1:0] seconds_unused;
  logic [P+1:0] first_unused;
  logic bound_go;
  pc_interval_scale #(.SUM_BITS(STAGE_SUM_BITS), .SCALE_BITS(P)) prepare (
      .clk(clk), .rst(rst), .in_valid(ended && prepares), .in_tag(1'b0), .in_total(total), .in_floors(FLOORS),
      .out_valid(scale_valid), .out_tag(scale_tag), .out_zeros(zeros_now), .early_zeros(early_unused),
      .out_scale(scale_now), .ask(asks_unused), .ask_first(firsts_unused), .ask_second(seconds_unused),
      .product('0));
  always_ff @(posedge clk) begin
    bound_go <= !rst && (scale_valid || ended && !prepares);
    if (scale_valid) begin
      zeros <= zeros_now;
      scale <= scale_now;
    end
  end
  pc_interval_bound #(.WEIGHTED_BITS(STAGE_WEIGHTED_BITS), .SCALE_BITS(P)) ends (
      .clk(clk), .rst(rst), .in_valid(bound_go), .in_tag(1'b0), .in_weighted(weighted), .in_zeros(zeros),
      .in_scale(scale), .in_floors(floors), .out_valid(done), .out_tag(bound_tag), .out_bound(bound),
      .ask(ask_unused), .ask_first(first_unused), .ask_second(second_unused), .product('0));
  wire unused = &{1'b0, scale_tag, bound_tag, ask_unused, early_unused, second_unused, asks_unused, firsts_unused,
                  seconds_unused, first_unused};
endmodule

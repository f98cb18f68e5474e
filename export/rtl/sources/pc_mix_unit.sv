// pc_mix_unit: UP and DOWN by tiles of weights, TILE_ROWS rows of PC_LANES columns a cycle (docs/rtl.md, Mixing).
//
// UP: a tile's rows are targets and its columns sources; DOWN, the other way round, of the same tile. Tiles of the last
// source end a sum; TILE_ROWS sums UP, PC_LANES sums DOWN. Beats: UP blocks * a_rows, DOWN rows * blocks.
//
// Ports    task_*: a step; it is taken when task_ready. row_address and tile_address ask, data comes 2 cycles later.
//          lift: bits by which weights are larger than the circuit's.
//          out_*: rows of accumulators for the writer, with `reserve` a vector's room is taken there.
// Keeps    (docs/arithmetic.md, Tails) a mantissa of 1 weighs nothing; a sum of nothing that is possible is 1.
// Latency  from a tile's address to its sum: 6 + ceil(log2 PC_LANES), then 2 to out.
`include "pc_types.svh"
module pc_mix_unit #(
    localparam int WEIGHT = PC_WEIGHT_BITS + 1,
    localparam int PRODUCT_BITS = WEIGHT + PC_STATE_BITS,
    localparam int LEVELS = $clog2(PC_LANES),
    localparam int GROUPS = PC_LANES / TILE_ROWS,  // UP: groups of sums a row; DOWN: parts of a row of sources
    localparam int GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1
) (
    input logic clk,
    input logic rst,
    input logic task_valid,
    output logic task_ready,
    input task_t task_in,
    output logic [ROW_ADDRESS_BITS-1:0] row_address,
    input logic [PC_LANES*PC_STATE_BITS-1:0] row_data,
    output logic [TILE_BITS-1:0] tile_address,
    input logic [MACS*WEIGHT-1:0] tile_data,
    input logic [LIFT_BITS-1:0] lift,
    output logic reserve,
    output logic [ROW_COUNT_BITS-1:0] reserve_rows,
    output meta_t reserve_meta,
    input logic free,
    output logic out_valid,
    output logic out_last,
    output logic [PC_LANES*MIX_BITS-1:0] out_row
);
  // ---- which tile
  task_t now;
  logic busy;
  logic [BLOCK_BITS-1:0] block;   // of TILE_ROWS rows of the matrix
  logic [ROW_COUNT_BITS-1:0] column;  // of PC_LANES columns
  logic [GROUP_BITS-1:0] group;
  logic [ROW_ADDRESS_BITS-1:0] source;
  logic [TILE_BITS-1:0] tile;
  wire up = now.step.kind == KIND_UP;
  logic [ROW_COUNT_BITS-1:0] columns, most_column;
  logic [BLOCK_BITS-1:0] most_block;
  wire last_block = block == most_block;
  wire last_column = column == most_column;
  wire [ROW_COUNT_BITS-1:0] columns_in = task_in.step.kind == KIND_UP ? task_in.step.a_rows : task_in.step.rows;
  wire last_source = up ? last_column : last_block;
  logic [BLOCK_BITS+ROW_COUNT_BITS-1:0] left;  // beats
  logic last_beat;
  // a product as a sum, for yosys would take a multiplier
  function automatic logic [BLOCK_BITS+ROW_COUNT_BITS-1:0] beats_of(
      input logic [BLOCK_BITS-1:0] blocks, input logic [ROW_COUNT_BITS-1:0] columns_);
    beats_of = '0;
    for (int at = 0; at < ROW_COUNT_BITS; at = at + 1)
      if (columns_[at]) beats_of = beats_of + ((BLOCK_BITS + ROW_COUNT_BITS)'(blocks) << at);
  endfunction
  wire last_group = group == GROUP_BITS'(GROUPS - 1);
  assign task_ready = (!busy || last_beat) && free;
  assign reserve = task_valid && task_ready;
  always_ff @(posedge clk) begin
    if (busy) begin
      if (up) begin
        tile <= tile + 1'b1;
        column <= last_column ? '0 : column + 1'b1;
        source <= last_column ? now.step.a : source + 1'b1;
        if (last_column) begin
          block <= block + 1'b1;
          group <= last_group ? '0 : group + 1'b1;
        end
      end else begin
        block <= last_block ? '0 : block + 1'b1;
        group <= last_block || last_group ? '0 : group + 1'b1;
        source <= last_block ? now.step.a : source + ROW_ADDRESS_BITS'(last_group);
        // a column's tiles lie `columns` apart, the next column's begin one behind its first
        tile <= last_block ? now.step.weights + TILE_BITS'(column) + 1'b1 : tile + TILE_BITS'(columns);
        if (last_block) column <= column + 1'b1;
      end
      if (last_beat) busy <= 1'b0;
      left <= left - 1'b1;
      last_beat <= left == (BLOCK_BITS + ROW_COUNT_BITS)'(2);
    end
    if (reserve) begin
      left <= beats_of(task_in.step.blocks, columns_in);
      last_beat <= task_in.step.blocks == BLOCK_BITS'(1) && columns_in == ROW_COUNT_BITS'(1);
      now <= task_in;
      busy <= 1'b1;
      block <= '0;
      column <= '0;
      group <= '0;
      source <= task_in.step.a;
      tile <= task_in.step.weights;
      columns <= columns_in;
      most_column <= columns_in - 1'b1;
      most_block <= task_in.step.blocks - 1'b1;
    end
    if (rst) busy <= 1'b0;
  end
  assign row_address = source;
  assign tile_address = tile;

  // ---- what belongs to a tile on its way
  typedef struct packed {
    logic up;
    logic keep;
    logic tail;
    logic first;  // source
    logic last;
    logic row_last;  // the row of sums is whole
    logic step_last;
    logic [GROUP_BITS-1:0] group;
  } beat_t;
  localparam int BEAT_BITS = 7 + GROUP_BITS;
  beat_t beat_0, beat_2, beat_3, beat_s;
  assign beat_0.up = up;
  assign beat_0.keep = KEEPS != 0 && now.step.zeros[1];
  assign beat_0.tail = MIX_TAILS != 0 && now.step.zeros == ZEROS_TAIL;
  assign beat_0.first = up ? column == '0 : block == '0;
  assign beat_0.last = last_source;
  assign beat_0.row_last = !up || last_group || last_block;
  assign beat_0.step_last = last_beat;
  assign beat_0.group = group;
  logic valid_2, valid_3, valid_s;
  pc_valid #(.WIDTH(BEAT_BITS), .CYCLES(2)) to_2 (
      .clk(clk), .rst(rst), .in_valid(busy), .in(beat_0), .out_valid(valid_2), .out(beat_2)
  );
  pc_valid #(.WIDTH(BEAT_BITS), .CYCLES(1)) to_3 (
      .clk(clk), .rst(rst), .in_valid(valid_2), .in(beat_2), .out_valid(valid_3), .out(beat_3)
  );
  pc_valid #(.WIDTH(BEAT_BITS), .CYCLES(1 + LEVELS)) to_s (
      .clk(clk), .rst(rst), .in_valid(valid_3), .in(beat_3), .out_valid(valid_s), .out(beat_s)
  );

  // ---- operands: a lane is a tree of TILE_ROWS products. DOWN it is a column of the tile; UP it is a part of a row, as
  // many columns as there are rows, and the parts of a row are added up behind the trees. So weights are turned in front
  // of the multipliers, and there is one set of trees.
  logic [MACS*PC_STATE_BITS-1:0] operand;
  logic [MACS*WEIGHT-1:0] weight;
  logic [MACS-1:0] some;  // the source's mantissa is not 0
  wire [TILE_ROWS*PC_STATE_BITS-1:0] part = (TILE_ROWS * PC_STATE_BITS)'(
      row_data >> (GROUPS > 1 ? 32'(beat_2.group) * (TILE_ROWS * PC_STATE_BITS) : 0));
  for (genvar l = 0; l < PC_LANES; ++l) begin : g_operand
    for (genvar j = 0; j < TILE_ROWS; ++j) begin : g_term
      localparam int AT = l * TILE_ROWS + j;
      localparam int COLUMN = l / TILE_ROWS * TILE_ROWS + j;  // UP
      localparam int UP_AT = l % TILE_ROWS * PC_LANES + COLUMN;
      localparam int DOWN_AT = j * PC_LANES + l;
      wire [PC_STATE_BITS-1:0] mantissa =
          beat_2.up ? row_data[COLUMN*PC_STATE_BITS+:PC_STATE_BITS] : part[j*PC_STATE_BITS+:PC_STATE_BITS];
      always_ff @(posedge clk) begin
        operand[AT*PC_STATE_BITS+:PC_STATE_BITS] <=
            beat_2.keep && mantissa == PC_STATE_BITS'(1) ? '0 : mantissa;
        some[AT] <= mantissa != '0;
        weight[AT*WEIGHT+:WEIGHT] <= beat_2.up ? tile_data[UP_AT*WEIGHT+:WEIGHT] : tile_data[DOWN_AT*WEIGHT+:WEIGHT];
      end
    end
  end

  // ---- products, and sums of them
  logic [MACS*PRODUCT_BITS-1:0] product;
  logic [MACS-1:0] possible;
  for (genvar at = 0; at < MACS; ++at) begin : g_product
    wire [WEIGHT-1:0] w = weight[at*WEIGHT+:WEIGHT];
    wire [PC_STATE_BITS-1:0] v = operand[at*PC_STATE_BITS+:PC_STATE_BITS];
    always_ff @(posedge clk) begin
      // a weight of 0 with a tail is 2^-4 of a weight of 1
      product[at*PRODUCT_BITS+:PRODUCT_BITS] <=
          beat_3.tail && w == '0 ? PRODUCT_BITS'(v >> 4) << lift : PRODUCT_BITS'(w) * PRODUCT_BITS'(v);
      possible[at] <= some[at] && (beat_3.tail || w != '0);
    end
  end
  localparam int TREE_LEVELS = $clog2(TILE_ROWS);
  localparam int TREE_BITS = PRODUCT_BITS + TREE_LEVELS;
  localparam int UP_BITS = TREE_BITS + $clog2(GROUPS);
  logic [PC_LANES*TREE_BITS-1:0] trees, trees_late;
  logic [PC_LANES-1:0] ways, ways_late;
  logic [PC_LANES*MIX_BITS-1:0] sums_up;
  logic [PC_LANES-1:0] ways_up;
  for (genvar l = 0; l < PC_LANES; ++l) begin : g_tree
    pc_adder_tree #(.COUNT(TILE_ROWS), .WIDTH(PRODUCT_BITS)) tree (
        .clk(clk), .in(product[l*TILE_ROWS*PRODUCT_BITS+:TILE_ROWS*PRODUCT_BITS]),
        .out(trees[l*TREE_BITS+:TREE_BITS])
    );
    pc_delay #(.WIDTH(1), .CYCLES(TREE_LEVELS)) way (.clk(clk), .in(|possible[l*TILE_ROWS+:TILE_ROWS]), .out(ways[l]));
  end
  pc_delay #(.WIDTH(PC_LANES * TREE_BITS), .CYCLES(LEVELS - TREE_LEVELS)) wait_ (.clk(clk), .in(trees), .out(trees_late));
  pc_delay #(.WIDTH(PC_LANES), .CYCLES(LEVELS - TREE_LEVELS)) wait_ways (.clk(clk), .in(ways), .out(ways_late));
  for (genvar r = 0; r < PC_LANES; ++r) begin : g_up
    if (r < TILE_ROWS) begin : g_sum
      logic [GROUPS*TREE_BITS-1:0] parts;
      logic [GROUPS-1:0] part_ways;
      logic [UP_BITS-1:0] sum;
      for (genvar g = 0; g < GROUPS; ++g) begin : g_part
        assign parts[g*TREE_BITS+:TREE_BITS] = trees[(g*TILE_ROWS+r)*TREE_BITS+:TREE_BITS];
        assign part_ways[g] = ways_late[g*TILE_ROWS+r];
      end
      pc_adder_tree #(.COUNT(GROUPS), .WIDTH(TREE_BITS)) tree (.clk(clk), .in(parts), .out(sum));
      assign sums_up[r*MIX_BITS+:MIX_BITS] = MIX_BITS'(sum);
      assign ways_up[r] = |part_ways;
    end else begin : g_none
      assign sums_up[r*MIX_BITS+:MIX_BITS] = '0;
      assign ways_up[r] = 1'b0;
    end
  end

  // ---- accumulators
  logic [PC_LANES*MIX_BITS-1:0] total;
  logic [PC_LANES-1:0] way;
  beat_t beat_a;
  logic valid_a;
  for (genvar lane = 0; lane < PC_LANES; ++lane) begin : g_total
    wire [MIX_BITS-1:0] down = MIX_BITS'(trees_late[lane*TREE_BITS+:TREE_BITS]);
    wire [MIX_BITS-1:0] term = beat_s.up ? sums_up[lane*MIX_BITS+:MIX_BITS] : down;
    wire step_way = beat_s.up ? ways_up[lane] : ways_late[lane];
    always_ff @(posedge clk)
      if (valid_s) begin
        total[lane*MIX_BITS+:MIX_BITS] <= (beat_s.first ? '0 : total[lane*MIX_BITS+:MIX_BITS]) + term;
        way[lane] <= step_way || (!beat_s.first && way[lane]);
      end
  end
  always_ff @(posedge clk) begin
    valid_a <= valid_s && beat_s.last && !rst;
    beat_a  <= beat_s;
  end

  // ---- rows: a sum of nothing that is possible is 1; UP puts groups side by side
  logic [PC_LANES*MIX_BITS-1:0] sums, row;
  always_comb begin
    for (int lane = 0; lane < PC_LANES; lane = lane + 1) begin
      sums[lane*MIX_BITS+:MIX_BITS] = total[lane*MIX_BITS+:MIX_BITS];
      if (beat_a.keep && way[lane] && total[lane*MIX_BITS+:MIX_BITS] == '0)
        sums[lane*MIX_BITS+:MIX_BITS] = MIX_BITS'(1) << lift;
    end
  end
  localparam int GROUP_WIDTH = TILE_ROWS * MIX_BITS;
  always_ff @(posedge clk) begin
    out_valid <= valid_a && beat_a.row_last && !rst;
    out_last  <= beat_a.step_last;
    if (valid_a) begin
      if (!beat_a.up) row <= sums;
      else
        for (int g = 0; g < GROUPS; g = g + 1) begin
          if (GROUP_BITS'(g) == beat_a.group) row[g*GROUP_WIDTH+:GROUP_WIDTH] <= sums[GROUP_WIDTH-1:0];
          else if (beat_a.group == '0) row[g*GROUP_WIDTH+:GROUP_WIDTH] <= '0;
        end
    end
  end
  assign out_row = row;

  // ---- where it goes
  assign reserve_rows = task_in.step.rows;
  assign reserve_meta.stream = task_in.stream;
  assign reserve_meta.target = task_in.step.target;
  assign reserve_meta.target_slot = task_in.step.target_slot;
  assign reserve_meta.zeros = task_in.step.zeros;
  assign reserve_meta.bypass = 1'b0;
  assign reserve_meta.lifted = RELOAD != 0;
  assign reserve_meta.masked = task_in.step.zeros == ZEROS_REVIVE || task_in.step.zeros == ZEROS_TAIL;
  assign reserve_meta.last = task_in.step.last;
  assign reserve_meta.exponent = 33'(task_in.a_exponent) - 33'(PC_WEIGHT_BITS);
endmodule

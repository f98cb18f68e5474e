// pc_vector_unit: INIT, MULTIPLY, ALIGN, and what reads entry by entry: LIST and GATHER (docs/rtl.md, Vectors).
//
// Reads share a port with the tables, which go first: a read is asked for with row_ask and done with row_grant. With
// PAIR_COPY second operands come through a port of their own, beside the first ones.
// Beats: INIT rows, MULTIPLY 2 rows, ALIGN rows, LIST entries, GATHER 2 entries, END 1; with PAIR_COPY one where two are.
//
// Ports    task_*: a step. row_*: a read, data 2 cycles after its grant. list_*: an entry of a list, 2 cycles later.
//          second_*: the second operand of the same read. lift: bits by which weights are larger than the circuit's.
//          out_*: rows for the writer. result_*: mantissa and exponent of a likelihood, of an END.
// Latency  from a grant: 2 to the row, 2 to the product, 1 to the sum.
`include "pc_types.svh"
module pc_vector_unit #(
    localparam int LANE_SHIFT = $clog2(PC_LANES),
    localparam int COEFFICIENT_BITS = LIST_B_BITS > PC_STATE_BITS ? LIST_B_BITS : PC_STATE_BITS
) (
    input logic clk,
    input logic rst,
    input logic task_valid,
    output logic task_ready,
    input task_t task_in,
    output logic row_ask,
    input logic row_grant,
    output logic [ROW_ADDRESS_BITS-1:0] row_address,
    input logic [PC_LANES*PC_STATE_BITS-1:0] row_data,
    output logic [ROW_ADDRESS_BITS-1:0] second_address,
    input logic [PC_LANES*PC_STATE_BITS-1:0] second_data,
    output logic [LIST_BITS-1:0] list_address,
    input logic [LIST_WIDTH-1:0] list_data,
    input logic [LIFT_BITS-1:0] lift,
    output logic reserve,
    output logic [ROW_COUNT_BITS-1:0] reserve_rows,
    output meta_t reserve_meta,
    input logic free,
    output logic out_valid,
    output logic out_last,
    output logic [PC_LANES*PC_VECTOR_BITS-1:0] out_row,
    output logic result_valid,
    output logic [PC_STREAM_BITS-1:0] result_stream,
    output logic [PC_STATE_BITS-1:0] result_mantissa,
    output logic [31:0] result_exponent
);
  // ---- the step at work
  task_t now;
  logic busy;
  logic second;  // of two reads
  logic [ROW_COUNT_BITS-1:0] row;
  logic [STATE_LANE_BITS-1:0] lane;
  logic signed [32:0] apart;  // the first exponent less the second
  wire listed = HAS_LISTS != 0 && (now.step.kind == KIND_LIST || now.step.kind == KIND_GATHER);
  wire multiplies = now.step.kind == KIND_MULTIPLY || now.step.kind == KIND_GATHER;
  wire paired = PAIR_COPY == 0 && multiplies;  // two reads, one after the other
  wire ends = now.step.kind == KIND_END;
  wire into_second = now.step.kind == KIND_ALIGN && row >= now.step.a_rows;

  // ---- entries of lists come ahead of their reads, at most 4; those behind a list's end are dropped
  logic entry_valid, entry_take;
  logic [LIST_WIDTH-1:0] entry;
  logic end_waits;  // a likelihood is on its way out
  wire entry_last, entry_none;
  wire [POSITION_BITS-1:0] entry_a;
  wire [LIST_B_BITS-1:0] entry_b;
  assign {entry_b, entry_a, entry_none, entry_last} = entry;
  logic finish;  // of the step: its last read is granted
  if (HAS_LISTS != 0) begin : g_lists
    logic [2:0] under_way;  // asked for and not taken
    logic [1:0] asked;
    logic fill_ready_unused;
    wire ask = busy && listed && !finish && under_way < 3'd4;
    pc_fifo #(.WIDTH(LIST_WIDTH), .DEPTH(5)) entries (
        .clk(clk), .rst(rst || finish), .in_valid(asked[1]), .in_ready(fill_ready_unused), .in(list_data),
        .out_valid(entry_valid), .out_ready(entry_take), .out(entry)
    );
    always_ff @(posedge clk) begin
      asked <= rst || finish ? '0 : {asked[0], ask};
      under_way <= rst || finish ? '0 : under_way + 3'(ask) - 3'(entry_take);
      if (ask) list_address <= list_address + 1'b1;
      if (reserve || (task_valid && task_ready)) list_address <= task_in.step.list;
    end
  end else begin : g_no_lists
    assign entry_valid = 1'b0;
    assign entry = '0;
    assign list_address = '0;
  end

  // ---- which row
  wire last_lane = lane == STATE_LANE_BITS'(PC_LANES - 1);
  logic last_row;
  wire whole = !paired || second;  // the entry or row has all of its reads
  wire row_whole = whole && (listed ? entry_last && last_lane : 1'b1);
  assign row_ask = busy && (!listed || entry_valid);
  assign finish = row_grant && (ends || (row_whole && last_row));
  assign entry_take = row_grant && listed && whole;
  // behind rows that are read as they lie the next step begins with the last read; lists and likelihoods end first
  wire ends_rows = row_grant && whole && last_row && !listed && !ends;
  assign task_ready = (!busy || ends_rows) && !end_waits && free;
  wire begins = task_valid && task_ready;
  assign reserve = begins && task_in.step.kind != KIND_END;
  always_comb begin
    row_address = now.step.a + ROW_ADDRESS_BITS'(row);
    if (listed)
      row_address = second ? now.step.b + ROW_ADDRESS_BITS'(entry_b[POSITION_BITS-1:0] >> LANE_SHIFT)
                           : now.step.a + ROW_ADDRESS_BITS'(entry_a >> LANE_SHIFT);
    else if (second) row_address = now.step.b + ROW_ADDRESS_BITS'(row);
    else if (into_second) row_address = now.step.b + ROW_ADDRESS_BITS'(row - now.step.a_rows);
    else if (ends) row_address = now.step.a;
    second_address = now.step.b + ROW_ADDRESS_BITS'(row);
    if (listed) second_address = now.step.b + ROW_ADDRESS_BITS'(entry_b[POSITION_BITS-1:0] >> LANE_SHIFT);
  end
  always_ff @(posedge clk) begin
    if (row_grant) begin
      if (paired) second <= !second;
      if (listed && whole && entry_last) lane <= last_lane ? '0 : lane + 1'b1;
      if (row_whole) begin
        row <= row + 1'b1;
        last_row <= row + ROW_COUNT_BITS'(2) == now.step.rows;
      end
      if (finish) busy <= 1'b0;
    end
    if (begins) begin
      now <= task_in;
      apart <= 33'(task_in.a_exponent) - 33'(task_in.b_exponent);
      busy <= 1'b1;
      second <= 1'b0;
      row <= '0;
      last_row <= task_in.step.rows == ROW_COUNT_BITS'(1);
      lane <= '0;
    end
    if (rst) busy <= 1'b0;
  end

  // ---- what belongs to a read on its way
  typedef struct packed {
    logic [3:0] kind;
    logic keep;
    logic weighted;
    logic second;
    logic whole;
    logic row_whole;
    logic step_last;
    logic none;
    logic list_last;
    logic [STATE_LANE_BITS-1:0] lane;     // of the result
    logic [STATE_LANE_BITS-1:0] chosen;   // of the row that is read
    logic [STATE_LANE_BITS-1:0] second_chosen;
    logic [STATE_LANE_BITS-1:0] units;    // INIT: the last unit of the row
    logic [LIST_B_BITS-1:0] weight;
    logic [4:0] shift;                    // ALIGN: to the right
  } read_t;
  localparam int READ_BITS = 12 + 4 * STATE_LANE_BITS + LIST_B_BITS + 5;
  read_t read_0, read_2, read_3, read_4;
  wire behind = into_second ? apart > 0 : apart < 0;  // this source's exponent is the lesser one
  wire [32:0] away = apart < 0 ? 33'(-apart) : 33'(apart);
  assign read_0.kind = now.step.kind;
  assign read_0.keep = KEEPS != 0 && now.step.zeros[1];
  assign read_0.weighted = now.step.flag;
  assign read_0.second = second;
  assign read_0.whole = whole;
  assign read_0.row_whole = row_whole;
  assign read_0.step_last = finish;
  assign read_0.none = listed && entry_none;
  assign read_0.list_last = entry_last;
  assign read_0.lane = lane;
  assign read_0.chosen =
      STATE_LANE_BITS'(second ? entry_b[POSITION_BITS-1:0] : entry_a) & STATE_LANE_BITS'(PC_LANES - 1);
  assign read_0.second_chosen = STATE_LANE_BITS'(entry_b[POSITION_BITS-1:0]) & STATE_LANE_BITS'(PC_LANES - 1);
  assign read_0.units = last_row ? now.step.last : STATE_LANE_BITS'(PC_LANES - 1);
  assign read_0.weight = entry_b;
  assign read_0.shift = !behind ? 5'd0 : away > 33'd31 ? 5'd31 : away[4:0];
  logic valid_2, valid_3, valid_4;
  pc_valid #(.WIDTH(READ_BITS), .CYCLES(2)) to_2 (
      .clk(clk), .rst(rst), .in_valid(row_grant), .in(read_0), .out_valid(valid_2), .out(read_2)
  );
  pc_valid #(.WIDTH(READ_BITS), .CYCLES(1)) to_3 (
      .clk(clk), .rst(rst), .in_valid(valid_2), .in(read_2), .out_valid(valid_3), .out(read_3)
  );
  pc_valid #(.WIDTH(READ_BITS), .CYCLES(1)) to_4 (
      .clk(clk), .rst(rst), .in_valid(valid_3), .in(read_3), .out_valid(valid_4), .out(read_4)
  );

  // ---- operands. Entry by entry, lane 0 multiplies
  wire by_entry = HAS_LISTS != 0 && (read_2.kind == KIND_LIST || read_2.kind == KIND_GATHER);
  wire [PC_STATE_BITS-1:0] entry_value =
      read_2.none ? '0 : PC_STATE_BITS'(row_data >> (32'(read_2.chosen) * PC_STATE_BITS));
  wire [PC_STATE_BITS-1:0] second_value =
      read_2.none ? '0 : PC_STATE_BITS'(second_data >> (32'(read_2.second_chosen) * PC_STATE_BITS));
  wire [PC_LANES*PC_STATE_BITS-1:0] read_row = by_entry ? (PC_LANES * PC_STATE_BITS)'(entry_value) : row_data;
  wire [PC_LANES*PC_STATE_BITS-1:0] second_row = by_entry ? (PC_LANES * PC_STATE_BITS)'(second_value) : second_data;
  // of the same entries, whether they are 1, which weighs nothing in a step that keeps: known before the multipliers
  function automatic logic [PC_LANES-1:0] ones_of(input logic [PC_LANES*PC_STATE_BITS-1:0] from);
    for (int l = 0; l < PC_LANES; l = l + 1)
      ones_of[l] = from[l*PC_STATE_BITS+:PC_STATE_BITS] == PC_STATE_BITS'(1);
  endfunction
  wire [PC_LANES-1:0] row_ones = ones_of(row_data);
  wire [PC_LANES-1:0] second_ones = ones_of(second_data);
  wire [PC_LANES-1:0] read_one = by_entry ? PC_LANES'(!read_2.none && row_ones[read_2.chosen]) : row_ones;
  wire [PC_LANES-1:0] second_one =
      by_entry ? PC_LANES'(!read_2.none && second_ones[read_2.second_chosen]) : second_ones;
  wire at_once = PAIR_COPY != 0 && (read_2.kind == KIND_MULTIPLY || read_2.kind == KIND_GATHER);
  logic [PC_LANES*PC_STATE_BITS-1:0] first, x, y;
  logic [PC_LANES-1:0] first_one, x_nothing, y_nothing;
  logic [COEFFICIENT_BITS-1:0] coefficient;
  always_ff @(posedge clk) begin
    if (valid_2 && !read_2.second) first <= read_row;
    if (valid_2 && !read_2.second) first_one <= read_one;
    y_nothing <= read_2.keep && read_2.kind != KIND_INIT ? (at_once ? second_one : read_one) : '0;
    x_nothing <= read_2.keep && read_2.kind != KIND_INIT ? (at_once ? read_one : first_one) : '0;
    y <= at_once ? second_row : read_row;
    x <= at_once ? read_row : first;
    coefficient <= HAS_LISTS == 0 || read_2.kind != KIND_LIST
        ? COEFFICIENT_BITS'(at_once ? second_row[PC_STATE_BITS-1:0] : read_row[PC_STATE_BITS-1:0])
        : read_2.weighted ? COEFFICIENT_BITS'(read_2.weight) : COEFFICIENT_BITS'(1);
    // INIT is a product too, so that nothing stands behind the multipliers; a factor of 1 could count as none
    if (read_2.kind == KIND_INIT) begin
      for (int l = 0; l < PC_LANES; l = l + 1) begin
        x[l*PC_STATE_BITS+:PC_STATE_BITS] <=
            STATE_LANE_BITS'(l) <= read_2.units ? PC_STATE_BITS'(1) << (PC_STATE_BITS - 2) : '0;
        y[l*PC_STATE_BITS+:PC_STATE_BITS] <= PC_STATE_BITS'(2);
      end
      coefficient <= COEFFICIENT_BITS'(2);
    end
  end
  logic [PC_LANES*PC_VECTOR_BITS-1:0] product;
  logic [PC_LANES-1:0] possible;
  for (genvar l = 0; l < PC_LANES; ++l) begin : g_lane
    wire [PC_STATE_BITS-1:0] m = y[l*PC_STATE_BITS+:PC_STATE_BITS];
    wire [PC_STATE_BITS-1:0] n = x[l*PC_STATE_BITS+:PC_STATE_BITS];
    wire [PC_STATE_BITS-1:0] shifted = m >> read_3.shift;
    logic [PC_VECTOR_BITS-1:0] multiplied;
    if (l == 0) begin : g_first
      // LIST: the entry that was read now times its weight; else the two that were read
      wire is_list_3 = HAS_LISTS != 0 && read_3.kind == KIND_LIST;
      wire [PC_STATE_BITS-1:0] left = is_list_3 ? (y_nothing[l] ? '0 : m) : x_nothing[l] ? '0 : n;
      wire [COEFFICIENT_BITS-1:0] right = !is_list_3 && y_nothing[l] ? '0 : coefficient;
      assign multiplied = PC_VECTOR_BITS'(left) * PC_VECTOR_BITS'(right);
    end else begin : g_other
      // each as wide as it is: of a choice within the product yosys makes a wider multiplier
      wire [PC_STATE_BITS-1:0] left = x_nothing[l] ? '0 : n;
      wire [PC_STATE_BITS-1:0] right = y_nothing[l] ? '0 : m;
      assign multiplied = PC_VECTOR_BITS'(left) * PC_VECTOR_BITS'(right);
    end
    always_ff @(posedge clk) begin
      product[l*PC_VECTOR_BITS+:PC_VECTOR_BITS] <= HAS_ALIGN == 0 || read_3.kind != KIND_ALIGN ? multiplied
          : PC_VECTOR_BITS'(read_3.keep && m != '0 && shifted == '0 ? PC_STATE_BITS'(1) : shifted);
      if (l == 0) possible[l] <= HAS_LISTS != 0 && read_3.kind == KIND_LIST ? m != '0 && coefficient != '0 : m != '0 && n != '0;
      else possible[l] <= m != '0 && n != '0;
    end
  end

  // ---- sums and rows
  logic [PC_VECTOR_BITS-1:0] sum;
  logic way, open;
  wire is_list = HAS_LISTS != 0 && read_4.kind == KIND_LIST;
  wire listed_4 = HAS_LISTS != 0 && (read_4.kind == KIND_LIST || read_4.kind == KIND_GATHER);
  wire tailed = read_4.kind == KIND_INIT || read_4.kind == KIND_ALIGN;
  wire [PC_VECTOR_BITS-1:0] sum_now = (is_list && open ? sum : '0) + product[PC_VECTOR_BITS-1:0];
  wire way_now = possible[0] || (is_list && open && way);
  wire [PC_VECTOR_BITS-1:0] entry_now = read_4.keep && way_now && sum_now == '0
      ? PC_VECTOR_BITS'(1) << (is_list && read_4.weighted ? lift : '0) : sum_now;
  always_ff @(posedge clk) begin
    out_valid <= valid_4 && read_4.row_whole && read_4.kind != KIND_END && !rst;
    out_last  <= read_4.step_last;
    if (valid_4 && is_list) begin
      sum  <= sum_now;
      way  <= way_now;
      open <= !read_4.list_last;
    end
    if (rst) open <= 1'b0;
    if (valid_4 && read_4.whole)
      for (int l = 0; l < PC_LANES; l = l + 1) begin
        if (listed_4) begin
          if (STATE_LANE_BITS'(l) == read_4.lane) out_row[l*PC_VECTOR_BITS+:PC_VECTOR_BITS] <= entry_now;
        end else
          out_row[l*PC_VECTOR_BITS+:PC_VECTOR_BITS] <=
              read_4.keep && !tailed && possible[l] && product[l*PC_VECTOR_BITS+:PC_VECTOR_BITS] == '0
                  ? PC_VECTOR_BITS'(1)
              : product[l*PC_VECTOR_BITS+:PC_VECTOR_BITS];
      end
  end

  // ---- a likelihood
  logic [31:0] end_exponent;
  logic [PC_STREAM_BITS-1:0] end_stream;
  always_ff @(posedge clk) begin
    if (begins && task_in.step.kind == KIND_END) begin
      end_exponent <= task_in.a_exponent;
      end_stream <= task_in.stream;
      end_waits <= 1'b1;
    end
    if (rst || result_valid) end_waits <= 1'b0;
    result_valid <= valid_2 && read_2.kind == KIND_END && !rst;
    result_mantissa <= row_data[PC_STATE_BITS-1:0];
    result_exponent <= end_exponent;
    result_stream <= end_stream;
  end

  // ---- where it goes
  logic signed [32:0] exponent;
  always_comb begin
    case (task_in.step.kind)
      KIND_INIT: exponent = 33'(1 - PC_STATE_BITS);
      KIND_ALIGN:
      exponent = task_in.a_exponent > task_in.b_exponent ? 33'(task_in.a_exponent) : 33'(task_in.b_exponent);
      KIND_LIST: exponent = 33'(task_in.a_exponent) - (task_in.step.flag ? 33'(PC_WEIGHT_BITS) : 33'd0);
      default: exponent = 33'(task_in.a_exponent) + 33'(task_in.b_exponent);
    endcase
  end
  assign reserve_rows = task_in.step.rows;
  assign reserve_meta.stream = task_in.stream;
  assign reserve_meta.target = task_in.step.target;
  assign reserve_meta.target_slot = task_in.step.target_slot;
  assign reserve_meta.zeros = task_in.step.zeros;
  assign reserve_meta.bypass = task_in.step.kind == KIND_ALIGN;
  assign reserve_meta.lifted = RELOAD != 0 && task_in.step.kind == KIND_LIST && task_in.step.flag;
  assign reserve_meta.masked = task_in.step.zeros == ZEROS_REVIVE;
  assign reserve_meta.last = task_in.step.last;
  assign reserve_meta.exponent = exponent;
endmodule

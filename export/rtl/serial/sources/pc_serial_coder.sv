// pc_serial_coder: intervals (docs/arithmetic.md, Intervals) and the range coder (Range coder; docs/stream.md, Lane) of one
// lane, one product after the other.
//
// Ports    in_valid, in_ready, in_operation:
//            ENCODE 0  the symbol with in_total, in_low, in_high: sum and weighted entries of its context
//            FLUSH 1   the lane ends
//            PROBE 2   whether the lane's symbol is at or above in_symbol; `reached` when in_ready comes back
//            TAKE 3    the symbol was found
//            OPEN 4    a lane begins: its first bytes
//            CLOSE 5   a lane ends: what is left of it is dropped
//          in_fresh: the context is another one than that of the operation before.
//          byte_*: of the lane that is read; out_*: of the lane that is written. checks, bad_lane: no encoder wrote it.
// Cycles   ENCODE about 85, behind the steps that follow; PROBE 35, with a fresh context 65.
`include "pc_types.svh"
module pc_serial_coder #(
    localparam int P = PC_SCALE_BITS,
    localparam int B = 2 * PC_SCALE_BITS
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     checks,
    input  logic                     in_valid,
    output logic                     in_ready,
    input  logic [              2:0] in_operation,
    input  logic                     in_fresh,
    input  logic [ CONTEXT_BITS-1:0] in_total,
    input  logic [PC_WEIGHTED_BITS-1:0] in_low,
    input  logic [PC_WEIGHTED_BITS-1:0] in_high,
    input  logic [  SYMBOL_BITS-1:0] in_symbol,
    input  logic [    SYMBOL_BITS:0] in_cardinality,
    output logic                     reached,
    input  logic                     byte_valid,
    output logic                     byte_ready,
    input  logic [              7:0] byte_in,
    input  logic                     byte_last,
    output logic                     out_valid,
    input  logic                     out_ready,
    output logic [              7:0] out_byte,
    output logic                     out_last,
    output logic                     bad_lane
);
  localparam logic [2:0] ENCODE = 3'd0, FLUSH = 3'd1, PROBE = 3'd2, TAKE = 3'd3, OPEN = 3'd4, CLOSE = 3'd5;
  typedef enum logic [3:0] {
    IDLE, SHIFT, DIVISOR, ERROR, FLOORS, SCALE, LOW, COMPARE, HIGH, START, SIZE, CHECK, BYTES, LOAD, DIVIDE, ENDS
  } stage_t;
  stage_t stage;
  logic [2:0] operation;
  logic fresh;

  // ---- the context, moved to the left until its sum has all bits
  localparam int TOTAL_BITS = CONTEXT_BITS > 17 ? CONTEXT_BITS : 17;
  localparam int X = P + 2;
  localparam int ENTRY_BITS = PC_WEIGHTED_BITS > X ? PC_WEIGHTED_BITS : X;
  logic [TOTAL_BITS-1:0] total;
  logic [ENTRY_BITS-1:0] low_entry, high_entry;
  logic [SYMBOL_BITS-1:0] symbol;
  logic [SYMBOL_BITS:0] cardinality;
  wire [16:0] divisor = 17'(total[TOTAL_BITS-1-:16]) + 17'(|total[TOTAL_BITS-17:0]);

  // 2^31 over the middle of the divisors that share an entry (pc_reciprocal)
  logic [15:0] start_of[256];
  initial for (int i = 0; i < 256; i = i + 1) start_of[i] = 16'(33554432 / (2 * i + 513));
  logic [15:0] first_guess;
  logic [16:0] divisor_now;
  always_ff @(posedge clk) begin
    divisor_now <= divisor;
    first_guess <= start_of[divisor[14:7]];
  end

  // ---- one product after the other
  logic [17:0] error;       // of the first guess; then the reciprocal
  logic [P:0] room, scale;  // 2^P less all floors; R
  logic [P:0] start, ends, floors;
  logic [B:0] low;          // of a decoder: the offset
  logic [B-1:0] range;
  logic multiplies, had;
  logic [3:0] under_way;
  logic [X-1:0] first;
  logic [P:0] second;
  logic [X+P:0] product;
  wire [P-1:0] unit = range[B-1:P];
  always_comb begin
    multiplies = 1'b1;
    first  = X'(unit);
    second = start;
    case (stage)
      SHIFT: begin
        // beside the shifts: the floors of all symbols below
        multiplies = !had;
        first  = X'(symbol);
        second = (P + 1)'(FLOOR);
      end
      DIVISOR: begin
        first  = X'(divisor_now);
        second = (P + 1)'(first_guess);
      end
      ERROR: begin
        first  = X'(error);
        second = (P + 1)'(first_guess);
      end
      FLOORS: begin
        first  = X'(cardinality);
        second = (P + 1)'(FLOOR);
      end
      SCALE: begin
        first  = X'(error);
        second = room;
      end
      LOW: begin
        first  = low_entry[ENTRY_BITS-1-:X];
        second = scale;
      end
      HIGH: begin
        first  = high_entry[ENTRY_BITS-1-:X];
        second = scale;
      end
      START: ;
      SIZE: second = ends;  // the size, by then
      default: multiplies = 1'b0;
    endcase
  end
  wire begins = multiplies && under_way == '0;
  wire done = under_way[3];
  always_ff @(posedge clk) under_way <= rst ? '0 : {under_way[2:0], begins};
  pc_product #(.FIRST_BITS(X), .SECOND_BITS(P + 1), .PART_BITS(16)) products (
      .clk(clk), .in_first(first), .in_second(second), .out(product));
  wire [32:0] error_now = 33'h1_0000_0000 - product[32:0];  // d * t is off 2^31 by less than 2^-8 of it
  wire [P:0] bound = floors + product[P+X:X];

  // ---- the coder's state
  wire decodes = operation == TAKE;
  // unit * start, which an encoder adds and a decoder takes away, a cycle after it is there
  logic [B:0] term;
  logic adds;
  wire [B:0] moved = low + term + (B + 1)'(decodes);
  wire left = low[B-1:0] >= range;
  // what a bound must not exceed: the offset by the unit
  logic [P:0] quotient;
  logic [P-1:0] rest;
  wire [P:0] rest_next = {rest, quotient[P]};
  wire [P+1:0] rest_less = {1'b0, rest_next} - {2'b0, unit};
  wire fits = !rest_less[P+1];
  logic [4:0] turns;
  wire narrow = range[B-1:B-8] == '0;
  wire [8:0] last_digit = low[B:B-8] + 9'(|low[B-9:0]);
  logic carry_ready, ended, exact;
  logic [2:0] bytes_left;
  logic [3:0] beyond;  // zeros that were taken behind the lane's end
  wire digit = (stage == BYTES && operation == ENCODE && narrow) || stage == ENDS;
  wire reads = (stage == BYTES && operation == TAKE && narrow) || (stage == LOAD && bytes_left != '1);
  wire read = reads && (ended || byte_valid);
  logic drains;
  assign byte_ready = !ended && (reads || drains);
  assign in_ready = stage == IDLE && !drains;
  pc_serial_carry carries (
      .clk(clk), .rst(rst), .in_valid(digit), .in_ready(carry_ready), .in_digit(stage == ENDS ? last_digit : low[B:B-8]),
      .in_flush(stage == ENDS), .out_valid(out_valid), .out_ready(out_ready), .out_byte(out_byte),
      .out_last(out_last));

  always_ff @(posedge clk) begin
    if (byte_valid && byte_ready && byte_last) ended <= 1'b1;
    case (stage)
      IDLE:
      if (in_valid) begin
        operation <= in_operation;
        fresh <= in_fresh;
        total <= TOTAL_BITS'(in_total) << (TOTAL_BITS - CONTEXT_BITS);
        low_entry <= ENTRY_BITS'(in_low) << (ENTRY_BITS - PC_WEIGHTED_BITS);
        high_entry <= ENTRY_BITS'(in_high) << (ENTRY_BITS - PC_WEIGHTED_BITS);
        symbol <= in_symbol;
        cardinality <= in_cardinality;
        bytes_left <= 3'(B / 8 - 1);
        had <= 1'b0;
        stage <= in_operation == FLUSH ? ENDS : in_operation == OPEN ? LOAD : in_operation == CLOSE ? IDLE : SHIFT;
        drains <= in_operation == CLOSE;
        if (in_operation == OPEN) begin
          ended  <= 1'b0;
          beyond <= '0;
        end
        if (checks && in_operation == CLOSE && !(ended && beyond == 4'(B / 8 - 1))) bad_lane <= 1'b1;
      end
      SHIFT: begin
        if (done) begin
          floors <= (P + 1)'(product);
          had <= 1'b1;
        end
        if (total[TOTAL_BITS-1]) begin
          if (had && (exact || !fresh)) stage <= fresh ? DIVISOR : LOW;
        end else begin
          total <= total << 1;
          low_entry <= low_entry << 1;
          high_entry <= high_entry << 1;
        end
      end
      DIVISOR:
      if (done) begin
        error <= error_now[31:14];
        stage <= ERROR;
      end
      ERROR:
      if (done) begin
        error <= divisor_now[16] ? 18'h20000 : product[32:15];
        stage <= FLOORS;
      end
      FLOORS:
      if (done) begin
        room  <= {1'b1, {P{1'b0}}} - product[P:0];
        stage <= SCALE;
      end
      SCALE:
      if (done) begin
        scale <= product[P+17:17];
        stage <= LOW;
      end
      LOW:
      if (done) begin
        start <= bound;
        floors <= floors + (P + 1)'(FLOOR);
        stage <= operation == PROBE ? COMPARE : HIGH;
      end
      COMPARE: begin
        reached <= start <= quotient;
        stage   <= IDLE;
      end
      HIGH:
      if (done) begin
        ends  <= bound - start;
        stage <= START;
      end
      START:
      if (done) begin
        term  <= decodes ? ~product[B:0] : product[B:0];
        adds  <= 1'b1;
        stage <= SIZE;
      end
      SIZE:
      if (done) begin
        range <= product[B-1:0];
        stage <= decodes ? CHECK : BYTES;
      end
      CHECK:
      // an offset that has left the range becomes its last: the range, less 1 a cycle later
      if (left && !adds) begin
        low  <= {1'b0, range};
        term <= {{B{1'b1}}, 1'b0};
        adds <= 1'b1;
        if (checks) bad_lane <= 1'b1;
      end else if (!adds) stage <= BYTES;
      BYTES:
      if (!narrow) begin
        stage <= decodes ? DIVIDE : IDLE;
        {rest, quotient} <= {1'b0, low[B-1:0]};
      end
      LOAD: begin
        if (read) bytes_left <= bytes_left - 1'b1;
        // one cycle after the last byte the offset is whole
        if (bytes_left == '1) begin
          stage <= DIVIDE;
          {rest, quotient} <= {1'b0, low[B-1:0]};
        end
      end
      DIVIDE: begin
        rest <= P'(fits ? rest_less : rest_next);
        quotient <= {quotient[P-1:0], fits};
        turns <= turns - 1'b1;
        if (turns == '0) stage <= IDLE;
      end
      ENDS: if (carry_ready) stage <= IDLE;
      default: stage <= IDLE;
    endcase
    if (stage != DIVIDE) turns <= 5'(P);
    if (ended) drains <= 1'b0;
    if (adds) begin
      adds <= 1'b0;
      low  <= moved;
    end
    // the table of guesses and the divisor are a cycle behind the sum
    exact <= stage == SHIFT && total[TOTAL_BITS-1];
    if (digit && carry_ready && stage == BYTES) begin
      low   <= {1'b0, low[B-9:0], 8'd0};
      range <= range << 8;
    end
    if (read) begin
      low <= {1'b0, low[B-9:0], ended ? 8'd0 : byte_in};
      if (stage == BYTES) range <= range << 8;
      if (ended && beyond != '1) beyond <= beyond + 1'b1;
    end
    if (in_valid && in_ready && in_operation == OPEN) range <= '1;
    if (stage == ENDS && carry_ready) begin
      low   <= '0;
      range <= '1;
    end
    if (rst) begin
      stage <= IDLE;
      low <= '0;
      range <= '1;
      bad_lane <= 1'b0;
      ended <= 1'b0;
      drains <= 1'b0;
      adds <= 1'b0;
    end
  end
  wire unused = &{1'b0, error_now[32], error_now[13:0], product};
endmodule

// pc_bridge: frames of bytes to registers and streams of an engine (docs/board.md).
//
// Ports    in_*: bytes, which come when they come. out_*: bytes, with valid and ready. engine_rst: resets what is behind
//          the bridge. m_axi_*: AXI4-Lite. to_*: the one word that is offered, with a valid and a ready a stream.
//          from_*: words of all streams side by side. understood: a frame was, for one cycle.
// Sizes    QUIET_CYCLES: within which a frame's next byte must come. WAIT_CYCLES: within which a stream's word must move.
module pc_bridge #(
    parameter int STREAMS = 1,
    parameter int QUIET_CYCLES = 1250000,
    parameter int WAIT_CYCLES = 4096
) (
    input logic clk,
    input logic rst,
    input logic in_valid,
    input logic [7:0] in_data,
    output logic out_valid,
    input logic out_ready,
    output logic [7:0] out_data,
    output logic engine_rst,
    output logic understood,
    output logic [9:0] m_axi_awaddr,
    output logic m_axi_awvalid,
    input logic m_axi_awready,
    output logic [31:0] m_axi_wdata,
    output logic m_axi_wvalid,
    input logic m_axi_wready,
    input logic m_axi_bvalid,
    output logic m_axi_bready,
    output logic [9:0] m_axi_araddr,
    output logic m_axi_arvalid,
    input logic m_axi_arready,
    input logic [31:0] m_axi_rdata,
    input logic m_axi_rvalid,
    output logic m_axi_rready,
    output logic [31:0] to_data,
    output logic to_last,
    output logic [STREAMS-1:0] to_valid,
    input logic [STREAMS-1:0] to_ready,
    input logic [STREAMS*32-1:0] from_data,
    input logic [STREAMS-1:0] from_last,
    input logic [STREAMS-1:0] from_valid,
    output logic [STREAMS-1:0] from_ready
);
  localparam logic [7:0] SYNC = 8'ha5, VERSION = 8'd1;
  localparam logic [7:0] RESET = 8'd0, READ = 8'd1, WRITE = 8'd2, SEND = 8'd3, RECEIVE = 8'd4;
  localparam logic [7:0] DONE = 8'd0, DAMAGED = 8'd1, REFUSED = 8'd2;
  localparam logic [7:0] MOST_WIDE = 8'd63, MOST_NARROW = 8'd254;
  localparam int WAIT_BITS = $clog2((QUIET_CYCLES > WAIT_CYCLES ? QUIET_CYCLES : WAIT_CYCLES) + 1);

  typedef enum logic [4:0] {
    HUNT, SEQUENCE, COMMAND, LENGTH, BODY, CHECK_HIGH, CHECK_LOW,  // a frame comes
    DECIDE, RESETTING,
    FETCH, GATHER, GIVE,  // words of a frame: a byte is read, joins the word; the word goes on
    ASK, TAKE, STORE,  // words of a reply
    END,  // a reply's first byte is known at its end
    HEAD, BODY_READ, BODY_OUT, CRC_HIGH, CRC_LOW  // a reply goes
  } state_t;
  state_t state;

  function automatic logic [15:0] crc_of(input logic [15:0] crc, input logic [7:0] data);
    crc_of = crc ^ {data, 8'd0};
    for (int n = 0; n < 8; n = n + 1) crc_of = crc_of[15] ? {crc_of[14:0], 1'b0} ^ 16'h1021 : {crc_of[14:0], 1'b0};
  endfunction

  // ---- what a frame says
  logic [7:0] sequence_now, command, size, argument_0, argument_1, argument_2;
  logic [15:0] crc;
  logic [7:0] sequence_done;
  logic some_done;  // sequence_done and the reply are of a frame
  wire wants_narrow = argument_1[1];
  wire [7:0] words_bytes = size - 8'd2;  // of SEND and WRITE
  wire is_stream = argument_0 < 8'(STREAMS);
  wire no_other_flag = argument_1[7:2] == '0;
  wire whole_words = words_bytes[1:0] == 2'd0 && size >= 8'd6;
  wire is_offset = argument_1[7:2] == '0 && argument_0[1:0] == '0;
  wire takes_words = is_stream && no_other_flag && (wants_narrow ? size >= 8'd3 : whole_words);
  wire gives_words = size == 8'd3 && is_stream && no_other_flag && !argument_1[0] && argument_2 != '0
      && argument_2 <= (wants_narrow ? MOST_NARROW : MOST_WIDE);

  // ---- a frame's payload and a reply's
  logic [7:0] frame[256], reply[256];
  logic [7:0] at, frame_byte, reply_byte, length, put_place, put_byte;
  logic [7:0] result, kept_result;
  logic damaged, put;
  always_ff @(posedge clk) begin
    if (in_valid && state == BODY) frame[at] <= in_data;
    frame_byte <= frame[at];
    if (put) reply[put_place] <= put_byte;
    reply_byte <= reply[at];
  end
  assign result = damaged ? DAMAGED : kept_result;

  // ---- the word that moves
  logic [31:0] word;
  logic [7:0] left, count;  // words that are left, and that have moved
  logic [1:0] bytes_left;
  logic narrow, ended, wide;
  logic [WAIT_BITS-1:0] waited;
  wire waits_long = waited >= WAIT_BITS'(WAIT_CYCLES);
  localparam int PLACE_BITS = STREAMS > 1 ? $clog2(STREAMS) : 1;
  wire [PLACE_BITS-1:0] stream = argument_0[PLACE_BITS-1:0];
  logic [31:0] from_word;
  logic from_end, from_some;
  always_comb begin
    from_word = '0;
    from_end = 1'b0;
    from_some = 1'b0;
    for (int s = 0; s < STREAMS; s = s + 1)
      if (PLACE_BITS'(s) == stream) begin
        from_word = from_data[32*s+:32];
        from_end = from_last[s];
        from_some = from_valid[s];
      end
  end
  wire too_wide = narrow && from_word[31:8] != '0;
  always_comb begin
    from_ready = '0;
    for (int s = 0; s < STREAMS; s = s + 1)
      from_ready[s] = state == TAKE && command == RECEIVE && PLACE_BITS'(s) == stream && !too_wide;
  end
  wire offered = to_valid != '0;
  assign m_axi_bready = 1'b1;
  assign m_axi_rready = 1'b1;
  assign m_axi_wdata = word;

  logic [1:0] head;
  always_comb begin
    unique case (head)
      2'd0: out_data = SYNC;
      2'd1: out_data = sequence_now;
      2'd2: out_data = result;
      default: out_data = damaged ? 8'd0 : length;
    endcase
    if (state == BODY_OUT) out_data = reply_byte;
    if (state == CRC_HIGH) out_data = crc[15:8];
    if (state == CRC_LOW) out_data = crc[7:0];
  end
  assign out_valid = state == HEAD || state == BODY_OUT || state == CRC_HIGH || state == CRC_LOW;
  wire sent = out_valid && out_ready;
  wire comes = state >= SEQUENCE && state <= CHECK_LOW;

  always_ff @(posedge clk) begin
    put <= 1'b0;
    understood <= 1'b0;
    waited <= waited + 1'b1;
    to_valid <= to_valid & ~to_ready;
    if (m_axi_awready) m_axi_awvalid <= 1'b0;
    if (m_axi_wready) m_axi_wvalid <= 1'b0;
    if (m_axi_arready) m_axi_arvalid <= 1'b0;
    if (in_valid && comes) crc <= crc_of(crc, in_data);
    if (in_valid) waited <= '0;
    if (in_valid && state == BODY) begin
      if (at == 8'd0) argument_0 <= in_data;
      if (at == 8'd1) argument_1 <= in_data;
      if (at == 8'd2) argument_2 <= in_data;
    end
    unique case (state)
      HUNT: begin
        crc <= '1;
        at <= '0;
        damaged <= 1'b0;
        if (in_valid && in_data == SYNC) state <= SEQUENCE;
      end
      SEQUENCE: if (in_valid) begin
        sequence_now <= in_data;
        state <= COMMAND;
      end
      COMMAND: if (in_valid) begin
        command <= in_data;
        state <= LENGTH;
      end
      LENGTH: if (in_valid) begin
        size <= in_data;
        state <= in_data == '0 ? CHECK_HIGH : BODY;
      end
      BODY: if (in_valid) begin
        at <= at + 1'b1;
        if (at + 8'd1 == size) state <= CHECK_HIGH;
      end
      CHECK_HIGH: if (in_valid) state <= CHECK_LOW;
      CHECK_LOW: if (in_valid) state <= DECIDE;
      DECIDE: begin
        head <= '0;
        waited <= '0;
        if (crc != '0) begin
          damaged <= 1'b1;
          state <= HEAD;
        end else if (command == RESET && size == '0) begin
          understood <= 1'b1;
          engine_rst <= 1'b1;
          state <= RESETTING;
        end else if (some_done && sequence_now == sequence_done) state <= HEAD;
        else begin
          understood <= 1'b1;
          some_done <= 1'b1;
          sequence_done <= sequence_now;
          kept_result <= DONE;
          length <= '0;
          at <= 8'd2;
          count <= '0;
          bytes_left <= 2'd3;
          {narrow, ended, wide} <= '0;
          m_axi_awaddr <= {argument_1[1:0], argument_0};
          m_axi_araddr <= {argument_1[1:0], argument_0};
          if (command == READ && size == 8'd3 && is_offset && argument_2 != '0 && argument_2 <= MOST_WIDE) begin
            left <= argument_2;
            state <= ASK;
          end else if (command == WRITE && whole_words && is_offset) begin
            left <= {2'd0, words_bytes[7:2]};
            state <= FETCH;
          end else if (command == SEND && takes_words) begin
            left <= wants_narrow ? words_bytes : {2'd0, words_bytes[7:2]};
            narrow <= wants_narrow;
            bytes_left <= wants_narrow ? 2'd0 : 2'd3;
            state <= FETCH;
          end else if (command == RECEIVE && gives_words) begin
            left <= argument_2;
            narrow <= wants_narrow;
            length <= 8'd1;
            state <= ASK;
          end else begin
            kept_result <= REFUSED;
            state <= HEAD;
          end
        end
      end
      RESETTING: begin
        to_valid <= '0;
        // as long as any synchroniser behind it may take
        if (waited == WAIT_BITS'(15)) begin
          engine_rst <= 1'b0;
          kept_result <= DONE;
          length <= 8'd2;
          some_done <= 1'b0;
          state <= HEAD;
        end
        put <= waited < WAIT_BITS'(2);
        put_place <= {7'd0, waited[0]};
        put_byte <= waited[0] ? 8'(STREAMS) : VERSION;
      end

      FETCH: state <= GATHER;
      GATHER: begin
        at <= at + 1'b1;
        word <= narrow ? {24'd0, frame_byte} : {frame_byte, word[31:8]};
        bytes_left <= bytes_left - 1'b1;
        state <= FETCH;
        if (bytes_left == '0) begin
          bytes_left <= narrow ? 2'd0 : 2'd3;
          left <= left - 1'b1;
          waited <= '0;
          m_axi_awvalid <= command == WRITE;
          m_axi_wvalid <= command == WRITE;
          state <= GIVE;
        end
      end
      GIVE:
        if (command == WRITE) begin
          if (m_axi_bvalid) begin
            m_axi_awaddr <= m_axi_awaddr + 10'd4;
            state <= left == '0 ? HEAD : FETCH;
          end
        end else if (!offered) begin
          for (int s = 0; s < STREAMS; s = s + 1) to_valid[s] <= PLACE_BITS'(s) == stream;
          to_data <= word;
          to_last <= argument_1[0] && left == '0;
          count <= count + 1'b1;
          state <= left == '0 ? END : FETCH;
        end else if (waits_long) state <= END;

      ASK: begin
        waited <= '0;
        m_axi_arvalid <= command == READ;
        state <= TAKE;
      end
      TAKE:
        if (command == READ) begin
          if (m_axi_rvalid) begin
            word <= m_axi_rdata;
            m_axi_araddr <= m_axi_araddr + 10'd4;
            left <= left - 1'b1;
            state <= STORE;
          end
        end else if (from_some) begin
          word <= from_word;
          ended <= from_end && !too_wide;
          wide <= too_wide;
          left <= left - 1'b1;
          bytes_left <= narrow ? 2'd0 : 2'd3;
          state <= too_wide ? END : STORE;
        end else if (waits_long) state <= END;
      STORE: begin
        put <= 1'b1;
        put_place <= length;
        put_byte <= word[7:0];
        word <= word >> 8;
        length <= length + 1'b1;
        bytes_left <= bytes_left - 1'b1;
        if (bytes_left == '0) begin
          bytes_left <= 2'd3;
          if (left == '0 || ended) state <= command == READ ? HEAD : END;
          else state <= ASK;
        end
      end

      END: begin
        put <= 1'b1;
        put_place <= '0;
        put_byte <= command == SEND ? count : {5'd0, wide, narrow, ended};
        if (command == SEND) length <= 8'd1;
        state <= HEAD;
      end

      HEAD: begin
        at <= '0;
        if (head == 2'd0) crc <= '1;
        if (sent) begin
          if (head != 2'd0) crc <= crc_of(crc, out_data);
          head <= head + 1'b1;
          if (head == 2'd3) state <= damaged || length == '0 ? CRC_HIGH : BODY_READ;
        end
      end
      BODY_READ: state <= BODY_OUT;
      BODY_OUT: if (sent) begin
        crc <= crc_of(crc, out_data);
        at <= at + 1'b1;
        state <= at + 8'd1 == length ? CRC_HIGH : BODY_READ;
      end
      CRC_HIGH: if (sent) state <= CRC_LOW;
      CRC_LOW: if (sent) state <= HUNT;
      default: state <= HUNT;
    endcase
    if (comes && !in_valid && waited >= WAIT_BITS'(QUIET_CYCLES)) state <= HUNT;
    if (rst) begin
      state <= HUNT;
      some_done <= 1'b0;
      engine_rst <= 1'b0;
      to_valid <= '0;
      m_axi_awvalid <= 1'b0;
      m_axi_wvalid <= 1'b0;
      m_axi_arvalid <= 1'b0;
    end
  end
endmodule

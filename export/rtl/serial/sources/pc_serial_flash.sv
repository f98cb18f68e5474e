// pc_serial_flash: words out of a serial flash memory, once after a reset: it is woken (ab, for configuration leaves it
// asleep), and read (03) from OFFSET on, four bytes a word, lowest first. SPI mode 0, half the clock.
//
// Ports    out_valid, out_ready, out_data, out_last: the words. cs_n, sck, mosi, miso: of the memory.
// Cycles   64 a word; the memory's clock stands still while a word is not taken.
module pc_serial_flash #(
    parameter logic [23:0] OFFSET = 24'h100000,
    parameter int WORDS = 2
) (
    input  logic        clk,
    input  logic        rst,
    output logic        out_valid,
    input  logic        out_ready,
    output logic [31:0] out_data,
    output logic        out_last,
    output logic        cs_n,
    output logic        sck,
    output logic        mosi,
    input  logic        miso
);
  localparam int WORD_BITS = $clog2(WORDS + 1);
  typedef enum logic [2:0] {WAKE, PAUSE, ASK, READ, ENDS} state_t;
  state_t state;
  logic [31:0] shift;
  logic [7:0] count;  // bits that are left; of a pause cycles: 3 us at 80 MHz
  logic [WORD_BITS-1:0] words;
  wire full = state == READ && count == 8'd0;  // a word waits for the place of the one before
  wire moves = !cs_n && !full;
  assign mosi = shift[31];
  always_ff @(posedge clk) begin
    if (out_ready) out_valid <= 1'b0;
    if (moves) sck <= !sck;
    if (moves && sck) begin
      shift <= {shift[30:0], miso};
      count <= count - 1'b1;
    end
    case (state)
      WAKE:
      if (moves && sck && count == 8'd1) begin
        state <= PAUSE;
        cs_n  <= 1'b1;
        count <= 8'd255;
      end
      PAUSE: begin
        count <= count - 1'b1;
        if (count == 8'd1) begin
          state <= ASK;
          cs_n  <= 1'b0;
          shift <= {8'h03, OFFSET};
          count <= 8'd32;
        end
      end
      ASK:
      if (moves && sck && count == 8'd1) begin
        state <= READ;
        count <= 8'd32;
        words <= WORD_BITS'(WORDS);
      end
      READ:
      if (full && (!out_valid || out_ready)) begin
        out_valid <= 1'b1;
        out_data <= {shift[7:0], shift[15:8], shift[23:16], shift[31:24]};
        out_last <= words == WORD_BITS'(1);
        words <= words - 1'b1;
        count <= 8'd32;
        if (words == WORD_BITS'(1)) begin
          state <= ENDS;
          cs_n  <= 1'b1;
        end
      end
      default: ;
    endcase
    if (rst) begin
      state <= WAKE;
      cs_n <= 1'b0;
      sck <= 1'b0;
      shift <= {8'hab, 24'd0};
      count <= 8'd8;
      out_valid <= 1'b0;
    end
  end
endmodule

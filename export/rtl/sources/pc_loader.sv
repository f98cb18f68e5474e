// pc_loader: takes an image into the memories of a reloadable engine, and gives it back (docs/rtl.md, Images).
//
// An image is a header, a count of words for every memory, these words, each in pieces of 32 bits, the lowest first,
// and a CRC-32. A load leaves no circuit until all of it was right; what comes behind an error is dropped.
//
// Ports    load, read: the job begins; busy until it is done. in_*, out_*: of stream 0.
//          loads: the memories are the loader's; at: the word; put: store `word` there, a bit a memory; got: what the
//          memories read, 2 cycles behind `at`, SECTION_MOST bits each.
//          bad_image, too_large: what the last load found. loaded: there is a circuit. code_start, last_variable,
//          floors, lift: what it is. info_place: a word of the info registers; info_word: what the circuit says there.
// Latency  a word a cycle in, and one at most every four cycles out.
`include "pc_types.svh"
module pc_loader #(
    localparam int SECTION_BITS = $clog2(SECTIONS + 1),
    localparam int PIECE_BITS = SECTION_MOST > 32 ? $clog2(SECTION_MOST / 32) : 1
) (
    input logic clk,
    input logic rst,
    input logic load,
    input logic read,
    output logic busy,
    input logic in_valid,
    output logic in_ready,
    input logic [31:0] in_data,
    input logic in_last,
    output logic out_valid,
    input logic out_ready,
    output logic [31:0] out_data,
    output logic out_last,
    output logic loads,
    output logic [31:0] at,
    output logic [SECTIONS-1:0] put,
    output logic [SECTION_MOST-1:0] word,
    input logic [SECTIONS*SECTION_MOST-1:0] got,
    output logic bad_image,
    output logic too_large,
    output logic loaded,
    output logic [STEP_BITS-1:0] code_start,
    output logic [VARIABLE_BITS-1:0] last_variable,
    output logic [PC_SCALE_BITS-1:0] floors,
    output logic [LIFT_BITS-1:0] lift,
    input logic [5:0] info_place,
    output logic [31:0] info_word
);
  typedef enum logic [3:0] {
    IDLE, HEADER, COUNTS, BEGIN, ENTRIES, CHECK, REST, GIVE_HEADER, GIVE_COUNTS, GIVE_BEGIN, GIVE_ASK, GIVE_WAIT,
    GIVE_TAKE, GIVE_ENTRIES, GIVE_CHECK
  } state_t;
  state_t state;
  assign busy = state != IDLE || out_valid;
  assign loads = state != IDLE;

  function automatic logic [31:0] crc_next(input logic [31:0] so_far, input logic [31:0] data);
    logic [31:0] bits;
    begin
      bits = so_far ^ data;
      for (int bit_ = 0; bit_ < 32; bit_ = bit_ + 1) bits = (bits >> 1) ^ (bits[0] ? 32'hedb88320 : 32'd0);
      crc_next = bits;
    end
  endfunction

  // ---- header and counts: words of an image, kept to be given back
  logic [31:0] header[32];
  logic [31:0] counts[2**SECTION_BITS];
  logic [31:0] crc, entry, steps;
  logic [4:0] place;  // of a word of the header, or of a count
  logic [SECTION_BITS-1:0] section;
  logic [PIECE_BITS-1:0] piece;
  logic beyond;
  wire take = in_valid && in_ready;
  assign in_ready = state == HEADER || state == COUNTS || state == ENTRIES || state == CHECK || state == REST;
  wire [31:0] section_words = SECTION_WORDS[32*32'(place)+:32];
  wire [31:0] most = IMAGE_MOST[32*32'(place)+:32];
  wire [31:0] least = IMAGE_LEAST[32*32'(place)+:32];
  wire outside = in_data < least || in_data > most;
  wire [31:0] section_count = counts[section];
  wire [31:0] pieces = (SECTION_WIDTHS[32*32'(section)+:32] + 32'd31) >> 5;
  wire [31:0] last_bits = SECTION_WIDTHS[32*32'(section)+:32] - ((pieces - 1) << 5);
  wire last_piece = 32'(piece) == pieces - 1;
  wire last_entry = entry + 1'b1 == section_count;
  logic [31:0] put_at;
  logic [SECTION_MOST-1:0] gathered;
  assign word = gathered;
  assign at = state >= GIVE_HEADER ? entry : put_at;

  // ---- what goes out
  wire gives = !out_valid || out_ready;
  wire giving = state == GIVE_HEADER || state == GIVE_COUNTS || state == GIVE_ENTRIES || state == GIVE_CHECK;
  logic [4:0] header_place;
  always_comb begin
    header_place = place;
    if (state == IDLE) begin
      header_place = info_place[5] ? 5'(IMAGE_WORDS) + info_place[4:0] : 5'd31;
      if (info_place == 6'(INFO_RECORD)) header_place = 5'(IMAGE_RECORD);
      if (info_place == 6'(INFO_LIKELIHOOD_STEPS)) header_place = 5'(IMAGE_LIKELIHOOD_STEPS);
      if (info_place == 6'(INFO_CODE_STEPS)) header_place = 5'(IMAGE_CODE_STEPS);
      if (info_place == 6'(INFO_FLOOR)) header_place = 5'(IMAGE_FLOOR);
    end
  end
  wire [31:0] header_word = header[header_place];
  assign info_word = loaded ? header_word : 32'd0;
  logic [SECTION_MOST-1:0] held;
  wire [31:0] next_word = state == GIVE_HEADER ? header_word : state == GIVE_COUNTS ? counts[place[SECTION_BITS-1:0]]
      : state == GIVE_CHECK ? ~crc : held[31:0];
  logic [SECTION_MOST-1:0] got_now;
  always_comb begin
    got_now = '0;
    for (int s = 0; s < SECTIONS; s = s + 1)
      if (SECTION_BITS'(s) == section) got_now = got[s*SECTION_MOST+:SECTION_MOST];
  end

  initial loaded = 1'b0;
  always_ff @(posedge clk) begin
    put <= '0;
    if (take && state != CHECK && state != REST) crc <= crc_next(crc, in_data);
    if (giving && gives) crc <= crc_next(crc, next_word);
    if (take && state == HEADER) header[place] <= in_data;
    if (take && state == COUNTS) counts[place[SECTION_BITS-1:0]] <= in_data;
    if (out_ready) out_valid <= 1'b0;
    case (state)
      HEADER:
      if (take) begin
        place <= place + 1'b1;
        if (outside && place < 5'd3) bad_image <= 1'b1;
        else if (outside) too_large <= 1'b1;
        if (place == 5'(IMAGE_RECORD)) last_variable <= VARIABLE_BITS'(in_data - 1);
        if (place == 5'(IMAGE_LIKELIHOOD_STEPS)) begin
          code_start <= STEP_BITS'(in_data);
          steps <= in_data;
          if (in_data == '0) bad_image <= 1'b1;
        end
        if (place == 5'(IMAGE_CODE_STEPS)) begin
          steps <= steps + in_data;
          if (in_data == '0) bad_image <= 1'b1;
        end
        if (place == 5'(IMAGE_NESTED)) lift <= LIFT_BITS'(in_data);
        if (place == 5'(IMAGE_FLOOR)) floors <= PC_SCALE_BITS'(in_data);
        if (place == 5'(IMAGE_WORDS + DIGEST_WORDS - 1)) begin
          place <= '0;
          state <= COUNTS;
        end
      end
      COUNTS:
      if (take) begin
        place <= place + 1'b1;
        if (in_data > section_words) too_large <= 1'b1;
        if (place == 5'(SECTION_STEPS) && in_data != steps) bad_image <= 1'b1;
        if (place == 5'(SECTION_VARIABLES) && in_data != 32'(last_variable) + 32'd1) bad_image <= 1'b1;
        section <= '0;
        if (place == 5'(SECTIONS - 1)) state <= BEGIN;
      end
      BEGIN: begin
        entry <= '0;
        piece <= '0;
        if (bad_image || too_large) state <= REST;
        else if (section == SECTION_BITS'(SECTIONS)) state <= CHECK;
        else if (section_count == '0) section <= section + 1'b1;
        else state <= ENTRIES;
      end
      ENTRIES:
      if (take) begin
        gathered[32*32'(piece)+:32] <= in_data;
        piece <= last_piece ? '0 : piece + 1'b1;
        put_at <= entry;
        if (last_piece) begin
          if (last_bits != 32'd32 && in_data >> last_bits[4:0] != '0) beyond <= 1'b1;
          for (int s = 0; s < SECTIONS; s = s + 1) put[s] <= SECTION_BITS'(s) == section;
          entry <= entry + 1'b1;
          if (last_entry) begin
            section <= section + 1'b1;
            state <= BEGIN;
          end
        end
      end
      CHECK:
      if (take) begin
        if (beyond) too_large <= 1'b1;
        else if (in_data != ~crc || !in_last) bad_image <= 1'b1;
        else loaded <= 1'b1;
        state <= REST;
      end
      GIVE_HEADER:
      if (gives) begin
        place <= place + 1'b1;
        if (place == 5'(IMAGE_WORDS + DIGEST_WORDS - 1)) begin
          place <= '0;
          state <= GIVE_COUNTS;
        end
      end
      GIVE_COUNTS:
      if (gives) begin
        place <= place + 1'b1;
        section <= '0;
        if (place == 5'(SECTIONS - 1)) state <= GIVE_BEGIN;
      end
      GIVE_BEGIN: begin
        entry <= '0;
        if (section == SECTION_BITS'(SECTIONS)) state <= GIVE_CHECK;
        else if (section_count == '0) section <= section + 1'b1;
        else state <= GIVE_ASK;
      end
      GIVE_ASK: state <= GIVE_WAIT;
      GIVE_WAIT: state <= GIVE_TAKE;
      GIVE_TAKE: begin
        held <= got_now;
        piece <= '0;
        state <= GIVE_ENTRIES;
      end
      GIVE_ENTRIES:
      if (gives) begin
        held <= held >> 32;
        piece <= piece + 1'b1;
        if (last_piece) begin
          entry <= entry + 1'b1;
          section <= last_entry ? section + 1'b1 : section;
          state <= last_entry ? GIVE_BEGIN : GIVE_ASK;
        end
      end
      GIVE_CHECK: if (gives) state <= IDLE;
      default: ;
    endcase
    if (giving && gives) begin
      out_valid <= 1'b1;
      out_data <= next_word;
      out_last <= state == GIVE_CHECK;
    end
    if (take && in_last) begin
      state <= IDLE;
      if (state != CHECK && state != REST) bad_image <= 1'b1;
    end
    if (load || read) begin
      state <= load ? HEADER : GIVE_HEADER;
      place <= '0;
      crc <= '1;
      bad_image <= 1'b0;
      too_large <= 1'b0;
      beyond <= 1'b0;
      if (load) loaded <= 1'b0;
    end
    if (rst) begin
      state <= IDLE;
      out_valid <= 1'b0;
      put <= '0;
      bad_image <= 1'b0;
      too_large <= 1'b0;
    end
  end
endmodule

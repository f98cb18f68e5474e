// pc_packets: what jobs with packets of equal size have beside an encoder's and a decoder's (docs/packets.md, On the
// engine): the word before a packet, which symbols are not in it, and that these are marked as missing.
//
// Ports    start, packs, unpacks, opens: a job begins, one of the two, or neither; streams that have records.
//          in_*: a word of every stream; heads: it is taken here, the word before a packet, or what is behind that up to
//          its TLAST, head_ready. room_*: how many bytes a payload has (packs). closes: a payload without bytes; sure: rule 1 says
//          what is in it; over: nothing more is (unpacks). bad_frame: the word before a packet of records had no TLAST.
//          found_*: a symbol that a search found. skip_stream, skip: this stream's next symbol is not in the packet;
//          skip_take, skip_variable: it is the turn of this one. says_*: whether one that was found is in.
//          mark_*: a symbol is missing. mark_ready: it is taken; so a symbol that was skipped waits for it. marked: of a
//          stream, what was not in the packet is marked so, or was in.
`include "pc_types.svh"
module pc_packets (
    input logic clk,
    input logic rst,
    input logic start,
    input logic packs,
    input logic unpacks,
    input logic [PC_STREAMS-1:0] opens,
    input logic [PC_STREAMS-1:0] in_valid,
    input logic [PC_STREAMS*32-1:0] in_data,
    input logic [PC_STREAMS-1:0] in_last,
    output logic [PC_STREAMS-1:0] heads,
    output logic [PC_STREAMS-1:0] head_ready,
    output logic room_valid,
    output logic [PC_STREAM_BITS-1:0] room_stream,
    output logic [15:0] room_bytes,
    output logic [PC_STREAMS-1:0] closes,
    output logic [PC_STREAMS-1:0] sure,
    output logic [PC_STREAMS-1:0] over,
    output logic bad_frame,
    input logic found,
    input logic [PC_STREAM_BITS-1:0] found_stream,
    input logic [VARIABLE_BITS-1:0] found_variable,
    input logic [PC_STREAM_BITS-1:0] skip_stream,
    output logic skip,
    input logic skip_take,
    input logic says_valid,
    input logic [PC_STREAM_BITS-1:0] says_stream,
    input logic says_over,
    output logic mark_valid,
    output logic [PC_STREAM_BITS-1:0] mark_stream,
    output logic [VARIABLE_BITS-1:0] mark_variable,
    input logic mark_ready,
    output logic [PC_STREAMS-1:0] marked
);
  logic packing, unpacking;
  logic [PC_STREAMS-1:0] headed, skipping, skips, marks, chosen;
  // A symbol is found, and its interval is said to be in the packet or over, in either order: what came first.
  logic [PC_STREAMS-1:0] was_found, was_in, was_over;
  logic [PC_STREAMS*32-1:0] count;  // symbols of the first record that are before the packet's place
  logic [VARIABLE_BITS-1:0] variables[PC_STREAMS];
  assign heads = ~headed | skipping;
  always_comb begin
    skip = 1'b0;
    for (int s = 0; s < PC_STREAMS; s = s + 1) if (PC_STREAM_BITS'(s) == skip_stream) skip = unpacking && skips[s];
  end
  // the lowest stream whose symbol is to be marked, and whose word before the packet comes
  logic [PC_STREAMS-1:0] comes, taken;
  always_comb begin
    mark_stream = '0;
    chosen = '0;
    taken = '0;
    room_stream = '0;
    room_bytes = '0;
    for (int s = PC_STREAMS - 1; s >= 0; s = s - 1) begin
      if (marks[s]) begin
        mark_stream = PC_STREAM_BITS'(s);
        chosen = PC_STREAMS'(1) << s;
      end
      if (comes[s]) begin
        room_stream = PC_STREAM_BITS'(s);
        room_bytes = in_data[32*s+:16];
        taken = PC_STREAMS'(1) << s;
      end
    end
  end
  logic [PC_STREAMS-1:0] finds, says;
  always_comb
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      finds[s] = unpacking && found && PC_STREAM_BITS'(s) == found_stream;
      says[s] = says_valid && PC_STREAM_BITS'(s) == says_stream;
    end
  assign head_ready = skipping | (~headed & (unpacking ? '1 : taken));
  assign comes = packing ? in_valid & ~headed : '0;
  assign room_valid = comes != '0;
  assign mark_valid = marks != '0;
  assign mark_variable = variables[mark_stream];
  always_ff @(posedge clk) begin
    bad_frame <= 1'b0;
    closes <= '0;
    marked <= mark_valid && mark_ready ? chosen : '0;
    if (found) variables[found_stream] <= found_variable;
    for (int s = 0; s < PC_STREAMS; s = s + 1) begin
      skips[s] <= over[s] || count[32*s+:32] != '0;
      if (skipping[s] && in_valid[s]) skipping[s] <= !in_last[s];
      if (!headed[s] && in_valid[s] && (unpacking || taken[s])) begin
        headed[s] <= 1'b1;
        if (packing && !in_last[s]) begin
          skipping[s] <= 1'b1;
          bad_frame <= 1'b1;
        end
        if (unpacking) begin
          closes[s] <= in_last[s];
          sure[s] <= in_data[32*s];
          count[32*s+:32] <= {1'b0, in_data[32*s+1+:31]};
        end
      end
      if (skip_take && PC_STREAM_BITS'(s) == skip_stream && count[32*s+:32] != '0)
        count[32*s+:32] <= count[32*s+:32] - 1'b1;
      if (mark_valid && mark_ready && chosen[s]) marks[s] <= 1'b0;
      if (says[s]) begin
        if (says_over) over[s] <= 1'b1;
        else marked[s] <= 1'b1;
        if (says_over && (finds[s] || was_found[s])) marks[s] <= 1'b1;
        was_over[s] <= says_over && !finds[s] && !was_found[s];
        was_in[s] <= !says_over && !finds[s] && !was_found[s];
        was_found[s] <= 1'b0;
      end else if (finds[s]) begin
        if (was_over[s]) marks[s] <= 1'b1;
        was_found[s] <= !was_over[s] && !was_in[s];
        was_over[s] <= 1'b0;
        was_in[s] <= 1'b0;
      end
    end
    if (start) begin
      packing <= packs;
      unpacking <= unpacks;
      headed <= packs || unpacks ? ~opens : '1;
    end
    if (rst || start) begin
      over <= '0;
      was_found <= '0;
      was_in <= '0;
      was_over <= '0;
      marks <= '0;
      skips <= '0;
      skipping <= '0;
      count <= '0;
      closes <= '0;
    end
    if (rst) begin
      packing <= 1'b0;
      unpacking <= 1'b0;
      headed <= '1;
    end
  end
endmodule

// pc_guard_hardened: gathers the checks of all memories, and reads the images while no job does (docs/hardening.md).
//
// Ports    start, busy, upset: those of pc_guard. errors: a bit for every port that reads a memory: what it gives in
//          this cycle is no word that was written. scrubs: ports of images read the word `place`, where they have it.
// Latency  an error is in `upset` 2 cycles later: before `done` of pc_axi says that the job has ended.
module pc_guard_hardened #(
    parameter int ERRORS = 1,
    parameter int PLACE_BITS = 1
) (
    input  logic                  clk,
    input  logic                  rst,
    input  logic                  start,
    input  logic                  busy,
    output logic                  upset,
    input  logic [    ERRORS-1:0] errors,
    output logic                  scrubs,
    output logic [PLACE_BITS-1:0] place
);
  logic [ERRORS-1:0] seen;
  assign scrubs = !busy && !start;
  always_ff @(posedge clk) begin
    seen <= errors;
    // what comes late is of the job that begins: the word that is damaged is one of its words as well
    upset <= (upset && !start) || seen != '0;
    if (scrubs) place <= place + 1'b1;
    if (rst) begin
      seen <= '0;
      upset <= 1'b0;
      place <= '0;
    end
  end
endmodule

# Vitis HLS: `vitis_hls -f run_hls.tcl` (classic), or `vitis-run --mode hls --tcl run_hls.tcl`.
# C simulation compares with the golden vectors; then the kernel is synthesised, with an initiation interval of 1.
open_project -reset build_pc_unrolled
set_top pc_unrolled
add_files src/pcedge_unrolled.cpp -cflags "-Isrc -Iinclude"
add_files -tb testbench/unrolled.cpp -cflags "-Isrc -Iinclude"
add_files -tb golden
open_solution -reset solution -flow_target vivado
set_part {$part}
create_clock -period $clock_ns -name default
csim_design -argv "golden golden"
csynth_design
close_project
exit

# Vitis HLS: `vitis_hls -f run_hls.tcl` (classic), or `vitis-run --mode hls --tcl run_hls.tcl`.
# C simulation compares with the golden vectors; each top is synthesised as a component of its own.
foreach top {pc_likelihood pc_encode pc_decode} {
    open_project -reset build_$$top
    set_top $$top
    add_files src/pcedge_top.cpp -cflags "-Isrc -Iinclude"
    add_files src/pcedge_memories.cpp -cflags "-Isrc -Iinclude"
    add_files -tb testbench/testbench.cpp -cflags "-Isrc -Iinclude"
    add_files -tb golden
    open_solution -reset solution -flow_target vivado
    set_part {$part}
    create_clock -period $clock_ns -name default
    csim_design -argv "golden golden"
    csynth_design
    close_project
}
exit

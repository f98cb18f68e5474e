# Vitis HLS: `vitis_hls -f run_hls.tcl` (classic), or `vitis-run --mode hls --tcl run_hls.tcl`.
# C simulation compares with the golden vectors; each top is synthesised as a component of its own.
# Variables of the environment choose more or less:
#   PCEDGE_STEPS  some of: $steps (all but csim need synthesis)
#   PCEDGE_TOPS   some of: $tops
set steps {$default_steps}
set tops {$tops}
if {[info exists ::env(PCEDGE_STEPS)]} { set steps $$::env(PCEDGE_STEPS) }
if {[info exists ::env(PCEDGE_TOPS)]} { set tops $$::env(PCEDGE_TOPS) }
foreach step $$steps {
    if {[lsearch -exact {$steps} $$step] < 0} { error "PCEDGE_STEPS must be some of: $steps, got $$step" }
}
foreach top $$tops {
    switch -- $$top {
$sources
    default { error "PCEDGE_TOPS must be some of: $tops, got $$top" }
    }
    open_project -reset build_$$top
    set_top $$top
    foreach file $$files { add_files $$file -cflags "-Isrc -Iinclude" }
    add_files -tb $$testbench -cflags "-Isrc -Iinclude"
    add_files -tb golden
    open_solution -reset solution -flow_target vivado
    set_part {$part}
    create_clock -period $clock_ns -name default
    # A reset is of control registers alone: each job and record begins by setting what it needs, and memories that
    # are loaded keep their circuit. `state` or `all` would write every memory again, and lose it.
    config_rtl -reset control
    # Where words must come out though none comes in, the source says `style = flp`; all else may stall whole.
    config_compile -pipeline_style stp
    if {[lsearch -exact $$steps csim] >= 0} { csim_design -argv $$csim }
    if {[lsearch -exact $$steps synthesis] >= 0} { csynth_design }
    # RTL has no hook that shows steps: cosimulation compares what the tops give.
    if {[lsearch -exact $$steps cosim] >= 0} { cosim_design -rtl verilog -argv $$cosim }
    if {[lsearch -exact $$steps ip] >= 0} { export_design -rtl verilog -format ip_catalog }
    if {[lsearch -exact $$steps impl] >= 0} { export_design -flow impl -rtl verilog -format ip_catalog }
    close_project
}
exit

// Models of cells of Lattice iCE40 for simulating netlists: block RAM and multiplier, in place of those of yosys, so
// that yosys' mapping is not checked by its own models. Written from the public descriptions: modes and ports in
// FPGA-TN-02002 (memory) and FPGA-TN-02007 (DSP), positions of narrow data as the table of modes there has them. Of the
// multiplier the mode with 16 bits a side is modelled, anything else stops the simulation.

`default_nettype none

// 256 words of 16 bits, written by one port and read by another; narrower modes address parts of a word.
module pcedge_ice40_ram #(
    parameter WRITE_MODE = 0, parameter READ_MODE = 0, parameter [4095:0] INITIAL = 0
) (
    output wire [15:0] RDATA,
    input wire read_clock, RCLKE, RE,
    input wire [10:0] RADDR,
    input wire write_clock, WCLKE, WE,
    input wire [10:0] WADDR,
    input wire [15:0] MASK, WDATA
);
    reg [15:0] memory [0:255];
    reg [15:0] held;
    integer word;

    initial begin
        held = 16'd0;
        for (word = 0; word < 256; word = word + 1) memory[word] = INITIAL[16 * word +: 16];
    end

    // A word is parts of 2^mode bits; a narrow port has a bit of each part, and its upper address bits say which.
    function [2:0] chosen(input integer mode, input [10:0] address);
        chosen = mode == 0 ? 3'd0 : address[10:8] & ((3'd1 << mode) - 3'd1);
    endfunction
    // The pin on which the bit of a part travels: the middle of the part.
    function integer pin(input integer mode, input integer part);
        pin = (part << mode) + (mode == 0 ? 0 : mode == 1 ? 0 : mode == 2 ? 1 : 3);
    endfunction

    wire [15:0] held_word = memory[RADDR[7:0]];
    reg [15:0] next, out;
    integer part;
    always @* begin
        next = memory[WADDR[7:0]];
        if (WRITE_MODE == 0) next = (next & MASK) | (WDATA & ~MASK);
        else
            for (part = 0; part < 16 >> WRITE_MODE; part = part + 1)
                next[(part << WRITE_MODE) + chosen(WRITE_MODE, WADDR)] = WDATA[pin(WRITE_MODE, part)];
        out = 16'd0;
        for (part = 0; part < 16 >> READ_MODE; part = part + 1)
            out[pin(READ_MODE, part)] = held_word[(part << READ_MODE) + chosen(READ_MODE, RADDR)];
    end

    always @(posedge write_clock) if (WCLKE && WE) memory[WADDR[7:0]] <= next;
    always @(posedge read_clock) if (RCLKE && RE) held <= out;
    assign RDATA = held;
endmodule

module SB_RAM40_4K #(
    parameter WRITE_MODE = 0, parameter READ_MODE = 0,
    parameter [255:0] INIT_0 = 0, parameter [255:0] INIT_1 = 0,
    parameter [255:0] INIT_2 = 0, parameter [255:0] INIT_3 = 0,
    parameter [255:0] INIT_4 = 0, parameter [255:0] INIT_5 = 0,
    parameter [255:0] INIT_6 = 0, parameter [255:0] INIT_7 = 0,
    parameter [255:0] INIT_8 = 0, parameter [255:0] INIT_9 = 0,
    parameter [255:0] INIT_A = 0, parameter [255:0] INIT_B = 0,
    parameter [255:0] INIT_C = 0, parameter [255:0] INIT_D = 0,
    parameter [255:0] INIT_E = 0, parameter [255:0] INIT_F = 0
) (
    output wire [15:0] RDATA,
    input wire RCLK, input wire RCLKE = 1'b1, input wire RE = 1'b0, input wire [10:0] RADDR,
    input wire WCLK, input wire WCLKE = 1'b1, input wire WE = 1'b0, input wire [10:0] WADDR,
    input wire [15:0] MASK = 16'd0, input wire [15:0] WDATA
);
    pcedge_ice40_ram #(
        .WRITE_MODE(WRITE_MODE), .READ_MODE(READ_MODE),
        .INITIAL({
            INIT_F, INIT_E, INIT_D, INIT_C, INIT_B, INIT_A, INIT_9, INIT_8, INIT_7, INIT_6, INIT_5, INIT_4, INIT_3,
            INIT_2, INIT_1, INIT_0
        })
    ) ram (
        .RDATA, .read_clock(RCLK), .RCLKE, .RE, .RADDR, .write_clock(WCLK), .WCLKE, .WE, .WADDR, .MASK, .WDATA
    );
endmodule

module SB_RAM40_4KNR #(
    parameter WRITE_MODE = 0, parameter READ_MODE = 0,
    parameter [255:0] INIT_0 = 0, parameter [255:0] INIT_1 = 0,
    parameter [255:0] INIT_2 = 0, parameter [255:0] INIT_3 = 0,
    parameter [255:0] INIT_4 = 0, parameter [255:0] INIT_5 = 0,
    parameter [255:0] INIT_6 = 0, parameter [255:0] INIT_7 = 0,
    parameter [255:0] INIT_8 = 0, parameter [255:0] INIT_9 = 0,
    parameter [255:0] INIT_A = 0, parameter [255:0] INIT_B = 0,
    parameter [255:0] INIT_C = 0, parameter [255:0] INIT_D = 0,
    parameter [255:0] INIT_E = 0, parameter [255:0] INIT_F = 0
) (
    output wire [15:0] RDATA,
    input wire RCLKN, input wire RCLKE = 1'b1, input wire RE = 1'b0, input wire [10:0] RADDR,
    input wire WCLK, input wire WCLKE = 1'b1, input wire WE = 1'b0, input wire [10:0] WADDR,
    input wire [15:0] MASK = 16'd0, input wire [15:0] WDATA
);
    pcedge_ice40_ram #(
        .WRITE_MODE(WRITE_MODE), .READ_MODE(READ_MODE),
        .INITIAL({
            INIT_F, INIT_E, INIT_D, INIT_C, INIT_B, INIT_A, INIT_9, INIT_8, INIT_7, INIT_6, INIT_5, INIT_4, INIT_3,
            INIT_2, INIT_1, INIT_0
        })
    ) ram (
        .RDATA, .read_clock(~RCLKN), .RCLKE, .RE, .RADDR, .write_clock(WCLK), .WCLKE, .WE, .WADDR, .MASK, .WDATA
    );
endmodule

module SB_RAM40_4KNW #(
    parameter WRITE_MODE = 0, parameter READ_MODE = 0,
    parameter [255:0] INIT_0 = 0, parameter [255:0] INIT_1 = 0,
    parameter [255:0] INIT_2 = 0, parameter [255:0] INIT_3 = 0,
    parameter [255:0] INIT_4 = 0, parameter [255:0] INIT_5 = 0,
    parameter [255:0] INIT_6 = 0, parameter [255:0] INIT_7 = 0,
    parameter [255:0] INIT_8 = 0, parameter [255:0] INIT_9 = 0,
    parameter [255:0] INIT_A = 0, parameter [255:0] INIT_B = 0,
    parameter [255:0] INIT_C = 0, parameter [255:0] INIT_D = 0,
    parameter [255:0] INIT_E = 0, parameter [255:0] INIT_F = 0
) (
    output wire [15:0] RDATA,
    input wire RCLK, input wire RCLKE = 1'b1, input wire RE = 1'b0, input wire [10:0] RADDR,
    input wire WCLKN, input wire WCLKE = 1'b1, input wire WE = 1'b0, input wire [10:0] WADDR,
    input wire [15:0] MASK = 16'd0, input wire [15:0] WDATA
);
    pcedge_ice40_ram #(
        .WRITE_MODE(WRITE_MODE), .READ_MODE(READ_MODE),
        .INITIAL({
            INIT_F, INIT_E, INIT_D, INIT_C, INIT_B, INIT_A, INIT_9, INIT_8, INIT_7, INIT_6, INIT_5, INIT_4, INIT_3,
            INIT_2, INIT_1, INIT_0
        })
    ) ram (
        .RDATA, .read_clock(RCLK), .RCLKE, .RE, .RADDR, .write_clock(~WCLKN), .WCLKE, .WE, .WADDR, .MASK, .WDATA
    );
endmodule

module SB_RAM40_4KNRNW #(
    parameter WRITE_MODE = 0, parameter READ_MODE = 0,
    parameter [255:0] INIT_0 = 0, parameter [255:0] INIT_1 = 0,
    parameter [255:0] INIT_2 = 0, parameter [255:0] INIT_3 = 0,
    parameter [255:0] INIT_4 = 0, parameter [255:0] INIT_5 = 0,
    parameter [255:0] INIT_6 = 0, parameter [255:0] INIT_7 = 0,
    parameter [255:0] INIT_8 = 0, parameter [255:0] INIT_9 = 0,
    parameter [255:0] INIT_A = 0, parameter [255:0] INIT_B = 0,
    parameter [255:0] INIT_C = 0, parameter [255:0] INIT_D = 0,
    parameter [255:0] INIT_E = 0, parameter [255:0] INIT_F = 0
) (
    output wire [15:0] RDATA,
    input wire RCLKN, input wire RCLKE = 1'b1, input wire RE = 1'b0, input wire [10:0] RADDR,
    input wire WCLKN, input wire WCLKE = 1'b1, input wire WE = 1'b0, input wire [10:0] WADDR,
    input wire [15:0] MASK = 16'd0, input wire [15:0] WDATA
);
    pcedge_ice40_ram #(
        .WRITE_MODE(WRITE_MODE), .READ_MODE(READ_MODE),
        .INITIAL({
            INIT_F, INIT_E, INIT_D, INIT_C, INIT_B, INIT_A, INIT_9, INIT_8, INIT_7, INIT_6, INIT_5, INIT_4, INIT_3,
            INIT_2, INIT_1, INIT_0
        })
    ) ram (
        .RDATA, .read_clock(~RCLKN), .RCLKE, .RE, .RADDR, .write_clock(~WCLKN), .WCLKE, .WE, .WADDR, .MASK, .WDATA
    );
endmodule

// A product of two numbers of 16 bits, and an adder of 32 bits behind it, with registers where the parameters have them.
module SB_MAC16 #(
    parameter [0:0] NEG_TRIGGER = 0, parameter [0:0] A_REG = 0, parameter [0:0] B_REG = 0, parameter [0:0] C_REG = 0,
    parameter [0:0] D_REG = 0, parameter [0:0] TOP_8x8_MULT_REG = 0, parameter [0:0] BOT_8x8_MULT_REG = 0,
    parameter [0:0] PIPELINE_16x16_MULT_REG1 = 0, parameter [0:0] PIPELINE_16x16_MULT_REG2 = 0,
    parameter [1:0] TOPOUTPUT_SELECT = 0, parameter [1:0] TOPADDSUB_LOWERINPUT = 0,
    parameter [0:0] TOPADDSUB_UPPERINPUT = 0, parameter [1:0] TOPADDSUB_CARRYSELECT = 0,
    parameter [1:0] BOTOUTPUT_SELECT = 0, parameter [1:0] BOTADDSUB_LOWERINPUT = 0,
    parameter [0:0] BOTADDSUB_UPPERINPUT = 0, parameter [1:0] BOTADDSUB_CARRYSELECT = 0,
    parameter [0:0] MODE_8x8 = 0, parameter [0:0] A_SIGNED = 0, parameter [0:0] B_SIGNED = 0
) (
    input wire CLK = 1'b0, input wire CE = 1'b1,
    input wire [15:0] C = 16'd0, input wire [15:0] A, input wire [15:0] B, input wire [15:0] D = 16'd0,
    input wire AHOLD = 1'b0, input wire BHOLD = 1'b0, input wire CHOLD = 1'b0, input wire DHOLD = 1'b0,
    input wire IRSTTOP = 1'b0, input wire IRSTBOT = 1'b0, input wire ORSTTOP = 1'b0, input wire ORSTBOT = 1'b0,
    input wire OLOADTOP = 1'b0, input wire OLOADBOT = 1'b0, input wire ADDSUBTOP = 1'b0, input wire ADDSUBBOT = 1'b0,
    input wire OHOLDTOP = 1'b0, input wire OHOLDBOT = 1'b0,
    input wire CI = 1'b0, input wire ACCUMCI = 1'b0, input wire SIGNEXTIN = 1'b0,
    output wire [31:0] O, output wire CO, output wire ACCUMCO, output wire SIGNEXTOUT
);
    // Registers of the two halves of the product come in pairs, and so do those of its two halves' outputs.
    localparam [0:0] ADDS = TOPOUTPUT_SELECT < 2;
    initial begin
        if (MODE_8x8) $fatal(1, "SB_MAC16: the mode with two products is not modelled");
        if (TOP_8x8_MULT_REG != PIPELINE_16x16_MULT_REG1 || BOT_8x8_MULT_REG != PIPELINE_16x16_MULT_REG1)
            $fatal(1, "SB_MAC16: registers of parts of the product must be all there or none");
        if (TOPOUTPUT_SELECT != BOTOUTPUT_SELECT || TOPOUTPUT_SELECT == 2)
            $fatal(1, "SB_MAC16: the outputs must be a product or a sum of 32 bits");
        if (ADDS && (TOPADDSUB_LOWERINPUT != 2 || BOTADDSUB_LOWERINPUT != 2 || TOPADDSUB_CARRYSELECT < 2
            || BOTADDSUB_CARRYSELECT != 0 || TOPADDSUB_UPPERINPUT != BOTADDSUB_UPPERINPUT))
            $fatal(1, "SB_MAC16: the adder must be one of 32 bits with the product");
    end

    wire clock = NEG_TRIGGER ? ~CLK : CLK;
    reg [15:0] a_held = 0, b_held = 0, c_held = 0, d_held = 0;
    reg signed [33:0] product_1 = 0;
    reg [31:0] product_2 = 0, sum_held = 0;

    wire [15:0] a = A_REG ? a_held : A, b = B_REG ? b_held : B;
    wire [31:0] addend = {C_REG ? c_held : C, D_REG ? d_held : D};
    wire signed [33:0] product = $signed({A_SIGNED & a[15], a}) * $signed({B_SIGNED & b[15], b});
    wire [31:0] stage_1 = PIPELINE_16x16_MULT_REG1 ? product_1[31:0] : product[31:0];
    wire [31:0] stage_2 = PIPELINE_16x16_MULT_REG2 ? product_2 : stage_1;
    wire [31:0] other = TOPADDSUB_UPPERINPUT ? addend : sum_held;
    // The upper input is what the product is added to, or taken from.
    wire [31:0] sum = ADDSUBTOP ? other - stage_2 : other + stage_2;
    wire [31:0] result = {OLOADTOP ? addend[31:16] : sum[31:16], OLOADBOT ? addend[15:0] : sum[15:0]};

    always @(posedge clock, posedge IRSTTOP)
        if (IRSTTOP) {a_held, c_held} <= 32'd0;
        else if (CE) begin
            if (!AHOLD) a_held <= A;
            if (!CHOLD) c_held <= C;
        end
    always @(posedge clock, posedge IRSTBOT)
        if (IRSTBOT) {b_held, d_held} <= 32'd0;
        else if (CE) begin
            if (!BHOLD) b_held <= B;
            if (!DHOLD) d_held <= D;
        end
    always @(posedge clock, posedge IRSTBOT)
        if (IRSTBOT) {product_1, product_2} <= 66'd0;
        else if (CE) begin
            product_1 <= product;
            product_2 <= stage_1;
        end
    always @(posedge clock, posedge ORSTTOP)
        if (ORSTTOP) sum_held[31:16] <= 16'd0;
        else if (CE && !OHOLDTOP) sum_held[31:16] <= result[31:16];
    always @(posedge clock, posedge ORSTBOT)
        if (ORSTBOT) sum_held[15:0] <= 16'd0;
        else if (CE && !OHOLDBOT) sum_held[15:0] <= result[15:0];
    always @* if (ADDS && ADDSUBTOP != ADDSUBBOT) $fatal(1, "SB_MAC16: both halves must add, or both subtract");

    assign O = TOPOUTPUT_SELECT == 0 ? result : TOPOUTPUT_SELECT == 1 ? sum_held : stage_2;
    assign {CO, ACCUMCO, SIGNEXTOUT} = 3'd0;
endmodule

`default_nettype wire

// Models of cells of Lattice ECP5 for simulating netlists: block RAM and multiplier, for which yosys has ports only.
// Written from the public descriptions: ports and modes in FPGA-TN-02204 (sysMEM) and FPGA-TN-02205 (sysDSP), the order
// of bits in INITVAL as yosys and nextpnr take it. Only what yosys emits is modelled; anything else stops the simulation.

`default_nettype none

// 1,024 words of 18 bits with two ports. A port of width 36 writes by CLKA and reads by CLKB, a pair of words at a time;
// one of 18 or 36 has byte enables in the lowest address bits. Of a byte of nine bits, widths 1, 2 and 4 reach eight.
module DP16KD #(
    parameter DATA_WIDTH_A = 18, parameter DATA_WIDTH_B = 18,
    parameter REGMODE_A = "NOREG", parameter REGMODE_B = "NOREG",
    parameter RESETMODE = "SYNC", parameter ASYNC_RESET_RELEASE = "SYNC",
    parameter CSDECODE_A = "0b000", parameter CSDECODE_B = "0b000",
    parameter WRITEMODE_A = "NORMAL", parameter WRITEMODE_B = "NORMAL",
    parameter CLKAMUX = "CLKA", parameter CLKBMUX = "CLKB",
    parameter GSR = "ENABLED", parameter INIT_DATA = "STATIC",
    parameter [319:0] INITVAL_00 = 0, parameter [319:0] INITVAL_01 = 0,
    parameter [319:0] INITVAL_02 = 0, parameter [319:0] INITVAL_03 = 0,
    parameter [319:0] INITVAL_04 = 0, parameter [319:0] INITVAL_05 = 0,
    parameter [319:0] INITVAL_06 = 0, parameter [319:0] INITVAL_07 = 0,
    parameter [319:0] INITVAL_08 = 0, parameter [319:0] INITVAL_09 = 0,
    parameter [319:0] INITVAL_0A = 0, parameter [319:0] INITVAL_0B = 0,
    parameter [319:0] INITVAL_0C = 0, parameter [319:0] INITVAL_0D = 0,
    parameter [319:0] INITVAL_0E = 0, parameter [319:0] INITVAL_0F = 0,
    parameter [319:0] INITVAL_10 = 0, parameter [319:0] INITVAL_11 = 0,
    parameter [319:0] INITVAL_12 = 0, parameter [319:0] INITVAL_13 = 0,
    parameter [319:0] INITVAL_14 = 0, parameter [319:0] INITVAL_15 = 0,
    parameter [319:0] INITVAL_16 = 0, parameter [319:0] INITVAL_17 = 0,
    parameter [319:0] INITVAL_18 = 0, parameter [319:0] INITVAL_19 = 0,
    parameter [319:0] INITVAL_1A = 0, parameter [319:0] INITVAL_1B = 0,
    parameter [319:0] INITVAL_1C = 0, parameter [319:0] INITVAL_1D = 0,
    parameter [319:0] INITVAL_1E = 0, parameter [319:0] INITVAL_1F = 0,
    parameter [319:0] INITVAL_20 = 0, parameter [319:0] INITVAL_21 = 0,
    parameter [319:0] INITVAL_22 = 0, parameter [319:0] INITVAL_23 = 0,
    parameter [319:0] INITVAL_24 = 0, parameter [319:0] INITVAL_25 = 0,
    parameter [319:0] INITVAL_26 = 0, parameter [319:0] INITVAL_27 = 0,
    parameter [319:0] INITVAL_28 = 0, parameter [319:0] INITVAL_29 = 0,
    parameter [319:0] INITVAL_2A = 0, parameter [319:0] INITVAL_2B = 0,
    parameter [319:0] INITVAL_2C = 0, parameter [319:0] INITVAL_2D = 0,
    parameter [319:0] INITVAL_2E = 0, parameter [319:0] INITVAL_2F = 0,
    parameter [319:0] INITVAL_30 = 0, parameter [319:0] INITVAL_31 = 0,
    parameter [319:0] INITVAL_32 = 0, parameter [319:0] INITVAL_33 = 0,
    parameter [319:0] INITVAL_34 = 0, parameter [319:0] INITVAL_35 = 0,
    parameter [319:0] INITVAL_36 = 0, parameter [319:0] INITVAL_37 = 0,
    parameter [319:0] INITVAL_38 = 0, parameter [319:0] INITVAL_39 = 0,
    parameter [319:0] INITVAL_3A = 0, parameter [319:0] INITVAL_3B = 0,
    parameter [319:0] INITVAL_3C = 0, parameter [319:0] INITVAL_3D = 0,
    parameter [319:0] INITVAL_3E = 0, parameter [319:0] INITVAL_3F = 0
) (
    input wire DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3,
        DIA2, DIA1, DIA0, ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
        CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output wire DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3,
        DOA2, DOA1, DOA0,
    input wire DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3,
        DIB2, DIB1, DIB0, ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
        CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output wire DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3,
        DOB2, DOB1, DOB0
);
    wire [17:0] dia = {
        DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2,
        DIA1, DIA0
    };
    wire [13:0] ada = {
        ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0
    };
    wire [17:0] dib = {
        DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2,
        DIB1, DIB0
    };
    wire [13:0] adb = {
        ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0
    };
    localparam [20479:0] INITIAL = {
        INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38, INITVAL_37,
        INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E,
        INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25,
        INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C,
        INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13,
        INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A,
        INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01,
        INITVAL_00
    };

    reg [17:0] memory [0:1023];
    integer word;

    initial begin
        if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG") $fatal(1, "DP16KD: output registers are not modelled");
        if (CSDECODE_A != "0b000" || CSDECODE_B != "0b000") $fatal(1, "DP16KD: chip selects are not modelled");
        if (DATA_WIDTH_A == 36 && WRITEMODE_A != "NORMAL") $fatal(1, "DP16KD: width 36 has no write modes");
        for (word = 0; word < 1024; word = word + 1) memory[word] = INITIAL[20 * word +: 18];
    end

    // Where the bits of a port begin in their word, by its address.
    function integer place(input integer width, input [13:0] address);
        case (width)
            9: place = 9 * address[3];
            4: place = 9 * address[3] + 4 * address[2];
            2: place = 9 * address[3] + 2 * address[2:1];
            1: place = 9 * address[3] + address[2:0];
            default: place = 0;
        endcase
    endfunction

    // The bits of a word that a port writes.
    function [17:0] written(input integer width, input [13:0] address);
        case (width)
            18, 36: written = {{9{address[1]}}, {9{address[0]}}};
            default: written = ((18'd1 << width) - 18'd1) << place(width, address);
        endcase
    endfunction

    // What a port shows of a word.
    function [17:0] shown(input integer width, input [13:0] address, input [17:0] value);
        shown = width >= 18 ? value : (value >> place(width, address)) & ((18'd1 << width) - 18'd1);
    endfunction

    wire clock_a = CLKAMUX == "INV" ? ~CLKA : CLKA;
    wire clock_b = CLKBMUX == "INV" ? ~CLKB : CLKB;
    wire [9:0] word_a = DATA_WIDTH_A == 36 ? {ada[13:5], 1'b0} : ada[13:4];
    wire [9:0] word_b = DATA_WIDTH_B == 36 ? {adb[13:5], 1'b1} : adb[13:4];
    wire [17:0] old_a = memory[word_a], old_b = memory[word_b];
    wire [17:0] bits_a = written(DATA_WIDTH_A, ada), bits_b = written(DATA_WIDTH_B, adb);
    wire [17:0] new_a = (old_a & ~bits_a) | ((dia << place(DATA_WIDTH_A, ada)) & bits_a);
    wire [17:0] new_b = (old_b & ~bits_b) | ((dib << place(DATA_WIDTH_B, adb)) & bits_b);
    // A port in reset does not write.
    wire write_a = CEA && WEA && !(RESETMODE == "SYNC" && RSTA);
    wire write_b = CEB && WEB && !(RESETMODE == "SYNC" && RSTB);

    always @(posedge clock_a) begin
        if (write_a) memory[word_a] <= new_a;
        // The upper word of a pair, whose byte enables are the next two bits of the address.
        if (write_a && DATA_WIDTH_A == 36)
            memory[word_a | 10'd1] <= (memory[word_a | 10'd1] & ~{{9{ada[3]}}, {9{ada[2]}}})
                                    | (dib & {{9{ada[3]}}, {9{ada[2]}}});
    end
    always @(posedge clock_b) if (write_b) memory[word_b] <= new_b;

    // Outputs, as they are after a clock with the port enabled: a write shows what the mode says.
    reg [17:0] held_a, held_b;
    wire [17:0] next_a = !CEA ? held_a : !WEA ? shown(DATA_WIDTH_A, ada, old_a)
                       : WRITEMODE_A == "WRITETHROUGH" ? shown(DATA_WIDTH_A, ada, new_a)
                       : WRITEMODE_A == "READBEFOREWRITE" ? shown(DATA_WIDTH_A, ada, old_a) : held_a;
    wire [17:0] next_b = !CEB ? held_b : !WEB ? shown(DATA_WIDTH_B, adb, old_b)
                       : WRITEMODE_B == "WRITETHROUGH" ? shown(DATA_WIDTH_B, adb, new_b)
                       : WRITEMODE_B == "READBEFOREWRITE" ? shown(DATA_WIDTH_B, adb, old_b) : held_b;
    // Of a pair the outputs of port A show the lower word, and port B clocks and resets them.
    wire clock_low = DATA_WIDTH_B == 36 ? clock_b : clock_a;
    wire reset_low = DATA_WIDTH_B == 36 ? RSTB : RSTA;
    wire [17:0] next_low = DATA_WIDTH_B != 36 ? next_a : CEB ? memory[word_b & ~10'd1] : held_a;

    initial {held_a, held_b} = 36'd0;
    generate
        if (RESETMODE == "ASYNC") begin : asynchronous
            always @(posedge clock_low, posedge reset_low)
                if (reset_low) held_a <= 18'd0;
                else held_a <= next_low;
            always @(posedge clock_b, posedge RSTB)
                if (RSTB) held_b <= 18'd0;
                else held_b <= next_b;
        end else begin : synchronous
            always @(posedge clock_low) held_a <= reset_low ? 18'd0 : next_low;
            always @(posedge clock_b) held_b <= RSTB ? 18'd0 : next_b;
        end
    endgenerate
    assign {
        DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
        DOA1, DOA0
    } = held_a;
    assign {
        DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
        DOB1, DOB0
    } = held_b;
endmodule

// The product of two numbers of 18 bits, without any of the registers.
module MULT18X18D #(
    parameter REG_INPUTA_CLK = "NONE", parameter REG_INPUTB_CLK = "NONE", parameter REG_INPUTC_CLK = "NONE",
    parameter REG_PIPELINE_CLK = "NONE", parameter REG_OUTPUT_CLK = "NONE", parameter MULT_BYPASS = "DISABLED",
    parameter SOURCEB_MODE = "B_SHIFT", parameter GSR = "ENABLED", parameter CAS_MATCH_REG = "FALSE",
    parameter RESETMODE = "SYNC", parameter HIGHSPEED_CLK = "NONE"
) (
    input wire A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0, B17, B16, B15, B14,
        B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0, C17, C16, C15, C14, C13, C12, C11, C10, C9, C8,
        C7, C6, C5, C4, C3, C2, C1, C0, SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    output wire P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16,
        P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    wire [17:0] a = {
        A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0
    };
    wire [17:0] b = {
        B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0
    };
    wire signed [36:0] product = $signed({SIGNEDA & a[17], a}) * $signed({SIGNEDB & b[17], b});
    assign {
        P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15,
        P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
    } = product[35:0];

    initial
        if (REG_INPUTA_CLK != "NONE" || REG_INPUTB_CLK != "NONE" || REG_PIPELINE_CLK != "NONE"
            || REG_OUTPUT_CLK != "NONE" || MULT_BYPASS != "DISABLED")
            $fatal(1, "MULT18X18D: registers and the bypass are not modelled");
    always @* if (SOURCEA || SOURCEB) $fatal(1, "MULT18X18D: operands that are shifted in are not modelled");
endmodule

`default_nettype wire

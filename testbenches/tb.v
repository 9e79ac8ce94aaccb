// Runs the accelerator against data/image.bin and compares what it writes with data/expected.bin.
//
// External memory answers in order, after LATENCY cycles, and stalls at random; what is written is there from its answer
// on. The rules of AXI4 and what docs/accelerator.md promises of bursts are checked in every cycle. After the run, whose
// traffic must be the schedule's, come its first and last layer with a memory that hardly gives or takes words, or gives
// parameters late, a queued start, and programs and answers that must be refused. The memory's bytes are the model and,
// where it ends, the data; the accelerator sees them from MODEL_BASE and DATA_BASE on. Verilog-2005; the parameters come
// from design.mk or the FuseSoC core, and so does ACCELERATOR, the name of the top. Says how far it is, a line a layer; its
// verdict is one line, "PASS words=N cycles=N" or "FAIL reason", and after the latter it ends with $fatal.
// +image=FILE and +expected=FILE take other files; +layers=NAMES says of which layers they are, where not of all.
// With +output=FILE, what the accelerator wrote goes to FILE, 64 bits a line, instead of being compared.
`default_nettype none
`timescale 1ns / 1ps
`ifndef ACCELERATOR
`define ACCELERATOR accelerator
`endif

module tb;
    parameter BUS_BITS = 128;
    parameter ADDRESS_BITS = 32;
    parameter ID_BITS = 1;
    parameter OFFSET_BITS = 32;  // of an address relative to one of the bases, in a command
    parameter [63:0] MODEL_BASE = 0;
    parameter [63:0] DATA_BASE = 64'h4000_0000;
    parameter MODEL_BYTES = 4096;  // of the model: program, from here weights and parameters
    parameter WEIGHTS_AT = 128;
    parameter WRITE_BASE = 4096;  // bytes of the data that the accelerator may write: [WRITE_BASE, WRITE_LIMIT)
    parameter WRITE_LIMIT = 8192;
    parameter WEIGHT_BEATS = 0;  // words of the bus that the run reads of both kinds,
    parameter ACT_BEATS = 0;
    parameter WRITE_BEATS = 0;  // and writes, by the schedule
    parameter POSITIONS = 0;  // that enter its array, by the schedule
    parameter WORDS = 0;  // integers of the golden model that it writes
    parameter NO_WRITES = 5000;  // cycles without a write, in which the drain waits for room, or the end for its answer
    parameter MAX_CYCLES = 1000000;
    parameter CYCLES = 0;  // that all runs must take together with this memory; 0: they may take any
    parameter LATENCY = 20;
    parameter STALL_PERCENT = 10;
    parameter SEED = 1;

    localparam OUTPUT = MODEL_BYTES + WRITE_BASE;  // what is written lies from here
    localparam BYTES = MODEL_BYTES + WRITE_LIMIT;  // up to here
    localparam BUS = BUS_BITS / 8;
    localparam DOUBLES = BUS_BITS / 64;  // of 64 bits, in a word of the bus
    localparam QUEUE = 64;
    localparam [31:0] LAST_PAGE = 32'hffff_f000 >> (32 - OFFSET_BITS) & 32'hffff_f000;  // that a command reaches
    localparam LONGEST = 16;  // words of a burst
    localparam OKAY = 2'b00, SLVERR = 2'b10;
    localparam SLOW_READS = 85;  // stalls in percent, with which the control waits for words
    localparam SLOW_PARAMS = 97;  // with which the drain waits for the parameters of sums that are there

    `include "isa.vh"

    reg clk = 0;
    reg rst_n = 0;
    always #5 clk = !clk;

    // the accelerator
    reg [7:0] axil_awaddr, axil_araddr;
    reg [31:0] axil_wdata;
    reg [3:0] axil_wstrb = 4'hf;
    reg axil_awvalid = 0, axil_wvalid = 0, axil_arvalid = 0, axil_bready = 0, axil_rready = 0;
    wire axil_awready, axil_wready, axil_bvalid, axil_arready, axil_rvalid;
    wire [31:0] axil_rdata;
    wire [1:0] axil_bresp, axil_rresp;

    wire [ADDRESS_BITS-1:0] awaddr, araddr;
    wire [ID_BITS-1:0] awid, arid;
    wire awlock, arlock;
    wire [3:0] awqos, arqos;
    wire [7:0] awlen, arlen;
    wire [2:0] awsize, arsize, awprot, arprot;
    wire [1:0] awburst, arburst;
    wire [3:0] awcache, arcache;
    wire awvalid, wvalid, wlast, bready, arvalid, rready;
    wire [BUS_BITS-1:0] wdata;
    wire [BUS-1:0] wstrb;
    reg awready = 0, wready = 0, bvalid = 0, arready = 0, rvalid = 0, rlast = 0;
    reg [BUS_BITS-1:0] rdata;
    reg [1:0] rresp = OKAY, bresp = OKAY;
    wire irq;

    `ACCELERATOR dut (
        .clk(clk), .rst_n(rst_n), .irq(irq),
        .s_axil_awaddr(axil_awaddr), .s_axil_awprot(3'd0), .s_axil_arprot(3'd0), .s_axil_awvalid(axil_awvalid),
        .s_axil_awready(axil_awready), .s_axil_wdata(axil_wdata), .s_axil_wstrb(axil_wstrb),
        .s_axil_wvalid(axil_wvalid), .s_axil_wready(axil_wready), .s_axil_bresp(axil_bresp),
        .s_axil_bvalid(axil_bvalid), .s_axil_bready(axil_bready), .s_axil_araddr(axil_araddr),
        .s_axil_arvalid(axil_arvalid), .s_axil_arready(axil_arready),
        .s_axil_rdata(axil_rdata), .s_axil_rresp(axil_rresp), .s_axil_rvalid(axil_rvalid),
        .s_axil_rready(axil_rready),
        .m_axi_awid(awid), .m_axi_bid({ID_BITS{1'b0}}), .m_axi_arid(arid), .m_axi_rid({ID_BITS{1'b0}}),
        .m_axi_awlock(awlock), .m_axi_awqos(awqos), .m_axi_arlock(arlock), .m_axi_arqos(arqos),
        .m_axi_awaddr(awaddr), .m_axi_awlen(awlen), .m_axi_awsize(awsize), .m_axi_awburst(awburst),
        .m_axi_awcache(awcache), .m_axi_awprot(awprot), .m_axi_awvalid(awvalid), .m_axi_awready(awready),
        .m_axi_wdata(wdata), .m_axi_wstrb(wstrb), .m_axi_wlast(wlast), .m_axi_wvalid(wvalid),
        .m_axi_wready(wready), .m_axi_bresp(bresp), .m_axi_bvalid(bvalid), .m_axi_bready(bready),
        .m_axi_araddr(araddr), .m_axi_arlen(arlen), .m_axi_arsize(arsize), .m_axi_arburst(arburst),
        .m_axi_arcache(arcache), .m_axi_arprot(arprot), .m_axi_arvalid(arvalid), .m_axi_arready(arready),
        .m_axi_rdata(rdata), .m_axi_rresp(rresp), .m_axi_rlast(rlast), .m_axi_rvalid(rvalid),
        .m_axi_rready(rready)
    );

    // external memory
    reg [63:0] memory [0:BYTES/8-1];
    reg [63:0] expected [0:(WRITE_LIMIT-WRITE_BASE)/8-1];

    integer cycle = 0;
    integer seed = SEED;
    reg [31:0] draw;
    // Bursts accepted and not done; a burst stands at its number modulo QUEUE.
    reg [31:0] read_addr [0:QUEUE-1], write_addr [0:QUEUE-1];
    integer read_beats [0:QUEUE-1], write_beats [0:QUEUE-1], read_ready [0:QUEUE-1], answer_ready [0:QUEUE-1];
    reg [BUS_BITS+BUS-1:0] write_words [0:QUEUE*LONGEST-1];  // strobes above the data
    integer beat = 0;  // of the burst that is written
    integer reads = 0, reads_done = 0, writes = 0, writes_done = 0, answers_done = 0;
    integer owed = 0;  // words whose address has come
    integer commands = 0, weight_words = 0, map_words = 0, written_words = 0, first_written = 0;
    integer written_end = 0, first_end = 0;  // behind the last byte written
    integer read_stalls = STALL_PERCENT, no_writes_until = 0;
    reg [31:0] slow_from = 0, slow_end = 0;  // addresses of the parameters that come late
    reg [31:0] model_limit = 0, data_limit = 0;  // as the registers have them
    integer w;

    function stall(input [5:0] six, input integer percent);
        stall = six * 100 < percent * 64;
    endfunction

    // Of the next word that is read.
    function read_stall(input [5:0] six);
        reg [31:0] at;
        begin
            at = read_addr[reads_done % QUEUE];
            read_stall = stall(six, slow_from <= at && at < slow_end ? SLOW_PARAMS : read_stalls);
        end
    endfunction

    function write_stall(input [5:0] six);
        write_stall = cycle < no_writes_until || stall(six, STALL_PERCENT);
    endfunction

    always @(posedge clk) if (rst_n) begin
        cycle = cycle + 1;
        draw = $random(seed);
        if (arvalid && arready) begin
            read_addr[reads % QUEUE] = place(araddr);
            read_beats[reads % QUEUE] = arlen + 1;
            read_ready[reads % QUEUE] = cycle + LATENCY;
            reads = reads + 1;
            if (place(araddr) + (arlen + 1) * BUS > (place(araddr) < MODEL_BYTES ? model_limit : MODEL_BYTES + data_limit))
                fail("a read beyond its limit");
            if (place(araddr) == COMMAND_BYTES * commands && place(araddr) < WEIGHTS_AT) mark;
        end
        arready <= !stall(draw[5:0], read_stalls) && reads - reads_done < QUEUE - 1;
        if (!rvalid || rready) begin
            rvalid <= 0;
            if (reads_done < reads && read_ready[reads_done % QUEUE] <= cycle && !read_stall(draw[11:6])) read_word;
        end
        if (awvalid && awready) begin
            if (place(awaddr) < OUTPUT || place(awaddr) + (awlen + 1) * BUS > MODEL_BYTES + data_limit)
                fail("a write outside its window");
            if (place(awaddr) + (awlen + 1) * BUS > written_end) written_end = place(awaddr) + (awlen + 1) * BUS;
            write_addr[writes % QUEUE] = place(awaddr);
            write_beats[writes % QUEUE] = awlen + 1;
            owed = owed + awlen + 1;
            writes = writes + 1;
        end
        awready <= !write_stall(draw[17:12]) && writes - answers_done < QUEUE - 1;
        if (wvalid && wready) write_word;
        wready <= owed > 0 && !write_stall(draw[23:18]);
        if (!bvalid || bready) begin
            bvalid <= 0;
            if (answers_done < writes_done && answer_ready[answers_done % QUEUE] <= cycle && !write_stall(draw[29:24])) begin
                bvalid <= 1;
                store;
                answers_done = answers_done + 1;
            end
        end
    end

    // Where in the memory an address of the accelerator lies; behind its end for what is in neither area.
    function [31:0] place(input [63:0] at);
        if (at - MODEL_BASE < MODEL_BYTES) place = at - MODEL_BASE;
        else if (at - DATA_BASE < WRITE_LIMIT) place = MODEL_BYTES + (at - DATA_BASE);
        else place = BYTES;
    endfunction

    // What every memory relies on: an offer stays until it is taken, bursts are of the documented kind, nothing is unknown.
    reg ar_waits = 0, aw_waits = 0, w_waits = 0, w_inside = 0;
    reg [ADDRESS_BITS+7:0] ar_offer, aw_offer;
    reg [BUS_BITS+BUS:0] w_offer;
    always @(posedge clk) if (rst_n) begin
        if (^{irq, arvalid, awvalid, wvalid, bready, rready} === 1'bx) fail("an unknown value at a port");
        if (ar_waits && (!arvalid || {araddr, arlen} != ar_offer)) fail("AR changes before it is taken");
        if (aw_waits && (!awvalid || {awaddr, awlen} != aw_offer)) fail("AW changes before it is taken");
        if (w_waits && (!wvalid || {wdata, wstrb, wlast} != w_offer)) fail("W changes before it is taken");
        ar_waits <= arvalid && !arready;
        aw_waits <= awvalid && !awready;
        w_waits <= wvalid && !wready;
        ar_offer <= {araddr, arlen};
        aw_offer <= {awaddr, awlen};
        w_offer <= {wdata, wstrb, wlast};
        if (arvalid) burst(araddr, arlen, arsize, arburst);
        if (awvalid) burst(awaddr, awlen, awsize, awburst);
        if (arvalid && {arid, arlock, arprot, arqos} != 0 || awvalid && {awid, awlock, awprot, awqos} != 0)
            fail("not a plain transaction of ID 0");
        if (!rready) fail("RREADY falls");
        if (w_inside && !wvalid) fail("a write burst pauses");
        if (wvalid && wready) w_inside <= !wlast;
    end

    task burst(input [31:0] at, input [7:0] len, input [2:0] size, input [1:0] kind);
        begin
            if ((1 << size) != BUS || kind != 2'b01 || at % BUS != 0) fail("not an INCR burst of whole words");
            if (at % (LONGEST * BUS) + (len + 1) * BUS > LONGEST * BUS) fail("a burst passes a multiple of its longest");
        end
    endtask

    integer deadline = MAX_CYCLES + 10000;
    always @(posedge clk) if (cycle > deadline) fail("the registers do not answer");

    // A command of the program is fetched, its end mark, or the interrupt comes.
    task mark;
        begin
            $display("mark %0d: cycle %0d, words of weights %0d, of maps %0d, written %0d", commands, cycle,
                     weight_words, map_words, written_words);
            $fflush;
            if (commands == 1) first_written = written_words;
            if (commands == 1) first_end = written_end;
            commands = commands + 1;
        end
    endtask

    task read_word;
        reg [31:0] at;
        begin
            at = read_addr[reads_done % QUEUE];
            if (at >= MODEL_BYTES) map_words = map_words + 1;
            else if (at >= WEIGHTS_AT) weight_words = weight_words + 1;
            for (w = 0; w < DOUBLES; w = w + 1) rdata[64*w +: 64] <= memory[at / 8 + w];
            rvalid <= 1;
            rlast <= read_beats[reads_done % QUEUE] == 1;
            read_addr[reads_done % QUEUE] = at + BUS;
            read_beats[reads_done % QUEUE] = read_beats[reads_done % QUEUE] - 1;
            if (read_beats[reads_done % QUEUE] == 0) reads_done = reads_done + 1;
        end
    endtask

    task write_word;
        begin
            write_words[writes_done % QUEUE * LONGEST + beat] = {wstrb, wdata};
            beat = beat + 1;
            owed = owed - 1;
            written_words = written_words + 1;
            if (wlast != (beat == write_beats[writes_done % QUEUE])) fail("WLAST is not at the end of the burst");
            if (wlast) begin
                answer_ready[writes_done % QUEUE] = cycle + LATENCY;
                writes_done = writes_done + 1;
                beat = 0;
            end
        end
    endtask

    // The words of the burst that is answered.
    task store;
        reg [31:0] at;
        reg [BUS-1:0] strobes;
        reg [BUS_BITS-1:0] word;
        integer n, b;
        begin
            for (n = 0; n < write_beats[answers_done % QUEUE]; n = n + 1) begin
                {strobes, word} = write_words[answers_done % QUEUE * LONGEST + n];
                at = write_addr[answers_done % QUEUE] + n * BUS;
                for (b = 0; b < BUS; b = b + 1)
                    if (strobes[b]) memory[at / 8 + b / 8][8 * (b % 8) +: 8] = word[8*b +: 8];
            end
        end
    endtask

    // the host
    reg [31:0] value;
    integer i, wrong;
    reg [8*256-1:0] name;
    reg [8*1024-1:0] layers;

    initial begin
        load;
        repeat (8) @(posedge clk);
        rst_n <= 1;
        write_register(REG_READ_LIMIT, MODEL_BYTES);
        write_register(REG_WRITE_BASE, WRITE_BASE);
        write_register(REG_WRITE_LIMIT, WRITE_LIMIT);
        write_register(REG_MODEL_BASE, MODEL_BASE[31:0]);
        write_register(REG_MODEL_BASE_HI, MODEL_BASE[63:32]);
        write_register(REG_DATA_BASE, DATA_BASE[31:0]);
        write_register(REG_DATA_BASE_HI, DATA_BASE[63:32]);
        check(REG_MODEL_BASE_HI, MODEL_BASE[63:32]);
        axil_wstrb <= 4'h7;  // a register is written whole or not
        write_register(REG_DATA_BASE, ~DATA_BASE[31:0]);
        axil_wstrb <= 4'hf;
        check(REG_DATA_BASE, DATA_BASE[31:0]);
        if (irq !== 0) fail("an interrupt before the start");
        start(MAX_CYCLES);
        mark;
        for (i = 0; i < 16; i = i + 1) begin
            read_register(4 * i);
            $display("register %0d: %0d", i, value);
        end
        if ($value$plusargs("output=%s", name)) begin
            save;
            $finish;
        end else begin
            judge;
        end
    end

    // A run, to its interrupt, within some cycles.
    task start(input integer cycles);
        begin
            deadline = cycle + cycles + 10000;
            write_register(REG_CONTROL, 1 << CONTROL_START_LOW);
            repeat (8) @(posedge clk);  // until the interrupt of the run before has gone
            for (i = 0; irq !== 1 && i < cycles; i = i + 1) @(posedge clk);
            if (irq !== 1) fail("no interrupt: the design hangs");
            if (reads_done != reads || answers_done != writes) fail("the run ends before its transactions");
        end
    endtask

    task judge;
        reg [31:0] cycles;
        begin
            read_register(REG_STATUS);
            if (value[STATUS_ERROR_LOW +: STATUS_ERROR_BITS] !== 0) begin
                $display("error code %0d", value[STATUS_ERROR_LOW +: STATUS_ERROR_BITS]);
                fail("the accelerator reports an error");
            end
            compare;
            // Marks are the fetches of all layers and of the end mark, and the interrupt.
            check(REG_STATUS, 1 << STATUS_DONE_LOW | (commands - 2) << STATUS_COMPLETED_LOW);
            traffic("weights", REG_WEIGHT_BEATS, weight_words, WEIGHT_BEATS);
            traffic("activations", REG_ACT_BEATS, map_words, ACT_BEATS);
            traffic("results", REG_WRITE_BEATS, written_words, WRITE_BEATS);
            check(REG_ARRAY_CYCLES, POSITIONS);
            check(REG_CYCLES_HI, 0);
            read_register(REG_CYCLES_LO);
            cycles = value;
            get(0, command);
            get(commands - 3, last);
            progress("every word is right; the first and the last layer with a slow memory");
            // Up to the last byte that each may write.
            read_stalls = SLOW_READS;
            write_register(REG_WRITE_LIMIT, first_end - MODEL_BYTES);
            alone(command);
            write_register(REG_WRITE_LIMIT, written_end - MODEL_BYTES);
            alone(last);
            write_register(REG_WRITE_LIMIT, WRITE_LIMIT);
            read_stalls = STALL_PERCENT;
            with_late_parameters(command);
            with_late_parameters(last);
            no_writes_until = cycle + NO_WRITES;
            alone(command);
            no_writes_until = cycle + NO_WRITES;
            alone(last);
            progress("a queued start");
            queued;
            progress("programs and answers that must be refused");
            refusals;
            $display("all runs: %0d cycles", cycle);
            if (CYCLES != 0 && cycle != CYCLES) fail("the runs take other cycles");
            if ($value$plusargs("layers=%s", layers))
                $display("PASS words=%0d cycles=%0d layers=%0s", WORDS, cycles, layers);
            else $display("PASS words=%0d cycles=%0d", WORDS, cycles);
            $finish;
        end
    endtask

    task progress(input [8*80-1:0] what);
        begin
            $display("cycle %0d: %0s", cycle, what);
            $fflush;
        end
    endtask

    task check(input [7:0] at, input [31:0] wanted);
        begin
            read_register(at);
            if (value !== wanted) begin
                $display("register %h: expected %0d, got %0d", at, wanted, value);
                fail("a register is wrong");
            end
        end
    endtask

    // Words that the register, the memory and the schedule have counted.
    task traffic(input [8*16-1:0] what, input [7:0] at, input integer seen, input integer wanted);
        begin
            check(at, seen);
            if (seen != wanted) begin
                $display("words of %0s: %0d, by the schedule %0d", what, seen, wanted);
                fail("the traffic is not the schedule's");
            end
        end
    endtask

    // A layer alone, its input as the run left it: what it writes is as before, and nothing else changes.
    task alone(input [8*COMMAND_BYTES-1:0] layer);
        integer b, right, behind;  // what lies behind its input is of no use to it
        reg [63:0] wanted;
        begin
            behind = (layer[FIELD_Y_BASE_AT +: FIELD_Y_BASE_BITS] - WRITE_BASE) / 8;
            for (i = 0; i < (WRITE_LIMIT - WRITE_BASE) / 8; i = i + 1)
                memory[OUTPUT / 8 + i] = i < behind ? swapped(expected[i]) : ~swapped(expected[i]);
            put(layer);
            memory[COMMAND_BYTES / 8] = 64'hff;  // the end mark
            start(8 * MAX_CYCLES);
            check(REG_STATUS, 1 << STATUS_DONE_LOW | 1 << STATUS_COMPLETED_LOW);
            right = 0;
            for (i = 0; i < (WRITE_LIMIT - WRITE_BASE) / 8; i = i + 1) begin
                wanted = swapped(expected[i]);
                for (b = 0; b < 64; b = b + 8)
                    if (memory[OUTPUT / 8 + i][b +: 8] === wanted[b +: 8]) right = right + (i >= behind);
                    else if (i < behind || memory[OUTPUT / 8 + i][b +: 8] !== ~wanted[b +: 8])
                        fail("with a slow memory the output differs");
            end
            if (right == 0) fail("with a slow memory nothing is written");
            put(command);
        end
    endtask

    task with_late_parameters(input [8*COMMAND_BYTES-1:0] layer);
        begin
            slow_from = layer[FIELD_PARAMS_AT +: FIELD_PARAMS_BITS];
            slow_end = slow_from + layer[FIELD_PARAMS_PITCH_AT +: FIELD_PARAMS_PITCH_BITS] * layer[FIELD_CO_TILES_AT +: FIELD_CO_TILES_BITS];
            alone(layer);
            slow_end = slow_from;
        end
    endtask

    // Two starts of an empty program follow each other, the second with the base that was set then; a third is refused, and
    // only that.
    task queued;
        reg [31:0] runs;
        begin
            read_register(REG_RUNS);
            runs = value;
            tried = command;
            tried[FIELD_OPCODE_AT +: FIELD_OPCODE_BITS] = 8'hff;
            put(tried);
            write_register(REG_CONTROL, 1 << CONTROL_START_LOW);
            write_register(REG_DATA_BASE, DATA_BASE[31:0] + 1);
            write_register(REG_CONTROL, 1 << CONTROL_START_LOW);
            write_register(REG_DATA_BASE, DATA_BASE[31:0]);
            write_register(REG_CONTROL, 1 << CONTROL_START_LOW);
            read_register(REG_STATUS);
            while (value[STATUS_BUSY_LOW]) read_register(REG_STATUS);
            check(REG_STATUS, 1 << STATUS_DONE_LOW | 1 << STATUS_REFUSED_LOW | ERROR_MISALIGNED_BASE << STATUS_ERROR_LOW);
            check(REG_RUNS, runs + 2);
            write_register(REG_CONTROL, 1 << CONTROL_START_LOW);
            write_register(REG_CONTROL, 1 << CONTROL_START_LOW);
            read_register(REG_STATUS);
            while (value[STATUS_BUSY_LOW]) read_register(REG_STATUS);
            check(REG_STATUS, 1 << STATUS_DONE_LOW);
            check(REG_RUNS, runs + 4);
            // What is queued behind a run that fails is refused.
            tried[FIELD_OPCODE_AT +: FIELD_OPCODE_BITS] = 8'h7e;
            put(tried);
            write_register(REG_CONTROL, 1 << CONTROL_START_LOW);
            write_register(REG_CONTROL, 1 << CONTROL_START_LOW);
            read_register(REG_STATUS);
            if (value[STATUS_BUSY_LOW] && !value[STATUS_QUEUED_LOW]) fail("STATUS does not show a queued start");
            while (value[STATUS_BUSY_LOW]) read_register(REG_STATUS);
            check(REG_STATUS, 1 << STATUS_DONE_LOW | 1 << STATUS_REFUSED_LOW | ERROR_UNKNOWN_OPCODE << STATUS_ERROR_LOW);
            check(REG_RUNS, runs + 5);
            put(command);
        end
    endtask

    // The first command of the program as it is, and as it is tried; the last layer's.
    reg [8*COMMAND_BYTES-1:0] command, tried, last;
    // A command with the first bit set that is beyond each field's bound in this build.
    reg [31:0] bounds [0:COMMAND_BYTES/4-1];

    // Whatever cannot be run ends with its error code, and with an interrupt, soon.
    task refusals;
        integer b;
        begin
            $readmemh("data/bounds.hex", bounds);
            tried = command;
            tried[FIELD_OPCODE_AT +: FIELD_OPCODE_BITS] = 8'h7e;
            refused(ERROR_UNKNOWN_OPCODE);
            tried[FIELD_KERNEL_AT +: FIELD_KERNEL_BITS] = 8'h03;
            refused(ERROR_BAD_FIELD);
            tried[FIELD_KERNEL_AT +: FIELD_KERNEL_BITS] = 8'h01;
            tried[FIELD_IN_W_AT +: FIELD_IN_W_BITS] = 16'hffff;
            refused(ERROR_BAD_FIELD);
            for (b = 0; b < 8 * COMMAND_BYTES; b = b + 1)
                if (bounds[b/32][b%32]) begin
                    tried[b] = 1;
                    refused(ERROR_BAD_FIELD);
                end
            zero(FIELD_IN_H_AT, FIELD_IN_H_BITS);
            zero(FIELD_IN_W_AT, FIELD_IN_W_BITS);
            zero(FIELD_UNITS_AT, FIELD_UNITS_BITS);
            zero(FIELD_OUTER_AT, FIELD_OUTER_BITS);
            zero(FIELD_CI_TILES_AT, FIELD_CI_TILES_BITS);
            zero(FIELD_CO_TILES_AT, FIELD_CO_TILES_BITS);
            zero(FIELD_CO_BLOCKS_AT, FIELD_CO_BLOCKS_BITS);
            zero(FIELD_OUT_W_AT, FIELD_OUT_W_BITS);
            zero(FIELD_STRIPE_AT, FIELD_STRIPE_BITS);
            zero(FIELD_PATCH_AT, FIELD_PATCH_BITS);
            zero(FIELD_SLOTS_AT, FIELD_SLOTS_BITS);
            zero(FIELD_KERNEL_H_AT, FIELD_KERNEL_H_BITS);
            zero(FIELD_KERNEL_W_AT, FIELD_KERNEL_W_BITS);
            zero(FIELD_UNIT_POSITIONS_AT, FIELD_UNIT_POSITIONS_BITS);
            zero(FIELD_X_ROW_BEATS_AT, FIELD_X_ROW_BEATS_BITS);
            zero(FIELD_Y_ROW_BEATS_AT, FIELD_Y_ROW_BEATS_BITS);
            zero(FIELD_WEIGHT_ROWS_AT, FIELD_WEIGHT_ROWS_BITS);
            pooled(1, 2, 2);
            pooled(0, 1, 2);
            pooled(0, 2, 1);
            // Reads and writes outside their regions, in the program and by the registers.
            tried[FIELD_WEIGHTS_AT +: FIELD_WEIGHTS_BITS] = MODEL_BYTES;
            refused(ERROR_READ_ADDRESS);
            tried[FIELD_X_BASE_AT +: FIELD_X_BASE_BITS] = WRITE_LIMIT;
            refused(ERROR_READ_ADDRESS);
            tried[FIELD_X_BASE_AT +: FIELD_X_BASE_BITS] = LAST_PAGE;
            refused(ERROR_READ_ADDRESS);
            tried[FIELD_Y_BASE_AT +: FIELD_Y_BASE_BITS] = LAST_PAGE;
            refused(ERROR_WRITE_ADDRESS);
            tried[FIELD_Y_BASE_AT +: FIELD_Y_BASE_BITS] = WRITE_BASE - BUS;
            refused(ERROR_WRITE_ADDRESS);
            tried[FIELD_Y_BASE_AT +: FIELD_Y_BASE_BITS] = WRITE_LIMIT;
            refused(ERROR_WRITE_ADDRESS);
            // In the middle of a burst, of commands, of maps, of weights.
            write_register(REG_READ_LIMIT, LONGEST / 2 * BUS);
            refused(ERROR_READ_ADDRESS);
            write_register(REG_READ_LIMIT, MODEL_BYTES - LONGEST / 2 * BUS);
            tried[FIELD_WEIGHTS_AT +: FIELD_WEIGHTS_BITS] = MODEL_BYTES - LONGEST * BUS;
            refused(ERROR_READ_ADDRESS);
            write_register(REG_READ_LIMIT, MODEL_BYTES);
            write_register(REG_WRITE_LIMIT, 2 * BUS);
            refused(ERROR_READ_ADDRESS);
            if (first_written > 1) begin
                write_register(REG_WRITE_LIMIT, WRITE_BASE + 6 * BUS);
                tried[FIELD_Y_BASE_AT +: FIELD_Y_BASE_BITS] = WRITE_BASE + 5 * BUS;
                refused(ERROR_WRITE_ADDRESS);
            end
            write_register(REG_WRITE_LIMIT, WRITE_LIMIT);
            // Bases that are not aligned.
            write_register(REG_MODEL_BASE, MODEL_BASE[31:0] + 2048);
            refused(ERROR_MISALIGNED_BASE);
            write_register(REG_MODEL_BASE, MODEL_BASE[31:0]);
            // Memory that answers with errors.
            rresp = SLVERR;
            refused(ERROR_READ_RESPONSE);
            rresp = OKAY;
            failing_read;
            bresp = SLVERR;
            refused(ERROR_WRITE_RESPONSE);
            bresp = OKAY;
            // Starts in a run, and an interrupt that is not wanted.
            write_register(REG_IRQ_ENABLE, 0);
            tried[FIELD_OPCODE_AT +: FIELD_OPCODE_BITS] = 8'hff;
            put(tried);
            repeat (3) write_register(REG_CONTROL, 1 << CONTROL_START_LOW);
            repeat (32 * LATENCY + 1000) @(posedge clk);
            if (irq !== 0) fail("an interrupt although disabled");
            check(REG_STATUS, 1 << STATUS_DONE_LOW | 1 << STATUS_REFUSED_LOW);
            write_register(REG_IRQ_ENABLE, 1 << IRQ_ENABLE_IRQ_LOW);
            write_register(REG_CONTROL, 1 << CONTROL_CLEAR_LOW);
            check(REG_STATUS, 0);
            if (irq !== 0) fail("the interrupt is not cleared");
            put(command);
        end
    endtask

    // Reads fail while the first write waits for its address to be taken; at the latest the end mark's does.
    task failing_read;
        begin
            no_writes_until = cycle + NO_WRITES;
            fork
                start(MAX_CYCLES + NO_WRITES);
                begin
                    @(posedge awvalid);
                    rresp = SLVERR;
                end
            join
            read_register(REG_STATUS);
            if (value[STATUS_ERROR_LOW +: STATUS_ERROR_BITS] != ERROR_READ_RESPONSE) fail("a failing read is not reported");
            rresp = OKAY;
        end
    endtask

    task zero(input integer at, input integer bits);
        begin
            for (i = 0; i < bits; i = i + 1) tried[at + i] = 0;
            refused(ERROR_BAD_FIELD);
        end
    endtask

    task pooled(input raw, input [15:0] units, input [15:0] stripe);
        begin
            tried[FIELD_POOL_AT] = 1;
            tried[FIELD_RAW_AT] = raw;
            tried[FIELD_UNITS_AT +: FIELD_UNITS_BITS] = units;
            tried[FIELD_STRIPE_AT +: FIELD_STRIPE_BITS] = stripe;
            refused(ERROR_BAD_FIELD);
        end
    endtask

    // A run of the program whose first command is `tried` must end with this error in command 0; the next starts clean.
    task refused(input integer code);
        begin
            put(tried);
            tried = command;
            start(MAX_CYCLES);
            check(REG_STATUS, 1 << STATUS_DONE_LOW | code << STATUS_ERROR_LOW);
            check(REG_ERROR_COMMAND, 0);
        end
    endtask

    task get(input integer layer, output [8*COMMAND_BYTES-1:0] words);
        for (i = 0; i < COMMAND_BYTES / 8; i = i + 1) words[64*i +: 64] = memory[COMMAND_BYTES / 8 * layer + i];
    endtask

    task put(input [8*COMMAND_BYTES-1:0] words);
        for (i = 0; i < COMMAND_BYTES / 8; i = i + 1) memory[i] = words[64*i +: 64];
    endtask

    task write_register(input [7:0] at, input [31:0] data);
        reg aw, w, late;  // data come with their address, or a cycle later
        begin
            if (at == REG_READ_LIMIT) model_limit = data;
            if (at == REG_WRITE_LIMIT) data_limit = data;
            axil_awaddr <= at;
            axil_wdata <= data;
            late = draw[0] === 1'b1;
            axil_awvalid <= 1;
            axil_wvalid <= !late;
            @(posedge clk);
            while (axil_awvalid || axil_wvalid || late) begin
                aw = axil_awready;
                w = axil_wready;
                if (aw) axil_awvalid <= 0;
                if (w || late) axil_wvalid <= late;
                late = 0;
                @(posedge clk);
            end
            while (!axil_bvalid) @(posedge clk);
            axil_bready <= 1;
            @(posedge clk);
            axil_bready <= 0;
            @(posedge clk);
        end
    endtask

    task read_register(input [7:0] at);
        begin
            axil_araddr <= at;
            axil_arvalid <= 1;
            @(posedge clk);
            while (!axil_arready) @(posedge clk);
            axil_arvalid <= 0;
            while (!axil_rvalid) @(posedge clk);
            axil_rready <= 1;  // an answer must not wait for it
            @(posedge clk);
            value = axil_rdata;
            axil_rready <= 0;
            @(posedge clk);
        end
    endtask

    // Files are bytes from the model's first; $fread puts the first one into the highest bits.
    task load;
        integer file, count;
        begin
            for (i = 0; i < BYTES / 8; i = i + 1) memory[i] = 0;
            if (!$value$plusargs("image=%s", name)) name = "data/image.bin";
            file = $fopen(name, "rb");
            if (file == 0) fail({"cannot open ", name});
            count = $fread(memory, file);
            $fclose(file);
            if (count != OUTPUT) fail({name, " has not the right size"});
            for (i = 0; i < OUTPUT / 8; i = i + 1) memory[i] = swapped(memory[i]);
        end
    endtask

    task save;
        integer file;
        begin
            file = $fopen(name, "w");
            if (file == 0) fail("cannot write the output");
            for (i = OUTPUT / 8; i < BYTES / 8; i = i + 1) $fdisplay(file, "%h", memory[i]);
            $fclose(file);
        end
    endtask

    function [63:0] swapped(input [63:0] word);
        swapped = {word[7:0], word[15:8], word[23:16], word[31:24], word[39:32], word[47:40], word[55:48], word[63:56]};
    endfunction

    task compare;
        integer file, count;
        begin
            if (!$value$plusargs("expected=%s", name)) name = "data/expected.bin";
            file = $fopen(name, "rb");
            if (file == 0) fail({"cannot open ", name});
            count = $fread(expected, file);
            i = $fgetc(file);
            $fclose(file);
            if (count != WRITE_LIMIT - WRITE_BASE || i != -1) fail({name, " has not the right size"});
            wrong = 0;
            for (i = 0; i < (WRITE_LIMIT - WRITE_BASE) / 8; i = i + 1)
                if (memory[OUTPUT / 8 + i] !== swapped(expected[i])) begin
                    if (wrong < 5)
                        $display("byte %h of the data: expected %h, got %h", WRITE_BASE + 8 * i, swapped(expected[i]),
                                 memory[OUTPUT / 8 + i]);
                    wrong = wrong + 1;
                end
            if (wrong != 0) begin
                $display("%0d words of 64 bits differ", wrong);
                fail("the output differs from the golden model's");
            end
        end
    endtask

    task fail(input [8*280-1:0] reason);
        begin
            $display("FAIL %0s", reason);
            $fatal(1);
        end
    endtask
endmodule

`default_nettype wire

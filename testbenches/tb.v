// Runs the accelerator against data/image.bin and compares what it writes with data/expected.bin.
//
// External memory answers in order, after LATENCY cycles, and stalls at random. Verilog-2005; the parameters come from
// design.mk or the FuseSoC core. Ends with $fatal unless the run passes. With +output=FILE, what the accelerator wrote
// goes to FILE, 64 bits a line, instead of being compared.
`default_nettype none
`timescale 1ns / 1ps

module tb;
    parameter BUS_BITS = 128;
    parameter WRITE_BASE = 4096;  // bytes that the accelerator may write: [WRITE_BASE, WRITE_LIMIT)
    parameter WRITE_LIMIT = 8192;
    parameter WEIGHTS_AT = 0;  // what is read: program, from here weights,
    parameter MAPS_AT = 0;  // from here maps
    parameter MAX_CYCLES = 1000000;
    parameter LATENCY = 20;
    parameter STALL_PERCENT = 10;
    parameter SEED = 1;

    localparam BUS = BUS_BITS / 8;
    localparam WORDS = BUS_BITS / 64;  // of 64 bits, in a word of the bus
    localparam QUEUE = 64;

    `include "isa.vh"

    reg clk = 0;
    reg rst_n = 0;
    always #5 clk = !clk;

    // the accelerator
    reg [7:0] axil_awaddr, axil_araddr;
    reg [31:0] axil_wdata;
    reg axil_awvalid = 0, axil_wvalid = 0, axil_arvalid = 0;
    wire axil_awready, axil_wready, axil_bvalid, axil_arready, axil_rvalid;
    wire [31:0] axil_rdata;
    wire [1:0] axil_bresp, axil_rresp;

    wire [31:0] awaddr, araddr;
    wire [7:0] awlen, arlen;
    wire [2:0] awsize, arsize, awprot, arprot;
    wire [1:0] awburst, arburst;
    wire [3:0] awcache, arcache;
    wire awvalid, wvalid, wlast, bready, arvalid, rready;
    wire [BUS_BITS-1:0] wdata;
    wire [BUS-1:0] wstrb;
    reg awready = 0, wready = 0, bvalid = 0, arready = 0, rvalid = 0, rlast = 0;
    reg [BUS_BITS-1:0] rdata;
    wire irq;

    accelerator dut (
        .clk(clk), .rst_n(rst_n), .irq(irq),
        .s_axil_awaddr(axil_awaddr), .s_axil_awvalid(axil_awvalid),
        .s_axil_awready(axil_awready), .s_axil_wdata(axil_wdata), .s_axil_wstrb(4'hf),
        .s_axil_wvalid(axil_wvalid), .s_axil_wready(axil_wready), .s_axil_bresp(axil_bresp),
        .s_axil_bvalid(axil_bvalid), .s_axil_bready(1'b1), .s_axil_araddr(axil_araddr),
        .s_axil_arvalid(axil_arvalid), .s_axil_arready(axil_arready),
        .s_axil_rdata(axil_rdata), .s_axil_rresp(axil_rresp), .s_axil_rvalid(axil_rvalid),
        .s_axil_rready(1'b1),
        .m_axi_awaddr(awaddr), .m_axi_awlen(awlen), .m_axi_awsize(awsize), .m_axi_awburst(awburst),
        .m_axi_awcache(awcache), .m_axi_awprot(awprot), .m_axi_awvalid(awvalid), .m_axi_awready(awready),
        .m_axi_wdata(wdata), .m_axi_wstrb(wstrb), .m_axi_wlast(wlast), .m_axi_wvalid(wvalid),
        .m_axi_wready(wready), .m_axi_bresp(2'b00), .m_axi_bvalid(bvalid), .m_axi_bready(bready),
        .m_axi_araddr(araddr), .m_axi_arlen(arlen), .m_axi_arsize(arsize), .m_axi_arburst(arburst),
        .m_axi_arcache(arcache), .m_axi_arprot(arprot), .m_axi_arvalid(arvalid), .m_axi_arready(arready),
        .m_axi_rdata(rdata), .m_axi_rresp(2'b00), .m_axi_rlast(rlast), .m_axi_rvalid(rvalid),
        .m_axi_rready(rready)
    );

    // external memory
    reg [63:0] memory [0:WRITE_LIMIT/8-1];
    reg [63:0] expected [0:(WRITE_LIMIT-WRITE_BASE)/8-1];

    integer cycle = 0;
    integer seed = SEED;
    reg [31:0] draw;
    // Bursts accepted and not done; a burst stands at its number modulo QUEUE.
    reg [31:0] read_addr [0:QUEUE-1], write_addr [0:QUEUE-1];
    integer read_beats [0:QUEUE-1], write_beats [0:QUEUE-1], read_ready [0:QUEUE-1], answer_ready [0:QUEUE-1];
    integer reads = 0, reads_done = 0, writes = 0, writes_done = 0, answers_done = 0;
    integer owed = 0;  // words whose address has come
    integer commands = 0, weight_words = 0, map_words = 0, written_words = 0;
    integer w;

    function stall(input [5:0] six);
        stall = six * 100 < STALL_PERCENT * 64;
    endfunction

    always @(posedge clk) if (rst_n) begin
        cycle = cycle + 1;
        draw = $random(seed);
        if (arvalid && arready) begin
            read_addr[reads % QUEUE] = araddr;
            read_beats[reads % QUEUE] = arlen + 1;
            read_ready[reads % QUEUE] = cycle + LATENCY;
            reads = reads + 1;
            if (araddr == COMMAND_BYTES * commands && araddr < WEIGHTS_AT) mark;
        end
        arready <= !stall(draw[5:0]) && reads - reads_done < QUEUE - 1;
        if (!rvalid || rready) begin
            rvalid <= 0;
            if (reads_done < reads && read_ready[reads_done % QUEUE] <= cycle && !stall(draw[11:6])) read_word;
        end
        if (awvalid && awready) begin
            if (awaddr < WRITE_BASE || awaddr + (awlen + 1) * BUS > WRITE_LIMIT) fail("a write outside its window");
            write_addr[writes % QUEUE] = awaddr;
            write_beats[writes % QUEUE] = awlen + 1;
            owed = owed + awlen + 1;
            writes = writes + 1;
        end
        awready <= !stall(draw[17:12]) && writes - answers_done < QUEUE - 1;
        if (wvalid && wready) write_word;
        wready <= owed > 0 && !stall(draw[23:18]);
        if (!bvalid || bready) begin
            bvalid <= 0;
            if (answers_done < writes_done && answer_ready[answers_done % QUEUE] <= cycle && !stall(draw[29:24])) begin
                bvalid <= 1;
                answers_done = answers_done + 1;
            end
        end
    end

    always @(posedge clk) if (cycle > MAX_CYCLES + 10000) fail("the registers do not answer");

    // A command of the program is fetched, its end mark, or the interrupt comes.
    task mark;
        begin
            $display("mark %0d: cycle %0d, words of weights %0d, of maps %0d, written %0d", commands, cycle,
                     weight_words, map_words, written_words);
            commands = commands + 1;
        end
    endtask

    task read_word;
        reg [31:0] at;
        begin
            at = read_addr[reads_done % QUEUE];
            if (at >= MAPS_AT) map_words = map_words + 1;
            else if (at >= WEIGHTS_AT) weight_words = weight_words + 1;
            if (at + BUS > WRITE_LIMIT) fail("a read beyond the end of memory");
            for (w = 0; w < WORDS; w = w + 1) rdata[64*w +: 64] <= memory[at / 8 + w];
            rvalid <= 1;
            rlast <= read_beats[reads_done % QUEUE] == 1;
            read_addr[reads_done % QUEUE] = at + BUS;
            read_beats[reads_done % QUEUE] = read_beats[reads_done % QUEUE] - 1;
            if (read_beats[reads_done % QUEUE] == 0) reads_done = reads_done + 1;
        end
    endtask

    task write_word;
        reg [31:0] at;
        integer b;
        begin
            at = write_addr[writes_done % QUEUE];
            for (b = 0; b < BUS; b = b + 1)
                if (wstrb[b]) memory[at / 8 + b / 8][8 * (b % 8) +: 8] = wdata[8*b +: 8];
            write_addr[writes_done % QUEUE] = at + BUS;
            write_beats[writes_done % QUEUE] = write_beats[writes_done % QUEUE] - 1;
            owed = owed - 1;
            written_words = written_words + 1;
            if (wlast != (write_beats[writes_done % QUEUE] == 0)) fail("WLAST is not at the end of the burst");
            if (write_beats[writes_done % QUEUE] == 0) begin
                answer_ready[writes_done % QUEUE] = cycle + LATENCY;
                writes_done = writes_done + 1;
            end
        end
    endtask

    // the host
    reg [31:0] value;
    integer i, wrong;
    reg [8*256-1:0] name;

    initial begin
        load;
        repeat (8) @(posedge clk);
        rst_n <= 1;
        write_register(REG_READ_LIMIT, WRITE_LIMIT);
        write_register(REG_WRITE_BASE, WRITE_BASE);
        write_register(REG_WRITE_LIMIT, WRITE_LIMIT);
        write_register(REG_CONTROL, 1 << CONTROL_START_LOW);
        while (irq !== 1 && cycle < MAX_CYCLES) @(posedge clk);
        if (irq !== 1) fail("no interrupt: the design hangs");
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

    task judge;
        begin
            read_register(REG_STATUS);
            if (value[STATUS_ERROR_LOW +: STATUS_ERROR_BITS] !== 0) begin
                $display("error code %0d", value[STATUS_ERROR_LOW +: STATUS_ERROR_BITS]);
                fail("the accelerator reports an error");
            end
            read_register(REG_CYCLES_LO);
            compare;
            $display("PASS: %0d bytes equal data/expected.bin, %0d cycles", WRITE_LIMIT - WRITE_BASE, value);
            $finish;
        end
    endtask

    task write_register(input [7:0] at, input [31:0] data);
        reg aw, w;
        begin
            axil_awaddr <= at;
            axil_wdata <= data;
            axil_awvalid <= 1;
            axil_wvalid <= 1;
            @(posedge clk);
            while (axil_awvalid || axil_wvalid) begin
                aw = axil_awready;
                w = axil_wready;
                if (aw) axil_awvalid <= 0;
                if (w) axil_wvalid <= 0;
                @(posedge clk);
            end
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
            value = axil_rdata;
            @(posedge clk);
        end
    endtask

    // Files are bytes from address 0; $fread puts the first one into the highest bits.
    task load;
        integer file, count;
        begin
            for (i = 0; i < WRITE_LIMIT / 8; i = i + 1) memory[i] = 0;
            file = $fopen("data/image.bin", "rb");
            if (file == 0) fail("cannot open data/image.bin");
            count = $fread(memory, file);
            $fclose(file);
            if (count != WRITE_BASE) fail("data/image.bin has not the right size");
            for (i = 0; i < WRITE_BASE / 8; i = i + 1) memory[i] = swapped(memory[i]);
        end
    endtask

    task save;
        integer file;
        begin
            file = $fopen(name, "w");
            if (file == 0) fail("cannot write the output");
            for (i = WRITE_BASE / 8; i < WRITE_LIMIT / 8; i = i + 1) $fdisplay(file, "%h", memory[i]);
            $fclose(file);
        end
    endtask

    function [63:0] swapped(input [63:0] word);
        swapped = {word[7:0], word[15:8], word[23:16], word[31:24], word[39:32], word[47:40], word[55:48], word[63:56]};
    endfunction

    task compare;
        integer file, count;
        begin
            file = $fopen("data/expected.bin", "rb");
            if (file == 0) fail("cannot open data/expected.bin");
            count = $fread(expected, file);
            i = $fgetc(file);
            $fclose(file);
            if (count != WRITE_LIMIT - WRITE_BASE || i != -1) fail("data/expected.bin has not the right size");
            wrong = 0;
            for (i = 0; i < (WRITE_LIMIT - WRITE_BASE) / 8; i = i + 1)
                if (memory[WRITE_BASE / 8 + i] !== swapped(expected[i])) begin
                    if (wrong < 5)
                        $display("at %h: expected %h, got %h", WRITE_BASE + 8 * i, swapped(expected[i]),
                                 memory[WRITE_BASE / 8 + i]);
                    wrong = wrong + 1;
                end
            if (wrong != 0) begin
                $display("%0d words of 64 bits differ", wrong);
                fail("the output differs from data/expected.bin");
            end
        end
    endtask

    task fail(input [8*48-1:0] reason);
        begin
            $display("FAIL: %0s", reason);
            $fatal(1);
        end
    endtask
endmodule

`default_nettype wire

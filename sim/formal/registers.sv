// The AXI4-Lite slave: BVALID and RVALID stay with their payload until ready; one answer a write, one a read, OKAY; a write of
// all four bytes sets its register and no other, read back unchanged; START and CLEAR are pulses of a write to CONTROL.
//
// Addresses are those of docs/isa.md. Any order of AW and W, any timing of the host.
//
// dut: registers
// method: induction 2
// refute: 6
// tap: d_aw_full = dut.aw_full
// tap: d_w_full = dut.w_full
// tap: d_ar_full = dut.ar_full
// tap: d_aw_word = dut.aw_word
// tap: d_w_data = dut.w_data
// tap: d_w_strobe = dut.w_strobe
// tap: d_ar_word = dut.ar_word
// tap: d_irq_enable = dut.irq_enable
// tap: d_model = dut.u_model_base.base
// tap: d_data = dut.u_data_base.base
// mutant: DUT: write && (w_strobe == 4'd15) -> write
// mutant: DUT: if (s_axil_bready_i) -> if (!s_axil_bready_i)
// mutant: DUT: (!b_full || s_axil_bready_i) -> 1'd1
// mutant: DUT: (!r_full || s_axil_rready_i) -> 1'd1
// mutant: DUT: aw_word == REG_WRITE_BASE -> aw_word == REG_WRITE_LIMIT
// mutant: DUT: r_data <= write_base -> r_data <= write_limit
// mutant: DUT: start <= w_data[0] -> start <= w_data[1]
// mutant: DUT: irq_enable <= 1'd1 -> irq_enable <= 1'd0
// mutant: DUT: aw_word == REG_MODEL_BASE -> aw_word == REG_DATA_BASE
// mutant: base_register: base[31:0] <= data_i -> base[31:0] <= ~data_i
module proof (
    input wire clk,
    input wire rst_n,
    input wire awvalid,
    input wire [7:0] awaddr,
    input wire wvalid,
    input wire [31:0] wdata,
    input wire [3:0] wstrb,
    input wire bready,
    input wire arvalid,
    input wire [7:0] araddr,
    input wire rready,
    input wire busy,
    input wire done,
    input wire refused,
    input wire queued,
    input wire [15:0] runs,
    input wire [3:0] error,
    input wire [`W_index_i-1:0] index,
    input wire [31:0] counter
);
    wire awready, wready, bvalid, arready, rvalid, irq, start, clear;
    wire [1:0] bresp, rresp;
    wire [31:0] rdata, read_limit, write_base, write_limit;
    wire [`W_model_base_o-1:0] model_page, data_page;
    wire misaligned;
    `DUT dut (
        .clk_i(clk), .rst_ni(rst_n), .s_axil_awvalid_i(awvalid), .s_axil_awaddr_i(awaddr), .s_axil_awready_o(awready),
        .s_axil_wvalid_i(wvalid), .s_axil_wdata_i(wdata), .s_axil_wstrb_i(wstrb), .s_axil_wready_o(wready),
        .s_axil_bvalid_o(bvalid), .s_axil_bresp_o(bresp), .s_axil_bready_i(bready), .s_axil_arvalid_i(arvalid),
        .s_axil_araddr_i(araddr), .s_axil_arready_o(arready), .s_axil_rvalid_o(rvalid), .s_axil_rdata_o(rdata),
        .s_axil_rresp_o(rresp), .s_axil_rready_i(rready), .irq_o(irq), .start_o(start), .clear_o(clear),
        .read_limit_o(read_limit), .write_base_o(write_base), .write_limit_o(write_limit), .model_base_o(model_page), .data_base_o(data_page),
        .misaligned_o(misaligned), .queued_i(queued), .runs_i(runs), .busy_i(busy), .done_i(done),
        .refused_i(refused), .error_i(error), .index_i(index), .cycles_lo_i(counter), .cycles_hi_i(~counter),
        .weight_beats_i(counter + 1), .act_beats_i(counter + 2), .write_beats_i(counter + 3), .array_cycles_i(counter + 4)
    );
    localparam [31:0] HIGH = (33'd1 << (`W_model_base_o - 20)) - 1; // bits of an address above 32
    reg begun = 0, running = 0;
    reg bvalid1, bready1, rvalid1, rready1, rst1;
    reg [31:0] rdata1;
    reg [1:0] writes, data, reads; // taken and not yet answered; of writes the addresses and the data
    reg [5:0] at, from;
    reg [31:0] value;
    reg [3:0] strobe;
    reg [31:0] limit, base, end_; // what the registers hold
    reg [63:0] model, data_; // of which an address may not have all bits
    reg enable, starts, clears;
    // A write takes effect in the cycle before its answer: when both its parts are there and the last answer goes.
    wire effect = writes != 0 && data != 0 && (!bvalid || bready);
    wire answer = reads != 0 && (!rvalid || rready);
    reg [31:0] found;
    always @(posedge clk) begin
        begun <= 1;
        running <= begun;
        {bvalid1, bready1, rvalid1, rready1, rdata1, rst1} <= {bvalid, bready, rvalid, rready, rdata, rst_n};
        if (awvalid && awready) at <= awaddr[7:2];
        if (wvalid && wready) {value, strobe} <= {wdata, wstrb};
        if (arvalid && arready) from <= araddr[7:2];
        writes <= writes + (awvalid && awready) - effect;
        data <= data + (wvalid && wready) - effect;
        reads <= reads + (arvalid && arready) - answer;
        {starts, clears} <= 0;
        if (effect && at == 'h00 / 4 && strobe[0]) {clears, starts} <= value[1:0];
        if (effect && at == 'h08 / 4 && &strobe) limit <= value;
        if (effect && at == 'h0c / 4 && &strobe) base <= value;
        if (effect && at == 'h10 / 4 && &strobe) end_ <= value;
        if (effect && at == 'h60 / 4 && &strobe) model[31:0] <= value;
        if (effect && at == 'h64 / 4 && &strobe) model[63:32] <= value & HIGH;
        if (effect && at == 'h68 / 4 && &strobe) data_[31:0] <= value;
        if (effect && at == 'h6c / 4 && &strobe) data_[63:32] <= value & HIGH;
        if (effect && at == 'h14 / 4 && &strobe) enable <= value[0];
        if (answer) case ({from, 2'b00})
            'h04: found <= {{16-`W_index_i{1'b0}}, index, 4'd0, error, 4'd0, queued, refused, done, busy};
            'h08: found <= limit;
            'h0c: found <= base;
            'h10: found <= end_;
            'h14: found <= enable;
            'h18: found <= index;
            'h20: found <= counter;
            'h24: found <= ~counter;
            'h28: found <= counter + 1;
            'h2c: found <= counter + 2;
            'h30: found <= counter + 3;
            'h34: found <= counter + 4;
            'h38: found <= runs;
            'h40: found <= "VGR2";
            'h44: found <= 2;
            'h48: found <= `P_ARRAY;
            'h4c: found <= `P_WIDTHS;
            'h50: found <= `P_DEPTHS;
            'h54: found <= `P_DRAIN;
            'h58: found <= `P_BUS;
            'h5c: found <= `P_FOLD_WIDTH;
            'h60: found <= model[31:0];
            'h64: found <= model[63:32];
            'h68: found <= data_[31:0];
            'h6c: found <= data_[63:32];
            default: found <= 0;
        endcase
        if (!rst_n) begin
            {writes, data, reads, starts, clears, limit, base, end_, model, data_} <= 0;
            enable <= 1;
        end
    end
    reg effect1, answer1;
    always @(posedge clk) {effect1, answer1} <= rst_n ? {effect, answer} : 2'b00;
    // What makes it inductive.
    wire d_aw_full, d_w_full, d_ar_full;
    wire [5:0] d_aw_word, d_ar_word;
    wire [31:0] d_w_data;
    wire [3:0] d_w_strobe;
    wire d_irq_enable;
    wire [`W_model_base_o+11:0] d_model, d_data;
    always @* begin
        if (!begun) assume (!rst_n);
        if (begun) begin
            if (rst1 && running && bvalid1 && !bready1) assert (bvalid);
            if (rst1 && running && rvalid1 && !rready1) assert (rvalid && rdata == rdata1);
            if (running) assert (bvalid == (effect1 || (rst1 && bvalid1 && !bready1)));
            if (running) assert (rvalid == (answer1 || (rst1 && rvalid1 && !rready1)));
            if (running && answer1) assert (rdata == found);
            assert (bresp == 0 && rresp == 0);
            assert (awready == (writes == 0) && wready == (data == 0) && arready == (reads == 0));
            assert (writes <= 1 && data <= 1 && reads <= 1);
            assert (read_limit == limit && write_base == base && write_limit == end_);
            assert (model_page == model >> 12 && data_page == data_ >> 12);
            assert (misaligned == |(model[11:0] | data_[11:0]));
            assert (d_model == model && d_data == data_);
            assert (start == starts && clear == clears && irq == (done && enable));
            assert (d_aw_full == (writes != 0) && d_w_full == (data != 0) && d_ar_full == (reads != 0));
            assert (d_irq_enable == enable);
            if (d_aw_full) assert (d_aw_word == at);
            if (d_w_full) assert (d_w_data == value && d_w_strobe == strobe);
            if (d_ar_full) assert (d_ar_word == from);
        end
    end
endmodule

// The write half of the AXI4 master, for any clients and any memory that answers no more than it was asked:
//
// - AWVALID and WVALID stay with their payload until ready;
// - a burst lies in base_i ... limit_i of the data and in one block of 16 beats, so never across 4 KiB, with AWLEN + 1 of its beats;
// - WLAST is on the last beat of each burst, in the order of the bursts, and on no other;
// - answers are counted: quiet_o means that every burst shown was answered, and all its beats are written;
// - after stop_i, or a burst outside the window, no burst is shown any more.
//
// Assumed: beats come only while the FIFO has room (credits, `fifo`); bases and limit_i stand; B answers a burst whose AW and
// last W have been taken, once. The bursts of a run are the proof `splitter`, the order of the beats `fifo`.
//
// dut: write_port
// method: bounded 8 10
// data: beat_i 2
// refute: 9
// mutant: DUT: >= base_i -> != base_i
// mutant: DUT: < limit) -> <= limit)
// mutant: DUT: spare <= spare - {2'd0, beats} -> spare <= spare
// mutant: DUT: (!awvalid || m_axi_awready_i)) && bursts_room_o -> 1'd1) && bursts_room_o
// mutant: DUT: left == 4'd0 -> left == 4'd1
// mutant: DUT: (unanswered == 6'd0) -> 1'd1
// mutant: DUT: && !stop_i) && !halted -> ) && !halted
// mutant: DUT: ends <= (splitter_burst_addr_o[6:3] + -> ends <= (splitter_burst_addr_o[6:3] -
module proof (
    input wire clk,
    input wire rst_n,
    input wire stop,
    input wire run_valid,
    input wire [31:0] run_addr,
    input wire [`W_run_beats_i-1:0] run_beats,
    input wire beat_valid,
    input wire [`W_beat_i-1:0] beat,
    input wire [31:0] base,
    input wire [31:0] limit,
    input wire [`W_data_base_i-1:0] data_base,
    input wire awready,
    input wire wready,
    input wire bvalid,
    input wire [1:0] bresp
);
    wire run_ready, room, idle, quiet, write_beat, bad_address, bad_response, awvalid, wvalid, wlast, bready;
    wire [`W_data_base_i+11:0] awaddr;
    wire [7:0] awlen;
    wire [`W_beat_i-1:0] wdata;
    `DUT dut (
        .clk_i(clk), .rst_ni(rst_n), .data_base_i(data_base), .base_i(base), .limit_i(limit), .stop_i(stop), .run_valid_i(run_valid),
        .run_addr_i(run_addr), .run_beats_i(run_beats), .run_ready_o(run_ready), .beat_valid_i(beat_valid), .beat_i(beat),
        .room_o(room), .idle_o(idle), .quiet_o(quiet), .write_beat_o(write_beat), .bad_address_o(bad_address),
        .bad_response_o(bad_response), .m_axi_awvalid_o(awvalid), .m_axi_awaddr_o(awaddr), .m_axi_awlen_o(awlen),
        .m_axi_awready_i(awready), .m_axi_wvalid_o(wvalid), .m_axi_wdata_o(wdata), .m_axi_wlast_o(wlast),
        .m_axi_wready_i(wready), .m_axi_bvalid_i(bvalid), .m_axi_bresp_i(bresp), .m_axi_bready_o(bready)
    );
    localparam SIZE = `W_low_unused; // log2 of the bytes of a beat

    reg begun = 0, running = 0, warm = 0; // running: at least one cycle since the reset
    reg [31:0] base1, limit1;
    reg [`W_data_base_i-1:0] data_base1;
    reg awvalid1, awready1, wvalid1, wready1, wlast1, stop1, bad1, rst1;
    reg [`W_data_base_i+11:0] awaddr1;
    reg [7:0] awlen1;
    reg [`W_beat_i-1:0] wdata1;
    reg halted;
    always @(posedge clk) begin
        begun <= 1;
        running <= begun;
        warm <= running;
        {base1, limit1, data_base1} <= {base, limit, data_base};
        {awvalid1, awready1, awaddr1, awlen1} <= {awvalid, awready, awaddr, awlen};
        {wvalid1, wready1, wlast1, wdata1} <= {wvalid, wready, wlast, wdata};
        {stop1, rst1} <= {stop, rst_n};
        halted <= rst_n && begun && (halted || bad_address);
    end

    // Bursts shown whose AW is taken, whose last beat is taken, that are answered; lengths in their order.
    reg [3:0] shown, taken, ended, answered, in;
    reg [3:0] length [0:15];
    reg [4:0] beats; // beats of the burst under way that are taken
    reg [6:0] pushed, popped, promised; // promised: beats of the bursts shown
    reg [3:0] answered1, answered2;
    wire show = awvalid && !(awvalid1 && !awready1);
    integer i;
    always @(posedge clk) begin
        if (awvalid && awready) begin
            taken <= taken + 1;
        end
        if (show) begin
            shown <= shown + 1;
            length[shown] <= awlen[3:0];
            promised <= promised + awlen[3:0] + 1;
        end
        if (wvalid && wready) begin
            popped <= popped + 1;
            beats <= wlast ? 0 : beats + 1;
            ended <= ended + wlast;
        end
        pushed <= pushed + beat_valid;
        {answered1, answered2} <= {answered, answered1};
        if (bvalid) answered <= answered + 1;
        if (!begun) {shown, taken, ended, answered, beats, pushed, popped, promised} <= 0;
    end
    wire [3:0] this_length = ended == shown ? awlen[3:0] : length[ended];
    always @* begin
        assume (rst_n == begun); // one reset, at the beginning
        assume (run_beats != 0);
        if (running) assume ({base, limit, data_base} == {base1, limit1, data_base1});
        if (begun) assume (!bvalid || (answered != taken && answered != ended));
        if (begun) assume (!beat_valid || pushed - popped < 64);
    end
    wire [`W_data_base_i+11:0] inside = awaddr - {data_base, 12'd0};
    wire [32:0] beyond = {1'b0, inside[31:0]} + (({25'd0, awlen} + 33'd1) << SIZE);
    always @* if (running) begin
        if (awvalid1 && !awready1) assert (awvalid && awaddr == awaddr1 && awlen == awlen1);
        if (wvalid1 && !wready1) assert (wvalid && wlast == wlast1 && wdata == wdata1);
        if (awvalid) begin
            assert (inside < 64'h1_0000_0000 && inside[31:0] >= base && beyond <= {1'b0, limit});
            assert (awlen < 16 && awaddr[SIZE-1:0] == 0);
            assert (awaddr[SIZE +: 4] + awlen < 16);
        end
        if (awvalid && !(awvalid1 && !awready1)) assert (!stop1 && !halted);
        if (wvalid) begin
            assert (ended != shown || show); // no data without its burst
            assert (wlast == (beats == this_length));
        end
        if (show) assert (promised + awlen[3:0] < pushed); // all its beats have come
        if (!awvalid && shown == answered2 && answered2 == answered) assert (quiet || !warm);
        if (quiet) assert (!awvalid && !wvalid && shown == taken && shown == ended && shown == answered);
        assert (bready);
    end
endmodule

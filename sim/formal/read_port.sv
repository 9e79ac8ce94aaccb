// The read half of the AXI4 master, for any clients and any memory that answers no more than it was asked:
//
// - ARVALID stays with its payload until ready;
// - a burst is the client's, from the base of its area, ends below that area's limit and lies in one block of 16 beats, so never across 4 KiB;
// - a beat goes, in the order of the bursts, to the client that asked for its burst, unchanged, and to no other;
// - answers are counted: idle_o means that no burst is shown or outstanding;
// - after stop_i no burst is shown any more.
//
// Assumed: clients ask for bursts inside a block (`splitter`); bases and limits stand; the memory gives as many beats a burst as ARLEN
// says, in order, RLAST on the last.
//
// dut: read_port
// method: bounded 8 10
// data: beat_o 2
// refute: 9
// mutant: DUT: < limit; -> <= limit;
// mutant: DUT: (!arvalid || m_axi_arready_i)) && !stop_i -> 1'd1) && !stop_i
// mutant: DUT: (!arvalid || m_axi_arready_i)) && !stop_i -> (!arvalid || m_axi_arready_i))
// mutant: DUT: push && rlast -> push
// mutant: DUT: order_data_o == 2'd1 -> order_data_o == 2'd0
// mutant: DUT: client <= 2'd1 -> client <= 2'd2
// mutant: DUT: base = data_base_i; -> base = model_base_i;
// mutant: DUT: !held && !order_valid_o -> !held
// mutant: DUT: acts_ar_addr_i[6:3] + -> acts_ar_addr_i[6:3] -
module proof (
    input wire clk,
    input wire rst_n,
    input wire stop,
    input wire [31:0] model_limit,
    input wire [31:0] data_limit,
    input wire [`W_base-1:0] model_base,
    input wire [`W_base-1:0] data_base,
    input wire [2:0] ask,
    input wire [95:0] ask_addr,
    input wire [11:0] ask_len,
    input wire arready,
    input wire rvalid,
    input wire [`W_beat_o-1:0] rdata,
    input wire [1:0] rresp,
    input wire rlast
);
    wire [2:0] ready, push;
    wire [`W_beat_o-1:0] beat;
    wire idle, bad_address, bad_response, arvalid, rready;
    wire [`W_base+11:0] araddr;
    wire [7:0] arlen;
    `DUT dut (
        .clk_i(clk), .rst_ni(rst_n), .model_limit_i(model_limit), .data_limit_i(data_limit), .model_base_i(model_base),
        .data_base_i(data_base), .stop_i(stop),
        .weights_ar_valid_i(ask[0]), .weights_ar_addr_i(ask_addr[31:0]), .weights_ar_len_i({4'd0, ask_len[3:0]}),
        .weights_ar_ready_o(ready[0]), .weights_push_o(push[0]),
        .acts_ar_valid_i(ask[1]), .acts_ar_addr_i(ask_addr[63:32]), .acts_ar_len_i({4'd0, ask_len[7:4]}),
        .acts_ar_ready_o(ready[1]), .acts_push_o(push[1]),
        .command_ar_valid_i(ask[2]), .command_ar_addr_i(ask_addr[95:64]), .command_ar_len_i({4'd0, ask_len[11:8]}),
        .command_ar_ready_o(ready[2]), .command_push_o(push[2]),
        .beat_o(beat), .idle_o(idle), .bad_address_o(bad_address), .bad_response_o(bad_response),
        .m_axi_arvalid_o(arvalid), .m_axi_araddr_o(araddr), .m_axi_arlen_o(arlen), .m_axi_arready_i(arready),
        .m_axi_rvalid_i(rvalid), .m_axi_rdata_i(rdata), .m_axi_rresp_i(rresp), .m_axi_rlast_i(rlast), .m_axi_rready_o(rready)
    );
    localparam SIZE = `W_low_unused; // log2 of the bytes of a beat

    reg begun = 0, running = 0;
    reg [31:0] model_limit1, data_limit1;
    reg [`W_base-1:0] model_base1, data_base1;
    reg [`W_base+11:0] araddr1;
    reg [7:0] arlen1;
    reg arvalid1, arready1, stop1, rvalid1;
    reg [`W_beat_o-1:0] rdata1;
    reg [1:0] rresp1;
    // Requests that were taken, then, where they were not refused, shown, in their order; one is between at most.
    reg [2:0] waiting;
    reg [35:0] wanted;
    reg [3:0] shown, taken, ended;
    reg [2:0] client [0:15];
    reg [3:0] length [0:15];
    reg [3:0] beats;
    reg [2:0] owner;
    wire show = arvalid && !(arvalid1 && !arready1);
    wire [2:0] accepted = ask & ready;
    always @(posedge clk) begin
        begun <= 1;
        running <= begun;
        {model_limit1, data_limit1, model_base1, data_base1} <= {model_limit, data_limit, model_base, data_base};
        stop1 <= stop;
        {arvalid1, arready1, araddr1, arlen1} <= {arvalid, arready, araddr, arlen};
        {rvalid1, rdata1, rresp1} <= {rvalid, rdata, rresp};
        if (show || bad_address || stop1) waiting <= 0;
        if (|accepted) begin
            waiting <= accepted;
            wanted <= accepted[0] ? {ask_addr[31:0], ask_len[3:0]} : accepted[1] ? {ask_addr[63:32], ask_len[7:4]}
                : {ask_addr[95:64], ask_len[11:8]};
        end
        if (show) begin
            shown <= shown + 1;
            client[shown] <= waiting;
            length[shown] <= arlen[3:0];
        end
        if (arvalid && arready) taken <= taken + 1;
        owner <= rvalid ? client[ended] : 0;
        if (rvalid) begin
            beats <= rlast ? 0 : beats + 1;
            ended <= ended + rlast;
        end
        if (!begun) {waiting, shown, taken, ended, beats, owner} <= 0;
    end
    integer i;
    always @* begin
        assume (rst_n == begun);
        if (running) assume ({model_limit, data_limit, model_base, data_base} == {model_limit1, data_limit1, model_base1, data_base1});
        for (i = 0; i < 3; i = i + 1) assume (ask_addr[32*i +: 32] >> `W_acts_ar_addr_i == 0); // the port's bits
        for (i = 0; i < 3; i = i + 1) assume (ask_addr[32*i +: SIZE] == 0 && ask_addr[32*i+SIZE +: 4] + ask_len[4*i +: 4] < 16);
        if (begun) assume (!rvalid || (ended != taken && rlast == (beats == length[ended])));
    end
    wire [31:0] asked = wanted[35:4];
    wire [32:0] beyond = {1'b0, asked} + (({25'd0, arlen} + 33'd1) << SIZE);
    wire [`W_base+11:0] place = {waiting[1] ? data_base : model_base, 12'd0} + asked;
    always @* if (running) begin
        if (arvalid1 && !arready1) assert (arvalid && araddr == araddr1 && arlen == arlen1);
        if (arvalid) begin
            assert (arlen < 16 && araddr[SIZE-1:0] == 0 && araddr[SIZE +: 4] + arlen < 16);
        end
        if (show) assert (!stop1 && waiting != 0 && araddr == place && arlen[3:0] == wanted[3:0]);
        if (show) assert (beyond <= {1'b0, waiting[1] ? data_limit : model_limit});
        assert (accepted == 0 || accepted == 1 || accepted == 2 || accepted == 4);
        assert (push == owner);
        if (push != 0) assert (beat == rdata1 && bad_response == (rresp1 != 0));
        if (idle) assert (!arvalid && shown == ended && push == 0);
        assert (rready);
    end
endmodule

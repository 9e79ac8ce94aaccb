// The bursts of a run are its beats, all of them, in order: each of 1 to BURST beats, in one block of BURST beats (so never
// across 4 KiB), and ending with the run or at the end of a block.
//
// Assumed: a run has at least one beat; a burst is taken only when it is there. Resets may come at any time.
//
// dut: splitter(_\d+)?
// method: induction 1
// refute: 6
// tap: d_busy = dut.busy
// tap: d_sized = dut.sized
// tap: d_low = dut.low
// tap: d_more = dut.more
// tap: d_tail = dut.tail
// tap: d_last = dut.last
// mutant: DUT: BURST - {1'd0 -> BURST + {1'd0
// mutant: DUT: last <= more == -> last <= more !=
// mutant: DUT: block <= block + -> block <= block -
// mutant: DUT: more <= more - -> more <= more +
// mutant: DUT: busy <= !last -> busy <= last
// mutant: DUT: {1'd0, tail} + 5'd1 -> {1'd0, tail}
module proof (
    input wire clk,
    input wire rst_n,
    input wire run_valid,
    input wire [`W_run_addr_i-1:0] run_addr,
    input wire [`W_run_beats_i-1:0] run_beats,
    input wire take
);
    localparam ADDR = `W_run_addr_i;
    localparam BEATS = `W_run_beats_i;
    localparam BURST = `P_BURST;
    localparam BYTES = `W_low_unused; // log2 of the bytes of a beat
    wire run_ready, valid;
    wire [ADDR-1:0] addr;
    wire [`W_burst_beats_o-1:0] beats;
    `DUT dut (
        .clk_i(clk), .rst_ni(rst_n), .run_valid_i(run_valid), .run_addr_i(run_addr), .run_beats_i(run_beats),
        .run_ready_o(run_ready), .burst_valid_o(valid), .burst_addr_o(addr), .burst_beats_o(beats), .burst_take_i(take)
    );
    reg begun = 0;
    always @(posedge clk) begun <= 1;
    always @* begin
        if (!begun) assume (!rst_n);
        assume (run_beats != 0);
        if (begun) assume (!take || valid);
    end

    reg [BEATS-1:0] rest;  // beats of the run that are in no burst yet
    reg [ADDR-1:0] next;   // address of the first of them
    always @(posedge clk) begin
        if (!rst_n) rest <= 0;
        else if (run_valid && run_ready) begin
            rest <= run_beats;
            next <= run_addr >> BYTES << BYTES;
        end else if (take) begin
            rest <= rest - beats;
            next <= next + (beats << BYTES);
        end
    end
    wire [ADDR-1:0] end_ = (addr >> BYTES) + beats; // the beat behind the burst
    wire [ADDR-1:0] final_ = end_ - 1;
    always @* if (begun) begin
        assert (run_ready == (rest == 0));
        if (valid) begin
            assert (addr == next);
            assert (beats >= 1 && beats <= BURST && beats <= rest);
            assert (final_ / BURST == (addr >> BYTES) / BURST);
            assert (beats == rest || end_ % BURST == 0);
        end
    end

    // What makes it inductive.
    wire d_busy, d_sized, d_last;
    wire [3:0] d_low, d_tail;
    wire [`W_more-1:0] d_more;
    wire [`W_more+4:0] d_left = {1'b0, d_more, d_tail} + 1 - d_low;
    always @* if (begun) begin
        assert (d_busy == (rest != 0));
        if (d_sized) assert (d_busy);
        if (d_busy) assert (d_left == rest && addr == next);
        if (d_sized) assert (d_last == (beats == rest));
        if (d_busy && !d_sized) assert ((next >> BYTES) % BURST == 0);
    end
endmodule

// A queue gives what went in, in order, without loss: every value, any time later, at every fill.
//
// One value, whichever, is marked when it is pushed and followed to the output.
//
// Assumed: a push only with room, a take only with valid. Resets may come at any time.
//
// dut: queue(_\d+)?
// method: induction 1
// refute: 8
// tap: d_held = dut.held
// tap: d_read = dut.read
// tap: d_write = dut.write
// words: d_words = dut.words
// mutant: DUT: if (push_i && !take_i) held -> if (push_i) held
// mutant: DUT: read + 1'b1 -> read + 2'd2
// mutant: DUT: words[write] -> words[read]
// mutant: DUT: words[read] -> words[write]
// mutant: DUT: held != { -> held == {
// mutant: DUT: held - 1'b1 -> held
module proof (
    input wire clk,
    input wire rst_n,
    input wire push,
    input wire take,
    input wire mark,
    input wire [`W_data_i-1:0] data
);
    localparam DEPTH = `P_DEPTH;
    localparam BITS = `W_data_i;
    localparam ADDR = `P_ADDR;
    wire room, valid;
    wire [BITS-1:0] out;
    `DUT dut (
        .clk_i(clk), .rst_ni(rst_n), .push_i(push), .data_i(data), .room_o(room), .valid_o(valid), .data_o(out), .take_i(take)
    );
    reg begun = 0;
    always @(posedge clk) begun <= 1;
    always @* begin
        if (!begun) assume (!rst_n);
        if (begun) assume (!push || room);
        if (begun) assume (!take || valid);
    end

    reg [ADDR:0] count;    // values inside
    reg follow;            // the marked value is inside
    reg [ADDR:0] ahead;    // values before it
    reg [BITS-1:0] marked;
    always @(posedge clk) begin
        count <= count + push - take;
        if (follow && take) begin
            if (ahead == 0) follow <= 0;
            ahead <= ahead - 1;
        end
        if (push && mark && !follow) begin
            follow <= 1;
            ahead <= count - take;
            marked <= data;
        end
        if (!rst_n) begin
            count <= 0;
            follow <= 0;
        end
    end
    always @* if (begun) begin
        assert (valid == (count != 0));
        assert (room == (count < DEPTH));
        if (follow && ahead == 0) assert (valid && out == marked);
    end

    // What makes it inductive.
    wire [ADDR:0] d_held;
    wire [ADDR-1:0] d_read, d_write;
    wire [BITS*DEPTH-1:0] d_words;
    wire [ADDR-1:0] at = d_read + ahead[ADDR-1:0];
    reg [BITS-1:0] word;
    integer i;
    always @* begin
        word = 0;
        for (i = 0; i < DEPTH; i = i + 1) word = word | (at == i ? d_words[i*BITS +: BITS] : {BITS{1'b0}});
    end
    wire [ADDR-1:0] apart = d_write - d_read;
    always @* if (begun) begin
        assert (d_held == count && count <= DEPTH);
        assert (apart == count[ADDR-1:0]);
        if (follow) assert (ahead < count && word == marked);
    end
endmodule

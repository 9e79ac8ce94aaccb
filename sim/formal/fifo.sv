// The FIFO of beats gives what went in, in order, without loss, whatever its memory gives for a word that is being written.
//
// Assumed: a push only while there are fewer than DEPTH words inside (users keep credits), a take only with valid.
//
// dut: fifo(_\d+)?
// method: induction 2
// data: data_i 2
// refute: 8
// tap: d_read = dut.read
// tap: d_write = dut.write
// tap: d_after = dut.after
// tap: d_ready = dut.ready
// tap: d_next_read = dut.next_read
// tap: d_ram_word = dut.ram_word_o
// words: d_words = dut.u_ram.words
// mutant: DUT: ready <= read != write -> ready <= 1'd1
// mutant: DUT: ready <= after != write -> ready <= read != write
// mutant: DUT: if (go || take_i) -> if (go)
// mutant: DUT: ready && (!valid || take_i) -> ready
// mutant: DUT: after <= after + -> after <= read +
// mutant: DUT: count <= count - -> count <= count +
module proof (
    input wire clk,
    input wire rst_n,
    input wire push,
    input wire take,
    input wire mark,
    input wire [`W_data_i-1:0] data
);
    localparam BITS = `W_data_i;
    localparam ADDR = `W_count_o - 1;
    localparam DEPTH = 1 << ADDR;
    wire valid;
    wire [BITS-1:0] out;
    wire [ADDR:0] count_o;
    `DUT dut (
        .clk_i(clk), .rst_ni(rst_n), .push_i(push), .data_i(data), .valid_o(valid), .data_o(out), .take_i(take), .count_o(count_o)
    );
    reg begun = 0;
    always @(posedge clk) begun <= 1;

    reg [ADDR:0] count;
    reg follow;
    reg [ADDR:0] ahead;
    reg [BITS-1:0] marked;
    reg [1:0] waited; // cycles with a word inside and none at the output
    always @* begin
        if (!begun) assume (!rst_n);
        if (begun) assume (!push || count < DEPTH);
        if (begun) assume (!take || valid);
    end
    always @(posedge clk) begin
        count <= count + push - take;
        waited <= count != 0 && !valid ? waited + 1 : 0;
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
            waited <= 0;
        end
    end
    always @* if (begun) begin
        assert (count_o == count && count <= DEPTH);
        if (valid) assert (count != 0);
        if (follow && ahead == 0 && valid) assert (out == marked);
        assert (waited <= 2); // a word that is alone is at the output two cycles after it came
    end

    // What makes it inductive: the words that are not at the output lie between read and write.
    wire [ADDR-1:0] d_read, d_write, d_after, d_next_read;
    wire d_ready;
    wire [BITS-1:0] d_ram_word;
    wire [BITS*DEPTH-1:0] d_words;
    wire [ADDR:0] stored = count - valid;
    wire [ADDR-1:0] apart = d_write - d_read;
    wire [ADDR-1:0] next = d_read + 1;
    wire [ADDR-1:0] at = d_read + ahead[ADDR-1:0] - valid;
    reg [BITS-1:0] word;
    integer i;
    always @* begin
        word = 0;
        for (i = 0; i < DEPTH; i = i + 1) word = word | (at == i ? d_words[i*BITS +: BITS] : {BITS{1'b0}});
    end
    reg collided; // the word that was read is the one that was written: an undefined word
    always @(posedge clk) collided <= push && d_next_read == d_write;
    always @* if (begun) begin
        assert (apart == stored[ADDR-1:0] && stored < DEPTH);
        assert (d_after == next);
        if (collided) assert (!d_ready);
        if (d_ready) assert (stored != 0);
        if (!valid) assert (stored <= (d_ready ? 2 : 1));
        if (follow) assert (ahead < count);
        if (follow && ahead >= valid) assert (word == marked);
        if (follow && ahead == valid && d_ready) assert (d_ram_word == marked);
        if (waited == 2) assert (valid);
        if (waited == 1) assert (valid || d_ready);
    end
endmodule

// Items come out as they went in: densely, the first one in the lowest bits, each row on a beat of its own, zeros behind it.
//
// Where items divide the beat: the designs with others are covered by simulation. Resets may come at any time.
//
// dut: packer(_\d+)?
// method: induction 2
// refute: 8
// tap: d_at = dut.part
// mutant: DUT: wire ends = last_i -> wire ends = 1'b0
// mutant: DUT: put && done; -> put && ends;
// mutant: DUT: part == 2'd3 -> part == 2'd2
// mutant: DUT: << part); -> << (part + 1'b1));
// mutant: DUT: : {WORD*UNIT{1'b0}} -> : {WORD*UNIT{1'b1}}
// mutant: DUT: part + 1'b1 -> part + 2'd2
module proof (
    input wire clk,
    input wire rst_n,
    input wire valid,
    input wire last,
    input wire [`W_item_i-1:0] item
);
    localparam ITEM = `W_item_i;
    localparam BUS = `W_beat_o;
    localparam MANY = BUS / ITEM;
    wire valid_o;
    wire [BUS-1:0] beat;
    `DUT dut (.clk_i(clk), .rst_ni(rst_n), .valid_i(valid), .item_i(item), .last_i(last), .valid_o(valid_o), .beat_o(beat));

    reg begun = 0;
    reg [BUS-1:0] row;  // items of the beat that is being filled
    reg [7:0] count;
    reg [BUS-1:0] want; // the beat that is complete
    reg wanted;
    wire [BUS-1:0] filled = row | ({{BUS-ITEM{1'b0}}, item} << (count * ITEM));
    wire complete = valid && (last || count == MANY - 1);
    always @(posedge clk) begin
        begun <= 1;
        wanted <= rst_n && complete;
        want <= filled;
        if (valid) begin
            row <= complete ? {BUS{1'b0}} : filled;
            count <= complete ? 0 : count + 1;
        end
        if (!rst_n) begin
            row <= 0;
            count <= 0;
        end
    end
    wire [`W_part-1:0] d_at;
    always @* begin
        if (!begun) assume (!rst_n);
        if (begun) begin
            assert (valid_o == wanted);
            if (wanted) assert (beat == want);
            assert (count < MANY && d_at == count);
            assert (row >> (count * ITEM) == 0);
            if (count != 0) assert (((beat ^ row) << (BUS - count * ITEM)) == 0);
        end
    end
endmodule

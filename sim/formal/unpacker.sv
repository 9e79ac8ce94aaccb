// Items are the bits of the beats in order, none lost, none twice; after a flush the next one begins with a fresh beat.
//
// The reference keeps the last beats and a position of the reader in units, of which beat and item are multiples; a flush
// moves the reader to the next beat. A beat is taken exactly when less than an item is left over (with a flush inside a beat it may wait).
//
// Assumed: an item is taken only when it is there. Resets may come at any time.
//
// dut: unpacker(_\d+)?
// method: bounded 6 8
// refute: 7
// mutant: unpacker_2: items == 1)) -> items == 2))
// mutant: unpacker_2: wraps ? at - 2'd1 : at + 2'd2 -> wraps ? at - 2'd1 : at + 2'd1
// mutant: unpacker_2: wraps ? 2'd3 : 2'd2 -> wraps ? 2'd2 : 2'd2
// mutant: unpacker_2: kept = ~({ -> kept = ({
// mutant: unpacker_2: flush_i ? at == 0 -> flush_i ? 1'b1
// mutant: unpacker_2: turn[1] ? -> turn[0] ?
// mutant: unpacker_2: flush_i || items <= 2'd2 -> items <= 2'd2
// mutant: unpacker: fresh && free -> fresh || free
// mutant: unpacker_3: flush_i ? 1'b1 -> flush_i ? 1'b0
module proof (
    input wire clk,
    input wire rst_n,
    input wire beat_valid,
    input wire [`W_beat_i-1:0] beat,
    input wire take,
    input wire flush
);
    localparam UNIT = `P_UNIT;
    localparam BUS = `P_BUS;
    localparam ITEM = `P_ITEM;
    localparam KEPT = 4; // beats, more than an item spans
    localparam ALL = KEPT * BUS;
    wire beat_take, valid;
    wire [`W_item_o-1:0] item;
    `DUT dut (
        .clk_i(clk), .rst_ni(rst_n), .beat_valid_i(beat_valid), .beat_i(beat), .beat_take_o(beat_take), .valid_o(valid),
        .item_o(item), .take_i(take), .flush_i(flush)
    );
    reg begun = 0;
    reg [ALL*UNIT-1:0] stream; // what is not read yet, the next unit in the lowest bits
    reg [7:0] count;           // its units
    reg [7:0] odd;             // units of the beat under way that were read, when the reader is inside one
    wire [7:0] read = take ? ITEM : 0;
    wire [7:0] place = (odd + read) % BUS;
    wire [7:0] drop = take && flush && place != 0 ? BUS - place : 0;
    wire [7:0] rest = count - read - drop;
    wire [ALL*UNIT-1:0] after = stream >> ((read + drop) * UNIT);
    always @(posedge clk) begin
        begun <= 1;
        odd <= (place + drop) % BUS;
        count <= rest + (beat_take ? BUS : 0);
        stream <= after | (beat_take ? {{ALL-BUS{1'b0}}, beat} << (rest * UNIT) : {ALL*UNIT{1'b0}});
        if (!rst_n) begin
            odd <= 0;
            count <= 0;
            stream <= 0;
        end
    end
    always @* begin
        if (!begun) assume (!rst_n);
        if (begun) assume (!take || valid);
        if (begun) begin
            assert (valid == (count >= ITEM));
            if (valid) assert (item == stream[ITEM*UNIT-1:0]);
            assert (!beat_take || beat_valid);
            if (!(take && flush && place != 0)) assert (beat_take == (beat_valid && rest < ITEM));
            else assert (!beat_take || rest < ITEM);
        end
    end
endmodule

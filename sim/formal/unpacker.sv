// Items are the bits of the beats in order, none lost, none twice; after a flush the next one begins with a fresh beat.
//
// The reference keeps the last words and a position of the reader in units, of which word and item are multiples; a flush
// moves the reader to the next beat. A word comes in exactly when less than an item is left over (with a flush inside a beat it may
// wait), and the beat is done with its last word, or with a flush.
//
// Assumed: an item is taken only when it is there; a beat stays until it is taken. Resets may come at any time.
//
// dut: unpacker(_\d+)?
// method: bounded 6 8
// refute: 7
// tap: d_fill = dut.fill
// mutant: unpacker_2: items == 1)) -> items == 2))
// mutant: unpacker_2: wraps ? at - 2'd2 : at + 2'd1 -> wraps ? at - 2'd2 : at + 2'd2
// mutant: unpacker_2: wraps ? 2'd2 : 2'd1 -> wraps ? 2'd1 : 2'd1
// mutant: unpacker_2: kept = ~({ -> kept = ({
// mutant: unpacker_2: flush_i ? at == 0 -> flush_i ? 1'b1
// mutant: unpacker_2: turn[1] ? -> turn[0] ?
// mutant: unpacker_2: fresh && free -> fresh || free
// mutant: unpacker: drop || (fill -> (fill
// mutant: unpacker: !rst_ni || drop -> !rst_ni
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
    localparam BUS = `P_WORD;
    localparam BITS = BUS * UNIT;
    localparam WORDS = `W_beat_i / BITS;
    localparam ITEM = `P_ITEM;
    localparam KEPT = 4; // words, more than an item spans
    localparam ALL = KEPT * BUS;
    wire beat_take, valid, d_fill;
    wire [`W_item_o-1:0] item;
    `DUT dut (
        .clk_i(clk), .rst_ni(rst_n), .beat_valid_i(beat_valid), .beat_i(beat), .beat_take_o(beat_take), .valid_o(valid),
        .item_o(item), .take_i(take), .flush_i(flush)
    );
    reg begun = 0;
    reg [ALL*UNIT-1:0] stream; // what is not read yet, the next unit in the lowest bits
    reg [7:0] count;           // its units
    reg [7:0] part;            // words of the beat that have come in
    reg [`W_beat_i-1:0] before;
    reg [7:0] odd;             // units of the word under way that were read, when the reader is inside one
    wire [7:0] read = take ? ITEM : 0;
    wire [7:0] place = (odd + read) % BUS;
    wire [7:0] drop = take && flush && place != 0 ? BUS - place : 0;
    wire cut = take && flush && part != 0; // the beat's other words are dropped
    wire [BITS-1:0] word = beat >> (part * BITS);
    wire [7:0] rest = count - read - drop;
    wire [ALL*UNIT-1:0] after = stream >> ((read + drop) * UNIT);
    always @(posedge clk) begin
        begun <= 1;
        odd <= (place + drop) % BUS;
        count <= rest + (d_fill ? BUS : 0);
        stream <= after | (d_fill ? {{ALL*UNIT{1'b0}}, word} << (rest * UNIT) : {ALL*UNIT{1'b0}});
        part <= cut ? 0 : (part + d_fill) % WORDS;
        before <= beat;
        if (!rst_n) begin
            odd <= 0;
            count <= 0;
            part <= 0;
            stream <= 0;
        end
    end
    always @* begin
        if (!begun) assume (!rst_n);
        if (begun) assume (!take || valid);
        if (begun && part != 0) assume (beat_valid && beat == before);
        if (begun) begin
            assert (valid == (count >= ITEM));
            if (valid) assert (item == stream[ITEM*UNIT-1:0]);
            assert (!beat_take || beat_valid);
            assert (beat_take == (cut || (d_fill && part == WORDS - 1)));
            if (cut) assert (!d_fill);
            else if (!(take && flush && place != 0)) assert (d_fill == (beat_valid && rest < ITEM));
            else assert (!d_fill || rest < ITEM);
        end
    end
endmodule

// min(rne(value / 2^s), top), for all values, shifts and tops.
//
// dut: round_shift(_\d+)?
// method: unroll 7
// mutant: DUT: (fine_lost || fine[0]) -> fine_lost
// mutant: DUT: (fine_lost || fine[0]) -> 1'd1
// mutant: DUT: (coarse_lost || coarse_half) || (coarse[6:0] -> coarse_lost || (coarse[6:0]
// mutant: DUT: fine_lost <= middle_lost || middle_half -> fine_lost <= middle_lost
// mutant: DUT: code <= top_i -> code <= fine[7:0]
// mutant: DUT: fine_half <= middle[2] -> fine_half <= middle[1]
`include "rne.svh"
module proof (
    input wire clk,
    input wire [`W_value_i-1:0] value,
    input wire [5:0] shift
);
    localparam LATENCY = 5;
    (* anyconst *) reg [`W_top_i-1:0] top;
    wire [`W_code_o-1:0] code;
    reg [`W_value_i-1:0] number;
    reg [5:0] s;
    wire right;

    `DUT dut (.clk_i(clk), .value_i(value), .shift_i(shift), .top_i(top), .code_o(code));
    rne #(.BITS(`W_value_i), .CODE(`W_code_o)) u_rne (.number(number), .shift(s), .top(top), .code(code), .right(right));

    always @(posedge clk) begin
        number <= $past(value, LATENCY - 1);
        s <= $past(shift, LATENCY - 1);
    end
    always @* if (s < 48) assert (right);
endmodule

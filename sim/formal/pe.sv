// A processing element: two cycles after an activation its product with the weight in use is in the partial sum, exact; the
// weight in use is the shadow register's from the activation on that comes with a swap; activation, swap and shadow go on.
//
// Assumed: the partial sum has room (the array's are wide enough for its rows: `array`).
//
// dut: pe
// method: unroll 4
// mutant: DUT: act * weight -> act * shadow
// mutant: DUT: if (swap_i) -> if (swap)
// mutant: DUT: if (shift_i) -> if (!shift_i)
// mutant: DUT: psum_i + {product[16], product} -> psum_i - {product[16], product}
// mutant: DUT: {product[16], product} -> {1'd0, product}
// mutant: DUT: act <= act_i -> act <= ~act_i
module proof (
    input wire clk,
    input wire shift,
    input wire swap,
    input wire signed [`W_weight_i-1:0] weight,
    input wire signed [`W_act_i-1:0] act,
    input wire signed [`W_psum_i-1:0] psum
);
    wire signed [`W_weight_o-1:0] down;
    wire signed [`W_act_o-1:0] right;
    wire signed [`W_psum_o-1:0] sum;
    wire swap_right;
    `DUT dut (
        .clk_i(clk), .shift_i(shift), .weight_i(weight), .weight_o(down), .swap_i(swap), .swap_o(swap_right),
        .act_i(act), .act_o(right), .psum_i(psum), .psum_o(sum)
    );

    // The weight that an activation meets, from the ports alone: the shadow register at the last swap before it, or with it.
    wire signed [`W_weight_i-1:0] used;
    reg signed [`W_weight_i-1:0] in_use;
    assign used = in_use;
    always @(posedge clk) if (swap) in_use <= down;

    wire signed [`W_psum_o:0] wide;
    reg signed [`W_act_i-1:0] x;
    reg signed [`W_psum_o+1:0] product;
    reg swapped, shifted;
    reg signed [`W_weight_i-1:0] loaded, kept;
    // tapless: in_use equals the element's own register only after a swap, so the last one must have been seen
    reg known;
    initial known = 0;
    always @(posedge clk) begin
        known <= known || swap;
        x <= act;
        swapped <= swap;
        shifted <= shift;
        loaded <= weight;
        kept <= down;
        product <= x * used;
    end
endmodule

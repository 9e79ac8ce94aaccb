// A processing element: psum_o is the partial sum from above of the cycle before plus weight times activation, exact in two's
// complement; the weight in use becomes the shadow register's with a swap; activation, swap and shadow register go on.
//
// Assumed: the sum fits the partial sum's bits, which are chosen for the array's rows.
//
// dut: pe
// method: unroll 4
// tap: d_weight = dut.weight
// mutant: pe: act * weight -> act * shadow
// mutant: pe: if (swap_i) -> if (swap)
// mutant: pe: if (shift_i) -> if (!shift_i)
// mutant: pe: psum_i + { -> psum_i - {
// mutant: pe: {product[16], product} -> {1'd0, product}
// mutant: pe: act <= act_i -> act <= -act_i
module proof (
    input wire clk,
    input wire shift,
    input wire swap,
    input wire signed [`W_weight_i-1:0] weight,
    input wire signed [`W_act_i-1:0] act,
    input wire signed [`W_psum_i-1:0] psum
);
    wire signed [`W_weight_i-1:0] down, d_weight;
    wire signed [`W_act_i-1:0] right;
    wire signed [`W_psum_i-1:0] sum;
    wire swap_right;
    `DUT dut (
        .clk_i(clk), .shift_i(shift), .weight_i(weight), .weight_o(down), .swap_i(swap), .swap_o(swap_right), .act_i(act),
        .act_o(right), .psum_i(psum), .psum_o(sum)
    );
    reg signed [`W_weight_i-1:0] down1, weight1, used;
    reg signed [`W_act_i-1:0] act1;
    reg signed [`W_psum_i-1:0] product, sum1;
    reg shift1, swap1;
    always @(posedge clk) begin
        {down1, weight1, shift1, swap1, act1} <= {down, weight, shift, swap, act};
        used <= swap ? down : d_weight;
        product <= right * d_weight;
        sum1 <= psum + product;
    end
    always @* begin
        assert (down == (shift1 ? weight1 : down1));
        assert (d_weight == used);
        assert (right == act1 && swap_right == swap1);
        assert (sum == sum1);
    end
endmodule

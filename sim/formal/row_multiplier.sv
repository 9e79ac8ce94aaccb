// The rows of partial products are the product, for every weight and every activation.
//
// dut: row_multiplier
// method: unroll 1
// mutant: row_multiplier: - addend -> + addend
// mutant: row_multiplier: ~{g_row[i-1] -> {g_row[i-1]
// mutant: row_multiplier: assign rest = ~addend -> assign rest = addend
// mutant: row_multiplier: i < W - 1) begin : g_add -> i < W) begin : g_add
// mutant: row_multiplier: ~rest[0] -> rest[0]
module proof (
    input wire clk,
    input wire signed [`W_weight_i-1:0] weight,
    input wire signed [`W_act_i-1:0] act
);
    wire signed [`W_product_o-1:0] product;
    `DUT dut (.weight_i(weight), .act_i(act), .product_o(product));
    wire signed [`W_product_o-1:0] exact = weight * act;
    always @* assert (product == exact);
endmodule

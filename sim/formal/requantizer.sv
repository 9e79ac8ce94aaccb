// clip(rne((acc + bias) · m / 2^s), 0, top), and acc + bias, for all accumulators, biases, multipliers, shifts and tops.
//
// In steps that meet at registers: the sum, max(sum, 0), its exact product with m, the code of any number. What lies below 0
// rounds to 0 or less, which is clipped to 0. Powers of two are m = 1.
//
// Assumed: acc + bias fits the accumulator, which the scheduler proves of a model, or refuses it.
//
// dut: requantizer(_pow2)?(_\d+)?
// method: unroll 6
// tap: d_number = dut.u_round_shift.value_i
// tap: d_positive = dut.positive
// tap: d_multiplier = dut.positive_multiplier
// tap: d_shift = dut.u_round_shift.shift_i
// mutant: requantizer: acc_i + bias_i -> acc_i - bias_i
// mutant: requantizer: positive * positive_multiplier -> positive * sum_multiplier
// mutant: requantizer: product_shift <= positive_shift -> product_shift <= sum_shift
// mutant: requantizer: positive <= 31'd0 -> positive <= sum[30:0]
// mutant: requantizer: {sum[31], sum[31]} -> {sum[30], sum[30]}
// mutant: requantizer: product <= positive * -> product <= (positive + 31'd1) *
// mutant: requantizer_pow2: acc_i + bias_i -> acc_i - bias_i
// mutant: requantizer_pow2: positive_shift <= sum_shift -> positive_shift <= shift_i
// mutant: round_shift: (fine_lost || fine[0]) -> fine[0]
// mutant: round_shift: rounded <= {1'd0, fine}; -> rounded <= {1'd0, fine} + 9'd1;
`include "rne.svh"
module proof (
    input wire clk,
    input wire signed [`W_acc_i-1:0] acc,
    input wire signed [`W_acc_i-1:0] bias,
    input wire [15:0] multiplier,
    input wire [5:0] shift
);
    localparam ACC = `W_acc_i;
    (* anyconst *) reg [`W_top_i-1:0] top;
    wire signed [ACC-1:0] sum;
    wire [`W_code_o-1:0] code;

    reg signed [ACC:0] summed; // in one bit more than the accumulator has
    wire fits = summed[ACC] == summed[ACC-1];
    wire [ACC-2:0] relu = summed < 0 ? {ACC-1{1'b0}} : summed[ACC-2:0];
    wire [ACC-2:0] d_positive;
    reg relu_fits;
    reg [ACC-2:0] relu1;
`ifdef W_multiplier_i
    localparam BITS = ACC + 15;
    localparam TO_NUMBER = 3;
    wire [BITS-1:0] d_number;
    wire [15:0] d_multiplier;
    reg [15:0] m1, m2;
    reg [BITS-1:0] number;
    `DUT dut (
        .clk_i(clk), .acc_i(acc), .bias_i(bias), .multiplier_i(multiplier), .shift_i(shift), .top_i(top), .sum_o(sum),
        .code_o(code)
    );
    always @(posedge clk) begin
        m1 <= multiplier;
        m2 <= m1;
        number <= d_positive * d_multiplier;
    end
    always @* assert (d_multiplier == m2);
`else
    localparam BITS = ACC - 1;
    localparam TO_NUMBER = 2;
    wire [BITS-1:0] d_number;
    wire [BITS-1:0] number = d_positive;
    `DUT dut (.clk_i(clk), .acc_i(acc), .bias_i(bias), .shift_i(shift), .top_i(top), .sum_o(sum), .code_o(code));
`endif
    wire [5:0] d_shift;
    reg [5:0] s [1:TO_NUMBER];
    integer i;
    always @(posedge clk) begin
        summed <= acc + bias;
        relu_fits <= fits;
        relu1 <= relu;
        s[1] <= shift;
        for (i = 2; i <= TO_NUMBER; i = i + 1) s[i] <= s[i-1];
    end
    always @* begin
        if (fits) assert (sum == summed);
        if (relu_fits) assert (d_positive == relu1);
        assert (d_number == number);
        assert (d_shift == s[TO_NUMBER]);
    end

    // From the number to the code.
    localparam LATENCY = 5;
    reg [BITS+5:0] held [1:LATENCY];
    integer j;
    always @(posedge clk) begin
        held[1] <= {d_number, d_shift};
        for (j = 2; j <= LATENCY; j = j + 1) held[j] <= held[j-1];
    end
    wire right;
    rne #(.BITS(BITS), .CODE(`W_code_o)) u_rne (
        .number(held[LATENCY][BITS+5:6]), .shift(held[LATENCY][5:0]), .top(top), .code(code), .right(right)
    );
    always @* if (held[LATENCY][5:0] < 48) assert (right);
endmodule

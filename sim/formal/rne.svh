// Whether code is min(rne(number / 2^shift), top): item 3 of the arithmetic contract for numbers that are not negative.
//
// Written as the definition of rounding, exact integers compared with the half-way points around the code, not as an
// algorithm that rounds: a code is right where the number is nearer to it than to its neighbours, or half-way and even.
module rne #(
    parameter BITS = 1, // of the number
    parameter CODE = 1
) (
    input wire [BITS-1:0] number,
    input wire [5:0] shift,
    input wire [CODE-1:0] top,
    input wire [CODE-1:0] code,
    output wire right
);
    localparam N = (BITS > 48 + CODE ? BITS : 48 + CODE) + 2; // holds 2^48 · code, twice
    wire [N-1:0] twice = {{N-BITS-1{1'b0}}, number, 1'b0};
    wire [N-1:0] one = {{N-1{1'b0}}, 1'b1} << shift;
    wire [N-1:0] at = {{N-CODE-1{1'b0}}, code, 1'b0} << shift;
    wire [N-1:0] below = at - one; // half-way to the code below; of code 0 there is none
    wire [N-1:0] above = at + one;
    wire from = code == 0 || twice > below || (twice == below && !code[0]);
    wire to = twice < above || (twice == above && !code[0]);
    assign right = code <= top && from && (code == top || to);
endmodule

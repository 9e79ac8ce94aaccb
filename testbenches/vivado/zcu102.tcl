# A bitstream for the ZCU102: vivado -mode batch -source BUNDLE/vivado/zcu102.tcl -tclargs FOLDER
# Not run in Vivado yet. The memory is the part of the processor's that lies below 4 GiB.
array set board {
    name zcu102
    device xczu9eg-ffvb1156-2-e
    part xilinx.com:zcu102:part0:3.4
    processor zynq_ultra_ps_e
    rule xilinx.com:bd_rule:zynq_ultra_ps_e
    rule_options {apply_board_preset 1}
    options {
        CONFIG.PSU__USE__M_AXI_GP0 1
        CONFIG.PSU__USE__M_AXI_GP1 0
        CONFIG.PSU__USE__M_AXI_GP2 0
        CONFIG.PSU__USE__S_AXI_GP2 1
        CONFIG.PSU__SAXIGP2__DATA_WIDTH 128
        CONFIG.PSU__USE__IRQ0 1
        CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ 200
    }
    master M_AXI_HPM0_FPD
    slave S_AXI_HP0_FPD
    clock pl_clk0
    clocked {processor/maxihpm0_fpd_aclk processor/saxihp0_fpd_aclk}
    reset pl_resetn0
    interrupt pl_ps_irq0
    segment SAXIGP2/HP0_DDR_LOW
    registers 0xA0000000
    memory 2147483648
    port_bits 128
}
source [file join [file dirname [info script]] system.tcl]
main

# A bitstream for the PYNQ-Z2: vivado -mode batch -source BUNDLE/vivado/pynq_z2.tcl -tclargs FOLDER
# Not run in Vivado yet. TUL's board files must be installed.
array set board {
    name pynq_z2
    device xc7z020clg400-1
    part tul.com.tw:pynq-z2:part0:1.0
    processor processing_system7
    rule xilinx.com:bd_rule:processing_system7
    rule_options {make_external "FIXED_IO, DDR" apply_board_preset 1}
    options {
        CONFIG.PCW_USE_M_AXI_GP0 1
        CONFIG.PCW_USE_S_AXI_HP0 1
        CONFIG.PCW_S_AXI_HP0_DATA_WIDTH 64
        CONFIG.PCW_USE_FABRIC_INTERRUPT 1
        CONFIG.PCW_IRQ_F2P_INTR 1
        CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ 100
    }
    master M_AXI_GP0
    slave S_AXI_HP0
    clock FCLK_CLK0
    clocked {processor/M_AXI_GP0_ACLK processor/S_AXI_HP0_ACLK}
    reset FCLK_RESET0_N
    interrupt IRQ_F2P
    segment S_AXI_HP0/HP0_DDR_LOWOCM
    registers 0x43C00000
    memory 536870912
    port_bits 64
}
source [file join [file dirname [info script]] system.tcl]
main

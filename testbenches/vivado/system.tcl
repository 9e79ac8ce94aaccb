# A block design around the accelerator of a bundle, on the processing system of a Zynq board, up to the bitstream.
# Sourced by the script of a board, which has set `board`: see pynq_z2.tcl.

# What stands in design.json under a name, `pattern` with its value in parentheses.
proc design_value {name pattern} {
    global bundle
    set file [file join $bundle design.json]
    if {![file isfile $file]} {error "$bundle is not a bundle of vgg2rtl: design.json is missing"}
    set channel [open $file]
    set text [read $channel]
    close $channel
    if {![regexp "\"$name\":\\s*$pattern" $text -> value]} {error "$file has no \"$name\""}
    return $value
}

proc design_number {name} {
    return [design_value $name {(\d+)}]
}

# Refuses a model that the memory of the board does not hold, and addresses that it does not have.
proc check_design {} {
    global board
    set needed [expr {[design_number read_limit] + 2 * [design_number write_limit]}]
    if {$needed > $board(memory)} {
        error "model and two data areas take $needed bytes, the memory of this board that the port reaches has $board(memory)"
    }
    set bits [design_number bus_bits]
    if {$bits > $board(port_bits)} {
        error "the bus has $bits bits, the port of this board $board(port_bits): vgg2rtl generate --bus $board(port_bits)"
    }
    if {[llength [get_board_parts -quiet $board(part)]] == 0} {
        error "Vivado does not know the board part $board(part): install its board files"
    }
}

# A cell of the newest of Vivado's cores with that vendor, library and name.
proc add_cell {core name} {
    set found [lsort -dictionary [get_ipdefs -filter "VLNV =~ $core:*"]]
    if {[llength $found] == 0} {error "Vivado has no core $core"}
    create_bd_cell -type ip -vlnv [lindex $found end] $name
}

proc add_processor {} {
    global board
    add_cell xilinx.com:ip:$board(processor) processor
    apply_bd_automation -rule $board(rule) -config $board(rule_options) [get_bd_cells processor]
    set_property -dict $board(options) [get_bd_cells processor]
}

# AXI4-Lite from the processor's master, AXI4 to its slave, each through an interconnect that converts as it must.
proc add_accelerator {} {
    global board
    add_cell vgg2rtl:ip:[design_value top {"(\w+)"}] accelerator
    add_cell xilinx.com:ip:proc_sys_reset reset
    foreach {name from to} [list control processor/$board(master) accelerator/s_axil memory accelerator/m_axi processor/$board(slave)] {
        add_cell xilinx.com:ip:smartconnect $name
        set_property CONFIG.NUM_SI 1 [get_bd_cells $name]
        connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $name/S00_AXI]
        connect_bd_intf_net [get_bd_intf_pins $name/M00_AXI] [get_bd_intf_pins $to]
    }
    foreach pin [concat accelerator/clk reset/slowest_sync_clk control/aclk memory/aclk $board(clocked)] {
        connect_bd_net [get_bd_pins processor/$board(clock)] [get_bd_pins $pin]
    }
    connect_bd_net [get_bd_pins processor/$board(reset)] [get_bd_pins reset/ext_reset_in]
    foreach pin {accelerator/rst_n control/aresetn memory/aresetn} {
        connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins $pin]
    }
    connect_bd_net [get_bd_pins accelerator/irq] [get_bd_pins processor/$board(interrupt)]
}

# The registers where the drivers look for them, all of the memory at the processor's addresses.
proc assign_addresses {} {
    global board
    assign_bd_address -offset $board(registers) -range 4K -target_address_space [get_bd_addr_spaces processor/Data] \
        [get_bd_addr_segs accelerator/s_axil/registers]
    assign_bd_address -offset 0x0 -range [format 0x%x $board(memory)] -target_address_space [get_bd_addr_spaces accelerator/m_axi] \
        [get_bd_addr_segs processor/$board(segment)]
}

# The bitstream, and the description of the hardware that PYNQ reads, in `folder`.
proc build {folder} {
    global board
    validate_bd_design
    save_bd_design
    set design [get_files system.bd]
    add_files -norecurse [make_wrapper -files $design -top]
    set_property top system_wrapper [current_fileset]
    launch_runs impl_1 -to_step write_bitstream
    wait_on_run impl_1
    if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {error "the implementation failed: see $folder/$board(name).runs"}
    file copy -force $folder/$board(name).runs/impl_1/system_wrapper.bit $folder/$board(name).bit
    write_hw_platform -fixed -force $folder/$board(name).xsa
}

proc main {} {
    global argv board bundle
    set bundle [file dirname [file dirname [file normalize [info script]]]]
    if {[llength $argv] != 1} {error "usage: vivado -mode batch -source $board(name).tcl -tclargs FOLDER"}
    set folder [file normalize [lindex $argv 0]]
    if {[file exists $folder]} {error "$folder is there already: choose another folder"}
    check_design
    create_project $board(name) $folder -part $board(device)
    set_property board_part $board(part) [current_project]
    set_property ip_repo_paths $bundle [current_project]
    update_ip_catalog
    create_bd_design system
    add_processor
    add_accelerator
    assign_addresses
    build $folder
}

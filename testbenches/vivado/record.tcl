# Runs a board's script with Vivado's commands written down instead: tclsh record.tcl SCRIPT FOLDER. Each is a line, as a Tcl list.
# Vivado's objects are their names here; it knows every core in the versions 1.9 and 1.10, and every board.
proc unknown {command args} {
    global argv
    puts [string map {"\n" " "} [list $command {*}$args]]
    switch -glob $command {
        get_ipdefs {
            regexp {=~ (.*):\*$} [lindex $args end] -> core
            return [list $core:1.9 $core:1.10]
        }
        get_property {return 100%}
        launch_runs {
            set runs [lindex $argv 0]/[file rootname [file tail $::script]].runs/impl_1
            file mkdir $runs
            close [open $runs/system_wrapper.bit w]
        }
        make_wrapper {return system_wrapper.v}
        get_* {return [lindex $args end]}
        current_* {return $command}
    }
}
lassign $argv script folder
set argv [list $folder]
if {[catch {source $script} message]} {
    puts stderr $message
    exit 1
}

//! The controller: runs a program command by command, and ends it in any case.

use super::FieldCheck;
use crate::hw::datapath::address_bits;
use crate::hw::rt::{Flop, K, Reg, Sig, u};
use crate::isa::{ErrorCode, timing};
use rust_hdl::prelude::*;

#[derive(LogicState, Copy, Clone, Debug, PartialEq)]
enum Phase {
    /// Every block of the datapath is in reset.
    Flush,
    /// Nothing to do.
    Idle,
    /// A command is asked for.
    Fetch,
    /// It comes.
    Load,
    /// Its fields are looked at.
    Check,
    /// A layer is under way, or its last words are being written.
    Run,
    /// No burst starts any more; those under way come to their end.
    Stop,
}

/// Fetches, checks and starts the layers of a program one after another. A run always ends the same way, with or
/// without an error: no new burst, all bursts answered, reset of the datapath, done. The first error is the one
/// that is reported.
///
/// If the memory does not answer for another timeout, done comes nevertheless, with [`ErrorCode::Timeout`]; `stop_o`
/// stays until the last burst is answered, and a start before that ends with the same error.
#[derive(LogicBlock)]
pub struct Controller {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: start a run; while one is under way it is queued, and while one is queued refused.
    pub start_i: Signal<In, Bit>,
    /// One cycle: done and refused become false.
    pub clear_i: Signal<In, Bit>,
    /// The bases of the run that has begun are not aligned; stable from the cycle after `begin_o`.
    pub misaligned_i: Signal<In, Bit>,
    /// A run is under way, or queued.
    pub busy_o: Signal<Out, Bit>,
    /// A run has ended; until cleared, or the next start that is not queued.
    pub done_o: Signal<Out, Bit>,
    /// A start was refused; until cleared, or the next start that is not queued.
    pub refused_o: Signal<Out, Bit>,
    /// A start is queued: it begins when the run under way ends without an error, and is refused if that fails.
    pub queued_o: Signal<Out, Bit>,
    /// Runs that have ended.
    pub runs_o: Sig<Out>,
    /// [`ErrorCode`] of the last run, 0 if there was none.
    pub error_o: Sig<Out>,
    /// The command under way, which is the number of those completed; stays after the end.
    pub index_o: Sig<Out>,
    /// One cycle: a run begins; the queued one if `queued_o`.
    pub begin_o: Signal<Out, Bit>,
    /// One cycle: a start is queued.
    pub queue_o: Signal<Out, Bit>,
    /// One cycle: fetch command `index_o`.
    pub fetch_o: Signal<Out, Bit>,
    /// One cycle: its fields are there.
    pub fetched_i: Signal<In, Bit>,
    /// It is the end mark.
    pub end_i: Signal<In, Bit>,
    /// It is unknown.
    pub unknown_i: Signal<In, Bit>,
    /// It cannot be executed.
    pub bad_i: Signal<In, Bit>,
    /// One cycle: the layer of the command begins.
    pub start_o: Signal<Out, Bit>,
    /// It is complete, up to its last word being handed to the write port; a level that falls at most
    /// [`Controller::SETTLE`] − 1 cycles after `start_o`.
    pub layer_done_i: Signal<In, Bit>,
    /// Nothing is left to be written.
    pub write_idle_i: Signal<In, Bit>,
    /// No read burst is shown or unanswered.
    pub read_idle_i: Signal<In, Bit>,
    /// No write burst is shown, under way or unanswered.
    pub write_quiet_i: Signal<In, Bit>,
    /// One cycle: see [`ErrorCode::ReadResponse`].
    pub read_response_i: Signal<In, Bit>,
    /// One cycle: see [`ErrorCode::WriteResponse`].
    pub write_response_i: Signal<In, Bit>,
    /// One cycle: see [`ErrorCode::ReadAddress`].
    pub read_address_i: Signal<In, Bit>,
    /// One cycle: see [`ErrorCode::WriteAddress`].
    pub write_address_i: Signal<In, Bit>,
    /// Something moved: the watchdog starts again.
    pub active_i: Signal<In, Bit>,
    /// No new burst may start.
    pub stop_o: Signal<Out, Bit>,
    /// Reset of every block of the datapath, active low.
    pub flush_no: Signal<Out, Bit>,
    phase: Flop<Phase>,
    running: Flop<Bit>,
    ending: Flop<Bit>,
    busy: Flop<Bit>,
    done: Flop<Bit>,
    refused: Flop<Bit>,
    queued: Flop<Bit>,
    runs: Reg,
    error: Reg,
    index: Reg,
    start: Flop<Bit>,
    stop: Flop<Bit>,
    flush_n: Flop<Bit>,
    active: Flop<Bit>,
    fault: Reg,
    count: Reg,
    watchdog: Reg,
    begins: Signal<Local, Bit>,
    queues: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    failed: Signal<Local, Bit>,
    late: Signal<Local, Bit>,
    finish: Signal<Local, Bit>,
    code: Sig<Local>,
    unknown_opcode: K,
    bad_field: K,
    read_response: K,
    write_response: K,
    read_address: K,
    write_address: K,
    timeout: K,
    program_too_long: K,
    misaligned_base: K,
    last_index: K,
    patience: K,
    flush_cycles: K,
    check_cycles: K,
    settle_cycles: K,
}

impl Controller {
    /// Commands of a program, without the end mark.
    pub const COMMANDS: usize = 4095;
    /// Cycles in which a port must be idle, or a layer done, to be believed: more than the latency of any block's
    /// answer to `start_o` and `stop_o`.
    pub const SETTLE: usize = timing::SETTLE;

    /// A controller that resets the datapath for `flush` cycles, more than [`Controller::SETTLE`], and gives up after
    /// `patience` cycles without `active_i`.
    pub fn new(flush: usize, patience: usize) -> Self {
        let (code, index, runs) = (u(4), u(12), u(16));
        let (count, watchdog) = (u(address_bits(flush + 1)), u(address_bits(patience + 1)));
        let error = |error: ErrorCode| K::new(code, error as i64);
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            clear_i: Default::default(),
            misaligned_i: Default::default(),
            busy_o: Default::default(),
            done_o: Default::default(),
            refused_o: Default::default(),
            queued_o: Default::default(),
            runs_o: Sig::new(runs),
            error_o: Sig::new(code),
            index_o: Sig::new(index),
            begin_o: Default::default(),
            queue_o: Default::default(),
            fetch_o: Default::default(),
            fetched_i: Default::default(),
            end_i: Default::default(),
            unknown_i: Default::default(),
            bad_i: Default::default(),
            start_o: Default::default(),
            layer_done_i: Default::default(),
            write_idle_i: Default::default(),
            read_idle_i: Default::default(),
            write_quiet_i: Default::default(),
            read_response_i: Default::default(),
            write_response_i: Default::default(),
            read_address_i: Default::default(),
            write_address_i: Default::default(),
            active_i: Default::default(),
            stop_o: Default::default(),
            flush_no: Default::default(),
            phase: Default::default(),
            running: Default::default(),
            ending: Default::default(),
            busy: Default::default(),
            done: Default::default(),
            refused: Default::default(),
            queued: Default::default(),
            runs: Reg::new(runs),
            error: Reg::new(code),
            index: Reg::new(index),
            start: Default::default(),
            stop: Default::default(),
            flush_n: Default::default(),
            active: Default::default(),
            fault: Reg::new(code),
            count: Reg::new(count),
            watchdog: Reg::new(watchdog),
            begins: Default::default(),
            queues: Default::default(),
            ends: Default::default(),
            failed: Default::default(),
            late: Default::default(),
            finish: Default::default(),
            code: Sig::new(code),
            unknown_opcode: error(ErrorCode::UnknownOpcode),
            bad_field: error(ErrorCode::BadField),
            read_response: error(ErrorCode::ReadResponse),
            write_response: error(ErrorCode::WriteResponse),
            read_address: error(ErrorCode::ReadAddress),
            write_address: error(ErrorCode::WriteAddress),
            timeout: error(ErrorCode::Timeout),
            program_too_long: error(ErrorCode::ProgramTooLong),
            misaligned_base: error(ErrorCode::MisalignedBase),
            last_index: K::new(index, Self::COMMANDS as i64),
            patience: K::new(watchdog, patience as i64),
            flush_cycles: K::new(count, flush as i64),
            check_cycles: K::new(count, FieldCheck::LATENCY as i64),
            settle_cycles: K::new(count, Self::SETTLE as i64),
        }
    }
}

impl Logic for Controller {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module controller: runs a program command by command");
        dff_setup!(
            self, clk_i, phase, running, ending, busy, done, refused, queued, runs, error, index, start,
            stop, flush_n, active, fault, count, watchdog
        );
        self.busy_o.next = self.busy.q.val() || self.queued.q.val();
        self.done_o.next = self.done.q.val();
        self.refused_o.next = self.refused.q.val();
        self.error_o.next = self.error.q.val();
        self.index_o.next = self.index.q.val();
        self.queued_o.next = self.queued.q.val();
        self.runs_o.next = self.runs.q.val();
        self.begins.next = (self.start_i.val() || self.queued.q.val()) && !self.busy.q.val();
        self.queues.next = self.start_i.val() && (self.busy.q.val() != self.queued.q.val());
        self.begin_o.next = self.begins.val();
        self.queue_o.next = self.queues.val();
        self.fetch_o.next = self.phase.q.val() == Phase::Fetch;
        self.start_o.next = self.start.q.val();
        self.stop_o.next = self.stop.q.val();
        self.flush_no.next = self.flush_n.q.val();

        comment!("Watchdog and faults, a cycle late to keep their paths short.");
        self.active.d.next = self.active_i.val();
        self.late.next = self.watchdog.q.val() == self.patience.val();
        self.watchdog.d.next = self.watchdog.q.val() + 1;
        if self.active.q.val() || !self.busy.q.val() || (self.phase.q.val() == Phase::Flush) {
            self.watchdog.d.next = 0;
        }
        self.fault.d.next = 0;
        if self.running.q.val() && self.late.val() {
            self.fault.d.next = self.timeout.val();
        }
        if self.running.q.val() && self.write_address_i.val() {
            self.fault.d.next = self.write_address.val();
        }
        if self.running.q.val() && self.read_address_i.val() {
            self.fault.d.next = self.read_address.val();
        }
        if self.running.q.val() && self.write_response_i.val() {
            self.fault.d.next = self.write_response.val();
        }
        if self.running.q.val() && self.read_response_i.val() {
            self.fault.d.next = self.read_response.val();
        }

        if self.clear_i.val() {
            self.done.d.next = false;
            self.refused.d.next = false;
        }
        if self.count.q.val() != 0 {
            self.count.d.next = self.count.q.val() - 1;
        }
        self.start.d.next = false;
        self.finish.next = false;
        self.ends.next = false;
        self.failed.next = self.error.q.val() != 0;
        self.code.next = 0;
        match self.phase.q.val() {
            Phase::Idle => {
                if self.busy.q.val() {
                    self.phase.d.next = Phase::Fetch;
                    self.running.d.next = true;
                    if self.misaligned_i.val() {
                        self.code.next = self.misaligned_base.val();
                    }
                }
            }
            Phase::Fetch => {
                self.phase.d.next = Phase::Load;
            }
            Phase::Load => {
                self.count.d.next = self.check_cycles.val();
                if self.fetched_i.val() {
                    self.phase.d.next = Phase::Check;
                }
            }
            Phase::Check => {
                if self.count.q.val() == 0 {
                    self.count.d.next = self.settle_cycles.val();
                    if self.unknown_i.val() {
                        self.code.next = self.unknown_opcode.val();
                    } else if self.end_i.val() {
                        self.finish.next = true;
                    } else if self.index.q.val() == self.last_index.val() {
                        self.code.next = self.program_too_long.val();
                    } else if self.bad_i.val() {
                        self.code.next = self.bad_field.val();
                    } else {
                        self.phase.d.next = Phase::Run;
                        self.start.d.next = true;
                    }
                }
            }
            Phase::Run => {
                comment!("The next layer reads what this one writes.");
                if !self.layer_done_i.val() || !self.write_idle_i.val() {
                    self.count.d.next = self.settle_cycles.val();
                } else if self.count.q.val() == 0 {
                    self.index.d.next = self.index.q.val() + 1;
                    self.phase.d.next = Phase::Fetch;
                }
            }
            Phase::Stop => {
                if self.late.val() && self.ending.q.val() {
                    self.error.d.next = self.timeout.val();
                    self.ending.d.next = false;
                    self.ends.next = true;
                    self.failed.next = true;
                }
                if !self.read_idle_i.val() || !self.write_quiet_i.val() {
                    self.count.d.next = self.settle_cycles.val();
                } else if self.count.q.val() == 0 {
                    self.phase.d.next = Phase::Flush;
                    self.flush_n.d.next = false;
                    self.count.d.next = self.flush_cycles.val();
                }
            }
            Phase::Flush => {
                if self.count.q.val() == 0 {
                    self.phase.d.next = Phase::Idle;
                    self.flush_n.d.next = true;
                    self.stop.d.next = false;
                    self.ending.d.next = false;
                    self.ends.next = self.ending.q.val();
                }
            }
        }

        if self.running.q.val() && (self.fault.q.val() != 0) {
            self.code.next = self.fault.q.val();
        }
        if self.code.val() != 0 {
            self.error.d.next = self.code.val();
        }
        if self.finish.val() || (self.code.val() != 0) {
            self.phase.d.next = Phase::Stop;
            self.running.d.next = false;
            self.ending.d.next = true;
            self.start.d.next = false;
            self.stop.d.next = true;
            self.count.d.next = self.settle_cycles.val();
            self.watchdog.d.next = 0;
        }

        comment!("What is queued behind a run that fails is refused.");
        if self.start_i.val() && self.busy.q.val() && self.queued.q.val() {
            self.refused.d.next = true;
        }
        if self.queues.val() {
            self.queued.d.next = true;
        }
        if self.ends.val() {
            self.busy.d.next = false;
            self.done.d.next = true;
            self.runs.d.next = self.runs.q.val() + 1;
            if self.failed.val() && (self.queued.q.val() || self.queues.val()) {
                self.queued.d.next = false;
                self.refused.d.next = true;
            }
        }
        if self.begins.val() {
            self.busy.d.next = true;
            self.queued.d.next = self.queues.val();
            if !self.queued.q.val() {
                self.done.d.next = false;
                self.refused.d.next = false;
            }
            self.error.d.next = 0;
            self.index.d.next = 0;
            if self.phase.q.val() == Phase::Stop {
                self.error.d.next = self.timeout.val();
                self.ending.d.next = true;
            }
        }

        if !self.rst_ni.val() {
            self.phase.d.next = Phase::Flush;
            self.count.d.next = self.flush_cycles.val();
            self.flush_n.d.next = false;
            self.running.d.next = false;
            self.ending.d.next = false;
            self.busy.d.next = false;
            self.done.d.next = false;
            self.refused.d.next = false;
            self.queued.d.next = false;
            self.runs.d.next = 0;
            self.error.d.next = 0;
            self.index.d.next = 0;
            self.start.d.next = false;
            self.stop.d.next = true;
            self.watchdog.d.next = 0;
        }
    }
}

#[cfg(test)]
mod tests;

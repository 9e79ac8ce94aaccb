//! The controller against everything that can happen around it.

use super::*;
use crate::hw::check::{Bench, random};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

const FLUSH: usize = 20;
const PATIENCE: usize = 60;

/// What a command turns out to be.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Layer,
    End,
    Unknown,
    Bad,
}

/// What goes wrong outside.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    /// An error pulse in the given command.
    Pulse(ErrorCode, i64),
    /// A layer that never ends.
    Hang,
    /// A layer that never ends, and a memory that does not answer before this many cycles have passed.
    Dead(usize),
}

fn bench() -> Bench<Controller> {
    let mut bench = Bench::new(Controller::new(FLUSH, PATIENCE), |c| &mut c.clk_i);
    bench.cycle();
    bench.block.rst_ni.next = true;
    bench
}

/// Runs until done; the error and the index. Checks the order of things on the way.
fn run(
    bench: &mut Bench<Controller>,
    rng: &mut ChaCha8Rng,
    program: &dyn Fn(i64) -> Kind,
    trouble: Trouble,
) -> (i64, i64) {
    let since = bench.vectors();
    let (mut fetching, mut layer, mut layers, mut flushed) = (None, None, 0, 0);
    let (mut idle, mut written) = (0, 0);
    bench.block.start_i.next = true;
    for t in 0.. {
        assert!(t < 40_000, "hangs");
        let c = &mut bench.block;
        // Ports: idle at random, and in the end when told to stop.
        let dead = matches!(trouble, Trouble::Dead(end) if t < end);
        let quiet = !dead && (c.stop_o.val() && t % 32 > 8 || rng.random_bool(0.3));
        (c.read_idle_i.next, c.write_quiet_i.next, c.write_idle_i.next) =
            (quiet, quiet, !dead && t % 64 > 20);
        let stuck = dead || trouble == Trouble::Hang && layers > 0;
        c.active_i.next = !stuck && rng.random_bool(0.3);
        // A command.
        fetching = fetching.map(|left| left - 1);
        c.fetched_i.next = fetching == Some(0);
        let kind = program(c.index_o.val());
        if fetching == Some(0) {
            c.end_i.next = kind == Kind::End;
            c.unknown_i.next = kind == Kind::Unknown;
            c.bad_i.next = kind != Kind::Layer;
        }
        // A layer.
        layer = layer.map(|left: i64| left - (!stuck) as i64);
        c.layer_done_i.next = layer.is_none_or(|left| left <= 0);
        let now = matches!(trouble, Trouble::Pulse(_, at) if at == c.index_o.val()) && rng.random_bool(0.5);
        let pulse = |code| now && matches!(trouble, Trouble::Pulse(c, _) if c == code);
        c.read_response_i.next = pulse(ErrorCode::ReadResponse);
        c.write_response_i.next = pulse(ErrorCode::WriteResponse);
        c.read_address_i.next = pulse(ErrorCode::ReadAddress);
        c.write_address_i.next = pulse(ErrorCode::WriteAddress);
        idle = if quiet && c.stop_o.val() { idle + 1 } else { 0 };
        written = if c.write_idle_i.next { written + 1 } else { 0 };
        let was_flushed = !c.flush_no.val();
        bench.cycle();
        let c = &mut bench.block;
        c.start_i.next = false;
        if c.fetch_o.val() {
            assert!(c.flush_no.val() && !c.stop_o.val());
            assert!(c.index_o.val() == 0 || written >= Controller::SETTLE, "the last layer still writes");
            fetching = Some(rng.random_range(2..10)); // no fetch takes a cycle only
        }
        if c.start_o.val() {
            assert!(kind == Kind::Layer && fetching.is_some_and(|left| left < 0));
            (layer, layers) = (Some(rng.random_range(3..40)), layers + 1);
        }
        if !c.flush_no.val() && !was_flushed {
            assert!(idle >= Controller::SETTLE, "a reset with bursts under way");
        }
        flushed += (!c.flush_no.val()) as usize;
        if c.done_o.val() {
            assert!(!c.busy_o.val());
            let gave_up = matches!(trouble, Trouble::Dead(end) if t < end);
            assert!(flushed > FLUSH || gave_up, "done before the datapath is reset");
            assert!(gave_up || c.flush_no.val());
            return (c.error_o.val(), c.index_o.val());
        }
        assert!(c.busy_o.val(), "lost at cycle {t}, {}", bench.vectors() - since);
    }
    unreachable!()
}

fn two_layers(index: i64) -> Kind {
    if index == 2 { Kind::End } else { Kind::Layer }
}

#[test]
fn every_error_ends_the_run_and_the_next_one_is_clean() {
    let mut rng = random(1);
    let mut bench = bench();
    let pulses =
        [ErrorCode::ReadResponse, ErrorCode::WriteResponse, ErrorCode::ReadAddress, ErrorCode::WriteAddress];
    for round in 0..16 {
        let code = pulses[round % 4];
        let at = round as i64 % 3;
        let got = run(&mut bench, &mut rng, &two_layers, Trouble::Pulse(code, at));
        assert_eq!(got, (code as i64, at));
        assert_eq!(run(&mut bench, &mut rng, &two_layers, Trouble::None), (0, 2));
    }
    for (kind, code) in [(Kind::Unknown, ErrorCode::UnknownOpcode), (Kind::Bad, ErrorCode::BadField)] {
        let program = |index| if index == 1 { kind } else { Kind::Layer };
        assert_eq!(run(&mut bench, &mut rng, &program, Trouble::None), (code as i64, 1));
        assert_eq!(run(&mut bench, &mut rng, &two_layers, Trouble::None), (0, 2));
    }
    assert_eq!(run(&mut bench, &mut rng, &two_layers, Trouble::Hang), (ErrorCode::Timeout as i64, 0));
    assert_eq!(run(&mut bench, &mut rng, &|_| Kind::End, Trouble::None), (0, 0));
    bench.verilog("controller", 1);
}

#[test]
fn a_dead_memory_does_not_hang_the_host() {
    let mut rng = random(2);
    let mut bench = bench();
    let dead = Trouble::Dead(5 * PATIENCE);
    let since = bench.vectors();
    assert_eq!(run(&mut bench, &mut rng, &two_layers, dead), (7, 0));
    assert!(bench.vectors() - since < 3 * PATIENCE);
    assert!(bench.block.stop_o.val() && bench.block.flush_no.val(), "bursts are under way still");
    // The next start says the same, when the memory answers at last.
    assert_eq!(run(&mut bench, &mut rng, &two_layers, Trouble::Dead(PATIENCE / 2)), (7, 0));
    assert_eq!(run(&mut bench, &mut rng, &two_layers, Trouble::None), (0, 2));
    // Dead, then alive without a start: the datapath is reset, the next run is clean.
    assert_eq!(run(&mut bench, &mut rng, &two_layers, dead), (7, 0));
    (bench.block.read_idle_i.next, bench.block.write_quiet_i.next) = (true, true);
    (0..2 * FLUSH).for_each(|_| bench.cycle());
    assert_eq!(run(&mut bench, &mut rng, &two_layers, Trouble::None), (0, 2));
    bench.verilog("controller", 1);
}

#[test]
fn programs_of_4095_commands_end() {
    let mut rng = random(3);
    let mut bench = Bench::new(Controller::new(FLUSH, PATIENCE), |c| &mut c.clk_i);
    bench.block.rst_ni.next = false;
    bench.cycle();
    bench.block.rst_ni.next = true;
    let c = &mut bench.block;
    (c.fetched_i.next, c.layer_done_i.next, c.active_i.next) = (true, true, true);
    (c.read_idle_i.next, c.write_quiet_i.next, c.write_idle_i.next) = (true, true, true);
    for endless in [false, true] {
        bench.block.start_i.next = true;
        bench.cycle();
        bench.block.start_i.next = false;
        while bench.block.busy_o.val() {
            let last = bench.block.index_o.val() == 4095;
            bench.block.end_i.next = last && !endless;
            bench.cycle();
            assert!(bench.vectors() < 200_000);
        }
        let want = if endless { ErrorCode::ProgramTooLong as i64 } else { 0 };
        assert_eq!((bench.block.error_o.val(), bench.block.index_o.val()), (want, 4095));
    }
    assert_eq!(run(&mut bench, &mut rng, &two_layers, Trouble::None), (0, 2));
}

/// Starts at random, against what is running and queued by their order; programs that end at once or fail.
#[test]
fn a_start_in_a_run_is_queued_and_begins_when_it_ends() {
    let mut rng = random(5);
    let mut bench = bench();
    let c = &mut bench.block;
    (c.layer_done_i.next, c.active_i.next) = (true, true);
    (c.read_idle_i.next, c.write_quiet_i.next, c.write_idle_i.next) = (true, true, true);
    let (mut running, mut queued, mut done, mut refused, mut misaligned) =
        (false, false, false, false, false);
    let (mut runs, mut follow) = (0, 0);
    bench.block.end_i.next = true;
    for _ in 0..6000 {
        let c = &mut bench.block;
        let start = rng.random_bool(0.03);
        c.start_i.next = start;
        c.fetched_i.next = rng.random();
        match (running, queued) {
            (true, _) => (queued, refused) = (queued || start, refused || start && queued),
            (false, true) => (running, queued, follow) = (true, start, follow + 1),
            (false, false) if start => (running, done, refused) = (true, false, false),
            _ => {}
        }
        let begins = running && !bench.block.busy.q.val();
        bench.cycle();
        if begins {
            misaligned = rng.random_bool(0.2);
            bench.block.misaligned_i.next = misaligned;
            bench.block.unknown_i.next = rng.random_bool(0.2);
        }
        let c = &bench.block;
        if c.runs_o.val() != runs {
            let failed = c.error_o.val() != 0;
            assert_eq!(c.error_o.val() == ErrorCode::MisalignedBase as i64, misaligned);
            (running, done, runs) = (false, true, runs + 1);
            (queued, refused) = (queued && !failed, refused || queued && failed);
        }
        assert!(!(misaligned && running && c.fetch_o.val()), "reads from a misaligned base");
        let got = [c.busy_o.val(), c.queued_o.val(), c.done_o.val(), c.refused_o.val()];
        assert_eq!(got, [running || queued, queued, done, refused]);
    }
    assert!(runs > 80 && follow > 20, "{runs} runs, {follow} of them queued");
    bench.verilog("controller", 1);
}

#[test]
fn reset_in_the_middle_and_starts_under_way() {
    let mut rng = random(4);
    let mut bench = bench();
    for cycles in [1, 5, 12, 20, 40] {
        bench.block.start_i.next = true;
        (0..cycles).for_each(|_| bench.cycle());
        bench.block.start_i.next = false;
        assert_eq!((bench.block.queued_o.val(), bench.block.refused_o.val()), (cycles > 1, cycles > 2));
        bench.block.rst_ni.next = false;
        bench.cycle();
        bench.block.rst_ni.next = true;
        let c = &bench.block;
        assert!(!c.flush_no.val() && !c.busy_o.val() && !c.done_o.val() && !c.refused_o.val());
        assert_eq!(c.runs_o.val(), 0);
        // A start during the reset of the datapath waits for its end.
        assert_eq!(run(&mut bench, &mut rng, &two_layers, Trouble::None), (0, 2));
        bench.block.clear_i.next = true;
        bench.cycle();
        bench.block.clear_i.next = false;
        assert!(!bench.block.done_o.val() && !bench.block.refused_o.val());
    }
    bench.verilog("controller", 1);
}

//! SIGINT and SIGTERM, one way for the whole program.
//!
//! The first signal ends all tools that run, and then the program: at once, or, where somebody holds a [`Deferred`], when
//! what is finished has been saved and [`Error::Interrupted`] has come back to `main`. The second signal ends it at once.
//! Either way the files and folders of work under way are removed.

use crate::error::Signal;
use crate::{Error, Result};
use rustix::process::{Pid, Signal as Number, kill_process_group};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tries to remove a folder that others still write to, and the time between two; 2 s in all.
const MOST_REMOVALS: usize = 200;
const REMOVAL_PAUSE: Duration = Duration::from_millis(10);

/// What must be known to end in order.
struct State {
    received: Option<Signal>,
    deferred: usize,
    /// Process groups of tools.
    groups: BTreeSet<u32>,
    /// Files and folders of work under way.
    temporary: BTreeSet<PathBuf>,
}

static STATE: Mutex<State> =
    Mutex::new(State { received: None, deferred: 0, groups: BTreeSet::new(), temporary: BTreeSet::new() });
static FLAG: AtomicBool = AtomicBool::new(false);

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens to signals from now on; for `main`.
pub fn listen() -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map_err(Error::io("signals"))?;
    std::thread::spawn(move || {
        for number in signals.forever() {
            receive(if number == SIGINT { Signal::Interrupt } else { Signal::Terminate });
        }
    });
    Ok(())
}

fn receive(signal: Signal) {
    let mut state = state();
    if state.received.is_some() || state.deferred == 0 {
        end(&state, signal);
    }
    state.received = Some(signal);
    FLAG.store(true, Ordering::Relaxed);
    state.groups.iter().for_each(|&group| kill(group, Number::TERM));
}

/// Ends the program. The state stays locked, so that nobody starts a tool or makes a file any more.
fn end(state: &State, signal: Signal) -> ! {
    state.groups.iter().for_each(|&group| kill(group, Number::KILL));
    state.temporary.iter().for_each(|path| remove_busy(path));
    let error = Error::Interrupted(signal);
    let _ = writeln!(io::stderr(), "error: {error}");
    std::process::exit(error.exit_code().into())
}

/// Removes what tools that die and threads of this program may still be adding to: as often as it takes, within reason.
fn remove_busy(path: &Path) {
    for _ in 0..MOST_REMOVALS {
        let _ = remove(path);
        if path.symlink_metadata().is_err() {
            break;
        }
        std::thread::sleep(REMOVAL_PAUSE);
    }
}

fn kill(group: u32, number: Number) {
    if let Some(group) = Pid::from_raw(group as i32) {
        let _ = kill_process_group(group, number); // it may have ended by itself
    }
}

/// Removes a file or a folder with all that is in it.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// While it lives, the first signal only asks for an end: its holder looks at [`flag`], saves, and returns [`check`].
pub struct Deferred(());

/// See [`Deferred`].
pub fn defer() -> Deferred {
    state().deferred += 1;
    Deferred(())
}

impl Drop for Deferred {
    fn drop(&mut self) {
        state().deferred -= 1;
    }
}

/// Set by the first signal.
pub fn flag() -> &'static AtomicBool {
    &FLAG
}

/// Fails once a signal has come.
pub fn check() -> Result<()> {
    state().received.map_or(Ok(()), |signal| Err(Error::Interrupted(signal)))
}

/// A tool that runs, in a process group of its own.
pub struct Group(u32);

/// Starts a tool by `spawn`, which must make it the leader of a process group.
pub fn group(spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<(Child, Group)> {
    let mut state = state();
    let child = spawn()?;
    state.groups.insert(child.id());
    if state.received.is_some() {
        kill(child.id(), Number::TERM);
    }
    let group = Group(child.id());
    Ok((child, group))
}

impl Group {
    /// Ends the tool and what it started, at once.
    pub fn kill(&self) {
        kill(self.0, Number::KILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        state().groups.remove(&self.0);
    }
}

/// A file or folder that is removed when a signal ends the program.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

/// Makes a file or folder by `make`, which also gives its path.
pub(crate) fn temporary<T>(make: impl FnOnce() -> io::Result<(T, PathBuf)>) -> io::Result<(T, Temporary)> {
    let mut state = state();
    let (made, path) = make()?;
    state.temporary.insert(path.clone());
    Ok((made, Temporary(path)))
}

impl Drop for Temporary {
    fn drop(&mut self) {
        state().temporary.remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_while_a_thread_writes_to_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("work");
        fs::create_dir(&folder).unwrap();
        let files: Vec<_> = (0..3000).map(|n| folder.join(n.to_string())).collect();
        let first = files[0].clone();
        let writer = std::thread::spawn(move || files.iter().for_each(|file| drop(fs::write(file, b"x"))));
        while !first.exists() && !writer.is_finished() {
            std::thread::yield_now();
        }
        remove_busy(&folder);
        writer.join().unwrap();
        assert!(!folder.exists());
    }
}

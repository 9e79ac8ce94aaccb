//! What `vgg2rtl train` shows while it runs.

use super::print::{self, note};
use std::io::IsTerminal;
use std::sync::atomic::Ordering;
use std::time::Instant;
use vgg2rtl::interrupt;
use vgg2rtl::quantize::train::{Point, Progress};

/// Progress on standard error: a line an epoch, and on a terminal one that is overwritten every step.
pub struct Screen {
    stage: String,
    start: Instant,
    /// First step of this session, and when the line was written last.
    first: Option<usize>,
    written: Instant,
    warnings: usize,
}

/// Warnings that are shown; a step held at its floor would otherwise report every step.
const WARNINGS: usize = 10;

impl Screen {
    /// Of the stage of that name.
    pub fn new(stage: &str) -> Self {
        let now = Instant::now();
        Self { stage: stage.into(), start: now, first: None, written: now, warnings: 0 }
    }
}

impl Progress for Screen {
    fn step(&mut self, step: usize, total: usize, loss: f64, accuracy: f64) {
        let first = *self.first.get_or_insert(step - 1);
        if !std::io::stderr().is_terminal() || self.written.elapsed().as_millis() < 200 {
            return;
        }
        self.written = Instant::now();
        let left = self.start.elapsed().as_secs_f64() / (step - first) as f64 * (total - step) as f64;
        let (minutes, seconds) = (left as u64 / 60, left as u64 % 60);
        let stage = &self.stage;
        print::text(format_args!(
            "\r{stage}: step {step}/{total}, loss {loss:.4}, accuracy {:.2} %, {minutes}:{seconds:02} left \x1b[K",
            100.0 * accuracy
        ));
    }

    fn epoch(&mut self, p: &Point) {
        let clear = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
        let (train, elapsed) = (100.0 * p.train, self.start.elapsed().as_secs());
        let share = |what: &str, share: Option<f64>| {
            share.map_or(String::new(), |share| format!(", {what} {:.2} %", 100.0 * share))
        };
        let measured = share("validation", p.validation) + &share("test", p.test);
        let (stage, epoch, loss) = (&p.stage, p.epoch, p.loss);
        note!("{clear}{stage}: epoch {epoch}, loss {loss:.4}, training {train:.2} %{measured}, {elapsed} s");
    }

    fn warn(&mut self, text: &str) {
        self.warnings += 1;
        if self.warnings <= WARNINGS {
            note!("warning: {text}");
        }
    }

    fn wants_to_stop(&self) -> bool {
        interrupt::flag().load(Ordering::Relaxed)
    }
}

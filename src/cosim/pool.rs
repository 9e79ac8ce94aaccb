//! Several processes at a time.

use crate::Result;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Does `work(0)` … `work(count − 1)` on `jobs` threads, begun in this order; the results in this order, or the first
/// error, after which nothing more is begun.
pub fn in_parallel<T: Send>(
    jobs: usize,
    count: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result<T>)>> = Mutex::new(vec![]);
    let worker = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                return;
            }
            let result = work(i);
            if result.is_err() {
                next.store(count, Ordering::Relaxed);
            }
            results.lock().expect("no worker panics while it holds the lock").push((i, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, count.max(1)) {
            scope.spawn(worker);
        }
    });
    let mut results = results.into_inner().expect("no worker panics while it holds the lock");
    results.sort_by_key(|r| (r.1.is_ok(), r.0));
    results.into_iter().map(|r| r.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn results_keep_their_order_and_an_error_ends_the_rest() {
        assert_eq!(in_parallel(3, 20, |i| Ok(i * i)).unwrap(), (0..20).map(|i| i * i).collect::<Vec<_>>());
        assert!(in_parallel(3, 0, |_| Ok(())).unwrap().is_empty());
        let begun = AtomicUsize::new(0);
        let result = in_parallel(2, 1000, |i| {
            begun.fetch_add(1, Ordering::Relaxed);
            if i == 5 { Err(Error::Mismatch("five".into())) } else { Ok(()) }
        });
        assert_eq!(result.unwrap_err().to_string(), "five");
        assert!(begun.into_inner() < 1000);
    }
}

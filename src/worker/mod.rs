//! The bounded pool of workers: single-threaded runtimes that accept from the same listening sockets.
//!
//! A connection stays with the worker that accepted it, so nothing of a session crosses threads. A busy worker comes
//! back to accept(2) later, and so takes fewer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Threads;
use crate::drain::Drain;
use crate::listener::Listener;
use crate::session::Parts;

mod autoscaler;
mod thread;

use autoscaler::{Autoscaler, Change};
use thread::{Sockets, Worker};

/// `threads.min` workers, more up to `threads.max` while all are busy, fewer again when they are not.
pub struct Workers {
    threads: Threads,
    listeners: Vec<Arc<Listener>>,
    parts: Arc<Parts>,
    drain: Drain,
    working: Vec<Worker>,
    /// They accept no more, but have sessions; the first to be asked when more are needed.
    retired: Vec<Worker>,
}

impl Workers {
    /// Starts the first `threads.min` of them. Each counts as work of `drain` until its last session has ended.
    ///
    /// # Errors
    /// A thread, a runtime or a descriptor cannot be had.
    pub fn start(threads: Threads, listeners: Vec<Arc<Listener>>, parts: Arc<Parts>, drain: Drain) -> io::Result<Self> {
        let (working, retired) = (Vec::new(), Vec::new());
        let mut workers = Self { threads, listeners, parts, drain, working, retired };
        for _ in 0..threads.min {
            workers.grow()?;
        }
        Ok(workers)
    }

    /// Watches them until the gateway stops: looks at their load every `beat`.
    pub async fn supervise(mut self, beat: Duration) {
        let mut autoscaler = Autoscaler::new(self.threads);
        let mut last = Instant::now();
        loop {
            tokio::select! {
                () = self.drain.stopping() => return,
                () = tokio::time::sleep(beat) => {}
            }
            let elapsed = last.elapsed();
            last = Instant::now();
            let loads: Vec<f64> = self.working.iter_mut().map(|worker| worker.load(elapsed)).collect();
            match autoscaler.observe(&loads) {
                Change::None => {}
                Change::Grow => {
                    if let Err(error) = self.grow() {
                        tracing::error!(%error, "no further worker can be started");
                    }
                }
                Change::Shrink => self.shrink(),
            }
        }
    }

    /// A retired worker that still lives rather than a new thread: there are never more threads than `threads.max`.
    fn grow(&mut self) -> io::Result<()> {
        let mut resumed = None;
        while let (None, Some(mut worker)) = (&resumed, self.retired.pop()) {
            resumed = worker.resume(self.sockets()?, &self.drain).then_some(worker);
        }
        self.working.push(match resumed {
            Some(worker) => worker,
            None => Worker::start(self.sockets()?, self.parts.clone(), &self.drain)?,
        });
        self.count();
        Ok(())
    }

    fn sockets(&self) -> io::Result<Sockets> {
        self.listeners.iter().map(|listener| Ok((listener.clone(), listener.share()?))).collect()
    }

    /// The youngest accepts no more; it ends with its last session.
    fn shrink(&mut self) {
        self.retired.retain(Worker::lives);
        if let Some(worker) = self.working.pop() {
            worker.retire();
            self.retired.push(worker);
        }
        self.count();
    }

    fn count(&self) {
        self.parts.metrics.workers.set(i64::try_from(self.working.len()).unwrap_or(i64::MAX));
    }
}

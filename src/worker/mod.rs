//! The bounded pool of workers: single-threaded runtimes that accept from the same listening sockets.
//!
//! A connection stays with the worker that accepted it, so nothing of a session crosses threads. A busy worker comes
//! back to accept(2) later, and so takes fewer.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, RuntimeMetrics};
use tokio::time::Instant;

use crate::config::Threads;
use crate::drain::Drain;
use crate::listener::Listener;
use crate::session::Parts;

mod rhythm;

use rhythm::{Change, Rhythm};

/// `threads.min` workers, more up to `threads.max` while all are busy, fewer again when they are not.
pub struct Workers {
    threads: Threads,
    listeners: Vec<Arc<Listener>>,
    parts: Arc<Parts>,
    drain: Drain,
    working: Vec<Worker>,
    started: usize,
}

/// One thread with its runtime.
struct Worker {
    drain: Drain,
    runtime: RuntimeMetrics,
    busy: Duration,
}

impl Workers {
    /// Starts the first `threads.min` of them. Each counts as work of `drain` until its last session has ended.
    ///
    /// # Errors
    /// A thread or a runtime cannot be had.
    pub fn start(threads: Threads, listeners: Vec<Arc<Listener>>, parts: Arc<Parts>, drain: Drain) -> io::Result<Self> {
        let mut workers = Self { threads, listeners, parts, drain, working: Vec::new(), started: 0 };
        for _ in 0..threads.min {
            workers.grow()?;
        }
        Ok(workers)
    }

    /// Watches them until the gateway stops: looks at their load every `beat`.
    pub async fn supervise(mut self, beat: Duration) {
        let mut rhythm = Rhythm::new(self.threads);
        let mut last = Instant::now();
        loop {
            tokio::select! {
                () = self.drain.stopping() => return,
                () = tokio::time::sleep(beat) => {}
            }
            let elapsed = last.elapsed();
            last = Instant::now();
            let loads: Vec<f64> = self.working.iter_mut().map(|worker| worker.load(elapsed)).collect();
            match rhythm.beat(&loads) {
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

    fn grow(&mut self) -> io::Result<()> {
        let drain = self.drain.child();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let metrics = runtime.metrics();
        let serving = {
            let _context = runtime.enter();
            let serve = |listener: &Arc<Listener>| listener.clone().serve(self.parts.clone(), drain.clone());
            self.listeners.iter().map(serve).collect::<io::Result<Vec<_>>>()?
        };
        let (token, until) = (self.drain.token(), drain.clone());
        self.started += 1;
        thread::Builder::new().name(format!("worker-{}", self.started)).spawn(move || {
            runtime.block_on(async {
                serving.into_iter().for_each(|loop_| drop(tokio::spawn(loop_)));
                until.stopping().await;
                until.finished().await
            });
            // Not dropped: that would wait for a name being resolved.
            runtime.shutdown_background();
            drop(token);
        })?;
        self.working.push(Worker { drain, runtime: metrics, busy: Duration::ZERO });
        self.count();
        Ok(())
    }

    /// The youngest accepts no more; it ends with its last session.
    fn shrink(&mut self) {
        if let Some(worker) = self.working.pop() {
            tracing::info!(sessions = worker.drain.busy(), "a worker retires");
            worker.drain.stop();
        }
        self.count();
    }

    fn count(&self) {
        self.parts.metrics.workers.set(i64::try_from(self.working.len()).unwrap_or(i64::MAX));
    }
}

impl Worker {
    /// The share of the time since it was last asked that it did not wait in the kernel.
    fn load(&mut self, elapsed: Duration) -> f64 {
        let before = std::mem::replace(&mut self.busy, self.runtime.worker_total_busy_duration(0));
        (self.busy.saturating_sub(before)).as_secs_f64() / elapsed.as_secs_f64().max(f64::EPSILON)
    }
}

//! One worker: a thread with its runtime, which accepts, retires, and may be asked to accept again.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime, RuntimeMetrics};
use tokio::sync::mpsc as commands;

use crate::drain::Drain;
use crate::listener::Listener;
use crate::session::Parts;

/// A worker as its supervisor sees it.
pub(super) struct Worker {
    commands: commands::UnboundedSender<Command>,
    drain: Drain,
    runtime: RuntimeMetrics,
    busy: Duration,
}

/// Accept from these sockets until this drain stops.
struct Command {
    sockets: Sockets,
    drain: Drain,
}

pub(super) type Sockets = Vec<(Arc<Listener>, TcpListener)>;

impl Worker {
    /// A new thread that accepts; it counts as work of `whole` until its last session has ended.
    pub(super) fn start(sockets: Sockets, parts: Arc<Parts>, whole: &Drain) -> io::Result<Self> {
        let (commands, commands_here) = commands::unbounded_channel();
        let (tell, told) = mpsc::channel();
        let token = whole.token();
        // The runtime is built and dropped on its own thread: one must not be dropped where another runs.
        std::thread::Builder::new().name("worker".to_owned()).spawn(move || {
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    let _ = tell.send(Ok(runtime.metrics()));
                    work(runtime, commands_here, &parts);
                }
                Err(error) => drop(tell.send(Err(error))),
            }
            drop(token);
        })?;
        let runtime = told.recv().map_err(|_| io::Error::other("the thread has ended at once"))??;
        let drain = whole.child();
        let _ = commands.send(Command { sockets, drain: drain.clone() });
        Ok(Self { commands, drain, runtime, busy: Duration::ZERO })
    }

    /// Accepts no more, and ends with its last session.
    pub(super) fn retire(&self) {
        tracing::info!(sessions = self.drain.busy(), "a worker retires");
        self.drain.stop();
    }

    /// Whether a retired one still has sessions, or has not yet noticed that it has none.
    pub(super) fn lives(&self) -> bool {
        !self.commands.is_closed()
    }

    /// Accepts again; `false` = it has ended meanwhile.
    pub(super) fn resume(&mut self, sockets: Sockets, whole: &Drain) -> bool {
        let drain = whole.resumed(&self.drain);
        let resumed = self.commands.send(Command { sockets, drain: drain.clone() }).is_ok();
        self.drain = drain;
        resumed
    }

    /// The share of the time since it was last asked that it did not wait in the kernel.
    pub(super) fn load(&mut self, elapsed: Duration) -> f64 {
        let before = std::mem::replace(&mut self.busy, self.runtime.worker_total_busy_duration(0));
        (self.busy.saturating_sub(before)).as_secs_f64() / elapsed.as_secs_f64().max(f64::EPSILON)
    }
}

/// A timer for earlier than the next one has the runtime write to itself, several times a login, and wake up for it.
/// With this one due soon anyway, none is earlier.
async fn beat() {
    loop {
        tokio::time::sleep(BEAT).await;
    }
}

const BEAT: Duration = Duration::from_millis(250);

/// The thread: command after command, until one is done and no other has come.
fn work(runtime: Runtime, mut commands: commands::UnboundedReceiver<Command>, parts: &Arc<Parts>) {
    runtime.block_on(async {
        tokio::spawn(beat());
        let mut next = commands.recv().await;
        while let Some(Command { sockets, drain }) = next {
            for (listener, socket) in sockets {
                let serving = listener.serve(socket, parts.clone(), drain.clone());
                tokio::spawn(async move {
                    if let Err(error) = serving.await {
                        tracing::error!(%error, "a worker cannot accept");
                    }
                });
            }
            drain.stopping().await;
            next = tokio::select! {
                _ = drain.finished() => {
                    // Who sends an command from now on is told that it is too late.
                    commands.close();
                    commands.try_recv().ok()
                }
                // Nobody is left to give commands once the gateway stops; the sessions go on.
                Some(command) = commands.recv() => Some(command),
            };
        }
    });
    // Not dropped: that would wait for a name being resolved.
    runtime.shutdown_background();
}

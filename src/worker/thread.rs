//! One worker: a thread with its runtime, which accepts, retires, and may be asked to accept again.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime, RuntimeMetrics};
use tokio::sync::mpsc as orders;

use crate::drain::Drain;
use crate::listener::Listener;
use crate::session::Parts;

/// A worker as its supervisor sees it.
pub(super) struct Worker {
    orders: orders::UnboundedSender<Order>,
    drain: Drain,
    runtime: RuntimeMetrics,
    busy: Duration,
}

/// Accept from these sockets until this drain stops.
struct Order {
    sockets: Sockets,
    drain: Drain,
}

pub(super) type Sockets = Vec<(Arc<Listener>, TcpListener)>;

impl Worker {
    /// A new thread that accepts; it counts as work of `whole` until its last session has ended.
    pub(super) fn start(sockets: Sockets, parts: Arc<Parts>, whole: &Drain) -> io::Result<Self> {
        let (orders, orders_here) = orders::unbounded_channel();
        let (tell, told) = mpsc::channel();
        let token = whole.token();
        // The runtime is built and dropped on its own thread: one must not be dropped where another runs.
        std::thread::Builder::new().name("worker".to_owned()).spawn(move || {
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    let _ = tell.send(Ok(runtime.metrics()));
                    work(runtime, orders_here, &parts);
                }
                Err(error) => drop(tell.send(Err(error))),
            }
            drop(token);
        })?;
        let runtime = told.recv().map_err(|_| io::Error::other("the thread has ended at once"))??;
        let drain = whole.child();
        let _ = orders.send(Order { sockets, drain: drain.clone() });
        Ok(Self { orders, drain, runtime, busy: Duration::ZERO })
    }

    /// Accepts no more, and ends with its last session.
    pub(super) fn retire(&self) {
        tracing::info!(sessions = self.drain.busy(), "a worker retires");
        self.drain.stop();
    }

    /// Whether a retired one still has sessions, or has not yet noticed that it has none.
    pub(super) fn lives(&self) -> bool {
        !self.orders.is_closed()
    }

    /// Accepts again; `false` = it has ended meanwhile.
    pub(super) fn resume(&mut self, sockets: Sockets, whole: &Drain) -> bool {
        let drain = whole.resumed(&self.drain);
        let resumed = self.orders.send(Order { sockets, drain: drain.clone() }).is_ok();
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

/// The thread: order after order, until one is done and no other has come.
fn work(runtime: Runtime, mut orders: orders::UnboundedReceiver<Order>, parts: &Arc<Parts>) {
    runtime.block_on(async {
        tokio::spawn(beat());
        let mut next = orders.recv().await;
        while let Some(Order { sockets, drain }) = next {
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
                    // Who sends an order from now on is told that it is too late.
                    orders.close();
                    orders.try_recv().ok()
                }
                // Nobody is left to give orders once the gateway stops; the sessions go on.
                Some(order) = orders.recv() => Some(order),
            };
        }
    });
    // Not dropped: that would wait for a name being resolved.
    runtime.shutdown_background();
}

//! Starting processes from one thread that lives as long as the node.
//!
//! A child that asked to die with its parent (`PR_SET_PDEATHSIG`) dies with the *thread* that started it, and an
//! executor's threads may come and go.

use std::process::Command;

use tokio::process::Child;
use tokio::sync::{mpsc, oneshot};

struct Order {
    command: Command,
    reply: oneshot::Sender<std::io::Result<Child>>,
}

/// Handle to the thread.
#[derive(Debug, Clone)]
pub(super) struct Spawner(mpsc::Sender<Order>);

impl Spawner {
    pub(super) fn start() -> std::io::Result<Self> {
        let (orders, mut inbox) = mpsc::channel::<Order>(64);
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new().name("spawner".into()).spawn(move || {
            let _context = runtime.enter();
            while let Some(order) = inbox.blocking_recv() {
                let mut command = tokio::process::Command::from(order.command);
                let child = command.kill_on_drop(true).spawn();
                // The child's end of its log pipe is the command's: with it open the log would never end.
                drop(command);
                let _ = order.reply.send(child);
            }
        })?;
        Ok(Self(orders))
    }

    /// Starts a process.
    pub(super) async fn spawn(&self, command: Command) -> std::io::Result<Child> {
        let (reply, answer) = oneshot::channel();
        let gone = |_| std::io::Error::other("the spawner thread has ended");
        self.0.send(Order { command, reply }).await.map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?
    }
}

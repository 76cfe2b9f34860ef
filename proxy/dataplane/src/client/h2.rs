//! HTTP/2 to one address: as many connections as its streams need, none of them held up by another's.
//!
//! ```text
//!  send ─► choose ─┬─ room on a connection ──────────────► exchange: head, upload ─► response, body
//!                  ├─ no room: connect (one at a time) ─► connection: settings, pings, end
//!                  └─ neither: wait for room
//! ```
//!
//! This is not hyper's client because that one hides what a proxy has to know: how many streams the peer takes (it
//! queues those above), whether a request that failed was processed (it gives back only what it never sent), what a
//! connection still does, and that a response was cut. Nor does it keep clients apart: there, streams that nobody
//! reads fill the window of a connection that all share. Here it is as large as all windows of its streams together.
//!
//! Invariants:
//! - a stream is opened only where the peer and we ourselves have room for it, otherwise nothing is sent;
//! - one attempt to connect at a time, its result is everybody's who waits, and nobody's leaving ends it;
//! - no lock is held while waiting, and the lock of the list only while choosing.

mod body;
mod choose;
mod connection;
mod exchange;
mod keepalive;
mod outcome;
mod upload;
mod watched;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Weak};

use http::{Request, Response};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{SendError, Settings};
use crate::metrics::Transport;
use crate::upload::RequestBody;

pub(crate) use body::Body;
use choose::{Choice, choose};
use connection::{Connection, Slot};

use exchange::{Exchanged, exchange};

/// Connections found closed, one after the other, before a request gives up.
const CLOSED_MAX: u32 = 3;

/// The connections to one address.
#[derive(Debug)]
pub(super) struct Connections {
    addr: SocketAddr,
    settings: Settings,
    transport: Arc<Transport>,
    state: Mutex<State>,
    /// Somebody who waits may look again: a stream ended, or the list changed.
    room: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Arc<Connection>>,
    connecting: Option<Connecting>,
    retired: bool,
}

/// The result of an attempt to connect, once there is one.
type Connecting = watch::Receiver<Option<Result<(), Arc<io::Error>>>>;

/// What a look at the list gave.
enum Found {
    Room(Arc<Connection>, Slot),
    /// None yet; a connection may be under way.
    Nothing(Option<Connecting>),
}

impl Connections {
    pub(super) fn new(addr: SocketAddr, settings: Settings, transport: Arc<Transport>) -> Self {
        Self { addr, settings, transport, state: Mutex::default(), room: Arc::default() }
    }

    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Request<RequestBody>,
        on_send: impl FnOnce(),
    ) -> Result<Response<Body>, SendError> {
        let mut on_send = Some(on_send);
        for _ in 0..CLOSED_MAX {
            let (connection, slot) = match self.room().await {
                Ok(found) => found,
                Err(error) => return Err(SendError::NotSent { request: Box::new(request), error }),
            };
            match exchange(&connection, slot, request, self.settings.write_stall, &mut on_send).await {
                Exchanged::Response(response) => return Ok(response),
                Exchanged::Failed(error) => return Err(error),
                Exchanged::Closed(back) => {
                    self.remove(&connection);
                    request = *back;
                }
            }
        }
        let error = io::Error::new(io::ErrorKind::ConnectionAborted, "the peer closes connections at once");
        Err(SendError::NotSent { request: Box::new(request), error })
    }

    /// Nothing new is sent. Streams keep their connections, which end with the last of them.
    pub(super) fn retire(&self) {
        let open = {
            let mut state = self.state.lock();
            state.retired = true;
            std::mem::take(&mut state.open)
        };
        drop(open);
        self.room.notify_waiters();
    }

    /// A place for one stream; waits for it if need be.
    async fn room(self: &Arc<Self>) -> io::Result<(Arc<Connection>, Slot)> {
        let mut may_connect = true;
        if let Found::Room(connection, slot) = self.look(may_connect)? {
            return Ok((connection, slot));
        }
        loop {
            let mut room = pin!(self.room.notified());
            // Before the look, or what changes between the look and the wait would wake nobody.
            room.as_mut().enable();
            let connecting = match self.look(may_connect)? {
                Found::Room(connection, slot) => return Ok((connection, slot)),
                Found::Nothing(connecting) => connecting,
            };
            let Some(mut connecting) = connecting else {
                room.await;
                continue;
            };
            let connected = async {
                match connecting.wait_for(Option::is_some).await.as_deref() {
                    Ok(Some(Ok(()))) => Ok(()),
                    Ok(Some(Err(error))) => Err(io::Error::new(error.kind(), error.to_string())),
                    _ => Err(io::Error::other("the attempt to connect was given up")),
                }
            };
            tokio::select! {
                // Or each who is woken for room would try to connect once more.
                biased;
                connected = connected => if let Err(error) = connected {
                    if self.state.lock().open.is_empty() {
                        return Err(error);
                    }
                    // No more connections than these, but as long as these are open they will have room.
                    may_connect = false;
                },
                () = room => {}
            }
        }
    }

    fn look(self: &Arc<Self>, may_connect: bool) -> io::Result<Found> {
        let mut state = self.state.lock();
        if state.retired {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "the endpoint left"));
        }
        // An attempt whose task is gone without a word will not end.
        let connecting = state.connecting.clone().filter(|c| c.has_changed().is_ok());
        let may_connect = (may_connect || state.open.is_empty()) && connecting.is_none();
        let loads = state.open.iter().map(|c| c.load());
        Ok(match choose(loads, may_connect) {
            Choice::Use(i) => match state.open.get(i) {
                Some(connection) => Found::Room(connection.clone(), connection.slot()),
                None => Found::Nothing(connecting),
            },
            Choice::Connect => Found::Nothing(Some(self.connect(&mut state))),
            Choice::Wait => Found::Nothing(connecting),
        })
    }

    /// In a task of its own: whoever asked first may leave.
    fn connect(self: &Arc<Self>, state: &mut State) -> Connecting {
        let (result, connecting) = watch::channel(None);
        state.connecting = Some(connecting.clone());
        let this = self.clone();
        tokio::spawn(async move {
            let opened = connection::open(this.addr, &this.settings, &this.transport, &this.room).await;
            let mut running = None;
            let outcome = opened.map_err(Arc::new).map(|(connection, driver)| {
                running = Some((Arc::downgrade(&connection), driver));
                connection
            });
            let outcome = {
                let mut state = this.state.lock();
                state.connecting = None;
                match outcome {
                    // Dropped, and so closed.
                    Ok(_) if state.retired => Ok(()),
                    Ok(connection) => {
                        state.open.push(connection);
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            };
            result.send_replace(Some(outcome));
            this.room.notify_waiters();
            let pool = Arc::downgrade(&this);
            // A pool that nobody needs any more must not wait for its connections.
            drop((this, result));
            if let Some((connection, driver)) = running {
                driver.run(|| close_unused(&pool, &connection)).await;
                if let (Some(pool), Some(connection)) = (pool.upgrade(), connection.upgrade()) {
                    pool.remove(&connection);
                }
            }
        });
        connecting
    }

    fn remove(&self, gone: &Arc<Connection>) {
        self.state.lock().open.retain(|c| !Arc::ptr_eq(c, gone));
        // There is place for another.
        self.room.notify_waiters();
    }
}

/// Takes a connection from the list unless it is in use, under the lock under which it would be chosen.
fn close_unused(pool: &Weak<Connections>, connection: &Weak<Connection>) {
    let (Some(pool), Some(connection)) = (pool.upgrade(), connection.upgrade()) else { return };
    let mut state = pool.state.lock();
    if connection.load().streams == 0 {
        state.open.retain(|c| !Arc::ptr_eq(c, &connection));
    }
}

#[cfg(test)]
mod tests;

//! The cluster from an API server: its Services, its EndpointSlices and the own Node, followed in the background.
//!
//! [`follow`] tells the whole of each kind once it is complete, and then each change. While the server can't be asked, nothing is told
//! but that; what was told stays true. What was missed meanwhile is told afterwards.

mod access;
mod answer;
mod connection;
mod failure;
mod follower;
mod kind;
mod limiter;
mod observer;
mod pause;
mod read;
mod refusal;
mod trouble;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{debug, info, warn};

pub use access::{Access, AccessError, ConnectionOptions};
pub use observer::RequestObserver;
pub use read::{ReadError, read};

use crate::change::Change;
use connection::{Connection, Heard};
use failure::Failure;
use follower::{Follower, Request};
use kind::{Kind, Nodes, Services, Slices};
use limiter::Limiter;
use pause::Pause;
use trouble::{Said, Trouble};

/// A watch that lasted so long has ended in order, and the next one can begin at once.
const LASTED: Duration = Duration::from_secs(10);

/// Follows a cluster for the proxy of a node, and tells each change, until the future is dropped. That the server can't be asked is no
/// error: that is tried until it can.
///
/// The future is not `Send`, and needs a runtime of tokio that can read files on threads of their own.
pub async fn follow(
    access: Arc<Access>,
    node_name: &str,
    observer: Arc<dyn RequestObserver>,
    tell: impl Fn(Vec<Change>) + 'static,
) {
    let options = access.options();
    let (limiter, streams) = (Limiter::new(options.qps, options.burst), options.stream_lists);
    let shared = Shared {
        connection: Connection::new(access, limiter, observer),
        tell: Box::new(tell),
        streams,
        trouble: RefCell::default(),
        well: Notify::new(),
    };
    tokio::join!(
        shared.follow::<Services>(node_name),
        shared.follow::<Slices>(node_name),
        shared.follow::<Nodes>(node_name),
        shared.settle(),
    );
}

/// What all that follow have in common.
struct Shared {
    connection: Connection,
    tell: Box<dyn Fn(Vec<Change>)>,
    /// Whether lists are asked for as streams.
    streams: bool,
    trouble: RefCell<Trouble>,
    /// Told when nobody fails any more.
    well: Notify,
}

/// How a question has ended that was answered.
enum End {
    /// With all that it can have.
    Done,
    /// A watch: by the server, or because it was silent.
    Watched(Duration),
}

impl Shared {
    /// Follows the objects of a kind for ever.
    async fn follow<K: Kind>(&self, node_name: &str) {
        let mut follower = Follower::<K>::new(node_name, self.streams);
        let mut pause = Pause::default();
        loop {
            let wait = match self.ask(&mut follower, &mut pause).await {
                Ok(End::Done) => Duration::ZERO,
                Ok(End::Watched(lasted)) => {
                    follower.ended();
                    if lasted >= LASTED { Duration::ZERO } else { pause.next(fastrand::f64(), None) }
                }
                Err(failure) => {
                    let at_once = follower.failed(&failure);
                    self.note::<K>(&failure, at_once || failure.is_ordinary() && pause.is_calm());
                    let wait = pause.next(fastrand::f64(), failure.retry_after());
                    if at_once { Duration::ZERO } else { wait }
                }
            };
            sleep(wait).await;
        }
    }

    /// Asks what is to be asked next, and takes the answer.
    async fn ask<K: Kind>(&self, follower: &mut Follower<K>, pause: &mut Pause) -> Result<End, Failure> {
        let request = follower.request();
        let answer = self.connection.send::<K>(&request, follower.selection()).await?;
        match request {
            Request::Page(_) => {
                let page = answer::page::<K>(&answer.whole().await?)?;
                self.tell(follower.page(page));
                self.succeeded::<K>();
                Ok(End::Done)
            }
            Request::Confirm(_) => {
                // What it says does not matter, but the connection is free again once it was read.
                answer.whole().await?;
                follower.confirmed();
                Ok(End::Done)
            }
            Request::Stream | Request::Watch(_) => {
                self.succeeded::<K>();
                self.watch(follower, pause, answer.lines()).await
            }
        }
    }

    /// Takes what a watch tells, until it ends.
    async fn watch<K: Kind>(
        &self,
        follower: &mut Follower<K>,
        pause: &mut Pause,
        mut lines: connection::Lines,
    ) -> Result<End, Failure> {
        let begin = self.connection.now();
        loop {
            let heard = lines.next().await;
            let lasted = self.connection.now().saturating_sub(begin);
            if lasted >= LASTED {
                pause.reset();
            }
            match heard? {
                Heard::Line(line) => {
                    let event = answer::event::<K>(line)?;
                    self.tell(follower.event(event)?);
                    pause.reset();
                }
                Heard::Silence if !follower.is_whole() => return Err(Failure::Silent),
                Heard::Silence | Heard::End => return Ok(End::Watched(lasted)),
            }
        }
    }

    /// Notes that a question failed, and says so, unless it is of no concern.
    fn note<K: Kind>(&self, failure: &Failure, of_no_concern: bool) {
        let why = failure.describe::<K>(self.connection.server());
        debug!("{}: {why}", K::RESOURCE);
        if !of_no_concern {
            let now = self.connection.now();
            let said = self.trouble.borrow_mut().failed(K::NAME, why, now, failure.patience());
            self.say(said);
        }
    }

    fn succeeded<K: Kind>(&self) {
        if self.trouble.borrow_mut().succeeded(K::NAME, self.connection.now()) {
            self.well.notify_one();
        }
    }

    /// Says when trouble is over.
    async fn settle(&self) {
        loop {
            self.well.notified().await;
            sleep(trouble::QUIET).await;
            let said = self.trouble.borrow_mut().settle(self.connection.now());
            self.say(said);
        }
    }

    fn tell(&self, changes: Vec<Change>) {
        if !changes.is_empty() {
            (self.tell)(changes);
        }
    }

    fn say(&self, said: Option<Said>) {
        match said {
            Some(Said::Trouble(why)) => {
                warn!("{why}; what is known of the cluster stays true, and it is tried again");
                self.tell(vec![Change::Outage(Some(why))]);
            }
            Some(Said::Over) => {
                info!("the API server {} can be asked again", self.connection.server());
                self.tell(vec![Change::Outage(None)]);
            }
            None => {}
        }
    }
}

//! Keeps response bodies until the clients have read them, with a memory limit for all connections together.
//!
//! The size of pages grows with the cluster, and a page stays in memory as long as its client does not read it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use crate::mutex::lock;

/// A shorter body is part of the write buffer of its connection. A longer one is copied to the buffer in chunks of this size. hyper takes
/// the next chunk while the buffer has less than 16 KiB, so the buffer has at most 24 KiB.
const CHUNK: usize = 8 << 10;

/// The memory limit for all bodies that are longer than a chunk, in bytes. The page of the history has 1 MiB, and most pages for 10 000
/// Services are smaller.
const MAX_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Answers {
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    bytes: usize,
    /// Sorted by the time of the last read: the first body belongs to the client that has not read for the longest time.
    unread: BTreeMap<u64, Unread>,
}

#[derive(Debug)]
struct Unread {
    body: Bytes,
    /// The number of bytes that were copied to the connection.
    copied: usize,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct AnswerBody {
    /// The number of bytes that were not copied to the connection.
    left: usize,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Short(Bytes),
    /// The key identifies the body in `unread`.
    Long(Arc<Answers>, u64),
}

/// The body was dropped, to make room for that of another answer.
#[derive(Debug, thiserror::Error)]
#[error("response dropped: the client did not read it, and other responses needed the memory")]
pub(super) struct Dropped;

impl Default for Answers {
    fn default() -> Self {
        Self { max_bytes: MAX_BYTES, state: Mutex::default() }
    }
}

impl Answers {
    /// Keeps a body. If the memory limit would be exceeded, first drops the bodies whose clients have not read for the longest time. A body
    /// that exceeds the limit alone is kept, and all others are dropped.
    pub(super) fn keep(self: &Arc<Self>, body: Bytes) -> AnswerBody {
        let left = body.len();
        if left <= CHUNK {
            return AnswerBody { left, content: Content::Short(body) };
        }
        let mut state = lock(&self.state);
        while state.bytes.saturating_add(left) > self.max_bytes && state.drop_first() {}
        state.bytes += left;
        let key = state.add(Unread { body, copied: 0 });
        AnswerBody { left, content: Content::Long(self.clone(), key) }
    }
}

impl State {
    fn add(&mut self, unread: Unread) -> u64 {
        self.next += 1;
        self.unread.insert(self.next, unread);
        self.next
    }

    fn drop_first(&mut self) -> bool {
        let first = self.unread.pop_first();
        first.iter().for_each(|(_, unread)| self.bytes -= unread.body.len());
        first.is_some()
    }

    fn drop_key(&mut self, key: u64) {
        if let Some(unread) = self.unread.remove(&key) {
            self.bytes -= unread.body.len();
        }
    }

    /// The next chunk, and the new key of the rest.
    fn take(&mut self, key: u64) -> Result<(Bytes, u64), Dropped> {
        let Unread { body, copied } = self.unread.remove(&key).ok_or(Dropped)?;
        let end = body.len().min(copied + CHUNK);
        // The chunk is a copy, because a slice would keep the whole body in memory.
        let chunk = Bytes::copy_from_slice(body.get(copied..end).unwrap_or_default());
        if end < body.len() {
            return Ok((chunk, self.add(Unread { body, copied: end })));
        }
        self.bytes -= body.len();
        Ok((chunk, key))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let chunk = match &mut self.content {
            Content::Short(body) => std::mem::take(body),
            Content::Long(answers, key) => {
                let taken = lock(&answers.state).take(*key);
                match taken {
                    Ok((chunk, next)) => {
                        *key = next;
                        chunk
                    }
                    Err(dropped) => return Poll::Ready(Some(Err(dropped))),
                }
            }
        };
        self.left -= chunk.len();
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Content::Long(answers, key) = &self.content {
            lock(&answers.state).drop_key(*key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn answers(max_bytes: usize) -> Arc<Answers> {
        Arc::new(Answers { max_bytes, state: Mutex::default() })
    }

    fn bytes(size: usize) -> Bytes {
        (0..size).map(|index| (index % 251) as u8).collect()
    }

    /// The next chunk. None at the end.
    fn next(body: &mut AnswerBody) -> Option<Result<Bytes, Dropped>> {
        match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().unwrap())),
            Poll::Pending => panic!("a body is complete"),
        }
    }

    fn used(answers: &Answers) -> (usize, usize) {
        let state = lock(&answers.state);
        (state.bytes, state.unread.len())
    }

    #[test]
    fn a_body_is_what_was_kept() {
        for size in [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let answers = answers(1 << 20);
            let mut body = answers.keep(bytes(size));
            assert_eq!(body.size_hint().exact(), Some(size as u64));
            let mut all = Vec::new();
            while let Some(chunk) = next(&mut body) {
                all.extend(chunk.unwrap());
            }
            assert!(body.is_end_stream());
            assert_eq!((Bytes::from(all), used(&answers)), (bytes(size), (0, 0)), "{size}");
        }
    }

    #[test]
    fn the_body_of_a_client_that_does_not_read_is_dropped_first() {
        let answers = answers(10 * CHUNK);
        let [mut reading, mut idle] = [(); 2].map(|()| answers.keep(bytes(4 * CHUNK)));
        next(&mut reading).unwrap().unwrap();
        let mut new = answers.keep(bytes(4 * CHUNK));
        assert!(next(&mut idle).unwrap().is_err());
        assert!(next(&mut reading).unwrap().is_ok() && next(&mut new).unwrap().is_ok());
        assert_eq!(used(&answers), (8 * CHUNK, 2));
        drop((reading, idle, new));
        assert_eq!(used(&answers), (0, 0));
    }

    #[test]
    fn a_body_over_the_limit_is_kept_alone() {
        let answers = answers(4 * CHUNK);
        let mut small = answers.keep(bytes(2 * CHUNK));
        let mut large = answers.keep(bytes(5 * CHUNK));
        assert!(next(&mut small).unwrap().is_err() && next(&mut large).unwrap().is_ok());
    }

    #[test]
    fn a_short_body_is_never_dropped() {
        let answers = answers(0);
        let mut all = [(); 3].map(|()| answers.keep(bytes(CHUNK)));
        all.iter_mut().for_each(|body| assert!(next(body).unwrap().is_ok()));
    }
}

//! Requests that come while a guest runs: it leaves a result, asks for more with NEXT, and sleeps until it is told.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::device::Device;
use crate::executor::lock;
use crate::report::CommandFailure;

/// Another request for a guest.
#[derive(Debug, Default)]
pub struct NextRequest {
    /// Encoded ChainConfig: all devices so far, and those that come with this request behind them.
    pub chain_config: Vec<u8>,
    /// Encoded config of the operation.
    pub operation_config: Vec<u8>,
    /// Devices that come with this request.
    pub devices: Vec<Device>,
    /// Most bytes that outputs receive from now on; `None` for no bound.
    pub output_bytes: Option<u64>,
    /// No other follows: what the guest leaves for it is in the report of its end.
    pub last: bool,
}

/// What a guest has left for one request.
#[derive(Debug)]
pub struct Answer {
    /// The result region.
    pub result: Vec<u8>,
    /// Commands that failed since the last answer.
    pub failures: Vec<CommandFailure>,
}

/// Where the guest's side of a session and its caller meet.
#[derive(Default)]
pub struct SessionDesk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    answer: Option<Answer>,
    next: Option<NextRequest>,
    /// The guest has answered and sleeps.
    waiting: bool,
    /// No further request comes.
    closed: bool,
    /// The run is over.
    ended: bool,
    /// Requests that were handed to the guest, without the first.
    handed: u64,
}

impl SessionDesk {
    /// Waits for the next answer. `None` when the run ends without one.
    pub fn answer(&self) -> Option<Answer> {
        let state = lock(&self.state);
        let mut state = self
            .changed
            .wait_while(state, |state| state.answer.is_none() && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        state.answer.take()
    }

    /// Asks for more. Whoever asks has the answer to what was asked before.
    pub fn request(&self, next: NextRequest) {
        let mut state = lock(&self.state);
        // At once with the request: a guest that is done before its caller says so would leave failures in an answer that
        // nobody asks for.
        state.closed |= next.last;
        state.next = Some(next);
        drop(state);
        self.changed.notify_all();
    }

    /// Lets the guest end with what it was asked so far.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    /// The run is over: nobody waits any longer.
    pub fn end(&self) {
        lock(&self.state).ended = true;
        self.changed.notify_all();
    }

    /// Whether the guest sleeps until it is asked for more.
    pub fn is_waiting(&self) -> bool {
        lock(&self.state).waiting
    }

    /// Requests that the guest got so far, without the first.
    pub fn handed(&self) -> u64 {
        lock(&self.state).handed
    }

    /// Hands an answer over and waits for the next request; `Ok(None)` when none comes. What the last request has left is not
    /// asked of `answer`: it is what the run leaves. Fails where the guest waits already.
    pub(crate) fn hand_over(&self, answer: impl FnOnce() -> Answer) -> Result<Option<NextRequest>, ()> {
        let mut state = lock(&self.state);
        if state.waiting {
            return Err(());
        }
        if state.closed && state.next.is_none() {
            return Ok(None);
        }
        state.waiting = true;
        state.answer = Some(answer());
        self.changed.notify_all();
        let mut state = self
            .changed
            .wait_while(state, |state| state.next.is_none() && !state.closed && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting = false;
        let next = state.next.take().filter(|_| !state.ended);
        if next.is_some() {
            state.handed = state.handed.saturating_add(1);
        }
        Ok(next)
    }
}

/// Ends a session when it goes, however a run ends.
pub struct EndsSession<'a>(pub &'a SessionDesk);

impl Drop for EndsSession<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(byte: u8) -> Answer {
        Answer { result: vec![byte], failures: Vec::new() }
    }

    #[test]
    fn hands_answers_and_requests_over_in_turn() {
        let desk = SessionDesk::default();
        std::thread::scope(|scope| {
            let guest = scope.spawn(|| {
                let next = desk.hand_over(|| answer(1)).unwrap_or(None).map(|next| next.operation_config);
                assert_eq!(next, Some(vec![7]));
                desk.hand_over(|| answer(2)).map(|next| next.is_none())
            });
            assert_eq!(desk.answer().map(|answer| answer.result), Some(vec![1]));
            assert_eq!(desk.handed(), 0);
            desk.request(NextRequest { operation_config: vec![7], ..NextRequest::default() });
            assert_eq!(desk.answer().map(|answer| answer.result), Some(vec![2]));
            assert_eq!(desk.handed(), 1);
            desk.close();
            assert!(matches!(guest.join(), Ok(Ok(true))));
        });
    }

    #[test]
    fn keeps_the_answer_to_a_last_request_for_the_end() {
        let desk = SessionDesk::default();
        desk.request(NextRequest { last: true, ..NextRequest::default() });
        assert!(desk.hand_over(|| answer(1)).is_ok_and(|next| next.is_some()), "the last request is handed over");
        assert!(desk.hand_over(|| unreachable!()).is_ok_and(|next| next.is_none()));
        assert_eq!(desk.answer().map(|answer| answer.result), Some(vec![1]));
        desk.end();
        assert!(desk.answer().is_none());
    }

    #[test]
    fn refuses_a_guest_that_asks_twice_at_once() {
        let desk = SessionDesk::default();
        std::thread::scope(|scope| {
            let guest = scope.spawn(|| desk.hand_over(|| answer(1)).map(|next| next.is_none()));
            assert!(desk.answer().is_some());
            assert!(desk.is_waiting());
            assert!(desk.hand_over(|| answer(2)).is_err());
            desk.end();
            assert!(matches!(guest.join(), Ok(Ok(true))));
        });
    }
}

//! A device that is no file: whoever made it answers its reads, or takes its bytes. The thread that executes the command
//! waits meanwhile, and looks for the end of its run.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::executor::lock;

/// Time between two looks for the end of the run.
const TICK: Duration = Duration::from_millis(20);

/// What is asked of whoever answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// Bytes from `offset` on; the answer has to have exactly this length.
    Read {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// Bytes that are to be taken.
    Write {
        /// Where they belong.
        offset: u64,
        /// They.
        bytes: Vec<u8>,
    },
}

/// Takes a question and its number. False: nobody is there any more who could answer.
type Ask = Box<dyn Fn(u64, Question) -> bool + Send + Sync>;

type Answer = Result<Vec<u8>, i32>;

/// A device whose commands somebody else carries out.
pub struct RemoteDevice {
    ask: Ask,
    patience: Duration,
    next: AtomicU64,
    /// Questions that somebody waits for; an answer to any other is dropped.
    open: Mutex<HashMap<u64, Option<Answer>>>,
    changed: Condvar,
}

impl fmt::Debug for RemoteDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteDevice")
    }
}

fn error(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl RemoteDevice {
    /// A device that `ask` is called for, on any thread; what is not answered within `patience` is `ETIMEDOUT`.
    pub fn new(ask: impl Fn(u64, Question) -> bool + Send + Sync + 'static, patience: Duration) -> Self {
        Self { ask: Box::new(ask), patience, next: AtomicU64::new(1), open: Mutex::default(), changed: Condvar::new() }
    }

    /// Answers a question: with the bytes of a read, with none for a write, or with an error number.
    pub fn answer(&self, number: u64, answer: Answer) {
        // The first counts, and only while somebody waits.
        if let Some(place @ None) = lock(&self.open).get_mut(&number) {
            *place = Some(answer);
        }
        self.changed.notify_all();
    }

    /// Fills `target` from `offset` on. An answer of another length is `EIO`; `ECANCELED` when the run ends.
    ///
    /// # Safety
    /// `target` must be valid for writes of `length` bytes.
    pub unsafe fn read(&self, target: *mut u8, length: u64, offset: u64, stopped: &dyn Fn() -> bool) -> io::Result<()> {
        let bytes = self.wait(Question::Read { offset, length }, stopped)?;
        if bytes.len() as u64 != length {
            return Err(error(libc::EIO));
        }
        // SAFETY: the caller's promise, and the length was compared.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        Ok(())
    }

    /// Hands bytes over, and waits until they are taken.
    ///
    /// # Safety
    /// `source` must be valid for reads of `length` bytes.
    pub unsafe fn write(
        &self,
        source: *const u8,
        length: u64,
        offset: u64,
        stopped: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| error(libc::EFBIG))?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| error(libc::ENOMEM))?;
        // SAFETY: the caller's promise; the room was reserved, and the guest may change what is copied, not its length.
        unsafe {
            std::ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), length);
            bytes.set_len(length);
        }
        self.wait(Question::Write { offset, bytes }, stopped).map(drop)
    }

    fn wait(&self, question: Question, stopped: &dyn Fn() -> bool) -> io::Result<Vec<u8>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).insert(number, None);
        let asked = (self.ask)(number, question);
        let since = Instant::now();
        let mut open = lock(&self.open);
        loop {
            if let Some(Some(answer)) = open.get_mut(&number).map(Option::take) {
                open.remove(&number);
                return answer.map_err(error);
            }
            let given_up = if stopped() {
                Some(libc::ECANCELED)
            } else if !asked {
                Some(libc::EIO)
            } else if since.elapsed() >= self.patience {
                Some(libc::ETIMEDOUT)
            } else {
                None
            };
            if let Some(number_of_error) = given_up {
                open.remove(&number);
                return Err(error(number_of_error));
            }
            (open, _) = self.changed.wait_timeout(open, TICK).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{channel, Receiver};
    use std::sync::Arc;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn device(patience: Duration) -> (Arc<RemoteDevice>, Receiver<(u64, Question)>) {
        let (send, questions) = channel();
        let send = Mutex::new(send);
        (
            Arc::new(RemoteDevice::new(move |number, question| lock(&send).send((number, question)).is_ok(), patience)),
            questions,
        )
    }

    fn read(device: &RemoteDevice, length: usize, stopped: bool) -> Result<Vec<u8>, Option<i32>> {
        let mut target = vec![0xaa; length];
        // SAFETY: the vector has that length.
        let done = unsafe { device.read(target.as_mut_ptr(), length as u64, 7, &|| stopped) };
        done.map(|()| target).map_err(|error| error.raw_os_error())
    }

    /// What a read comes to that is answered so.
    fn answered(answers: Vec<Answer>) -> Result<Vec<u8>, Option<i32>> {
        let (device, questions) = device(LONG);
        let answering = Arc::clone(&device);
        let thread = std::thread::spawn(move || {
            if let Ok((number, question)) = questions.recv() {
                assert_eq!(question, Question::Read { offset: 7, length: 3 });
                answers.into_iter().for_each(|answer| answering.answer(number, answer));
            }
        });
        let done = read(&device, 3, false);
        assert!(thread.join().is_ok());
        assert!(lock(&device.open).is_empty(), "nothing is kept of a question that was answered");
        done
    }

    #[test]
    fn an_answer_fills_the_target() {
        assert_eq!(answered(vec![Ok(vec![1, 2, 3])]), Ok(vec![1, 2, 3]));
    }

    #[test]
    fn too_little_and_too_much_are_errors() {
        assert_eq!(answered(vec![Ok(vec![1, 2])]), Err(Some(libc::EIO)));
        assert_eq!(answered(vec![Ok(vec![1, 2, 3, 4])]), Err(Some(libc::EIO)));
    }

    #[test]
    fn a_failure_keeps_its_number() {
        assert_eq!(answered(vec![Err(libc::ESTALE)]), Err(Some(libc::ESTALE)));
    }

    #[test]
    fn only_the_first_answer_counts() {
        assert_eq!(answered(vec![Err(libc::ESTALE), Ok(vec![1, 2, 3])]), Err(Some(libc::ESTALE)));
    }

    #[test]
    fn nobody_waits_for_ever() {
        let (waiting, _questions) = device(Duration::from_millis(50));
        assert_eq!(read(&waiting, 1, false), Err(Some(libc::ETIMEDOUT)));
        let (gone, questions) = device(LONG);
        drop(questions);
        assert_eq!(read(&gone, 1, false), Err(Some(libc::EIO)));
    }

    #[test]
    fn the_end_of_the_run_ends_a_read_and_a_late_answer_is_dropped() {
        let (device, questions) = device(LONG);
        assert_eq!(read(&device, 1, true), Err(Some(libc::ECANCELED)));
        let number = questions.recv().map(|(number, _)| number).unwrap_or_default();
        device.answer(number, Ok(vec![1]));
        assert!(lock(&device.open).is_empty());
    }

    #[test]
    fn bytes_are_handed_over_until_they_are_taken() {
        let (device, questions) = device(LONG);
        let taking = Arc::clone(&device);
        let thread = std::thread::spawn(move || {
            let (number, question) = questions.recv().ok()?;
            taking.answer(number, Ok(Vec::new()));
            Some(question)
        });
        // SAFETY: a slice of that length.
        let done = unsafe { device.write([1_u8, 2].as_ptr(), 2, 9, &|| false) };
        assert!(done.is_ok());
        assert_eq!(thread.join().ok().flatten(), Some(Question::Write { offset: 9, bytes: vec![1, 2] }));
    }
}

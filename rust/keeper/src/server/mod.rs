//! The keeper's side: reads requests, asks the engine, answers. One thread; the engine has its own.

mod incoming;
mod session;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use dbrewind_sqlite::interruptible;

use crate::ffi::{self, Direction, Woken};
use crate::wire::{DONE, REFUSED, WireError, begin, finish};
use incoming::Incoming;
use session::{Answer, Session};

/// Closed properly: asked for, or because the host was gone.
const CLOSED: u8 = 0;
/// The last commits could not be recorded; stderr says why.
const NOT_RECORDED: u8 = 1;
/// The input made no sense any more, or a pipe failed; stderr says why.
const NO_SENSE: u8 = 2;

/// Serves the host at the other end of standard input and output. Returns the exit status.
///
/// Call it first thing in a process that is nothing but a keeper: it takes the standard streams away, leaves the
/// working directory, ignores the terminal's signals, and uses the SQLite that is compiled in.
#[must_use]
pub fn serve_stdio() -> u8 {
    ffi::ignore_signals();
    // A folder that could be unmounted or removed is not ours to occupy. The host sends absolute paths.
    if let Err(error) = std::env::set_current_dir("/") {
        eprintln!("cannot leave the working directory: {error}");
    }
    match ffi::take_standard_streams() {
        Ok((input, output)) => serve(input, output),
        Err(error) => {
            eprintln!("cannot use the standard streams: {error}");
            NO_SENSE
        }
    }
}

/// Serves requests from `input`, with responses to `output`, until the host closes, ends its input or is gone; then
/// closes the recording. Returns the exit status: 0 all recorded, 1 the last commits were not, 2 the input
/// made no sense.
///
/// Use it only in a process of its own: SQLite's locks belong to the process.
#[must_use]
pub fn serve(input: File, output: File) -> u8 {
    let mut session = Session::default();
    let served = ffi::set_nonblocking(output.as_fd())
        .map_err(|e| e.to_string())
        .and_then(|()| answer_all(&mut session, input, &output));
    let closed = session.close().map_err(|e| e.to_string());
    for problem in [&served, &closed].into_iter().filter_map(|result| result.as_ref().err()) {
        eprintln!("{problem}");
    }
    match (served, closed) {
        (Ok(()), Ok(())) => CLOSED,
        (Ok(()), Err(_)) => NOT_RECORDED,
        (Err(_), _) => NO_SENSE,
    }
}

fn answer_all(session: &mut Session, input: File, mut output: &File) -> Result<(), String> {
    let incoming = Rc::new(RefCell::new(Incoming::new(input)));
    let mut out = Vec::new();
    loop {
        let next = incoming.borrow_mut().next().map_err(|e| e.to_string())?;
        let Some((id, request)) = next else {
            match incoming.borrow_mut().wait()? {
                true => continue,
                false => return Ok(()),
            }
        };
        // Nobody else has it during the call: the question is asked by this very thread.
        let asked = Rc::clone(&incoming);
        let answer = interruptible(move || asked.borrow_mut().cancelled(id), || session.answer(request));
        let last = match answer {
            Answer::Greeted { reply, host } => {
                incoming.borrow_mut().watch(host);
                begin(&mut out, id, DONE);
                reply.put(&mut out);
                false
            }
            Answer::Done(reply) => {
                begin(&mut out, id, DONE);
                reply.put(&mut out);
                false
            }
            Answer::Refused(refusal) => {
                begin(&mut out, id, REFUSED);
                refusal.put(&mut out);
                false
            }
            Answer::Closed(result) => {
                begin(&mut out, id, if result.is_ok() { DONE } else { REFUSED });
                if let Err(refusal) = result {
                    refusal.put(&mut out);
                }
                true
            }
        };
        if let Err(error) = finish(&mut out) {
            answer_too_long(&mut out, id, &error);
        }
        let sent = send(&mut output, &out, incoming.borrow().host());
        if !sent.map_err(|e| format!("cannot answer: {e}"))? || last {
            return Ok(());
        }
    }
}

fn answer_too_long(out: &mut Vec<u8>, id: u64, error: &WireError) {
    begin(out, id, REFUSED);
    Answer::too_long(error).put(out);
    // A text of this length always fits.
    let _ = finish(out);
}

/// Sends a response. `false`: there is nobody to read it.
fn send(output: &mut &File, mut bytes: &[u8], host: Option<BorrowedFd<'_>>) -> io::Result<bool> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // A forked child of a dead host may hold the reading end for ever: the host itself is watched.
                if ffi::wait(output.as_fd(), Direction::Write, host, None)? == Woken::Gone {
                    return Ok(false);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

//! The keeper's side of the pipe, byte by byte. The frames are written here a second time, from the document.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use proptest::prelude::*;

const HELLO: u8 = 1;
const OPEN: u8 = 2;
const MARK: u8 = 3;
const NOW: u8 = 8;
const CLOSE: u8 = 11;
const CANCEL: u8 = 12;

fn frame(id: u64, kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = (9 + payload.len() as u32).to_le_bytes().to_vec();
    out.extend(id.to_le_bytes());
    out.push(kind);
    out.extend(payload);
    out
}

/// The version of the protocol.
const OURS: u32 = 3;

fn hello(version: u32) -> Vec<u8> {
    let mut payload = b"dbrwkpr\x01".to_vec();
    payload.extend(version.to_le_bytes());
    payload.extend(std::process::id().to_le_bytes());
    frame(1, HELLO, &payload)
}

/// A keeper in a thread, which is enough for everything that opens no database.
struct Keeper {
    to: Option<PipeWriter>,
    from: PipeReader,
    thread: JoinHandle<u8>,
}

impl Keeper {
    fn start() -> Self {
        let (input, to) = std::io::pipe().unwrap();
        let (from, output) = std::io::pipe().unwrap();
        let file = |end: OwnedFd| File::from(end);
        let (input, output) = (file(input.into()), file(output.into()));
        Self { to: Some(to), from, thread: std::thread::spawn(move || dbrewind_keeper::serve(input, output)) }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.to.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn receive(&mut self) -> (u64, u8, Vec<u8>) {
        let mut head = [0; 13];
        self.from.read_exact(&mut head).unwrap();
        let len = u32::from_le_bytes(head[..4].try_into().unwrap());
        let mut payload = vec![0; len as usize - 9];
        self.from.read_exact(&mut payload).unwrap();
        (u64::from_le_bytes(head[4..12].try_into().unwrap()), head[12], payload)
    }

    fn refusal(&mut self, id: u64) -> (u16, String) {
        let (got, kind, payload) = self.receive();
        assert_eq!((got, kind), (id, 1));
        let len = u32::from_le_bytes(payload[2..6].try_into().unwrap()) as usize;
        let text = String::from_utf8(payload[6..6 + len].to_vec()).unwrap();
        (u16::from_le_bytes([payload[0], payload[1]]), text)
    }

    /// Ends its input and waits for its end.
    fn status(mut self) -> u8 {
        self.to = None;
        let mut rest = Vec::new();
        self.from.read_to_end(&mut rest).unwrap();
        self.thread.join().unwrap()
    }
}

#[test]
fn hello_tells_versions_and_process() {
    let mut keeper = Keeper::start();
    keeper.send(&hello(OURS));
    let (id, kind, payload) = keeper.receive();
    assert_eq!((id, kind, payload.len()), (1, 0, 12));
    assert_eq!(payload[..4], OURS.to_le_bytes());
    assert_eq!(payload[4..8], std::process::id().to_le_bytes());
    assert!(u32::from_le_bytes(payload[8..].try_into().unwrap()) > 3_030_000);
    assert_eq!(keeper.status(), 0);
}

#[test]
fn another_version_is_told_ours_and_refused_all_else() {
    let mut keeper = Keeper::start();
    keeper.send(&hello(OURS + 1));
    assert_eq!(keeper.receive().2[..4], OURS.to_le_bytes());
    keeper.send(&frame(2, NOW, b""));
    assert_eq!(keeper.refusal(2), (99, text("a request came before hello")));
    assert_eq!(keeper.status(), 0);
}

#[test]
fn order_is_hello_then_open() {
    let mut keeper = Keeper::start();
    keeper.send(&frame(1, OPEN, b""));
    assert!(keeper.refusal(1).1.contains("a message ends too early"));
    keeper.send(&hello(OURS));
    keeper.receive();
    keeper.send(&frame(2, MARK, b"\x01\0\0\0m\0"));
    assert_eq!(keeper.refusal(2), (99, text("a request came before open")));
    assert_eq!(keeper.status(), 0);
}

#[test]
fn a_malformed_request_is_refused_and_the_next_one_answered() {
    let mut keeper = Keeper::start();
    keeper.send(&hello(OURS));
    keeper.receive();
    for (id, kind, payload, why) in [
        (2, 0, &b""[..], "an operation cannot be 0"),
        (3, 255, b"", "an operation cannot be 255"),
        (4, MARK, b"\xff\xff\xff\xffm", "a message ends too early"),
        (5, MARK, b"\x01\0\0\0\xff", "a text is not UTF-8"),
        (6, NOW, b"?", "a message has 1 bytes too many"),
        (7, HELLO, b"notmagic\x01\0\0\0\x01\0\0\0", "the magic cannot be"),
    ] {
        keeper.send(&frame(id, kind, payload));
        let (code, text) = keeper.refusal(id);
        assert_eq!(code, 99);
        assert!(text.contains(why), "{text}");
    }
    keeper.send(&frame(8, CLOSE, b""));
    assert_eq!(keeper.receive(), (8, 0, Vec::new()));
    assert_eq!(keeper.status(), 0);
}

/// One that comes too late, or for nothing, has no answer and does no harm.
#[test]
fn a_cancel_without_its_request_is_passed_over() {
    let mut keeper = Keeper::start();
    keeper.send(&[frame(9, CANCEL, b""), hello(OURS)].concat());
    assert_eq!(keeper.receive().0, 1);
    keeper.send(
        &[frame(1, CANCEL, b""), frame(2, NOW, b""), frame(2, CANCEL, b"?"), frame(3, CLOSE, b"")].concat(),
    );
    assert_eq!(keeper.refusal(2).0, 99);
    assert_eq!(keeper.receive(), (3, 0, Vec::new()));
    assert_eq!(keeper.status(), 0);
}

#[test]
fn an_impossible_length_ends_the_keeper() {
    for len in [0, 8, u32::MAX] {
        let mut keeper = Keeper::start();
        keeper.send(&len.to_le_bytes());
        assert_eq!(keeper.status(), 2, "{len}");
    }
}

#[test]
fn requests_may_come_in_pieces_and_in_heaps() {
    let mut keeper = Keeper::start();
    let mut bytes = hello(OURS);
    for id in 2..50 {
        bytes.extend(frame(id, NOW, b""));
    }
    for piece in bytes.chunks(7) {
        keeper.send(piece);
    }
    assert_eq!(keeper.receive().0, 1);
    for id in 2..50 {
        keeper.refusal(id);
    }
    assert_eq!(keeper.status(), 0);
}

#[test]
fn a_refusal_with_a_long_text_comes_whole() {
    let mut keeper = Keeper::start();
    keeper.send(&hello(OURS));
    keeper.receive();
    // Larger than a pipe: the keeper must wait for room without giving up. The path is quoted in the answer.
    let path = vec![b'x'; 200_000];
    let mut payload = (path.len() as u32).to_le_bytes().to_vec();
    payload.extend(&path);
    payload.extend([0; 1 + 8]);
    payload.extend([1, 1]);
    payload.extend([0xff; 16]);
    let request = frame(2, OPEN, &payload);
    keeper.send(&request);
    let (code, text) = keeper.refusal(2);
    assert_ne!(code, 0);
    assert!(!text.is_empty());
    assert_eq!(keeper.status(), 0);
}

fn text(what: &str) -> String {
    format!("a defect in dbrewind: {what}; please report this text")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever arrives, the keeper ends when the input does, and answers each whole frame once.
    #[test]
    fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300), greet in any::<bool>()) {
        let mut keeper = Keeper::start();
        if greet {
            keeper.send(&hello(OURS));
        }
        // It may be gone before all is written.
        let _ = keeper.to.as_mut().unwrap().write_all(&bytes);
        prop_assert!(matches!(keeper.status(), 0 | 2));
    }

    #[test]
    fn any_frames_are_answered(frames in proptest::collection::vec((3..=255_u8, proptest::collection::vec(any::<u8>(), 0..40)), 0..20)) {
        let mut keeper = Keeper::start();
        keeper.send(&hello(OURS));
        keeper.receive();
        for (index, (kind, payload)) in frames.iter().enumerate() {
            let id = index as u64 + 2;
            keeper.send(&frame(id, *kind, payload));
            if *kind == CANCEL {
                continue;
            }
            let (got, answer, _) = keeper.receive();
            prop_assert_eq!(got, id);
            if *kind == CLOSE && payload.is_empty() {
                prop_assert_eq!(answer, 0);
                break;
            }
            prop_assert_eq!(answer, 1);
        }
        prop_assert_eq!(keeper.status(), 0);
    }
}

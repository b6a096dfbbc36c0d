//! A child of the campaign: started, listened to, killed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::campaign::Options;
use super::child::Life;
use super::event::{Event, Step};

/// A child and what it said.
pub(super) struct Process {
    child: Child,
    lines: Receiver<Event>,
    pub(super) events: Vec<Event>,
    what: &'static str,
    pub(super) fault: Option<String>,
    pub(super) places: Vec<String>,
}

impl Process {
    pub(super) fn spawn(options: &Options, what: &'static str, life: &Life, fault: Option<&str>) -> Self {
        let mut command = Command::new(&options.binary);
        command.arg(what).arg(serde_json::to_string(life).expect("JSON"));
        if let Some(place) = fault {
            command.env("DBREWIND_FAULT_AT", place);
        }
        if fault.is_some() {
            command.stderr(Stdio::piped());
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("child");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (to, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                // The kill may have come in the midst of a line.
                if let Ok(event) = serde_json::from_str(&line) {
                    let _nobody_listens = to.send(event);
                }
            }
        });
        Self { child, lines, events: Vec::new(), what, fault: None, places: Vec::new() }
    }

    /// Until such an event, or the child's end, or the time is over.
    pub(super) fn wait_for(&mut self, mut wanted: impl FnMut(&Event) -> bool, most: Duration) -> bool {
        let until = Instant::now() + most;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    let found = wanted(&event);
                    self.events.push(event);
                    if found {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    pub(super) fn wait_until_ready(&mut self) -> Result<(), String> {
        if self.wait_for(|event| matches!(event, Event::Ready), Duration::from_secs(20)) {
            return Ok(());
        }
        // A fault point may be in the attach itself; the pipe ends a little before the process does.
        let until = Instant::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        match self.child.try_wait() {
            Ok(Some(status)) if aborted(status) => Ok(()),
            other => Err(format!("the child that {}s did not get ready: {other:?}", self.what)),
        }
    }

    /// The survivor of a kill is not held up by it.
    pub(super) fn must_go_on(&mut self) -> Result<(), String> {
        while let Ok(event) = self.lines.try_recv() {
            self.events.push(event);
        }
        let mut commits = 0;
        let enough = |event: &Event| {
            commits += u64::from(matches!(event, Event::Did(Step::Commit(_), _)));
            commits >= 3
        };
        if self.wait_for(enough, Duration::from_secs(10)) {
            return Ok(());
        }
        Err("another writer did not get on after the kill".to_owned())
    }

    pub(super) fn kill(&mut self) {
        let _dead_already = self.child.kill();
    }

    /// Everything it said; it must have died of the kill, or of a fault point.
    pub(super) fn rest(&mut self) -> Result<(), String> {
        let status = self.child.wait().map_err(|error| error.to_string())?;
        while let Ok(event) = self.lines.recv() {
            self.events.push(event);
        }
        if let Some(mut errors) = self.child.stderr.take() {
            let mut text = String::new();
            errors.read_to_string(&mut text).map_err(|error| error.to_string())?;
            let places = text.lines().filter_map(|line| line.strip_prefix("place: "));
            self.places = places.map(str::to_owned).collect();
            self.fault = text.lines().find_map(|line| line.strip_prefix("fault: ")).map(str::to_owned);
            if text.contains("panicked") {
                eprint!("{text}");
            }
        }
        if killed(status) || aborted(status) {
            return Ok(());
        }
        Err(format!(
            "the child that {}s ended by itself: {status}; last: {:?}",
            self.what,
            self.events.last()
        ))
    }
}

fn killed(status: std::process::ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(9)
}

fn aborted(status: std::process::ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(6)
}

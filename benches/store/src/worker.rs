//! One measurement: so many writers append so many records each, as threads or as processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::time::Instant;

use crate::logs::{Log, open};

/// What is appended, by how many.
#[derive(Clone, Copy)]
pub struct Load {
    pub size: usize,
    pub writers: u32,
    /// Of each writer.
    pub records: u64,
}

impl Load {
    pub fn room(self) -> u64 {
        (self.size as u64 + 64) * u64::from(self.writers) * self.records
    }
}

fn work(log: &dyn Log, writer: u32, load: Load) -> f64 {
    let body = vec![0x5a; load.size];
    let start = Instant::now();
    for number in (0..load.records).step_by(log.at_once() as usize) {
        log.append(writer, number, std::hint::black_box(&body));
    }
    start.elapsed().as_nanos() as f64
}

/// Nanoseconds from the first append to the last one's end, by the number of records. `None` if it was not built in.
pub fn threads(name: &str, folder: &Path, load: Load) -> Option<f64> {
    let log = open(name, folder, load.room(), load.writers)?;
    let log = &*log;
    let start = Barrier::new(load.writers as usize);
    let slowest = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..load.writers)
            .map(|writer| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    work(log, writer, load)
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().expect("a writer")).fold(0.0, f64::max)
    });
    Some(slowest / (load.records as f64 * f64::from(load.writers)))
}

/// The same with processes, which begin together.
pub fn processes(name: &str, folder: &Path, load: Load) -> Option<f64> {
    drop(open(name, folder, load.room(), load.writers)?);
    let mut children: Vec<Child> = (0..load.writers)
        .map(|writer| {
            let numbers = [load.size as u64, u64::from(load.writers), load.records, u64::from(writer)];
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.arg("worker").arg(name).arg(folder).args(numbers.map(|number| number.to_string()));
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process")
        })
        .collect();
    let mut outputs: Vec<_> =
        children.iter_mut().map(|child| BufReader::new(child.stdout.take().expect("piped"))).collect();
    for output in &mut outputs {
        let mut line = String::new();
        output.read_line(&mut line).expect("ready");
    }
    for child in &mut children {
        child.stdin.take().expect("piped").write_all(b"go\n").expect("a child");
    }
    let mut slowest = 0.0_f64;
    for output in &mut outputs {
        let mut line = String::new();
        output.read_line(&mut line).expect("a time");
        slowest = slowest.max(line.trim().parse().expect("a number"));
    }
    for mut child in children {
        assert!(child.wait().expect("a child").success());
    }
    Some(slowest / (load.records as f64 * f64::from(load.writers)))
}

/// What a child does.
pub fn child(arguments: &[String]) {
    let [name, folder, size, writers, records, writer] = arguments else { panic!("six arguments") };
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let load =
        Load { size: number(size) as usize, writers: number(writers) as u32, records: number(records) };
    let log = open(name, Path::new(folder), load.room(), load.writers).expect("built in");
    println!("ready");
    std::io::stdout().flush().expect("a parent");
    std::io::stdin().read_to_end(&mut Vec::new()).expect("a parent");
    println!("{}", work(&*log, number(writer) as u32, load));
}

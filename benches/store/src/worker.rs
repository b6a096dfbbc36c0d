//! One measurement: so many writers append so many records each, as threads or as processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::clock;
use crate::logs::{Log, open};

/// What is appended, by how many.
#[derive(Clone, Copy)]
pub struct Load {
    pub size: usize,
    pub writers: u32,
    /// Of each writer.
    pub records: u64,
    /// How many of them a writer appends without a pause; all writers begin each burst at the same instant.
    pub burst: u64,
}

/// From the beginning of one burst to that of the next: what programs do between two commits takes longer.
const PERIOD: Duration = Duration::from_millis(20);

impl Load {
    pub fn room(self) -> u64 {
        (self.size as u64 + 64) * u64::from(self.writers) * self.records
    }
}

/// How long each burst took, in nanoseconds from the instant at which it was to begin; the first one's is `start`.
fn work(log: &dyn Log, writer: u32, load: Load, start: Duration) -> Vec<f64> {
    let body = vec![0x5a; load.size];
    let mut number = 0;
    let mut begin = start;
    let mut bursts = Vec::new();
    while number < load.records {
        clock::wait_until(begin);
        let end = (number + load.burst).min(load.records);
        while number < end {
            log.append(writer, number, std::hint::black_box(&body));
            number += log.at_once();
        }
        let took = clock::now() - begin;
        bursts.push(took.as_nanos() as f64);
        begin += PERIOD;
    }
    bursts
}

/// Nanoseconds from one append to the next in the median burst, which lasts until its slowest writer is done.
fn each(load: Load, writers: &[Vec<f64>]) -> f64 {
    let bursts = writers.iter().map(Vec::len).max().unwrap_or(0);
    let slowest = |burst: usize| writers.iter().filter_map(|all| all.get(burst)).copied().fold(0.0, f64::max);
    let mut slowest: Vec<f64> = (0..bursts).map(slowest).collect();
    slowest.sort_by(f64::total_cmp);
    let usual = slowest.get(slowest.len() / 2).expect("a burst");
    usual / (load.burst.min(load.records) as f64 * f64::from(load.writers))
}

/// When writers begin that are told now.
fn soon() -> Duration {
    clock::now() + Duration::from_millis(20)
}

/// Nanoseconds from one append to the next, all writers together. `None` if the log was not built in.
pub fn threads(name: &str, folder: &Path, load: Load) -> Option<f64> {
    let log = open(name, folder, load.room(), load.writers)?;
    let log = &*log;
    let start = soon();
    let times: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> =
            (0..load.writers).map(|writer| scope.spawn(move || work(log, writer, load, start))).collect();
        writers.into_iter().map(|writer| writer.join().expect("a writer")).collect()
    });
    Some(each(load, &times))
}

/// The same with processes.
pub fn processes(name: &str, folder: &Path, load: Load) -> Option<f64> {
    drop(open(name, folder, load.room(), load.writers)?);
    let mut children: Vec<Child> = (0..load.writers)
        .map(|writer| {
            let numbers =
                [load.size as u64, u64::from(load.writers), load.records, load.burst, u64::from(writer)];
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
    let start = soon().as_nanos();
    for child in &mut children {
        writeln!(child.stdin.take().expect("piped"), "{start}").expect("a child");
    }
    let times: Vec<Vec<f64>> = outputs
        .iter_mut()
        .map(|output| {
            let mut line = String::new();
            output.read_line(&mut line).expect("times");
            line.split_whitespace().map(|time| time.parse().expect("a number")).collect()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("a child").success());
    }
    Some(each(load, &times))
}

/// What a child does.
pub fn child(arguments: &[String]) {
    let [name, folder, size, writers, records, burst, writer] = arguments else { panic!("seven arguments") };
    let number = |text: &str| text.trim().parse::<u64>().expect("a number");
    let load = Load {
        size: number(size) as usize,
        writers: number(writers) as u32,
        records: number(records),
        burst: number(burst),
    };
    let log = open(name, Path::new(folder), load.room(), load.writers).expect("built in");
    println!("ready");
    std::io::stdout().flush().expect("a parent");
    let mut start = String::new();
    std::io::stdin().read_to_string(&mut start).expect("a parent");
    let times = work(&*log, number(writer) as u32, load, Duration::from_nanos(number(&start)));
    println!("{}", times.iter().map(f64::to_string).collect::<Vec<_>>().join(" "));
}

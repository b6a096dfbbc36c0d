//! `dbrewind list` and `dbrewind status` of a folder with the histories of volumes (`rust/docs/volumes.md`). All else is for the programs that have
//! their content: only they can lock, read and write it.

use std::path::Path;

use dbrewind_volume::{Code, Error, Listed, Mark, MarkState, VolumeStore, WindowState};
use serde::Serialize;

use crate::failure::Failure;
use crate::processes::{self, Process};
use crate::report::{CountFields, MarkFields, PinFields, Report, in_seconds, maybe_time, state_word};
use crate::session::state_name;
use crate::show::{self, Cell};
use crate::wording;

#[derive(Serialize)]
struct VolumeMarks<'a> {
    name: &'a str,
    block_size: u32,
    attached: bool,
    marks: Vec<MarkFields>,
}

#[derive(Serialize)]
struct ListedVolumes<'a> {
    store: String,
    volumes: Vec<VolumeMarks<'a>>,
}

/// As Rust's `Status`; spans are seconds.
#[derive(Serialize)]
struct VolumeStatus<'a> {
    name: &'a str,
    block_size: u32,
    attached: bool,
    stopped: Option<&'static str>,
    now: Option<u64>,
    state: &'static str,
    window: f64,
    earliest: Option<u64>,
    earliest_time: Option<String>,
    pins: Vec<PinFields>,
    marks: CountFields,
}

#[derive(Serialize)]
struct StoreStatus<'a> {
    store: String,
    /// Not of an empty store.
    #[serde(flatten)]
    room: Option<RoomFields>,
    recorders: Vec<Process>,
    volumes: Vec<VolumeStatus<'a>>,
}

/// Of the store, with all that is recorded into it.
#[derive(Serialize)]
struct RoomFields {
    used: u64,
    raw: u64,
    sealed: u64,
    limit: u64,
    target: f64,
    forecast: Option<f64>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::own(error.code(), wording::on_the_command_line(&error.to_string()))
    }
}

/// What the command of this name does that was given the folder of a store instead of a database. `None`: it was not.
pub(crate) fn instead(verb: &str, path: &Path) -> Option<Result<Report, Failure>> {
    path.join("locks").is_file().then(|| of_store(verb, path))
}

fn of_store(verb: &str, path: &Path) -> Result<Report, Failure> {
    let recorders = processes::recording_into(path);
    let store = VolumeStore::open_to_look(path)?;
    let volumes = store.volumes()?;
    if volumes.is_empty() && !store.databases()?.is_empty() {
        return Err(of_a_database(verb, path));
    }
    match verb {
        "list" => list(path, &volumes),
        "status" => status(&store, recorders, &volumes),
        _ => Err(refused(verb, path)),
    }
}

/// The folder is that of a database's history.
fn of_a_database(verb: &str, path: &Path) -> Failure {
    let text = format!("{} is the history of a database, and no database", path.display());
    let whose = path.as_os_str().to_str().and_then(|path| path.trim_end_matches('/').strip_suffix("-rewind"));
    let word = whose.map_or_else(|| "DATABASE".to_owned(), |path| show::word(Path::new(path)));
    Failure::own(Code::InvalidArgument, text).with_fix(format!("`dbrewind {verb} {word}`"))
}

fn refused(verb: &str, path: &Path) -> Failure {
    let what = match verb {
        "drop" => "a mark of a volume is dropped by a program that has the volume attached",
        "mark" | "rewind" => {
            "a volume is marked and rewound by a program that has it attached: nobody else can lock, read and write its content"
        }
        _ => "this is for SQLite databases",
    };
    let word = show::word(path);
    Failure::own(Code::Unsupported, format!("{} is a store of volumes: {what}", path.display()))
        .with_fix(format!("`dbrewind list {word}` and `dbrewind status {word}` show what is in it"))
}

fn fields(mark: &Mark) -> MarkFields {
    MarkFields {
        name: mark.name.clone(),
        lsn: mark.lsn.get(),
        time: show::time(mark.time),
        pages: mark.blocks,
        pinned: mark.pinned,
        state: state_name(mark.state),
    }
}

fn list(path: &Path, volumes: &[Listed]) -> Result<Report, Failure> {
    let told = volumes.iter().map(|volume| VolumeMarks {
        name: &volume.name,
        block_size: volume.block_size,
        attached: volume.attached,
        marks: volume.marks.iter().map(fields).collect(),
    });
    let json = ListedVolumes { store: absolute(path), volumes: told.collect() };
    let marks: Vec<(&Listed, &Mark)> =
        volumes.iter().flat_map(|volume| volume.marks.iter().map(move |mark| (volume, mark))).collect();
    let text = if show::on_terminal() { table(&marks) } else { lines(&marks) };
    let mut report = Report::new(&json, text)?;
    let given = path.display();
    if volumes.is_empty() {
        report.notes.push(format!("{given} has no volumes"));
    } else if marks.is_empty() {
        report.notes.push(format!("{given} has no marks"));
    }
    Ok(report)
}

/// For programs: volume, mark, state, LSN, blocks, time, between tabs.
fn lines(marks: &[(&Listed, &Mark)]) -> String {
    let line = |(volume, mark): &(&Listed, &Mark)| {
        let (volume, name) = (show::plain(&volume.name), show::plain(&mark.name));
        let (state, time) = (state_name(mark.state), show::time(mark.time));
        format!("{volume}\t{name}\t{state}\t{}\t{}\t{time}", mark.lsn, mark.blocks)
    };
    marks.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn table(marks: &[(&Listed, &Mark)]) -> String {
    if marks.is_empty() {
        return String::new();
    }
    let now = dbrewind_volume::Timestamp::now();
    let row = |(volume, mark): &(&Listed, &Mark)| {
        let style = if mark.state == MarkState::Archived { show::GOOD } else { show::BAD };
        vec![
            Cell::new(&volume.name),
            Cell::styled(&mark.name, show::STRONG),
            Cell::styled(state_name(mark.state), style),
            Cell::new(mark.lsn.to_string()),
            Cell::new(show::age(mark.time, now)),
            Cell::new(if mark.pinned { "pinned" } else { "" }),
        ]
    };
    let rows: Vec<_> = marks.iter().map(row).collect();
    show::table(&["VOLUME", "MARK", "STATE", "LSN", "SET", ""], &rows)
}

fn status(store: &VolumeStore, recorders: Vec<Process>, volumes: &[Listed]) -> Result<Report, Failure> {
    let room = volumes.first().map(|Listed { status, .. }| RoomFields {
        used: status.used,
        raw: status.raw,
        sealed: status.sealed,
        limit: status.limit,
        target: in_seconds(status.target),
        forecast: status.forecast.map(in_seconds),
    });
    let told = StoreStatus {
        store: store.folder().display().to_string(),
        room,
        recorders,
        volumes: volumes.iter().map(status_of).collect(),
    };
    let text = text(&told, volumes);
    Report::new(&told, text)
}

fn status_of(volume: &Listed) -> VolumeStatus<'_> {
    let status = &volume.status;
    VolumeStatus {
        name: &volume.name,
        block_size: volume.block_size,
        attached: volume.attached,
        stopped: volume.stopped.map(Code::text),
        now: volume.now.map(dbrewind_volume::Lsn::get),
        state: state_word(status.state),
        window: in_seconds(status.window),
        earliest: status.earliest.map(|(lsn, _)| lsn.get()),
        earliest_time: maybe_time(status.earliest.map(|(_, time)| time)),
        pins: status.pins.iter().map(PinFields::of).collect(),
        marks: status.marks.into(),
    }
}

fn text(told: &StoreStatus<'_>, volumes: &[Listed]) -> String {
    let (strong, store) = (show::STRONG, show::plain(&told.store));
    let recorders = match told.recorders.as_slice() {
        [] => "nobody that this user can see".to_owned(),
        all => all.iter().map(Process::shown).collect::<Vec<_>>().join(", "),
    };
    let Some(room) = &told.room else { return format!("{strong}{store}{strong:#} has no volumes") };
    let mut lines = vec![
        format!("{strong}{store}{strong:#}, a store of volumes"),
        format!("takes     {} of {}", show::bytes(room.used), show::bytes(room.limit)),
        format!("recorded  by {}", show::plain(&recorders)),
    ];
    lines.extend(volumes.iter().map(line_of));
    lines.join("\n")
}

fn line_of(volume: &Listed) -> String {
    let (strong, name) = (show::STRONG, show::plain(&volume.name));
    let kind = match volume.block_size {
        0 => "records".to_owned(),
        size => format!("blocks of {size} bytes"),
    };
    let state = match volume.stopped {
        Some(code) => format!("stopped ({code}: {})", code.title()),
        None => state_word(volume.status.state).to_owned(),
    };
    let style = if volume.status.state == WindowState::Ok { show::GOOD } else { show::BAD };
    let attached = if volume.attached { "attached" } else { "not attached" };
    let reaches = match volume.status.earliest {
        Some((_, time)) => {
            format!("reaches back {}, to {}", show::span(volume.status.window), show::time(time))
        }
        None => "reaches nowhere yet".to_owned(),
    };
    let marks = &volume.status.marks;
    format!(
        "volume    {strong}{name}{strong:#}, {kind}: {style}{state}{style:#}, {attached}; {reaches}; marks: {} to go to, {} evicted, {} lost",
        marks.archived, marks.evicted, marks.lost
    )
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

//! What a store says, in words and in bytes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use dbrewind_core::{
    Cursor, Head, Key, Kind, Location, Lsn, ObjectId, Source, Store, StoreOptions, Timeline,
};
use dbrewind_sqlite::fuzzing::describe_note;
use dbrewind_volume::fuzzing::describe_note as describe_note_of_a_volume;
use xxhash_rust::xxh3::xxh3_64;

use super::{keyed, volume};

/// What was read.
pub struct Told {
    /// Records, then for each object its eras, moments, marks and notes; a line for each.
    pub history: String,
    /// The shared words: of a store whose control file is gone they are not to be had.
    pub registers: String,
    /// For each mark that can be reached its LSN and the whole content there, byte for byte.
    pub states: Vec<(u64, Vec<u8>)>,
}

/// Reads a store and all the states it can go to.
///
/// # Errors
/// When anything of it cannot be read.
pub fn tell(store: &Path, database: &Path) -> Result<Told, String> {
    let store = Store::open(store, &StoreOptions::default()).map_err(|error| error.to_string())?;
    let present = fs::read(database).map_err(|error| error.to_string())?;
    let mut told = Told { history: String::new(), registers: String::new(), states: Vec::new() };
    records(&store, &mut told.history)?;
    let objects = store.objects().map_err(|error| error.to_string())?;
    for (object, name) in objects {
        line(&mut told.history, &format!("object {object} {name:?}"));
        history(&store, (object, &name), &present, &mut told)?;
        let registers: Vec<u64> = (0..7).map(|index| store.register(object, index)).collect();
        line(&mut told.registers, &format!("object {object} registers {registers:?}"));
    }
    Ok(told)
}

fn line(out: &mut String, text: &str) {
    let _infallible = writeln!(out, "{text}");
}

fn records(store: &Store, out: &mut String) -> Result<(), String> {
    let mut found: Vec<(Head, Location)> = Vec::new();
    store
        .scan(&mut Cursor::default(), &mut |head, at, _| found.push((head, at)))
        .map_err(|error| error.to_string())?;
    for (head, at) in found {
        let record = store.read(at).map_err(|error| error.to_string())?;
        let Head { kind, flags, object, key, lsn } = head;
        let (len, hash) = (record.body.len(), xxh3_64(&record.body));
        let note = (kind == Kind::Note).then(|| described(key.get(), &record.body)).flatten();
        line(
            out,
            &format!(
                "{at}: {kind:?} flags {flags} object {object} key {} lsn {lsn} body {len} bytes {hash:016x}{}",
                key.get(),
                note.map(|note| format!(" {note}")).unwrap_or_default()
            ),
        );
    }
    Ok(())
}

fn described(tag: u64, body: &[u8]) -> Option<String> {
    describe_note(tag, body).or_else(|| describe_note_of_a_volume(tag, body))
}

fn history(
    store: &Store,
    (object, name): (ObjectId, &str),
    present: &[u8],
    told: &mut Told,
) -> Result<(), String> {
    let mut timeline = Timeline::new(object);
    timeline.catch_up(store).map_err(|error| error.to_string())?;
    let out = &mut told.history;
    line(out, &format!("  era {:?}", timeline.era()));
    line(
        out,
        &format!("  last {} highest {} {}", timeline.last(), timeline.highest(), timeline.highest_said()),
    );
    for rewind in timeline.rewinds() {
        line(out, &format!("  {rewind:?}"));
    }
    for lsn in (0..=timeline.highest().get()).map(Lsn::new) {
        let (extent, reachable) = (timeline.extent_at(lsn), timeline.reachable(lsn).is_ok());
        line(
            out,
            &format!("  lsn {lsn} is {} extent {extent:?} reachable {reachable}", timeline.canonical(lsn)),
        );
    }
    let marks: Vec<_> = timeline.marks().cloned().collect();
    let sizes = store.objects_named(name).map_err(|error| error.to_string())?;
    let keyed = sizes.contains(&(object, 0));
    for mark in &marks {
        // What a mark says since the first stories were written is left out where it says nothing.
        let told = format!("  {mark:?}").replace(", evicted: false, pinned: false", "");
        let moved = timeline.reached_by(mark.lsn) != mark.lsn;
        match told.split_once(", stand_in: ") {
            Some((told, _)) if !moved => line(out, &format!("{told} }}")),
            _ => line(out, &told),
        }
    }
    for mark in marks.iter().filter(|mark| !mark.lost && !mark.evicted) {
        let at = timeline.reached_by(mark.lsn);
        let state = match name.starts_with("//volume/") {
            true if keyed => keyed::state(store, &timeline, at, present)?,
            true => state_of_a_volume(store, &timeline, at, present)?,
            false => state(store, &timeline, at, present)?,
        };
        let text = format!("  state at {} has {} bytes {:016x}", mark.lsn, state.len(), xxh3_64(&state));
        line(&mut told.history, &text);
        told.states.push((mark.lsn.get(), state));
    }
    Ok(())
}

/// The whole content at a moment, put together from the store and from what is there now.
fn state(store: &Store, timeline: &Timeline, at: Lsn, present: &[u8]) -> Result<Vec<u8>, String> {
    let plan = timeline.plan(timeline.last(), at).map_err(|error| error.to_string())?;
    let images: Vec<_> =
        plan.items.iter().filter(|(_, source)| matches!(source, Source::Record(_))).collect();
    let size = match images.first() {
        Some((_, Source::Record(at))) => store.read(*at).map_err(|error| error.to_string())?.body.len(),
        _ => 512,
    };
    let page = |key: Key| {
        let from = usize::try_from(key.get() - 1).unwrap_or(usize::MAX).saturating_mul(size);
        present.get(from..from.saturating_add(size)).map_or_else(|| vec![0; size], <[u8]>::to_vec)
    };
    let mut whole = Vec::new();
    for key in (1..=plan.extent.get()).map(Key::new) {
        let source = plan.items.binary_search_by_key(&key, |(key, _)| *key).ok().map(|at| plan.items[at].1);
        whole.extend(match source {
            Some(Source::Record(at)) => store.read(at).map_err(|error| error.to_string())?.body,
            Some(Source::Zero) => vec![0; size],
            Some(Source::Base | Source::Current) | None => page(key),
        });
    }
    Ok(whole)
}

/// The same of a volume of blocks: its first key is its length in bytes, the others are its blocks.
fn state_of_a_volume(store: &Store, timeline: &Timeline, at: Lsn, present: &[u8]) -> Result<Vec<u8>, String> {
    let plan = timeline.plan(timeline.last(), at).map_err(|error| error.to_string())?;
    let block = volume::BLOCK as usize;
    let recorded =
        |key: Key| match plan.items.binary_search_by_key(&key, |(key, _)| *key).map(|at| plan.items[at].1) {
            Ok(Source::Record(at)) => {
                store.read(at).map(|record| Some(record.body)).map_err(|error| error.to_string())
            }
            Ok(Source::Zero) => Ok(Some(Vec::new())),
            _ => Ok(None),
        };
    let mut whole = Vec::new();
    for key in 2..=plan.extent.get() {
        let from = (key as usize - 2) * block;
        let there =
            present.get(from.min(present.len())..(from + block).min(present.len())).unwrap_or_default();
        // What is recorded of a block of zeros is nothing.
        let mut image = recorded(Key::new(key))?.unwrap_or_else(|| there.to_vec());
        image.resize(block, 0);
        whole.extend(image);
    }
    let length = recorded(Key::new(1))?.map_or(Ok(present.len()), |image| {
        image
            .try_into()
            .map(|image| u64::from_le_bytes(image) as usize)
            .map_err(|_| "a length has 8 bytes".to_owned())
    })?;
    whole.truncate(length);
    Ok(whole)
}

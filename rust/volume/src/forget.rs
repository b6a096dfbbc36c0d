//! The names of volumes in a store, and the end of one.

use dbrewind_core::{
    Code, DropBody, Engine, FORGOTTEN, Head, Key, Kind, Lsn, MarkName, ObjectId, Store, Timeline,
};

use crate::error::Error;
use crate::store::VolumeStore;

/// What the names of volumes begin with in a store. No path does.
pub(crate) const PREFIX: &str = "//volume/";

/// The object of a volume that has images of this size; and whether it was forgotten before.
pub(crate) fn remember(store: &Store, name: &str, key_size: u32) -> Result<(ObjectId, bool), Error> {
    let (known, forgotten) = (format!("{PREFIX}{name}"), format!("{FORGOTTEN}{name}"));
    let of_size = |found: &(ObjectId, u32)| found.1 == key_size;
    if !store.objects_named(&known)?.iter().any(of_size)
        && let Some((object, _)) = store.objects_named(&forgotten)?.into_iter().find(of_size)
    {
        let mut history = Timeline::lazy(object);
        history.catch_up(store)?;
        let newest = history.highest();
        if store.objects_named(&forgotten)?.iter().any(|(found, _)| *found == object) {
            // There may have been no room for that. Those of somebody who remembers it at the same time are newer.
            drop_marks(store, object, newest)?;
            store.rename_object(object, &known)?;
        }
        return Ok((object, true));
    }
    Ok((store.object(&known, key_size)?, false))
}

impl VolumeStore {
    /// Forgets the volume of this name, whatever its content is made of: its marks are dropped, pinned ones too, and its history no longer keeps the
    /// store from evicting. Whoever attaches to the name later begins anew.
    ///
    /// # Errors
    /// `DBR022` when there is none, `DBR004` when somebody has it attached: nothing is forgotten then.
    pub fn forget(&self, name: &str) -> Result<(), Error> {
        let store = &self.0;
        store.check_in_place()?;
        let checked =
            MarkName::new(name).map_err(|error| Error::Invalid { what: format!("the volume: {error}") })?;
        let objects = store.objects_named(&format!("{PREFIX}{}", checked.as_str()))?;
        if objects.is_empty() {
            return Err(Error::Invalid { what: format!("there is no volume {name:?} in this store") });
        }
        let mut alone = Vec::new();
        for (object, _) in &objects {
            let what = "somebody has this volume attached";
            let waited = std::time::Duration::ZERO;
            alone.push(store.attend_alone(*object)?.ok_or(Error::Busy { what, waited })?);
        }
        for (object, _) in objects {
            end(store, object, &format!("{FORGOTTEN}{}", checked.as_str()))?;
        }
        Ok(())
    }
}

/// Says that what comes later has nothing to do with what was, and takes the name and all marks away. In a full store, too: the name alone lets
/// evictions take the rest; marks take nothing of what is left for that, and are dropped at the latest before the volume begins anew.
fn end(store: &Store, object: ObjectId, forgotten: &str) -> Result<(), Error> {
    let mut history = Timeline::lazy(object);
    history.catch_up(store)?;
    if history.era().is_some() {
        let highest = history.highest().max(store.last_lsn(object));
        let lsn = highest.next().ok_or(Error::Damaged { what: "the LSNs are used up" })?;
        let extent = history.extent_at(history.last()).unwrap_or_default();
        unless_full(store.append_era(object, (Engine::Rollback, lsn), (extent, true), &[]))?;
    }
    store.rename_object(object, forgotten)?;
    if store.is_short_of_room() {
        store.make_room();
    }
    unless_full(drop_marks(store, object, Lsn::new(u64::MAX)))
}

fn unless_full<E: Into<Error>>(said: Result<(), E>) -> Result<(), Error> {
    match said.map_err(Into::into) {
        Err(error) if error.code() == Code::StoreFull => Ok(()),
        other => other,
    }
}

/// Drops the marks of moments up to this one. Takes nothing of what is left to evictions: without it nothing is kept that could go.
fn drop_marks(store: &Store, object: ObjectId, upto: Lsn) -> Result<(), Error> {
    let mut history = Timeline::lazy(object);
    let _names = store.lock_names()?;
    history.catch_up(store)?;
    let dropped: Vec<(MarkName, Lsn)> =
        history.marks().map(|mark| (mark.name.clone(), mark.lsn)).filter(|(_, lsn)| *lsn <= upto).collect();
    for (name, lsn) in dropped {
        let body = DropBody { time: store.time(object), name };
        let head = Head::new(Kind::Drop, object, Key::new(0), history.last().max(lsn));
        store.append(head, &[&body.encode()])?;
    }
    Ok(())
}

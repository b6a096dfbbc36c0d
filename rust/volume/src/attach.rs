//! The first look at the content, and the last: is the history kept or lost (`rust/docs/volumes.md`).

use dbrewind_core::{Engine, Kind, Lsn, MarkName, Need, ObjectLock};

use crate::blocks::Blocks;
use crate::content::Content;
use crate::error::Error;
use crate::forget::remember;
use crate::identity::{Identity, Joined, join};
use crate::intent::tag;
use crate::medium::{KeyedMedium, Medium};
use crate::options::AttachOptions;
use crate::registers::InFlight;
use crate::settle::pending;
use crate::store::VolumeStore;
use crate::volume::{State, Volume};

/// The longest stamp.
const LONGEST_STAMP: usize = 4096;

/// Which history the content has, as far as that is known before anybody looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum History {
    /// None: it is a new one.
    Begins,
    /// That of this content, if it is that of any: nobody else has it attached.
    Of(Identity),
    /// That of the others, who have the same content attached.
    Kept,
}

impl Volume {
    /// Attaches to the volume of this name: its content is recorded from now on. `block`: the size of a block in bytes, a power of two
    /// from 16 to 1,048,576, always the same for one volume.
    ///
    /// # Errors
    /// `DBR022` for a name or a block size that cannot be, `DBR004` when the engine's lock is not free or others have another content
    /// attached under this name, `DBR018` when a rewind of another one is half done, `DBR015` when one is that a newer version
    /// began and this one cannot finish (attach with that version, or `anew`), `DBR025` when a callback fails. Then nothing is recorded.
    pub fn attach(
        store: &VolumeStore,
        name: &str,
        block: u32,
        medium: impl Medium + 'static,
        options: &AttachOptions,
    ) -> Result<Self, Error> {
        let content = Content::Blocks(Blocks::new(block)?, Box::new(medium));
        Self::attach_content(store, name, content, options)
    }

    /// Attaches to the volume of this name, the content of which is records under keys. One of blocks with the same name is another volume.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub fn attach_keyed(
        store: &VolumeStore,
        name: &str,
        medium: impl KeyedMedium + 'static,
        options: &AttachOptions,
    ) -> Result<Self, Error> {
        Self::attach_content(store, name, Content::Records(Box::new(medium)), options)
    }

    fn attach_content(
        store: &VolumeStore,
        name: &str,
        content: Content,
        options: &AttachOptions,
    ) -> Result<Self, Error> {
        // The same is asked of it, for the same reasons.
        let name =
            MarkName::new(name).map_err(|error| Error::Invalid { what: format!("the volume: {error}") })?;
        let store = store.0.clone();
        store.check_in_place()?;
        let identity = Identity::of(content.storage())?;
        let (object, remembered) = remember(&store, name.as_str(), content.block_size())?;
        let locked = store.lock_object(object, options.timeout)?;
        let Joined { presence, first } = join(&store, object, identity, options)?;
        // From here on nobody can forget it; somebody may have before.
        let remembered = remember(&store, name.as_str(), content.block_size())?.1 || remembered;
        let volume = Self::new(store, presence, name.as_str(), content, options);
        let history = match (options.anew || remembered, first) {
            (true, _) => History::Begins,
            (false, true) => History::Of(identity),
            (false, false) => History::Kept,
        };
        if let Err(error) = volume.look(&locked, history).and_then(|()| volume.admit_others()) {
            // Nothing of it is ours to note.
            volume.abandon();
            return Err(error);
        }
        let registers = volume.registers();
        if first || !registers.identity().is_known() {
            registers.set_identity(identity);
        }
        drop(locked);
        Ok(volume)
    }

    fn look(&self, _: &ObjectLock, history: History) -> Result<(), Error> {
        let _locked = self.lock(self.timeout)?;
        let mut state = self.state();
        state.rewinds = self.registers().rewinds();
        let known = {
            let mut history = self.history();
            self.catch_up(&mut history, self.timeout)?;
            history.era().is_some()
        };
        if !known {
            self.begin_era(false)?;
        } else if history == History::Begins || self.is_replaced(history)? || !self.is_kept(&mut state)? {
            self.begin_era(true)?;
        } else {
            self.restore_boundary(self.store.boot_changed(self.object))?;
        }
        self.store.confirm_boot(self.object);
        Ok(())
    }

    /// Whether the history is certainly that of another content. Refuses when that one waits for the end of a rewind.
    fn is_replaced(&self, history: History) -> Result<bool, Error> {
        let History::Of(own) = history else { return Ok(false) };
        // What numbers devices have is decided by each start of the machine; and the stamp tells then.
        if self.store.boot_changed(self.object) || !own.differs(self.registers().identity()) {
            return Ok(false);
        }
        match self.registers().in_flight() {
            InFlight::Rewind => Err(Error::Replaced),
            InFlight::Nothing | InFlight::Change => Ok(true),
        }
    }

    /// Whether the content is the newest recorded moment. What is in flight is settled on the way.
    fn is_kept(&self, state: &mut State) -> Result<bool, Error> {
        if self.store.broken(self.object).is_some() {
            if self.registers().in_flight() == InFlight::Rewind {
                // The history is lost; the content shall be whole.
                self.settle(state)?;
            }
            return Ok(false);
        }
        if self.store.boot_changed(self.object) {
            return self.outlasted_power_cut(state);
        }
        let registers = self.registers();
        if registers.in_flight() != InFlight::Nothing {
            self.settle(state)?;
            return Ok(true);
        }
        let stamp = self.closing_stamp()?;
        if !registers.opened()
            && let Some(stamp) = stamp
            && stamp != self.stamp()?
        {
            return Ok(false);
        }
        self.has_recorded_length()
    }

    /// After a start of the machine: the page cache may have been lost, of the content and of the store.
    fn outlasted_power_cut(&self, state: &mut State) -> Result<bool, Error> {
        let registers = self.registers();
        let announced = self.store.last_lsn(self.object);
        let (last, unfinished) = {
            let history = self.history();
            (history.last(), pending(&history)?)
        };
        if let Some((_, intent)) = unfinished
            && intent.synced
            && self.content.storage().syncs()
        {
            self.finish_rewind(state, true)?;
            return Ok(false);
        }
        let Some(stamp) = self.closing_stamp()? else { return Ok(false) };
        if unfinished.is_some()
            || announced > last
            || !self.content.storage().syncs()
            || stamp != self.stamp()?
        {
            return Ok(false);
        }
        registers.set_in_flight(InFlight::Nothing);
        registers.set_opened(false);
        self.has_recorded_length()
    }

    /// The stamp of the newest note, if that says that the content is at rest.
    fn closing_stamp(&self) -> Result<Option<Vec<u8>>, Error> {
        let mut history = self.history();
        self.catch_up(&mut history, self.timeout)?;
        let opened = history.notes(tag::OPENED).last().map(|note| note.at);
        let closed = history.notes(tag::CLOSED).last();
        let newest = closed.filter(|closed| opened.is_none_or(|opened| opened < closed.at));
        Ok(newest.map(|note| note.body.to_vec()))
    }

    fn has_recorded_length(&self) -> Result<bool, Error> {
        let found = self.extent(self.size()?);
        let history = self.history();
        Ok(history.extent_at(history.last()) == Some(found))
    }

    /// Refuses when the length is not the recorded one.
    pub(crate) fn check_length(&self, size: u64) -> Result<(), Error> {
        let history = self.history();
        let known = history.extent_at(history.last()).unwrap_or_default();
        if self.extent(size) == known {
            return Ok(());
        }
        Err(Error::NotAttached { found: size, known: known.get().saturating_sub(1) })
    }

    fn stamp(&self) -> Result<Vec<u8>, Error> {
        let stamp = self.content.storage().stamp().map_err(Error::medium("tell its stamp"))?;
        if stamp.len() > LONGEST_STAMP {
            let what = format!("a stamp has at most {LONGEST_STAMP} bytes, not {}", stamp.len());
            return Err(Error::Invalid { what });
        }
        Ok(stamp)
    }

    /// Begins an era with the present content. Under the engine's lock and the object's.
    fn begin_era(&self, broken: bool) -> Result<Lsn, Error> {
        let extent = self.extent(self.size()?);
        let mut history = self.history();
        self.catch_up(&mut history, self.timeout)?;
        let highest = history.highest().max(self.store.last_lsn(self.object));
        let lsn = highest.next().ok_or(Error::Damaged { what: "the LSNs are used up" })?;
        self.store.append_era(self.object, (Engine::Rollback, lsn), (extent, broken), &[])?;
        self.catch_up(&mut history, self.timeout)?;
        let registers = self.registers();
        registers.set_boundary(lsn, extent);
        registers.set_opened(false);
        registers.set_in_flight(InFlight::Nothing);
        self.store.clear_broken(self.object);
        Ok(lsn)
    }

    /// Notes what the content looks like at rest.
    pub(crate) fn note_rest(&self) -> Result<(), Error> {
        self.refuse_own_change()?;
        let _object = self.store.lock_object(self.object, self.timeout)?;
        let _locked = self.lock(self.timeout)?;
        let mut state = self.state();
        self.check_recording()?;
        self.settle(&mut state)?;
        state.writing = false;
        if !self.registers().opened() && self.closing_stamp()?.is_some() {
            return Ok(());
        }
        if self.content.storage().syncs() {
            self.sync_medium()?;
        }
        let stamp = self.stamp()?;
        let lsn = self.store.last_lsn(self.object);
        self.store.append_in_need(Need::Keep, self.head(Kind::Note, tag::CLOSED, lsn), &[&stamp])?;
        if self.content.storage().syncs() {
            self.store.sync()?;
        }
        self.registers().set_opened(false);
        Ok(())
    }
}

//! Changes of the journal mode in the model test: the application's, and the recording's own.

use crate::protocol::Request;
use crate::world::World;

impl World {
    /// To WAL or away from it. Nobody loses a mark by it, unless the pages have another size than when the
    /// history began.
    pub(crate) fn change_journal(&mut self) {
        self.quieten();
        if self.setup.is_wal() {
            self.leave_wal();
        } else if self.rng.chance(60) {
            self.switch_to_wal();
        } else {
            self.enter_wal();
        }
        for file in 0..self.files.len() {
            self.compare_marks(file, false);
        }
    }

    /// A recorded connection sets the mode, and work goes on before anybody asks the recording.
    fn switch_to_wal(&mut self) {
        let index = self.rng.index(2);
        self.note(format!("{} switches to WAL", self.members[index].peer.name));
        let peer = &mut self.members[index].peer;
        peer.must("pragma busy_timeout=5000");
        for schema in ["main", "s"] {
            let mode = peer.must(&format!("pragma {schema}.journal_mode=wal"));
            assert_eq!(mode, [["wal"]], "{schema}");
        }
        self.setup.journal = "wal";
        self.lose_other_sizes();
        for _ in 0..self.rng.below(4) {
            self.work();
        }
    }

    /// The recording sets it when it begins anew.
    fn enter_wal(&mut self) {
        self.note("recording ends, and begins with journal=wal");
        self.detach();
        self.setup.journal = "wal";
        self.attach_again();
        self.lose_other_sizes();
    }

    /// The recording ends WAL mode, which needs everybody else away.
    fn leave_wal(&mut self) {
        self.note("recording ends, and begins with journal=delete");
        for member in &mut self.members {
            member.peer.ask(Request::Close).ok();
        }
        self.detach();
        self.setup.journal = self.setup.rollback;
        let options = self.setup.recording();
        for file in &mut self.files {
            let path = file.path.to_str().expect("UTF-8").to_owned();
            let first = file.recorders.first_mut().expect("a recorder");
            first.ask(Request::LeaveWal { path, options: options.clone() }).ok();
            first.ask(Request::Marks).ok();
        }
        self.attach_others();
        for index in 0..self.members.len() {
            self.connect(index);
        }
    }

    fn detach(&mut self) {
        for file in &mut self.files {
            for recorder in &mut file.recorders {
                recorder.ask(Request::Detach).ok();
            }
        }
    }

    /// Pages that are no longer the blocks of a history make an end of it when WAL begins.
    fn lose_other_sizes(&mut self) {
        for index in 0..self.files.len() {
            let size = self.image(index).page_size;
            let file = &mut self.files[index];
            if size == file.block {
                continue;
            }
            file.block = size;
            for moment in &mut file.moments {
                moment.lost = true;
            }
            self.history.push(format!("file {index} has pages of {size} bytes now: all is lost"));
        }
    }
}

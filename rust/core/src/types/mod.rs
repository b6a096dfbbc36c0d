//! One value type a file: no bare `u64` stands for a sequence number, a key or a count.

mod clock;
mod extent;
mod key;
mod location;
mod lsn;
mod mark_name;
mod object_id;
mod segment_id;
mod target;
mod time_text;
mod timestamp;

pub use clock::{Clock, ManualClock};
pub use extent::Extent;
pub use key::Key;
pub use location::Location;
pub use lsn::Lsn;
pub use mark_name::{MarkName, MarkNameError};
pub use object_id::ObjectId;
pub use segment_id::SegmentId;
pub use target::{RewindOptions, Target, TargetError};
pub use timestamp::Timestamp;

use std::sync::{Arc, OnceLock};

use crate::segment::Segment;

type Row = Box<[OnceLock<Arc<Segment>>]>;

/// The mapped segments, by id. Looking one up takes no lock; none is ever taken out.
#[derive(Debug)]
pub(crate) struct Table {
    /// Row `r` has the ids from `2^r` on, `2^r` of them.
    rows: [OnceLock<Row>; 32],
}

impl Table {
    /// No segments yet.
    pub(crate) fn new() -> Self {
        Self { rows: [const { OnceLock::new() }; 32] }
    }

    /// The segment, if it is mapped.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&Arc<Segment>> {
        let row = id.checked_ilog2()?;
        self.rows.get(row as usize)?.get()?.get((id - (1 << row)) as usize)?.get()
    }

    /// Adds a segment, unless somebody else did so first; answers the one that is there now.
    pub(crate) fn insert(&self, id: u32, segment: Segment) -> Option<&Arc<Segment>> {
        let row = id.checked_ilog2()?;
        let cells = self.rows.get(row as usize)?.get_or_init(|| {
            let mut cells = Vec::new();
            cells.resize_with(1 << row, OnceLock::new);
            cells.into_boxed_slice()
        });
        Some(cells.get((id - (1 << row)) as usize)?.get_or_init(|| Arc::new(segment)))
    }
}

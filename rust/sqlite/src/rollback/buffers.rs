/// Memory that one rewind leaves to the next: fresh pages cost more than what is written to them.
#[derive(Default, Debug)]
pub(super) struct Buffers {
    /// For images.
    pub(super) images: Vec<u8>,
    /// For the guard.
    pub(super) journal: Vec<u8>,
}

/// Keeps a buffer, whatever is in it, unless it is large.
pub(super) fn reusable(buffer: Vec<u8>) -> Vec<u8> {
    if buffer.capacity() > 8 << 20 { Vec::new() } else { buffer }
}

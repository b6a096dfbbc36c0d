/// Sizes of the first and of the longest segment of a store, in bytes, if the environment variable
/// `DBREWIND_STORE_SEGMENTS` has them (`4096 65536`): a test whose log soon leaves segments. What the log has left is
/// looked after at once then.
#[must_use]
pub fn small_segments() -> Option<(u64, u64)> {
    let text = std::env::var("DBREWIND_STORE_SEGMENTS").ok()?;
    let (first, max) = text.split_once(' ')?;
    Some((first.parse().ok()?, max.parse().ok()?))
}

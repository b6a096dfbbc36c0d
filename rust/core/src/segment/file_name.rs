/// Ending of a segment that is being made, or sealed.
pub(crate) const TEMPORARY: &str = ".tmp";

/// File name of a segment.
pub(crate) fn file_name(id: u32) -> String {
    format!("{id:016x}.seg")
}

/// File name of a sealed segment.
pub(crate) fn sealed_name(id: u32) -> String {
    format!("{id:016x}.zst")
}

/// The segment a file name belongs to, or `None` for the name of something else.
pub(crate) fn id_of(name: &str) -> Option<u32> {
    let id = u32::from_str_radix(name.strip_suffix(".seg")?, 16).ok()?;
    (file_name(id) == name).then_some(id)
}

/// The sealed segment a file name belongs to, or `None` for the name of something else.
pub(crate) fn sealed_id_of(name: &str) -> Option<u32> {
    let id = u32::from_str_radix(name.strip_suffix(".zst")?, 16).ok()?;
    (sealed_name(id) == name).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_not_taken_for_one() {
        assert_eq!(file_name(26), "000000000000001a.seg");
        assert_eq!(id_of("000000000000001a.seg"), Some(26));
        assert_eq!(sealed_name(26), "000000000000001a.zst");
        assert_eq!(sealed_id_of("000000000000001a.zst"), Some(26));
        for other in
            ["1a.seg", "000000000000001A.seg", "000000000000001a.seg.tmp", "control", "+00000000000001a.seg"]
        {
            assert_eq!(id_of(other), None, "{other}");
            assert_eq!(sealed_id_of(&other.replace("seg", "zst")), None, "{other}");
        }
    }
}

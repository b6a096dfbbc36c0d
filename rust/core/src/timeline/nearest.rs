/// The name closest to a text by edits, if one is close enough to have been meant.
pub(super) fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text: Vec<char> = text.chars().collect();
    let most = (text.len() / 3).max(1);
    names
        .filter(|name| name.chars().count().abs_diff(text.len()) <= most)
        .map(|name| (edits(&text, name), name))
        .filter(|(edits, _)| *edits <= most)
        .min()
        .map(|(_, name)| name)
}

/// How many characters must be put in, taken out or changed to make one text of the other.
fn edits(from: &[char], to: &str) -> usize {
    // The row of the usual table for the characters of `to` seen so far.
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (seen, wanted) in to.chars().enumerate() {
        let mut diagonal = seen;
        let mut left = seen + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (have, &above) in from.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(*have != wanted)).min(above + 1).min(left + 1);
            diagonal = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        let edits = |from: &str, to| edits(&from.chars().collect::<Vec<_>>(), to);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", ""), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("seeded", "seeded"), 0);
        assert_eq!(edits("flaw", "lawn"), 2);
    }

    #[test]
    fn a_slip_finds_the_name_and_another_word_does_not() {
        let names = ["seeded", "empty", "migrated"];
        assert_eq!(nearest("sedeed", names.into_iter()), Some("seeded"));
        assert_eq!(nearest("migrate", names.into_iter()), Some("migrated"));
        assert_eq!(nearest("orders", names.into_iter()), None);
        assert_eq!(nearest("x", [].into_iter()), None);
    }
}

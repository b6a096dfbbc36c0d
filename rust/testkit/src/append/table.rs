use super::campaign::Summary;
use super::taken::Series;

impl Summary {
    /// The lines of a text with tables that says what came of it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let Self { kills, rounds, stores, told, records, given_up, .. } = self;
        let megabytes = self.bytes / 1_000_000;
        let mut lines = vec![
            format!(
                "{kills} writers killed by SIGKILL at {rounds} moments, one, two or all four at once, while four appended as fast as they \
                 could; {stores} stores.\n"
            ),
            "| | |\n|---|---|".to_owned(),
            format!("| records told of as appended, by those who were killed | {told} |"),
            format!("| records found, {megabytes} MB, each compared twice with what was written | {records} |"),
            "| told of and not found | 0 |\n| not as written, twice, or out of order | 0 |".to_owned(),
            format!("| kills in the midst of an append: reservations given up | {given_up} |\n"),
            "The run ends at the first record that is lost or wrong.\n".to_owned(),
            match self.apart {
                true => "The survivor that is measured has a processor that no writer uses.",
                false => "The survivor that is measured shares its processor with the writers: times count for little.",
            }
            .to_owned()
                + " *own* is without the time in which it could have gone on and had no processor, and at most 10 us too high; *slept* \
                   is how many of the calls waited for a lock, or for the disk.\n",
            "| us | calls | median | p99 | longest | own p99 | own longest | own over 1 ms | slept |\n|---|---|---|---|---|---|---|---|---|"
                .to_owned(),
        ];
        lines.extend(self.series().map(|(what, series)| row(what, series)));
        lines
    }

    /// What was measured, by name.
    pub fn series(&self) -> impl Iterator<Item = (&'static str, &Series)> {
        let times = &self.times;
        [
            ("an append before the kill, four writers at work", &times.before),
            ("an append before the kill, on to another segment", &times.before_moving),
            ("next append, one or two killed, the others at work", &times.some),
            ("next append, one or two killed, on to another segment", &times.some_moving),
            ("next append, all four killed", &times.all),
            ("next append, all four killed, on to another segment", &times.all_moving),
            ("of these four, with a reservation of the killed before it", &times.behind),
            ("all four killed: until the next append can be read", &times.read),
        ]
        .into_iter()
    }
}

fn row(what: &str, series: &Series) -> String {
    let waits = series.waits();
    let ([median, most, longest], [_, own_most, own_longest]) = (waits.wall, waits.own);
    format!(
        "| {what} | {} | {median:.1} | {most:.1} | {longest:.1} | {own_most:.1} | {own_longest:.1} | {} | {} |",
        waits.calls, waits.over_a_millisecond, waits.slept
    )
}

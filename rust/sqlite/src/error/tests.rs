use super::*;

#[test]
fn texts_end_with_what_helps() {
    let there = |name: &str, nearest: Option<&str>, existing: &[String]| Error::MarkNotFound {
        name: name.into(),
        nearest: nearest.map(str::to_owned),
        existing: existing.into(),
    };
    let error = there("sed", Some("seed"), &["paid".into(), "seed".into()]);
    assert_eq!(
        error.to_string(),
        "there is no mark named \"sed\"; did you mean \"seed\"? There are \"paid\", \"seed\""
    );
    let many: Vec<String> = (0..10).map(|number| format!("m{number}")).collect();
    let text = there("other", None, &many).to_string();
    assert!(
        text.ends_with(
            "; there are \"m0\", \"m1\", \"m2\", \"m3\", \"m4\", \"m5\", \"m6\", \"m7\" and 2 more"
        ),
        "{text}"
    );
    assert!(there("other", None, &[]).to_string().ends_with("\"other\"; no mark is set"));
    assert_eq!(error.code(), Code::MarkNotFound);
    for (name, time) in [
        ("now", true),
        ("17:45", true),
        ("an hour ago", true),
        ("2026-11-22", true),
        ("5 minutes", true),
        ("known", false),
    ] {
        let text = there(name, None, &[]).to_string();
        assert_eq!(text.contains("\"5 minutes ago\""), time, "{text}");
    }
    let error = Error::Busy {
        what: "another connection has an open write transaction".into(),
        holder: Some("process 7".into()),
        waited: Duration::from_secs(1),
    };
    assert!(error.to_string().contains("transaction: process 7, waited 1.0s; end that"), "{error}");
    assert!(error.to_string().ends_with(", or raise the timeout"), "{error}");
    let error =
        Error::Busy { what: "this thread itself is in the way".into(), holder: None, waited: Duration::ZERO };
    assert!(!error.to_string().contains("timeout"), "{error}");
    assert!(Error::sqlite("x")(8).to_string().contains("check owner"), "{error}");
    assert!(Error::sqlite("mark")(5).to_string().starts_with("cannot mark, since another"), "{error}");
    assert_eq!(Error::sqlite("x")(5 | 2 << 8).code(), Code::Busy);
    assert_eq!(Error::sqlite("x")(8).code(), Code::NotWritable);
    for (code, help) in [(10 | 2 << 8, "look at the disk"), (11, "integrity_check")] {
        let text = Error::sqlite("read the database")(code).to_string();
        assert!(text.contains(&format!("result code {code} (")) && text.contains(help), "{text}");
    }
    let full = Error::sqlite("write the database")(13);
    assert_eq!(full.code(), Code::StoreFull);
    assert!(full.to_string().contains("the disk is full") && full.to_string().contains("free"), "{full}");
}

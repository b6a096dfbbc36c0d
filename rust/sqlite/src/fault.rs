//! Named places at which a test can end the process, as SIGKILL would: the boundaries between the steps in
//! `rust/docs/recovery.md`. Compiled out without the feature `fault`.

/// Ends the process here if it is this place's turn: `DBREWIND_FAULT_AT` is `n`, the n-th place that is passed,
/// or `n name`, the n-th time that the place of this name is. With `0` no place is; each tells its name once. Where `DBREWIND_FAULT_STOPS` is
/// set it is stopped there instead, until somebody has it go on.
#[cfg(feature = "fault")]
pub(crate) fn place(name: &str) {
    use std::sync::{LazyLock, Mutex, PoisonError};

    static LEFT: LazyLock<Mutex<Option<(u64, String)>>> = LazyLock::new(|| {
        let text = std::env::var("DBREWIND_FAULT_AT").unwrap_or_default();
        let (count, name) = text.split_once(' ').unwrap_or((&text, ""));
        Mutex::new(count.parse().ok().map(|count| (count, name.to_owned())))
    });
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((count, only)) = left.as_mut() else { return };
    if *count == 0 {
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.iter().any(|known| known == name) {
            eprintln!("place: {name}");
            told.push(name.to_owned());
        }
        return;
    }
    if !only.is_empty() && only != name {
        return;
    }
    *count = count.saturating_sub(1);
    if *count == 0 {
        eprintln!("fault: {name}");
        if std::env::var_os("DBREWIND_FAULT_STOPS").is_some() {
            *left = None;
            let own = std::process::id().to_string();
            let _ = std::process::Command::new("kill").args(["-STOP", &own]).status();
            // The signal is taken by any thread; this one must not go on before it is.
            std::thread::sleep(std::time::Duration::from_millis(500));
            return;
        }
        // No destructor, no exit handler: what the kernel does for a dead process is all that happens.
        std::process::abort();
    }
}

/// Nothing: not a test build.
#[cfg(not(feature = "fault"))]
#[inline(always)]
pub(crate) fn place(_name: &str) {}

/// Fails as often as this crate's test has asked for on its thread, after the system call that it stands for.
#[cfg(test)]
pub(crate) fn failure(name: &'static str) -> std::io::Result<()> {
    FAILURES.with_borrow_mut(|failures| {
        let Some(left) = failures.get_mut(name).filter(|left| **left > 0) else { return Ok(()) };
        *left -= 1;
        Err(std::io::Error::other("a test's failure"))
    })
}

#[cfg(test)]
thread_local! {
    static FAILURES: std::cell::RefCell<std::collections::HashMap<&'static str, u32>> = std::cell::RefCell::default();
}

/// From now on this place fails so many times on this thread.
#[cfg(test)]
pub(crate) fn fail(name: &'static str, times: u32) {
    FAILURES.with_borrow_mut(|failures| failures.insert(name, times));
}

/// Nothing: not a test of this crate.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn failure(_name: &'static str) -> std::io::Result<()> {
    Ok(())
}

//! Times as Python has them: `datetime`, which counts microseconds.

use dbrewind_core::Timestamp;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What [`from_python`] makes of an object.
pub(crate) enum Given {
    Time(Timestamp),
    /// A `datetime` that does not say in which time zone it is.
    Naive,
    /// No `datetime`.
    Else,
}

/// 1970-01-01, and the module it is from.
fn epoch(py: Python<'_>) -> PyResult<(Bound<'_, PyModule>, Bound<'_, PyAny>)> {
    let datetime = py.import("datetime")?;
    let utc = datetime.getattr("timezone")?.getattr("utc")?;
    let epoch = datetime.getattr("datetime")?.call1((1970, 1, 1, 0, 0, 0, 0, utc))?;
    Ok((datetime, epoch))
}

/// As an aware `datetime` in UTC; what is below a microsecond is cut off.
pub(crate) fn to_python(py: Python<'_>, time: Timestamp) -> PyResult<Bound<'_, PyAny>> {
    // Not `fromtimestamp(float)`: a double has no room for today's microseconds.
    let (datetime, epoch) = epoch(py)?;
    let since = PyDict::new(py);
    since.set_item("microseconds", time.get() / 1_000)?;
    epoch.add(datetime.getattr("timedelta")?.call((), Some(&since))?)
}

/// The last nanosecond of a `datetime`'s microsecond, so that the time of a moment leads to that moment.
pub(crate) fn from_python(given: &Bound<'_, PyAny>) -> PyResult<Given> {
    let (datetime, epoch) = epoch(given.py())?;
    if !given.is_instance(&datetime.getattr("datetime")?)? {
        return Ok(Given::Else);
    }
    if given.call_method0("utcoffset")?.is_none() {
        return Ok(Given::Naive);
    }
    let since = given.sub(epoch)?;
    let part = |name: &str| since.getattr(name)?.extract::<i64>();
    let microseconds = (part("days")? * 86_400 + part("seconds")?) * 1_000_000 + part("microseconds")?;
    // Before 1970: before every history. After 2554: after every one.
    let nanoseconds =
        u64::try_from(microseconds).map_or(0, |micros| micros.saturating_mul(1_000).saturating_add(999));
    Ok(Given::Time(Timestamp::new(nanoseconds)))
}

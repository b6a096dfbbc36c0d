//! The driver: a shared library, and what it exports (`include/dbrewind-driver.h`).
#![expect(unsafe_code, reason = "this module is the boundary to C")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// As in the header.
#[derive(Clone, Copy)]
#[repr(C)]
struct Table {
    size: usize,
    flags: u64,
    open: Option<unsafe extern "C" fn(*const c_char) -> *mut c_void>,
    close: Option<unsafe extern "C" fn(*mut c_void)>,
    step: Option<unsafe extern "C" fn(*mut c_void, u64) -> c_int>,
    digest: Option<unsafe extern "C" fn(*mut c_void, *mut u64) -> c_int>,
    mark: Option<unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int>,
    rewind: Option<unsafe extern "C" fn(*mut c_void, *const c_char, *mut u64) -> c_int>,
    undo: Option<unsafe extern "C" fn(*mut c_void, u64) -> c_int>,
    check: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
}

/// A driver that was loaded. It stays for the life of the process.
#[derive(Clone, Copy)]
pub(crate) struct Driver(Table);

/// An engine of it that is open.
pub(crate) struct Engine {
    table: Table,
    engine: *mut c_void,
}

// SAFETY: a driver that says that threads may use an engine is believed; others are used from one.
unsafe impl Sync for Engine {}

/// What the loader says of its last failure.
fn loader() -> String {
    // SAFETY: null or a C string that stays until the next call of the loader.
    let said = unsafe { libc::dlerror() };
    if said.is_null() {
        return "the loader does not say why".to_owned();
    }
    // SAFETY: as above.
    unsafe { CStr::from_ptr(said) }.to_string_lossy().into_owned()
}

impl Driver {
    /// Loads the library at a path.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let path = std::fs::canonicalize(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let path = CString::new(path.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
        // SAFETY: a C string. The library's initialisers are the user's to answer for.
        let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() {
            return Err(loader());
        }
        // SAFETY: a library that was loaded, and a C string.
        let found = unsafe { libc::dlsym(library, c"dbrewind_driver_get".as_ptr()) };
        if found.is_null() {
            return Err(loader());
        }
        // SAFETY: the header says that a function of this name has this type.
        let get: unsafe extern "C" fn() -> *const Table = unsafe { std::mem::transmute(found) };
        // SAFETY: it takes nothing.
        let table = unsafe { get() };
        if table.is_null() {
            return Err("dbrewind_driver_get answers NULL".to_owned());
        }
        // SAFETY: the header says that it points to a table, which begins with its size.
        let size = unsafe { table.cast::<usize>().read() };
        if size != size_of::<Table>() {
            return Err(format!(
                "the driver's table has {size} bytes, not {}: compile it anew",
                size_of::<Table>()
            ));
        }
        // SAFETY: as above, and it is as long as it should be.
        let table = unsafe { table.read() };
        let complete = table.open.is_some()
            && table.close.is_some()
            && table.step.is_some()
            && table.digest.is_some()
            && table.mark.is_some()
            && table.rewind.is_some()
            && table.undo.is_some();
        if complete { Ok(Self(table)) } else { Err("a function of the driver's table is NULL".to_owned()) }
    }

    pub(crate) fn is_persistent(&self) -> bool {
        self.0.flags & 1 != 0
    }

    pub(crate) fn has_threads(&self) -> bool {
        self.0.flags & 2 != 0
    }

    /// Opens the engine in a folder.
    pub(crate) fn open(&self, folder: &Path) -> Result<Engine, String> {
        let path = CString::new(folder.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
        let open = self.0.open.ok_or("no open")?;
        // SAFETY: the driver's function, and a C string.
        let engine = unsafe { open(path.as_ptr()) };
        if engine.is_null() {
            Err("open answers NULL".to_owned())
        } else {
            Ok(Engine { table: self.0, engine })
        }
    }
}

/// Has this process killed when the one that started it ends, however that comes.
pub(crate) fn end_with_parent() {
    // SAFETY: two numbers; it cannot fail with these.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

fn done(what: &str, answer: c_int) -> Result<(), String> {
    if answer == 0 { Ok(()) } else { Err(format!("{what} answers {answer}")) }
}

impl Engine {
    pub(crate) fn step(&self, seed: u64) -> Result<(), String> {
        let step = self.table.step.ok_or("no step")?;
        // SAFETY: the driver's function, and an engine that it opened.
        done("step", unsafe { step(self.engine, seed) })
    }

    pub(crate) fn digest(&self) -> Result<u64, String> {
        let (digest, mut found) = (self.table.digest.ok_or("no digest")?, 0);
        // SAFETY: as above, and a place for the number.
        done("digest", unsafe { digest(self.engine, &raw mut found) })?;
        Ok(found)
    }

    pub(crate) fn mark(&self, name: &str) -> Result<(), String> {
        let mark = self.table.mark.ok_or("no mark")?;
        let text = CString::new(name).map_err(|error| error.to_string())?;
        // SAFETY: as above, and a C string.
        done(&format!("mark {name:?}"), unsafe { mark(self.engine, text.as_ptr()) })
    }

    /// Answers the moment that was left.
    pub(crate) fn rewind(&self, name: &str) -> Result<u64, String> {
        let (rewind, mut undo) = (self.table.rewind.ok_or("no rewind")?, 0);
        let text = CString::new(name).map_err(|error| error.to_string())?;
        // SAFETY: as above, a C string, and a place for the number.
        done(&format!("rewind to {name:?}"), unsafe { rewind(self.engine, text.as_ptr(), &raw mut undo) })?;
        Ok(undo)
    }

    pub(crate) fn undo(&self, lsn: u64) -> Result<(), String> {
        let undo = self.table.undo.ok_or("no undo")?;
        // SAFETY: the driver's function, and an engine that it opened.
        done("undo", unsafe { undo(self.engine, lsn) })
    }

    /// The engine's own check; without one all is well.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Some(check) = self.table.check else { return Ok(()) };
        // SAFETY: the driver's function, and an engine that it opened.
        done("the engine's check", unsafe { check(self.engine) })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(close) = self.table.close {
            // SAFETY: the driver's function, and an engine that it opened and that is closed once.
            unsafe { close(self.engine) };
        }
    }
}

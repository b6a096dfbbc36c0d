//! Giving a file a name that nothing has.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Makes a file in a folder that has no name, and is gone with the process unless it [gets one](link_to_new).
///
/// # Errors
/// Also where the file system, or the kernel, has no such files, or where it could not get a name later.
pub(crate) fn create_unnamed(folder: &Path, mode: u32) -> io::Result<File> {
    let file = OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).mode(mode).open(folder)?;
    std::fs::metadata(of_this_process(&file)).map(|_| file)
}

/// Gives a name to a file without one.
///
/// # Errors
/// `AlreadyExists` when there is something of that name. The file has no name after any error.
pub(crate) fn link_to_new(file: &File, to: &Path) -> io::Result<()> {
    let old = CString::new(of_this_process(file).into_os_string().as_bytes())?;
    let new = CString::new(to.as_os_str().as_bytes())?;
    // Through its link: to name a descriptor itself is a privilege.
    // SAFETY: two C strings that outlive the call; relative names, which these need not be, would be the process's.
    let code = unsafe {
        libc::linkat(libc::AT_FDCWD, old.as_ptr(), libc::AT_FDCWD, new.as_ptr(), libc::AT_SYMLINK_FOLLOW)
    };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn of_this_process(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Renames a file, and never over another one.
///
/// # Errors
/// `AlreadyExists` when there is something of the new name. The file has its old name after any error.
pub(crate) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    let (old, new) = (CString::new(from.as_os_str().as_bytes())?, CString::new(to.as_os_str().as_bytes())?);
    // By number: older C libraries have no function for it.
    // SAFETY: two C strings that outlive the call; relative names, which these need not be, would be the process's.
    let code = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            old.as_ptr(),
            libc::AT_FDCWD,
            new.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    if code == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // A file system, or a kernel, that cannot: a second name, which is refused as well when it is taken.
        Some(libc::EINVAL | libc::ENOSYS) => {
            std::fs::hard_link(from, to)?;
            std::fs::remove_file(from)
        }
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_renamed_over() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        std::fs::write(&one, "1").unwrap();
        std::fs::write(&two, "2").unwrap();
        assert_eq!(rename_to_new(&one, &two).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&two).unwrap(), b"2");
        std::fs::remove_file(&two).unwrap();
        rename_to_new(&one, &two).unwrap();
        assert!(!one.exists());
        assert_eq!(std::fs::read(&two).unwrap(), b"1");
    }
}

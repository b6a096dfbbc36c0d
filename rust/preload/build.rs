//! Where the whole workspace is built at once, the recording's crate brings a SQLite of its own, whose `sqlite3_open` would stand
//! beside ours. It is never called here: ours come first.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,muldefs");
}

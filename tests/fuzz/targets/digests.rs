#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dbrewind_testkit::fuzz::run("digests", data));

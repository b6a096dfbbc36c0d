//! What others make of a sealed file: `zstd`, and a reader of the seekable format.

use std::fs;
use std::process::Command;

use super::*;

/// The content of all frames, as it should be.
fn content(dir: &Path) -> Vec<u8> {
    let sealed = Sealed::open(dir, ID, &STORE).unwrap();
    let file = fs::read(dir.join(sealed_name(ID))).unwrap();
    let mut all = Vec::new();
    for frame in &sealed.index().frames {
        let packed = &file[frame.at as usize..][..frame.packed as usize];
        let mut plain = Vec::new();
        crate::seal::frame::unpack(packed, frame.plain as usize, &mut plain).unwrap();
        all.extend(plain);
    }
    all
}

#[test]
fn the_systems_zstd_unpacks_it() {
    if Command::new("zstd").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "zstd is missing (.ci/prepare zstd)");
        eprintln!("SKIPPED: zstd is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    seal_as(dir.path(), ID + 1, &sample(90), None);
    for (records, reach) in [(sample(200), None), (sample(0), None), (sample(200), Some(ID + 1))] {
        seal_as(dir.path(), ID, &records, reach);
        let path = dir.path().join(sealed_name(ID));
        let unpacked = Command::new("zstd").arg("-dc").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&unpacked.stderr);
        assert!(unpacked.status.success(), "zstd -dc: {said}");
        assert_eq!(unpacked.stdout, content(dir.path()));
        let tested = Command::new("zstd").args(["-q", "-t"]).arg(&path).status().unwrap();
        assert!(tested.success());
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_reader_of_the_seekable_format_agrees_frame_by_frame() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path(), &sample(200));
    let content = content(dir.path());
    let sealed = Sealed::open(dir.path(), ID, &STORE).unwrap();
    let open = || fs::File::open(dir.path().join(sealed_name(ID))).unwrap();
    let mut decoder = zeekstd::Decoder::new(open()).unwrap();
    let table = decoder.seek_table().clone();
    // The frames of header, digest and index are in it, too.
    assert_eq!(table.num_frames() as usize, sealed.index().frames.len() + 3);
    assert_eq!(table.size_decomp(), content.len() as u64);
    for (at, frame) in sealed.index().frames.iter().enumerate() {
        let at = at as u32 + 2;
        assert_eq!(table.frame_start_comp(at).unwrap(), frame.at);
        assert_eq!(table.frame_size_decomp(at).unwrap(), u64::from(frame.plain));
    }
    let mut all = Vec::new();
    std::io::copy(&mut decoder, &mut all).unwrap();
    assert_eq!(all, content);
    // From the middle on.
    let middle = content.len() as u64 / 2;
    let mut decoder = zeekstd::DecodeOptions::new(open()).offset(middle).into_decoder().unwrap();
    let mut rest = Vec::new();
    std::io::copy(&mut decoder, &mut rest).unwrap();
    assert_eq!(rest, content[middle as usize..]);
}

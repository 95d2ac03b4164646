//! The committed code in `src/gen/` is what the `.proto` files say.
//!
//! `BREWLINE_REGENERATE=1 cargo test -p brewline-proto --test generated` writes it anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;

type Files = BTreeMap<String, Vec<u8>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")
}

fn protos(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("read the proto folder") {
        let path = entry.expect("read a folder entry").path();
        if path.is_dir() {
            found.extend(protos(&path));
        } else if path.extension().is_some_and(|e| e == "proto") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn generate(out: &Path) {
    let descriptors = protox::compile(protos(&root()), [root()]).expect("the proto files compile");
    fs::create_dir_all(out).expect("create the output folder");
    fs::write(out.join("descriptor.bin"), descriptors.encode_to_vec()).expect("write descriptors");
    tonic_prost_build::configure()
        .out_dir(out)
        .build_transport(true)
        .compile_fds(descriptors)
        .expect("generate code");
}

fn read(folder: &Path) -> Files {
    fs::read_dir(folder)
        .expect("read a generated folder")
        .map(|entry| entry.expect("read a folder entry").path())
        .map(|path| {
            let name = path
                .file_name()
                .expect("a file name")
                .to_string_lossy()
                .into_owned();
            (name, fs::read(&path).expect("read a generated file"))
        })
        .collect()
}

#[test]
fn committed_code_is_what_the_proto_files_generate() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gen");
    if std::env::var_os("BREWLINE_REGENERATE").is_some() {
        generate(&committed);
    }
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gen");
    generate(&fresh);
    let (fresh, committed) = (read(&fresh), read(&committed));
    assert_eq!(
        fresh.keys().collect::<Vec<_>>(),
        committed.keys().collect::<Vec<_>>(),
        "files in src/gen differ; run with BREWLINE_REGENERATE=1"
    );
    for (name, bytes) in &fresh {
        assert!(
            committed[name] == *bytes,
            "{name} differs; run with BREWLINE_REGENERATE=1"
        );
    }
}

//! What is made from the pack is what lies in the repository.

use std::path::{Path, PathBuf};

use brewline_slo::{Pack, files};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_committed_files_are_those_made_from_the_pack() {
    let pack = Pack::committed().unwrap();
    let regenerate = std::env::var_os("BREWLINE_REGENERATE").is_some();
    let mut stale = vec![];
    for file in files::all(&pack) {
        let path = root().join(&file.path);
        if regenerate {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &file.text).unwrap();
        }
        if std::fs::read_to_string(&path).ok().as_deref() != Some(&file.text) {
            stale.push(file.path);
        }
    }
    assert!(
        stale.is_empty(),
        "run BREWLINE_REGENERATE=1 cargo test -p brewline-slo, since these are not up to date: {stale:?}"
    );
}

#[test]
fn no_page_and_no_dashboard_is_left_of_what_is_gone() {
    let made: Vec<String> = files::all(&Pack::committed().unwrap())
        .into_iter()
        .map(|file| file.path)
        .collect();
    for folder in [files::DASHBOARDS, files::RUNBOOKS] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = format!("{folder}/{}", entry.unwrap().file_name().display());
            assert!(made.contains(&path), "{path} is made by nobody");
        }
    }
}

#[test]
fn every_alert_has_a_page() {
    let pack = Pack::committed().unwrap();
    for alert in pack.alerts() {
        let page = root().join(format!("{}/{alert}.md", files::RUNBOOKS));
        let text = std::fs::read_to_string(page).unwrap_or_default();
        for part in ["## Look", "## Act", &alert] {
            assert!(text.contains(part), "the page of {alert} has no {part:?}");
        }
    }
}

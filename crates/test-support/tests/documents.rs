//! What documents name is there: files they link to, and the files and tests that the pages about
//! patterns point at.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it fails"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Names in backticks that end so are files of this repository.
const FILES: [&str; 6] = [".rs", ".sql", ".proto", ".md", ".toml", ".yaml"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|it| it == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect();
    found.extend(pages(&root().join("docs")));
    for service in fs::read_dir(root().join("services")).unwrap() {
        found.push(service.unwrap().path().join("README.md"));
    }
    found.retain(|path| path.exists());
    found
}

/// Where Markdown links lead, without those out of the repository and within the page.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .map(|target| target.split('#').next().unwrap_or(target))
        .collect()
}

/// What stands in backticks, outside blocks of code.
fn names(text: &str) -> Vec<&str> {
    text.split("```")
        .step_by(2)
        .flat_map(|prose| prose.split('`').skip(1).step_by(2))
        .collect()
}

/// "`test` in `file`", as the pages about patterns write it.
fn tests(text: &str) -> Vec<(&str, &str)> {
    text.match_indices("` in `")
        .filter_map(|(at, between)| {
            let (before, after) = (text.get(..at)?, text.get(at + between.len()..)?);
            Some((before.rsplit('`').next()?, after.split('`').next()?))
        })
        .collect()
}

#[test]
fn every_link_leads_to_a_file() {
    for page in documents() {
        let text = fs::read_to_string(&page).unwrap();
        for target in links(&text) {
            let path = page.parent().unwrap().join(target);
            assert!(path.exists(), "{}: {target}", page.display());
        }
    }
}

#[test]
fn the_pages_about_patterns_name_files_and_tests_that_exist() {
    for page in pages(&root().join("docs/patterns")) {
        let text = fs::read_to_string(&page).unwrap();
        let is_file =
            |name: &&str| name.contains('/') && FILES.iter().any(|end| name.ends_with(end));
        for name in names(&text).into_iter().filter(is_file) {
            assert!(root().join(name).exists(), "{}: {name}", page.display());
        }
        for (test, file) in tests(&text) {
            let code = fs::read_to_string(root().join(file))
                .unwrap_or_else(|_| panic!("{}: {file}", page.display()));
            let declared = code.contains(&format!("fn {test}("));
            assert!(declared, "{}: {test} is not in {file}", page.display());
        }
    }
}

#[test]
fn the_pages_about_patterns_are_short_listed_and_name_a_test() {
    let folder = root().join("docs/patterns");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    for page in pages(&folder) {
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.lines().count() <= 60, "{name} is longer than a page");
        if name != "README.md" {
            assert!(index.contains(&format!("({name})")), "{name} is not listed");
            assert!(!tests(&text).is_empty(), "{name} names no test");
        }
    }
}

//! What the code in `terraform/` promises: every folder has the same files; every variable is typed,
//! described and used, every output described and used; the tables of the READMEs are made from them;
//! providers have bounds on both sides; and, where terraform is installed, the code is formatted.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where it fails"
)]

mod hcl;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hcl::{Block, Module};

const FILES: [&str; 5] = [
    "README.md",
    "main.tf",
    "outputs.tf",
    "variables.tf",
    "versions.tf",
];

/// What stands above the part of a README that is made from the code.
const MADE: &str = "<!-- Made from the code: BREWLINE_REGENERATE=1 cargo test -p brewline-test-support \
                    --test terraform -->";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../terraform")
}

fn folders(of: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(of)).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

fn all() -> Vec<PathBuf> {
    [folders("modules"), folders("environments")].concat()
}

/// Whether `reference` stands in `code` as a whole.
fn refers(code: &str, reference: &str) -> bool {
    code.match_indices(reference).any(|(at, _)| {
        let next = code[at + reference.len()..].chars().next();
        !next.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-')
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unquoted(text: &str) -> String {
    text.trim_matches('"').replace("\\\"", "\"")
}

/// A cell of a table: a bar would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn variable_row(block: &Block) -> String {
    let default = block.argument("default").map_or_else(
        || "(needed)".to_owned(),
        |it| format!("`{}`", one_line(&it)),
    );
    let secret = match block.argument("sensitive").as_deref() {
        Some("true") => " Sensitive.",
        _ => "",
    };
    format!(
        "| `{}` | `{}` | {} | {}{secret} |\n",
        block.name(),
        cell(&one_line(&block.argument("type").unwrap())),
        cell(&default),
        cell(&unquoted(&block.argument("description").unwrap())),
    )
}

/// The part of a README that is made from the code.
fn tables(module: &Module) -> String {
    let mut text = format!("{MADE}\n\n| variable | type | default | |\n|---|---|---|---|\n");
    text.extend(module.of("variable").map(variable_row));
    text.push_str("\n| output | |\n|---|---|\n");
    for block in module.of("output") {
        let description = unquoted(&block.argument("description").unwrap());
        text.push_str(&format!(
            "| `{}` | {} |\n",
            block.name(),
            cell(&description)
        ));
    }
    text
}

#[test]
fn every_folder_has_the_same_files() {
    for folder in all() {
        for name in FILES {
            assert!(folder.join(name).is_file(), "{}/{name}", folder.display());
        }
        let overview = fs::read_to_string(root().join("README.md")).unwrap();
        let relative = folder.strip_prefix(root()).unwrap().display().to_string();
        assert!(
            overview.contains(&format!("({relative}/README.md)")),
            "{relative}"
        );
    }
}

#[test]
fn every_variable_is_typed_described_and_used() {
    for folder in all() {
        let module = Module::read(&folder);
        let code: String = module
            .blocks
            .iter()
            .filter(|block| block.kind != "variable")
            .flat_map(|block| block.lines.iter().map(|line| format!("{line}\n")))
            .collect();
        for block in module.of("variable") {
            let place = format!("{}: variable {}", folder.display(), block.name());
            assert!(block.argument("type").is_some(), "{place} has no type");
            let description = block.argument("description").unwrap_or_default();
            assert!(description.len() > 12, "{place} is not described");
            assert!(
                refers(&code, &format!("var.{}", block.name())),
                "{place} is not used"
            );
        }
    }
}

#[test]
fn every_reference_leads_to_a_variable_and_every_argument_of_a_module_to_its_own() {
    for folder in all() {
        let module = Module::read(&folder);
        let names: BTreeSet<&str> = module.of("variable").map(Block::name).collect();
        for (_, rest) in module
            .code()
            .match_indices("var.")
            .map(|(at, it)| (at, at + it.len()))
        {
            let code = module.code();
            let end = code[rest..].find(|c: char| !c.is_alphanumeric() && c != '_');
            let name = &code[rest..end.map_or(code.len(), |end| rest + end)];
            assert!(names.contains(name), "{}: var.{name}", folder.display());
        }
        for call in module.of("module") {
            called_as_it_is(&folder, call);
        }
    }
}

/// A module that is called gets what it needs, and nothing that it does not know.
fn called_as_it_is(folder: &Path, call: &Block) {
    let source = unquoted(&call.argument("source").unwrap());
    let called = Module::read(&folder.join(source));
    let own = ["source", "providers", "count", "for_each", "depends_on"];
    for line in call.lines.iter().filter(|line| !line.starts_with("   ")) {
        let Some((name, _)) = line.split_once('=') else {
            continue;
        };
        let name = name.trim();
        let known = own.contains(&name) || called.of("variable").any(|it| it.name() == name);
        assert!(
            known,
            "{}: module {} has no {name}",
            folder.display(),
            call.name()
        );
    }
    for needed in called
        .of("variable")
        .filter(|it| it.argument("default").is_none())
    {
        let name = needed.name();
        let given = call.argument(name).is_some();
        assert!(
            given,
            "{}: module {} needs {name}",
            folder.display(),
            call.name()
        );
    }
}

#[test]
fn every_output_is_described_and_a_modules_are_used() {
    let environments: String = folders("environments")
        .iter()
        .map(|folder| Module::read(folder).code())
        .collect();
    for folder in all() {
        for block in Module::read(&folder).of("output") {
            let place = format!("{}: output {}", folder.display(), block.name());
            let description = block.argument("description").unwrap_or_default();
            assert!(description.len() > 12, "{place} is not described");
            assert!(block.argument("value").is_some(), "{place} has no value");
            let is_module = folder.parent().unwrap().ends_with("modules");
            let used = refers(&environments, &format!(".{}", block.name()));
            assert!(!is_module || used, "{place} is used by no environment");
        }
    }
}

#[test]
fn providers_have_bounds_on_both_sides_and_none_is_left_unnamed() {
    for folder in all() {
        let module = Module::read(&folder);
        let versions = module.of("terraform").flat_map(|block| &block.lines);
        let versions: Vec<&str> = versions.map(|line| line.trim()).collect();
        for line in versions.iter().filter(|line| line.starts_with("version ")) {
            assert!(
                line.contains(">=") && line.contains("< "),
                "{}: {line}",
                folder.display()
            );
        }
        for kind in ["resource", "data"] {
            for block in module.of(kind) {
                let provider = block.name().split('_').next().unwrap();
                let named = versions
                    .iter()
                    .any(|it| it.starts_with(&format!("{provider} ")));
                assert!(named, "{}: provider {provider}", folder.display());
            }
        }
    }
}

#[test]
fn the_tables_of_each_readme_are_those_of_the_code() {
    for folder in all() {
        let path = folder.join("README.md");
        let text = fs::read_to_string(&path).unwrap();
        let own = text.split(MADE).next().unwrap().trim_end();
        let wanted = format!("{own}\n\n{}", tables(&Module::read(&folder)));
        if std::env::var_os("BREWLINE_REGENERATE").is_some() {
            fs::write(&path, &wanted).unwrap();
        } else {
            assert_eq!(text, wanted, "{}", path.display());
        }
    }
}

/// Formatting needs no provider. Where terraform is not installed there is nothing to ask.
#[test]
fn the_code_is_formatted_as_terraform_does() {
    let Ok(output) = Command::new("terraform")
        .args(["fmt", "-check", "-recursive", "-diff"])
        .current_dir(root())
        .output()
    else {
        return;
    };
    let diff = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{diff}");
}

/// Modules without a provider are planned and judged by their own tests, anywhere.
#[test]
fn modules_with_tests_pass_them() {
    if Command::new("terraform").arg("version").output().is_err() {
        return;
    }
    for folder in folders("modules") {
        if folder.join("tests").is_dir() {
            terraform(&folder, &["init", "-backend=false", "-input=false"]);
            terraform(&folder, &["test", "-no-color"]);
        }
    }
}

/// Runs terraform, which keeps its own files out of the folder.
fn terraform(folder: &Path, arguments: &[&str]) {
    let output = Command::new("terraform")
        .args(arguments)
        .current_dir(folder)
        .env(
            "TF_DATA_DIR",
            std::env::temp_dir().join("brewline-terraform"),
        )
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {said}", folder.display());
}

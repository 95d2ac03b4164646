//! The journal as a file: what a crash leaves is mended, damage is not.

use std::io::Write as _;

use brewline_sandbox::{Journal, JournalError};

use crate::processor::Folder;

/// A journal with three entries, made by the binary's own code over HTTP.
async fn written() -> Folder {
    let folder = Folder::new();
    let config = brewline_sandbox::Config {
        listen: crate::processor::free_address(),
        control_listen: None,
        smtp_listen: None,
        data_dir: folder.path().to_owned(),
        key_lifetime: std::time::Duration::from_secs(60),
    };
    let url = format!("http://{}/v1/authorisations", config.listen);
    let context = brewline_server::Context::new("sandbox", "sandbox-test");
    brewline_sandbox::run(config, context.clone())
        .await
        .unwrap();
    for n in 0..3 {
        let body = crate::processor::authorise(r#"o"\1"#, "tok_ok").to_string();
        let request = crate::processor::client().post(&url).body(body);
        let request = request.header("idempotency-key", format!("k\"{n}"));
        assert!(request.send().await.unwrap().status().is_success());
    }
    context.shutdown().cancel();
    context.drain(crate::processor::PATIENCE).await;
    crate::processor::until("the clerk has let go of the file", async || {
        Journal::open(folder.path()).is_ok()
    })
    .await;
    folder
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off() {
    let folder = written().await;
    let whole = std::fs::read(folder.journal()).unwrap();
    for torn in [&whole[..whole.len() - 1], &whole[..whole.len() - 30]] {
        std::fs::write(folder.journal(), torn).unwrap();
        let (_, ledger) = Journal::open(folder.path()).unwrap();
        assert_eq!(ledger.last(), 2);
        let left = std::fs::read(folder.journal()).unwrap();
        assert!(whole.starts_with(&left) && left.ends_with(b"\n"));
    }
    // What a power cut leaves of a page that was never written.
    let mut file = std::fs::File::create(folder.journal()).unwrap();
    file.write_all(&whole).unwrap();
    file.write_all(&[0; 4_096]).unwrap();
    assert_eq!(Journal::open(folder.path()).unwrap().1.last(), 3);
    assert_eq!(std::fs::read(folder.journal()).unwrap(), whole);
}

#[tokio::test]
async fn damage_before_the_end_is_refused_with_its_line() {
    let folder = written().await;
    let text = std::fs::read_to_string(folder.journal()).unwrap();
    let lines: Vec<_> = text.lines().map(|line| format!("{line}\n")).collect();
    for (damaged, number) in [
        (text.replacen("350", "351", 1), 1),
        (format!("{}{}", lines[0], lines[2]), 2),
        (format!("{}\n{}", lines[0], lines[1]), 2),
        (format!("{}{}", text, lines[2]), 4),
    ] {
        std::fs::write(folder.journal(), &damaged).unwrap();
        let error = Journal::open(folder.path()).unwrap_err();
        assert!(
            error.to_string().contains(&format!("line {number}:")),
            "{error}"
        );
        let left = std::fs::read_to_string(folder.journal()).unwrap();
        assert_eq!(left, damaged, "it is left as it is");
    }
}

#[tokio::test]
async fn one_process_writes_a_journal() {
    let folder = Folder::new();
    let _first = Journal::open(folder.path()).unwrap();
    let second = Journal::open(folder.path()).unwrap_err();
    assert!(matches!(second, JournalError::Locked(_)), "{second}");
}

//! Running helm.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, bail};

use crate::Manifest;

/// The oldest Kubernetes that the chart says it needs.
const KUBERNETES_VERSION: &str = "1.30";

/// The program helm, which needs no cluster here.
#[derive(Clone, Debug)]
pub struct Helm {
    program: PathBuf,
}

/// The chart's folder.
#[must_use]
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("brewline")
}

// === impl Helm ===

impl Helm {
    /// `BREWLINE_HELM`, or what the search path has.
    ///
    /// # Errors
    /// When there is none.
    pub fn find() -> anyhow::Result<Self> {
        let program = std::env::var_os("BREWLINE_HELM").filter(|path| !path.is_empty());
        let helm = Self {
            program: program.unwrap_or_else(|| "helm".into()).into(),
        };
        helm.run(["version", "--short"]).with_context(|| {
            format!(
                "{} does not run. The chart is tested with Helm: install Helm 3.20 (or Go 1.24 or later, \
                 and `./brewline test` builds it), or name the program in BREWLINE_HELM",
                helm.program.display()
            )
        })?;
        Ok(helm)
    }

    /// Helm's own complaints about the chart with these values.
    ///
    /// # Errors
    /// When it has some.
    pub fn lint(&self, values: &Path) -> anyhow::Result<()> {
        let chart = chart();
        let arguments: [&OsStr; 5] = [
            "lint".as_ref(),
            "--strict".as_ref(),
            "--values".as_ref(),
            values.as_os_str(),
            chart.as_os_str(),
        ];
        self.run(arguments).map(drop)
    }

    /// All objects of a release `brewline` in the namespace `shop`, with `--set` of each of `sets`.
    ///
    /// # Errors
    /// When helm refuses, with what it says.
    pub fn template(&self, values: Option<&Path>, sets: &[&str]) -> anyhow::Result<Vec<Manifest>> {
        Manifest::split(&self.text("brewline", values, sets)?)
    }

    /// The same as text, for a release of any name.
    ///
    /// # Errors
    /// When helm refuses, with what it says.
    pub fn text(
        &self,
        release: &str,
        values: Option<&Path>,
        sets: &[&str],
    ) -> anyhow::Result<String> {
        let mut arguments: Vec<std::ffi::OsString> = vec!["template".into(), release.into()];
        arguments.push(chart().into());
        arguments.extend(["--namespace".into(), "shop".into()]);
        arguments.extend(["--kube-version".into(), KUBERNETES_VERSION.into()]);
        if let Some(values) = values {
            arguments.extend(["--values".into(), values.into()]);
        }
        for set in sets {
            arguments.extend(["--set".into(), set.into()]);
        }
        let output = self.run(arguments)?;
        String::from_utf8(output.stdout).context("read helm's output")
    }

    fn run<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> anyhow::Result<Output> {
        let output = Command::new(&self.program)
            .args(arguments)
            .output()
            .context("run helm")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let lint = String::from_utf8_lossy(&output.stdout);
            bail!("helm: {} {}", said.trim(), lint.trim());
        }
        Ok(output)
    }
}

//! Settings from the environment, read once at start.
//!
//! Each setting is a [`Variable`] constant with a reasoned default. Reading never stops at the first
//! fault: [`Environment::finish`] reports all of them together, so that a person mends a deployment
//! in one go.
//!
//! ```
//! use brewline_config::{Environment, Variable};
//!
//! const PORT: Variable = Variable {
//!     name: "BREWLINE_PORT",
//!     default: Some("8080"),
//!     help: "The port to listen on. 8080 is what people try first.",
//! };
//! const NAME: Variable = Variable { name: "BREWLINE_NAME", default: None, help: "A name." };
//!
//! struct Config { port: u16, name: String }
//!
//! fn read(env: &mut Environment) -> Option<Config> {
//!     let (port, name) = (env.read(&PORT), env.read(&NAME));
//!     Some(Config { port: port?, name: name? })
//! }
//!
//! let mut env = Environment::from_pairs([("BREWLINE_NAME", "x")]);
//! let config = read(&mut env);
//! assert_eq!(env.finish(config).unwrap().port, 8080);
//! ```

mod secret;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use secret::Secret;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name in the environment, `BREWLINE_…`, the unit last.
    pub name: &'static str,
    /// What it is when nobody sets it; none when it must be set.
    pub default: Option<&'static str>,
    /// What it does, and why its default is what it is.
    pub help: &'static str,
}

/// The settings given, and the faults found in them so far.
#[derive(Debug)]
pub struct Environment {
    given: BTreeMap<String, String>,
    read: Vec<Variable>,
    faults: Vec<String>,
}

/// Everything that is wrong with the settings, one sentence a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<String>);

// === impl Environment ===

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn from_process() -> Self {
        let text = |os: std::ffi::OsString| os.into_string().ok();
        let pairs =
            std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        Self::from_pairs(pairs)
    }

    /// Settings given by hand, for tests.
    #[must_use]
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let given = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self {
            given,
            read: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// A setting; `None` when it is missing or malformed, which is then on the list of faults.
    pub fn read<T>(&mut self, variable: &Variable) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let Some(text) = self.text(variable) else {
            self.faults
                .push(format!("{} is not set: {}", variable.name, variable.help));
            return None;
        };
        self.parse(variable, &text)
    }

    /// A setting that may be absent: `Some(None)` then, `None` when it is malformed.
    pub fn optional<T>(&mut self, variable: &Variable) -> Option<Option<T>>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        match self.text(variable) {
            None => Some(None),
            Some(text) => self.parse(variable, &text).map(Some),
        }
    }

    /// A setting that nobody may see in a log.
    pub fn secret(&mut self, variable: &Variable) -> Option<Secret<String>> {
        self.read::<String>(variable).map(Secret::new)
    }

    /// A time in whole milliseconds.
    pub fn millis(&mut self, variable: &Variable) -> Option<Duration> {
        self.read::<u64>(variable).map(Duration::from_millis)
    }

    /// Records a fault that reading alone does not show, such as two settings at odds.
    pub fn fault(&mut self, sentence: impl Into<String>) {
        self.faults.push(sentence.into());
    }

    /// Every variable read so far, with its default and what it is for: the text behind `--help`.
    #[must_use]
    pub fn document(&self) -> String {
        let line = |v: &Variable| match v.default {
            Some("") | None => format!("{}\n    {}\n", v.name, v.help),
            Some(default) => format!("{}={default}\n    {}\n", v.name, v.help),
        };
        self.read.iter().map(line).collect()
    }

    /// The configuration, unless there was any fault.
    ///
    /// # Errors
    /// With every fault found.
    pub fn finish<C>(self, config: Option<C>) -> Result<C, Faults> {
        match config {
            Some(config) if self.faults.is_empty() => Ok(config),
            _ => Err(Faults(self.faults)),
        }
    }

    fn text(&mut self, variable: &Variable) -> Option<String> {
        self.read.push(*variable);
        // An empty value counts as not given: compose files and charts write them for "none".
        let given = self
            .given
            .get(variable.name)
            .filter(|text| !text.is_empty());
        given
            .cloned()
            .or_else(|| variable.default.map(str::to_owned))
    }

    fn parse<T>(&mut self, variable: &Variable, text: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        text.parse()
            .inspect_err(|error| {
                // The value itself is not repeated: it may be a secret.
                self.faults.push(format!(
                    "{} is malformed: {error}. {}",
                    variable.name, variable.help
                ));
            })
            .ok()
    }
}

// === impl Faults ===

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: Variable = Variable {
        name: "PORT",
        default: Some("80"),
        help: "A port.",
    };
    const NAME: Variable = Variable {
        name: "NAME",
        default: None,
        help: "A name.",
    };

    fn read(env: &mut Environment) -> Option<(u16, String)> {
        let (port, name) = (env.read(&PORT), env.read(&NAME));
        Some((port?, name?))
    }

    #[test]
    fn all_faults_are_reported_together() {
        let mut env = Environment::from_pairs([("PORT", "many")]);
        let config = read(&mut env);
        let faults = env.finish(config).unwrap_err().to_string();
        assert!(faults.contains("PORT is malformed"), "{faults}");
        assert!(faults.contains("NAME is not set"), "{faults}");
    }

    #[test]
    fn an_empty_value_counts_as_not_given() {
        let mut env = Environment::from_pairs([("PORT", ""), ("NAME", "x")]);
        let config = read(&mut env);
        assert_eq!(env.finish(config).unwrap(), (80, "x".to_owned()));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let mut env = Environment::from_pairs([("NAME", "hunter2")]);
        let secret = env.secret(&NAME).unwrap();
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.expose(), "hunter2");
    }
}

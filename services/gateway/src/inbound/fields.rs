//! Values of fields: those the edge can judge alone. What only a service knows, it judges itself.

use std::fmt::Display;
use std::str::FromStr;

use super::problem::{FieldError, Problem};

/// Collects everything that is wrong with a request, so that its author mends it in one go.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<FieldError>);

// === impl Faults ===

impl Faults {
    pub(super) fn add(&mut self, field: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldError::new(field, detail));
    }

    /// A value of a type that knows its own rules.
    pub(super) fn parse<T>(&mut self, field: impl Into<String>, text: &str)
    where
        T: FromStr,
        T::Err: Display,
    {
        if let Err(error) = text.parse::<T>() {
            self.add(field, error.to_string());
        }
    }

    /// Free text: what people write, as long as it is text.
    pub(super) fn text(&mut self, field: &str, text: &str, chars_max: usize) {
        if text.chars().count() > chars_max {
            self.add(field, format!("at most {chars_max} characters"));
        } else if text.chars().any(char::is_control) {
            self.add(field, "no control characters");
        }
    }

    /// Free text that must say something.
    pub(super) fn some_text(&mut self, field: &str, text: &str, chars_max: usize) {
        if text.trim().is_empty() {
            self.add(field, "must not be empty");
        } else {
            self.text(field, text, chars_max);
        }
    }

    /// Nothing, unless there were faults.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.0))
        }
    }
}

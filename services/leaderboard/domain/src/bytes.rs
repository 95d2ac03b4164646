//! Compact bytes: what a snapshot is made of, and what digests are taken of.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::Map;

/// The longest text, in bytes: a name of 200 characters fits four times.
const TEXT_BYTES_MAX: u64 = 4_096;

/// Why bytes are no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes end early or make no sense at {0}")]
pub struct Malformed(pub &'static str);

/// Writes numbers in as few bytes as they need, and each text once.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    numbers: Map<Arc<str>, u64>,
}

/// Reads what a [`Writer`] wrote.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    texts: Vec<Arc<str>>,
}

// === impl Writer ===

impl Writer {
    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The texts that [`Writer::known`] may name, sorted and each once.
    pub fn dictionary(&mut self, texts: &[Arc<str>]) {
        self.count(texts.len());
        self.numbers.reserve(texts.len());
        for (number, text) in (0_u64..).zip(texts) {
            self.dictionary_text(text);
            self.numbers.insert(Arc::clone(text), number);
        }
    }

    /// A text of the dictionary.
    pub fn known(&mut self, text: &str) {
        // A text that is missing would be a mistake here; its number is then one that no reader takes.
        let number = self.numbers.get(text).copied().unwrap_or(u64::MAX);
        self.unsigned(number);
    }

    /// A text in full.
    pub fn text(&mut self, text: &str) {
        self.count(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// How many things follow.
    pub fn count(&mut self, count: usize) {
        self.unsigned(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// A number, seven bits a byte.
    pub fn unsigned(&mut self, mut number: u64) {
        loop {
            let low = u8::try_from(number & 0x7f).unwrap_or(0);
            number >>= 7;
            if number == 0 {
                self.bytes.push(low);
                return;
            }
            self.bytes.push(low | 0x80);
        }
    }

    /// A number with a sign: small ones of either sign take few bytes.
    pub fn signed(&mut self, number: i64) {
        let zigzag = (number << 1) ^ (number >> 63);
        self.unsigned(u64::from_ne_bytes(zigzag.to_ne_bytes()));
    }

    /// Most customers are UUIDs: 16 bytes instead of 36.
    fn dictionary_text(&mut self, text: &str) {
        let uuid = Uuid::try_parse(text).ok();
        match uuid.filter(|uuid| uuid.hyphenated().to_string() == text) {
            Some(uuid) => {
                self.bytes.push(1);
                self.bytes.extend_from_slice(uuid.as_bytes());
            }
            None => {
                self.bytes.push(0);
                self.text(text);
            }
        }
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Reads from the beginning.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            texts: Vec::new(),
        }
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Reads the texts that others refer to.
    ///
    /// # Errors
    /// When there is none here.
    pub fn dictionary(&mut self) -> Result<(), Malformed> {
        let texts = self.count()?;
        self.texts = Vec::with_capacity(texts);
        for _ in 0..texts {
            let text: Arc<str> = match self.take(1)? {
                [0] => self.text()?.into(),
                [1] => {
                    let uuid = Uuid::from_slice(self.take(16)?).map_err(|_| Malformed("a uuid"))?;
                    uuid.hyphenated().to_string().into()
                }
                _ => return Err(Malformed("a dictionary")),
            };
            self.texts.push(text);
        }
        Ok(())
    }

    /// A text of the dictionary.
    ///
    /// # Errors
    /// When there is none here.
    pub fn known(&mut self) -> Result<Arc<str>, Malformed> {
        let number = usize::try_from(self.unsigned()?).map_err(|_| Malformed("a known text"))?;
        self.texts
            .get(number)
            .cloned()
            .ok_or(Malformed("a known text"))
    }

    /// A text in full.
    ///
    /// # Errors
    /// When there is none here.
    pub fn text(&mut self) -> Result<String, Malformed> {
        let length = self.unsigned()?;
        if length > TEXT_BYTES_MAX {
            return Err(Malformed("a text"));
        }
        let bytes = self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Malformed("a text"))
    }

    /// How many things follow: each takes a byte at least, so that nonsense cannot ask for memory.
    ///
    /// # Errors
    /// When there is none here.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.unsigned()?).unwrap_or(usize::MAX);
        if count > self.bytes.len() {
            return Err(Malformed("a count"));
        }
        Ok(count)
    }

    /// A number.
    ///
    /// # Errors
    /// When there is none here.
    pub fn unsigned(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take(1)? else {
                return Err(Malformed("a number"));
            };
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed("a number"))
    }

    /// A number with a sign.
    ///
    /// # Errors
    /// When there is none here.
    pub fn signed(&mut self) -> Result<i64, Malformed> {
        let zigzag = self.unsigned()?;
        let half = i64::from_ne_bytes((zigzag >> 1).to_ne_bytes());
        Ok(if zigzag & 1 == 0 { half } else { !half })
    }

    /// The texts of the dictionary.
    pub(crate) fn into_texts(self) -> impl Iterator<Item = Arc<str>> {
        self.texts.into_iter()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(Malformed("the end"))?;
        self.bytes = rest;
        Ok(taken)
    }
}

/// Each text once, sorted.
pub(crate) fn sorted<'a>(texts: impl Iterator<Item = &'a Arc<str>>) -> Vec<Arc<str>> {
    let all: Map<&str, &Arc<str>> = texts.map(|text| (text.as_ref(), text)).collect();
    let all: BTreeMap<&str, &Arc<str>> = all.into_iter().collect();
    all.into_values().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_survive_a_round_trip() {
        let mut writer = Writer::default();
        let uuid: Arc<str> = "0190b5a0-0000-7000-8000-000000000001".into();
        writer.dictionary(&[Arc::clone(&uuid), "kenya".into()]);
        for number in [0, 1, -1, 63, -64, 1_000_000, i64::MAX, i64::MIN] {
            writer.signed(number);
        }
        writer.known("kenya");
        writer.known(&uuid);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        reader.dictionary().unwrap();
        for number in [0, 1, -1, 63, -64, 1_000_000, i64::MAX, i64::MIN] {
            assert_eq!(reader.signed(), Ok(number));
        }
        assert_eq!(reader.known().as_deref(), Ok("kenya"));
        assert_eq!(reader.known(), Ok(uuid));
        assert!(reader.is_empty());
        assert!(reader.known().is_err());
    }
}

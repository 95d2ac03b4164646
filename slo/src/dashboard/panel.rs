/// One dashboard.
#[derive(Clone, Debug)]
pub struct Dashboard {
    /// Its name in links and of its file.
    pub uid: String,
    /// Its title.
    pub title: String,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// Panels under one heading.
#[derive(Clone, Debug)]
pub struct Row {
    /// The heading.
    pub title: String,
    /// The panels, left to right.
    pub panels: Vec<Panel>,
}

/// One panel.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// How it shows it.
    pub kind: Kind,
    /// What its numbers are.
    pub unit: Unit,
    /// Where they come from.
    pub queries: Vec<Query>,
}

/// One query.
#[derive(Clone, Debug)]
pub struct Query {
    /// What its lines are called.
    pub legend: String,
    /// The query, `$__rate_interval` as its window.
    pub expr: String,
}

/// How a panel shows its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Lines over time.
    Graph,
    /// One number for each line.
    Stat,
}

/// What numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Pieces.
    Count,
    /// Pieces in a second.
    PerSecond,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A share from 0 to 1.
    Share,
    /// Processors.
    Cores,
}

// === impl Panel ===

impl Panel {
    /// Lines over time.
    #[must_use]
    pub fn graph(title: &str, unit: Unit, queries: &[(&str, &str)]) -> Self {
        Self::new(Kind::Graph, title, unit, queries)
    }

    /// A number for each line.
    #[must_use]
    pub fn stat(title: &str, unit: Unit, queries: &[(&str, &str)]) -> Self {
        Self::new(Kind::Stat, title, unit, queries)
    }

    /// Median and slow end of a histogram, by labels.
    #[must_use]
    pub fn quantiles(title: &str, unit: Unit, histogram: &str, by: &str) -> Self {
        let of = |quantile: &str| {
            let labels = if by.is_empty() {
                String::new()
            } else {
                format!("{by}, ")
            };
            format!(
                "histogram_quantile({quantile}, sum by ({labels}le) \
                 (rate({histogram}[$__rate_interval])))"
            )
        };
        let named = |name: &str| match by {
            "" => name.to_owned(),
            _ => format!("{} {name}", legend(by)),
        };
        let queries = [(named("p50"), of("0.5")), (named("p99"), of("0.99"))];
        Self {
            title: title.to_owned(),
            kind: Kind::Graph,
            unit,
            queries: queries
                .map(|(legend, expr)| Query { legend, expr })
                .to_vec(),
        }
    }

    /// With 0 shown while no series is there: what it counts may never have happened.
    #[must_use]
    pub fn rare(mut self) -> Self {
        for query in &mut self.queries {
            query.expr = format!("{} or on () vector(0)", query.expr);
        }
        self
    }

    fn new(kind: Kind, title: &str, unit: Unit, queries: &[(&str, &str)]) -> Self {
        let query = |(legend, expr): &(&str, &str)| Query {
            legend: (*legend).to_owned(),
            expr: expr.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        Self {
            title: title.to_owned(),
            kind,
            unit,
            queries: queries.iter().map(query).collect(),
        }
    }
}

// === impl Row ===

impl Row {
    /// A row.
    #[must_use]
    pub fn new(title: &str, panels: Vec<Panel>) -> Self {
        Self {
            title: title.to_owned(),
            panels,
        }
    }
}

// === impl Unit ===

impl Unit {
    /// As Grafana calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "short",
            Self::PerSecond => "ops",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::Share => "percentunit",
            Self::Cores => "none",
        }
    }
}

/// A legend of all labels of a list.
pub(super) fn legend(by: &str) -> String {
    let labels = by
        .split(',')
        .map(|label| format!("{{{{{}}}}}", label.trim()));
    labels.collect::<Vec<_>>().join(" ")
}

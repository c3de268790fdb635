//! The rule table: which events are dropped, and which sinks get the rest.
//!
//! Rules are looked at in order and the first that matches decides. Our own documents (gaps, lines that could not be
//! read) are not asked: loss is always said to everybody.

use pyaudit_knowledge::{place, Place};

use crate::document::{Document, Slot};
use crate::options::RuleOptions;

#[derive(Clone, Copy, Debug)]
enum Subject {
    /// A text, or any of a list.
    At(Place),
}

#[derive(Debug)]
struct Pattern {
    text: Vec<u8>,
    prefix: bool,
}

impl Pattern {
    fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(start) => Self { text: start.as_bytes().to_vec(), prefix: true },
            None => Self { text: text.as_bytes().to_vec(), prefix: false },
        }
    }

    fn matches(&self, value: &[u8]) -> bool {
        if self.prefix {
            value.starts_with(&self.text)
        } else {
            value == self.text
        }
    }
}

#[derive(Debug)]
struct Rule {
    matches: Vec<(Subject, Vec<Pattern>)>,
    drop: bool,
    routes: Option<u64>,
    keep: Option<bool>,
}

/// What the rules say of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Drop,
    Publish {
        routes: u64,
        /// Whether it outlives others when something has to be dropped; `None` leaves that to what it is.
        keep: Option<bool>,
    },
}

#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    all: u64,
}

/// The fields that a rule may match on.
const SUBJECTS: [(&str, Place); 10] = [
    ("key", place::TAGS),
    ("record_type", place::AUDITD_RECORD_TYPES),
    ("action", place::EVENT_ACTION),
    ("category", place::EVENT_CATEGORY),
    ("syscall", place::AUDITD_DATA_SYSCALL),
    ("exe", place::PROCESS_EXECUTABLE),
    ("uid", place::USER_ID),
    ("auid", place::USER_AUDIT_ID),
    ("unit", place::AUDITD_DATA_UNIT),
    ("host", place::HOST_NAME),
];

impl Rules {
    /// Builds the table, or says which rule cannot be.
    pub fn new(options: &[RuleOptions], sinks: &[String]) -> Result<Self, String> {
        if sinks.len() > 64 {
            return Err(format!("{} sinks: at most 64 are possible", sinks.len()));
        }
        let all = sinks.iter().enumerate().fold(0, |bits, (i, _)| bits | 1 << i);
        let rules = options.iter().map(|rule| Self::rule(rule, sinks)).collect::<Result<_, _>>()?;
        Ok(Self { rules, all })
    }

    fn rule(options: &RuleOptions, sinks: &[String]) -> Result<Rule, String> {
        let name = &options.name;
        let mut matches = Vec::new();
        for (field, values) in &options.matches {
            let Some((_, at)) = SUBJECTS.iter().find(|(subject, _)| subject == field) else {
                let known: Vec<&str> = SUBJECTS.iter().map(|(subject, _)| *subject).collect();
                return Err(format!("rule {name:?}: no field {field:?} to match on; there are {}", known.join(", ")));
            };
            // Record types are written in capitals everywhere but in documents.
            let spelled = |value: &String| if field == "record_type" { value.to_lowercase() } else { value.clone() };
            matches.push((Subject::At(*at), values.iter().map(|value| Pattern::new(&spelled(value))).collect()));
        }
        let routes = match &options.route {
            None => None,
            Some(wanted) => Some(wanted.iter().try_fold(0, |bits, sink| {
                let index = sinks.iter().position(|known| known == sink);
                index.map(|i| bits | 1 << i).ok_or_else(|| format!("rule {name:?}: no sink {sink:?}"))
            })?),
        };
        if routes.is_none() && options.keep.is_none() && !options.drop {
            return Err(format!("rule {name:?} neither drops nor routes nor gives a class"));
        }
        Ok(Rule { matches, drop: options.drop, routes, keep: options.keep })
    }

    /// The routes of a document that no rule is asked about.
    pub fn everywhere(&self) -> u64 {
        self.all
    }

    pub fn judge(&self, document: &Document) -> Verdict {
        for rule in &self.rules {
            if rule.matches.iter().all(|(Subject::At(at), patterns)| holds(document, *at, patterns)) {
                let routes = rule.routes.unwrap_or(self.all);
                return if rule.drop { Verdict::Drop } else { Verdict::Publish { routes, keep: rule.keep } };
            }
        }
        Verdict::Publish { routes: self.all, keep: None }
    }
}

fn holds(document: &Document, at: Place, patterns: &[Pattern]) -> bool {
    let any = |value: &[u8]| patterns.iter().any(|pattern| pattern.matches(value));
    match document.slot(at) {
        Slot::Text(item) => any(document.bytes(item)),
        Slot::List(_) => document.list(at).iter().flatten().any(|item| any(document.bytes(*item))),
        Slot::Number(_) | Slot::Empty | Slot::Paths | Slot::Records => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(field: &str, value: &str, drop: bool, route: Option<&str>) -> RuleOptions {
        RuleOptions {
            name: "r".into(),
            matches: vec![(field.into(), vec![value.into()])],
            drop,
            route: route.map(|sink| vec![sink.into()]),
            keep: None,
        }
    }

    fn publish(routes: u64) -> Verdict {
        Verdict::Publish { routes, keep: None }
    }

    fn sinks() -> Vec<String> {
        vec!["a".into(), "b".into()]
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules =
            Rules::new(&[rule("exe", "/usr/bin/*", false, Some("b")), rule("key", "noise", true, None)], &sinks())
                .unwrap();
        let mut document = Document::default();
        assert_eq!(rules.judge(&document), publish(3));
        let word = document.word("noise");
        document.push(place::TAGS, Some(word));
        assert_eq!(rules.judge(&document), Verdict::Drop);
        document.put_static(place::PROCESS_EXECUTABLE, "/usr/bin/id");
        assert_eq!(rules.judge(&document), publish(2));
    }

    #[test]
    fn a_rule_may_say_what_outlives_others() {
        let classed = |keep| RuleOptions { keep: Some(keep), ..rule("exe", "/usr/bin/*", false, None) };
        for keep in [true, false] {
            let rules = Rules::new(&[classed(keep)], &sinks()).unwrap();
            let mut document = Document::default();
            assert_eq!(rules.judge(&document), publish(3));
            document.put_static(place::PROCESS_EXECUTABLE, "/usr/bin/id");
            assert_eq!(rules.judge(&document), Verdict::Publish { routes: 3, keep: Some(keep) });
        }
    }

    #[test]
    fn record_types_may_be_in_capitals() {
        let rules = Rules::new(&[rule("record_type", "USER_*", true, None)], &sinks()).unwrap();
        let mut document = Document::default();
        let word = document.word("user_cmd");
        document.push(place::AUDITD_RECORD_TYPES, Some(word));
        assert_eq!(rules.judge(&document), Verdict::Drop);
    }

    #[test]
    fn a_rule_that_cannot_be_is_named() {
        assert!(Rules::new(&[rule("exee", "x", true, None)], &sinks()).unwrap_err().contains("exee"));
        assert!(Rules::new(&[rule("exe", "x", false, Some("c"))], &sinks()).unwrap_err().contains("no sink \"c\""));
        assert!(Rules::new(&[rule("exe", "x", false, None)], &sinks()).unwrap_err().contains("neither"));
    }
}

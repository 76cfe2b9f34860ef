//! Relabelling: rules that rewrite, keep or drop a label set (Prometheus `model/relabel`).
//!
//! A [`RuleConfig`] is what the file says; [`Rule::compile`] judges it; [`apply`] runs rules in order.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use md5::{Digest, Md5};
use regex::Regex;
use serde::Deserialize;
use thanos_model::{Label, Labels, matcher::anchored};

const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_REPLACEMENT: &str = "$1";
const DEFAULT_SEPARATOR: &str = ";";

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "Prometheus' own words")]
pub enum Action {
    #[default]
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

const ACTIONS: [(&str, Action); 11] = [
    ("replace", Action::Replace),
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("keepequal", Action::KeepEqual),
    ("dropequal", Action::DropEqual),
    ("hashmod", Action::HashMod),
    ("labelmap", Action::LabelMap),
    ("labeldrop", Action::LabelDrop),
    ("labelkeep", Action::LabelKeep),
    ("lowercase", Action::Lowercase),
    ("uppercase", Action::Uppercase),
];

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?.to_lowercase();
        ACTIONS.iter().find(|(name, _)| *name == text).map(|(_, action)| *action).ok_or_else(|| {
            let known = ACTIONS.map(|(name, _)| name).join(", ");
            serde::de::Error::custom(format!("unknown relabel action {text:?}; there are {known}"))
        })
    }
}

/// One entry of `relabel_configs`, as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// Labels whose values are joined.
    pub source_labels: Option<Vec<String>>,
    /// What joins them; `;`.
    pub separator: Option<String>,
    /// The label written, or compared with.
    #[serde(default)]
    pub target_label: String,
    /// Matched against the whole value; `(.*)`.
    pub regex: Option<String>,
    /// For `hashmod`.
    #[serde(default)]
    pub modulus: u64,
    /// What is written, with `$1`; `$1`.
    pub replacement: Option<String>,
    /// What to do; `replace`.
    #[serde(default)]
    pub action: Action,
}

/// A rule that was found right.
#[derive(Clone, Debug)]
pub struct Rule {
    action: Action,
    source_labels: Vec<String>,
    separator: String,
    target_label: String,
    regex: Regex,
    modulus: u64,
    replacement: String,
}

impl Rule {
    /// Judges what the file says.
    ///
    /// # Errors
    /// A sentence naming field and fix.
    pub fn compile(config: &RuleConfig) -> Result<Self, String> {
        use Action::{
            DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace, Uppercase,
        };
        let RuleConfig { source_labels, separator, target_label, regex, modulus, replacement, action } =
            config;
        let name = ACTIONS.iter().find(|(_, a)| a == action).map_or("", |(name, _)| name);
        let equal = matches!(action, KeepEqual | DropEqual);
        let case = matches!(action, Lowercase | Uppercase);

        if (matches!(action, Replace | HashMod) || equal || case) && target_label.is_empty() {
            return Err(format!("action {name} needs a target_label"));
        }
        if *action == HashMod && *modulus == 0 {
            return Err("action hashmod needs a modulus above 0".into());
        }
        if (case || equal) && replacement.is_some() {
            return Err(format!("action {name} takes no replacement; remove it"));
        }
        if equal && (regex.is_some() || *modulus != 0 || separator.is_some()) {
            return Err(format!("action {name} takes source_labels and target_label only"));
        }
        if matches!(action, LabelDrop | LabelKeep)
            && (source_labels.is_some()
                || !target_label.is_empty()
                || *modulus != 0
                || separator.is_some()
                || replacement.is_some())
        {
            return Err(format!("action {name} takes a regex only"));
        }
        let replacement = replacement.as_deref().unwrap_or(DEFAULT_REPLACEMENT);
        if *action == LabelMap && replacement.is_empty() {
            return Err("action labelmap needs a replacement that is a label name".into());
        }
        let pattern = regex.as_deref().unwrap_or(DEFAULT_REGEX);
        Ok(Self {
            action: *action,
            source_labels: source_labels.clone().unwrap_or_default(),
            separator: separator.as_deref().unwrap_or(DEFAULT_SEPARATOR).to_owned(),
            target_label: target_label.clone(),
            regex: anchored(pattern).map_err(|e| format!("regex {pattern:?} does not compile: {e}"))?,
            modulus: *modulus,
            replacement: replacement.to_owned(),
        })
    }

    fn run(&self, labels: &mut Builder) -> bool {
        let value = || {
            let values: Vec<&str> = self.source_labels.iter().map(|n| labels.get(n)).collect();
            values.join(&self.separator)
        };
        match self.action {
            Action::Keep => return self.regex.is_match(&value()),
            Action::Drop => return !self.regex.is_match(&value()),
            Action::KeepEqual => return labels.get(&self.target_label) == value(),
            Action::DropEqual => return labels.get(&self.target_label) != value(),
            Action::Replace => {
                let value = value();
                if let Some(captures) = self.regex.captures(&value) {
                    let (mut name, mut text) = (String::new(), String::new());
                    captures.expand(&self.target_label, &mut name);
                    captures.expand(&self.replacement, &mut text);
                    if !name.is_empty() {
                        labels.set(&name, &text);
                    }
                }
            }
            Action::Lowercase => labels.set(&self.target_label, &value().to_lowercase()),
            Action::Uppercase => labels.set(&self.target_label, &value().to_uppercase()),
            Action::HashMod => {
                let digest: [u8; 16] = Md5::digest(value().as_bytes()).into();
                // Prometheus takes the last 8 bytes, big endian.
                let hash = u128::from_be_bytes(digest) as u64;
                labels.set(&self.target_label, &(hash % self.modulus).to_string());
            }
            Action::LabelMap => {
                let matching = labels.matching(|name| self.regex.is_match(name));
                for (name, value) in matching {
                    labels.set(&self.regex.replace_all(&name, self.replacement.as_str()), &value);
                }
            }
            Action::LabelDrop => labels.0.retain(|name, _| !self.regex.is_match(name)),
            Action::LabelKeep => labels.0.retain(|name, _| self.regex.is_match(name)),
        }
        true
    }
}

/// A label set being changed. An empty value is an absent label.
#[derive(Clone, Debug, Default)]
pub struct Builder(BTreeMap<Arc<str>, Arc<str>>);

impl Builder {
    /// Starts from a label set.
    pub fn from_labels(labels: &Labels) -> Self {
        Self(labels.iter().map(|l| (l.name.clone(), l.value.clone())).collect())
    }

    /// The value, or `""`.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |v| v)
    }

    /// Sets or, with an empty value, removes.
    pub fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name.into(), value.into());
        }
    }

    /// Removes every label whose name fits.
    pub fn remove_if(&mut self, mut fits: impl FnMut(&str) -> bool) {
        self.0.retain(|name, _| !fits(name));
    }

    /// The finished set.
    pub fn labels(&self) -> Labels {
        self.0.iter().map(|(name, value)| Label::new(name.clone(), value.clone())).collect()
    }

    fn matching(&self, fits: impl Fn(&str) -> bool) -> Vec<(Arc<str>, Arc<str>)> {
        self.0.iter().filter(|(n, _)| fits(n)).map(|(n, v)| (n.clone(), v.clone())).collect()
    }
}

/// Runs all rules; `false` when one of them drops the set.
#[must_use]
pub fn apply(rules: &[Rule], labels: &mut Builder) -> bool {
    rules.iter().all(|rule| rule.run(labels))
}

/// Judges a list of rules.
///
/// # Errors
/// The first that is wrong, by `field` and position.
pub fn compile_all(field: &str, configs: &[RuleConfig]) -> Result<Vec<Rule>, String> {
    let compile = |(i, c)| Rule::compile(c).map_err(|e| format!("{field}[{i}]: {e}"));
    configs.iter().enumerate().map(compile).collect()
}

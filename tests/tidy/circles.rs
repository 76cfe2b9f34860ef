//! Modules that need each other in a circle cannot be read, tested or moved one at a time. Within every module, the
//! modules below it are looked at: which of them names which, by `crate::`, `super::` or `self::`, outside of tests. A
//! name that a module hands on from another (`pub use`) is that other's. A parent and its child may need each other, and
//! what a parent imports for its children alone is not followed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Circles that stand, each by one line of the modules that are in it, until they are taken apart. A circle that is gone
/// has to leave the list.
const STANDING: &[&str] = &[
    "thanos/promql: eval::{extended, over_time, rate, window}",
    "thanos/receive: {batch, decode}",
    "thanos/scrape: remote_write::{queue, wire}",
];

/// A module: where its children's files are, and its own text without comments, strings and tests.
struct Module {
    children: BTreeMap<String, Module>,
    code: String,
}

#[test]
fn no_modules_go_round_in_a_circle() {
    let mut found = BTreeSet::new();
    for manifest in manifests(super::root()) {
        let src = manifest.join("src");
        let lib = src.join("lib.rs");
        if !lib.exists() {
            continue;
        }
        let root = read(&lib, &src);
        let shown = manifest.strip_prefix(super::root()).unwrap_or(&manifest).display().to_string();
        circles(&root, &root, &mut Vec::new(), &shown, &mut found);
    }
    let standing: BTreeSet<String> = STANDING.iter().map(|s| (*s).to_owned()).collect();
    let new: Vec<&String> = found.difference(&standing).collect();
    assert!(new.is_empty(), "modules that go round in a circle:\n{}", join(&new));
    let gone: Vec<&String> = standing.difference(&found).collect();
    assert!(gone.is_empty(), "no circle any more, so take these out of the list:\n{}", join(&gone));
}

fn join(lines: &[&String]) -> String {
    lines.iter().map(|s| s.as_str()).collect::<Vec<_>>().join("\n")
}

/// Folders with a Cargo.toml.
fn manifests(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder").map(|e| e.expect("an entry").path()) {
        let name = entry.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if entry.is_dir() && !name.starts_with('.') && name != "target" {
            if entry.join("Cargo.toml").exists() {
                found.push(entry.clone());
            }
            found.extend(manifests(&entry));
        }
    }
    found.sort();
    found
}

/// Reads a module's file, and those of the modules that it declares, which are in `dir`.
fn read(file: &Path, dir: &Path) -> Module {
    let code = without_tests(&without_comments(&std::fs::read_to_string(file).expect("UTF-8 source")));
    let mut children = BTreeMap::new();
    for name in declared(&code) {
        let child = dir.join(format!("{name}.rs"));
        if child.exists() {
            children.insert(name.clone(), read(&child, &dir.join(&name)));
        }
    }
    Module { children, code }
}

/// Names of `mod NAME;`.
fn declared(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let names = tokens.windows(3).filter(|w| w[0] == "mod" && w[2] == ";").map(|w| w[1].clone());
    names.collect()
}

/// Puts every circle of siblings at or below `module` into `found`, one line each.
fn circles(
    root: &Module,
    module: &Module,
    path: &mut Vec<String>,
    shown: &str,
    found: &mut BTreeSet<String>,
) {
    let names: BTreeSet<&String> = module.children.keys().collect();
    let mut edges: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, child) in &module.children {
        let mut named = BTreeSet::new();
        path.push(name.clone());
        mentions(root, child, path, path.len() - 1, &mut named);
        path.pop();
        named.retain(|n| n != name && names.contains(n));
        edges.insert(name, named);
    }
    for group in strongly_connected(&edges) {
        let prefix = if path.is_empty() { String::new() } else { format!("{}::", path.join("::")) };
        found.insert(format!("{shown}: {prefix}{{{}}}", group.into_iter().collect::<Vec<_>>().join(", ")));
    }
    for (name, child) in &module.children {
        path.push(name.clone());
        circles(root, child, path, shown, found);
        path.pop();
    }
}

/// Which modules at `depth` of the tree a module, which is at `path`, and those below it name.
fn mentions(root: &Module, module: &Module, path: &[String], depth: usize, named: &mut BTreeSet<String>) {
    for mentioned in paths(&module.code) {
        let absolute = match mentioned.first().map(String::as_str) {
            Some("crate") => mentioned[1..].to_vec(),
            Some("self") => [path, &mentioned[1..]].concat(),
            Some("super") => {
                let ups = mentioned.iter().take_while(|s| *s == "super").count();
                let Some(kept) = path.len().checked_sub(ups) else { continue };
                [&path[..kept], &mentioned[ups..]].concat()
            }
            _ => continue,
        };
        let absolute = resolved(root, absolute);
        if absolute.len() > depth && absolute[..depth] == path[..depth] {
            named.insert(absolute[depth].clone());
        }
    }
    for (name, child) in &module.children {
        mentions(root, child, &[path, std::slice::from_ref(name)].concat(), depth, named);
    }
}

/// Follows what modules hand on, a few times at most.
fn resolved(root: &Module, mut path: Vec<String>) -> Vec<String> {
    for _ in 0..4 {
        let mut at = root;
        let mut depth = 0;
        while let Some(child) = path.get(depth).and_then(|name| at.children.get(name)) {
            at = child;
            depth += 1;
        }
        let Some(item) = path.get(depth).cloned() else { return path };
        let handed_on = |p: &Vec<String>| p.last() == Some(&item) && p.len() > 1;
        let Some(from) = public_uses(&at.code).into_iter().find(handed_on) else { return path };
        let here = &path[..depth];
        let target = match from[0].as_str() {
            "crate" => from[1..].to_vec(),
            "self" => [here, &from[1..]].concat(),
            name if at.children.contains_key(name) => [here, &from[..]].concat(),
            _ => return path,
        };
        path = [target, path[depth + 1..].to_vec()].concat();
    }
    path
}

/// Every path in the code that begins with `crate`, `super` or `self`, groups taken apart.
fn paths(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let begins = ["crate", "super", "self"].contains(&token.as_str());
        let inside = i > 0 && tokens[i - 1] == "::";
        if begins && !inside && tokens.get(i + 1).is_some_and(|t| t == "::") {
            tree(&tokens, i, &[], &mut found);
        }
    }
    found
}

/// Paths of `pub use`.
fn public_uses(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    for i in 0..tokens.len() {
        if tokens[i] != "use" {
            continue;
        }
        let public = i > 0 && (tokens[i - 1] == "pub" || tokens[i - 1] == ")");
        if public {
            tree(&tokens, i + 1, &[], &mut found);
        }
    }
    found
}

/// Reads a path or a tree of them at `at`; returns where it ends.
fn tree(tokens: &[String], mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        if token == "{" {
            at += 1;
            while tokens.get(at).is_some_and(|t| t != "}") {
                at = tree(tokens, at, &path, found);
                if tokens.get(at).is_some_and(|t| t == ",") {
                    at += 1;
                }
            }
            return at + 1;
        }
        if !token.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '*') {
            // Whatever this is, it is no path; go on behind it.
            return at + 1;
        }
        path.push(token.clone());
        at += 1;
        if tokens.get(at).is_some_and(|t| t == "as") {
            at += 2;
        }
        if tokens.get(at).is_some_and(|t| t == "::") {
            at += 1;
        } else {
            break;
        }
    }
    found.push(path);
    at
}

/// Words, `::`, and single characters.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            let mut word = String::from(c);
            while let Some(next) = chars.next_if(|n| n.is_alphanumeric() || *n == '_') {
                word.push(next);
            }
            tokens.push(word);
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            tokens.push("::".to_owned());
        } else if !c.is_whitespace() {
            tokens.push(c.to_string());
        }
    }
    tokens
}

/// Without comments, and with nothing in strings.
fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let raw = rest.strip_prefix('r').map(|r| r.chars().take_while(|c| *c == '#').count());
        let after_raw = raw.and_then(|n| rest.get(1 + n..)).filter(|r| r.starts_with('"'));
        let word_before = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
        } else if let (Some(hashes), Some(body), false) = (raw, after_raw, word_before) {
            let end = format!("\"{}", "#".repeat(hashes));
            rest = body[1..].find(&end).map_or("", |at| &body[1 + at + end.len()..]);
            out.push(' ');
        } else if c == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            rest = end.map_or("", |at| &rest[1 + at + 1..]);
            out.push(' ');
        } else if rest.starts_with("'\"'") || rest.starts_with("'{'") || rest.starts_with("'}'") {
            rest = &rest[3..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// Without what is compiled for tests only: the item behind each `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        rest = &rest[at + "#[cfg(test)]".len()..];
        let (mut depth, mut end) = (0usize, rest.len());
        for (i, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        end = i + 1;
                        break;
                    }
                }
                ';' if depth == 0 => {
                    end = i + 1;
                    break;
                }
                _ => {}
            }
        }
        rest = &rest[end..];
    }
    out + rest
}

/// Groups of two or more that reach each other.
fn strongly_connected(edges: &BTreeMap<&str, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reach = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from.to_owned()];
        while let Some(at) = next.pop() {
            for to in edges.get(at.as_str()).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    next.push(to.clone());
                }
            }
        }
        seen
    };
    let all: BTreeMap<&str, BTreeSet<String>> = edges.keys().map(|name| (*name, reach(name))).collect();
    let mut groups: Vec<BTreeSet<String>> = Vec::new();
    for (name, reached) in &all {
        if groups.iter().any(|g| g.contains(*name)) || !reached.contains(*name) {
            continue;
        }
        let back = |other: &&String| all.get(other.as_str()).is_some_and(|r| r.contains(*name));
        groups.push(reached.iter().filter(back).cloned().collect());
    }
    groups
}

/// Rust passes over a file that no module declares: its tests are never run, and its faults never seen.
#[test]
fn every_source_file_is_of_a_module() {
    let mut lost = Vec::new();
    for manifest in manifests(super::root()) {
        let src = manifest.join("src");
        if !src.exists() {
            continue;
        }
        let mut files = Vec::new();
        super::sources(&src, &mut files);
        for file in files.iter().filter(|f| !f.to_string_lossy().contains("/src/gen/")) {
            let (Some(name), Some(folder)) = (file.file_stem().and_then(|s| s.to_str()), file.parent())
            else {
                continue;
            };
            if folder == src && ["lib", "main"].contains(&name) {
                continue;
            }
            let parents = [folder.join("lib.rs"), folder.join("main.rs"), folder.with_extension("rs")];
            let declares = |parent: &PathBuf| {
                let text = std::fs::read_to_string(parent).unwrap_or_default();
                declared(&without_comments(&text)).iter().any(|declared| declared == name)
            };
            if !parents.iter().any(declares) {
                lost.push(file.display().to_string());
            }
        }
    }
    assert!(lost.is_empty(), "files of no module: {}", lost.join(", "));
}

#[test]
fn the_search_finds_circles_and_nothing_else() {
    let module = |code: &str, children: &[(&str, &str)]| Module {
        children: children
            .iter()
            .map(|(name, code)| {
                let code = without_tests(&without_comments(code));
                ((*name).to_owned(), Module { children: BTreeMap::new(), code })
            })
            .collect(),
        code: code.to_owned(),
    };
    let found = |code: &str, children: &[(&str, &str)]| {
        let root = module(code, children);
        let mut found = BTreeSet::new();
        circles(&root, &root, &mut Vec::new(), "x", &mut found);
        found.into_iter().collect::<Vec<_>>()
    };
    let circle = ["x: {a, b}"];
    for (code, children, want) in [
        ("", &[("a", "use crate::b::B;"), ("b", "use super::a::A;")][..], &circle[..]),
        ("", &[("a", "use crate::b::B;"), ("b", "fn f() { crate::a::g() }")], &circle),
        ("", &[("a", "use crate::{c, b::{B, C as D}};"), ("b", "use crate::a;"), ("c", "")], &circle),
        // By what the root hands on.
        ("pub use a::A; pub use b::B;", &[("a", "use crate::B;"), ("b", "use super::A;")], &circle),
        ("", &[("a", "use crate::b::B;"), ("b", "")], &[]),
        // Not in comments, strings and tests.
        (
            "",
            &[
                ("a", "use crate::b::B;"),
                (
                    "b",
                    "// crate::a\n const S: &str = \"crate::a\"; #[cfg(test)] mod tests { use crate::a::A; }",
                ),
            ],
            &[],
        ),
        (
            "",
            &[("a", "use crate::b::B;"), ("b", "use crate::c::C;"), ("c", "use crate::a::A;")],
            &["x: {a, b, c}"],
        ),
    ] {
        assert_eq!(found(code, children), want, "{children:?}");
    }
}

//! Did what had to fail, fail?

use simulations_scenario::Counterexample;

use crate::rows::Row;

/// A row for each thing that must fail: it holds if a judged row did fail.
pub fn judge(counterexample: &Counterexample, rows: &[Row]) -> Vec<Row> {
    counterexample.fails.iter().map(|named| failed(named, rows)).collect()
}

fn failed(named: &str, rows: &[Row]) -> Row {
    let of_it: Vec<&Row> = rows.iter().filter(|r| r.is_named(named)).collect();
    let told = |r: &Row| format!("{}: {}", r.expectation, r.found);
    let (held, found) = match of_it.iter().find(|r| !r.held && r.reached) {
        Some(row) => (true, told(row)),
        None => {
            let all: Vec<String> = of_it.iter().map(|r| told(r)).collect();
            (false, if all.is_empty() { "no such row".to_owned() } else { all.join("; ") })
        }
    };
    Row { key: named.to_owned(), expectation: format!("{named} fails"), found, held, reached: true }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn row(key: &str, expectation: &str, held: bool, reached: bool) -> Row {
        Row { key: key.into(), expectation: expectation.into(), found: "found".into(), held, reached }
    }

    #[test]
    fn of_each_named_thing_one_judged_row_has_to_fail() {
        let rows = [
            row("reaches", "east/web reaches 3", true, true),
            row("reaches", "west/web reaches 3", false, true),
            row("failed==0", "failed==0 in \"step\"", true, true),
            row("settles", "east/web settles", false, false),
        ];
        for (named, want) in [
            ("reaches", true),
            ("west/web reaches 3", true),
            ("east/web reaches 3", false),
            ("failed==0", false),
            // Not judged is not failed.
            ("settles", false),
            ("nothing", false),
        ] {
            let c = Counterexample {
                name: "bad".into(),
                why: String::new(),
                set: BTreeMap::new(),
                fails: vec![named.into()],
            };
            assert_eq!(judge(&c, &rows)[0].held, want, "{named}");
        }
    }
}

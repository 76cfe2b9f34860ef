//! Two answers of the Prometheus HTTP API, compared.

use serde_json::Value;

/// How far apart two numbers may be, relative to the larger: the order of additions is no one's promise.
const TOLERANCE: f64 = 1e-12;

/// What an answer says, without what may differ: the order of series, which the API does not promise unless `ordered`,
/// and Thanos' `analysis`.
fn essence(body: &Value, ordered: bool) -> Value {
    let mut data = body["data"].clone();
    if let Some(data) = data.as_object_mut() {
        data.remove("analysis");
    }
    let list = match &mut data {
        Value::Array(list) => Some(list),
        data => data
            .get_mut("result")
            .and_then(Value::as_array_mut)
            .filter(|list| list.iter().all(Value::is_object)),
    };
    if let Some(list) = list.filter(|_| !ordered) {
        list.sort_by_key(|one| one.get("metric").unwrap_or(one).to_string());
    }
    data
}

/// Why two answers, each status and body, are not the same; the text of an error is its author's own.
/// # Errors
/// The first difference.
pub fn same(ours: &(u16, Value), theirs: &(u16, Value), ordered: bool) -> Result<(), String> {
    let ((status, a), (their_status, b)) = (ours, theirs);
    for (name, x, y) in [
        ("HTTP status", &Value::from(*status), &Value::from(*their_status)),
        ("status", &a["status"], &b["status"]),
        ("errorType", &a["errorType"], &b["errorType"]),
    ] {
        if x != y {
            return Err(format!("{name}: ours {x}, theirs {y}: ours {a:.300}, theirs {b:.300}"));
        }
    }
    close(&essence(a, ordered), &essence(b, ordered), "data")
}

fn close(a: &Value, b: &Value, at: &str) -> Result<(), String> {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) if x.keys().eq(y.keys()) => {
            x.iter().zip(y.values()).try_for_each(|((k, v), w)| close(v, w, &format!("{at}.{k}")))
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).enumerate().try_for_each(|(i, (v, w))| close(v, w, &format!("{at}[{i}]")))
        }
        (Value::Array(x), Value::Array(y)) => Err(format!(
            "{at}: ours has {} elements, theirs {}: ours {a:.500}, theirs {b:.500}",
            x.len(),
            y.len()
        )),
        // Times are the same or not.
        (Value::Number(x), Value::Number(y)) if x.as_f64() == y.as_f64() => Ok(()),
        (Value::String(x), Value::String(y)) if x == y || close_numbers(x, y) => Ok(()),
        _ if a == b => Ok(()),
        _ => Err(format!("{at}: ours {a:.500}, theirs {b:.500}")),
    }
}

fn close_numbers(a: &str, b: &str) -> bool {
    let (Ok(a), Ok(b)) = (a.parse::<f64>(), b.parse::<f64>()) else { return false };
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_found_and_what_may_differ_is_not() {
        let answer = |metric: &str, t: f64, v: &str| {
            let result = json!([{"metric": {"a": metric}, "value": [t, v]}, {"metric": {"a": "b"}, "value": [t, "1"]}]);
            (200, json!({"status": "success", "data": {"resultType": "vector", "result": result}}))
        };
        let base = answer("x", 1.5, "0.30000000000000004");
        same(&base, &answer("x", 1.5, "0.3"), false).unwrap();
        for other in [
            answer("y", 1.5, "0.3"),
            answer("x", 1.501, "0.3"),
            answer("x", 1.5, "0.3001"),
            answer("x", 1.5, "NaN"),
        ] {
            same(&base, &other, false).unwrap_err();
        }
        let mut turned = base.clone();
        turned.1["data"]["result"].as_array_mut().unwrap().reverse();
        same(&base, &turned, false).unwrap();
        same(&base, &turned, true).unwrap_err();
        let error =
            |status, kind: &str| (status, json!({"status": "error", "errorType": kind, "error": "text"}));
        same(&error(400, "bad_data"), &error(400, "bad_data"), true).unwrap();
        same(&error(400, "bad_data"), &error(422, "bad_data"), true).unwrap_err();
        same(&error(422, "execution"), &error(422, "bad_data"), true).unwrap_err();
    }
}

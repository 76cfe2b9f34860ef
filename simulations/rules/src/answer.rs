//! Answers of a Prometheus HTTP API as prometheus-adapter and KEDA read them: numbers, and nothing about them.

use autoscaler_hpa::Answer;
use autoscaler_hpa::amd64::integer;
use autoscaler_keda::QueryResult;
use serde::Deserialize;
use simulations_world::Reply;

/// What both read of a body. Neither knows `warnings`, `infos` or `isPartial`.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    result: serde_json::Value,
}

impl Data {
    /// The values of a vector; a scalar's is the only one.
    fn values(&self) -> Option<Vec<f64>> {
        let rows = self.result.as_array()?;
        let of = |pair: &serde_json::Value| pair.get(1)?.as_str()?.parse().ok();
        if rows.first().is_some_and(serde_json::Value::is_number) {
            return Some(vec![of(&self.result)?]);
        }
        rows.iter().map(|row| of(row.get("value")?)).collect()
    }
}

/// An answer as prometheus-adapter hands it to the HPA: every series' value in thousandths, cut off towards zero; a
/// number that fits no integer, NaN among them, becomes the smallest one.
///
/// Upstream: prometheus-adapter `pkg/client/api.go`, `Do`, and `pkg/external-provider/metric_converter.go`,
/// `convertSample`.
pub fn of_adapter(reply: Result<Reply, String>) -> Answer {
    let values = reply.and_then(|reply| {
        // 400, 422 and 503 carry a JSON error, all else but 2xx none.
        let body: Body = serde_json::from_str(&reply.body).map_err(|e| e.to_string())?;
        if reply.status / 100 != 2 || body.status != "success" {
            return Err(format!("status {}: {}", reply.status, body.error));
        }
        body.data.and_then(|data| data.values()).ok_or_else(|| "no vector".to_owned())
    });
    match values {
        Ok(values) => Answer::External(values.into_iter().map(|value| integer(value * 1000.0)).collect()),
        Err(why) => Answer::Failed(why),
    }
}

/// An answer as KEDA's Prometheus scaler reads it: one series' value, whatever `status` says.
///
/// Upstream: KEDA `pkg/scalers/prometheus_scaler.go`, `ExecutePromQuery`.
pub fn of_scaler(reply: Result<Reply, String>) -> QueryResult {
    let reply = match reply {
        Ok(reply) if reply.status / 100 == 2 => reply,
        Ok(reply) => return QueryResult::Failed(format!("status {}", reply.status)),
        Err(why) => return QueryResult::Failed(why),
    };
    let body: Body = match serde_json::from_str(&reply.body) {
        Ok(body) => body,
        Err(error) => return QueryResult::Failed(error.to_string()),
    };
    match body.data.map(|data| data.values()) {
        None => QueryResult::Empty,
        Some(None) => QueryResult::Failed("no vector".to_owned()),
        Some(Some(values)) => match values.as_slice() {
            [] => QueryResult::Empty,
            [value] => QueryResult::Value(*value),
            _ => QueryResult::Many,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARNED: &str = r#"{"status":"success","isPartial":true,"warnings":["a store is away"],"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"40.5"]}]}}"#;
    const NAN: &str =
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"NaN"]}]}}"#;
    const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    const SCALAR: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}"#;
    const ERROR: &str = r#"{"status":"error","errorType":"execution","error":"overloaded"}"#;

    #[test]
    fn warnings_are_not_looked_at_and_what_is_no_number_is_one() {
        for (status, body, adapter, scaler) in [
            (200, WARNED, Answer::External(vec![40_500]), QueryResult::Value(40.5)),
            (200, EMPTY, Answer::External(vec![]), QueryResult::Empty),
            (200, SCALAR, Answer::External(vec![7000]), QueryResult::Value(7.0)),
        ] {
            let reply = || Ok(Reply { status, body: body.to_owned() });
            assert_eq!((of_adapter(reply()), of_scaler(reply())), (adapter, scaler), "{body}");
        }
        let nan = || Ok(Reply { status: 200, body: NAN.to_owned() });
        assert_eq!(of_adapter(nan()), Answer::External(vec![i64::MIN]));
        assert!(matches!(of_scaler(nan()), QueryResult::Value(value) if value.is_nan()));
    }

    #[test]
    fn what_is_no_answer_is_a_failure() {
        for (status, body) in [(422, ERROR), (503, ERROR), (200, "<html>"), (500, ""), (502, "{}")] {
            let reply = || Ok(Reply { status, body: body.to_owned() });
            assert!(matches!(of_adapter(reply()), Answer::Failed(_)), "{status} {body}");
            assert!(matches!(of_scaler(reply()), QueryResult::Failed(_)), "{status} {body}");
        }
        // One of the two looks at `status`.
        let reply = || Ok(Reply { status: 200, body: ERROR.to_owned() });
        assert!(matches!(of_adapter(reply()), Answer::Failed(_)));
        assert_eq!(of_scaler(reply()), QueryResult::Empty);
    }
}

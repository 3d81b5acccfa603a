//! What a program answers with, and policy-controller's words for it.

use regorus::Value;

use super::super::Outcome;

const QUERY: &str = "isCompliant = data.sigstore.isCompliant";

/// The outcome that an answer means: `true`, or a set of objects with `result`, `error` and `warning`.
pub(super) fn judge(answer: &Value) -> Outcome {
    match answer {
        Value::Bool(true) => Outcome::Compliant,
        Value::Set(responses) => of_responses(responses.iter()),
        Value::Array(responses) => of_responses(responses.iter()),
        Value::Bool(false)
        | Value::Undefined
        | Value::Null
        | Value::Number(_)
        | Value::String(_)
        | Value::Object(_) => Outcome::Not(format!("policy is not compliant for query '{QUERY}'")),
    }
}

/// The first response whose result is true decides, and otherwise the last one's error is told.
fn of_responses<'a>(responses: impl Iterator<Item = &'a Value>) -> Outcome {
    let mut message = format!("policy is not compliant for query \"{QUERY}\"");
    for response in responses {
        let Value::Object(fields) = response else {
            return Outcome::Not(format!(
                "policy is not compliant for query '{QUERY}' with errors: a response is not an object"
            ));
        };
        let field = |name: &str| fields.get(&Value::from(name));
        let text = |name| field(name).and_then(|value| value.as_string().ok()).map_or("", |text| &**text);
        if field("result") == Some(&Value::Bool(true)) {
            return match text("warning") {
                "" => Outcome::Compliant,
                warning => Outcome::Not(format!("warning: {warning}")),
            };
        }
        message = format!("policy is not compliant for query '{QUERY}' with errors: {}", text("error"));
    }
    Outcome::Not(message)
}

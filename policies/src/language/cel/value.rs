//! JSON as CEL sees it, and when two of its values are equal.

#![expect(clippy::wildcard_enum_match_arm, reason = "of another library's values a few are meant")]

use std::collections::HashMap;
use std::sync::Arc;

use kube_cel::cel::Value;
use kube_cel::cel::objects::{Key, Map};
use serde_json::Value as Json;

/// How deep an input may nest. Values are copied and compared by recursion.
const DEPTH: usize = 128;

/// The value of some JSON.
///
/// Whole numbers are `int`, as they are written in expressions, and never `uint`: the library's own conversion makes
/// them `uint`, and then `port != 8080` is true of the port 8080.
///
/// # Errors
/// Why it has none: a whole number outside of 64 bits with a sign, or too many levels.
pub(super) fn of_json(json: &Json) -> Result<Value, String> {
    at_depth(json, DEPTH)
}

fn at_depth(json: &Json, left: usize) -> Result<Value, String> {
    let left = left.checked_sub(1).ok_or("the input is nested too deeply")?;
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(value) => Value::Int(value),
            None if number.is_u64() => return Err(format!("the number {number} is too large")),
            None => Value::Float(number.as_f64().ok_or("a number is out of range")?),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => {
            let items = items.iter().map(|item| at_depth(item, left));
            Value::List(Arc::new(items.collect::<Result<_, _>>()?))
        }
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                Ok::<_, String>((Key::String(Arc::new(name.clone())), at_depth(value, left)?))
            });
            Value::Map(Map { map: Arc::new(fields.collect::<Result<HashMap<_, _>, _>>()?) })
        }
    })
}

/// Whether two values are equal, with numbers compared by what they are and not by their type, as the language has
/// it: <https://github.com/google/cel-spec/blob/master/doc/langdef.md#equality>
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right.iter()).all(|(left, right)| equal(left, right))
        }
        (Value::Map(left), Value::Map(right)) => {
            let same = |key: &Key, value| right.map.get(key).is_some_and(|other| equal(value, other));
            left.map.len() == right.map.len() && left.map.iter().all(|(key, value)| same(key, value))
        }
        _ => match (whole(left), whole(right)) {
            (Some(left), Some(right)) => left == right,
            (Some(_), None) | (None, Some(_)) | (None, None) => left == right,
        },
    }
}

/// A number without a fraction, of whatever type. Nothing of it is lost: such a float below 2^64 is one integer.
fn whole(value: &Value) -> Option<i128> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    match value {
        Value::Int(value) => Some(i128::from(*value)),
        Value::UInt(value) => Some(i128::from(*value)),
        Value::Float(value) if value.fract() == 0.0 && value.abs() < 1e19 => Some(*value as i128),
        _ => None,
    }
}

/// How many values there are in it, and bytes in its texts; no more than `limit`, however large it is.
pub(super) fn weight(value: &Value, limit: usize) -> usize {
    let mut total = 0;
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        total += 1;
        match value {
            Value::String(text) => total += text.len() / 8,
            Value::Bytes(bytes) => total += bytes.len() / 8,
            Value::List(items) => pending.extend(items.iter()),
            Value::Map(fields) => pending.extend(fields.map.values()),
            _ => {}
        }
        if total + pending.len() >= limit {
            return limit;
        }
    }
    total
}

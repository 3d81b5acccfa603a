//! Functions whose answers can be much larger than what they are given. They take the place of those of `regorus`:
//! what they are given is weighed first, and then the real one is asked, in an interpreter of its own.

use regorus::{Engine, Value};

use super::meter;

/// The most that such a function may answer with, in values and bytes of strings.
const WEIGHT: usize = 1024 * 1024;

/// The same, where texts are put into a text.
const PRODUCT: usize = 16 * WEIGHT;

/// How many numbers a range may have.
const RANGE: i64 = 10_000;

/// How many bits a number may be shifted by.
const SHIFT: i64 = 4096;

/// How large an answer can become.
#[derive(Clone, Copy)]
enum Growth {
    /// As large as all arguments together.
    Sum,
    /// As large as the arguments multiplied.
    Product,
    /// Padded to a width that the first argument names.
    Width,
    /// From a number to a number.
    Range,
    /// By the second argument.
    Shift,
}

const GUARDED: [(&str, u8, Growth); 18] = [
    ("array.concat", 2, Growth::Sum),
    ("bits.lsh", 2, Growth::Shift),
    ("concat", 2, Growth::Product),
    ("intersection", 1, Growth::Sum),
    ("json.filter", 2, Growth::Sum),
    ("json.marshal", 1, Growth::Sum),
    ("json.remove", 2, Growth::Sum),
    ("numbers.range", 2, Growth::Range),
    ("numbers.range_step", 3, Growth::Range),
    ("object.filter", 2, Growth::Sum),
    ("object.remove", 2, Growth::Sum),
    ("object.union", 2, Growth::Sum),
    ("object.union_n", 1, Growth::Sum),
    ("regex.replace", 3, Growth::Product),
    ("replace", 3, Growth::Product),
    ("sprintf", 2, Growth::Width),
    ("union", 1, Growth::Sum),
    ("urlquery.encode_object", 1, Growth::Sum),
];

/// Puts the guarded functions and the clock into an interpreter.
pub(super) fn add(engine: &mut Engine) -> Result<(), String> {
    for (name, count, growth) in GUARDED {
        let inner = plain(name, count)?;
        let guarded = move |arguments: Vec<Value>| {
            if !fits(growth, &arguments) {
                meter::exceed("makes a value that is too large");
                return Err(std::fmt::Error.into());
            }
            let mut inner = inner.clone();
            inner.set_input(Value::from(arguments));
            inner.eval_rule("data.guarded.answer".to_owned())
        };
        engine.add_extension(name.to_owned(), count, Box::new(guarded)).map_err(|error| error.to_string())?;
    }
    let now = |_: Vec<Value>| Ok(meter::now_ns().map_or(Value::Undefined, Value::from));
    engine.add_extension("time.now_ns".to_owned(), 0, Box::new(now)).map_err(|error| error.to_string())
}

/// An interpreter that calls the function of that name with the items of its input.
fn plain(name: &str, count: u8) -> Result<Engine, String> {
    let arguments: Vec<_> = (0..count).map(|index| format!("input[{index}]")).collect();
    let text = format!("package guarded\nanswer := {name}({})", arguments.join(", "));
    let mut engine = Engine::new();
    engine.add_policy(name.to_owned(), text).map_err(|error| error.to_string())?;
    Ok(engine)
}

fn fits(growth: Growth, arguments: &[Value]) -> bool {
    let weights = arguments.iter().map(|value| weight(value, WEIGHT));
    let number = |index: usize| arguments.get(index).and_then(|value| value.as_i64().ok());
    match growth {
        Growth::Sum => weights.sum::<usize>() < WEIGHT,
        Growth::Product => largest_product(weights.collect()) < PRODUCT,
        Growth::Width => weights.sum::<usize>() < WEIGHT && arguments.first().is_none_or(narrow),
        Growth::Range => match (number(0), number(1)) {
            (Some(from), Some(to)) => to.checked_sub(from).is_some_and(|length| length.abs() <= RANGE),
            // A number that is none of 64 bits; anything else is refused by the function.
            _ => arguments.iter().take(2).all(|value| value.as_number().is_err()),
        },
        Growth::Shift => number(1).is_none_or(|by| by <= SHIFT) && number(0).is_some(),
    }
}

/// The product of the two largest: what is put in, and into how many places.
fn largest_product(mut weights: Vec<usize>) -> usize {
    weights.sort_unstable();
    weights.iter().rev().take(2).product()
}

/// Whether a format asks for no width of more than three digits.
fn narrow(format: &Value) -> bool {
    let Ok(format) = format.as_string() else {
        return true;
    };
    let digits = |part: &str| part.chars().take_while(|digit| *digit == '.' || digit.is_numeric()).count();
    format.split('%').skip(1).all(|part| digits(part) <= 4)
}

/// How many values there are in it, and bytes in its strings; no more than `limit`, however large it is. A value that
/// is shared counts as often as it is there, because that is how often it would be copied.
fn weight(value: &Value, limit: usize) -> usize {
    let mut total = 1;
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        total += 1;
        match value {
            Value::String(text) => total += text.len(),
            Value::Array(items) => pending.extend(items.iter()),
            Value::Set(items) => pending.extend(items.iter()),
            Value::Object(fields) => {
                for (key, value) in fields.iter() {
                    pending.extend([key, value]);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Undefined => {}
        }
        if total + pending.len() >= limit {
            return limit;
        }
    }
    total
}

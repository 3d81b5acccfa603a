//! What an expression can call: the libraries of Kubernetes, with the functions that could grow or diverge replaced.

#![expect(clippy::wildcard_enum_match_arm, reason = "of another library's values a few are meant")]
#![expect(clippy::needless_pass_by_value, reason = "that is how the library hands over arguments")]

use std::sync::Arc;

use kube_cel::KubeCelExt;
use kube_cel::cel::extractors::This;
use kube_cel::cel::{Context, ExecutionError, FunctionContext, Value};

use super::{meter, rewrite, value};
use crate::go_regex::GoRegex;

type Result<T> = std::result::Result<T, ExecutionError>;

/// The longest range of numbers.
const RANGE: i64 = 10_000;

/// A context with all functions and without variables.
pub(super) fn context() -> Context<'static> {
    let mut context = Context::default().with_all();
    context.add_function(rewrite::METER, |call: &FunctionContext<'_, '_>| {
        meter::step()?;
        meter::made(argument(call, 0)?)
    });
    context.add_function(rewrite::STEP, |call: &FunctionContext<'_, '_>| {
        meter::step()?;
        argument(call, 0)
    });
    context.add_function(rewrite::EQUAL, |call: &FunctionContext<'_, '_>| equal(call));
    context
        .add_function(rewrite::DIFFERENT, |call: &FunctionContext<'_, '_>| equal(call).map(|equal| !equal));
    context.add_function(rewrite::WITHIN, |call: &FunctionContext<'_, '_>| within(call));
    context.add_function("matches", matches);
    context.add_function("replace", replace);
    context.add_function("join", join);
    context.add_function("lists.range", range);
    context
}

fn argument(call: &FunctionContext<'_, '_>, index: usize) -> Result<Value> {
    let argument = call.args.get(index).ok_or(ExecutionError::MissingArgumentOrTarget)?;
    call.ptx.resolve(argument)
}

fn equal(call: &FunctionContext<'_, '_>) -> Result<bool> {
    Ok(value::equal(&argument(call, 0)?, &argument(call, 1)?))
}

fn within(call: &FunctionContext<'_, '_>) -> Result<bool> {
    let item = argument(call, 0)?;
    match argument(call, 1)? {
        Value::List(items) => Ok(items.iter().any(|other| value::equal(&item, other))),
        Value::Map(fields) => Ok(match &item {
            Value::String(name) => fields.map.keys().any(|key| *key == name.clone().into()),
            other => fields.map.keys().any(|key| value::equal(other, &key.into())),
        }),
        _ => Err(ExecutionError::NoSuchOverload),
    }
}

/// With the expressions of Go, which are those of the language's own engine, and with their limits.
fn matches(
    call: &FunctionContext<'_, '_>,
    This(text): This<Arc<String>>,
    pattern: Arc<String>,
) -> Result<bool> {
    let regex = GoRegex::new(&pattern).map_err(|error| call.error(error))?;
    Ok(regex.is_match(&text))
}

fn replace(
    call: &FunctionContext<'_, '_>,
    This(text): This<Arc<String>>,
    old: Arc<String>,
    new: Arc<String>,
) -> Result<Value> {
    if call.args.len() > 2 {
        return Err(call.error("replacing a number of times is not supported"));
    }
    grown(text.len(), text.matches(old.as_str()).count(), new.len())?;
    Ok(text.replace(old.as_str(), &new).into())
}

fn join(call: &FunctionContext<'_, '_>, This(items): This<Arc<Vec<Value>>>) -> Result<Value> {
    let separator = match call.args.len() {
        0 => Arc::default(),
        _ => text(argument(call, 0)?)?,
    };
    let items: Vec<_> = items.iter().cloned().map(text).collect::<Result<_>>()?;
    grown(items.iter().map(|item| item.len()).sum(), items.len(), separator.len())?;
    Ok(items.iter().map(|item| item.as_str()).collect::<Vec<_>>().join(&separator).into())
}

fn range(call: &FunctionContext<'_, '_>, end: i64) -> Result<Value> {
    if end > RANGE {
        return Err(meter::exceed("makes a value that is too large"));
    }
    if call.args.len() != 1 {
        return Err(call.error("one argument is wanted"));
    }
    Ok((0..end).map(Value::Int).collect::<Vec<_>>().into())
}

fn text(value: Value) -> Result<Arc<String>> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(ExecutionError::NoSuchOverload),
    }
}

/// Refuses a text of that length, with so many more of that length put in, before it is made.
fn grown(length: usize, count: usize, each: usize) -> Result<()> {
    match count.checked_mul(each).and_then(|more| more.checked_add(length)) {
        Some(total) if total < meter::VALUE * 8 => Ok(()),
        _ => Err(meter::exceed("makes a value that is too large")),
    }
}

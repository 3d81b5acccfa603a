//! What is done to an expression before it is run: its loops and everything that makes a value are metered, its
//! equality is that of the language, and what cannot be run is refused.

use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, operators};
use kube_cel::cel::parser::Expression;

/// Measures its argument.
pub(super) const METER: &str = "@meter";
/// Counts, and then gives its argument.
pub(super) const STEP: &str = "@step";
/// Whether its arguments are equal, different, or the second holds the first.
pub(super) const EQUAL: &str = "@equal";
/// See [`EQUAL`].
pub(super) const DIFFERENT: &str = "@different";
/// See [`EQUAL`].
pub(super) const WITHIN: &str = "@within";

/// How deep an expression may nest; it is evaluated by recursion.
const DEPTH: usize = 96;

/// Rewrites an expression.
///
/// # Errors
/// What in it cannot be run, in words for the author.
pub(super) fn rewrite(expression: Expression) -> Result<Expression, String> {
    at_depth(expression, DEPTH)
}

fn at_depth(Expression { id, expr }: Expression, left: usize) -> Result<Expression, String> {
    let left = left.checked_sub(1).ok_or("it is nested too deeply")?;
    let inner = |expression| at_depth(expression, left);
    let boxed = |expression: Box<Expression>| at_depth(*expression, left).map(Box::new);
    let mut metered = false;
    let expr = match expr {
        Expr::Call(mut call) => {
            call.args = call.args.into_iter().map(inner).collect::<Result<_, _>>()?;
            call.target = call.target.map(boxed).transpose()?;
            metered = call.func_name == operators::ADD || is_function(&call.func_name);
            if call.args.len() == 2 && call.target.is_none() {
                call.func_name = compared(call.func_name);
            }
            Expr::Call(call)
        }
        Expr::Comprehension(mut comprehension) => {
            if comprehension.iter_var2.is_some() {
                return Err("loops over two variables are not supported".to_owned());
            }
            comprehension.iter_range = inner(comprehension.iter_range)?;
            comprehension.accu_init = inner(comprehension.accu_init)?;
            comprehension.loop_cond = inner(comprehension.loop_cond)?;
            comprehension.loop_step = call(STEP, inner(comprehension.loop_step)?);
            comprehension.result = inner(comprehension.result)?;
            Expr::Comprehension(comprehension)
        }
        Expr::List(mut list) => {
            metered = !list.elements.is_empty();
            list.elements = list.elements.into_iter().map(inner).collect::<Result<_, _>>()?;
            Expr::List(list)
        }
        Expr::Map(mut map) => {
            metered = true;
            for entry in &mut map.entries {
                let EntryExpr::MapEntry(entry) = &mut entry.expr else {
                    return Err("a map has a field without a key".to_owned());
                };
                entry.key = inner(std::mem::take(&mut entry.key))?;
                entry.value = inner(std::mem::take(&mut entry.value))?;
            }
            Expr::Map(map)
        }
        Expr::Select(mut select) => {
            select.operand = boxed(select.operand)?;
            Expr::Select(select)
        }
        Expr::Struct(_) | Expr::Unspecified => return Err("messages are not supported".to_owned()),
        Expr::Ident(_) | Expr::Literal(_) => expr,
    };
    let expression = Expression { id, expr };
    Ok(if metered { call(METER, expression) } else { expression })
}

/// Whether it is the name of a function and not of an operator.
fn is_function(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
}

fn compared(operator: String) -> String {
    match operator.as_str() {
        operators::EQUALS => EQUAL.to_owned(),
        operators::NOT_EQUALS => DIFFERENT.to_owned(),
        operators::IN => WITHIN.to_owned(),
        _ => operator,
    }
}

fn call(name: &str, argument: Expression) -> Expression {
    let call = CallExpr { func_name: name.to_owned(), target: None, args: vec![argument] };
    Expression { id: 0, expr: Expr::Call(call) }
}

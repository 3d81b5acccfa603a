//! Decisions that were made, for whoever may operate the gateway.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};

use super::access::Operator;
use crate::place::Upstreams;
use crate::records::{Outcome, Record, Records, Search, Wanted, cloud_event, disagreements, told};
use crate::reply::{Body, text, whole};

/// `GET /decisions`, newest first. `about` is the name of a decision, an object or an image; `namespace`, `outcome` and
/// `wouldDeny` narrow it down; `limit` says how many; `format` how: `json`, `jsonl` or `cloudevents`.
pub(super) const DECISIONS: &str = "/decisions";

/// `GET /disagreements`: what would have been denied, had it not only been observed.
pub(super) const DISAGREEMENTS: &str = "/disagreements";

/// How many decisions are told where nobody says how many.
const USUALLY: usize = 100;

/// Decisions that are kept, and how images are called in them.
#[derive(Clone)]
pub(crate) struct Decided {
    records: Arc<Records>,
    upstreams: Arc<Upstreams>,
}

/// How they are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Json,
    JsonLines,
    CloudEvents,
}

/// What is asked for.
#[derive(Debug)]
struct Asked {
    search: Search,
    limit: usize,
    form: Form,
}

impl Decided {
    pub(crate) fn new(records: Arc<Records>, upstreams: Arc<Upstreams>) -> Self {
        Self { records, upstreams }
    }

    /// Answers an operator.
    pub(super) fn answer<B>(&self, _: Operator, request: &Request<B>) -> Response<Body> {
        if request.method() != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET");
        }
        if request.uri().path() == DISAGREEMENTS {
            return of_type("application/json", disagreements(&self.records).to_string());
        }
        match asked(request.uri().query().unwrap_or_default(), &self.upstreams) {
            Ok(asked) => self.decisions(&asked),
            Err(why) => text(StatusCode::BAD_REQUEST, why),
        }
    }

    fn decisions(&self, asked: &Asked) -> Response<Body> {
        let (found, more) = self.records.find(&asked.search, asked.limit);
        let all = |by: fn(&Record) -> Value| found.iter().map(|record| by(record)).collect::<Vec<_>>();
        match asked.form {
            Form::Json => {
                let status = if found.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
                let body = json!({"decisions": all(told), "more": more}).to_string();
                let mut response = of_type("application/json", body);
                *response.status_mut() = status;
                response
            }
            Form::JsonLines => {
                let lines = all(told).iter().map(|told| format!("{told}\n")).collect::<String>();
                of_type("application/x-ndjson", lines)
            }
            Form::CloudEvents => {
                of_type("application/cloudevents-batch+json", Value::from(all(cloud_event)).to_string())
            }
        }
    }
}

fn of_type(media_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::from(body)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

fn asked(query: &str, upstreams: &Upstreams) -> Result<Asked, String> {
    let mut keys = HashMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_encoding::percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| format!("{key} is not UTF-8"))?.into_owned();
        if keys.insert(key, value).is_some() {
            return Err(format!("{key} is given twice"));
        }
    }
    let outcome = match keys.remove("outcome").as_deref() {
        None => None,
        Some("allowed") => Some(Outcome::Allowed),
        Some("denied") => Some(Outcome::Denied),
        Some("undecided") => Some(Outcome::Undecided),
        Some(_) => return Err("outcome is allowed, denied or undecided".to_owned()),
    };
    let form = match keys.remove("format").as_deref() {
        None | Some("json") => Form::Json,
        Some("jsonl") => Form::JsonLines,
        Some("cloudevents") => Form::CloudEvents,
        Some(_) => return Err("format is json, jsonl or cloudevents".to_owned()),
    };
    let would_deny = match keys.remove("wouldDeny").as_deref() {
        None | Some("false") => false,
        Some("" | "true") => true,
        Some(_) => return Err("wouldDeny is true or false".to_owned()),
    };
    let limit = match keys.remove("limit") {
        // An export is of everything.
        None if form == Form::Json => USUALLY,
        None => usize::MAX,
        Some(limit) => limit.parse().map_err(|_| "limit is a number".to_owned())?,
    };
    let about = keys.remove("about").map(|about| Wanted::new(&about, upstreams));
    let namespace = keys.remove("namespace");
    match keys.into_keys().next() {
        Some(unknown) => {
            Err(format!("{unknown} is none of about, namespace, outcome, wouldDeny, limit and format"))
        }
        None => Ok(Asked { search: Search { about, namespace, outcome, would_deny }, limit, form }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_or_refused() {
        let upstreams = Upstreams::default();
        let read =
            asked("about=shop%2Fweb-1&namespace=shop&outcome=denied&wouldDeny&limit=5", &upstreams).unwrap();
        assert_eq!((read.limit, read.form, read.search.would_deny), (5, Form::Json, true));
        assert_eq!(read.search.outcome, Some(Outcome::Denied));
        assert_eq!(asked("format=jsonl", &upstreams).unwrap().limit, usize::MAX);
        for query in [
            "about=a&about=b",
            "outcome=maybe",
            "format=xml",
            "limit=-1",
            "wouldDeny=2",
            "abuot=a",
            "about=%ff",
        ] {
            assert!(asked(query, &upstreams).is_err(), "{query}");
        }
    }
}

//! The page for people: what is denied and why, policies, images in use, health. It only reads, and needs nothing but
//! itself: no script, no picture, no font of somebody else's.

mod counted;
mod decisions;
mod frame;
mod health;
mod images;
mod policies;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use maud::Markup;
use oci::Digest;
use serde_json::Value;

use crate::reply::{Body, whole};

/// What the page is about, all of one moment.
pub(super) struct Look {
    /// Whether the gateway is ready, and what there is to say of that.
    pub(super) ready: Result<String, String>,
    /// Decisions as they are told to machines, newest first.
    pub(super) decisions: Vec<Value>,
    /// The policies in force by name, each with why it cannot be judged by, if so.
    pub(super) policies: Vec<(String, Option<String>)>,
    /// What is counted, in the text format of Prometheus.
    pub(super) counted: String,
}

/// A part of the page, by its path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Overview,
    Decision,
    Policies,
    Images,
    Health,
}

impl Part {
    /// The part at a path, if there is one.
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Overview),
            "/why" => Some(Self::Decision),
            "/policies" => Some(Self::Policies),
            "/images" => Some(Self::Images),
            "/health" => Some(Self::Health),
            _ => None,
        }
    }

    /// The part as it is now. `about` is what somebody searches for.
    pub(super) fn render(self, look: &Look, about: Option<&str>) -> Response<Body> {
        let content = match self {
            Self::Overview => decisions::overview(look, about),
            Self::Decision => match decisions::one(look, about) {
                Some(content) => content,
                None => return page(StatusCode::NOT_FOUND, frame::page(self, &decisions::none(about))),
            },
            Self::Policies => policies::all(look),
            Self::Images => images::in_use(look),
            Self::Health => health::now(look),
        };
        page(StatusCode::OK, frame::page(self, &content))
    }
}

/// What a query asks about; nothing where it asks about nothing.
///
/// # Errors
/// What is wrong with the query.
pub(super) fn about(query: &str) -> Result<Option<String>, &'static str> {
    let Some(encoded) = query.split('&').find_map(|pair| pair.strip_prefix("about=")) else {
        return Ok(None);
    };
    // A form writes spaces so.
    let spaced = encoded.replace('+', " ");
    let about = percent_encoding::percent_decode_str(&spaced).decode_utf8();
    let about = about.map_err(|_| "about is not UTF-8")?;
    Ok(Some(about.trim().to_owned()).filter(|about| !about.is_empty()))
}

fn page(status: StatusCode, markup: Markup) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::from(markup.into_string())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(policy) = HeaderValue::from_str(&content_security_policy()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Nothing is loaded, nothing runs, nobody frames it; the one style sheet is the one that is in it.
fn content_security_policy() -> String {
    let style = STANDARD.encode(Digest::of(frame::STYLE.as_bytes()).hash());
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// A text of a JSON document, or nothing.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The elements of a list in a JSON document.
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests;

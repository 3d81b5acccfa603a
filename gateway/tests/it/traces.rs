//! Spans, as a collector receives them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Stdio;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::stage::{HOST, Stage};

/// Takes what is exported, and passes the spans on.
async fn collector() -> (SocketAddr, mpsc::UnboundedReceiver<Span>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, spans) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let sender = sender.clone();
                    async move {
                        assert_eq!(request.uri().path(), "/v1/traces");
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        let export = ExportTraceServiceRequest::decode(body).unwrap();
                        let scopes = export.resource_spans.into_iter().flat_map(|of| of.scope_spans);
                        for span in scopes.flat_map(|scope| scope.spans) {
                            sender.send(span).unwrap();
                        }
                        Ok::<_, Infallible>(Response::new(Full::<bytes::Bytes>::default()))
                    }
                });
                let serving = hyper::server::conn::http1::Builder::new();
                drop(serving.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    (address, spans)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_trace_contains_what_its_answer_waited_for() {
    let stage = Stage::new().await;
    stage.signed(1, "acme/app", "v1");
    let (collector, mut spans) = collector().await;
    let more = format!(
        "registry: {{listen: '127.0.0.1:0'}}\nadmission: {{listen: '127.0.0.1:0'}}\n\
         policies: {{directory: {}/policies}}\n\
         traces: {{endpoint: 'http://{collector}/v1/traces', share: 0}}\n",
        stage.directory.path().display(),
    );
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["serve", "--config"])
        .arg(stage.configuration(&more))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(gateway.stdout.take().unwrap()).lines();
    let registry = loop {
        let line = lines.next_line().await.unwrap().expect("it is ready");
        if let Some((_, rest)) = line.split_once("docker://") {
            break rest.split_once('/').unwrap().0.to_owned();
        }
    };

    let uri = format!("http://{registry}/v2/{HOST}/acme/app/manifests/v1");
    let client =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    // Nobody asks for this one to be traced, and the share of those is nought.
    let request = Request::builder().uri(&uri).body(Full::<bytes::Bytes>::default()).unwrap();
    assert_eq!(client.request(request).await.unwrap().status(), 200);
    stage.signed(2, "acme/other", "v1");
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let uri = uri.replace("acme/app", "acme/other");
    let request = Request::builder().uri(&uri).header("traceparent", parent);
    let answer = client.request(request.body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let decision = answer.headers()["countersign-decision"].to_str().unwrap().to_owned();

    // What is not sent yet is sent before it ends.
    let id = gateway.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    assert!(gateway.wait().await.unwrap().success());
    let mut names = Vec::new();
    let mut request = None;
    while let Ok(span) = spans.try_recv() {
        assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c", "{span:?}");
        names.push(span.name.clone());
        if span.name == "pull" {
            request = Some(span);
        }
    }
    names.sort();
    names.dedup();
    assert_eq!(names, ["discover", "fetch", "judge", "pull", "resolve", "verify"]);
    let request = request.unwrap();
    assert_eq!(hex(&request.parent_span_id), "b7ad6b7169203331");
    assert!(format!("{:?}", request.attributes).contains(&decision), "{request:?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

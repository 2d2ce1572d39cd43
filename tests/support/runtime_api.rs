//! A stand-in for the Lambda Runtime API, and the built function under it.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

/// The maximum size of the event and of the response of a synchronous invocation, in bytes.
pub const LARGEST_ANSWER: usize = 6 * 1024 * 1024;

/// The function's answer to one invocation.
#[derive(Debug)]
pub struct Answer {
    /// Whether it is a response rather than an error.
    pub is_ok: bool,
    /// The response, or the error with its `errorType` and `errorMessage`.
    pub body: Value,
    /// The bytes of the body.
    pub size: usize,
}

/// How an invocation ended.
#[derive(Debug)]
pub enum End {
    Answer(Answer),
    /// The process ended without an answer, as one does that has used up its memory.
    Killed(ExitStatus),
    /// There was no answer within the time limit.
    TimedOut,
}

/// What a process has written.
pub struct Output {
    pub stdout: String,
    pub stderr: String,
}

struct Invocation {
    event: Vec<u8>,
    deadline: SystemTime,
}

struct Shared {
    invocations: Mutex<mpsc::UnboundedReceiver<Invocation>>,
    answers: mpsc::UnboundedSender<Answer>,
    request_ids: AtomicU64,
    asked: watch::Sender<u64>,
}

/// The function's process, and the service that invokes it.
pub struct Function {
    process: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
    invocations: mpsc::UnboundedSender<Invocation>,
    answers: mpsc::UnboundedReceiver<Answer>,
    invoked: u64,
    asked: watch::Receiver<u64>,
    server: JoinHandle<()>,
}

impl Function {
    /// Starts the built function with these environment variables in addition to those that Lambda
    /// sets.
    pub async fn start(environment: &[(&str, &str)]) -> Self {
        let function = Command::new(env!("CARGO_BIN_EXE_rekognition-stopper"));
        Self::start_program(function, environment).await
    }

    /// Starts another program in place of the function.
    pub async fn start_program(mut program: Command, environment: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (invocations, taken) = mpsc::unbounded_channel();
        let (answered, answers) = mpsc::unbounded_channel();
        let (asking, asked) = watch::channel(0);
        let shared = Arc::new(Shared {
            invocations: Mutex::new(taken),
            answers: answered,
            request_ids: AtomicU64::new(1),
            asked: asking,
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(response),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            // The size of an answer is checked where it is read.
            .layer(DefaultBodyLimit::disable())
            .with_state(shared);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

        let mut process = program
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "nightly-stop")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", super::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", super::SECRET_KEY)
            .env("AWS_SESSION_TOKEN", super::SESSION_TOKEN)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdout = tokio::spawn(whole(process.stdout.take().unwrap()));
        let stderr = tokio::spawn(whole(process.stderr.take().unwrap()));
        Self {
            process,
            stdout,
            stderr,
            invocations,
            answers,
            invoked: 0,
            asked,
            server,
        }
    }

    /// Invokes the function with an event and a time limit, and waits for its answer.
    pub async fn invoke(&mut self, event: impl Into<Vec<u8>>, time_limit: Duration) -> Answer {
        match self.invoke_to_the_end(event, time_limit).await {
            End::Answer(answer) => answer,
            End::Killed(status) => panic!("it ended without an answer: {status:?}"),
            End::TimedOut => panic!("no answer in {time_limit:?}"),
        }
    }

    /// The same, where it may end without an answer. As on Lambda, there is none after the time
    /// limit.
    pub async fn invoke_to_the_end(
        &mut self,
        event: impl Into<Vec<u8>>,
        time_limit: Duration,
    ) -> End {
        self.invoke_beyond(event, time_limit, Duration::ZERO).await
    }

    /// The same, and waits for so much longer, to see how late an answer comes.
    pub async fn invoke_beyond(
        &mut self,
        event: impl Into<Vec<u8>>,
        time_limit: Duration,
        longer: Duration,
    ) -> End {
        let invocation = Invocation {
            event: event.into(),
            deadline: SystemTime::now() + time_limit,
        };
        self.invocations.send(invocation).unwrap();
        self.invoked += 1;
        tokio::select! {
            answer = self.answers.recv() => End::Answer(answer.unwrap()),
            ended = self.process.wait() => End::Killed(ended.unwrap()),
            () = tokio::time::sleep(time_limit + longer) => End::TimedOut,
        }
    }

    /// Waits until the function has finished all invocations and asks for the next.
    pub async fn is_idle(&mut self) {
        let invoked = self.invoked;
        self.asked.wait_for(|asked| *asked > invoked).await.unwrap();
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// Asks the process to end, and waits until it has ended.
    pub async fn terminate(mut self) {
        let id = self.id().to_string();
        let killed = Command::new("kill").arg(id).status().await.unwrap();
        assert!(killed.success());
        self.process.wait().await.unwrap();
    }

    /// Ends the process and returns what it wrote to standard output. It must not have written
    /// anything else.
    pub async fn end(self) -> String {
        let output = self.end_with_output().await;
        assert_eq!(output.stderr, "");
        output.stdout
    }

    /// Ends the process and returns everything that it wrote.
    pub async fn end_with_output(mut self) -> Output {
        self.process.kill().await.unwrap();
        self.server.abort();
        Output {
            stdout: self.stdout.await.unwrap(),
            stderr: self.stderr.await.unwrap(),
        }
    }
}

async fn whole(mut output: impl AsyncRead + Unpin) -> String {
    let mut text = String::new();
    output.read_to_string(&mut text).await.unwrap();
    text
}

/// The lines of a JSON log with this message.
pub fn lines_of(log: &str, message: &str) -> Vec<Value> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == message)
        .collect()
}

async fn next(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    shared.asked.send_modify(|asked| *asked += 1);
    let Some(invocation) = shared.invocations.lock().await.recv().await else {
        return std::future::pending().await;
    };
    let deadline = invocation
        .deadline
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let request_id = format!(
        "request-{}",
        shared.request_ids.fetch_add(1, Ordering::Relaxed)
    );
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    };
    set("content-type", "application/json");
    set("lambda-runtime-aws-request-id", &request_id);
    set(
        "lambda-runtime-deadline-ms",
        &deadline.as_millis().to_string(),
    );
    set(
        "lambda-runtime-invoked-function-arn",
        "arn:aws:lambda:us-east-1:123456789012:function:nightly-stop",
    );
    (headers, invocation.event)
}

async fn response(
    State(shared): State<Arc<Shared>>,
    Path(_): Path<String>,
    body: Bytes,
) -> StatusCode {
    answer(&shared, true, &body)
}

async fn error(
    State(shared): State<Arc<Shared>>,
    Path(_): Path<String>,
    body: Bytes,
) -> StatusCode {
    answer(&shared, false, &body)
}

fn answer(shared: &Shared, is_ok: bool, body: &[u8]) -> StatusCode {
    let too_large = body.len() > LARGEST_ANSWER;
    let answer = Answer {
        is_ok: is_ok && !too_large,
        body: if too_large {
            json!({"errorType": "Function.ResponseSizeTooLarge"})
        } else {
            serde_json::from_slice(body).unwrap()
        },
        size: body.len(),
    };
    shared.answers.send(answer).unwrap();
    if too_large {
        StatusCode::PAYLOAD_TOO_LARGE
    } else {
        StatusCode::ACCEPTED
    }
}

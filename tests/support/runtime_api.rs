//! A stand-in for the Lambda Runtime API, and the built function under it.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

/// The function's response or error of one invocation.
#[derive(Debug)]
pub struct Answer {
    /// Whether it is a response rather than an error.
    pub is_ok: bool,
    /// The response, or the error with its `errorType` and `errorMessage`.
    pub body: Value,
    /// The bytes of the body.
    pub size: usize,
}

impl Answer {
    /// The message of an error, which must have this type.
    pub fn error(&self, kind: &str) -> &str {
        assert!(!self.is_ok, "{self:?}");
        assert_eq!(self.body["errorType"], kind, "{self:?}");
        self.body["errorMessage"].as_str().unwrap()
    }
}

/// How an invocation ended.
#[derive(Debug)]
pub enum End {
    Answer(Answer),
    /// The process ended without a response, as one does that has used up its memory.
    Killed(ExitStatus),
    /// There was no response in time.
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
    invocations: Mutex<UnboundedReceiver<Invocation>>,
    answers: UnboundedSender<Answer>,
    /// How often the function has asked for an invocation.
    asked: watch::Sender<u64>,
}

/// The function's process, and the service that invokes it.
pub struct Function {
    process: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
    invocations: UnboundedSender<Invocation>,
    answers: UnboundedReceiver<Answer>,
    invoked: u64,
    asked: watch::Receiver<u64>,
}

impl Function {
    /// Starts the built function against services at this address, with a log in JSON and without
    /// waiting for confirmation, unless these environment variables say otherwise.
    pub async fn against(endpoint_url: &str, environment: &[(&str, &str)]) -> Self {
        let defaults = [
            ("AWS_ENDPOINT_URL", endpoint_url),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("CONFIRM_STOPPED", "false"),
        ];
        let function = Command::new(env!("CARGO_BIN_EXE_rekognition-stopper"));
        Self::start_program(function, &[&defaults, environment].concat()).await
    }

    /// Starts a program as Lambda starts the function, with these environment variables in addition
    /// to those that Lambda sets.
    pub async fn start_program(mut program: Command, environment: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (invocations, taken) = unbounded_channel();
        let (answered, answers) = unbounded_channel();
        let (asking, asked) = watch::channel(0);
        let shared = Arc::new(Shared {
            invocations: Mutex::new(taken),
            answers: answered,
            asked: asking,
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(answer))
            .layer(DefaultBodyLimit::disable())
            .with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

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
        Self {
            stdout: tokio::spawn(whole(process.stdout.take().unwrap())),
            stderr: tokio::spawn(whole(process.stderr.take().unwrap())),
            process,
            invocations,
            answers,
            invoked: 0,
            asked,
        }
    }

    /// Invokes the function with an event and a time limit, and waits for its response. On a busy
    /// machine that may come late; `cargo bench` measures how late.
    pub async fn invoke(&mut self, event: impl Into<Vec<u8>>, time_limit: Duration) -> Answer {
        match self.invoke_beyond(event, time_limit, super::PLENTY).await {
            End::Answer(answer) => answer,
            End::Killed(status) => panic!("it ended without an answer: {status:?}"),
            End::TimedOut => panic!("no answer in {time_limit:?}"),
        }
    }

    /// The same, where it may end without a response. Waits this much longer than the time limit.
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
    let mut number = 0;
    shared.asked.send_modify(|asked| {
        *asked += 1;
        number = *asked;
    });
    let Some(invocation) = shared.invocations.lock().await.recv().await else {
        return std::future::pending().await;
    };
    let deadline = invocation.deadline.duration_since(SystemTime::UNIX_EPOCH);
    let deadline = deadline.unwrap().as_millis().to_string();
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:nightly-stop";
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", format!("request-{number}")),
        ("lambda-runtime-deadline-ms", deadline),
        ("lambda-runtime-invoked-function-arn", arn.to_owned()),
    ];
    (headers, invocation.event)
}

/// Takes a `response` or an `error`.
async fn answer(
    State(shared): State<Arc<Shared>>,
    Path((_, kind)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    let answer = Answer {
        is_ok: kind == "response",
        body: serde_json::from_slice(&body).unwrap(),
        size: body.len(),
    };
    shared.answers.send(answer).unwrap();
    StatusCode::ACCEPTED
}

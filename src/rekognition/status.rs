//! What the service says of a model, and what that means for stopping it.

use std::fmt;

/// The status of a model, in the service's own word, also one that this version of the SDK does not know.
#[derive(Clone, PartialEq, Eq)]
pub struct Status(Box<str>);

/// What a status means for stopping a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is being started, is billed, and cannot be stopped yet.
    Starting,
    /// It is running, is billed, and can be stopped.
    Running,
    /// It is being stopped.
    Stopping,
    /// It is not running, and nothing is billed.
    NotRunning,
    /// A word that nobody knows the meaning of: not to be taken for "not running".
    Unknown,
}

impl Status {
    /// The status of this word.
    pub fn new(word: &str) -> Self {
        Self(word.into())
    }

    /// The service's word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it means for stopping the model.
    ///
    /// The words are those of [ProjectVersionDescription].
    ///
    /// [ProjectVersionDescription]: https://docs.aws.amazon.com/rekognition/latest/APIReference/API_ProjectVersionDescription.html
    pub fn phase(&self) -> Phase {
        match self.as_str() {
            "STARTING" => Phase::Starting,
            "RUNNING" => Phase::Running,
            "STOPPING" => Phase::Stopping,
            "TRAINING_IN_PROGRESS"
            | "TRAINING_COMPLETED"
            | "TRAINING_FAILED"
            | "FAILED"
            | "STOPPED"
            | "DELETING"
            | "COPYING_IN_PROGRESS"
            | "COPYING_COMPLETED"
            | "COPYING_FAILED"
            | "DEPRECATED"
            | "EXPIRED" => Phase::NotRunning,
            _ => Phase::Unknown,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a description of a model says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its status.
    pub status: Status,
    /// `MinInferenceUnits`: what is billed while it runs. Absent where it was never started.
    pub inference_units: Option<u32>,
}

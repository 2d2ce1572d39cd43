//! What the service says about a model, and what that means for stopping it.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// The status of a model, verbatim, even one that this version of the SDK does not know.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Status(Cow<'static, str>);

/// What a status means for stopping a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is starting, and cannot be stopped yet.
    Starting,
    /// It is running, is billed, and can be stopped.
    Running,
    /// It is stopping.
    Stopping,
    /// It is not running, and not billed.
    NotRunning,
    /// A status of unknown meaning: never taken for "not running".
    Unknown,
}

/// The statuses in [ProjectVersionDescription], and what they mean.
///
/// [ProjectVersionDescription]: https://docs.aws.amazon.com/rekognition/latest/APIReference/API_ProjectVersionDescription.html
const STATUSES: [(&str, Phase); 14] = [
    ("RUNNING", Phase::Running),
    ("STARTING", Phase::Starting),
    ("STOPPING", Phase::Stopping),
    ("STOPPED", Phase::NotRunning),
    ("TRAINING_IN_PROGRESS", Phase::NotRunning),
    ("TRAINING_COMPLETED", Phase::NotRunning),
    ("TRAINING_FAILED", Phase::NotRunning),
    ("FAILED", Phase::NotRunning),
    ("DELETING", Phase::NotRunning),
    ("COPYING_IN_PROGRESS", Phase::NotRunning),
    ("COPYING_COMPLETED", Phase::NotRunning),
    ("COPYING_FAILED", Phase::NotRunning),
    ("DEPRECATED", Phase::NotRunning),
    ("EXPIRED", Phase::NotRunning),
];

impl Status {
    /// The status with this name.
    pub fn new(word: &str) -> Self {
        let known = STATUSES.iter().find(|(known, _)| *known == word);
        Self(known.map_or_else(|| word.to_owned().into(), |(known, _)| (*known).into()))
    }

    /// The service's name for it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it means for stopping the model.
    pub fn phase(&self) -> Phase {
        let known = STATUSES.iter().find(|(known, _)| *known == self.0);
        known.map_or(Phase::Unknown, |(_, phase)| *phase)
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

//! A model version as a test describes it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::arn::{InvalidArn, VersionArn};

/// A model version to add to the emulator: its ARN, its status, and what it will do by itself.
///
/// ```
/// use rekognition_emulator::Model;
/// use std::time::Duration;
///
/// let model = Model::new("arn:aws:rekognition:us-east-1:123456789012:project/cats/version/v1/1700000000000")?
///     .status("STARTING")
///     .inference_units(2)
///     .tag("keep-running", "true")
///     .start_takes(Duration::from_secs(60));
/// # let _ = model;
/// # Ok::<(), rekognition_emulator::InvalidArn>(())
/// ```
#[derive(Debug, Clone)]
pub struct Model {
    pub(crate) arn: VersionArn,
    pub(crate) status: String,
    pub(crate) inference_units: u32,
    pub(crate) max_inference_units: Option<u32>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) start_takes: Option<Duration>,
    pub(crate) stop_takes: Option<Duration>,
    pub(crate) becomes: Vec<(Duration, String)>,
    pub(crate) is_deleted_once_stopped: bool,
    pub(crate) feature: Option<String>,
    pub(crate) description_bytes: usize,
}

impl Model {
    /// A model version with status `TRAINING_COMPLETED` and one inference unit.
    ///
    /// # Errors
    /// [`InvalidArn`] when `arn` does not match the service's pattern for `ProjectVersionArn`.
    pub fn new(arn: &str) -> Result<Self, InvalidArn> {
        Ok(Self {
            arn: VersionArn::parse(arn)?,
            status: "TRAINING_COMPLETED".to_owned(),
            inference_units: 1,
            max_inference_units: None,
            tags: BTreeMap::new(),
            start_takes: None,
            stop_takes: None,
            becomes: Vec::new(),
            is_deleted_once_stopped: false,
            feature: None,
            description_bytes: 0,
        })
    }

    /// The model's ARN.
    pub fn arn(&self) -> &str {
        &self.arn.text
    }

    /// The status at first: one of the service's, or any other text.
    pub fn status(mut self, status: &str) -> Self {
        self.status = status.to_owned();
        self
    }

    /// `MinInferenceUnits` of the description, until StartProjectVersion names another number.
    pub fn inference_units(mut self, units: u32) -> Self {
        self.inference_units = units;
        self
    }

    /// `MaxInferenceUnits` of the description, which has none otherwise.
    pub fn max_inference_units(mut self, units: u32) -> Self {
        self.max_inference_units = Some(units);
        self
    }

    /// Adds a tag.
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// How long this model stays STARTING before it is RUNNING; `Duration::MAX` means forever.
    pub fn start_takes(mut self, duration: Duration) -> Self {
        self.start_takes = Some(duration);
        self
    }

    /// How long this model stays STOPPING before it is STOPPED; `Duration::MAX` means forever.
    pub fn stop_takes(mut self, duration: Duration) -> Self {
        self.stop_takes = Some(duration);
        self
    }

    /// Goes to `status` by itself, `after` that time since it was added. May be given many times.
    pub fn becomes(mut self, after: Duration, status: &str) -> Self {
        self.becomes.push((after, status.to_owned()));
        self
    }

    /// Somebody deletes it as soon as it has stopped.
    pub fn deleted_once_stopped(mut self) -> Self {
        self.is_deleted_once_stopped = true;
        self
    }

    /// `CUSTOM_LABELS`, which is the default for a new project, or `CONTENT_MODERATION`. The model
    /// that brings its project into being decides the project's feature.
    pub fn feature(mut self, feature: &str) -> Self {
        self.feature = Some(feature.to_owned());
        self
    }

    /// Gives the description what training leaves in one, results and manifests, with so many
    /// manifests that it has about this many bytes of JSON. Real ones have about 2,500.
    pub fn description_bytes(mut self, bytes: usize) -> Self {
        self.description_bytes = bytes;
        self
    }
}

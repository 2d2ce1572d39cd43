//! The ARN of a model, and the patterns that match many models.
//!
//! The form is the service's own, from the `ProjectVersionArn` of [StopProjectVersion]:
//! `arn:PARTITION:rekognition:REGION:ACCOUNT:project/PROJECT/version/VERSION/NUMBER`.
//!
//! [StopProjectVersion]: https://docs.aws.amazon.com/rekognition/latest/APIReference/API_StopProjectVersion.html

mod fields;
mod matcher;
mod model;
mod pattern;

use std::str::FromStr;
use std::sync::Arc;

pub use fields::InvalidModelArn;
pub use model::{AccountId, ModelArn};
pub use pattern::ModelPattern;

/// What an entry in a list of models is.
#[derive(Clone, Debug)]
pub enum Target {
    /// One model, by its own ARN.
    Model(ModelArn),
    /// Every model that a pattern matches.
    Pattern(ModelPattern),
}

impl Target {
    /// The text that it was parsed from, shared.
    pub(crate) fn text(&self) -> Arc<str> {
        match self {
            Self::Model(model_arn) => model_arn.fields.text.clone(),
            Self::Pattern(pattern) => pattern.0.text.clone(),
        }
    }
}

impl FromStr for Target {
    type Err = InvalidModelArn;

    fn from_str(text: &str) -> Result<Self, InvalidModelArn> {
        match text.contains(fields::WILDCARDS) {
            true => text.parse().map(Self::Pattern),
            false => text.parse().map(Self::Model),
        }
    }
}

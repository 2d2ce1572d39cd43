//! The ARN of a model, and the patterns that match many models.
//!
//! The form is the service's own, from the `ProjectVersionArn` of [StopProjectVersion]:
//! `arn:PARTITION:rekognition:REGION:ACCOUNT:project/PROJECT/version/VERSION/NUMBER`. It is parsed
//! by splitting it, which is all that such a regular form needs.
//!
//! [StopProjectVersion]: https://docs.aws.amazon.com/rekognition/latest/APIReference/API_StopProjectVersion.html

mod model;
mod pattern;

use std::str::FromStr;
use std::sync::Arc;

pub use model::{AccountId, InvalidModelArn, ModelArn};
pub use pattern::ModelPattern;

use model::WILDCARDS;

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
            Self::Model(model_arn) => model_arn.text.clone(),
            Self::Pattern(pattern) => pattern.text(),
        }
    }
}

impl FromStr for Target {
    type Err = InvalidModelArn;

    fn from_str(text: &str) -> Result<Self, InvalidModelArn> {
        let target = if text.contains(WILDCARDS) {
            text.parse().map(Target::Pattern)
        } else {
            text.parse().map(Target::Model)
        };
        target.map_err(|error| InvalidModelArn::near_miss(text).unwrap_or(error))
    }
}

//! The command line.

use clap::Parser;

/// Shows which Amazon Rekognition Custom Labels models run in your account, and
/// what the function would do about them tonight. It stops none without --stop.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = AFTER_HELP)]
pub struct Arguments {
    /// ARNs of models, and patterns as in MODEL_ARNS
    /// [default: every model of the account]
    #[arg(value_name = "PATTERN", verbatim_doc_comment)]
    pub patterns: Vec<String>,

    /// Profile of ~/.aws/config [default: credentials
    /// are found as the AWS CLI finds them]
    #[arg(long, verbatim_doc_comment)]
    pub profile: Option<String>,

    /// Region that a wildcard matches; may be repeated
    /// [default: the 11 regions of Custom Labels]
    #[arg(long, value_name = "REGION", verbatim_doc_comment)]
    pub region: Vec<String>,

    /// Print the report as the function returns it
    #[arg(long)]
    pub json: bool,

    /// Stop what would be stopped, after asking
    #[arg(long)]
    pub stop: bool,

    /// Stop without asking
    #[arg(long, requires = "stop")]
    pub yes: bool,
}

const AFTER_HELP: &str = "\
Environment, as in the function:
  INFERENCE_UNIT_HOUR_PRICE  Price of an inference unit hour [default: none]
  KEEP_RUNNING_TAG           Key of the exempting tag [default: keep-running]
  FIND_STARTS                Look up who started the models [default: true]
  CONFIRM_STOPPED            Wait until models have stopped [default: true]
  MEMBER_ROLE                Role to assume in other accounts [default: none]
  Also MEMBER_EXTERNAL_ID, ORGANIZATIONAL_UNITS, EXCLUDED_ACCOUNTS, REGIONS and
  MAX_CONCURRENCY. MODEL_ARNS and DRY_RUN are not read.

Exit status:
  0  Nothing failed
  1  A model, a lookup or the credentials failed
  2  An option, a pattern or a variable is not valid; nothing was called";

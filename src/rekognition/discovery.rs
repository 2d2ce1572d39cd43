//! The models that patterns match, found by listing projects and their versions.

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use super::call::CallError;
use super::region::{NAMES_A_CALL, Page, Project, Region, Version};
use super::status::{Observed, Phase};
use crate::arn::{ModelArn, ModelPattern};

/// A model that a pattern stands for, as the list showed it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The model.
    pub(crate) model_arn: ModelArn,
    /// Its status at that moment, and what it costs.
    pub(crate) observed: Observed,
    /// The position of the first pattern that matches it.
    pub(crate) position: usize,
}

/// What became of one pattern.
#[derive(Clone, Debug, Default)]
pub(crate) struct LookedUp {
    /// How many versions it matches, running or not.
    pub(crate) matches: usize,
    /// The account of the projects that were listed where it is not the pattern's.
    pub(crate) other_account: Option<String>,
    /// Why it could not be looked up to the end. Models may have been found all the same.
    pub(crate) error: Option<CallError>,
}

/// The patterns of one region, and what has become of them.
pub(crate) struct Discovery<'a> {
    region: &'a Region,
    /// Each with its position in the list of entries.
    patterns: &'a [(usize, ModelPattern)],
    results: Vec<LookedUp>,
    found: mpsc::UnboundedSender<Found>,
    calls: FuturesUnordered<BoxFuture<'a, Listed>>,
}

/// A page of a list that was asked for.
enum Listed {
    Projects {
        /// The names asked for; none for all projects.
        names: Vec<String>,
        page: Result<Page<Project>, CallError>,
    },
    Versions {
        project: Project,
        page: Result<Page<Version>, CallError>,
    },
}

impl<'a> Discovery<'a> {
    /// Looks up patterns, each with its position, and sends each model that one of them stands for as soon as it is found.
    ///
    /// A model is sent when it is running, starting or stopping, or when nobody knows whether it is. A list that
    /// cannot be read to its end fails the patterns that it matters to; what was found before is not lost.
    /// Memory grows with what is found, not with what is listed.
    pub(crate) async fn run(
        region: &'a Region,
        patterns: &'a [(usize, ModelPattern)],
        found: mpsc::UnboundedSender<Found>,
    ) -> Vec<LookedUp> {
        let mut discovery = Self {
            region,
            patterns,
            results: vec![LookedUp::default(); patterns.len()],
            found,
            calls: FuturesUnordered::new(),
        };
        discovery.list_projects();
        while let Some(listed) = discovery.calls.next().await {
            discovery.take(listed);
        }
        discovery.results
    }

    /// Lists the projects of the patterns' names; all of them where a name has a wildcard.
    fn list_projects(&mut self) {
        let names: Option<Vec<&str>> = self
            .patterns
            .iter()
            .map(|(_, pattern)| pattern.project_name())
            .collect();
        match names {
            Some(mut names) => {
                names.sort_unstable();
                names.dedup();
                for names in names.chunks(NAMES_A_CALL) {
                    let names = names.iter().map(|name| (*name).to_owned()).collect();
                    self.list_projects_page(names, None);
                }
            }
            None => self.list_projects_page(Vec::new(), None),
        }
    }

    fn list_projects_page(&mut self, names: Vec<String>, next_token: Option<String>) {
        let region = self.region;
        let call = async move {
            let page = region.projects(&names, next_token).await;
            Listed::Projects { names, page }
        };
        self.calls.push(call.boxed());
    }

    fn list_versions_page(&mut self, project: Project, next_token: Option<String>) {
        let region = self.region;
        let call = async move {
            let page = region.project_versions(&project.arn, &[], next_token).await;
            Listed::Versions { project, page }
        };
        self.calls.push(call.boxed());
    }

    fn take(&mut self, listed: Listed) {
        match listed {
            Listed::Projects { names, page } => match page {
                Ok(page) => {
                    for project in page.items {
                        self.take_project(project);
                    }
                    if page.next_token.is_some() {
                        self.list_projects_page(names, page.next_token);
                    }
                }
                Err(error) => self.fail(&error, |pattern| {
                    pattern.project_name().is_none_or(|name| {
                        names.is_empty() || names.iter().any(|asked| asked == name)
                    })
                }),
            },
            Listed::Versions { project, page } => match page {
                Ok(page) => {
                    for version in page.items {
                        self.take_version(&project, version);
                    }
                    if page.next_token.is_some() {
                        self.list_versions_page(project, page.next_token);
                    }
                }
                Err(error) => {
                    self.fail(&error, |pattern| pattern.matches_project(&project.name));
                }
            },
        }
    }

    fn take_project(&mut self, project: Project) {
        let account = project.arn.split(':').nth(4).unwrap_or_default();
        let mut wanted = false;
        for ((_, pattern), result) in self.patterns.iter().zip(&mut self.results) {
            if pattern.account() != account {
                result.other_account = Some(account.to_owned());
            } else if pattern.matches_project(&project.name) {
                wanted = true;
            }
        }
        if wanted {
            self.list_versions_page(project, None);
        }
    }

    fn take_version(&mut self, project: &Project, version: Version) {
        let Ok(model_arn) = version.model_arn.parse::<ModelArn>() else {
            // Nobody can say whether a pattern stands for it.
            if version.observed.status.phase() != Phase::NotRunning {
                let error = CallError::unreadable_list("DescribeProjectVersions");
                self.fail(&error, |pattern| pattern.matches_project(&project.name));
            }
            return;
        };
        let mut first = None;
        for ((position, pattern), result) in self.patterns.iter().zip(&mut self.results) {
            if pattern.matches(&model_arn) {
                result.matches += 1;
                first = first.or(Some(*position));
            }
        }
        if let Some(position) = first
            && version.observed.status.phase() != Phase::NotRunning
        {
            // Nobody to receive it means that the run is over.
            let _ = self.found.send(Found {
                model_arn,
                observed: version.observed,
                position,
            });
        }
    }

    fn fail(&mut self, error: &CallError, matters_to: impl Fn(&ModelPattern) -> bool) {
        for ((_, pattern), result) in self.patterns.iter().zip(&mut self.results) {
            if matters_to(pattern) {
                result.error.get_or_insert_with(|| error.clone());
            }
        }
    }
}

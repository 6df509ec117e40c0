//! Which project does a first `flowgate dev` start with?
//!
//! The files of `config/demo/`, carried inside the binary so that it needs no
//! folder beside it.

/// Name and content of each file of the demo project.
pub const DEMO: &[(&str, &str)] = &[
    (
        "onboarding-tour.yaml",
        include_str!("../../config/demo/onboarding-tour.yaml"),
    ),
    (
        "welcome-modal.yaml",
        include_str!("../../config/demo/welcome-modal.yaml"),
    ),
    (
        "feature-announcement.yaml",
        include_str!("../../config/demo/feature-announcement.yaml"),
    ),
    (
        "initial-setup.yaml",
        include_str!("../../config/demo/initial-setup.yaml"),
    ),
    (
        "feature-hotspot.yaml",
        include_str!("../../config/demo/feature-hotspot.yaml"),
    ),
    (
        "customer-support.yaml",
        include_str!("../../config/demo/customer-support.yaml"),
    ),
    ("flags.yaml", include_str!("../../config/demo/flags.yaml")),
];

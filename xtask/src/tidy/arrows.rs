//! The arrows between our crates: which crate may use which, and nothing else.
//!
//! The first table is the contract; `ARCHITECTURE.md` draws it. A manifest may use fewer arrows than its row allows.

use super::Finding;
use super::manifests::{Kind, Package};

/// One crate of ours.
struct Row {
    name: &'static str,
    floor: u8,
    /// Crates that its shipped code may use; `name[feature]` allows the optional feature too.
    arrows: &'static [&'static str],
}

/// Development crates stand above everything and are used by nothing that ships.
const DEV: u8 = 9;

const TABLE: &[Row] = &[
    Row { name: "gantral-core", floor: 0, arrows: &[] },
    Row { name: "gantral-evidence", floor: 0, arrows: &["gantral-core"] },
    Row { name: "gantral-store", floor: 1, arrows: &["gantral-core", "gantral-evidence"] },
    Row { name: "gantral-identity", floor: 1, arrows: &["gantral-core"] },
    Row { name: "gantral-keys", floor: 1, arrows: &["gantral-core", "gantral-evidence"] },
    Row { name: "gantral-listen", floor: 1, arrows: &[] },
    Row { name: "gantral-outbound", floor: 1, arrows: &[] },
    Row { name: "gantral-api", floor: 2, arrows: &["gantral-core"] },
    Row {
        name: "gantral-engine",
        floor: 2,
        arrows: &["gantral-core", "gantral-evidence", "gantral-store", "gantral-identity", "gantral-keys"],
    },
    Row {
        name: "gantral-archive",
        floor: 2,
        arrows: &[
            "gantral-core",
            "gantral-evidence",
            "gantral-store",
            "gantral-keys",
            "gantral-engine",
            "gantral-log",
            "gantral-outbound",
        ],
    },
    Row {
        name: "gantral-log",
        floor: 2,
        arrows: &["gantral-core", "gantral-evidence", "gantral-store", "gantral-keys", "gantral-outbound"],
    },
    Row { name: "gantral-notify", floor: 2, arrows: &["gantral-core", "gantral-store", "gantral-outbound"] },
    Row { name: "gantral-oidc", floor: 2, arrows: &["gantral-core", "gantral-identity", "gantral-outbound"] },
    Row { name: "gantral-policy", floor: 2, arrows: &["gantral-core", "gantral-engine", "gantral-outbound"] },
    Row { name: "gantral-trace", floor: 2, arrows: &["gantral-outbound"] },
    Row { name: "gantral-console", floor: 3, arrows: &["gantral-api", "gantral-core"] },
    Row {
        name: "gantral-server",
        floor: 3,
        arrows: &[
            "gantral-core",
            "gantral-evidence",
            "gantral-store",
            "gantral-identity",
            "gantral-keys",
            "gantral-api",
            "gantral-console",
            "gantral-engine",
            "gantral-policy",
            "gantral-log",
            "gantral-archive",
            "gantral-listen",
            "gantral-notify",
            "gantral-oidc",
            "gantral-trace",
        ],
    },
    Row {
        name: "gantral-edge",
        floor: 3,
        arrows: &[
            "gantral-core",
            "gantral-evidence",
            "gantral-identity",
            "gantral-outbound",
            "gantral-api[client]",
        ],
    },
    Row {
        name: "gantral-http",
        floor: 3,
        arrows: &[
            "gantral-core",
            "gantral-edge",
            "gantral-api[client]",
            "gantral-listen",
            "gantral-outbound",
        ],
    },
    Row {
        name: "gantral-mcp",
        floor: 3,
        arrows: &[
            "gantral-core",
            "gantral-edge",
            "gantral-api[client]",
            "gantral-listen",
            "gantral-outbound",
        ],
    },
    Row { name: "gantral-temporal", floor: 3, arrows: &["gantral-api[client]"] },
    Row { name: "gantral-verify", floor: 3, arrows: &["gantral-core", "gantral-evidence"] },
    Row { name: "gantral-verify-web", floor: 3, arrows: &["gantral-core", "gantral-evidence"] },
    Row {
        name: "gantral-witness",
        floor: 3,
        arrows: &["gantral-core", "gantral-evidence", "gantral-keys", "gantral-log", "gantral-listen"],
    },
    Row {
        name: "gantral",
        floor: 3,
        arrows: &[
            "gantral-core",
            "gantral-evidence",
            "gantral-identity",
            "gantral-keys",
            "gantral-outbound",
            "gantral-oidc",
            "gantral-policy",
            "gantral-api[client]",
            "gantral-server",
            "gantral-edge",
            "gantral-http",
            "gantral-mcp",
            "gantral-log",
            "gantral-archive",
            "gantral-witness",
            "gantral-verify",
        ],
    },
    Row { name: "gantral-vectors", floor: DEV, arrows: &["gantral-core", "gantral-evidence"] },
    Row {
        name: "gantral-testkit",
        floor: DEV,
        arrows: &[
            "gantral-core",
            "gantral-evidence",
            "gantral-store",
            "gantral-identity",
            "gantral-keys",
            "gantral-engine",
            "gantral-policy",
        ],
    },
    Row {
        name: "gantral-bench",
        floor: DEV,
        arrows: &[
            "gantral-core",
            "gantral-evidence",
            "gantral-store",
            "gantral-identity",
            "gantral-keys",
            "gantral-api[client]",
            "gantral-engine",
            "gantral-log",
            "gantral-policy",
            "gantral-server",
            "gantral-edge",
            "gantral-verify",
            "gantral-testkit",
        ],
    },
    Row {
        name: "gantral-fuzz",
        floor: DEV,
        arrows: &[
            "gantral-core",
            "gantral-edge",
            "gantral-evidence",
            "gantral-identity",
            "gantral-keys",
            "gantral-api",
            "gantral-engine",
            "gantral-policy",
            "gantral-store",
            "gantral-log",
            "gantral-archive",
            "gantral-http",
            "gantral-mcp",
            "gantral-trace",
        ],
    },
    Row {
        name: "gantral-sim",
        floor: DEV,
        arrows: &[
            "gantral-core",
            "gantral-evidence",
            "gantral-store",
            "gantral-identity",
            "gantral-keys",
            "gantral-engine",
            "gantral-log",
            "gantral-policy",
            "gantral-testkit",
        ],
    },
    Row { name: "xtask", floor: DEV, arrows: &[] },
];

/// What tests of any crate may use, whatever its floor.
const TEST_CRATES: &[&str] = &["gantral-testkit", "gantral-vectors"];

/// Heavy or telling dependencies of others, and the crates that may name them in shipped code: what they do is hidden there.
const OWNERS: &[(&str, &[&str])] = &[
    ("askama", &["gantral-console"]),
    ("anyhow", &["gantral", "gantral-bench", "gantral-temporal", "xtask"]),
    ("axum", &["gantral-http", "gantral-listen", "gantral-mcp", "gantral-server", "gantral-witness"]),
    ("axum-server", &["gantral-listen"]),
    ("clap", &["gantral", "gantral-bench", "gantral-temporal"]),
    ("jsonwebtoken", &["gantral-identity"]),
    ("lettre", &["gantral-notify"]),
    ("object_store", &["gantral-archive"]),
    ("opentelemetry", &["gantral-trace"]),
    ("opentelemetry-http", &["gantral-trace"]),
    ("opentelemetry-otlp", &["gantral-trace"]),
    ("opentelemetry_sdk", &["gantral-trace"]),
    ("p256", &["gantral-evidence", "gantral-vectors"]),
    ("prost", &["gantral-http"]),
    ("regorus", &["gantral-policy"]),
    (
        "reqwest",
        &[
            "gantral-api",
            "gantral-archive",
            "gantral-bench",
            "gantral-edge",
            "gantral-http",
            "gantral-keys",
            "gantral-log",
            "gantral-mcp",
            "gantral-notify",
            "gantral-oidc",
            "gantral-outbound",
            "gantral-policy",
            "gantral-testkit",
            "gantral-trace",
        ],
    ),
    ("rusqlite", &["gantral-store", "gantral-bench"]),
    ("tempfile", &["gantral", "gantral-bench", "gantral-sim", "gantral-testkit"]),
    ("zeroize", &["gantral-edge"]),
];

/// Compares the manifests with the tables.
pub fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = packages.iter().flat_map(check_owners).collect();
    for package in packages {
        match row(&package.name) {
            Some(row) => findings.extend(check_package(package, row)),
            None => findings.push(Finding::new(
                &package.name,
                0,
                "has no row in the table of arrows: a new crate is a decision, write it down there",
            )),
        }
    }
    for row in TABLE {
        if !packages.iter().any(|package| package.name == row.name) {
            findings.push(Finding::new(row.name, 0, "has a row in the table of arrows but does not exist"));
        }
    }
    findings
}

fn check_package(package: &Package, from: &Row) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        let Some(to) = row(&dependency.name) else { continue };
        let allowed = match dependency.kind {
            Kind::Dev => TEST_CRATES.contains(&to.name) || to.floor <= from.floor,
            Kind::Normal | Kind::Build => allows(from.arrows, to.name, &dependency.features),
        };
        if !allowed {
            findings.push(Finding::new(
                from.name,
                0,
                format!(
                    "may not depend on `{}` (features {:?}): no such arrow; move the code to a lower floor",
                    to.name, dependency.features
                ),
            ));
        }
    }
    findings
}

fn allows(arrows: &[&str], name: &str, features: &[String]) -> bool {
    let allowed = arrows.iter().filter_map(|arrow| arrow.strip_prefix(name));
    let featured = |rest: &str, feature: &String| rest == format!("[{feature}]");
    let mut rests = allowed.filter(|rest| rest.is_empty() || rest.starts_with('['));
    rests.any(|rest| features.iter().all(|feature| featured(rest, feature)))
}

fn check_owners(package: &Package) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dependency in package.dependencies.iter().filter(|dependency| dependency.kind != Kind::Dev) {
        let Some((_, owners)) = OWNERS.iter().find(|(name, _)| *name == dependency.name) else { continue };
        if !owners.contains(&package.name.as_str()) {
            let what = format!("may not name `{}`: it is hidden behind {owners:?}", dependency.name);
            findings.push(Finding::new(&package.name, 0, what));
        }
    }
    findings
}

fn row(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::super::manifests::Dependency;
    use super::*;

    fn using(from: &str, to: &str, kind: Kind, features: &[&str]) -> Package {
        let features = features.iter().map(|feature| (*feature).to_owned()).collect();
        let dependency = Dependency { name: to.to_owned(), kind, features };
        Package { name: from.to_owned(), dependencies: vec![dependency], ..Package::default() }
    }

    fn uses(from: &str, to: &str, kind: Kind, features: &[&str]) -> Vec<String> {
        let package = using(from, to, kind, features);
        check_package(&package, row(from).unwrap()).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn arrow_upwards_is_found() {
        assert_eq!(
            uses("gantral-core", "gantral-store", Kind::Normal, &[]),
            [
                "gantral-core: may not depend on `gantral-store` (features []): no such arrow; move the code to a lower floor"
            ]
        );
        assert_eq!(uses("gantral-core", "gantral-store", Kind::Dev, &[]).len(), 1);
        assert_eq!(uses("gantral-verify", "gantral-engine", Kind::Build, &[]).len(), 1);
    }

    #[test]
    fn arrow_of_the_table_is_lawful() {
        assert!(uses("gantral-evidence", "gantral-core", Kind::Normal, &[]).is_empty());
        assert!(uses("gantral-edge", "gantral-api", Kind::Normal, &["client"]).is_empty());
        assert!(uses("gantral-edge", "gantral-api", Kind::Normal, &[]).is_empty());
        assert!(uses("gantral-server", "gantral-api", Kind::Normal, &[]).is_empty());
    }

    #[test]
    fn server_may_not_become_its_own_client() {
        assert_eq!(uses("gantral-server", "gantral-api", Kind::Normal, &["client"]).len(), 1);
    }

    #[test]
    fn crates_for_tests_are_for_tests_only() {
        for name in TEST_CRATES {
            assert!(uses("gantral-store", name, Kind::Dev, &[]).is_empty());
            assert_eq!(uses("gantral-store", name, Kind::Normal, &[]).len(), 1);
        }
    }

    #[test]
    fn hidden_dependency_that_is_named_elsewhere_is_found() {
        assert_eq!(check_owners(&using("gantral-server", "rusqlite", Kind::Normal, &[])).len(), 1);
        assert!(check_owners(&using("gantral-store", "rusqlite", Kind::Normal, &[])).is_empty());
        assert!(check_owners(&using("gantral-engine", "rusqlite", Kind::Dev, &[])).is_empty());
    }

    #[test]
    fn unknown_and_vanished_crates_are_found() {
        let stranger = Package { name: "gantral-cloud".to_owned(), ..Package::default() };
        let findings = check(&[stranger]);
        assert!(findings.iter().any(|f| f.place == "gantral-cloud" && f.what.contains("no row")));
        assert!(findings.iter().any(|f| f.place == "gantral-core" && f.what.contains("does not exist")));
    }

    #[test]
    fn every_arrow_of_the_table_points_to_the_same_floor_or_down() {
        for from in TABLE {
            for arrow in from.arrows {
                let name = arrow.split('[').next().unwrap();
                let to = row(name).unwrap_or_else(|| panic!("{arrow} has no row"));
                assert!(to.floor <= from.floor, "{} -> {arrow}", from.name);
            }
        }
    }
}
